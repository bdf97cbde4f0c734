//! Which account, which regions, and how much of it.

mod document;

use std::fmt;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::id::BackendId;

use crate::arn::is_account;
use crate::house::HouseName;
use crate::toml_error::{line_of, name_on};
use document::Document;

/// An account of AWS and how its keys are used.
///
/// As TOML, of which all but `id`, `account` and `regions` may be left out:
///
/// ```toml
/// id = "aws"
/// account = "111122223333"
/// regions = ["eu-central-1", "eu-west-1"] # the first is where keys are made
/// algorithms = ["ecdsa-secp256k1", "ecdsa-p256"] # and "ed25519" where KMS has it
/// multi_region = false                    # whether new keys may have replicas
/// deletion_days = 30                      # how long a destruction can be taken back
/// house = "house-1"                       # needed where several houses share a key that seals
/// endpoint = "http://127.0.0.1:4566"      # a stand-in; https unless on this machine
///
/// [limits]
/// connect_ms = 1500
/// attempt_ms = 4000
/// operation_ms = 10000
/// attempts = 3
/// wait_ms = 1000                          # for a token of the rates below
/// sign_per_second = 300
/// symmetric_per_second = 5000
/// look_per_second = 200
/// manage_per_second = 10
///
/// [data_keys]
/// keys = 1024                             # opened ones, kept at once
/// age_ms = 600000
/// uses = 1000000
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsConfig {
    /// The backend's id.
    pub id: BackendId,
    /// The account: 12 digits.
    pub account: Account,
    /// The regions, never empty. Keys are made in the first; data keys of a multi-Region key are opened
    /// in the first that serves.
    pub regions: Vec<RegionName>,
    /// The algorithms that keys are made for.
    pub algorithms: Vec<Algorithm>,
    /// Whether new keys are multi-Region primary keys.
    pub multi_region: bool,
    /// How long the destruction of a key can be taken back, in days: 7 to 30.
    pub deletion_days: NonZeroU8,
    /// Whose things besides wallets are sealed. Without it, nothing but the key of KMS keeps those of
    /// one custodian from another: then each custodian has a key of its own.
    pub house: Option<HouseName>,
    /// Where KMS is, if not where AWS has it.
    pub endpoint: Option<String>,
    /// Limits of time and number.
    pub limits: KmsLimits,
    /// How long opened data keys are kept.
    pub data_keys: DataKeyLimits,
}

/// The number of an account of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account(Box<str>);

/// The name of a region, such as `eu-central-1`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionName(Box<str>);

/// Limits of time and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsLimits {
    /// How long a connection may take to come up.
    pub connect: Duration,
    /// How long one attempt may take, and before it, if need be, one asking for credentials.
    pub attempt: Duration,
    /// How long a call may take with all its attempts and waits: between them, for tokens and for
    /// credentials.
    pub operation: Duration,
    /// How often a call is tried at most, if it can have left nothing behind.
    pub attempts: NonZeroU8,
    /// How long a signature or a data key waits for a token of the rates below before it is turned
    /// away; other calls wait as long as an attempt still ends in time.
    pub wait: Duration,
    /// Signatures a second, over all keys (a quota of the account in each region).
    pub sign_per_second: NonZeroU32,
    /// Data keys made or opened a second (another quota).
    pub symmetric_per_second: NonZeroU32,
    /// Calls a second that only look: at keys when they are opened or made, at lists, at a region.
    pub look_per_second: NonZeroU32,
    /// Calls a second that change something besides; and as many for switching keys off and on, with
    /// what is looked at for it: no other call takes these.
    pub manage_per_second: NonZeroU32,
}

/// How long opened data keys of wallets are kept, and for how many keys that they seal.
///
/// Data keys of other things are not kept at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataKeyLimits {
    /// How many at once; at most 65,535.
    pub keys: NonZeroU16,
    /// For how long; zero keeps none.
    pub age: Duration,
    /// For how many wraps and unwraps; less than 2^31, for which one key of AES-GCM is good with random
    /// nonces. A data key that is opened again begins anew: how often one seals in all is at most this,
    /// times how often it was opened.
    pub uses: NonZeroU64,
}

impl KmsConfig {
    /// An account with the usual limits and keys on secp256k1 and P-256 in one region.
    ///
    /// # Errors
    /// Fails on an account that is not 12 digits.
    pub fn new(id: BackendId, account: &str, home: RegionName) -> Result<Self, KmsConfigError> {
        Ok(Self {
            id,
            account: Account::parse(account)?,
            regions: vec![home],
            algorithms: ALGORITHMS.to_vec(),
            multi_region: false,
            deletion_days: DELETION_DAYS,
            house: None,
            endpoint: None,
            limits: KmsLimits::default(),
            data_keys: DataKeyLimits::default(),
        })
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// Fails on text that is no TOML, an unknown or missing field, and a value out of its range.
    pub fn parse(text: &str) -> Result<Self, KmsConfigError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = line_of(text, &error);
            KmsConfigError::Malformed { line, field: name_on(text, line) }
        })?;
        document.try_into_config()
    }

    /// Sets where KMS is: `https`, or `http` on this machine.
    ///
    /// # Errors
    /// Fails on another scheme, and on `http` elsewhere.
    pub fn with_endpoint(self, url: &str) -> Result<Self, KmsConfigError> {
        check_endpoint(url)?;
        Ok(Self { endpoint: Some(url.to_owned()), ..self })
    }

    /// Checks what fields can say together and alone.
    pub(crate) fn check(&self) -> Result<(), KmsConfigError> {
        let fail = |field, expected| Err(KmsConfigError::Field { field, expected });
        self.endpoint.as_deref().map_or(Ok(()), check_endpoint)?;
        let mut regions = self.regions.clone();
        regions.sort();
        regions.dedup();
        if regions.len() != self.regions.len() || regions.is_empty() {
            return fail("regions", "at least one, each once");
        }
        if self.algorithms.contains(&Algorithm::Bip340) || self.algorithms.is_empty() {
            return fail("algorithms", "some of ecdsa-secp256k1, ecdsa-p256, ed25519");
        }
        if !(7..=30).contains(&self.deletion_days.get()) {
            return fail("deletion_days", "7 to 30");
        }
        let KmsLimits { connect, attempt, operation, .. } = self.limits;
        if connect.is_zero() || attempt < connect || operation < attempt {
            return fail("limits", "0 < connect_ms <= attempt_ms <= operation_ms");
        }
        if self.data_keys.uses.get() > USES_MAX {
            return fail("data_keys.uses", "less than 2^31");
        }
        Ok(())
    }
}

impl Account {
    /// Reads 12 digits.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, KmsConfigError> {
        if is_account(text) {
            return Ok(Self(text.into()));
        }
        Err(KmsConfigError::Field { field: "account", expected: "12 digits" })
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RegionName {
    /// Reads a name: 3 to 32 of `a-z 0-9 -`.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, KmsConfigError> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (3..=32).contains(&text.len()) && text.bytes().all(is_part) {
            return Ok(Self(text.into()));
        }
        Err(KmsConfigError::Field { field: "regions", expected: "names such as eu-central-1" })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegionName({})", self.0)
    }
}

impl Default for KmsLimits {
    /// 1.5 s to connect, 4 s an attempt, 10 s in all, 3 attempts; 300 signatures and 5,000 data keys a
    /// second, for which a call waits at most a second, 200 looks and 10 changes. AWS allows 500 to 2,000
    /// looks a second of each kind that openings and lists need, and 5 of most changes (KMS developer
    /// guide, "Request quotas").
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(1_500),
            attempt: Duration::from_secs(4),
            operation: Duration::from_secs(10),
            attempts: ATTEMPTS,
            wait: Duration::from_secs(1),
            sign_per_second: SIGN,
            symmetric_per_second: SYMMETRIC,
            look_per_second: LOOK,
            manage_per_second: MANAGE,
        }
    }
}

impl Default for DataKeyLimits {
    /// 1,024 data keys, 10 minutes, 1,000,000 uses.
    fn default() -> Self {
        Self { keys: KEYS, age: Duration::from_secs(600), uses: USES }
    }
}

/// Why a configuration is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsConfigError {
    /// A field has a value out of its range.
    #[error("{field} must be {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The text is no TOML, or has a field that is not known or of another type.
    #[error("the configuration is malformed at line {line}: `{field}`")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// The name on it, if one stands there.
        field: String,
    },
}

/// Passes `https`, or `http` and a port of this machine. With a user in it, the host is another one.
fn check_endpoint(url: &str) -> Result<(), KmsConfigError> {
    let local = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    let is_local = local.iter().any(|prefix| url.starts_with(prefix));
    let passes = !url.contains('@') && (is_local || url.starts_with("https://"));
    passes.then_some(()).ok_or(KmsConfigError::Field { field: "endpoint", expected: ENDPOINT })
}

const ALGORITHMS: [Algorithm; 2] = [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256];
const ENDPOINT: &str = "a URL with https, or with http and a port of this machine";
const DELETION_DAYS: NonZeroU8 = NonZeroU8::MIN.saturating_add(29);
const ATTEMPTS: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);
const SIGN: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);
const SYMMETRIC: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_999);
const LOOK: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
const MANAGE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
const KEYS: NonZeroU16 = NonZeroU16::MIN.saturating_add(1_023);
const USES: NonZeroU64 = NonZeroU64::MIN.saturating_add(999_999);
/// What the envelope allows of one key.
const USES_MAX: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "id = 'aws'\naccount = '111122223333'\nregions = ['eu-central-1']\n";

    #[test]
    fn the_least_document_has_the_usual_limits() {
        let config = KmsConfig::parse(LEAST).unwrap();
        let home = RegionName::parse("eu-central-1").unwrap();
        let id = BackendId::parse("aws").unwrap();
        assert_eq!(config, KmsConfig::new(id, "111122223333", home).unwrap());
    }

    #[test]
    fn the_whole_document_of_the_docs_is_read() {
        let source = include_str!("config.rs");
        let lines = source.lines().skip_while(|line| *line != "/// ```toml").skip(1);
        let lines = lines.take_while(|line| *line != "/// ```");
        let text: String =
            lines.map(|line| format!("{}\n", line.trim_start_matches('/'))).collect();
        let config = KmsConfig::parse(&text).unwrap();
        assert_eq!((config.regions.len(), config.limits), (2, KmsLimits::default()));
        assert_eq!(config.data_keys, DataKeyLimits::default());
        assert_eq!(config.house.unwrap().as_str(), "house-1");
    }

    #[test]
    fn a_data_key_seals_no_more_than_the_envelope_allows() {
        let with = |uses: u64| KmsConfig::parse(&format!("{LEAST}[data_keys]\nuses = {uses}"));
        assert_eq!(with(2_147_483_647).unwrap().data_keys.uses.get(), 2_147_483_647);
        for uses in [2_147_483_648, 4_294_967_296, u64::from(u32::MAX) << 20] {
            let error = with(uses).unwrap_err();
            assert!(error.to_string().starts_with("data_keys.uses"), "{error}");
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        for (document, field) in [
            ("", "id must be given"),
            ("id = 'aws'", "account must be given"),
            ("id = 'aws'\naccount = '111122223333'", "regions must be given"),
            ("id = ''\naccount = '111122223333'\nregions = ['eu-central-1']", "id"),
            ("id = 'aws'\naccount = '1111'\nregions = ['eu-central-1']", "account"),
            ("id = 'aws'\naccount = '111122223333'\nregions = []", "regions"),
            ("id = 'aws'\naccount = '111122223333'\nregions = ['EU']", "regions"),
            ("id = 'aws'\naccount = '111122223333'\nregions = ['eu-1', 'eu-1']", "regions"),
            (&format!("{LEAST}algorithms = []"), "algorithms"),
            (&format!("{LEAST}algorithms = ['bip340']"), "algorithms"),
            (&format!("{LEAST}deletion_days = 6"), "deletion_days"),
            (&format!("{LEAST}deletion_days = 31"), "deletion_days"),
            (&format!("{LEAST}endpoint = 'http://kms.example.org'"), "endpoint"),
            (&format!("{LEAST}endpoint = 'ftp://127.0.0.1:1'"), "endpoint"),
            (&format!("{LEAST}endpoint = 'http://127.0.0.1.example.org:1'"), "endpoint"),
            (&format!("{LEAST}endpoint = 'http://127.0.0.1:1@example.org/'"), "endpoint"),
            (&format!("{LEAST}endpoint = 'http://localhost:@example.org/'"), "endpoint"),
            (&format!("{LEAST}endpoint = 'https://kms@example.org/'"), "endpoint"),
            (&format!("{LEAST}house = ''"), "house"),
            (&format!("{LEAST}house = 'a house'"), "house"),
            (&format!("{LEAST}[limits]\nconnect_ms = 0"), "limits"),
            (&format!("{LEAST}[limits]\nattempt_ms = 1"), "limits"),
            (&format!("{LEAST}[limits]\noperation_ms = 1"), "limits"),
        ] {
            let error = KmsConfig::parse(document).unwrap_err();
            assert!(error.to_string().starts_with(field), "{field}: {error}");
        }
        let more = |text: &str| format!("{text}\n{LEAST}");
        for (document, line, field) in [
            ("id".to_owned(), 1, ""),
            (more("color = 's3cret-input'"), 1, "color"),
            (more("algorithms = ['s3cret-input']"), 1, "algorithms"),
            (more("deletion_days = 's3cret-input'"), 1, "deletion_days"),
            (more("\nmulti_region = 's3cret-input'"), 2, "multi_region"),
            (more("limits.attempts = 0"), 1, "limits.attempts"),
            (more("limits.wait = 3"), 1, "limits.wait"),
            (more("data_keys.keys = 65536"), 1, "data_keys.keys"),
            (more("czNjcmV0LWlucHV0MQ=="), 1, ""),
        ] {
            let error = KmsConfig::parse(&document).unwrap_err();
            let expected = KmsConfigError::Malformed { line, field: field.to_owned() };
            assert_eq!(error, expected, "{document}");
        }
    }
}
