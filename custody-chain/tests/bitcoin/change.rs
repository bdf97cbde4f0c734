//! What comes back to the wallet, and what only says that it does.

use std::str::FromStr;

use bitcoin::bip32::{self, ChildNumber, Fingerprint, Xpriv, Xpub};
use bitcoin::key::TapTweak;
use bitcoin::psbt::Output;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Network, ScriptBuf};
use custody_chain::{BitcoinDecoder, BitcoinDescriptorError, BitcoinError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::effect::{Action, Effect};
use custody_core::seam::{
    ContextAccount, DecodeContext, Decoder, DerivationPath, DescriptorReader, Intent,
    WalletDescriptor,
};
use custody_testkit::key::TestKey;
use miniscript::{Descriptor, DescriptorPublicKey};

use crate::draft::Draft;
use crate::support::{MAINNET, Named, context, decode, ecdsa, is_valid, named, signed};

/// The seed of the wallet.
fn root() -> Xpriv {
    Xpriv::new_master(Network::Bitcoin, &[7; 32]).unwrap()
}

/// The wallet's key at a path; at a path of BIP-86 the output key.
fn at(algorithm: Algorithm, path: &str) -> Named {
    let secp = Secp256k1::new();
    let child = root().derive_priv(&secp, &bip32::DerivationPath::from_str(path).unwrap()).unwrap();
    let mut secret = child.private_key;
    if algorithm == Algorithm::Bip340 {
        secret = child.to_keypair(&secp).tap_tweak(&secp, None).to_keypair().secret_key();
    }
    let key = TestKey::from_bytes(algorithm, &secret.secret_bytes()).unwrap();
    let name = path.replace('\'', "h").replace('/', "-");
    Named { path: Some(DerivationPath::parse(path).unwrap()), ..named(&name, key) }
}

fn wpkh(path: &str) -> Named {
    at(Algorithm::EcdsaSecp256k1, path)
}

/// The origin and the extended public key of a path.
fn extended(path: &str) -> String {
    let secp = Secp256k1::new();
    let child = root().derive_priv(&secp, &bip32::DerivationPath::from_str(path).unwrap()).unwrap();
    let rest = path.strip_prefix('m').unwrap();
    format!("[{}{rest}]{}", root().fingerprint(&secp), Xpub::from_priv(&secp, &child))
}

/// The descriptor of this text, with its checksum.
fn descriptor(text: &str) -> WalletDescriptor {
    let whole = Descriptor::<DescriptorPublicKey>::from_str(text).unwrap().to_string();
    WalletDescriptor::parse(&whole).unwrap()
}

fn wallet(keys: &[Named]) -> DecodeContext {
    let texts = [
        format!("wpkh({}/<0;1>/*)", extended("m/84'/0'/0'")),
        format!("tr({}/<0;1>/*)", extended("m/86'/0'/0'")),
    ];
    DecodeContext {
        descriptors: texts.iter().map(|text| descriptor(text)).collect(),
        ..context(keys)
    }
}

/// A label of the wallet's seed for an output.
fn label(output: &mut Output, key: &Named, path: &str) {
    let source =
        (root().fingerprint(&Secp256k1::new()), bip32::DerivationPath::from_str(path).unwrap());
    output.bip32_derivation.insert(key.public().inner, source);
}

fn label_taproot(output: &mut Output, path: &str) {
    let secp = Secp256k1::new();
    let path = bip32::DerivationPath::from_str(path).unwrap();
    let internal =
        root().derive_priv(&secp, &path).unwrap().to_keypair(&secp).x_only_public_key().0;
    output.tap_key_origins.insert(internal, (vec![], (root().fingerprint(&secp), path)));
    output.tap_internal_key = Some(internal);
}

/// 100,000 satoshi of the first key, 40,000 paid, the rest to `rest` with a label.
fn with_rest(own: &Named, rest: &ScriptBuf, fill: impl FnOnce(&mut Output)) -> Draft {
    Draft::new()
        .spend(&own.p2wpkh(), 100_000)
        .pay(&ecdsa(9).p2wpkh(), 40_000)
        .pay_with(rest, 59_000, fill)
}

fn transfers(intent: &Intent) -> usize {
    intent.effects.iter().filter(|effect| effect.action() == Action::Transfer).count()
}

#[test]
fn change_is_no_effect() {
    let own = wpkh("m/84'/0'/0'/0/0");
    let rest = wpkh("m/84'/0'/0'/1/0");
    let draft = with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, "m/84'/0'/0'/1/0"));
    let keys = [own];
    let intent = decode(&draft.0, &wallet(&keys)).unwrap();
    let Effect::Transfer { amount, to, .. } = &intent.effects[0] else { panic!("no transfer") };
    assert_eq!(amount.units().to_string(), "40000");
    assert_eq!(intent.effects.len(), 2, "a transfer to {to} and a fee");
    assert!(is_valid(&signed(&draft.0, &keys)));
}

#[test]
fn change_of_taproot_is_no_effect() {
    let own = at(Algorithm::Bip340, "m/86'/0'/0'/0/3");
    let rest = at(Algorithm::Bip340, "m/86'/0'/0'/1/7");
    let draft =
        Draft::new().spend_told(&own.p2tr(), 50_000).pay_with(&rest.p2tr(), 49_000, |output| {
            label_taproot(output, "m/86'/0'/0'/1/7");
        });
    let intent = decode(&draft.0, &wallet(std::slice::from_ref(&own))).unwrap();
    assert_eq!(intent.effects.len(), 1, "nothing but a fee");
    assert!(is_valid(&signed(&draft.0, &[own])));
}

#[test]
fn change_is_as_near_as_a_thousand() {
    let own = wpkh("m/84'/0'/0'/0/0");
    let used = wpkh("m/84'/0'/0'/1/5");
    for (keys, index, expected) in [
        (vec![own.clone()], 999, 1),
        (vec![own.clone()], 1_000, 2),
        (vec![own.clone(), used.clone()], 1_005, 1),
        (vec![own.clone(), used], 1_006, 2),
    ] {
        let path = format!("m/84'/0'/0'/1/{index}");
        let rest = wpkh(&path);
        let draft = with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, &path));
        let intent = decode(&draft.0, &wallet(&keys)).unwrap();
        assert_eq!(transfers(&intent), expected, "index {index}");
    }
}

#[test]
fn what_only_says_that_it_comes_back_is_a_transfer() {
    let own = wpkh("m/84'/0'/0'/0/0");
    let rest = wpkh("m/84'/0'/0'/1/0");
    let (foreign, received) = (ecdsa(3), wpkh("m/84'/0'/0'/0/1"));
    let other = wpkh("m/84'/0'/1'/1/0");
    let taproot = at(Algorithm::Bip340, "m/86'/0'/0'/1/0");
    let path = "m/84'/0'/0'/1/0";
    for (name, draft) in [
        ("a lying label", with_rest(&own, &foreign.p2wpkh(), |output| label(output, &rest, path))),
        (
            "the label of its own key",
            with_rest(&own, &foreign.p2wpkh(), |output| label(output, &foreign, path)),
        ),
        ("no label", with_rest(&own, &rest.p2wpkh(), |_| {})),
        (
            "another index",
            with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, "m/84'/0'/0'/1/1")),
        ),
        (
            "a hardened index",
            with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, "m/84'/0'/0'/1/0'")),
        ),
        ("the seed itself", with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, "m"))),
        (
            "labels that do not agree",
            with_rest(&own, &rest.p2wpkh(), |output| {
                label(output, &rest, path);
                label(output, &foreign, "m/84'/0'/0'/1/1");
            }),
        ),
        (
            "a receiving address",
            with_rest(&own, &received.p2wpkh(), |output| {
                label(output, &received, "m/84'/0'/0'/0/1")
            }),
        ),
        (
            "another account of the seed",
            with_rest(&own, &other.p2wpkh(), |output| label(output, &other, "m/84'/0'/1'/1/0")),
        ),
        (
            "another script of the key",
            with_rest(&own, &rest.p2pkh(), |output| label(output, &rest, path)),
        ),
        (
            "change of another script type",
            with_rest(&own, &taproot.p2tr(), |output| label_taproot(output, "m/86'/0'/0'/1/0")),
        ),
    ] {
        let intent = decode(&draft.0, &wallet(std::slice::from_ref(&own))).unwrap();
        assert_eq!(transfers(&intent), 2, "{name}");
    }
    let draft = with_rest(&own, &rest.p2wpkh(), |output| label(output, &rest, path));
    let intent = decode(&draft.0, &context(&[own])).unwrap();
    assert_eq!(transfers(&intent), 2, "a wallet without descriptors has no change");
}

#[test]
fn the_label_names_an_index_and_nothing_else() {
    let own = wpkh("m/84'/0'/0'/0/0");
    let rest = wpkh("m/84'/0'/0'/1/4");
    let draft = with_rest(&own, &rest.p2wpkh(), |output| {
        let path = bip32::DerivationPath::from(vec![ChildNumber::from(4)]);
        output.bip32_derivation.insert(ecdsa(5).public().inner, (Fingerprint::default(), path));
    });
    assert_eq!(transfers(&decode(&draft.0, &wallet(&[own])).unwrap()), 1);
}

#[test]
fn change_of_a_multisig_wallet_is_no_effect() {
    let (ours, theirs) = (extended("m/48'/0'/0'/2'"), extended("m/48'/0'/1'/2'"));
    let text = format!("wsh(sortedmulti(2,{ours}/<0;1>/*,{theirs}/<0;1>/*))");
    let descriptor = descriptor(&text);
    let scripts = |branch: usize, index| {
        let parsed = Descriptor::<DescriptorPublicKey>::from_str(descriptor.as_str()).unwrap();
        let single = parsed.into_single_descriptors().unwrap().remove(branch);
        single.derived_descriptor(&Secp256k1::new(), index).unwrap()
    };
    let (spent, rest) = (scripts(0, 2), scripts(1, 3));
    let draft = Draft::new()
        .spend_with(&spent.script_pubkey(), 50_000, |input| {
            input.witness_script = Some(spent.explicit_script().unwrap());
        })
        .pay_with(&rest.script_pubkey(), 49_000, |output| {
            for path in ["m/48'/0'/0'/2'/1/3", "m/48'/0'/1'/2'/1/3"] {
                label(output, &wpkh(path), path);
            }
        });
    let keys = [wpkh("m/48'/0'/0'/2'/0/2")];
    let wallet = DecodeContext { descriptors: vec![descriptor], ..context(&keys) };
    let intent = decode(&draft.0, &wallet).unwrap();
    assert_eq!((intent.effects.len(), intent.tasks.len()), (1, 1));
}

#[test]
fn a_descriptor_that_is_not_understood_refuses_everything() {
    let own = wpkh("m/84'/0'/0'/0/0");
    let mut wallet = wallet(std::slice::from_ref(&own));
    wallet.descriptors.push(WalletDescriptor::parse("wpkh(xpub)#00000000").unwrap());
    let draft = with_rest(&own, &own.p2wpkh(), |_| {});
    let refused = decode(&draft.0, &wallet).unwrap_err();
    assert_eq!(refused, BitcoinError::Descriptor(BitcoinDescriptorError::Text));
}

fn check(
    chain: &str,
    text: &WalletDescriptor,
    keys: &[Named],
) -> Result<(), BitcoinDescriptorError> {
    let accounts: Vec<ContextAccount> = context(keys).accounts;
    let chain = ChainId::parse(chain).unwrap();
    let decoder = BitcoinDecoder::new();
    let reader: &dyn DescriptorReader = decoder.descriptors().unwrap();
    reader
        .check(&chain, text, &accounts)
        .map_err(|error| error.reason.downcast_ref::<BitcoinDescriptorError>().unwrap().clone())
}

#[test]
fn descriptors_of_the_wallet_pass() {
    let (native, taproot) = (extended("m/84'/0'/0'"), extended("m/86'/0'/0'"));
    let keys = [
        wpkh("m/84'/0'/0'/0/0"),
        wpkh("m/84'/0'/0'/1/9"),
        at(Algorithm::Bip340, "m/86'/0'/0'/0/0"),
        wpkh("m/44'/0'/0'/0/0"),
        ecdsa(1),
    ];
    for text in [
        format!("wpkh({native}/<0;1>/*)"),
        format!("wpkh({native}/0/*)"),
        format!("wpkh({native}/1/*)"),
        format!("tr({taproot}/<0;1>/*)"),
        format!("pkh({}/<0;1>/*)", extended("m/44'/0'/0'")),
        format!("sh(wpkh({}/<0;1>/*))", extended("m/49'/0'/0'")),
        format!("wsh(sortedmulti(1,{native}/<0;1>/*,{taproot}/<0;1>/*))"),
    ] {
        let keys = if text.starts_with("wsh") { &keys[..2] } else { &keys[..] };
        assert_eq!(check(MAINNET, &descriptor(&text), keys), Ok(()), "{text}");
    }
}

#[test]
fn other_descriptors_are_refused() {
    use BitcoinDescriptorError as Error;
    let native = extended("m/84'/0'/0'");
    let without_origin = native.split_once(']').unwrap().1.to_owned();
    let single = ecdsa(1).public().to_string();
    let private = Xpriv::new_master(Network::Bitcoin, &[8; 32]).unwrap();
    let unsummed = WalletDescriptor::parse(&format!("wpkh({native}/<0;1>/*)")).unwrap();
    let good = descriptor(&format!("wpkh({native}/<0;1>/*)"));
    let wrong = good.as_str().replace("<0;1>", "<0;2>");
    for (name, text, expected) in [
        ("no checksum", unsummed, Error::Checksum),
        ("a wrong checksum", WalletDescriptor::parse(&wrong).unwrap(), Error::Text),
        (
            "a private key",
            WalletDescriptor::parse(&format!("wpkh({private}/0/*)#00000000")).unwrap(),
            Error::Text,
        ),
        ("no origin", descriptor(&format!("wpkh({without_origin}/<0;1>/*)")), Error::Origin),
        ("no wildcard", descriptor(&format!("wpkh({native}/<0;1>/0)")), Error::Wildcard),
        ("a hardened wildcard", descriptor(&format!("wpkh({native}/0/*h)")), Error::Wildcard),
        ("a hardened step", descriptor(&format!("wpkh({native}/0h/1/*)")), Error::Hardened),
        ("other branches", descriptor(&format!("wpkh({native}/<0;2>/*)")), Error::Branches),
        (
            "branches the other way round",
            descriptor(&format!("wpkh({native}/<1;0>/*)")),
            Error::Branches,
        ),
        ("three branches", descriptor(&format!("wpkh({native}/<0;1;2>/*)")), Error::Branches),
        ("no branch", descriptor(&format!("wpkh({native}/*)")), Error::Branches),
        ("a single key", descriptor(&format!("wpkh({single})")), Error::NotExtended),
        (
            "a script that is not read",
            descriptor(&format!("sh(wsh(pk({native}/<0;1>/*)))")),
            Error::Kind,
        ),
    ] {
        assert_eq!(check(MAINNET, &text, &[]), Err(expected), "{name}");
    }
    let testnet = "bip122:00000008819873e925422c1ff0f99f7c";
    assert_eq!(check(testnet, &good, &[]), Err(Error::Network));
    assert_eq!(check("eip155:1", &good, &[]), Err(Error::Chain));
}

#[test]
fn accounts_that_do_not_follow_from_the_descriptor_are_refused() {
    let native = descriptor(&format!("wpkh({}/<0;1>/*)", extended("m/84'/0'/0'")));
    let taproot = descriptor(&format!("tr({}/<0;1>/*)", extended("m/86'/0'/0'")));
    let good = wpkh("m/84'/0'/0'/0/0");
    let moved =
        |key: Named, path: &str| Named { path: Some(DerivationPath::parse(path).unwrap()), ..key };
    let plain = at(Algorithm::EcdsaSecp256k1, "m/86'/0'/0'/0/0");
    for (name, text, key) in [
        ("another index", &native, moved(good.clone(), "m/84'/0'/0'/0/1")),
        ("another branch", &native, moved(good.clone(), "m/84'/0'/0'/1/0")),
        ("a hardened step", &native, moved(good.clone(), "m/84'/0'/0'/0/0'")),
        ("another key", &native, moved(ecdsa(1), "m/84'/0'/0'/0/0")),
        ("another algorithm", &taproot, plain),
        (
            "the internal key",
            &taproot,
            moved(at(Algorithm::Bip340, "m/86'/0'/0'/0/0"), "m/86'/0'/0'/0/1"),
        ),
    ] {
        let refused = check(MAINNET, text, &[good.clone(), key]);
        assert_eq!(refused, Err(BitcoinDescriptorError::Account { position: 1 }), "{name}");
    }
}
