//! The doctor as its users run it: the program itself, over SoftHSM.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "softhsm/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use examples_hsm::tokens::{self, Tokens};
use serde_json::Value;
use tempfile::TempDir;

/// What the doctor answered.
struct Answer {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// Tokens that the doctor is let at.
struct Patient {
    place: TempDir,
    tokens: Tokens,
}

impl Patient {
    fn new(labels: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let tokens = Tokens::create(place.path()).unwrap();
        for label in labels {
            tokens.add(label).unwrap();
        }
        Self { place, tokens }
    }

    /// With the right module, and whatever else is said.
    fn examined(&self, arguments: &[&str], pin: Option<&Path>) -> Answer {
        let module = tokens::module().unwrap();
        let usual = ["--measure-ms", "20", "--module", module.to_str().unwrap()];
        self.run(&[&usual, arguments].concat(), pin)
    }

    fn run(&self, arguments: &[&str], pin: Option<&Path>) -> Answer {
        let configuration = self.tokens.configuration();
        let mut variables = vec![(tokens::VARIABLE, configuration.as_path())];
        variables.extend(pin.map(|pin| ("CUSTODY_HSM_PIN", pin)));
        let output = program::run("hsm_doctor", arguments, &variables);
        Answer {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The PIN, as the value of a variable.
    fn pin(&self) -> PathBuf {
        std::fs::read_to_string(self.tokens.pin_file()).unwrap().into()
    }

    fn pin_file(&self) -> String {
        self.tokens.pin_file().to_str().unwrap().to_owned()
    }

    /// The files of all objects in the tokens.
    fn objects(&self) -> usize {
        let folders = std::fs::read_dir(self.place.path().join("tokens")).unwrap();
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".object") && name != "token.object").count()
    }
}

impl Answer {
    #[track_caller]
    fn good(&self) -> &str {
        assert_eq!((self.code, self.errors.as_str()), (Some(0), ""), "{}", self.out);
        &self.out
    }

    #[track_caller]
    fn rows(&self) -> Vec<Value> {
        let rows: Value = serde_json::from_str(self.good()).unwrap();
        rows.as_array().unwrap().clone()
    }

    /// It says why in one line that names the argument, and prints nothing else.
    #[track_caller]
    fn assert_refused(&self, name: &str, reason: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{name}");
        assert_eq!(self.errors.lines().count(), 1, "{name}: {}", self.errors);
        assert!(self.errors.starts_with("refused: "), "{name}: {}", self.errors);
        assert!(self.errors.contains(reason), "{name}: {}", self.errors);
    }
}

/// The rows about something, as what was tried and whether it works.
fn about<'a>(rows: &'a [Value], topic: &str, key: Option<&str>) -> Vec<(&'a str, bool)> {
    let is_it = |row: &&Value| row["topic"] == topic && row["key"].as_str() == key;
    let told = |row: &'a Value| (row["what"].as_str().unwrap(), row["works"].as_bool().unwrap());
    rows.iter().filter(is_it).map(told).collect()
}

const KEYS: [&str; 3] = ["ecdsa-secp256k1", "ecdsa-p256", "ed25519"];
const ATTRIBUTES: [(&str, bool); 13] = [
    ("CKA_SENSITIVE", true),
    ("CKA_EXTRACTABLE", false),
    ("CKA_ALWAYS_SENSITIVE", true),
    ("CKA_NEVER_EXTRACTABLE", true),
    ("CKA_LOCAL", true),
    ("CKA_SIGN", true),
    ("CKA_DECRYPT", false),
    ("CKA_UNWRAP", false),
    ("CKA_DERIVE", false),
    ("CKA_PRIVATE", true),
    ("CKA_MODIFIABLE", false),
    ("CKA_COPYABLE", false),
    ("CKA_DESTROYABLE", false),
];

#[test]
#[ignore = "needs SoftHSM"]
fn each_row_has_all_fields_and_each_topic_its_rows() {
    let patient = Patient::new(&["one"]);
    let rows = patient.examined(&["--json"], Some(&patient.pin())).rows();
    let fields = BTreeSet::from([
        "topic", "key", "what", "works", "asked", "answered", "sizes", "a_second", "told",
    ]);
    for row in &rows {
        let names: BTreeSet<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, fields, "{row}");
    }
    assert_eq!(about(&rows, "token", None), [("one", true)]);
    let mechanisms = [
        "CKM_EC_KEY_PAIR_GEN",
        "CKM_ECDSA",
        "CKM_EC_EDWARDS_KEY_PAIR_GEN",
        "CKM_EDDSA",
        "CKM_AES_KEY_GEN",
        "CKM_AES_GCM",
        "CKM_AES_KEY_WRAP_PAD",
    ];
    assert_eq!(about(&rows, "mechanism", None), mechanisms.map(|name| (name, true)));
    for row in rows.iter().filter(|row| row["topic"] == "mechanism") {
        assert!(row["sizes"][0].as_u64() <= row["sizes"][1].as_u64(), "{row}");
    }
    let encryption = [
        ("seal and open with CKM_AES_GCM", true),
        ("open in another context", true),
        ("open with a byte changed", true),
    ];
    assert_eq!(about(&rows, "encryption", None), encryption);
    // SoftHSM fills keys up with zeros first.
    assert_eq!(about(&rows, "wrapping", None), [("wrap as RFC 5649 does", false)]);
    let left = about(&rows, "left", None);
    assert!(matches!(left.as_slice(), [(what, true)] if what.starts_with("custody doctor-")));
}

#[test]
#[ignore = "needs SoftHSM"]
fn each_kind_of_key_is_made_keeps_its_attributes_and_does_not_come_out() {
    let patient = Patient::new(&["one"]);
    let rows = patient.examined(&["--json"], Some(&patient.pin())).rows();
    for key in KEYS {
        let of_key = |topic| about(&rows, topic, Some(key));
        assert_eq!(of_key("key"), [("make a key pair", true)], "{key}");
        assert_eq!(of_key("attribute"), ATTRIBUTES.map(|(name, _)| (name, true)), "{key}");
        let told = rows.iter().filter(|row| row["topic"] == "attribute" && row["key"] == key);
        for (row, (name, wanted)) in told.zip(ATTRIBUTES) {
            let follows = ["CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"];
            let asked = if follows.contains(&name) { Value::Null } else { wanted.into() };
            assert_eq!((&row["asked"], &row["answered"]), (&asked, &wanted.into()), "{row}");
        }
        let export = [
            "ask for CKA_VALUE",
            "read CKA_VALUE",
            "set CKA_EXTRACTABLE",
            "set CKA_SENSITIVE to false",
            "copy with CKA_EXTRACTABLE",
            "wrap with CKM_AES_KEY_WRAP_PAD",
            "wrap with CKM_AES_KEY_WRAP",
            "wrap with CKM_AES_CBC_PAD",
        ];
        assert_eq!(of_key("export"), export.map(|what| (what, true)), "{key}");
        assert_eq!(of_key("rate"), [("sign", true)], "{key}");
        assert_eq!(of_key("backend"), [("sign", true)], "{key}");
        let comes_back = key != "ed25519";
        assert_eq!(of_key("wrapping"), [("wrap a key and bring it back", comes_back)], "{key}");
    }
    let rates = rows.iter().filter(|row| row["topic"] == "rate" || row["topic"] == "backend");
    let rates: Vec<_> = rates.map(|row| row["a_second"].as_u64().unwrap()).collect();
    assert_eq!(rates.len(), 8);
    assert!(rates.iter().all(|rate| *rate > 0), "{rates:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn nothing_is_left_in_the_token() {
    let patient = Patient::new(&["one"]);
    for _ in 0..2 {
        patient.examined(&[], Some(&patient.pin())).good();
        assert_eq!(patient.objects(), 0);
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_table_has_the_rows_of_the_json() {
    let patient = Patient::new(&["one"]);
    let rows = patient.examined(&["--json"], Some(&patient.pin())).rows();
    let answer = patient.examined(&[], Some(&patient.pin()));
    let lines: Vec<_> = answer.good().lines().collect();
    assert_eq!(lines.len(), rows.len() + 1, "and a header");
    assert!(lines[0].starts_with("topic"), "{}", lines[0]);
    for (line, row) in lines[1..].iter().zip(&rows) {
        assert!(line.starts_with(row["topic"].as_str().unwrap()), "{line}");
        let is_drawn = row["topic"] == "left";
        assert!(is_drawn || line.contains(row["what"].as_str().unwrap()), "{line}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_and_its_pin_are_found_by_label_and_by_file() {
    let patient = Patient::new(&["one", "two"]);
    let file = patient.pin_file();
    let answer = patient.examined(&["--json", "--token", "two", "--pin-file", &file], None);
    assert_eq!(about(&answer.rows(), "token", None), [("two", true)]);
    // The file comes before the variable.
    let wrong = Path::new("pin-that-is-wrong-a40e");
    let answer = patient.examined(&["--json", "--token", "two", "--pin-file", &file], Some(wrong));
    assert_eq!(about(&answer.rows(), "token", None), [("two", true)]);
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_is_wrong_is_named() {
    let patient = Patient::new(&["one", "two", "two"]);
    let pin = patient.pin();
    let missing = patient.place.path().join("missing").to_str().unwrap().to_owned();
    let empty = patient.place.path().join("empty").to_str().unwrap().to_owned();
    std::fs::write(&empty, "\n").unwrap();
    let one = ["--token", "one"];
    for (name, arguments, pin, reason) in [
        ("no label", vec![], Some(&*pin), "`token`: name one; there are 3: "),
        ("another label", vec!["--token", "none"], Some(&pin), "`token`: none is Label(\"none\")"),
        ("a label of two", vec!["--token", "two"], Some(&pin), "`token`: several are Label("),
        (
            "a wrong pin",
            one.to_vec(),
            Some(Path::new("pin-that-is-wrong-a40e")),
            "`pin`: the token takes no login: CKR_PIN_INCORRECT",
        ),
        ("an empty pin", one.to_vec(), Some(Path::new("")), "`pin`: what CUSTODY_HSM_PIN holds"),
        ("no pin", one.to_vec(), None, "`pin`: there is no file, and the environment variable"),
        (
            "no pin file",
            [&one[..], &["--pin-file", &missing]].concat(),
            Some(&pin),
            "`pin`: the file ",
        ),
        (
            "an empty pin file",
            [&one[..], &["--pin-file", &empty]].concat(),
            Some(&pin),
            "is not 1 to 255 bytes",
        ),
    ] {
        patient.examined(&arguments, pin).assert_refused(name, reason);
    }
    let is_secret = pin.to_str().unwrap();
    for (name, module, reason) in [
        ("no module", "/nowhere/module.so", "`module`: /nowhere/module.so cannot be found"),
        ("no library", empty.as_str(), "is no PKCS#11 module"),
    ] {
        let answer = patient.run(&["--module", module], Some(&pin));
        answer.assert_refused(name, reason);
        assert!(!answer.errors.contains(is_secret), "{name}");
    }
    assert_eq!(patient.objects(), 0);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_without_tokens_is_told() {
    let patient = Patient::new(&[]);
    let answer = patient.examined(&[], Some(&patient.pin()));
    answer.assert_refused("no token", "`token`: name one; there are 0: ");
}
