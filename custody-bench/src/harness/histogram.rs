//! Histograms as text: the V2 encoding of HdrHistogram, compressed and in base64, which its tools
//! read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
/// Fails for any other text.
pub fn decode(text: &str) -> Result<Histogram<u64>, HistogramError> {
    let bytes = STANDARD.decode(text).map_err(|_| HistogramError)?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|_| HistogramError)
}

/// The histogram of these times, in nanoseconds.
pub(crate) fn of(times: impl Iterator<Item = u64>) -> Result<Histogram<u64>, HistogramError> {
    let mut histogram = new_histogram().ok_or(HistogramError)?;
    times.for_each(|time| {
        histogram.saturating_record(time.clamp(1, crate::recorder::LONGEST));
    });
    Ok(histogram)
}

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

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "no base64!", "AAAA", "HISTFAAA"] {
            assert_eq!(decode(text), Err(HistogramError), "{text}");
        }
    }
}
