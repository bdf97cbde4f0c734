//! Addresses that look like known ones: whoever reads only their first and last characters takes one
//! for the other.
//!
//! Invariant: everything here follows from address books and keys.

use super::index::Mark;
use crate::caip::AccountId;
use crate::parted::Parted;

/// How the known addresses look, and how many look so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks(Parted<Mark, u32>);

impl Looks {
    /// Takes a known address in.
    pub(super) fn add(&mut self, account: &AccountId) {
        if let Some(mark) = mark(account) {
            let count = self.0.or_default(&mark);
            *count = count.saturating_add(1);
        }
    }

    /// Takes a known address out.
    pub(super) fn remove(&mut self, account: &AccountId) {
        let Some(mark) = mark(account) else { return };
        let left = self.0.get(&mark).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            let _last = self.0.remove(&mark);
        } else if let Some(count) = self.0.get_mut(&mark) {
            *count = left;
        }
    }

    /// Whether a known address looks like this one, which may be that address itself.
    pub(super) fn has(&self, account: &AccountId) -> bool {
        mark(account).is_some_and(|mark| self.0.contains_key(&mark))
    }
}

/// The chain, and the first and last four characters of what differs between its addresses, without
/// their case. Addresses that are too short for that resemble none.
fn mark(account: &AccountId) -> Option<Mark> {
    const SHOWN: usize = 4;
    let address = account.address().to_ascii_lowercase();
    let own = own_part(&address);
    if own.len() <= SHOWN.saturating_mul(2) {
        return None;
    }
    let (first, last) = (own.get(..SHOWN)?, own.get(own.len().checked_sub(SHOWN)?..)?);
    Some(Mark::of_look(account.chain(), first, last))
}

/// An address without what all addresses of its kind begin with: `0x`, or the prefix and version of
/// Bech32 (BIP-173).
fn own_part(address: &str) -> &str {
    if let Some(hex) = address.strip_prefix("0x") {
        return hex;
    }
    let witness = ["bc1", "tb1", "bcrt1"].iter().find_map(|prefix| address.strip_prefix(prefix));
    witness.and_then(|program| program.get(1..)).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "eip155:1:0xabcd000000000000000000000000000000001234";

    fn looks(known: &[&str]) -> Looks {
        let mut looks = Looks::default();
        known.iter().for_each(|text| looks.add(&account(text)));
        looks
    }

    fn account(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    #[test]
    fn addresses_resemble_each_other_by_their_first_and_last_characters_on_one_chain() {
        let looks = looks(&[
            KNOWN,
            "bip122:000000000019d6689c085ae165831e93:bc1qabcd00000000000000000000000000wxyz",
        ]);
        for (text, like) in [
            (KNOWN, true),
            ("eip155:1:0xabcdffffffffffffffffffffffffffffffff1234", true),
            ("eip155:1:0xabceffffffffffffffffffffffffffffffff1234", false),
            ("eip155:1:0xabcdffffffffffffffffffffffffffffffff1235", false),
            ("eip155:10:0xabcdffffffffffffffffffffffffffffffff1234", false),
            (
                "bip122:000000000019d6689c085ae165831e93:bc1qabcdzzzzzzzzzzzzzzzzzzzzzzzzzzwxyz",
                true,
            ),
            (
                "bip122:000000000019d6689c085ae165831e93:bc1qabcezzzzzzzzzzzzzzzzzzzzzzzzzzwxyz",
                false,
            ),
            ("eip155:1:0xabcd1234", false),
        ] {
            assert_eq!(looks.has(&account(text)), like, "{text}");
        }
    }

    #[test]
    fn an_address_that_is_known_twice_stays_until_both_are_gone() {
        let mut looks = looks(&[KNOWN, KNOWN]);
        looks.remove(&account(KNOWN));
        assert!(looks.has(&account(KNOWN)));
        looks.remove(&account(KNOWN));
        assert!(!looks.has(&account(KNOWN)));
        looks.remove(&account(KNOWN));
        assert_eq!(looks, Looks::default());
    }
}
