//! Strategies of proptest, named `arb_*`, one for each public type of the vocabulary and seams.
//!
//! Invariant: what a strategy gives is well-formed; malformed input is a test's own business.

mod audit;
mod chain;
mod crypto;
mod facts;
mod id;
mod order;
mod store;

pub use audit::{arb_authentication, arb_head, arb_position};
pub use chain::{
    arb_account_id, arb_action, arb_amount, arb_arguments, arb_asset, arb_asset_id, arb_chain_id,
    arb_decode_fact, arb_effect, arb_governance_target, arb_message_kind, arb_selector,
    arb_timestamp, arb_units,
};
pub use crypto::{
    arb_algorithm, arb_derivation_path, arb_digest, arb_exportability, arb_hex_bytes,
    arb_key_handle, arb_key_record, arb_key_request, arb_public_key, arb_recovery_id,
    arb_seed_record, arb_seed_request, arb_signature, arb_task_signature, arb_test_key,
};
pub use facts::{
    arb_approval_facts, arb_destination_facts, arb_money_facts, arb_order_facts,
    arb_policy_document, arb_requester, arb_requirement, arb_role_facts, arb_spent,
    arb_window_sums,
};
pub use id::{
    arb_backend_id, arb_backend_identity, arb_book_id, arb_credential_id, arb_custodian_id,
    arb_decoder_id, arb_engine_id, arb_extension_name, arb_kek_id, arb_key_id, arb_order_id,
    arb_organisation_id, arb_payload_format, arb_policy_id, arb_principal_id, arb_request_id,
    arb_role_id, arb_rule_id, arb_tier_id, arb_wallet_id,
};
pub use order::{
    arb_context_account, arb_credential, arb_decode_context, arb_intent, arb_payload,
    arb_principal, arb_signing_task, arb_statement, arb_task_input, arb_verb,
    arb_wallet_descriptor,
};
pub use store::{arb_batch, arb_error_kind, arb_event, arb_record, arb_record_key};
