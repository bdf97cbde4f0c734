//! Literals: an entity or a text has one spelling, and in any other one a rule does not load.

use super::*;

/// Each good literal loads in the place of `LITERAL`, and each bad one is the one finding there.
fn check(rules: &[&str], good: &[&str], bad: &[(&str, &str)]) {
    for rule in rules {
        let found = |literal: &str| -> Vec<String> {
            let rule = format!("@id(\"r\") {}", rule.replace("LITERAL", literal));
            findings(&rule).iter().map(ToString::to_string).collect()
        };
        for literal in good {
            assert!(found(literal).is_empty(), "{rule}: {literal}: {:?}", found(literal));
        }
        for (literal, why) in bad {
            let expected = format!("r: 1:1: `{literal}` never matches{why}");
            assert_eq!(found(literal), [expected], "{rule}: {literal}");
        }
    }
}

/// Why an address of another length matches nothing.
const NOT_WHOLE: &str = ": on `eip155` chains an address is 0x and 40 hexadecimal digits";

#[test]
fn an_address_that_no_order_pays_does_not_load() {
    check(
        &[
            "forbid (principal, action in Action::\"spend\", resource) \
             when { context.destination == LITERAL };",
            "forbid (principal, action in Action::\"spend\", resource) \
             when { context.destination in [LITERAL] };",
            "forbid (principal, action in Action::\"spend\", resource) \
             unless { !(context.known && LITERAL == context.destination) };",
            "forbid (principal, action in Action::\"spend\", resource) \
             when { {a: context.destination, b: true} == {a: LITERAL, b: true} };",
            "permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\") \
             when { [Address::\"eip155:1:0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", LITERAL].contains(\
             context.destination) };",
            "permit (principal, action == Action::\"call\", resource in Tier::\"hot\") \
             unless { context.destination != LITERAL };",
            "permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\") \
             when { if context.destination == LITERAL then context.known else false };",
        ],
        &[
            "Address::\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa96045\"",
            "Address::\"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:\
             GsbwXfJraMomNxBcjYLcG3mxkBUiyWXAB32fGbSMQRdW\"",
        ],
        &[
            (
                "Address::\"eip155:1:0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045\"",
                ": write `\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa96045\"`",
            ),
            (
                "Address::\"eip155:1:0XD8DA6BF26964AF9D7EED9E03E53415D37AA96045\"",
                ": write `\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa96045\"`",
            ),
            ("Address::\"eip155:1:0xaa\"", NOT_WHOLE),
            ("Address::\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa9604\"", NOT_WHOLE),
            ("Address::\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa960450\"", NOT_WHOLE),
            ("Address::\"eip155:1:0xd8da6bf26964af9d7eed9e03e53415d37aa9604g\"", NOT_WHOLE),
            ("Address::\"eip155:10:d8da6bf26964af9d7eed9e03e53415d37aa96045\"", NOT_WHOLE),
            ("Address::\"EIP155:1:0xaa\"", ": chain id has a malformed namespace"),
            ("Address::\"eip155:1:0xaa \"", ": account id has a malformed address"),
            ("Address::\"0xaa\"", ": account id has not the form namespace:reference:address"),
            ("Address::\"\"", ": account id has not the form namespace:reference:address"),
        ],
    );
}

#[test]
fn an_asset_that_no_order_moves_does_not_load() {
    check(
        &[
            "forbid (principal, action in Action::\"spend\", resource) \
             when { context.asset == LITERAL };",
            "forbid (principal, action == Action::\"pay_fee\", resource) \
             unless { context.asset in [Asset::\"eip155:1/slip44:60\", LITERAL] };",
            "forbid (principal, action in Action::\"spend\", resource) \
             when { context.asset == LITERAL && context.amount.greaterThan(decimal(\"1.0\")) };",
            "permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\") \
             when { [Asset::\"eip155:1/slip44:60\", LITERAL].contains(context.asset) \
             && context.order.total.lessThanOrEqual(decimal(\"1.0\")) };",
            "permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\") \
             when { if context.known then LITERAL == context.asset else false };",
        ],
        &[
            "Asset::\"eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48\"",
            "Asset::\"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1\"",
            "Asset::\"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp/\
             token:EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v\"",
        ],
        &[
            (
                "Asset::\"eip155:1/erc20:0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48\"",
                ": write `\"eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48\"`",
            ),
            ("Asset::\"eip155:1/erc20:0xaa\"", NOT_WHOLE),
            ("Asset::\"eip155:1/erc721:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb4\"", NOT_WHOLE),
            ("Asset::\"eip155:1/erc1155:a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48\"", NOT_WHOLE),
            ("Asset::\"eip155:1/ERC20:0xaa\"", ": asset id has a malformed asset namespace"),
            ("Asset::\"EIP155:1/slip44:60\"", ": chain id has a malformed namespace"),
            ("Asset::\"eip155:1/erc721:0xaa/7\"", ": asset id has a malformed asset reference"),
            ("Asset::\"USDC\"", ": asset id has not the form chain/namespace:reference"),
        ],
    );
}

#[test]
fn a_name_that_nobody_and_nothing_can_have_does_not_load() {
    let outside = |id: &str, byte: usize| {
        format!(": {id} has a character outside its alphabet at byte {byte}")
    };
    let length = |id: &str, bytes: usize| format!(": {id} has {bytes} bytes, allowed are 1 to 64");
    let long = "w".repeat(65);
    for (kind, id, rules) in [
        (
            "AddressBook",
            "BookId",
            [
                "forbid (principal, action in Action::\"govern\", resource == LITERAL);",
                "forbid (principal, action in Action::\"spend\", resource) \
                 when { context.books.contains(LITERAL) };",
                "permit (principal, action == Action::\"call\", resource in Tier::\"hot\") \
                 unless { context.books.containsAny([AddressBook::\"partners\", LITERAL]) };",
            ],
        ),
        (
            "Org",
            "OrganisationId",
            [
                "forbid (principal in LITERAL, action, resource);",
                "permit (principal is User in LITERAL, action == Action::\"transfer\", \
                 resource in Tier::\"hot\");",
                "forbid (principal, action, resource) \
                 unless { principal in [Org::\"acme\", LITERAL] };",
            ],
        ),
        (
            "User",
            "PrincipalId",
            [
                "forbid (principal == LITERAL, action, resource);",
                "permit (principal == LITERAL, action == Action::\"transfer\", \
                 resource in Tier::\"hot\");",
                "forbid (principal, action, resource) when { [LITERAL].contains(principal) };",
            ],
        ),
        (
            "Wallet",
            "WalletId",
            [
                "permit (principal, action == Action::\"sign_opaque\", resource == LITERAL);",
                "forbid (principal, action == Action::\"transfer\", resource == LITERAL);",
                "forbid (principal, action == Action::\"transfer\", resource) \
                 when { resource == LITERAL };",
            ],
        ),
    ] {
        let good = ["hot-1", "a", "0_a.b@c"].map(|text| format!("{kind}::\"{text}\""));
        let bad = [
            ("Hot-1", outside(id, 0)),
            ("hot 1", outside(id, 3)),
            ("hot-A", outside(id, 4)),
            ("hot/1", outside(id, 3)),
            ("", length(id, 0)),
            (long.as_str(), length(id, 65)),
        ]
        .map(|(text, why)| (format!("{kind}::\"{text}\""), why));
        let good: Vec<&str> = good.iter().map(String::as_str).collect();
        let bad: Vec<(&str, &str)> =
            bad.iter().map(|(literal, why)| (literal.as_str(), why.as_str())).collect();
        check(&rules, &good, &bad);
    }
}

#[test]
fn a_selector_that_no_decoder_writes_does_not_load() {
    check(
        &[
            "forbid (principal, action == Action::\"call\", resource) \
             when { context.selector == LITERAL };",
            "forbid (principal, action == Action::\"call\", resource) \
             unless { LITERAL != context.selector || context.known };",
            "forbid (principal, action == Action::\"call\", resource) \
             when { [context.selector].containsAny([LITERAL]) };",
            "forbid (principal, action == Action::\"administer\", resource) \
             when { (if context.known then LITERAL else \"\") == context.selector };",
            "permit (principal, action == Action::\"call\", resource in Tier::\"hot\") \
             when { [\"0x095ea7b3\", LITERAL].contains(context.selector) };",
        ],
        &["\"0xa9059cbb\"", "\"\"", "\"eip7702\"", "\"175\"", "\"Deposit\"", "\"0xDeposit\""],
        &[
            ("\"0xA9059CBB\"", " `context.selector`: write `\"0xa9059cbb\"`"),
            ("\"0xa9059cbB\"", " `context.selector`: write `\"0xa9059cbb\"`"),
            ("\"0Xa9059cbb\"", " `context.selector`: write `\"0xa9059cbb\"`"),
            (
                "\"transfer(address,uint256)\"",
                " `context.selector`: a selector is at most 64 letters and digits",
            ),
        ],
    );
    check(
        &["forbid (principal, action == Action::\"call\", resource) \
           when { context.selector like LITERAL };"],
        &["\"0xa9*\"", "\"*bb\"", "\"Dep*\""],
        &[
            ("\"0xA9*\"", " `context.selector`: write `\"0xa9*\"`"),
            ("\"0Xa9*\"", " `context.selector`: write `\"0xa9*\"`"),
        ],
    );
}

#[test]
fn a_text_that_no_fact_is_does_not_load() {
    check(
        &[
            "forbid (principal, action, resource) when { context.facts.contains(LITERAL) };",
            "forbid (principal, action, resource) \
             when { context.facts.containsAny([\"proxy\", LITERAL]) };",
            "forbid (principal, action, resource) unless { context.facts == [LITERAL] };",
        ],
        &["\"replayable\"", "\"unbound_chain\""],
        &[
            ("\"Replayable\"", " `context.facts`: a fact is at most 64 of a-z, 0-9 and _"),
            ("\"un-bound\"", " `context.facts`: a fact is at most 64 of a-z, 0-9 and _"),
        ],
    );
    check(
        &["forbid (principal, action == Action::\"transfer\", resource) \
           when { resource.chain == LITERAL };"],
        &["\"eip155:1\"", "\"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp\""],
        &[
            ("\"EIP155:1\"", " `resource.chain`: chain id has a malformed namespace"),
            ("\"1\"", " `resource.chain`: chain id has not the form namespace:reference"),
        ],
    );
    check(
        &["forbid (principal, action == Action::\"transfer\", resource) \
           when { resource.chain like LITERAL };"],
        &["\"eip155:*\"", "\"*:1\"", "\"solana:5eykt4Us*\"", "\"*KvdP\""],
        &[
            ("\"EIP155:*\"", " `resource.chain`: write `\"eip155:*\"`"),
            ("\"Eip*\"", " `resource.chain`: write `\"eip*\"`"),
        ],
    );
    check(
        &["forbid (principal, action == Action::\"sign_message\", resource) \
           when { context.kind == LITERAL };"],
        &["\"eip191\"", "\"BIP322\""],
        &[("\"eip 191\"", " `context.kind`: a kind is at most 64 letters, digits, and - _ / . :")],
    );
    check(
        &["forbid (principal, action == Action::\"extension\", resource) \
           when { context.name == LITERAL };"],
        &["\"recovery/split\""],
        &[(
            "\"recovery split\"",
            " `context.name`: ExtensionName has a character outside its alphabet at byte 8",
        )],
    );
}

#[test]
fn what_an_argument_says_is_free() {
    let rule = "@id(\"r\") forbid (principal, action == Action::\"call\", resource) \
                when { context.arguments.contains(\"to=0xAA\") };";
    assert_eq!(findings(rule), []);
}

#[test]
fn every_wrong_literal_of_a_rule_is_named() {
    let rule = "@id(\"r\") forbid (principal == User::\"Ann\", action in Action::\"spend\", \
                resource == Wallet::\"Hot\") when { context.destination == Address::\"0xAA\" };";
    let found = findings(rule);
    assert_eq!(found.len(), 3, "{found:?}");
    for literal in ["User::\"Ann\"", "Wallet::\"Hot\"", "Address::\"0xAA\""] {
        let named = |finding: &Finding| finding.message.starts_with(&format!("`{literal}` never"));
        assert!(found.iter().any(named), "{literal}: {found:?}");
    }
    assert!(CedarCompiler::new().unwrap().warnings(&document(rule)).is_err());
}

#[test]
fn no_entity_of_the_schema_has_any_name() {
    let schema = CedarCompiler::new().unwrap().schema(&document(""));
    let kinds: Vec<&str> = schema
        .lines()
        .filter_map(|line| line.strip_prefix("entity ")?.split([' ', ';']).next())
        .collect();
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    for kind in kinds {
        let entity = format!("{kind}::\"No Name\"");
        let rule = format!(
            "@id(\"r\") forbid (principal, action, resource) when {{ {entity} == {entity} }};"
        );
        assert!(!findings(&rule).is_empty(), "{kind}");
    }
}
