//! The same through the command.

use std::process::{Command, Output};

use super::*;

fn run(config: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_custody-kms"))
        .args(["iam", "--config"])
        .arg(data(config))
        .args(more)
        .output()
        .unwrap()
}

fn pinned(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

#[test]
fn the_command_prints_what_is_pinned() {
    for (config, more, name) in [
        ("scope.toml", &["--use", "sign"][..], "identity-sign.json"),
        ("scope.toml", &["--use", "admin", "--identity"], "identity-admin.json"),
        ("tagged.toml", &["--use", "create"], "identity-tagged-create.json"),
        ("scope.toml", &["--use", "sign,create,sealed,switch"], "identity-custodian.json"),
        (
            "scope.toml",
            &["--use", "admin,audit,rotation,sealed", "--key-policy"],
            "key-sealing.json",
        ),
    ] {
        let output = run(config, more);
        assert_eq!(output.status.code(), Some(0), "{more:?}");
        assert_eq!(output.stdout, pinned(name), "{more:?}");
    }
}

#[test]
fn a_policy_that_is_not_written_exits_with_2() {
    for (config, more, said) in [
        ("scope.toml", &["--use", "sign,admin"][..], "nobody has both"),
        ("scope.toml", &["--use", "sign", "--key-policy"], "nobody can manage"),
        ("tagged.toml", &["--use", "sealed"], "`sealing_keys`"),
        ("no-such.toml", &["--use", "sign"], "cannot be read"),
        ("identity-sign.json", &["--use", "sign"], "malformed at line 1"),
        ("scope.toml", &["--use", "everything"], "one of admin"),
        ("scope.toml", &[], "--use"),
        ("scope.toml", &["--use", "sign", "--identity", "--key-policy"], "cannot be used"),
    ] {
        let output = run(config, more);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {error}");
        assert!(output.stdout.is_empty(), "{more:?}");
        assert!(error.contains(said), "{more:?}: {error}");
    }
}
