use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};

/// BIP-340, "Test Vectors and Reference Code": 19 rows.
#[test]
fn bip340_rows_verify_or_are_refused_as_published() {
    let file = custody_testkit::vectors::text("bip340/test-vectors.csv");
    let rows: Vec<Vec<&str>> =
        file.lines().skip(1).map(|line| line.splitn(8, ',').collect()).collect();
    assert_eq!(rows.len(), 19);
    let mut valid = 0;
    for row in &rows {
        let [index, _, public, _, message, signature, expected, comment] = row[..] else {
            panic!("a row of another form: {row:?}")
        };
        let hex = |text: &str| hex::decode(text).unwrap();
        let verified = PublicKey::from_bytes(Algorithm::Bip340, &hex(public)).is_ok_and(|key| {
            let message = hex(message);
            Signature::from_bytes(Algorithm::Bip340, &hex(signature))
                .is_ok_and(|signature| signature.verify(&key, SignInput::Message(&message)).is_ok())
        });
        assert_eq!(verified, expected == "TRUE", "row {index}: {comment}");
        valid += usize::from(verified);
    }
    assert_eq!(valid, 9);
}
