//! Conversions that lose digits on purpose.

/// As a float; above 2^53 the last digits go.
#[expect(clippy::cast_precision_loss, reason = "statistics need 15 digits at most")]
pub(crate) const fn float(value: u64) -> f64 {
    value as f64
}

/// The nearest whole number that fits; zero for what is no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// Three digits behind the point: so few that JSON gives back the same number.
pub(crate) fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// As an index.
pub(crate) fn index(value: f64) -> usize {
    usize::try_from(whole(value.floor())).unwrap_or(usize::MAX)
}

/// A count.
pub(crate) fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Pseudo-random numbers of a seed (SplitMix64, Steele, Lea and Flood 2014): for statistics only.
#[derive(Clone, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u128::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from((u128::from(self.next()) * limit) >> 64).unwrap_or(0)
    }
}
