//! Templates of signers that are asked over HTTP, and what such signers answer: no value of a
//! template is told, and nothing but the key's own signature is believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_bench::harness::Job;
use custody_bench::harness::http::Template;
use custody_core::crypto::{Algorithm, Signature};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{Input, cut, flip, patched};

const PARTS: [&str; 3] = ["answer", "template", "true answer"];
const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;
/// Encodings and forms of answers, with what stands before the signature and where it is.
const WAYS: [[&str; 4]; 6] = [
    ["hex", "fixed", "", ""],
    ["hex", "recoverable", "", "/result"],
    ["hex", "der", "", "/a/0"],
    ["base64", "fixed", "", "/~1"],
    ["base64", "der", "vault:v1:", "/data/signature"],
    ["base64", "recoverable", "", ""],
];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let (part, algorithm) = (*input.pick(&PARTS), *input.pick(&ALGORITHMS));
    let taken = match part {
        "answer" => answered(algorithm, input.pick(&WAYS), |_| input.rest().to_vec()),
        "template" => std::str::from_utf8(input.rest()).is_ok_and(|text| read(algorithm, text)),
        _ => {
            let way = input.pick(&WAYS);
            answered(algorithm, way, |answer| patched(answer, input.rest()))
        }
    };
    taken.then_some(part)
}

/// A template is for the algorithm that was asked for, and its secrets stay in it.
fn read(algorithm: Algorithm, text: &str) -> bool {
    let template = match Template::parse(text, algorithm) {
        Ok(template) => template,
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(may_be_told(text) || !told.contains(TOKEN), "an error repeats what was read");
            assert!(told.len() < 1_000 && !told.contains(['\r', '\n']), "an error is short");
            return false;
        }
    };
    assert!(template.url().starts_with("http://"));
    let is_named = template.name().contains(TOKEN);
    assert!(is_named || !format!("{template:?}").contains(TOKEN), "Debug tells a token");
    let asked = template.body(&job());
    for placeholder in ["{hex}", "{base64}", "{number}"] {
        assert!(!asked.contains(placeholder), "{placeholder} is left");
    }
    assert!(template.headers().map(|(name, _)| name).is_sorted());
    let unknown = format!("unknown_to_all = 1\n{text}");
    assert!(Template::parse(&unknown, algorithm).is_err(), "an unknown field is read");
    for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
        assert!(Template::parse(text, other).is_err(), "a template of {algorithm} for {other}");
    }
    true
}

/// Whether the token stands where names of fields and of choices do, which errors tell.
fn may_be_told(text: &str) -> bool {
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    let choices = ["algorithm", "encoding", "form", "hash"];
    table.iter().any(|(name, value)| {
        let is_choice = choices.contains(&name.as_str());
        let has_token = format!("{value:?}").contains(TOKEN);
        is_choice && has_token || name.contains(TOKEN)
    })
}

/// Of what a signer answers only the signature of its own key over the job's digest is believed.
fn answered(algorithm: Algorithm, way: &[&str; 4], answer: impl FnOnce(&[u8]) -> Vec<u8>) -> bool {
    let key = TestKey::seeded(algorithm, 1);
    let template = Template::parse(&template(algorithm, way), algorithm).unwrap();
    let signature = key.sign(job().input(algorithm)).unwrap();
    let answer = answer(true_answer(&signature, way).as_bytes());
    let Ok(bytes) = template.signature(&answer) else { return false };
    let told = std::str::from_utf8(&answer).unwrap();
    let [encoding, form, prefix, pointer] = way;
    if pointer.is_empty() {
        let told = told.trim().strip_prefix(prefix).unwrap();
        let again = match *encoding {
            "hex" => hex::encode(&bytes) == told.trim_start_matches("0x").to_lowercase(),
            _ => STANDARD.encode(&bytes) == told,
        };
        assert!(again, "what was read is written in another way");
    }
    if template.verify(&job(), &bytes).is_err() {
        return false;
    }
    let fixed = match (*form, bytes.split_last()) {
        ("der", _) => Signature::from_der(algorithm, &bytes),
        ("recoverable", Some((_, fixed))) => Signature::from_bytes(algorithm, fixed),
        _ => Signature::from_bytes(algorithm, &bytes),
    };
    assert_eq!(fixed.unwrap().as_bytes(), signature.as_bytes(), "a signature nobody has made");
    assert!(template.verify(&Job::new(1, 1), &bytes).is_err(), "a signature for two jobs");
    true
}

/// What a signer answers that signs rightly.
fn true_answer(signature: &Signature, [encoding, form, prefix, pointer]: &[&str; 4]) -> String {
    let fixed = signature.as_bytes();
    let bytes = match *form {
        "der" => signature.to_der().unwrap_or_else(|| fixed.to_vec()),
        "recoverable" => [&fixed[..], &[27]].concat(),
        _ => fixed.to_vec(),
    };
    let text = match *encoding {
        "hex" => hex::encode(bytes),
        _ => STANDARD.encode(bytes),
    };
    match *pointer {
        "" => format!("{prefix}{text}\n"),
        "/a/0" => format!("{{\"a\":[\"{prefix}{text}\"]}}"),
        "/~1" => format!("{{\"/\":\"{prefix}{text}\"}}"),
        "/result" => format!("{{\"id\":1,\"result\":\"{prefix}{text}\"}}"),
        _ => format!("{{\"data\":{{\"signature\":\"{prefix}{text}\"}}}}"),
    }
}

/// A template for answers of this kind, with a token among its headers.
fn template(algorithm: Algorithm, [encoding, form, prefix, pointer]: &[&str; 4]) -> String {
    let public_key = hex::encode(TestKey::seeded(algorithm, 1).public_key().as_bytes());
    format!(
        "name = \"one\"\nurl = \"http://127.0.0.1:9000/sign\"\nalgorithm = \"{algorithm}\"\n\
         public_key = \"{public_key}\"\nbody = '{{\"key\": \"one\", \"digest\": \"{{hex}}\"}}'\n\
         headers = {{ content-type = \"application/json\", x-token = \"{TOKEN}\" }}\n\
         pointer = \"{pointer}\"\nprefix = \"{prefix}\"\nencoding = \"{encoding}\"\n\
         form = \"{form}\"\n"
    )
}

/// What is signed.
fn job() -> Job {
    Job::new(0, 7)
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |part: &str, algorithm: u8, name: &str, bytes: &[u8]| {
        let number = PARTS.iter().position(|known| *known == part).unwrap() as u8;
        let name =
            format!("{}-{}-{name}", part.replace(' ', "-"), ALGORITHMS[usize::from(algorithm)]);
        seeds.push((name, [&[number, algorithm], bytes].concat()));
    };
    for (number, algorithm) in (0_u8..).zip(ALGORITHMS) {
        let signature = TestKey::seeded(algorithm, 1).sign(job().input(algorithm)).unwrap();
        for (way, said) in (0_u8..).zip(&WAYS) {
            let answer = true_answer(&signature, said);
            add("answer", number, &format!("true-{way}"), &[&[way], answer.as_bytes()].concat());
            add("true answer", number, &format!("same-{way}"), &[way]);
        }
        add("template", number, "whole", template(algorithm, &WAYS[4]).as_bytes());
    }
    for (name, change) in [("flipped", flip(40, 1)), ("cut", cut(60)), ("cut-to-nothing", cut(0))] {
        for way in 0..WAYS.len() as u8 {
            add("true answer", 0, &format!("{name}-{way}"), &[&[way][..], &change].concat());
        }
    }
    for (name, answer) in [
        ("no-json", "no JSON"),
        ("nothing-there", "{\"other\":\"ab\"}"),
        ("a-number-there", "{\"result\":7}"),
        ("hex-twice", "{\"result\":\"0x0xab\"}"),
        ("deep", "{\"result\":[[[[[[[[[[[[\"ab\"]]]]]]]]]]]]}"),
    ] {
        add("answer", 0, name, &[&[1], answer.as_bytes()].concat());
    }
    let good = template(ALGORITHMS[0], &WAYS[4]);
    let hashed = ["hash = \"keccak256\"\nform", "hash = \"sha256\"\nform", "hash = \"md5\"\nform"];
    for (name, from, to) in [
        ("keccak", "form", hashed[0]),
        ("sha256", "form", hashed[1]),
        ("md5", "form", hashed[2]),
        ("https", "http:", "https:"),
        ("no-hex", "public_key = \"", "public_key = \"x"),
        ("unknown", "pointer", "pionter"),
        ("twice", "pointer", "prefix = \"\"\npointer"),
        ("open-text", " }\n", "\n"),
        ("no-map", "{ content-type = \"application/json\", x-token =", "#{"),
        ("text-for-map", "{ content-type = \"application/json\", x-token =", "\n"),
        ("all-filled-in", "{hex}", "{hex}{base64}{number}{{hex}}"),
        ("token-in-url", "127.0.0.1", "me:a-token-of-somebody@127.0.0.1"),
        ("token-as-form", "\"der\"", "\"a-token-of-somebody\""),
    ] {
        add("template", 0, name, good.replacen(from, to, 1).as_bytes());
    }
    seeds
}

const TOKEN: &str = "a-token-of-somebody";
