use custody_core::bytes::HexBytes;
use custody_core::crypto::{Algorithm, PublicKey, RecoveryId, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{
    DerivationPath, Exportability, KeyHandle, KeyRecord, KeyRequest, SeedRecord, SeedRequest,
    TaskSignature,
};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;

use super::{arb_custodian_id, arb_key_id, arb_wallet_id};
use crate::key::TestKey;

/// Any digest.
pub fn arb_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::new)
}

/// Up to 64 public bytes.
pub fn arb_hex_bytes() -> impl Strategy<Value = HexBytes> {
    vec(any::<u8>(), 0..64).prop_map(HexBytes::new)
}

/// Any algorithm.
pub fn arb_algorithm() -> impl Strategy<Value = Algorithm> {
    select(&Algorithm::ALL[..])
}

/// A private key of any algorithm.
pub fn arb_test_key() -> impl Strategy<Value = TestKey> {
    (arb_algorithm(), any::<u64>()).prop_map(|(algorithm, seed)| TestKey::seeded(algorithm, seed))
}

/// The public key of a private key of any algorithm.
pub fn arb_public_key() -> impl Strategy<Value = PublicKey> {
    arb_test_key().prop_map(|key| key.public_key().clone())
}

/// Any recovery id.
pub fn arb_recovery_id() -> impl Strategy<Value = RecoveryId> {
    (0..4_u8).prop_map(|value| RecoveryId::new(value).unwrap())
}

/// A signature that some key has made over some input.
pub fn arb_signature() -> impl Strategy<Value = Signature> {
    (arb_test_key(), arb_digest()).prop_map(|(key, digest)| {
        let input = match key.algorithm().signs_prehash() {
            true => SignInput::Prehash(digest.as_bytes()),
            false => SignInput::Message(digest.as_bytes()),
        };
        key.sign(input).unwrap().checked(key.public_key(), input).unwrap()
    })
}

/// Any signature over a task.
pub fn arb_task_signature() -> impl Strategy<Value = TaskSignature> {
    (arb_key_id(), arb_signature()).prop_map(|(key, signature)| TaskSignature { key, signature })
}

/// Any derivation path.
pub fn arb_derivation_path() -> impl Strategy<Value = DerivationPath> {
    vec((0..DerivationPath::HARDENED, any::<bool>()), 0..=10).prop_map(|levels| {
        let level =
            |(index, hardened): (u32, bool)| format!("/{index}{}", if hardened { "'" } else { "" });
        let text: String = levels.into_iter().map(level).collect();
        DerivationPath::parse(&format!("m{text}")).unwrap()
    })
}

/// Any exportability.
pub fn arb_exportability() -> impl Strategy<Value = Exportability> {
    select(&[Exportability::Never, Exportability::Wrapped][..])
}

/// A handle of up to 256 bytes.
pub fn arb_key_handle() -> impl Strategy<Value = KeyHandle> {
    vec(any::<u8>(), 0..256).prop_map(KeyHandle::new)
}

/// Any request of a key.
pub fn arb_key_request() -> impl Strategy<Value = KeyRequest> {
    let ids = (arb_custodian_id(), arb_wallet_id(), arb_key_id());
    (ids, arb_algorithm(), arb_exportability()).prop_map(
        |((custodian, wallet, key), algorithm, exportability)| KeyRequest {
            custodian,
            wallet,
            key,
            algorithm,
            exportability,
        },
    )
}

/// Any record of a key.
pub fn arb_key_record() -> impl Strategy<Value = KeyRecord> {
    (arb_key_request(), arb_public_key(), arb_key_handle()).prop_map(
        |(request, public_key, handle)| KeyRecord {
            custodian: request.custodian,
            wallet: request.wallet,
            key: request.key,
            public_key,
            handle,
        },
    )
}

/// Any request of a seed.
pub fn arb_seed_request() -> impl Strategy<Value = SeedRequest> {
    (arb_custodian_id(), arb_wallet_id(), arb_key_id())
        .prop_map(|(custodian, wallet, key)| SeedRequest { custodian, wallet, key })
}

/// Any record of a seed.
pub fn arb_seed_record() -> impl Strategy<Value = SeedRecord> {
    (arb_seed_request(), arb_key_handle()).prop_map(|(request, handle)| SeedRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        handle,
    })
}
