//! One key of KMS, as a signer.

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::seam::{BackendError, ErrorKind, Signer};

use crate::arn::KeyArn;
use crate::fault::Effect;
use crate::kms::{Ask, Kms, Quota};

/// A key that KMS holds.
#[derive(Debug)]
pub(crate) struct KmsSigner {
    pub(crate) kms: Kms,
    pub(crate) arn: KeyArn,
    pub(crate) public_key: PublicKey,
}

/// Why an answer to `Sign` is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum SignatureFault {
    #[error("the answer is of another key")]
    Key,
    #[error("the answer holds no signature of the algorithm")]
    Signature,
}

#[async_trait]
impl Signer for KmsSigner {
    fn algorithm(&self) -> Algorithm {
        self.public_key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let algorithm = self.algorithm();
        let unsupported = || BackendError::new(ErrorKind::Unsupported, SIGN);
        let (kind, bytes) = match (input, algorithm.signs_prehash()) {
            // The type says that these are 32 bytes. Some stand-ins would hash them once more.
            (SignInput::Prehash(digest), true) => (MessageType::Digest, digest.as_slice()),
            (SignInput::Message(message), false) if message.len() <= MESSAGE_MAX => {
                (MessageType::Raw, message)
            }
            _ => return Err(unsupported()),
        };
        let scheme = scheme(algorithm).ok_or_else(unsupported)?;
        let region = self.arn.region();
        // A second signature of one message is one more than was asked for.
        let ask = Ask { operation: SIGN, region, quota: Quota::Sign, effect: Effect::Some };
        let answer = self.kms.call(ask, |client: Client| {
            client
                .sign()
                .key_id(self.arn.as_str())
                .message_type(kind.clone())
                .message(Blob::new(bytes))
                .signing_algorithm(SigningAlgorithmSpec::from(scheme))
                .send()
        });
        let answer = answer.await.map_err(|fault| fault.into_error(SIGN, Effect::Some))?;
        let corrupt =
            |fault: SignatureFault| BackendError::new(ErrorKind::Corrupt, SIGN).with_source(fault);
        if answer.key_id() != Some(self.arn.as_str()) {
            return Err(corrupt(SignatureFault::Key));
        }
        let signature = answer.signature().and_then(|bytes| read(algorithm, bytes.as_ref()));
        signature.ok_or_else(|| corrupt(SignatureFault::Signature))
    }
}

/// The name that KMS has for a signature scheme.
const fn scheme(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => Some("ECDSA_SHA_256"),
        // Not `ED25519_PH_SHA_512`, which hashes what is hashed already.
        Algorithm::Ed25519 => Some("ED25519_SHA_512"),
        Algorithm::Bip340 | _ => None,
    }
}

/// A signature as KMS writes it: DER for ECDSA (RFC 3279, section 2.2.3), 64 bytes for Ed25519.
fn read(algorithm: Algorithm, bytes: &[u8]) -> Option<Signature> {
    if algorithm.signs_prehash() {
        return Signature::from_der(algorithm, bytes).ok();
    }
    Signature::from_bytes(algorithm, bytes).ok()
}

const SIGN: &str = "sign";
/// Longest message of `Sign`, in bytes.
const MESSAGE_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_algorithm_has_its_one_form() {
        let fixed = [[0x11; 32], [0x22; 32]].concat();
        let der = [&[0x30, 0x44, 0x02, 0x20][..], &[0x11; 32], &[0x02, 0x20], &[0x22; 32]].concat();
        for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
            assert!(read(algorithm, &der).is_some());
            for bytes in [&fixed[..], &[], &der[..69], &[0x30; 6]] {
                assert_eq!(read(algorithm, bytes), None);
            }
        }
        for bytes in [&der[..], &[], &fixed[..63]] {
            assert_eq!(read(Algorithm::Ed25519, bytes), None);
        }
    }
}
