//! What the library logs: enough to follow a key, and nothing that opens one. This file opens
//! secrets.

use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use custody_core::crypto::Algorithm;
use custody_core::seam::{DerivationPath, ErrorKind, KeyBackend, KeyDerivation, KeyResealing};
use custody_core::secret::Secret;
use custody_soft::{KdfParameters, MnemonicLength, PassphraseKek, generate_mnemonic};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{
    Bench, CountingKek, RecordingEntropy, input, key_request, limits, run, seed_record,
    seed_request,
};

const PATH: &str = "m/44'/60'/0'/0/0";
const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const PASSPHRASE: &str = "correct horse battery staple";
const GIVEN: [u8; 32] = [
    0x1f, 0x8b, 0x53, 0xd9, 0xe0, 0x2c, 0x47, 0x96, 0xa1, 0x0d, 0x7e, 0xb4, 0x38, 0xc5, 0x6f, 0x22,
    0x91, 0x4a, 0xdd, 0x63, 0x0e, 0xf7, 0x85, 0x3b, 0xc2, 0x19, 0x70, 0xae, 0x54, 0x8d, 0xe6, 0x3c,
];

#[test]
fn every_call_leaves_a_line_that_names_its_key() {
    let lines = Lines::of(|| a_busy_life(&RecordingEntropy::seeded(5)));
    let key = "{wallet=treasury key=key-1 algorithm=";
    let seed = "{wallet=treasury seed=seed-1}";
    let expected = [
        (format!("generate{key}ecdsa-secp256k1}}"), "sealed a key"),
        (format!("generate{key}bip340}}"), "sealed a key"),
        (format!("import_key{key}ed25519}}"), "sealed a key"),
        (
            format!(
                "derive{{wallet=treasury key=derived-1 algorithm=ecdsa-secp256k1 path={PATH}}}"
            ),
            "sealed a key",
        ),
        ("reseal_key{wallet=treasury key=key-1}".to_owned(), "sealed a key anew"),
        (format!("reseal_seed{seed}"), "sealed a seed anew"),
        (format!("generate_seed{seed}"), "sealed a seed"),
        (format!("import_seed{seed}"), "sealed a seed"),
        (format!("import_mnemonic{seed}"), "sealed a seed"),
        (format!("import_extended_key{seed}"), "sealed a seed"),
        ("generate".to_owned(), "wrapped a data key"),
        ("signer{wallet=treasury key=key-1}".to_owned(), "opened a key"),
        ("signer".to_owned(), "unwrapped a data key"),
        ("sign{wallet=treasury key=key-1}".to_owned(), "signed"),
        ("custody_soft::kek".to_owned(), "the key of a passphrase is open"),
        ("custody_soft::kek".to_owned(), "Refused"),
        ("let go of a key".to_owned(), "why=\"used up\""),
        ("let go of a key".to_owned(), "why=\"room for another\""),
        ("let go of a key".to_owned(), "why=\"too old\""),
        ("custody_soft::backend".to_owned(), "wipes all opened keys"),
    ];
    for (one, other) in expected {
        let found = lines.lines().any(|line| line.contains(&one) && line.contains(other));
        assert!(found, "no line has {one} and {other}:\n{lines}");
    }
}

#[test]
fn no_line_holds_a_secret_in_any_encoding() {
    let entropy = RecordingEntropy::seeded(6);
    let lines = Lines::of(|| a_busy_life(&entropy));
    assert!(lines.lines().count() > 60, "too few lines to tell:\n{lines}");
    let secrets = secrets(&entropy);
    // The four keys and four data keys of generated keys alone are eight.
    assert!(secrets.len() > 20, "only {} secrets", secrets.len());
    for secret in &secrets {
        for (encoding, text) in encodings(secret) {
            assert!(!lines.contains(&text), "a line holds a secret as {encoding}");
        }
    }
    for word in WORDS.split(' ').chain(PASSPHRASE.split(' ')) {
        assert!(!lines.contains(word), "a line holds the word {word}");
    }
}

#[test]
fn a_failure_is_logged_by_its_kind_and_never_by_its_source() {
    let entropy = RecordingEntropy::seeded(7);
    let kek = CountingKek::new();
    let bench = Bench::with(kek, custody_soft::CacheLimits::default(), Arc::new(entropy.clone()));
    let record = bench.generate(Algorithm::EcdsaSecp256k1);
    let signer = run(bench.backend.signer(&record)).unwrap();
    bench.backend.wipe();
    // This double names the data key in the source of its error.
    bench.kek.fail_with(Some(ErrorKind::Unavailable));
    let lines = Lines::of(|| {
        let error = bench.import(Algorithm::EcdsaSecp256k1, &GIVEN).unwrap_err();
        assert!(causes(&error).contains(&hex::encode(entropy.secrets().last().unwrap())));
        run(bench.backend.generate(&key_request("key-2", Algorithm::Bip340))).unwrap_err();
        run(signer.sign(input(Algorithm::EcdsaSecp256k1))).unwrap_err();
        bench.import_mnemonic(&WORDS.replace("yellow", "zebrafish"), "").unwrap_err();
        bench.import(Algorithm::EcdsaSecp256k1, &[0xff; 32]).unwrap_err();
    });
    for (call, kind) in [
        ("import_key{wallet=treasury key=key-1 ", "Unavailable"),
        ("generate{wallet=treasury key=key-2 ", "Unavailable"),
        ("sign{wallet=treasury key=key-1}", "Unavailable"),
        ("import_mnemonic{wallet=treasury seed=seed-1}", "Refused"),
        ("import_key{wallet=treasury key=key-1 ", "Refused"),
    ] {
        let found = lines.lines().any(|line| line.contains(call) && line.contains(kind));
        assert!(found, "no line has {call} and {kind}:\n{lines}");
    }
    for secret in entropy.secrets() {
        assert!(!lines.contains(&hex::encode(secret)), "a line repeats the source of an error");
    }
    assert!(!lines.contains("word 11") && !lines.contains("zebra"), "{lines}");
}

/// The search for secrets reads what tests print; so the lines must be printed.
#[test]
fn the_output_of_a_test_holds_the_lines_that_rust_log_asks_for() {
    let printed = |filter: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", TEST_THAT_SIGNS]).env("RUST_LOG", filter);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let all = printed("trace");
    assert!(all.contains("1 passed"), "{all}");
    for line in ["sealed a key", "opened a key", "unwrapped a data key", "signed"] {
        assert_eq!(all.matches(line).count(), Algorithm::ALL.len(), "{line}:\n{all}");
    }
    assert!(!printed("off").contains("custody_soft"));
}

/// Log lines in memory.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// What is logged at every level while `work` runs on this thread.
    fn of(work: impl FnOnce()) -> String {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        let bytes = std::mem::take(&mut *lines.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Calls of every kind, with all the ways in which a key leaves the cache.
fn a_busy_life(entropy: &RecordingEntropy) {
    let room_for_one = limits(1, Duration::from_secs(60), 2);
    let bench = Bench::with(CountingKek::new(), room_for_one, Arc::new(entropy.clone()));
    for algorithm in Algorithm::ALL {
        let signer = run(bench.backend.signer(&bench.generate(algorithm))).unwrap();
        for _ in 0..3 {
            run(signer.sign(input(algorithm))).unwrap();
        }
    }
    bench.clock.drift(Duration::from_secs(60));
    bench.backend.wipe_expired();
    let request = seed_request();
    let seed = seed_record(&request, run(bench.backend.generate_seed(&request)).unwrap());
    bench.derive(&seed, PATH, Algorithm::EcdsaSecp256k1).unwrap();
    run(bench.backend.reseal_seed(&seed)).unwrap();
    run(bench.backend.reseal_key(&bench.generate(Algorithm::Bip340))).unwrap();
    bench.import_mnemonic(WORDS, PASSPHRASE).unwrap();
    let fresh = generate_mnemonic(MnemonicLength::Words12, entropy).unwrap();
    run(bench.backend.import_mnemonic(&request, fresh, Secret::new(PASSPHRASE.into()))).unwrap();
    bench.import_extended_key(&root().to_string(bip32::Prefix::XPRV)).unwrap();
    bench.import_seed(&GIVEN).unwrap();
    bench.import(Algorithm::Ed25519, &GIVEN).unwrap();
    bench.backend.wipe();
    passphrases(entropy);
}

fn passphrases(entropy: &RecordingEntropy) {
    let entropy = || Arc::new(entropy.clone());
    let passphrase = |text: &str| Secret::new(text.into());
    let (_, document) =
        PassphraseKek::create(passphrase(PASSPHRASE), KdfParameters::MINIMUM, entropy()).unwrap();
    PassphraseKek::open(passphrase(PASSPHRASE), &document, entropy()).unwrap();
    assert!(PassphraseKek::open(passphrase(WORDS), &document, entropy()).is_err());
}

/// Whatever could open a key of the busy life: all that was drawn, given or derived.
fn secrets(entropy: &RecordingEntropy) -> Vec<Vec<u8>> {
    let drawn = entropy.secrets();
    // One of these is the entropy of the generated seed: its keys are secrets too.
    let roots: Vec<_> = drawn
        .iter()
        .filter_map(|drawn| bip39::Mnemonic::from_entropy(drawn).ok())
        .map(|words| words.to_seed("").to_vec())
        .chain([root_seed().to_vec()])
        .collect();
    let keys: Vec<_> = roots
        .iter()
        .map(|root| {
            let path = DerivationPath::parse(PATH).unwrap().to_string().parse().unwrap();
            bip32::XPrv::derive_from_path(root, &path).unwrap().to_bytes().to_vec()
        })
        .collect();
    let given = [GIVEN.to_vec(), PASSPHRASE.into(), WORDS.into(), root().to_bytes().to_vec()];
    let xprv = root().to_string(bip32::Prefix::XPRV).as_bytes().to_vec();
    [drawn, roots, keys, given.to_vec(), vec![xprv]].concat()
}

fn root_seed() -> [u8; 64] {
    bip39::Mnemonic::parse(WORDS).unwrap().to_seed(PASSPHRASE)
}

/// The root of the words with their passphrase.
fn root() -> bip32::XPrv {
    bip32::XPrv::new(&root_seed()).unwrap()
}

fn encodings(secret: &[u8]) -> Vec<(&'static str, String)> {
    let mut encodings = vec![
        ("lower-case hex", hex::encode(secret)),
        ("upper-case hex", hex::encode_upper(secret)),
        ("base58", bs58::encode(secret).into_string()),
        ("base64", STANDARD_NO_PAD.encode(secret)),
        ("base64 for addresses", URL_SAFE_NO_PAD.encode(secret)),
        ("a list of bytes", format!("{secret:?}").trim_matches(['[', ']']).to_owned()),
    ];
    encodings.extend(String::from_utf8(secret.to_vec()).ok().map(|text| ("text", text)));
    encodings
}

/// All that an error and its causes say.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

const TEST_THAT_SIGNS: &str = "backend::every_algorithm_is_generated_and_its_signature_verifies";
