//! Secret bytes, wiped when dropped. This file opens secrets.
//!
//! Invariant: a secret is moved, never copied; it cannot be printed, cloned, compared or
//! serialised.

use zeroize::{Zeroize, Zeroizing};

/// Secret bytes: wiped on drop.
///
/// It has no `Debug`, `Clone`, `PartialEq`, `Display` or `Serialize`, and a test keeps it so.
#[expect(missing_debug_implementations, reason = "a secret cannot be printed")]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes over. Spare capacity of the vector is wiped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let bytes = Zeroizing::new(bytes);
        let mut boxed = vec![0; bytes.len()].into_boxed_slice();
        boxed.copy_from_slice(&bytes);
        Self(boxed)
    }

    /// Makes a secret of `length` bytes that `fill` writes in place.
    ///
    /// # Errors
    /// Fails if `fill` fails; what it wrote is wiped.
    pub fn try_fill<E>(
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secret = Self(vec![0; length].into_boxed_slice());
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// The one door to the bytes.
    ///
    /// # Security
    /// Call it in the smallest possible scope, in a file whose module doc says "opens secrets".
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
