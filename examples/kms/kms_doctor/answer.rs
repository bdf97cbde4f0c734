//! What KMS answers, under the names that its API has.

use std::error::Error;

use custody_kms::aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// The name of an error, such as `DisabledException`; the status of an answer that has none; else why
/// there was no answer.
pub(crate) fn why<E>(error: SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(name) = error.code() {
        return name.chars().filter(char::is_ascii_alphanumeric).collect();
    }
    if let Some(answer) = error.raw_response() {
        return format!("status {}", answer.status());
    }
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
