//! The windows into which a secret is cut, in every encoding a leak may have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::scan::Encoding;

/// Characters in a window of text: at least 64 bits of the secret.
pub(super) const TEXT: usize = 16;
/// Words in a window of a mnemonic: 66 bits.
pub(super) const WORDS: usize = 6;
/// Bytes in a window of a byte list: 64 bits.
pub(super) const BYTES: usize = 8;

/// The windows of the secret as hex, base58 and base64.
pub(super) fn text_windows(secret: &[u8]) -> Vec<([u8; TEXT], Encoding)> {
    let mut texts = vec![
        (hex::encode(secret), Encoding::Hex),
        (hex::encode_upper(secret), Encoding::Hex),
        (bs58::encode(secret).into_string(), Encoding::Base58),
    ];
    for text in base64_texts(secret) {
        texts.push((text.replace('+', "-").replace('/', "_"), Encoding::Base64));
        texts.push((text, Encoding::Base64));
    }
    let label = |(text, encoding): (String, Encoding)| {
        windows(text.as_bytes()).into_iter().map(move |window| (window, encoding))
    };
    texts.into_iter().flat_map(label).collect()
}

/// The base64 characters that the secret fills alone, when it starts at each of the three places
/// of a group: a key inside a PEM file begins anywhere.
fn base64_texts(secret: &[u8]) -> Vec<String> {
    [0_usize, 1, 2]
        .into_iter()
        .map(|before| {
            let padded: Vec<u8> =
                std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
            let first = before.saturating_mul(8).div_ceil(6);
            let whole = padded.len().saturating_mul(8) / 6;
            let text = STANDARD_NO_PAD.encode(&padded);
            text.chars().take(whole).skip(first).collect()
        })
        .collect()
}

/// The windows of the mnemonic of the secret; none if its length is not one of BIP-39.
pub(super) fn word_windows(secret: &[u8]) -> Vec<[u16; WORDS]> {
    let Ok(mnemonic) = bip39::Mnemonic::from_entropy(secret) else { return Vec::new() };
    let indices: Vec<u16> =
        mnemonic.word_indices().filter_map(|index| u16::try_from(index).ok()).collect();
    windows(&indices)
}

/// The windows of the secret as it is.
pub(super) fn byte_windows(secret: &[u8]) -> Vec<[u8; BYTES]> {
    windows(secret)
}

/// Neighbouring windows without overlap, and the last one, which may overlap.
fn windows<T: Copy, const N: usize>(items: &[T]) -> Vec<[T; N]> {
    let whole = items.as_chunks::<N>().0.iter().copied();
    whole.chain(items.last_chunk::<N>().copied()).collect()
}
