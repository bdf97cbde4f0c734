//! A key that is nobody's: made in a session, gone with it, and there to show that a token signs.
//!
//! Invariant: it lives in no token, and what it signs is read by no chain.

use cryptoki::error::RvError;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{ErrorKind, Exportability};

use crate::fault::Fault;
use crate::module::Module;
use crate::object::{self, Place, Wanted};
use crate::token::Tag;

/// A key of a session.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    public_key: PublicKey,
    private: ObjectHandle,
    public: ObjectHandle,
}

impl Canary {
    /// Makes one; it ends with the session.
    pub(crate) fn make(
        session: &Session,
        module: &Module,
        algorithm: Algorithm,
    ) -> Result<Self, Fault> {
        let tag = Tag(*Digest::tagged("custody/hsm/canary/v1", &[]).as_bytes());
        let (label, exportability) = ("custody canary".to_owned(), Exportability::Never);
        let wanted = Wanted { tag, label, algorithm, exportability, destroyable: true };
        let (public, private) = {
            let _alone = module.objects()?;
            object::make(session, &wanted, Place::Session)?
        };
        let public_key = object::point_of(session, public, algorithm)?;
        Ok(Self { public_key, private, public })
    }

    /// Signs, and looks whether it is a signature.
    pub(crate) fn sing(&self, session: &Session) -> Result<(), Fault> {
        prove(session, self.private, &self.public_key, "canary")
    }

    /// Takes it out of its session before that ends.
    pub(crate) fn end(self, session: &Session) -> Result<(), Fault> {
        session.destroy_object(self.private).map_err(Fault::read)?;
        session.destroy_object(self.public).map_err(Fault::read)
    }
}

/// Whether keys of this algorithm can be made and sign. `Unsupported` says that they cannot; a
/// token that makes no keys in sessions is not asked.
pub(crate) fn probe(session: &Session, module: &Module, algorithm: Algorithm) -> Result<(), Fault> {
    let tried = Canary::make(session, module, algorithm).and_then(|canary| {
        canary.sing(session)?;
        canary.end(session)
    });
    match tried {
        Err(fault) if is_about_sessions(&fault) => Ok(()),
        tried => tried,
    }
}

/// Whether a module refused to make a key in a session, whatever its curve.
pub(crate) const fn is_about_sessions(fault: &Fault) -> bool {
    matches!(
        fault.answer(),
        Some(
            RvError::AttributeReadOnly
                | RvError::AttributeValueInvalid
                | RvError::TemplateIncomplete
                | RvError::TemplateInconsistent
        )
    )
}

/// Whether a key of a token signs under a public key. What is signed is nothing that any chain
/// reads.
pub(crate) fn prove(
    session: &Session,
    key: ObjectHandle,
    public_key: &PublicKey,
    purpose: &'static str,
) -> Result<(), Fault> {
    let another = || Fault::found(ErrorKind::Corrupt, "the key does not sign as it should");
    let algorithm = public_key.algorithm();
    let parts = [purpose.as_bytes(), public_key.as_bytes()];
    let digest = *Digest::tagged("custody/hsm/proof/v1", &parts).as_bytes();
    let mechanism = object::signing(algorithm).ok_or_else(another)?;
    let signed = session.sign(&mechanism, key, &digest).map_err(Fault::read)?;
    let signature = Signature::from_bytes(algorithm, &signed).map_err(|_| another())?;
    let input = match algorithm.signs_prehash() {
        true => SignInput::Prehash(&digest),
        false => SignInput::Message(&digest),
    };
    signature.checked(public_key, input).map(drop).map_err(|_| another())
}
