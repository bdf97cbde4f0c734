//! The PIN of a token's user. Opens secrets.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cryptoki::types::AuthPin;
use custody_core::secret::Secret;
use custody_hsm::PinSource;
use zeroize::Zeroizing;

use crate::bare::BareError;

/// A PIN: 1 to 255 bytes of UTF-8.
#[derive(Clone)]
pub struct Pin(Arc<Secret>);

impl Pin {
    /// The first line of a file.
    pub fn read(path: &Path) -> Result<Self, BareError> {
        let bytes = std::fs::read(path).map_err(|error| BareError::Pin {
            what: format!("the file {} cannot be read: {}", path.display(), error.kind()),
        })?;
        let whole = Secret::new(bytes);
        let line = whole.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        Self::new(Secret::new(line), &path.display().to_string())
    }

    /// The value of an environment variable.
    pub fn of_variable(name: &str) -> Result<Self, BareError> {
        let value = std::env::var_os(name).ok_or_else(|| BareError::Pin {
            what: format!("there is no file, and the environment variable {name} is not set"),
        })?;
        Self::new(Secret::new(value.into_encoded_bytes()), name)
    }

    fn new(bytes: Secret, place: &str) -> Result<Self, BareError> {
        match bytes.expose().len() {
            1..=PIN_MAX if std::str::from_utf8(bytes.expose()).is_ok() => Ok(Self(Arc::new(bytes))),
            _ => {
                let what = format!("what {place} holds is not 1 to 255 bytes of UTF-8");
                Err(BareError::Pin { what })
            }
        }
    }

    /// The PIN for a backend.
    #[must_use]
    pub fn source(&self) -> PinSource {
        let pin = self.clone();
        PinSource::Callback(Arc::new(move || Some(Secret::new(pin.0.expose().to_vec()))))
    }

    /// The PIN for a login.
    pub(crate) fn login(&self) -> AuthPin {
        let text = std::str::from_utf8(self.0.expose()).unwrap_or_default();
        let text = Zeroizing::new(text.to_owned());
        AuthPin::from(text.as_str())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").finish_non_exhaustive()
    }
}

const PIN_MAX: usize = 255;
