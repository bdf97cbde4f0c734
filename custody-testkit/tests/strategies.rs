//! Every strategy gives well-formed values, and whatever stands in documents is read back.
#![expect(clippy::unwrap_used, reason = "a value that is not read back fails its test")]

use std::fmt::Debug;

use custody_testkit::strategy::*;
use proptest::prelude::{Strategy, any, proptest};
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn each<T: Debug>(strategy: impl Strategy<Value = T>, check: impl Fn(T)) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let answer = runner.run(&strategy, |value| {
        check(value);
        Ok(())
    });
    assert!(answer.is_ok(), "{answer:?}");
}

/// Written as JSON and read back, the value is the same.
fn reads_back<T: Debug + PartialEq + Serialize + DeserializeOwned>(
    strategy: impl Strategy<Value = T>,
) {
    each(strategy, |value| {
        let json = serde_json::to_vec(&value).unwrap();
        assert_eq!(serde_json::from_slice::<T>(&json).unwrap(), value);
    });
}

#[test]
fn ids_are_read_back() {
    reads_back(arb_backend_id());
    reads_back(arb_backend_identity());
    reads_back(arb_book_id());
    reads_back(arb_credential_id());
    reads_back(arb_custodian_id());
    reads_back(arb_decoder_id());
    reads_back(arb_engine_id());
    reads_back(arb_extension_name());
    reads_back(arb_kek_id());
    reads_back(arb_key_id());
    reads_back(arb_order_id());
    reads_back(arb_organisation_id());
    reads_back(arb_payload_format());
    reads_back(arb_policy_id());
    reads_back(arb_principal_id());
    reads_back(arb_request_id());
    reads_back(arb_role_id());
    reads_back(arb_rule_id());
    reads_back(arb_tier_id());
    reads_back(arb_wallet_id());
}

#[test]
fn names_and_amounts_are_read_back() {
    reads_back(arb_account_id());
    reads_back(arb_amount());
    reads_back(arb_asset());
    reads_back(arb_asset_id());
    reads_back(arb_chain_id());
    reads_back(arb_timestamp());
    reads_back(arb_units());
}

#[test]
fn effects_are_read_back() {
    reads_back(arb_action());
    reads_back(arb_decode_fact());
    reads_back(arb_effect());
    reads_back(arb_governance_target());
    reads_back(arb_message_kind());
    reads_back(arb_selector());
}

#[test]
fn keys_and_signatures_are_read_back() {
    reads_back(arb_algorithm());
    reads_back(arb_derivation_path());
    reads_back(arb_digest());
    reads_back(arb_exportability());
    reads_back(arb_hex_bytes());
    reads_back(arb_public_key());
    reads_back(arb_signature());
    reads_back(arb_task_signature());
}

#[test]
fn documents_of_people_and_rules_are_read_back() {
    reads_back(arb_authentication());
    reads_back(arb_context_account());
    reads_back(arb_credential());
    reads_back(arb_decode_context());
    reads_back(arb_policy_document());
    reads_back(arb_position());
    reads_back(arb_principal());
    reads_back(arb_requirement());
    reads_back(arb_statement());
    reads_back(arb_verb());
    reads_back(arb_window_sums());
}

#[test]
fn what_a_strategy_gives_keeps_its_own_limits() {
    each(arb_batch(), |batch| {
        assert!(!batch.events.is_empty());
        let keys = batch.inserts.iter().chain(&batch.puts).map(|record| &record.key);
        assert_eq!(
            keys.collect::<std::collections::BTreeSet<_>>().len(),
            batch.inserts.len() + batch.puts.len()
        );
    });
    each(arb_intent(), |intent| {
        assert!(!intent.effects.is_empty() && !intent.tasks.is_empty());
    });
    each(arb_role_facts(), |facts| {
        assert!(facts.approvals <= facts.eligible);
        assert!(facts.organisations <= facts.approvals);
        assert!(facts.organisations <= facts.eligible_organisations);
        assert_eq!(facts.organisations == 0, facts.approvals == 0);
    });
    each(arb_requester(), |requester| assert!(requester.roles.is_sorted()));
    each(arb_destination_facts(), |facts| assert!(facts.books.is_sorted()));
    each((arb_signing_task(), arb_task_input()), |(task, _)| {
        let prehash = matches!(task.input, custody_core::seam::TaskInput::Prehash(_));
        assert_eq!(prehash, task.algorithm.signs_prehash());
    });
    each((arb_key_record(), arb_seed_record(), arb_key_handle()), |(_, _, handle)| {
        assert!(handle.as_bytes().len() <= custody_core::seam::KeyHandle::MAX);
    });
    each((arb_record(), arb_event(), arb_error_kind(), arb_head()), drop);
    each((arb_payload(), arb_recovery_id(), arb_approval_facts(), arb_money_facts()), drop);
    each((arb_key_request(), arb_seed_request(), arb_spent(), arb_record_key()), drop);
}

proptest! {
    #[test]
    fn one_seed_is_one_key(algorithm in arb_algorithm(), seed in any::<u64>()) {
        let key = |seed| custody_testkit::key::TestKey::seeded(algorithm, seed);
        assert_eq!(key(seed).public_key(), key(seed).public_key());
        assert_ne!(key(seed).public_key(), key(seed ^ 1).public_key());
    }
}
