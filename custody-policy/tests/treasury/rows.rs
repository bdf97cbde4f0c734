//! What each rule says about orders on both sides of it.

use custody_core::effect::{Action, Effect};

use crate::RULES;
use crate::support::{ETHER, HOUR, Order, USDC, document, whole};

/// One order that a rule is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The rule that the row is about.
    pub(crate) rule: &'static str,
    pub(crate) case: &'static str,
    pub(crate) order: Order,
    pub(crate) allowed: bool,
    /// Who says so, if it is not the rule itself.
    pub(crate) by: Option<&'static str>,
}

pub(crate) fn rows() -> Vec<Row> {
    [payments(), tokens(), limits(), contracts(), deceptions(), refills(), house()].concat()
}

fn rule(rule: &'static str, rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { rule, ..row }).collect()
}

/// The rule permits it.
fn allowed(case: &'static str, order: Order) -> Row {
    Row { rule: "", case, order, allowed: true, by: None }
}

/// The rule does not forbid it, and another one permits it.
fn allowed_by(by: &'static str, case: &'static str, order: Order) -> Row {
    Row { by: Some(by), ..allowed(case, order) }
}

/// The rule forbids it.
fn forbidden(case: &'static str, order: Order) -> Row {
    Row { allowed: false, ..allowed(case, order) }
}

/// No rule permits it.
fn silent(case: &'static str, order: Order) -> Row {
    Row { by: Some("no-permit"), ..forbidden(case, order) }
}

pub(crate) fn ether(units: u64) -> String {
    whole(units, 18)
}

/// One wei more than whole ether.
fn more_than(units: u64) -> String {
    (u128::from(units) * 1_000_000_000_000_000_000 + 1).to_string()
}

fn usdc(units: u64) -> String {
    whole(units, 6)
}

pub(crate) fn operator() -> Order {
    Order::by(&["operator"], &document(RULES))
}

pub(crate) fn administrator() -> Order {
    Order::by(&["administrator"], &document(RULES))
}

fn payments() -> Vec<Row> {
    let pay = |units: &str| operator().transfer(ETHER, units);
    let pay_two = |units: &str| pay(units).approved("treasurer", 2, 1);
    [
        rule(
            "transfer-small",
            vec![
                allowed("on the limit", pay(&ether(1))),
                silent("one wei above", pay(&more_than(1))),
                silent("to an unknown address", pay("1").unknown()),
                silent("split into parts", pay(&ether(1)).order_total(&ether(2))),
                silent(
                    "by a treasurer",
                    Order::by(&["treasurer"], &document(RULES)).transfer(ETHER, "1"),
                ),
                silent("from a warm wallet", pay("1").tier("warm")),
                silent("of another asset", operator().transfer("eip155:1/erc20:0x01", "1")),
            ],
        ),
        rule(
            "transfer-large",
            vec![
                allowed("with two treasurers", pay_two(&ether(60))),
                allowed("to an unknown address", pay_two(&ether(1)).unknown()),
                silent("with one treasurer", pay(&ether(2)).approved("treasurer", 1, 1)),
                silent("above the limit", pay_two(&more_than(100)).spent_today("0")),
            ],
        ),
    ]
    .concat()
}

fn tokens() -> Vec<Row> {
    let approve = |units: &str| operator().approve(USDC, units).in_book("contracts");
    let most = custody_core::amount::Units::MAX.to_string();
    [
        rule(
            "token-small",
            vec![
                allowed("on the limit", operator().transfer(USDC, &usdc(2_500))),
                silent("above the limit", operator().transfer(USDC, "2500000001")),
            ],
        ),
        rule(
            "token-large",
            vec![
                allowed(
                    "with two treasurers",
                    operator().transfer(USDC, &usdc(250_000)).approved("treasurer", 2, 1),
                ),
                silent(
                    "above the limit",
                    operator().transfer(USDC, "250000000001").approved("treasurer", 2, 1),
                ),
            ],
        ),
        rule(
            "approve-token",
            vec![
                allowed("on the limit", approve(&usdc(10_000)).approved("treasurer", 1, 1)),
                silent("with nobody", approve("1")),
                silent("one unit above", approve("10000000001").approved("treasurer", 3, 1)),
                silent(
                    "for an unlisted spender",
                    operator().approve(USDC, "1").approved("treasurer", 1, 1),
                ),
            ],
        ),
        rule(
            "unlimited-allowance",
            vec![
                forbidden("without limit", approve(&most).approved("treasurer", 3, 1)),
                forbidden("one unit above", approve("1000000000001")),
                silent("on the limit", approve(&usdc(1_000_000))),
            ],
        ),
    ]
    .concat()
}

fn limits() -> Vec<Row> {
    let pay = |units: &str| operator().transfer(ETHER, units);
    let pay_two = |units: &str| pay(units).approved("treasurer", 2, 1);
    [
        rule(
            "fee",
            vec![
                allowed("on the cap", operator().fee(ETHER, "50000000000000000")),
                allowed("from a cold wallet", operator().fee(ETHER, "1").tier("cold")),
                silent("in a token", operator().fee(USDC, "1")),
            ],
        ),
        rule(
            "fee-cap",
            vec![
                forbidden("one wei above the cap", operator().fee(ETHER, "50000000000000001")),
                forbidden("beside a small payment", pay("1").fee(ETHER, "50000000000000001")),
            ],
        ),
        rule(
            "daily-limit",
            vec![
                allowed_by(
                    "transfer-small",
                    "on the limit",
                    pay(&ether(1)).spent_today(&ether(60)),
                ),
                forbidden("one wei above", pay(&ether(1)).spent_today(&more_than(60))),
                forbidden("with two treasurers", pay_two(&ether(61))),
                forbidden(
                    "reached by a fee",
                    operator().fee(ETHER, "1").spent_today(&more_than(60)),
                ),
            ],
        ),
    ]
    .concat()
}

fn contracts() -> Vec<Row> {
    let call = |action| operator().call(action).approved("treasurer", 1, 1);
    [
        rule(
            "call-listed",
            vec![
                allowed("listed", call(Action::Call).in_book("contracts")),
                silent("listed, with nobody", operator().call(Action::Call).in_book("contracts")),
            ],
        ),
        rule(
            "unknown-call",
            vec![
                forbidden("unlisted", call(Action::Call)),
                forbidden("of foreign code", call(Action::DelegateCall)),
                forbidden("of an owner", call(Action::Administer)),
                forbidden("for a new contract", operator().plain(Effect::Deploy)),
            ],
        ),
        rule(
            "sign-message",
            vec![
                allowed(
                    "with a treasurer",
                    operator().sign(Action::SignMessage, "eip191").approved("treasurer", 1, 1),
                ),
                silent("with nobody", operator().sign(Action::SignMessage, "eip191")),
            ],
        ),
        rule(
            "no-opaque",
            vec![forbidden(
                "with everybody",
                operator().sign(Action::SignOpaque, "raw").approved("treasurer", 3, 2),
            )],
        ),
        rule(
            "no-replayable",
            vec![forbidden(
                "a small payment",
                operator().transfer(ETHER, "1").decoded("replayable"),
            )],
        ),
    ]
    .concat()
}

fn deceptions() -> Vec<Row> {
    [
        rule(
            "no-unbound-chain",
            vec![forbidden(
                "a message with a treasurer",
                operator().sign(Action::SignMessage, "eip712").decoded("unbound_chain").approved(
                    "treasurer",
                    2,
                    1,
                ),
            )],
        ),
        rule(
            "no-look-alike",
            vec![
                forbidden(
                    "a payment with two treasurers",
                    operator().transfer(ETHER, "1").unknown().resembling().approved(
                        "treasurer",
                        2,
                        1,
                    ),
                ),
                allowed_by(
                    "transfer-small",
                    "a payment to the known address itself",
                    operator().transfer(ETHER, "1"),
                ),
            ],
        ),
    ]
    .concat()
}

fn refills() -> Vec<Row> {
    let refill = |tier| operator().transfer(ETHER, &ether(500)).tier(tier).in_book("own-wallets");
    let ready = |tier| refill(tier).self_owned().approved("treasurer", 2, 1);
    [rule(
        "refill",
        vec![
            allowed("from warm", ready("warm").waited(HOUR)),
            allowed("from cold", ready("cold").waited(HOUR)),
            silent("too soon", ready("cold").waited(HOUR - 1)),
            silent("with one treasurer", ready("cold").waited(HOUR).approved("treasurer", 1, 1)),
            silent("to a stranger", refill("cold").approved("treasurer", 2, 1).waited(HOUR)),
        ],
    )]
    .concat()
}

fn house() -> Vec<Row> {
    let update = |order: Order| order.command(Action::UpdatePolicy);
    [
        rule(
            "house-routine",
            vec![
                allowed("by an administrator", administrator().command(Action::DeriveAccount)),
                silent("by an operator", operator().command(Action::DeriveAccount)),
                allowed("sealing anew", administrator().command(Action::ResealKeys)),
                silent("sealing anew by an operator", operator().command(Action::ResealKeys)),
                silent(
                    "sealing anew by an operator with two treasurers",
                    operator().command(Action::ResealKeys).approved("treasurer", 2, 1),
                ),
            ],
        ),
        rule(
            "house-growth",
            vec![
                allowed(
                    "with a treasurer",
                    administrator().command(Action::AddAddress).approved("treasurer", 1, 1),
                ),
                silent("with nobody", administrator().command(Action::CreateWallet)),
                silent(
                    "with an operator",
                    administrator().command(Action::RegisterAsset).approved("operator", 2, 1),
                ),
            ],
        ),
        rule(
            "house-danger",
            vec![
                allowed(
                    "by an administrator with a treasurer",
                    update(administrator()).approved("treasurer", 1, 1),
                ),
                allowed(
                    "by an operator with two treasurers",
                    update(operator()).approved("treasurer", 2, 1),
                ),
                silent(
                    "by an operator with one treasurer",
                    update(operator()).approved("treasurer", 1, 1),
                ),
                silent("by an administrator", update(administrator())),
            ],
        ),
        rule(
            "emergency-stop",
            vec![
                allowed(
                    "by a treasurer",
                    Order::by(&["treasurer"], &document(RULES)).command(Action::Freeze),
                ),
                silent("by a stranger", Order::by(&[], &document(RULES)).command(Action::Freeze)),
            ],
        ),
    ]
    .concat()
}
