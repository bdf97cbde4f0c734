use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_core::caip::ChainId;
use custody_core::id::PayloadFormat;
use custody_core::seam::Payload;

/// Why a payload could not be read from text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The text is neither of the two encodings.
    #[error("the payload is neither hex with 0x nor base64")]
    Encoding,
    /// No decoder reads this format.
    #[error("no format is known for this chain")]
    Format,
}

/// The format of a transaction on `chain`.
///
/// # Errors
/// Fails on a chain of no known family.
pub fn default_format(chain: &ChainId) -> Result<PayloadFormat, InputError> {
    let format = match chain.namespace() {
        "bip122" => "bitcoin/psbt",
        "eip155" => "evm/transaction",
        "solana" => "solana/message",
        _ => return Err(InputError::Format),
    };
    PayloadFormat::parse(format).map_err(|_| InputError::Format)
}

/// The payload that `text` writes: documents of typed data as they are, all else as hex with `0x`
/// or as base64.
///
/// # Errors
/// Fails on text that is neither.
pub fn read_payload(format: PayloadFormat, text: &str) -> Result<Payload, InputError> {
    if format.as_str() == "evm/typed-data" {
        return Ok(Payload { format, bytes: text.trim().as_bytes().to_vec() });
    }
    let text: String = text.split_whitespace().collect();
    let bytes = match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|_| InputError::Encoding)?,
        None => STANDARD.decode(&text).map_err(|_| InputError::Encoding)?,
    };
    Ok(Payload { format, bytes })
}
