//! What drills open: the software keys and the wrapped keys of an archive, from the archive alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::id::{BackendId, KeyId};
use custody_core::seam::KeyBackend;
use custody_core::secret::Secret;
use custody_recovery::archive::SecretName;
use custody_recovery::drill::DrillBackends;
use custody_recovery::restore::{Keys, MemoryFiles, Secrets};
use examples_hsm::tokens::Tokens;

use crate::Failure;
use crate::cold::{self, WRAPPED, WRAPPING};
use crate::keys::{self, PASSPHRASE, SoftKeys};

/// The folder of `keys.json` in an archive.
pub const KEYS: &str = "keys";
/// More than the files of an archive that are needed here.
const FILES_MAX: usize = 1024 * 1024;

/// Opens the backends of an archive for a drill.
#[derive(Clone, Debug, Default)]
pub struct Drilled {
    token: Option<(Tokens, String)>,
}

impl Drilled {
    /// Wrapped keys come back into this token, which is for drills only: a token that runs would have
    /// them anyway, and prove nothing about an archive.
    ///
    /// It is emptied before each drill and after it ([`Self::forget`]). Where tokens can be initialised
    /// anew, that is better still.
    #[must_use]
    pub fn with_token(tokens: &Tokens, label: &str) -> Self {
        Self { token: Some((tokens.clone(), label.to_owned())) }
    }

    /// Takes every object out of the token for drills. Whoever opened it must have let go of it.
    pub fn forget(&self) -> Result<(), Failure> {
        let Some((tokens, label)) = &self.token else { return Ok(()) };
        let bare = tokens.bare(label)?;
        for object in bare.session().find_objects(&[])? {
            bare.session().destroy_object(object)?;
        }
        Ok(())
    }

    async fn backends(
        &self,
        secrets: &mut Secrets,
        files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, Failure> {
        let mut taken = |name: &str| -> Result<Secret, Failure> {
            let missing = || format!("the archive has no secret {name}");
            Ok(secrets.take(&SecretName::parse(name)?).ok_or_else(missing)?)
        };
        let missing = "the archive does not say how its software keys are found";
        let file = files.get(&format!("{KEYS}/{}", keys::FILE)).ok_or(missing)?;
        let soft = SoftKeys::read(file.expose(), taken(PASSPHRASE)?).await?;
        let mut backends = vec![soft.backend as Arc<dyn KeyBackend>];
        if let Some((tokens, label)) = &self.token {
            // A process that died in a drill has left keys there.
            self.forget()?;
            let token = cold::open(tokens, label, &taken(WRAPPING)?).await?;
            let mut wrapped = BTreeMap::new();
            for (path, bytes) in files.iter() {
                if let Some((WRAPPED, key)) = path.as_str().split_once('/') {
                    wrapped.insert(KeyId::parse(key)?, bytes.expose().to_vec());
                }
            }
            backends.push(cold::unwrapping(token, wrapped)?);
        }
        Ok(backends.into_iter().map(|backend| (backend.id().clone(), backend)).collect())
    }
}

#[async_trait]
impl DrillBackends for Drilled {
    fn files(&self) -> MemoryFiles {
        MemoryFiles::at_most(FILES_MAX).folder(KEYS).folder(WRAPPED)
    }

    async fn open(
        &self,
        _keys: &Keys,
        secrets: &mut Secrets,
        files: &MemoryFiles,
    ) -> Result<BTreeMap<BackendId, Arc<dyn KeyBackend>>, String> {
        let told = |error: Failure| Told(error.as_ref()).to_string();
        self.backends(secrets, files).await.map_err(told)
    }
}

/// An error with its causes.
struct Told<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
