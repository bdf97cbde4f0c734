//! The cipher under the passphrase: four Feistel rounds of PBKDF2. This file opens secrets.
//!
//! Invariant: it has no check of its own. Every passphrase decrypts, each to another secret.

use custody_core::secret::Secret;
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::share::Parameters;

/// What a set encrypts its secret with.
pub(crate) struct Cipher<'a> {
    passphrase: &'a Secret,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> Cipher<'a> {
    /// The cipher of a set under this passphrase.
    pub(crate) fn new(
        passphrase: &'a Secret,
        parameters: &Parameters,
    ) -> Result<Self, PassphraseError> {
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
        if let Some(index) = passphrase.expose().iter().position(|byte| !is_printable(byte)) {
            return Err(PassphraseError { position: index.saturating_add(1) });
        }
        // Shares of an extendable set differ in their identifiers and are of one secret.
        let salt = if parameters.is_extendable {
            Vec::new()
        } else {
            [SALT, &parameters.identifier.to_be_bytes()].concat()
        };
        let iterations = ITERATIONS << u32::from(parameters.iteration_exponent & 0xf);
        Ok(Self { passphrase, salt, iterations })
    }

    /// Encrypts a secret of an even number of bytes (SLIP-39, "Encryption of the master secret").
    pub(crate) fn encrypt(&self, secret: &Secret) -> Secret {
        self.rounds(secret, [0, 1, 2, 3])
    }

    /// Takes [`Self::encrypt`] back.
    pub(crate) fn decrypt(&self, secret: &Secret) -> Secret {
        self.rounds(secret, [3, 2, 1, 0])
    }

    fn rounds(&self, secret: &Secret, rounds: [u8; 4]) -> Secret {
        let middle = secret.len().div_ceil(2);
        let (left, right) = secret.expose().split_at_checked(middle).unwrap_or_default();
        let mut left = Zeroizing::new(left.to_vec());
        let mut right = Zeroizing::new(right.to_vec());
        for round in rounds {
            for (byte, mask) in left.iter_mut().zip(self.round(round, &right).iter()) {
                *byte ^= mask;
            }
            std::mem::swap(&mut left, &mut right);
        }
        Secret::new([right.as_slice(), left.as_slice()].concat())
    }

    fn round(&self, round: u8, half: &[u8]) -> Zeroizing<Vec<u8>> {
        let password = Zeroizing::new([&[round], self.passphrase.expose()].concat());
        let salt = Zeroizing::new([self.salt.as_slice(), half].concat());
        let mut mask = Zeroizing::new(vec![0; half.len()]);
        pbkdf2_hmac::<Sha256>(&password, &salt, self.iterations, &mut mask);
        mask
    }
}

/// The passphrase has a character that is not printable ASCII.
///
/// People type the others in different ways on different machines (SLIP-39, "Passphrase").
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {position} of the passphrase is not printable ASCII")]
#[non_exhaustive]
pub struct PassphraseError {
    /// Which byte it is, from 1.
    pub position: usize,
}

const SALT: &[u8] = b"shamir";

/// Iterations of each of the four rounds at the lowest exponent.
const ITERATIONS: u32 = 2_500;

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(identifier: u16, is_extendable: bool, iteration_exponent: u8) -> Parameters {
        let (group_threshold, group_count) = (1, 1);
        Parameters { identifier, is_extendable, iteration_exponent, group_threshold, group_count }
    }

    fn encrypted(passphrase: &[u8], parameters: &Parameters) -> Vec<u8> {
        let (passphrase, secret) = (Secret::new(passphrase.to_vec()), Secret::new(vec![7; 16]));
        let cipher = Cipher::new(&passphrase, parameters).unwrap();
        let encrypted = cipher.encrypt(&secret);
        assert!(cipher.decrypt(&encrypted).expose() == secret.expose());
        encrypted.expose().to_vec()
    }

    #[test]
    fn everything_but_the_identifier_of_an_extendable_set_changes_what_is_encrypted() {
        let usual = encrypted(b"one", &parameters(1, false, 0));
        assert_ne!(usual, encrypted(b"two", &parameters(1, false, 0)));
        assert_ne!(usual, encrypted(b"one", &parameters(2, false, 0)));
        assert_ne!(usual, encrypted(b"one", &parameters(1, true, 0)));
        assert_ne!(usual, encrypted(b"one", &parameters(1, false, 1)));
        let extendable = encrypted(b"one", &parameters(1, true, 0));
        assert_eq!(extendable, encrypted(b"one", &parameters(2, true, 0)));
    }

    #[test]
    fn iterations_double_with_each_step_of_the_exponent() {
        let passphrase = Secret::new(Vec::new());
        let iterations =
            |exponent| Cipher::new(&passphrase, &parameters(1, true, exponent)).unwrap().iterations;
        assert_eq!([0, 1, 2, 15].map(iterations), [2_500, 5_000, 10_000, 81_920_000]);
    }

    #[test]
    fn a_passphrase_is_printable_ascii() {
        let parameters = parameters(1, true, 0);
        let error = |text: &str| {
            let passphrase = Secret::new(text.into());
            Cipher::new(&passphrase, &parameters).err().map(|error| error.position)
        };
        assert_eq!(error(" ~ horse"), None);
        for (text, position) in
            [("\u{7f}", 1), ("horse\n", 6), ("h\u{f6}rse", 2), ("\0", 1), ("a\tb", 2)]
        {
            assert_eq!(error(text), Some(position), "{text:?}");
        }
    }
}
