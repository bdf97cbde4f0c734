//! Under which encryption context a data key is made and opened.
//!
//! Invariant: what names no custodian names the house, if the configuration gives it a name.

use std::collections::HashMap;

use custody_core::digest::Digest;

use crate::arn::KeyArn;
use crate::house::HouseName;

/// What shares a data key, and the encryption context that KMS authenticates, keeps in CloudTrail and
/// may be asked for by policies.
pub(crate) struct Scope {
    pub(crate) pairs: HashMap<String, String>,
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
}

/// What a context is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One thing, such as a store: hardly ever the same data key is needed twice, and whoever asks for
    /// it again wants to know how KMS is doing.
    Other,
    /// A wallet, of which many keys are sealed under one data key.
    Wallet,
}

impl Scope {
    /// A context that begins with a purpose, a custodian's digest and a wallet, as that of sealed keys
    /// does, is named by these three; any other by the digest of all its fields, and by the house.
    pub(crate) fn of(arn: &KeyArn, context: &[&[u8]], house: Option<&HouseName>) -> Self {
        let (kind, pairs) = match context {
            [purpose, custodian, wallet, _, ..] if is_of_wallet(context) => (
                Kind::Wallet,
                vec![
                    ("custody:purpose", text(purpose)),
                    ("custody:custodian", hex::encode(custodian)),
                    ("custody:wallet", text(wallet)),
                ],
            ),
            _ => {
                let mut pairs = vec![
                    ("custody:purpose", OTHER_PURPOSE.to_owned()),
                    ("custody:context", Digest::tagged(FIELDS, context).to_string()),
                ];
                pairs.extend(house.map(|house| ("custody:house", house.as_str().to_owned())));
                (Kind::Other, pairs)
            }
        };
        let fields = pairs.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]);
        let fields: Vec<_> = std::iter::once(arn.as_str().as_bytes()).chain(fields).collect();
        let digest = Digest::tagged("custody/kms/scope/v1", &fields);
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { pairs, digest, kind }
    }

    /// The house that a blob of this context is bound to.
    pub(crate) fn house<'a>(&self, house: Option<&'a HouseName>) -> Option<&'a HouseName> {
        house.filter(|_| self.kind == Kind::Other)
    }
}

fn is_of_wallet(context: &[&[u8]]) -> bool {
    let [purpose, custodian, wallet, _, ..] = context else { return false };
    is_text(purpose) && custodian.len() == 32 && is_text(wallet)
}

fn is_text(field: &[u8]) -> bool {
    (1..=TEXT_MAX).contains(&field.len()) && field.iter().all(u8::is_ascii_graphic)
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Under which purpose things that belong to no wallet are sealed.
pub(crate) const OTHER_PURPOSE: &str = "custody/other/v1";
const TEXT_MAX: usize = 200;
const FIELDS: &str = "custody/kms/context/v1";

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd";

    fn scope(context: &[&[u8]]) -> Scope {
        Scope::of(&KeyArn::parse(ARN).unwrap(), context, None)
    }

    #[test]
    fn keys_of_one_wallet_share_a_scope_and_others_do_not() {
        let house = [7; 32];
        let one = scope(&[b"custody/soft/v1", &house, b"hot", b"key-1", b"seed"]);
        let two = scope(&[b"custody/soft/v1", &house, b"hot", b"key-2", b"seed"]);
        assert_eq!((one.digest, one.kind), (two.digest, Kind::Wallet));
        assert_eq!(one.pairs["custody:custodian"], "07".repeat(32));
        assert_eq!(one.pairs["custody:wallet"], "hot");
        for other in [
            scope(&[b"custody/soft/v1", &house, b"cold", b"key-1", b"seed"]),
            scope(&[b"custody/soft/v1", &[8; 32], b"hot", b"key-1", b"seed"]),
            scope(&[b"custody/other/v2", &house, b"hot", b"key-1", b"seed"]),
            scope(&[b"custody/soft/v1", &house, b"hot"]),
            scope(&[b"custody/soft/v1", &house, b"h t", b"key-1"]),
            scope(&[]),
        ] {
            assert_ne!(one.digest, other.digest);
        }
        let elsewhere = KeyArn::parse(&ARN.replace("1234", "4321")).unwrap();
        let context: [&[u8]; 4] = [b"custody/soft/v1", &house, b"hot", b"key-1"];
        assert_ne!(scope(&context).digest, Scope::of(&elsewhere, &context, None).digest);
    }

    #[test]
    fn a_house_is_named_where_no_custodian_is() {
        let arn = KeyArn::parse(ARN).unwrap();
        let (one, two) = (HouseName::parse("one").unwrap(), HouseName::parse("two").unwrap());
        let store: [&[u8]; 2] = [b"store", b"records"];
        let of_one = Scope::of(&arn, &store, Some(&one));
        assert_eq!(of_one.pairs["custody:house"], "one");
        assert_eq!((of_one.pairs.len(), of_one.house(Some(&one))), (3, Some(&one)));
        assert_ne!(of_one.digest, Scope::of(&arn, &store, Some(&two)).digest);
        assert_ne!(of_one.digest, scope(&store).digest);
        let wallet: [&[u8]; 4] = [b"custody/soft/v1", &[7; 32], b"hot", b"key-1"];
        let of_wallet = Scope::of(&arn, &wallet, Some(&one));
        assert_eq!((of_wallet.digest, of_wallet.house(Some(&one))), (scope(&wallet).digest, None));
    }
}
