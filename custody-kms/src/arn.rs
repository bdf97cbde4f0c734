//! Amazon Resource Names of KMS keys.

use std::fmt;

use crate::config::RegionName;

/// The ARN of one KMS key: `arn:aws:kms:REGION:ACCOUNT:key/ID`, never of an alias.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyArn {
    text: Box<str>,
    region: RegionName,
}

impl KeyArn {
    /// Reads an ARN of a key, of at most 200 characters.
    ///
    /// # Errors
    /// Fails on any other text, such as the ARN of an alias.
    pub fn parse(text: &str) -> Result<Self, KeyArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(KeyArnError);
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let id = resource.strip_prefix("key/").ok_or(KeyArnError)?;
        let is_name = |text: &str| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !text.is_empty() && text.bytes().all(|byte| is_part(byte) || byte == b'-')
        };
        let is_arn = arn == "arn"
            && service == "kms"
            && is_name(partition)
            && is_account(account)
            && is_name(id)
            && text.len() <= TEXT_MAX;
        let region = RegionName::parse(region).map_err(|_| KeyArnError)?;
        if is_arn { Ok(Self { text: text.into(), region }) } else { Err(KeyArnError) }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the key is.
    #[must_use]
    pub const fn region(&self) -> &RegionName {
        &self.region
    }

    /// The partition of AWS that the key is in, such as `aws`.
    pub(crate) fn partition(&self) -> &str {
        self.text.split(':').nth(1).unwrap_or_default()
    }

    /// The account that owns the key.
    #[must_use]
    pub fn account(&self) -> &str {
        self.text.split(':').nth(4).unwrap_or_default()
    }

    /// The key's id; it begins with `mrk-` if the key is in several regions.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the key may have replicas in other regions.
    #[must_use]
    pub fn is_multi_region(&self) -> bool {
        self.id().starts_with("mrk-")
    }

    /// The same key in another region: itself there, its replica elsewhere. None of a key that is in
    /// one region only.
    #[must_use]
    pub fn in_region(&self, region: &RegionName) -> Option<Self> {
        if *region == self.region {
            return Some(self.clone());
        }
        let (partition, account, id) = (self.partition(), self.account(), self.id());
        let text = format!("arn:{partition}:kms:{region}:{account}:key/{id}");
        self.is_multi_region().then(|| Self { text: text.into(), region: region.clone() })
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyArn({})", self.text)
    }
}

/// The text is not the ARN of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ARN of a key has the form arn:aws:kms:REGION:ACCOUNT:key/ID and at most 200 characters"
)]
#[non_exhaustive]
pub struct KeyArnError;

/// Whether the text is the number of an account: 12 digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

const TEXT_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_key_and_nothing_else_is_read() {
        let arn = KeyArn::parse(ONE).unwrap();
        assert_eq!((arn.region().as_str(), arn.account()), ("eu-central-1", "111122223333"));
        assert_eq!(arn.id(), "1234abcd-12ab-34cd-56ef-1234567890ab");
        let long = format!("arn:aws:kms:eu-central-1:111122223333:key/{}", "a".repeat(160));
        for text in [
            "",
            "arn",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/house",
            "arn:aws:kms:eu-central-1:111122223333:alias/house",
            "arn:aws:kms:eu-central-1:11112222333:key/1234",
            "arn:aws:kms:eu-central-1:11112222333x:key/1234",
            "arn:aws:kms:EU:111122223333:key/1234",
            "arn:aws:kms::111122223333:key/1234",
            "arn:aws:s3:eu-central-1:111122223333:key/1234",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:111122223333:key/12/34",
            "arn:aws:kms:eu-central-1:111122223333:key/12 34",
            &long,
        ] {
            assert_eq!(KeyArn::parse(text), Err(KeyArnError), "{text}");
        }
    }

    #[test]
    fn only_a_key_of_several_regions_is_elsewhere() {
        let (here, there) =
            (RegionName::parse("eu-central-1").unwrap(), RegionName::parse("eu-west-1").unwrap());
        let single = KeyArn::parse(ONE).unwrap();
        assert_eq!(single.in_region(&here), Some(single.clone()));
        assert_eq!(single.in_region(&there), None);
        let several = KeyArn::parse("arn:aws:kms:eu-central-1:111122223333:key/mrk-12").unwrap();
        let replica = "arn:aws:kms:eu-west-1:111122223333:key/mrk-12";
        assert_eq!(several.in_region(&there), Some(KeyArn::parse(replica).unwrap()));
    }
}
