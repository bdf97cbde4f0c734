use custody_core::amount::{Amount, Units};
use custody_core::caip::AssetId;
use custody_core::effect::Effect;

/// What an order takes from its wallet, of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    Nothing,
    /// More than can be counted.
    TooMuch,
    Units(Units),
}

impl Charged {
    /// The sum of what effects take of an asset in the worst case.
    pub(super) fn of(asset: &AssetId, effects: &[Effect]) -> Self {
        let taken = effects.iter().filter_map(taken).filter(|amount| amount.asset() == asset);
        taken.fold(Self::Nothing, |sum, amount| sum.and(amount.units()))
    }

    fn and(self, more: Units) -> Self {
        let sum = match self {
            Self::Nothing => Some(more),
            Self::TooMuch => None,
            Self::Units(units) => units.checked_add(more),
        };
        sum.map_or(Self::TooMuch, Self::Units)
    }
}

/// What moves, what a spender may take from now on, and what is paid as a fee.
fn taken(effect: &Effect) -> Option<&Amount> {
    match effect {
        Effect::Transfer { amount, .. }
        | Effect::Approve { amount, .. }
        | Effect::PayFee { amount, .. } => Some(amount),
        Effect::Administer { .. }
        | Effect::Call { .. }
        | Effect::DelegateCall { .. }
        | Effect::Deploy
        | Effect::Govern { .. }
        | Effect::SignMessage { .. }
        | Effect::SignOpaque { .. } => None,
        other => panic!("an effect that the oracle does not know: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::TestTransfer;

    fn amount(asset: &AssetId, units: Units) -> Amount {
        Amount::new(asset.clone(), units)
    }

    #[test]
    fn transfers_allowances_and_fees_of_the_asset_count_and_nothing_else() {
        let (coin, other) = (TestTransfer::coin(), AssetId::parse("testn:1/slip44:2").unwrap());
        let account = TestTransfer::account;
        let of = |asset: &AssetId, units: Units| {
            let (from, to, spender) = (account("own"), account("friend"), account("spender"));
            [
                Effect::Transfer { amount: amount(asset, units), from, to },
                Effect::Approve { amount: amount(asset, units), spender },
                Effect::PayFee { amount: amount(asset, units), rate: None },
                Effect::Deploy,
            ]
        };
        let (ten, thirty) = (Units::from(10_u64), Units::from(30_u64));
        let both = [of(&coin, ten), of(&other, Units::MAX)].concat();
        assert_eq!(Charged::of(&coin, &both), Charged::Units(thirty));
        assert_eq!(Charged::of(&other, &both), Charged::TooMuch);
        assert_eq!(Charged::of(&other, &of(&coin, ten)), Charged::Nothing);
        assert_eq!(Charged::of(&coin, &of(&coin, Units::ZERO)), Charged::Units(Units::ZERO));
        assert_eq!(Charged::of(&coin, &[]), Charged::Nothing);
    }
}
