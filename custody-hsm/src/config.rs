//! Which module, which token, which PIN, and how much of it. Opens secrets.

use std::fmt;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody_core::id::BackendId;
use custody_core::secret::Secret;
use serde::Deserialize;

/// A token and how it is used.
///
/// As TOML, of which all but `id`, `module`, `token` and `pin` may be left out:
///
/// ```toml
/// id = "vault"
/// module = "/usr/lib/softhsm/libsofthsm2.so"
/// token = { label = "treasury" }          # or { serial = "31b8f6f5a1c4c2d7" }
/// pin = { file = "/run/secrets/pin" }     # or { environment = "HSM_PIN" }
/// sessions = 4
/// destroyable = false
/// wrapping = false
/// facts = "/var/lib/custody/token.json"   # what the token said at the last start
///
/// [limits]
/// sign_ms = 5000
/// generate_ms = 30000
/// waiting = 1024
/// lost_threads = 3
/// pause_ms = 30000
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HsmConfig {
    /// The backend's id.
    pub id: BackendId,
    /// The module: a shared library.
    pub module: PathBuf,
    /// Which of its tokens.
    pub token: TokenSelector,
    /// Where the PIN of the user comes from.
    pub pin: PinSource,
    /// How many sessions sign at once.
    pub sessions: NonZeroU8,
    /// How long calls may take, and how many of them wait.
    pub limits: HsmLimits,
    /// Whether keys may be destroyed in the token (`CKA_DESTROYABLE`): those that sign, and those
    /// that encrypt data keys or wrap keys.
    pub destroyable: bool,
    /// Whether keys that were made exportable may be wrapped and brought back.
    pub wrapping: bool,
    /// A file that keeps what the token says about itself from one start to the next.
    pub facts: Option<PathBuf>,
}

/// A token is named by its label or serial number. Numbers of slots change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "tokens have no other names")]
pub enum TokenSelector {
    /// `CK_TOKEN_INFO.label`, without the spaces behind it.
    Label(String),
    /// `CK_TOKEN_INFO.serialNumber`, without the spaces behind it.
    Serial(String),
}

/// Where the PIN comes from. It is read at each login and wiped.
#[derive(Clone)]
#[non_exhaustive]
pub enum PinSource {
    /// A function of the host.
    Callback(Arc<dyn Fn() -> Option<Secret> + Send + Sync>),
    /// An environment variable with this name.
    Environment(String),
    /// The first line of a file.
    File(PathBuf),
}

/// Limits of time and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HsmLimits {
    /// How long a signature or a look at a key may take once it is begun.
    pub sign: Duration,
    /// How long the making, wrapping or unwrapping of a key may take, and opening.
    pub generate: Duration,
    /// How many calls may wait.
    pub waiting: u16,
    /// After how many threads that never came back nothing is tried for [`Self::pause`].
    pub lost_threads: u8,
    /// How long nothing is tried then.
    pub pause: Duration,
}

impl HsmConfig {
    /// A token with four sessions and the usual limits.
    #[must_use]
    pub fn new(id: BackendId, module: PathBuf, token: TokenSelector, pin: PinSource) -> Self {
        Self {
            id,
            module,
            token,
            pin,
            sessions: SESSIONS,
            limits: HsmLimits::default(),
            destroyable: false,
            wrapping: false,
            facts: None,
        }
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// Fails on text that is no TOML, an unknown or missing field, and a value out of its range.
    pub fn parse(text: &str) -> Result<Self, HsmConfigError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let (line, name) = place_of(text, error.span());
            let message = message_of(name, error.message()).to_owned();
            HsmConfigError::Text { line, name: name.to_owned(), message }
        })?;
        let id = BackendId::parse(&document.id).map_err(|_| HsmConfigError::field("id"))?;
        let Some(sessions) = NonZeroU8::new(document.sessions.unwrap_or(SESSIONS.get())) else {
            return Err(HsmConfigError::field("sessions"));
        };
        let pin = match document.pin {
            PinDocument::Environment(name) => PinSource::Environment(name),
            PinDocument::File(path) => PinSource::File(path),
        };
        Ok(Self {
            id,
            module: document.module,
            token: document.token,
            pin,
            sessions,
            limits: document.limits.limits()?,
            destroyable: document.destroyable,
            wrapping: document.wrapping,
            facts: document.facts,
        })
    }
}

impl Default for HsmLimits {
    fn default() -> Self {
        Self {
            sign: Duration::from_secs(5),
            generate: Duration::from_secs(30),
            waiting: 1_024,
            lost_threads: 3,
            pause: Duration::from_secs(30),
        }
    }
}

impl PinSource {
    /// The PIN: 1 to 255 bytes of UTF-8.
    pub(crate) fn read(&self) -> Result<Secret, PinError> {
        let bytes = match self {
            Self::Callback(callback) => callback().ok_or(PinError::Callback)?,
            Self::Environment(name) => {
                let value = std::env::var_os(name);
                let value = value.ok_or_else(|| PinError::Environment { name: name.clone() })?;
                Secret::new(value.into_encoded_bytes())
            }
            Self::File(path) => read_line(path)?,
        };
        let is_text = std::str::from_utf8(bytes.expose()).is_ok();
        match bytes.expose().len() {
            1..=PIN_MAX if is_text => Ok(bytes),
            _ => Err(PinError::Form),
        }
    }
}

fn read_line(path: &Path) -> Result<Secret, PinError> {
    let read = std::fs::read(path);
    let bytes = read.map_err(|error| PinError::File { path: path.into(), kind: error.kind() })?;
    let whole = Secret::new(bytes);
    let line = whole.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

impl fmt::Debug for PinSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback(_) => f.write_str("Callback"),
            Self::Environment(name) => f.debug_tuple("Environment").field(name).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HsmConfigError {
    /// A value is out of its range.
    #[error("the field `{field}` is out of its range")]
    Field {
        /// The field.
        field: &'static str,
    },
    /// The text is no such TOML.
    #[error("the configuration is malformed at line {line}, `{name}`: {message}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// The name before its `=`, or nothing if none stands there.
        name: String,
        /// What is wrong with it; no value, and no name but that of a field.
        message: String,
    },
}

/// The line that a reader stopped at, and the name on it; nothing where anything else stands there.
fn place_of(text: &str, span: Option<std::ops::Range<usize>>) -> (usize, &str) {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    let lines = before.matches('\n').count();
    let line = text.lines().nth(lines).unwrap_or_default();
    let (name, value) = line.split_once('=').unwrap_or_default();
    let (name, value) = (name.trim(), value.trim());
    // Encoded bytes end in `=`.
    let has_value = !value.is_empty() && !value.starts_with('=');
    let name = if has_value && is_name(name) { name } else { "" };
    (lines.saturating_add(1), name)
}

/// What a reader says, as far as it can tell nobody a PIN: whoever writes the PIN itself must not find
/// it in a log.
fn message_of<'a>(name: &str, said: &'a str) -> &'a str {
    const PIN: &str = "a pin is a file or an environment variable: { file = … }";
    const OTHER: &str = "no TOML, a field that is not known, or a value of another type";
    let unknown = ["unknown field `", "unknown variant `"]
        .iter()
        .find_map(|start| said.strip_prefix(start).and_then(|rest| rest.split('`').next()));
    if said.starts_with("missing field `") {
        said
    } else if ["pin", "file", "environment"].contains(&name) || name.starts_with("pin.") {
        PIN
    } else if ["limits", "token"].contains(&name) && unknown.is_some_and(is_name) {
        said
    } else {
        OTHER
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
}

impl HsmConfigError {
    const fn field(field: &'static str) -> Self {
        Self::Field { field }
    }
}

/// Why there is no PIN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The host's function gave none.
    #[error("the callback gave no PIN")]
    Callback,
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set")]
    Environment {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    #[error("the file {path} cannot be read: {kind}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// It is empty, too long, or no UTF-8.
    #[error("the PIN is not 1 to 255 bytes of UTF-8")]
    Form,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    module: PathBuf,
    token: TokenSelector,
    pin: PinDocument,
    sessions: Option<u8>,
    #[serde(default)]
    limits: LimitsDocument,
    #[serde(default)]
    destroyable: bool,
    #[serde(default)]
    wrapping: bool,
    facts: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PinDocument {
    Environment(String),
    File(PathBuf),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsDocument {
    sign_ms: Option<u64>,
    generate_ms: Option<u64>,
    waiting: Option<u16>,
    lost_threads: Option<u8>,
    pause_ms: Option<u64>,
}

impl LimitsDocument {
    fn limits(&self) -> Result<HsmLimits, HsmConfigError> {
        let usual = HsmLimits::default();
        let time = |value: Option<u64>, usual, field| match value {
            None => Ok(usual),
            Some(millis @ 1..=MILLIS_MAX) => Ok(Duration::from_millis(millis)),
            Some(_) => Err(HsmConfigError::field(field)),
        };
        let limits = HsmLimits {
            sign: time(self.sign_ms, usual.sign, "limits.sign_ms")?,
            generate: time(self.generate_ms, usual.generate, "limits.generate_ms")?,
            waiting: self.waiting.unwrap_or(usual.waiting),
            lost_threads: self.lost_threads.unwrap_or(usual.lost_threads),
            pause: time(self.pause_ms, usual.pause, "limits.pause_ms")?,
        };
        if limits.waiting == 0 {
            return Err(HsmConfigError::field("limits.waiting"));
        }
        if limits.lost_threads == 0 {
            return Err(HsmConfigError::field("limits.lost_threads"));
        }
        Ok(limits)
    }
}

const SESSIONS: NonZeroU8 = NonZeroU8::MIN.saturating_add(3);
const PIN_MAX: usize = 255;
/// An hour.
const MILLIS_MAX: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        id = "vault"
        module = "/lib/module.so"
        token = { label = "treasury" }
        pin = { file = "/run/pin" }
    "#;

    #[test]
    fn what_is_left_out_is_as_usual() {
        let config = HsmConfig::parse(LEAST).unwrap();
        assert_eq!(config.sessions.get(), 4);
        assert_eq!(config.limits, HsmLimits::default());
        assert_eq!(config.token, TokenSelector::Label("treasury".into()));
        assert!(!config.destroyable);
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
            id = "vault"
            module = "/lib/module.so"
            token = { serial = "0001" }
            pin = { environment = "PIN" }
            sessions = 1
            destroyable = true
            [limits]
            sign_ms = 1
            generate_ms = 2
            waiting = 3
            lost_threads = 4
            pause_ms = 5
        "#;
        let config = HsmConfig::parse(text).unwrap();
        assert_eq!(config.token, TokenSelector::Serial("0001".into()));
        assert!(matches!(&config.pin, PinSource::Environment(name) if name == "PIN"));
        let limits = config.limits;
        let millis = [limits.sign, limits.generate, limits.pause].map(|limit| limit.as_millis());
        assert_eq!((millis, limits.waiting, limits.lost_threads), ([1, 2, 5], 3, 4));
        assert!(config.destroyable);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("sessions = 0", "sessions"),
            ("sessions = 256", "sessions"),
            ("slot = 3", "slot"),
            ("id = \"\"", "id"),
            ("limits = { sign_ms = 0 }", "limits.sign_ms"),
            ("limits = { generate_ms = 3600001 }", "limits.generate_ms"),
            ("limits = { pause_ms = 0 }", "limits.pause_ms"),
            ("limits = { waiting = 0 }", "limits.waiting"),
            ("limits = { lost_threads = 0 }", "limits.lost_threads"),
            ("limits = { sign = 1 }", "sign"),
            ("pin = { word = \"x\" }", "pin"),
            ("token = { slot = 1 }", "slot"),
        ] {
            let field = line.split_once(' ').unwrap().0;
            let kept: Vec<_> =
                LEAST.lines().filter(|one| !one.trim_start().starts_with(field)).collect();
            let text = format!("{}\n{line}", kept.join("\n"));
            let error = HsmConfig::parse(&text).unwrap_err();
            assert!(error.to_string().contains(named), "{line}: {error}");
        }
        for field in ["id", "module", "token", "pin"] {
            let kept: Vec<_> =
                LEAST.lines().filter(|one| !one.trim_start().starts_with(field)).collect();
            let error = HsmConfig::parse(&kept.join("\n")).unwrap_err();
            assert!(error.to_string().contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn a_pin_in_the_configuration_itself_is_not_told() {
        for pin in [
            "pin = \"0451-in-the-clear\"",
            "pin = 4510451",
            "pin = { file = 4510451 }",
            "pin 0451-in-the-clear",
            "[pin]\nfile = 4510451",
            "pin = { environment = [\"0451-in-the-clear\"] }",
            "\"pin\" = \"0451-in-the-clear\"",
            "[pin]\n\"file\" = 4510451",
            "pin \"0451-in-the-clear==\"",
            "pin 0451 = 1",
            "pin = 0451_in",
            "'0451' = 1",
            "token = \"0451\"",
        ] {
            let text = LEAST.replace("pin = { file = \"/run/pin\" }", pin);
            let error = HsmConfig::parse(&text).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("0451"), "{told}");
        }
    }

    #[test]
    fn a_pin_is_the_first_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        for (bytes, pin) in [
            (&b"pin-in-a-file-5b"[..], Ok(&b"pin-in-a-file-5b"[..])),
            (b"pin-in-a-file-5b\n", Ok(b"pin-in-a-file-5b")),
            (b"pin-in-a-file-5b\r\nmore", Ok(b"pin-in-a-file-5b")),
            (b" pin in a file 5b ", Ok(b" pin in a file 5b ")),
            (b"", Err(PinError::Form)),
            (b"\npin-in-a-file-5b", Err(PinError::Form)),
            (b"\xff", Err(PinError::Form)),
            (&[b'1'; 256], Err(PinError::Form)),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let read = PinSource::File(path.clone()).read();
            assert_eq!(read.as_ref().map(Secret::expose).map_err(Clone::clone), pin);
        }
        let missing = PinSource::File(folder.path().join("none")).read();
        assert!(matches!(missing, Err(PinError::File { kind: std::io::ErrorKind::NotFound, .. })));
        let none = PinSource::Environment("CUSTODY_HSM_NO_SUCH_PIN".into()).read();
        assert!(matches!(none, Err(PinError::Environment { .. })));
        let none = PinSource::Callback(Arc::new(|| None)).read();
        assert!(matches!(none, Err(PinError::Callback)));
    }
}
