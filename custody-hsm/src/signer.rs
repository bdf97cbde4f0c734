//! One key of a token, as a signer.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::seam::{BackendError, ErrorKind, Signer};

use crate::fault::{Effect, Fault};
use crate::pool::{Call, Pool};
use crate::seat::Seat;
use crate::token::Tag;

/// A key that a token holds.
#[derive(Debug)]
pub(crate) struct HsmSigner {
    pub(crate) pool: Arc<Pool>,
    pub(crate) tag: Tag,
    pub(crate) public_key: PublicKey,
}

#[async_trait]
impl Signer for HsmSigner {
    fn algorithm(&self) -> Algorithm {
        self.public_key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let algorithm = self.algorithm();
        let unsupported = || BackendError::new(ErrorKind::Unsupported, SIGN);
        let signed = match (input, algorithm.signs_prehash()) {
            // Modules sign digests of any length: the type says that these are 32 bytes.
            (SignInput::Prehash(digest), true) => self.ask(*digest).await,
            (SignInput::Message(message), false) if message.len() <= MESSAGE_MAX => {
                self.ask(message.to_vec()).await
            }
            _ => return Err(unsupported()),
        };
        signed.map_err(|fault| fault.into_error(SIGN))
    }
}

impl HsmSigner {
    /// A digest is part of the call's memory, and so is the signature: what the module made of it
    /// is read where it was made (see [`crate::answers`]).
    async fn ask(&self, input: impl AsRef<[u8]> + Send + 'static) -> Result<Signature, Fault> {
        let (tag, algorithm) = (self.tag, self.public_key.algorithm());
        let call = Call { limit: self.pool.limits().sign, effect: Effect::Some };
        let sign = move |seat: &mut Seat| {
            let bytes = seat.sign(&tag, algorithm, input.as_ref())?;
            read(algorithm, &bytes).ok_or_else(|| {
                Fault::found(ErrorKind::Corrupt, "the module's answer is no signature")
            })
        };
        self.pool.call(call, sign).await
    }
}

/// A signature as modules write it: two numbers of 32 bytes, or DER.
pub(crate) fn read(algorithm: Algorithm, bytes: &[u8]) -> Option<Signature> {
    Signature::from_bytes(algorithm, bytes).or_else(|_| Signature::from_der(algorithm, bytes)).ok()
}

const SIGN: &str = "sign";
/// Longest message of Ed25519, in bytes.
const MESSAGE_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_signature_are_read_and_others_refused() {
        let fixed = [[0x11; 32], [0x22; 32]].concat();
        let der = [&[0x30, 0x44, 0x02, 0x20][..], &[0x11; 32], &[0x02, 0x20], &[0x22; 32]].concat();
        let algorithm = Algorithm::EcdsaSecp256k1;
        let one = read(algorithm, &fixed).unwrap();
        assert_eq!(read(algorithm, &der), Some(one));
        for bytes in [&fixed[..63], &[], &der[..69], &[0; 64], &[0xff; 64]] {
            assert_eq!(read(algorithm, bytes), None);
        }
        assert_eq!(read(Algorithm::Ed25519, &der), None);
    }
}
