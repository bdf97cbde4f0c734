//! Histograms as text: the V2 encoding of HdrHistogram, compressed and in base64, which its tools
//! read.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use crate::recorder::new_histogram;

/// A histogram was not written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the histogram is not one of HdrHistogram V2 in base64")]
#[non_exhaustive]
pub struct HistogramError;

/// The histogram as text.
///
/// # Errors
/// Fails if the encoding is refused, which no histogram of this crate is.
pub fn encode(histogram: &Histogram<u64>) -> Result<String, HistogramError> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    serializer.serialize(histogram, &mut bytes).map_err(|_| HistogramError)?;
    Ok(STANDARD.encode(bytes))
}

/// The histogram in a text.
///
/// # Errors
/// Fails for any other text, and for more than 2^53 times, of which the histogram would say something
/// else than was counted.
pub fn decode(text: &str) -> Result<Histogram<u64>, HistogramError> {
    let bytes = STANDARD.decode(text).map_err(|_| HistogramError)?;
    let (head, packed) = bytes.split_at_checked(HEAD).ok_or(HistogramError)?;
    if !head.starts_with(&COMPRESSED) {
        return Err(HistogramError);
    }
    let mut plain = Vec::new();
    let mut unpacked = ZlibDecoder::new(packed).take(PLAIN_MAX);
    unpacked.read_to_end(&mut plain).map_err(|_| HistogramError)?;
    // The reader believes the length that stands in front of the counts.
    let told = plain.get(4..HEAD).and_then(|told| told.try_into().ok()).map(u32::from_be_bytes);
    let counts = plain.get(PLAIN_HEAD..).ok_or(HistogramError)?;
    // And it adds counts of nine bytes up without a look.
    let is_long = |bytes: &[u8]| bytes.iter().all(|byte| *byte >= 0x80);
    if !plain.starts_with(&UNCOMPRESSED)
        || told.map(usize::try_from) != Some(Ok(counts.len()))
        || counts.windows(8).any(is_long)
    {
        return Err(HistogramError);
    }
    let read = Deserializer::new().deserialize(&mut plain.as_slice());
    let histogram: Histogram<u64> = read.map_err(|_| HistogramError)?;
    if histogram.len() <= TIMES_MAX { Ok(histogram) } else { Err(HistogramError) }
}

/// The histogram of these times, in nanoseconds.
pub(crate) fn of(times: impl Iterator<Item = u64>) -> Result<Histogram<u64>, HistogramError> {
    let mut histogram = new_histogram().ok_or(HistogramError)?;
    times.for_each(|time| {
        histogram.saturating_record(time.clamp(1, crate::recorder::LONGEST));
    });
    Ok(histogram)
}

/// What compressed histograms begin with: a cookie, and a length of four bytes.
const COMPRESSED: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];
const HEAD: usize = 8;
const UNCOMPRESSED: [u8; 4] = [0x1c, 0x84, 0x93, 0x13];
/// Cookie, length, offset, digits, bounds and ratio of an uncompressed one, before its counts.
const PLAIN_HEAD: usize = 40;
/// A histogram of this crate has some ten thousand counts of a few bytes.
const PLAIN_MAX: u64 = 16 * 1024 * 1024;
/// Up to here each number is a number of its own among those that quantiles are made of (IEEE 754,
/// binary64).
const TIMES_MAX: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_back_as_it_was() {
        let histogram = of((1..10_000).map(|number| number * number)).unwrap();
        let text = encode(&histogram).unwrap();
        assert!(text.starts_with("HISTFAAA"), "{text}");
        assert_eq!(decode(&text).unwrap(), histogram);
    }

    /// A text whose uncompressed form was changed.
    fn changed(change: impl FnOnce(&mut Vec<u8>)) -> String {
        use std::io::Write as _;

        let bytes = STANDARD.decode(encode(&of(1..100).unwrap()).unwrap()).unwrap();
        let mut plain = Vec::new();
        ZlibDecoder::new(&bytes[HEAD..]).read_to_end(&mut plain).unwrap();
        change(&mut plain);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&plain).unwrap();
        let packed = packed.finish().unwrap();
        let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
        STANDARD.encode([&COMPRESSED[..], &length, &packed].concat())
    }

    #[test]
    fn lengths_and_counts_that_no_histogram_has_are_refused() {
        assert!(decode(&changed(|_| {})).is_ok());
        for (name, text) in [
            ("length", changed(|plain| plain[4] = 0xff)),
            ("shorter", changed(|plain| plain.truncate(plain.len() - 1))),
            ("longer", changed(|plain| plain.push(0))),
            ("no head", changed(|plain| plain.truncate(PLAIN_HEAD - 1))),
            ("compressed again", changed(|plain| plain[3] = 0x14)),
            (
                "too many",
                changed(|plain| {
                    // 2^54 of one time, as the encoding writes it.
                    let count = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
                    plain.extend(count);
                    let length = u32::try_from(plain.len() - PLAIN_HEAD).unwrap();
                    plain[4..8].copy_from_slice(&length.to_be_bytes());
                }),
            ),
            (
                "count",
                changed(|plain| {
                    plain.extend([0xff; 9]);
                    let length = u32::try_from(plain.len() - PLAIN_HEAD).unwrap();
                    plain[4..8].copy_from_slice(&length.to_be_bytes());
                }),
            ),
        ] {
            assert_eq!(decode(&text), Err(HistogramError), "{name}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "no base64!", "AAAA", "HISTFAAA"] {
            assert_eq!(decode(text), Err(HistogramError), "{text}");
        }
    }
}
