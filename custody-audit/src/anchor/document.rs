use custody_core::digest::Digest;
use custody_core::seam::{Head, Position};

use crate::note::KeyName;
use crate::text::{parse_decimal, parse_hash, to_base64};

/// Why the file of an anchor cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorFileError {
    /// The sum at the end is not that of the lines before.
    #[error("the sum of the anchor's file is wrong")]
    Checksum,
    /// The file does not have its lines.
    #[error("the anchor's file does not have its lines")]
    Lines,
    /// The file is of another log.
    #[error("the anchor is of another log")]
    Log,
    /// The root is not the base64 of a hash.
    #[error("the root of the anchored head is malformed")]
    Root,
    /// The size is not a decimal number.
    #[error("the size of the anchored head is malformed")]
    Size,
    /// The file is longer than any anchor's, or is no file.
    #[error("the anchor's file has another shape than an anchor")]
    Shape,
    /// The first line is not that of this version.
    #[error("the anchor's file has another version")]
    Version,
}

/// Writes the file of an anchor: version, name of the log, then size and root if there is a head,
/// and the SHA-256 of all that; each on its line.
pub(super) fn to_text(log: &KeyName, head: Option<Head>) -> String {
    let mut text = format!("{VERSION}\n{log}\n");
    if let Some(head) = head {
        text.push_str(&format!("{}\n{}\n", head.size.value(), to_base64(head.root.as_bytes())));
    }
    let sum = to_base64(Digest::of(text.as_bytes()).as_bytes());
    text.push_str(&sum);
    text.push('\n');
    text
}

/// Reads the file of the anchor of `log`.
pub(super) fn parse(bytes: &[u8], log: &KeyName) -> Result<Option<Head>, AnchorFileError> {
    let text = std::str::from_utf8(bytes).map_err(|_| AnchorFileError::Lines)?;
    let lines = text.strip_suffix('\n').ok_or(AnchorFileError::Lines)?;
    let lines: Vec<&str> = lines.split('\n').collect();
    let (version, name, head, sum) = match lines.as_slice() {
        [version, name, sum] => (version, name, None, sum),
        [version, name, size, root, sum] => (version, name, Some((size, root)), sum),
        _ => return Err(AnchorFileError::Lines),
    };
    if *version != VERSION {
        return Err(AnchorFileError::Version);
    }
    let summed = text.strip_suffix(&format!("{sum}\n")).ok_or(AnchorFileError::Lines)?;
    if *sum != to_base64(Digest::of(summed.as_bytes()).as_bytes()) {
        return Err(AnchorFileError::Checksum);
    }
    if *name != log.as_str() {
        return Err(AnchorFileError::Log);
    }
    let Some((size, root)) = head else { return Ok(None) };
    let size = parse_decimal(size).ok_or(AnchorFileError::Size)?;
    let root = parse_hash(root).ok_or(AnchorFileError::Root)?;
    Ok(Some(Head { size: Position::new(size), root: Digest::new(*root.as_bytes()) }))
}

const VERSION: &str = "custody/head-anchor/v1";

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> KeyName {
        KeyName::parse("custody.example/log").unwrap()
    }

    fn head() -> Head {
        Head { size: Position::new(1_234), root: Digest::of(b"root") }
    }

    /// The lines and their true sum.
    fn summed(lines: &str) -> String {
        format!("{lines}{}\n", to_base64(Digest::of(lines.as_bytes()).as_bytes()))
    }

    #[test]
    fn the_bytes_of_an_anchor_are_pinned() {
        insta::assert_snapshot!(to_text(&log(), Some(head())), @"
        custody/head-anchor/v1
        custody.example/log
        1234
        SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=
        aQVBm5MFYHjA5bTE3okgttrLKjqcXBUoFwGa3NhwG4c=
        ");
        insta::assert_snapshot!(to_text(&log(), None), @"
        custody/head-anchor/v1
        custody.example/log
        MQqmP4G7sPoDiTixQX8doihaPuQIdJZPue63bUhLXyM=
        ");
    }

    #[test]
    fn what_was_written_is_read() {
        let largest = Head { size: Position::new(u64::MAX), root: Digest::of(b"") };
        let empty = Head { size: Position::START, root: Digest::of(b"") };
        for head in [None, Some(head()), Some(empty), Some(largest)] {
            assert_eq!(parse(to_text(&log(), head).as_bytes(), &log()), Ok(head));
        }
    }

    #[test]
    fn any_other_text_names_what_is_wrong() {
        let root = to_base64(Digest::of(b"root").as_bytes());
        let good = to_text(&log(), Some(head()));
        let name = "custody.example/log";
        for (text, error) in [
            (String::new(), AnchorFileError::Lines),
            ("\n".into(), AnchorFileError::Lines),
            (good.trim_end().into(), AnchorFileError::Lines),
            (format!("{good}\n"), AnchorFileError::Lines),
            (good.replace('\n', "\r\n"), AnchorFileError::Version),
            (good.replace("/v1", "/v2"), AnchorFileError::Version),
            (good.replace("1234", "1233"), AnchorFileError::Checksum),
            (good.replace("example", "Example"), AnchorFileError::Checksum),
            (summed(&format!("{VERSION}\n{name}\n1\n")), AnchorFileError::Lines),
            (summed(&format!("{VERSION}\n{name}\n1\n{root}\nmore\n")), AnchorFileError::Lines),
            (summed(&format!("{VERSION}\nother\n1\n{root}\n")), AnchorFileError::Log),
            (summed(&format!("{VERSION}\n\n1\n{root}\n")), AnchorFileError::Log),
            (summed(&format!("{VERSION}\n{name}\n01\n{root}\n")), AnchorFileError::Size),
            (summed(&format!("{VERSION}\n{name}\n-1\n{root}\n")), AnchorFileError::Size),
            (
                summed(&format!("{VERSION}\n{name}\n18446744073709551616\n{root}\n")),
                AnchorFileError::Size,
            ),
            (summed(&format!("{VERSION}\n{name}\n1\n{root}=\n")), AnchorFileError::Root),
            (summed(&format!("{VERSION}\n{name}\n1\nAAAA\n")), AnchorFileError::Root),
        ] {
            assert_eq!(parse(text.as_bytes(), &log()), Err(error), "{text:?}");
        }
        assert_eq!(parse(b"\xff\n", &log()), Err(AnchorFileError::Lines));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for head in [None, Some(head())] {
            let good = to_text(&log(), head).into_bytes();
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&bad, &log()).is_err(), "bit {bit}");
            }
            for length in 0..good.len() {
                assert!(parse(&good[..length], &log()).is_err(), "length {length}");
            }
        }
    }
}
