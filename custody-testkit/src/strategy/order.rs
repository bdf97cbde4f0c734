use custody_core::crypto::Algorithm;
use custody_core::principal::{Credential, Principal, Statement, Verb};
use custody_core::seam::{
    ContextAccount, DecodeContext, Intent, Payload, SigningTask, TaskInput, WalletDescriptor,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;

use super::{
    arb_chain_id, arb_credential_id, arb_decode_fact, arb_derivation_path, arb_digest, arb_effect,
    arb_key_id, arb_order_id, arb_organisation_id, arb_payload_format, arb_principal_id,
    arb_public_key, arb_role_id, arb_test_key, arb_timestamp, arb_wallet_id,
};
use crate::key::TestKey;

/// Any payload of up to 512 bytes.
pub fn arb_payload() -> impl Strategy<Value = Payload> {
    (arb_payload_format(), vec(any::<u8>(), 0..512))
        .prop_map(|(format, bytes)| Payload { format, bytes })
}

/// Any account of a context.
pub fn arb_context_account() -> impl Strategy<Value = ContextAccount> {
    (arb_key_id(), arb_public_key(), option::of(arb_derivation_path()))
        .prop_map(|(key, public_key, path)| ContextAccount { key, public_key, path })
}

/// Any text that may be a descriptor.
pub fn arb_wallet_descriptor() -> impl Strategy<Value = WalletDescriptor> {
    "[!-~]{1,64}".prop_map(|text| WalletDescriptor::parse(&text).unwrap())
}

/// Any context of a decoder.
pub fn arb_decode_context() -> impl Strategy<Value = DecodeContext> {
    let descriptors = vec(arb_wallet_descriptor(), 0..3);
    (arb_wallet_id(), arb_chain_id(), vec(arb_context_account(), 0..4), descriptors).prop_map(
        |(wallet, chain, accounts, descriptors)| DecodeContext {
            v: 1,
            wallet,
            chain,
            accounts,
            descriptors,
        },
    )
}

/// Any input of a signer.
pub fn arb_task_input() -> impl Strategy<Value = TaskInput> {
    prop_oneof![
        vec(any::<u8>(), 0..256).prop_map(TaskInput::Message),
        any::<[u8; 32]>().prop_map(TaskInput::Prehash),
    ]
}

/// Any task, with an input of the kind that its algorithm signs.
pub fn arb_signing_task() -> impl Strategy<Value = SigningTask> {
    (arb_key_id(), arb_test_key(), vec(any::<u8>(), 0..256)).prop_map(|(key, signer, message)| {
        let algorithm = signer.algorithm();
        let digest = custody_core::digest::Digest::of(&message);
        let input = match algorithm.signs_prehash() {
            true => TaskInput::Prehash(*digest.as_bytes()),
            false => TaskInput::Message(message),
        };
        SigningTask { key, algorithm, input }
    })
}

/// Any intent with at least one effect and task.
pub fn arb_intent() -> impl Strategy<Value = Intent> {
    let parts = (vec(arb_effect(), 1..5), vec(arb_signing_task(), 1..4));
    let facts = btree_set(arb_decode_fact(), 0..4);
    (arb_chain_id(), parts, facts, vec("[ -~]{0,60}", 0..4)).prop_map(
        |(chain, (effects, tasks), facts, summary)| Intent {
            chain,
            effects,
            facts,
            tasks,
            summary,
        },
    )
}

/// Any credential.
pub fn arb_credential() -> impl Strategy<Value = Credential> {
    let algorithm = select(&[Algorithm::Ed25519, Algorithm::EcdsaP256][..]);
    (algorithm, any::<u64>()).prop_map(|(algorithm, seed)| {
        Credential::new(TestKey::seeded(algorithm, seed).public_key().clone()).unwrap()
    })
}

/// Any principal.
pub fn arb_principal() -> impl Strategy<Value = Principal> {
    let roles = btree_set(arb_role_id(), 0..4);
    let credentials = btree_map(arb_credential_id(), arb_credential(), 0..3);
    (arb_principal_id(), arb_organisation_id(), any::<bool>(), roles, credentials).prop_map(
        |(id, organisation, service, roles, credentials)| Principal {
            id,
            organisation,
            service,
            roles,
            credentials,
        },
    )
}

/// Any verb.
pub fn arb_verb() -> impl Strategy<Value = Verb> {
    select(&[Verb::Approve, Verb::Cancel, Verb::Reject][..])
}

/// Any statement about an order.
pub fn arb_statement() -> impl Strategy<Value = Statement> {
    let who = (arb_principal_id(), arb_credential_id(), arb_role_id());
    (arb_verb(), arb_order_id(), arb_digest(), who, arb_timestamp()).prop_map(
        |(verb, order, digest, (principal, credential, role), valid_until)| Statement {
            verb,
            order,
            digest,
            principal,
            credential,
            role,
            valid_until,
        },
    )
}
