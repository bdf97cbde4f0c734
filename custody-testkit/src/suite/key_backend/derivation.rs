//! Opens secrets, of tests only.

use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{DerivationPath, ErrorKind, KeyDerivation, KeyRecord, SeedRecord};
use custody_core::secret::Secret;

use super::handles::assert_corrupt;
use super::{Ability, KeyBackendFixture, custodian, record_of, request, seed_record, seed_request};
use crate::backend::public_child;

/// The seed of the published keys below.
const PUBLISHED_SEED: &str = "000102030405060708090a0b0c0d0e0f";

/// Keys that the standards publish for that seed: path, algorithm, public key.
///
/// BIP-32, "Test vector 1", and SLIP-10, "Test vector 1 for ed25519"; the BIP-340 key is the
/// x coordinate of the BIP-32 one (BIP-340, "Public key conversion").
const PUBLISHED: [(&str, Algorithm, &str); 5] = [
    (
        "m/0'",
        Algorithm::EcdsaSecp256k1,
        "035a784662a4a20a65bf6aab9ae98a6c068a81c52e4b032c0fb5400c706cfccc56",
    ),
    (
        "m/0'/1",
        Algorithm::EcdsaSecp256k1,
        "03501e454bf00751f24b1b489aa925215d66af2234e3891c3b21a52bedb3cd711c",
    ),
    (
        "m/0'/1",
        Algorithm::Bip340,
        "501e454bf00751f24b1b489aa925215d66af2234e3891c3b21a52bedb3cd711c",
    ),
    (
        "m/0'",
        Algorithm::Ed25519,
        "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
    ),
    (
        "m/0'/1'",
        Algorithm::Ed25519,
        "1932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
    ),
];

pub(super) const PATH: &str = "m/44'/60'/0'/0'/0'";

/// One seed, path and algorithm give one public key, again and across a reopen; another path or
/// seed gives another.
pub async fn derivation_is_deterministic(mut fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "seed").await;
    let other = generated_seed(&fixture, "other").await;
    let mut found: Vec<(Algorithm, PublicKey)> = Vec::new();
    for algorithm in fixture.derivable.clone() {
        let first = derive(&fixture, &seed, PATH, algorithm).await.public_key;
        let again = derive(&fixture, &seed, PATH, algorithm).await.public_key;
        assert_eq!(first, again, "{algorithm}: two derivations differ");
        let path = derive(&fixture, &seed, "m/44'/60'/0'/0'/1'", algorithm).await.public_key;
        let foreign = derive(&fixture, &other, PATH, algorithm).await.public_key;
        assert!(first != path && first != foreign && path != foreign, "{algorithm}: shared keys");
        found.push((algorithm, first));
    }
    if let Some(reopen) = &mut fixture.reopen {
        fixture.backend = reopen().await;
    }
    for (algorithm, first) in found {
        let again = derive(&fixture, &seed, PATH, algorithm).await.public_key;
        assert_eq!(again, first, "{algorithm}: after a reopen");
    }
}

/// Derivation from the seed of the standards gives their keys, where seeds can be imported.
pub async fn derivation_gives_the_published_keys(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) || !fixture.has(Ability::Import) {
        return;
    }
    let request = seed_request("published");
    let bytes = Secret::new(hex::decode(PUBLISHED_SEED).unwrap());
    let import = fixture.backend.import().unwrap();
    let seed = seed_record(&request, import.import_seed(&request, bytes).await.unwrap());
    for (path, algorithm, public) in PUBLISHED {
        if fixture.derivable.contains(&algorithm) {
            let key = derive(&fixture, &seed, path, algorithm).await;
            let found = hex::encode(key.public_key.as_bytes());
            assert_eq!(found, public, "{algorithm} at {path}");
        }
    }
}

/// What is below an extended public key by unhardened steps are the derived keys; that of the
/// standard is the published one; and whoever derives no such keys says so.
pub async fn extended_public_keys_give_the_derived_keys(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "seed").await;
    let path = DerivationPath::parse("m/84'/0'/1'").unwrap();
    let answer = derivation(&fixture).extended_public_key(&seed, &path).await;
    if !fixture.derivable.contains(&Algorithm::EcdsaSecp256k1) {
        let kind = answer.expect_err("an extended key of no curve").kind();
        assert_eq!(kind, ErrorKind::Unsupported);
        return;
    }
    let account = answer.expect("an extended public key");
    assert_eq!(account.path, path);
    for (branch, index) in [(0, 0), (0, 7), (1, 2)] {
        let child = public_child(&account.public_key, &account.chain_code, branch).unwrap();
        let (expected, _) = public_child(&child.0, &child.1, index).unwrap();
        let path = format!("{path}/{branch}/{index}");
        let derived = derive(&fixture, &seed, &path, Algorithm::EcdsaSecp256k1).await;
        assert_eq!(derived.public_key, expected, "{path}");
    }
    let foreign = SeedRecord { wallet: WalletId::parse("cold").unwrap(), ..seed };
    let refused = derivation(&fixture).extended_public_key(&foreign, &path).await;
    assert_eq!(refused.expect_err("of another's seed").kind(), ErrorKind::Corrupt);
    if fixture.has(Ability::Import) {
        published_account(&fixture).await;
    }
}

/// BIP-32, "Test vector 1": `m/0'` and `m/0'/1`.
async fn published_account(fixture: &KeyBackendFixture) {
    let request = seed_request("published-account");
    let bytes = Secret::new(hex::decode(PUBLISHED_SEED).unwrap());
    let import = fixture.backend.import().unwrap();
    let seed = seed_record(&request, import.import_seed(&request, bytes).await.unwrap());
    let cases = [
        ("m/0'", "47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141", "3442193e"),
        ("m/0'/1", "2a7857631386ba23dacac34180dd1983734e444fdbf774041578e9b6adb37c19", "5c1bd648"),
    ];
    for (path, chain_code, parent) in cases {
        let path = DerivationPath::parse(path).unwrap();
        let found = derivation(fixture).extended_public_key(&seed, &path).await.unwrap();
        assert_eq!(hex::encode(found.chain_code), chain_code, "{path}");
        assert_eq!(hex::encode(found.parent_fingerprint), parent, "{path}");
        assert_eq!(hex::encode(found.root_fingerprint), "3442193e", "{path}");
    }
}

/// A derived key signs, and opens for its own custodian, wallet and key id only.
pub async fn a_derived_key_is_bound_like_a_generated_one(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "seed").await;
    for algorithm in &fixture.derivable {
        let record = derive(&fixture, &seed, PATH, *algorithm).await;
        fixture.assert_signs(&record).await;
        for (case, changed) in elsewhere(&record) {
            assert_corrupt(&fixture, &changed, &format!("{algorithm}: {case}")).await;
        }
    }
}

/// A seed made for another custodian, wallet or key id is `Corrupt`.
pub async fn a_seed_made_for_others_is_refused(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "seed").await;
    let changes = [
        ("custodian", SeedRecord { custodian: custodian("another house"), ..seed.clone() }),
        ("wallet", SeedRecord { wallet: WalletId::parse("cold").unwrap(), ..seed.clone() }),
        ("key", SeedRecord { key: KeyId::parse("another").unwrap(), ..seed.clone() }),
    ];
    for algorithm in &fixture.derivable {
        for (case, changed) in &changes {
            let mut request = request("derived", *algorithm);
            request.custodian = changed.custodian;
            request.wallet = changed.wallet.clone();
            let path = DerivationPath::parse(PATH).unwrap();
            let answer = derivation(&fixture).derive(changed, &path, &request).await;
            let kind = answer.expect_err("a key was derived from another's seed").kind();
            assert_eq!(kind, ErrorKind::Corrupt, "{algorithm}: another {case}");
        }
    }
}

/// Algorithms that are not declared derivable, and Ed25519 paths that are not hardened (SLIP-10),
/// are `Unsupported`.
pub async fn what_cannot_be_derived_is_unsupported(fixture: KeyBackendFixture) {
    if !fixture.has(Ability::Derivation) {
        return;
    }
    let seed = generated_seed(&fixture, "seed").await;
    let unhardened = ["m/0", "m/44'/501'/0", "m/44'/501/0'"];
    let mut cases: Vec<(&str, Algorithm)> = Vec::new();
    cases.extend(Algorithm::ALL.map(|algorithm| (PATH, algorithm)));
    cases.retain(|(_, algorithm)| !fixture.derivable.contains(algorithm));
    if fixture.derivable.contains(&Algorithm::Ed25519) {
        cases.extend(unhardened.map(|path| (path, Algorithm::Ed25519)));
    }
    for (path, algorithm) in cases {
        let parsed = DerivationPath::parse(path).unwrap();
        let request = request("derived", algorithm);
        let answer = derivation(&fixture).derive(&seed, &parsed, &request).await;
        let kind = answer.expect_err("a key that cannot be derived").kind();
        assert_eq!(kind, ErrorKind::Unsupported, "{algorithm} at {path}");
    }
}

fn derivation(fixture: &KeyBackendFixture) -> &dyn KeyDerivation {
    fixture.backend.derivation().unwrap()
}

pub(super) async fn generated_seed(fixture: &KeyBackendFixture, key: &str) -> SeedRecord {
    let request = seed_request(key);
    let seed = derivation(fixture).generate_seed(&request).await.expect("a seed");
    seed_record(&request, seed)
}

pub(super) async fn derive(
    fixture: &KeyBackendFixture,
    seed: &SeedRecord,
    path: &str,
    algorithm: Algorithm,
) -> KeyRecord {
    let name = format!("{}-{}", seed.key, path.replace(['/', '\''], "."));
    let request = request(&name, algorithm);
    let parsed = DerivationPath::parse(path).unwrap();
    let answer = derivation(fixture).derive(seed, &parsed, &request).await;
    let key = answer.unwrap_or_else(|error| panic!("{algorithm} at {path}: {error}"));
    assert_eq!(key.public_key.algorithm(), algorithm);
    record_of(&request, key)
}

/// The record under another custodian, wallet and key id.
pub(super) fn elsewhere(record: &KeyRecord) -> [(&'static str, KeyRecord); 3] {
    let wallet = WalletId::parse("cold").unwrap();
    let key = KeyId::parse("another").unwrap();
    let house = custodian("another house");
    [
        ("another custodian", KeyRecord { custodian: house, ..record.clone() }),
        ("another wallet", KeyRecord { wallet, ..record.clone() }),
        ("another key id", KeyRecord { key, ..record.clone() }),
    ]
}
