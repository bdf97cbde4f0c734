use custody_core::amount::Amount;
use custody_core::effect::Effect;
use custody_core::seam::{
    ApprovalFacts, DestinationFacts, MoneyFacts, PolicyDocument, Requester, Requirement, RoleFacts,
    Spent, WindowSums,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Strategy, any};

use super::{
    arb_amount, arb_authentication, arb_book_id, arb_decode_fact, arb_effect, arb_organisation_id,
    arb_principal_id, arb_role_id, arb_tier_id, arb_timestamp, arb_units,
};
use crate::policy::{EffectCase, OrderFacts};

/// Any principal as rules see it.
pub fn arb_requester() -> impl Strategy<Value = Requester> {
    let roles = btree_set(arb_role_id(), 0..4);
    (arb_principal_id(), roles, arb_organisation_id(), any::<bool>()).prop_map(
        |(id, roles, organisation, service)| Requester {
            id,
            roles: roles.into_iter().collect(),
            organisation,
            service,
        },
    )
}

/// Any sums of the four windows.
pub fn arb_window_sums() -> impl Strategy<Value = WindowSums> {
    (arb_units(), arb_units(), arb_units(), arb_units()).prop_map(|(h1, h24, d7, d30)| WindowSums {
        h1,
        h24,
        d7,
        d30,
    })
}

/// Any spending.
pub fn arb_spent() -> impl Strategy<Value = Spent> {
    (arb_window_sums(), arb_window_sums(), arb_window_sums())
        .prop_map(|(wallet, requester, destination)| Spent { wallet, requester, destination })
}

/// Any facts about money.
pub fn arb_money_facts() -> impl Strategy<Value = MoneyFacts> {
    let value = option::of(arb_amount());
    (option::of(any::<u8>()), arb_units(), arb_units(), arb_spent(), value).prop_map(
        |(decimals, order_total, fee, spent, value): (_, _, _, _, Option<Amount>)| MoneyFacts {
            decimals,
            order_total,
            fee,
            spent,
            value,
        },
    )
}

/// Any facts about a destination.
pub fn arb_destination_facts() -> impl Strategy<Value = DestinationFacts> {
    let books = btree_set(arb_book_id(), 0..3);
    (books, option::of(arb_timestamp()), any::<bool>(), any::<bool>()).prop_map(
        |(books, known_since, self_owned, resembles)| DestinationFacts {
            books: books.into_iter().collect(),
            known_since,
            self_owned,
            resembles,
        },
    )
}

/// Any approvals of a role that can be: not more people than are eligible, not more organisations
/// than people.
pub fn arb_role_facts() -> impl Strategy<Value = RoleFacts> {
    [0..6_u32, 0..6, 0..6, 0..6].prop_map(|[eligible, houses, approvals, organisations]| {
        let eligible_organisations = if eligible == 0 { 0 } else { houses.clamp(1, eligible) };
        let approvals = approvals.min(eligible);
        let most = approvals.min(eligible_organisations);
        let organisations = if most == 0 { 0 } else { organisations.clamp(1, most) };
        RoleFacts { approvals, organisations, eligible, eligible_organisations }
    })
}

/// Any approvals.
pub fn arb_approval_facts() -> impl Strategy<Value = ApprovalFacts> {
    btree_map(arb_role_id(), arb_role_facts(), 0..4).prop_map(|roles| ApprovalFacts { roles })
}

/// Any requirement.
pub fn arb_requirement() -> impl Strategy<Value = Requirement> {
    let counts = || btree_map(arb_role_id(), 1..5_u32, 0..3);
    (counts(), counts(), option::of(arb_timestamp())).prop_map(
        |(approvals, organisations, not_before)| Requirement {
            approvals,
            organisations,
            not_before,
        },
    )
}

/// Any rule set of the testkit's own rules.
pub fn arb_policy_document() -> impl Strategy<Value = PolicyDocument> {
    let roles = btree_set(arb_role_id(), 1..4);
    let rules = proptest::sample::subsequence(&["allow", "deny call", "limit-order 10"][..], 0..=3);
    (roles, btree_set(arb_tier_id(), 1..3), rules).prop_map(|(roles, tiers, rules)| {
        PolicyDocument {
            v: 1,
            roles: roles.into_iter().collect(),
            tiers: tiers.into_iter().collect(),
            rules: rules.join("\n"),
        }
    })
}

/// Any order about a wallet or the house, in a house with the roles and tiers of `document`.
pub fn arb_order_facts(document: &PolicyDocument) -> impl Strategy<Value = OrderFacts> + use<> {
    let base = OrderFacts::new(document);
    let effects = vec((arb_effect(), arb_money_facts(), arb_destination_facts()), 0..4);
    let approvals = vec(arb_role_facts(), document.roles.len());
    let about = (vec(any::<bool>(), document.roles.len()), any::<bool>());
    let times = (0..1_u64 << 41, 0..1_u64 << 32, 1..1_u64 << 32);
    let facts = btree_set(arb_decode_fact(), 0..3);
    (effects, approvals, about, arb_authentication(), times, facts).prop_map(
        move |(effects, approvals, (holds, house), authentication, times, decoded)| {
            let mut order = base.clone();
            order.effects = effects.into_iter().map(case).collect();
            let roles = order.approvals.roles.values_mut().zip(approvals);
            roles.for_each(|(facts, found)| *facts = found);
            let held = order.requester.roles.iter().zip(holds).filter(|(_, holds)| *holds);
            order.requester.roles = held.map(|(role, _)| role.clone()).collect();
            order.house = house;
            order.authentication = authentication;
            order.set_times(times.0, times.1, times.2);
            order.decoded = decoded;
            order
        },
    )
}

/// An effect with the facts that it can have.
fn case((effect, money, destination): (Effect, MoneyFacts, DestinationFacts)) -> EffectCase {
    let money = effect.amount().is_some().then_some(money);
    let destination = effect.destination().is_some().then_some(destination);
    EffectCase { effect, money, destination }
}
