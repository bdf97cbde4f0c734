//! What lies in a house's directory. This file opens secrets, of tests only.

use std::path::Path;

use crate::program::{Kept, PASSPHRASE, files};

#[test]
fn no_secret_lies_in_the_directory_in_clear() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    let files = files(&kept.house());
    let demo = |path: &Path| path.extension().is_some_and(|extension| extension == "demo-key");
    let mut secrets = vec![PASSPHRASE.trim_end().as_bytes().to_vec()];
    for (path, bytes) in files.iter().filter(|(path, _)| demo(path)) {
        assert_eq!(path.parent().unwrap(), Path::new("people"));
        let text = String::from_utf8(bytes.clone()).unwrap();
        let seed = text.lines().last().unwrap();
        secrets.extend([seed.as_bytes().to_vec(), hex::decode(seed).unwrap()]);
    }
    assert_eq!(secrets.len(), 7, "three people and a passphrase");
    for (path, bytes) in files.iter().filter(|(path, _)| !demo(path)) {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}
