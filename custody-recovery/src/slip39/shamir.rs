//! Shamir's scheme over GF(256) as the standard uses it. This file opens secrets.
//!
//! Each byte is shared by a polynomial of its own. The secret stands at 255, and at 254 a digest of
//! it, so that shares which do not belong together are found out; members stand at 0 to 15.
//!
//! Invariant: only where points stand, which every share says openly, decides what is done. Their
//! values meet nothing but the constant-time arithmetic of `vsss-rs`.

use std::collections::BTreeMap;

use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use vsss_rs::Gf256;
use vsss_rs::elliptic_curve::ff::Field as _;

/// Values of polynomials, by where they stand. All have the same length.
pub(crate) type Points<'a> = BTreeMap<u8, &'a Secret>;

/// The points do not give what was split: one of them is of another polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigestMismatch;

/// Splits a secret of more than four bytes into `count` values, at 0, 1, 2 and so on, of which any
/// `threshold` give it again (SLIP-39, "SplitSecret").
pub(crate) fn split(
    threshold: u8,
    count: u8,
    secret: &Secret,
    entropy: &dyn Entropy,
) -> Result<Vec<Secret>, EntropyError> {
    let Some(drawn) = threshold.checked_sub(2) else {
        return Ok((0..count).map(|_| copy(secret)).collect());
    };
    let draw = |_| Secret::try_fill(secret.len(), |bytes| entropy.fill(bytes));
    let mut values = (0..drawn).map(draw).collect::<Result<Vec<_>, _>>()?;
    let digest = draw_digest(secret, entropy)?;
    let mut points: Points<'_> = (0..).zip(&values).collect();
    points.extend([(DIGEST_AT, &digest), (SECRET_AT, secret)]);
    let others: Vec<_> = (drawn..count).map(|at| interpolate(&points, at)).collect();
    values.extend(others);
    Ok(values)
}

/// The secret out of as many points as its threshold says (SLIP-39, "RecoverSecret").
pub(crate) fn recover(points: &Points<'_>) -> Result<Secret, DigestMismatch> {
    let secret = interpolate(points, SECRET_AT);
    if points.len() < 2 {
        return Ok(secret);
    }
    let digest = interpolate(points, DIGEST_AT);
    let (stated, random) = digest.expose().split_at_checked(DIGEST_LENGTH).ok_or(DigestMismatch)?;
    let is_right: bool = stated.ct_eq(&digest_of(&secret, random)).into();
    if is_right { Ok(secret) } else { Err(DigestMismatch) }
}

/// Whether a further value stands where the polynomials through these points have it.
pub(crate) fn agrees(points: &Points<'_>, at: u8, value: &Secret) -> bool {
    interpolate(points, at).expose().ct_eq(value.expose()).into()
}

/// The values at `at` of the polynomials of lowest degree through these points.
fn interpolate(points: &Points<'_>, at: u8) -> Secret {
    let length = points.values().map(|value| value.len()).min().unwrap_or(0);
    let mut result = vec![0; length];
    for (here, value) in points {
        let weight = weight(points, *here, at);
        for (sum, byte) in result.iter_mut().zip(value.expose()) {
            *sum ^= times(weight, Gf256(*byte)).0;
        }
    }
    Secret::new(result)
}

/// How much the point at `here` counts for the value at `at`: its basis polynomial (Lagrange).
fn weight(points: &Points<'_>, here: u8, at: u8) -> Gf256 {
    let others = points.keys().filter(|other| **other != here);
    let (above, below) = others.fold((Gf256::ONE, Gf256::ONE), |(above, below), other| {
        (times(above, Gf256(at ^ other)), times(below, Gf256(here ^ other)))
    });
    // Points stand apart, as keys of a map, and so the divisor is never zero.
    times(above, below.invert().unwrap_or(Gf256::ZERO))
}

#[expect(clippy::arithmetic_side_effects, reason = "products in a finite field do not overflow")]
fn times(one: Gf256, other: Gf256) -> Gf256 {
    one * other
}

/// A random value that begins with the digest of the secret under the rest of it.
fn draw_digest(secret: &Secret, entropy: &dyn Entropy) -> Result<Secret, EntropyError> {
    Secret::try_fill(secret.len(), |bytes| {
        let (digest, random) =
            bytes.split_at_mut_checked(DIGEST_LENGTH).ok_or_else(EntropyError::new)?;
        entropy.fill(random)?;
        digest.copy_from_slice(&digest_of(secret, random));
        Ok(())
    })
}

fn digest_of(secret: &Secret, random: &[u8]) -> [u8; DIGEST_LENGTH] {
    let mut digest = [0; DIGEST_LENGTH];
    // HMAC takes keys of every length.
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(random) {
        let full = mac.chain_update(secret.expose()).finalize().into_bytes();
        for (short, long) in digest.iter_mut().zip(full) {
            *short = long;
        }
    }
    digest
}

fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}

const SECRET_AT: u8 = 255;
const DIGEST_AT: u8 = 254;
const DIGEST_LENGTH: usize = 4;

#[cfg(test)]
mod tests;
