//! People of an account of ministack, which checks signatures, IAM and key policies.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::MINISTACK;
use crate::stand_in::{Account, Credentials, told};

/// A user of an account, who may do what one policy says.
#[derive(Debug)]
pub(crate) struct User {
    account: String,
    name: String,
    pub(crate) credentials: Credentials,
}

impl Account {
    /// Its root in a session, of which ministack checks secret, token, clock and end. One of no
    /// seconds has expired already.
    pub(crate) fn session(&self, seconds: u32) -> Credentials {
        let seconds = seconds.to_string();
        let words = [("Action", "GetSessionToken"), ("DurationSeconds", seconds.as_str())];
        let text = ask(self.id(), STS, &words);
        let session_token = Some(element(&text, "SessionToken"));
        Credentials { session_token, ..Credentials::read(&text) }
    }

    /// A new user of it in ministack, who may do what an identity policy in JSON says.
    pub(crate) fn user(&self, policy: &str) -> User {
        let name = unique("user");
        ask(self.id(), IAM, &[("Action", "CreateUser"), ("UserName", &name)]);
        let text = ask(self.id(), IAM, &[("Action", "CreateAccessKey"), ("UserName", &name)]);
        let credentials = Credentials::read(&text);
        let user = User { account: self.id().to_owned(), name, credentials };
        user.may(policy);
        user
    }
}

impl User {
    /// From now on the user may do what this policy says, and no more.
    pub(crate) fn may(&self, policy: &str) {
        let words = [
            ("Action", "PutUserPolicy"),
            ("UserName", &self.name),
            ("PolicyName", "all"),
            ("PolicyDocument", policy),
        ];
        ask(&self.account, IAM, &words);
    }

    /// Makes the access key "Active" or "Inactive".
    pub(crate) fn set_access_key(&self, status: &str) {
        let words = [
            ("Action", "UpdateAccessKey"),
            ("UserName", &self.name),
            ("AccessKeyId", &self.credentials.access_key_id),
            ("Status", status),
        ];
        ask(&self.account, IAM, &words);
    }
}

impl Credentials {
    fn read(text: &str) -> Self {
        let access_key_id = element(text, "AccessKeyId");
        let secret_access_key = element(text, "SecretAccessKey");
        Self { access_key_id, secret_access_key, session_token: None }
    }
}

/// A service of AWS that is asked by forms: its name, and the version of its forms.
type Service = (&'static str, &'static str);

/// Asks it as the root of an account, which is not checked.
fn ask(account: &str, (service, version): Service, words: &[(&str, &str)]) -> String {
    let mut form = format!("Version={version}");
    for (name, value) in words {
        write!(form, "&{name}=").unwrap();
        for byte in value.bytes() {
            write!(form, "%{byte:02X}").unwrap();
        }
    }
    let request = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/{service}/\
         aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{form}",
        form.len()
    );
    let url = told(MINISTACK);
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{words:?}: {answer}");
    answer
}

/// What stands in the first element of this name.
fn element(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name}"));
    let (value, _) = rest.split_once(&format!("</{name}>")).unwrap();
    value.to_owned()
}

/// A name that no other test, process or run is given.
fn unique(name: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{name}-{}-{}", std::process::id(), since.as_nanos())
}

const IAM: Service = ("iam", "2010-05-08");
const STS: Service = ("sts", "2011-06-15");
const PATIENCE: Duration = Duration::from_secs(30);
