//! The example ends as it says; a sealed seed opens with its own key in its own token and in its own
//! place, and lies nowhere in clear but in memory while it is used.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "../sealed_seed/accounts.rs"]
mod accounts;
#[path = "../sealed_seed/loss.rs"]
mod loss;
#[path = "../sealed_seed/payment.rs"]
mod payment;
#[path = "softhsm/program.rs"]
mod program;
#[path = "../sealed_seed/sealing.rs"]
mod sealing;
#[path = "softhsm/stage.rs"]
mod stage;
#[path = "../sealed_seed/steps.rs"]
mod steps;
#[path = "../sealed_seed/witness.rs"]
mod witness;

use std::sync::Arc;

use bitcoin::bip32::Xpriv;
use bitcoin::secp256k1::Secp256k1;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, Entropy as _, ErrorKind, Exportability, KeyBackend as _, KeyDerivation as _,
    KeyEncryption as _, KeyHandle, KeyImport as _, KeyRecord, KeyRequest, SeedRecord, SeedRequest,
    Signer,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_hsm::HsmBackend;
use custody_soft::SoftBackend;
use examples_start::entropy::OsEntropy;
use sealing::KEK;
use stage::with_tokens;
use steps::{OTHER, TOKEN};
use witness::Witness;

const PATH: &str = "m/84'/1'/0'/0/7";
/// A seed of BIP-32 that nobody else has.
const KNOWN: &[u8; 32] = b"seed of the tests of sealed-5d17";

fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

fn house(name: &str) -> CustodianId {
    CustodianId::new(Digest::of(name.as_bytes()))
}

/// A known seed, sealed.
async fn sealed(backend: &SoftBackend) -> SeedRecord {
    let key = KeyId::parse("many.seed").unwrap();
    let (custodian, wallet) = (house("house"), wallet("many"));
    let request = SeedRequest { custodian, wallet: wallet.clone(), key: key.clone() };
    let handle = backend.import_seed(&request, Secret::new(KNOWN.to_vec())).await.unwrap().handle;
    SeedRecord { custodian, wallet, key, handle }
}

fn request(seed: &SeedRecord) -> KeyRequest {
    KeyRequest {
        custodian: seed.custodian,
        wallet: seed.wallet.clone(),
        key: KeyId::parse("many.7").unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
    }
}

/// The key at [`PATH`] below a seed.
async fn derive(backend: &SoftBackend, seed: &SeedRecord) -> Result<KeyRecord, ErrorKind> {
    let (path, request) = (DerivationPath::parse(PATH).unwrap(), request(seed));
    let made = backend.derive(seed, &path, &request).await.map_err(|error| error.kind())?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    Ok(KeyRecord { custodian, wallet, key, public_key: made.public_key, handle: made.handle })
}

async fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let input = SignInput::Prehash(&[0x3e; 32]);
    let signature = signer.sign(input).await.map_err(|error| error.kind())?;
    signature.checked(signer.public_key(), input).map(drop).map_err(|_| ErrorKind::Corrupt)
}

/// The backend of the example, with randomness that nobody remembers.
async fn backend(token: &HsmBackend) -> Arc<SoftBackend> {
    sealing::backend(token, Arc::new(OsEntropy)).await.unwrap()
}

#[test]
#[ignore = "needs SoftHSM"]
fn each_step_ends_as_it_says() {
    with_tokens(&[TOKEN, OTHER], async |directory, tokens| {
        let told = steps::run(directory, tokens, 40).await.unwrap();
        let starts = [
            "40 addresses derived, each by an order of its own, in ",
            "a wallet that only watches has the same addresses, in ",
            "0.25 coins of address 39: released, receipt at entry ",
            "  transaction ",
            "the seed and 41 data keys: in no file",
            "a data key, another context: refused as corrupt",
            "a data key, a changed byte: refused as corrupt",
            "a data key, another token: refused as corrupt",
            "the house over another token: Failed { reason: BackendUnavailable }",
            "the house over its own token, opened again: released, receipt at entry ",
            "once the token's key is destroyed: Failed { reason: BackendRefused }",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for (line, start) in told.iter().zip(starts) {
            assert!(line.starts_with(start), "{line}: {start}");
        }
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_program_derives_a_thousand_addresses_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let output = program::run("sealed_seed", &[], &[("TMPDIR", place.path())]);
    let (text, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && errors.is_empty(), "{text}\n{errors}");
    assert!(text.starts_with("1000 addresses derived"), "{text}");
    assert!(text.contains("the seed and 1001 data keys: in no file"), "{text}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "needs SoftHSM"]
fn neither_seed_nor_key_lies_in_a_handle() {
    with_tokens(&[TOKEN], async |_directory, tokens| {
        let token = tokens.open(TOKEN).await.unwrap();
        let backend = backend(&token).await;
        let seed = sealed(&backend).await;
        let key = derive(&backend, &seed).await.unwrap();
        // The same key by another library.
        let secp = Secp256k1::new();
        let master = Xpriv::new_master(bitcoin::NetworkKind::Test, KNOWN).unwrap();
        let path: bitcoin::bip32::DerivationPath = PATH.parse().unwrap();
        let wanted = master.derive_priv(&secp, &path).unwrap().private_key;
        assert_eq!(key.public_key.as_bytes(), wanted.public_key(&secp).serialize());
        for handle in [&seed.handle, &key.handle] {
            for secret in [KNOWN.as_slice(), &wanted.secret_bytes(), &master.private_key[..]] {
                for part in secret.chunks_exact(8) {
                    let lies = handle.as_bytes().windows(8).any(|bytes| bytes == part);
                    assert!(!lies, "a handle of {} bytes", handle.as_bytes().len());
                }
            }
        }
        sign(&backend.signer(&key).await.unwrap()).await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn each_changed_byte_of_a_sealed_seed_and_of_a_sealed_key_is_refused() {
    with_tokens(&[TOKEN], async |_directory, tokens| {
        let token = tokens.open(TOKEN).await.unwrap();
        let backend = backend(&token).await;
        let seed = sealed(&backend).await;
        let key = derive(&backend, &seed).await.unwrap();
        let changed = |handle: &KeyHandle, position: usize| {
            let mut bytes = handle.as_bytes().to_vec();
            bytes[position] ^= 1;
            KeyHandle::new(bytes)
        };
        for position in 0..seed.handle.as_bytes().len() {
            let seed = SeedRecord { handle: changed(&seed.handle, position), ..seed.clone() };
            let refused = derive(&backend, &seed).await.unwrap_err();
            assert_eq!(refused, ErrorKind::Corrupt, "byte {position} of the seed");
        }
        for position in 0..key.handle.as_bytes().len() {
            let key = KeyRecord { handle: changed(&key.handle, position), ..key.clone() };
            let refused = backend.signer(&key).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "byte {position} of the key");
        }
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_seed_in_another_place_is_refused() {
    with_tokens(&[TOKEN, OTHER], async |_directory, tokens| {
        let (token, other) = (tokens.open(TOKEN).await.unwrap(), tokens.open(OTHER).await.unwrap());
        let own = backend(&token).await;
        let seed = sealed(&own).await;
        let key = derive(&own, &seed).await.unwrap();
        for (name, moved) in [
            ("another house", SeedRecord { custodian: house("other"), ..seed.clone() }),
            ("another wallet", SeedRecord { wallet: wallet("other"), ..seed.clone() }),
            ("another id", SeedRecord { key: KeyId::parse("other").unwrap(), ..seed.clone() }),
        ] {
            assert_eq!(derive(&own, &moved).await.unwrap_err(), ErrorKind::Corrupt, "{name}");
        }
        let elsewhere = backend(&other).await;
        assert_ne!(elsewhere.identity(), own.identity());
        assert_eq!(derive(&elsewhere, &seed).await.unwrap_err(), ErrorKind::Corrupt);
        assert_eq!(elsewhere.signer(&key).await.unwrap_err().kind(), ErrorKind::Corrupt);
        sign(&own.signer(&key).await.unwrap()).await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_data_key_opens_in_its_own_context_with_every_byte_as_it_was() {
    with_tokens(&[TOKEN, OTHER], async |_directory, tokens| {
        let (token, other) = (tokens.open(TOKEN).await.unwrap(), tokens.open(OTHER).await.unwrap());
        let kek = token.key_encryption(KEK).await.unwrap();
        let context: [&[u8]; 2] = [b"house", b"many"];
        let plain = b"data key of the tests, 8b2c-44f1";
        let wrapped = kek.wrap(&Secret::new(plain.to_vec()), &context).await.unwrap();
        assert!(!wrapped.windows(8).any(|bytes| bytes == &plain[..8]));
        let others: [&[&[u8]]; 5] =
            [&[], &[b"house"], &[b"many", b"house"], &[b"housem", b"any"], &[b"house", b"man"]];
        for context in others {
            let refused = kek.unwrap(&wrapped, context).await.map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{context:?}");
        }
        for position in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[position] ^= 1;
            let refused = kek.unwrap(&changed, &context).await.map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "byte {position}");
        }
        for key in [other.key_encryption(KEK).await, token.key_encryption("others").await] {
            let refused = key.unwrap().unwrap(&wrapped, &context).await.map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt);
        }
        assert_eq!(kek.unwrap(&wrapped, &context).await.unwrap().expose(), plain);
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_seed_whose_key_was_destroyed_is_gone_for_good() {
    with_tokens(&[TOKEN], async |_directory, tokens| {
        let token = tokens.open(TOKEN).await.unwrap();
        let own = backend(&token).await;
        let seed = sealed(&own).await;
        let key = derive(&own, &seed).await.unwrap();
        let signer = own.signer(&key).await.unwrap();
        sign(&signer).await.unwrap();
        loss::destroy(tokens, TOKEN).unwrap();
        assert_eq!(sign(&signer).await.unwrap_err(), ErrorKind::NotFound);
        assert_eq!(derive(&own, &seed).await.unwrap_err(), ErrorKind::NotFound);
        let path = DerivationPath::parse("m/84'/1'/0'").unwrap();
        let told = own.extended_public_key(&seed, &path).await.unwrap_err();
        assert_eq!(told.kind(), ErrorKind::NotFound);
        // A new key of the same name is another key.
        let next = backend(&token).await;
        assert_ne!(next.identity(), own.identity());
        assert_eq!(derive(&next, &seed).await.unwrap_err(), ErrorKind::Corrupt);
    });
}

/// What "opened in memory while signing" means for a host that keeps keys open.
#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_was_kept_open_signs_without_the_token_until_it_is_wiped() {
    with_tokens(&[TOKEN], async |_directory, tokens| {
        let token = tokens.open(TOKEN).await.unwrap();
        let kek = Arc::new(token.key_encryption(KEK).await.unwrap());
        let (id, clock) = (BackendId::parse("kept").unwrap(), Arc::new(TokioClock::new()));
        let kept = SoftBackend::new(id, kek, Arc::new(OsEntropy), clock).unwrap();
        let seed = sealed(&kept).await;
        let key = derive(&kept, &seed).await.unwrap();
        let signer = kept.signer(&key).await.unwrap();
        loss::destroy(tokens, TOKEN).unwrap();
        sign(&signer).await.unwrap();
        kept.wipe();
        assert_eq!(sign(&signer).await.unwrap_err(), ErrorKind::NotFound);
    });
}

#[test]
fn what_the_witness_looks_for_it_finds() {
    let place = tempfile::tempdir().unwrap();
    let witness = Witness::default();
    let (mut secret, mut nonce) = ([0; 32], [0; 12]);
    witness.fill(&mut nonce).unwrap();
    witness.fill(&mut secret).unwrap();
    assert_eq!(witness.given(), 1, "a nonce is no secret");
    let (first, last) = secret.split_at(16);
    let text = hex::encode(secret);
    let inner = place.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    for (name, bytes, is_found) in [
        ("whole", [b"before", &secret[..], b"behind"].concat(), true),
        ("first half", [b"before", first, b"behind"].concat(), true),
        ("last half", [b"before", last, b"behind"].concat(), true),
        ("in hex", [b"before", text.as_bytes(), b"behind"].concat(), true),
        ("a quarter", [b"before", &secret[8..16], b"behind"].concat(), false),
        ("a nonce", [b"before", &nonce[..], b"behind"].concat(), false),
        ("nothing", Vec::new(), false),
    ] {
        let path = inner.join("file");
        std::fs::write(&path, bytes).unwrap();
        let found = witness.lies_in(place.path()).unwrap();
        assert_eq!(found, if is_found { vec![path] } else { Vec::new() }, "{name}");
    }
}
