//! Amounts: whole numbers of base units of one asset.
//!
//! Invariant: arithmetic is checked or named saturating; amounts of two assets never mix; there
//! are no floats.

use std::fmt;

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::caip::AssetId;

/// A number of base units (wei, satoshi, lamport): 256 bits, unsigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Units(U256);

impl Units {
    /// No units.
    pub const ZERO: Self = Self(U256::ZERO);
    /// The largest number: 2^256 - 1.
    pub const MAX: Self = Self(U256::MAX);

    /// Reads 32 big-endian bytes.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// Parses decimal digits without sign, prefix or leading zeros.
    ///
    /// # Errors
    /// Fails on any other text and on a number above 2^256 - 1.
    pub fn parse(text: &str) -> Result<Self, UnitsError> {
        if text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_digit()) {
            return Err(UnitsError::Digits);
        }
        if text.len() > 1 && text.starts_with('0') {
            return Err(UnitsError::Digits);
        }
        U256::from_str_radix(text, 10).map(Self).map_err(|_| UnitsError::Overflow)
    }

    /// 32 big-endian bytes.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// The sum, unless it is above 2^256 - 1.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, at most 2^256 - 1.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, unless it is below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The product, unless it is above 2^256 - 1.
    #[must_use]
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        self.0.checked_mul(other.0).map(Self)
    }

    /// Whether this is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<u64> for Units {
    fn from(units: u64) -> Self {
        Self(U256::from(units))
    }
}

impl From<u128> for Units {
    fn from(units: u128) -> Self {
        Self(U256::from(units))
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers as they usually are get written without the division of long ones.
        match u128::try_from(self.0) {
            Ok(small) => small.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Base units of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    asset: AssetId,
    units: Units,
}

impl Amount {
    /// `units` base units of `asset`.
    #[must_use]
    pub const fn new(asset: AssetId, units: Units) -> Self {
        Self { asset, units }
    }

    /// The asset.
    #[must_use]
    pub const fn asset(&self) -> &AssetId {
        &self.asset
    }

    /// The number of base units.
    #[must_use]
    pub const fn units(&self) -> Units {
        self.units
    }

    /// The sum of two amounts of one asset.
    ///
    /// # Errors
    /// Fails if the assets differ or the sum is above 2^256 - 1.
    pub fn checked_add(&self, other: &Self) -> Result<Self, AmountError> {
        if self.asset != other.asset {
            return Err(AmountError::Assets);
        }
        let units = self.units.checked_add(other.units).ok_or(AmountError::Overflow)?;
        Ok(Self { asset: self.asset.clone(), units })
    }
}

/// An asset as the house knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    id: AssetId,
    decimals: u8,
}

impl Asset {
    /// The asset `id`, one whole unit of which is 10^`decimals` base units.
    #[must_use]
    pub const fn new(id: AssetId, decimals: u8) -> Self {
        Self { id, decimals }
    }

    /// Its CAIP-19 name.
    #[must_use]
    pub const fn id(&self) -> &AssetId {
        &self.id
    }

    /// One whole unit is 10 to this power base units.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }
}

/// Why a text is not a number of base units.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitsError {
    /// Not decimal digits without leading zeros.
    #[error("base units are decimal digits without leading zeros")]
    Digits,
    /// Above 2^256 - 1.
    #[error("base units are at most 2^256 - 1")]
    Overflow,
}

/// Why two amounts have no sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// They are of different assets.
    #[error("amounts of two assets have no sum")]
    Assets,
    /// The sum is above 2^256 - 1.
    #[error("the sum is above 2^256 - 1")]
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_never_overflow_and_never_mix_assets() {
        let ether = AssetId::parse("eip155:1/slip44:60").unwrap();
        let other = AssetId::parse("eip155:10/slip44:60").unwrap();
        let most = Amount::new(ether.clone(), Units::MAX);
        let one = Amount::new(ether, Units::from(1_u64));
        assert_eq!(most.checked_add(&one), Err(AmountError::Overflow));
        assert_eq!(one.checked_add(&Amount::new(other, Units::ZERO)), Err(AmountError::Assets));
    }

    #[test]
    fn base_units_are_plain_decimal_digits() {
        for text in ["", "-1", "0x1", "01", "1e3", " 1", "1_0"] {
            assert_eq!(Units::parse(text), Err(UnitsError::Digits), "{text:?}");
        }
        let most = Units::MAX.to_string();
        assert_eq!(Units::parse(&most), Ok(Units::MAX));
        assert_eq!(Units::parse(&format!("{most}0")), Err(UnitsError::Overflow));
    }
}
