//! SLIP-39: a secret as words for several people, of whom some together have it again. This file
//! opens secrets.
//!
//! A master secret is encrypted under a passphrase, split among groups, and each group's part among
//! its members. A group has its part again when as many of its members come as its threshold says,
//! and the secret is there when as many groups as the group threshold are complete. What a member
//! holds is a [`Share`]: 20 words for 128 bits, 33 for 256.
//!
//! This is the format of the standard ("SLIP-0039: Shamir's Secret-Sharing for Mnemonic Codes") in
//! full, with the English words that are its only ones. Arithmetic in GF(256) is that of `vsss-rs`,
//! which has no tables; words are looked up by comparing them with all 1024.
//!
//! Where this differs from the standard:
//!
//! - The standard wants exactly as many shares as the thresholds say. [`combine`] also takes more,
//!   if all of them agree: whoever brings five shares where three are enough wants to hear about
//!   the one that is wrong. Shares of a group that is not needed and not complete cannot be
//!   checked, and are refused ([`CombineError::TooManyGroups`]).
//! - Master secrets have [`MASTER_SECRET_MIN`] to [`MASTER_SECRET_MAX`] bytes, an even number. The
//!   standard sets no upper bound; this is that of a seed of BIP-32.
//! - A passphrase with other characters than printable ASCII is refused. The standard says only
//!   that there should be none.
//!
//! What the standard does not give: a wrong passphrase is no error. It yields another secret, so
//! that nobody can tell that there is a passphrase at all. Whoever combines must have something to
//! hold the secret against, such as a public key. And a share can be told to be wrong only by a
//! commitment to it that was made when it was handed out, or by more shares than are needed.
//!
//! **Invariant:** nothing here keeps, prints or stores a secret, and no error carries a word. What
//! depends on secret bytes is computed without branches and without indices, but for two things
//! that any reader of words shows: how many words there are and how long each of them is.

mod bits;
mod checksum;
mod cipher;
mod scheme;
mod set;
mod shamir;
mod share;
mod words;

pub use cipher::PassphraseError;
pub use scheme::{GroupScheme, Scheme, SchemeError};
pub use set::{CombineError, Difference, GroupProgress, Progress};
pub use share::{Share, ShareError};

use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;

use cipher::Cipher;
use set::Set;
use share::{Parameters, Place};

/// The shortest master secret, in bytes.
pub const MASTER_SECRET_MIN: usize = 16;

/// The longest master secret, in bytes.
pub const MASTER_SECRET_MAX: usize = 64;

/// Splits a master secret into shares: one list for each group, in the order of the scheme, with
/// one share for each member.
///
/// Each call draws anew: shares of two calls never belong together, though both sets give the same
/// secret. An empty passphrase is the usual one.
///
/// # Examples
/// ```
/// # use custody_core::seam::{Entropy, EntropyError};
/// # use custody_core::secret::Secret;
/// # #[derive(Debug)]
/// # struct SystemEntropy;
/// # impl Entropy for SystemEntropy {
/// #     fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
/// #         getrandom::fill(bytes).map_err(|_| EntropyError::new())
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let entropy = SystemEntropy;
/// use custody_recovery::slip39::{GroupScheme, Scheme, combine, split};
///
/// let secret = Secret::try_fill(32, |bytes| entropy.fill(bytes))?;
/// let passphrase = Secret::new(Vec::new());
///
/// // Two of three directors, and three of five of the bank's officers: both groups are needed.
/// let groups = vec![GroupScheme::new(2, 3)?, GroupScheme::new(3, 5)?];
/// let shares = split(&secret, &passphrase, &Scheme::new(2, groups)?, &entropy)?;
///
/// let words = shares[0][0].to_words(); // 33 words for the first director
/// # assert_eq!(words.expose().split(|byte| *byte == b' ').count(), 33);
///
/// let mut groups = shares.into_iter();
/// let (directors, officers) = (groups.next().unwrap(), groups.next().unwrap());
/// let brought = directors.into_iter().skip(1).chain(officers.into_iter().take(3));
/// let brought: Vec<_> = brought.collect();
/// let recovered = combine(&brought, &passphrase)?;
/// assert!(recovered.expose() == secret.expose());
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails for a secret of another length than the standard allows, for a passphrase that is not
/// printable ASCII, and if the source of randomness fails.
///
/// # Security
/// The secret is as safe as the shares are apart: whoever sees enough of them has it. The digest
/// that lets [`combine`] find wrong shares hangs on four bytes of each polynomial, so that for
/// these bytes fewer shares than the threshold say nothing only if HMAC-SHA256 says nothing.
pub fn split(
    master: &Secret,
    passphrase: &Secret,
    scheme: &Scheme,
    entropy: &dyn Entropy,
) -> Result<Vec<Vec<Share>>, SplitError> {
    let length = master.len();
    let is_allowed = (MASTER_SECRET_MIN..=MASTER_SECRET_MAX).contains(&length);
    if !is_allowed || !length.is_multiple_of(2) {
        return Err(SplitError::Length { length });
    }
    let parameters = scheme.parameters(draw_identifier(entropy)?);
    let encrypted = Cipher::new(passphrase, &parameters)?.encrypt(master);
    let (threshold, groups) = (parameters.group_threshold, scheme.groups());
    let parts = shamir::split(threshold, parameters.group_count, &encrypted, entropy)?;
    let split_part = |((group_index, group), part): ((u8, &GroupScheme), Secret)| {
        let place = Place { group_index, member_index: 0, member_threshold: group.threshold() };
        split_group(
            parameters,
            place,
            shamir::split(group.threshold(), group.count(), &part, entropy),
        )
    };
    (0_u8..).zip(groups).zip(parts).map(split_part).collect()
}

/// Gives the shares of one group their places.
fn split_group(
    parameters: Parameters,
    place: Place,
    values: Result<Vec<Secret>, EntropyError>,
) -> Result<Vec<Share>, SplitError> {
    let share =
        |(member_index, value)| Share::new(parameters, Place { member_index, ..place }, value);
    Ok((0_u8..).zip(values?).map(share).collect())
}

/// A random identifier of 15 bits.
fn draw_identifier(entropy: &dyn Entropy) -> Result<u16, EntropyError> {
    let mut bytes = [0; 2];
    entropy.fill(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes) & 0x7fff)
}

/// Combines shares to the master secret, in any order.
///
/// More shares than needed are taken if all of them agree. The passphrase is that of [`split`].
///
/// The work is that of PBKDF2 with 10,000 rounds, doubled by each step of the iteration exponent
/// that stands in the shares: some milliseconds at 0 and some minutes at 15. Look at
/// [`Share::iteration_exponent`] first where that matters.
///
/// # Errors
/// Fails if shares do not belong together, one of them is there twice, there are too few of them or
/// too many, or they do not agree; see [`CombineError`].
///
/// # Security
/// Another passphrase gives another secret, and no error: hold the result against something that is
/// known, such as a public key or the tag of an archive, before it is used.
pub fn combine(shares: &[Share], passphrase: &Secret) -> Result<Secret, CombineError> {
    let set = Set::gather(shares)?;
    let cipher = Cipher::new(passphrase, set.parameters())?;
    set.is_enough()?;
    Ok(cipher.decrypt(&set.recover()?))
}

/// Whether shares belong together, are enough, and agree. It needs no passphrase and does no
/// stretching.
///
/// # Errors
/// As for [`combine`].
pub fn check(shares: &[Share]) -> Result<(), CombineError> {
    let set = Set::gather(shares)?;
    set.is_enough()?;
    set.recover().map(drop)
}

/// Why a secret was not split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The source of randomness failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The secret has a length that cannot be split.
    #[error(
        "a master secret has an even number of bytes, {MASTER_SECRET_MIN} to {MASTER_SECRET_MAX}; \
         this one has {length}"
    )]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// The passphrase cannot be used.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}
