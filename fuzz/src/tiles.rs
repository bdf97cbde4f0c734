//! Tiles, their paths, bundles and the edge of a tree: what is read is written again, byte by byte.

use custody_audit::tile::{Edge, Entries, Resource, Tile, TileId, TilePath, push_entry};
use custody_audit::tree::{Frontier, TreeHash};

use crate::Seed;
use crate::input::{Input, named};

const PARTS: [&str; 5] = ["tile", "path", "bundle", "edge", "grown edge"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let taken = match part {
        "tile" => tile(input.short(), input.rest()),
        "path" => path(input.rest()),
        "bundle" => bundle(input.rest()),
        "edge" => edge(input),
        _ => grown(input),
    };
    taken.then_some(part)
}

fn tile(width: u16, bytes: &[u8]) -> bool {
    let Ok(tile) = Tile::parse(bytes, width) else { return false };
    assert_eq!(tile.to_bytes(), bytes, "a tile is written as it was read");
    assert!((1..=Tile::WIDTH).contains(&width) && tile.hashes().len() == usize::from(width));
    assert_eq!(tile.root().is_some(), width == Tile::WIDTH, "only a full tile has a root");
    assert!(Tile::parse(bytes, width + 1).is_err());
    true
}

fn path(bytes: &[u8]) -> bool {
    let Some(path) = std::str::from_utf8(bytes).ok().and_then(|text| TilePath::parse(text).ok())
    else {
        return false;
    };
    assert_eq!(path.to_string().as_bytes(), bytes, "a path is written as it was read");
    assert!((1..=Tile::WIDTH).contains(&path.width()));
    if path.width() == Tile::WIDTH
        && let Resource::Hashes { level } = path.resource()
    {
        let id = TileId { level, index: path.index() };
        assert_eq!(TilePath::full(id), Some(path));
    }
    true
}

fn bundle(bytes: &[u8]) -> bool {
    let read: Vec<_> = Entries::new(bytes).collect();
    let wrong = read.iter().filter(|entry| entry.is_err()).count();
    assert!(wrong <= 1 && read.iter().rev().skip(1).all(Result::is_ok), "it ends with its error");
    let Ok(entries) = read.into_iter().collect::<Result<Vec<_>, _>>() else { return false };
    let mut written = Vec::new();
    for entry in entries {
        push_entry(&mut written, entry).unwrap();
    }
    assert_eq!(written, bytes, "a bundle is written as it was read");
    true
}

/// Partial tiles of any widths, with a size that they may have.
fn edge(mut input: Input<'_>) -> bool {
    let levels: Vec<Vec<TreeHash>> = (0..input.byte() % 4)
        .map(|level| {
            let width = u64::from(input.byte());
            (0..width).map(|place| TreeHash::leaf(&[level, place as u8])).collect()
        })
        .collect();
    let claimed = match input.byte() % 2 {
        0 => widths(&levels),
        _ => u64::from(input.short()),
    };
    let Some(edge) = Edge::from_partial_tiles(claimed, levels.clone()) else {
        assert_ne!(claimed, widths(&levels), "partial tiles of their own size are an edge");
        return false;
    };
    assert_eq!((edge.size(), claimed), (claimed, widths(&levels)));
    let tiles: Vec<_> = edge.partial_tiles().collect();
    let held = levels.iter().filter(|level| !level.is_empty()).count();
    assert_eq!(tiles.len(), held);
    for (id, tile) in tiles {
        assert_eq!(tile.hashes(), levels[usize::from(id.level)]);
        assert!(edge.fills(id));
        assert_eq!(u64::from(id.width_in(claimed)), tile.hashes().len() as u64);
    }
    let mut grown = edge;
    grown.append(TreeHash::leaf(b"one more")).unwrap();
    assert_eq!(grown.size(), claimed + 1);
    true
}

/// The size of a tree whose partial tiles have these hashes.
fn widths(levels: &[Vec<TreeHash>]) -> u64 {
    let sized = levels.iter().enumerate().map(|(level, hashes)| {
        let entries = 1_u64 << (8 * level);
        hashes.len() as u64 * entries
    });
    sized.sum()
}

/// An edge that grew leaf by leaf is the one that is taken up at its partial tiles.
fn grown(mut input: Input<'_>) -> bool {
    let size = input.short() % 600;
    let (mut edge, mut frontier, mut full) = (Edge::default(), Frontier::default(), 0_u16);
    for number in 0..size {
        let leaf = TreeHash::leaf(&number.to_be_bytes());
        full += edge.append(leaf).unwrap().len() as u16;
        frontier.append(leaf, |_, _| ()).unwrap();
    }
    assert_eq!(full, size / 256, "full tiles below level 1");
    assert_eq!(edge.head(), frontier.head());
    let mut levels = Vec::new();
    for (id, tile) in edge.partial_tiles() {
        levels.resize_with(usize::from(id.level) + 1, Vec::new);
        levels[usize::from(id.level)] = tile.hashes().to_vec();
    }
    let taken = Edge::from_partial_tiles(size.into(), levels).unwrap();
    assert_eq!(taken.head(), edge.head());
    true
}

pub(crate) fn seeds() -> Vec<Seed> {
    let tile = |width: u16, bytes: usize| {
        let [high, low] = width.to_be_bytes();
        [&[0, high, low], &vec![0x5a; bytes][..]].concat()
    };
    let path = |text: &str| [&[1], text.as_bytes()].concat();
    let bundle = |bytes: &[u8]| [&[2], bytes].concat();
    let mut seeds = named([
        ("tile-1", tile(1, 32)),
        ("tile-2", tile(2, 64)),
        ("tile-255", tile(255, 255 * 32)),
        ("tile-0", tile(0, 0)),
        ("tile-short", tile(2, 63)),
        ("tile-wider", tile(1, 64)),
        ("bundle-empty", bundle(b"")),
        ("bundle-two", bundle(b"\x00\x03one\x00\x02ab")),
        ("bundle-of-nothing", bundle(b"\x00\x00\x00\x00")),
        ("bundle-cut", bundle(b"\x00\x03on")),
        ("bundle-half-a-length", bundle(b"\x00\x01a\x00")),
        ("edge-empty", vec![3, 0, 0]),
        ("edge-one", vec![3, 1, 1, 0]),
        ("edge-three-levels", vec![3, 3, 255, 17, 1, 0]),
        ("edge-hole", vec![3, 2, 0, 3, 0]),
        ("edge-of-another-size", vec![3, 1, 2, 1, 0, 3]),
        ("grown-0", vec![4, 0, 0]),
        ("grown-255", vec![4, 0, 255]),
        ("grown-256", vec![4, 1, 0]),
        ("grown-513", vec![4, 2, 1]),
    ]);
    for (number, text) in [
        "tile/0/000",
        "tile/0/000.p/1",
        "tile/63/273.p/255",
        "tile/entries/273.p/112",
        "tile/0/x001/x234/067",
        "tile/0/x072/x057/x594/x037/x927/935.p/255",
        "tile/64/000",
        "tile/0/000.p/256",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/0/1",
        "tile/",
    ]
    .into_iter()
    .enumerate()
    {
        seeds.push((format!("path-{number}"), path(text)));
    }
    seeds
}
