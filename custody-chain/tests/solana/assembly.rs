//! The signed form.

use custody_chain::SolanaError;
use custody_core::crypto::Algorithm;
use custody_testkit::key::TestKey;

use crate::support::{MESSAGE, address_of, assemble, decode, keys, me, other, parts, pay, sign};

#[test]
fn signatures_stand_in_the_order_of_the_signers_and_zeros_for_others() {
    let second = address_of(&keys()[1]);
    let bytes = parts(&[second, other(5), me()], &[], &[pay(me(), other(1), 5)]).bytes();
    let signatures = sign(&decode(&bytes).unwrap());
    let wire = assemble(MESSAGE, &bytes, &signatures).unwrap();
    assert_eq!(wire[0], 3);
    assert_eq!(wire[1..65], signatures[0].signature.as_bytes()[..]);
    assert_eq!(wire[65..129], [0; 64]);
    assert_eq!(wire[129..193], signatures[1].signature.as_bytes()[..]);
    assert_eq!(wire[193..], bytes);
    let turned = [signatures[1].clone(), signatures[0].clone()];
    assert_eq!(assemble(MESSAGE, &bytes, &turned).unwrap(), wire);
}

#[test]
fn missing_superfluous_and_foreign_signatures_are_refused() {
    let second = address_of(&keys()[1]);
    let bytes = parts(&[me(), second], &[], &[pay(me(), other(1), 5)]).bytes();
    let good = sign(&decode(&bytes).unwrap());
    let mut renamed = good.clone();
    renamed[1].key = custody_core::id::KeyId::parse("key-9").unwrap();
    let mut another = good.clone();
    let signer = TestKey::seeded(Algorithm::Bip340, 1);
    another[1].signature = signer.sign(custody_core::crypto::SignInput::Message(&bytes)).unwrap();
    let count = |found| SolanaError::SignatureCount { expected: 2, found };
    for (name, signatures, counted) in [
        ("none", vec![], Some(count(0))),
        ("one", good[..1].to_vec(), Some(count(1))),
        ("three", [good.clone(), good[..1].to_vec()].concat(), Some(count(3))),
        ("one twice", vec![good[0].clone(), good[0].clone()], None),
        ("of another key", renamed, None),
        ("of another algorithm", another, None),
    ] {
        let refused = assemble(MESSAGE, &bytes, &signatures).unwrap_err();
        match counted {
            Some(expected) => assert_eq!(refused, expected, "{name}"),
            None => assert!(matches!(refused, SolanaError::Signer(_)), "{name}: {refused}"),
        }
    }
}

#[test]
fn what_does_not_decode_is_not_assembled() {
    let bytes = parts(&[me()], &[], &[pay(me(), other(1), 5)]).bytes();
    let signatures = sign(&decode(&bytes).unwrap());
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(assemble(MESSAGE, &longer, &signatures).unwrap_err(), SolanaError::Encoding);
    assert_eq!(assemble("solana/other", &bytes, &signatures).unwrap_err(), SolanaError::Format);
}
