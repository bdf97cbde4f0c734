use std::fmt;

use super::{Tile, TileId};

/// The path of a tile in a log directory: `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`.
///
/// ```
/// # use custody_audit::tile::TilePath;
/// let path = TilePath::parse("tile/0/x001/x234/067.p/12")?;
/// assert_eq!((path.index(), path.width()), (1_234_067, 12));
/// # Ok::<(), custody_audit::tile::PathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    resource: Resource,
    index: u64,
    width: u16,
}

impl TilePath {
    /// Returns the path of a hash tile in a tree of `size` leaves, if it has this tile.
    #[must_use]
    pub fn hashes(id: TileId, size: u64) -> Option<Self> {
        let width = id.width_in(size);
        let resource = Resource::Hashes { level: id.level };
        (width != 0).then_some(Self { resource, index: id.index, width })
    }

    /// Returns the path of a full hash tile; none for a level that no path has.
    #[must_use]
    pub const fn full(id: TileId) -> Option<Self> {
        let resource = Resource::Hashes { level: id.level };
        let path = Self { resource, index: id.index, width: Tile::WIDTH };
        if id.level < LEVELS { Some(path) } else { None }
    }

    /// Returns the path of an entry bundle in a tree of `size` leaves, if it has this bundle.
    #[must_use]
    pub fn entries(index: u64, size: u64) -> Option<Self> {
        let width = TileId { level: 0, index }.width_in(size);
        (width != 0).then_some(Self { resource: Resource::Entries, index, width })
    }

    /// Reads a path, which must be written the one way the standard writes it.
    ///
    /// # Errors
    /// Fails on any other text.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut parts = text.split('/');
        if parts.next() != Some("tile") {
            return Err(PathError::NotATile);
        }
        let resource = match parts.next().ok_or(PathError::NotATile)? {
            "entries" => Resource::Entries,
            level => Resource::Hashes { level: parse_level(level)? },
        };
        let mut index = None;
        let width = loop {
            let part = parts.next().ok_or(PathError::Index)?;
            if let Some(digits) = part.strip_prefix('x') {
                index = Some(next_index(index, digits)?);
                continue;
            }
            let (digits, width) = match part.strip_suffix(".p") {
                None => (part, Tile::WIDTH),
                Some(digits) => (digits, parse_width(parts.next().ok_or(PathError::Width)?)?),
            };
            index = Some(next_index(index, digits)?);
            break width;
        };
        match (parts.next(), index) {
            (None, Some(index)) => Ok(Self { resource, index, width }),
            (Some(_), _) | (None, None) => Err(PathError::Index),
        }
    }

    /// Returns what stands at this path.
    #[must_use]
    pub const fn resource(&self) -> Resource {
        self.resource
    }

    /// Returns the place among the tiles of this level, or among the bundles.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Returns how many hashes or entries there are, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resource {
            Resource::Entries => formatter.write_str("tile/entries/")?,
            Resource::Hashes { level } => write!(formatter, "tile/{level}/")?,
        }
        // 2^64 has 20 digits: at most seven groups.
        let groups = (1..7_u32).rev().filter_map(|group| {
            let higher = self.index.checked_div(1_000_u64.checked_pow(group)?)?;
            (higher != 0).then_some(higher % 1_000)
        });
        for group in groups {
            write!(formatter, "x{group:03}/")?;
        }
        write!(formatter, "{:03}", self.index % 1_000)?;
        if self.width == Tile::WIDTH { Ok(()) } else { write!(formatter, ".p/{}", self.width) }
    }
}

/// What a tile path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum Resource {
    /// A bundle of entries.
    Entries,
    /// Hashes of the tree.
    Hashes {
        /// The tile level, 0 to 63.
        level: u8,
    },
}

/// Why a text is not a tile path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The index is not written in groups of three digits, or is too large.
    #[error("the tile index is malformed")]
    Index,
    /// The level is not a decimal number from 0 to 63.
    #[error("the tile level is malformed")]
    Level,
    /// The text does not begin like a tile path.
    #[error("the path is not that of a tile")]
    NotATile,
    /// The width is not a decimal number from 1 to 255.
    #[error("the tile width is malformed")]
    Width,
}

fn parse_level(text: &str) -> Result<u8, PathError> {
    let level = crate::text::parse_decimal(text).ok_or(PathError::Level)?;
    u8::try_from(level).ok().filter(|level| *level < LEVELS).ok_or(PathError::Level)
}

fn parse_width(text: &str) -> Result<u16, PathError> {
    let width = crate::text::parse_decimal(text).ok_or(PathError::Width)?;
    let width = u16::try_from(width).map_err(|_| PathError::Width)?;
    (1..Tile::WIDTH).contains(&width).then_some(width).ok_or(PathError::Width)
}

fn next_index(index: Option<u64>, digits: &str) -> Result<u64, PathError> {
    // A leading `x000` adds nothing to the number: one text for each number.
    if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) || index == Some(0)
    {
        return Err(PathError::Index);
    }
    let group: u64 = digits.parse().map_err(|_| PathError::Index)?;
    let higher = index.unwrap_or(0).checked_mul(1_000).ok_or(PathError::Index)?;
    higher.checked_add(group).ok_or(PathError::Index)
}

const LEVELS: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_standard() {
        let texts: Vec<String> = [
            TilePath::hashes(TileId { level: 0, index: 0 }, 256),
            TilePath::hashes(TileId { level: 0, index: 0 }, 1),
            TilePath::hashes(TileId { level: 0, index: 273 }, 70_000),
            TilePath::hashes(TileId { level: 1, index: 1 }, 70_000),
            TilePath::hashes(TileId { level: 2, index: 0 }, 70_000),
            TilePath::hashes(TileId { level: 0, index: 1_234_067 }, u64::MAX),
            TilePath::hashes(TileId { level: 0, index: 1_000 }, u64::MAX),
            TilePath::hashes(TileId { level: 0, index: 1_000_000 }, u64::MAX),
            TilePath::hashes(TileId { level: 0, index: u64::MAX >> 8 }, u64::MAX),
            TilePath::entries(273, 70_000),
            TilePath::entries(272, 70_000),
        ]
        .into_iter()
        .map(|path| path.unwrap().to_string())
        .collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        tile/0/000
        tile/0/000.p/1
        tile/0/273.p/112
        tile/1/001.p/17
        tile/2/000.p/1
        tile/0/x001/x234/067
        tile/0/x001/000
        tile/0/x001/x000/000
        tile/0/x072/x057/x594/x037/x927/935.p/255
        tile/entries/273.p/112
        tile/entries/272
        ");
        for text in texts {
            assert_eq!(TilePath::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_tile_that_the_tree_does_not_have_has_no_path() {
        assert_eq!(TilePath::hashes(TileId { level: 0, index: 0 }, 0), None);
        assert_eq!(TilePath::hashes(TileId { level: 0, index: 1 }, 256), None);
        assert_eq!(TilePath::hashes(TileId { level: 1, index: 0 }, 255), None);
        assert_eq!(TilePath::entries(1, 256), None);
    }

    #[test]
    fn any_other_way_to_write_a_path_is_refused() {
        for (text, error) in [
            ("", PathError::NotATile),
            ("tile", PathError::NotATile),
            ("/tile/0/000", PathError::NotATile),
            ("tiles/0/000", PathError::NotATile),
            ("tile/", PathError::Level),
            ("tile//000", PathError::Level),
            ("tile/00/000", PathError::Level),
            ("tile/+1/000", PathError::Level),
            ("tile/64/000", PathError::Level),
            ("tile/256/000", PathError::Level),
            ("tile/Entries/000", PathError::Level),
            ("tile/0", PathError::Index),
            ("tile/0/", PathError::Index),
            ("tile/0/0", PathError::Index),
            ("tile/0/0000", PathError::Index),
            ("tile/0/+00", PathError::Index),
            ("tile/0/x001", PathError::Index),
            ("tile/0/x000/001", PathError::Index),
            ("tile/0/x000/x001/001", PathError::Index),
            ("tile/0/001/001", PathError::Index),
            ("tile/0/x001/x001", PathError::Index),
            ("tile/0/X001/001", PathError::Index),
            ("tile/0/x1/001", PathError::Index),
            ("tile/0/xx001/001", PathError::Index),
            ("tile/0/000/", PathError::Index),
            ("tile/0/x018/x446/x744/x073/x709/x551/616", PathError::Index),
            ("tile/0/000.p", PathError::Width),
            ("tile/0/000.p/", PathError::Width),
            ("tile/0/000.p/0", PathError::Width),
            ("tile/0/000.p/01", PathError::Width),
            ("tile/0/000.p/256", PathError::Width),
            ("tile/0/000.p/65537", PathError::Width),
            ("tile/0/000.p/1/1", PathError::Index),
            ("tile/0/x000.p/1", PathError::Index),
            ("tile/0/\u{663}\u{663}\u{663}", PathError::Index),
        ] {
            assert_eq!(TilePath::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn x000_alone_before_more_is_refused_even_with_a_width() {
        assert_eq!(TilePath::parse("tile/0/x000/000.p/1"), Err(PathError::Index));
    }
}
