use std::borrow::Borrow;
use std::fmt;

use crate::arn::is_account;

/// A role or user of IAM, as `arn:aws:iam::111122223333:role/custody`: never the root user, never a
/// session, never a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalArn(Box<str>);

impl PrincipalArn {
    /// Reads the ARN of a role or user, of at most 600 characters.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, PrincipalArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(PrincipalArnError);
        let (arn, partition, service) = (next()?, next()?, next()?);
        let (region, account, resource) = (next()?, next()?, next()?);
        let name = resource.strip_prefix("role/").or_else(|| resource.strip_prefix("user/"));
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte);
        let is_principal = arn == "arn"
            && service == "iam"
            && region.is_empty()
            && !partition.is_empty()
            && partition.bytes().all(is_part)
            && is_account(account)
            && name.is_some_and(|name| name.bytes().all(is_name) && !name.ends_with('/'))
            && name.is_some_and(|name| !name.is_empty() && !name.starts_with('/'))
            && text.len() <= TEXT_MAX;
        if is_principal { Ok(Self(text.into())) } else { Err(PrincipalArnError) }
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition, such as `aws`.
    pub(super) fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }
}

impl Borrow<str> for PrincipalArn {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the ARN of a role or user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ARN of a principal has the form arn:aws:iam::ACCOUNT:role/NAME or …:user/NAME")]
#[non_exhaustive]
pub struct PrincipalArnError;

const TEXT_MAX: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_or_user_and_nothing_else_is_read() {
        for text in [
            "arn:aws:iam::111122223333:role/custody",
            "arn:aws-cn:iam::111122223333:role/service-role/custody_1",
            "arn:aws-us-gov:iam::111122223333:user/Alice@example.com",
        ] {
            assert_eq!(PrincipalArn::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role/cust?dy",
            "arn:aws:iam::111122223333:role//custody",
            "arn:aws:iam::111122223333:role/custody/",
            "arn:aws:iam::111122223333:group/custody",
            "arn:aws:iam::11112222333:role/custody",
            "arn:aws:iam::*:role/custody",
            "arn:*:iam::111122223333:role/custody",
            "arn::iam::111122223333:role/custody",
            "arn:aws:iam:eu-central-1:111122223333:role/custody",
            "arn:aws:sts::111122223333:assumed-role/custody/session",
            "arn:aws:iam::111122223333:role/cust ody",
        ] {
            assert_eq!(PrincipalArn::parse(text), Err(PrincipalArnError), "{text}");
        }
        let long = format!("arn:aws:iam::111122223333:role/{}", "a".repeat(600));
        assert_eq!(PrincipalArn::parse(&long), Err(PrincipalArnError));
    }
}
