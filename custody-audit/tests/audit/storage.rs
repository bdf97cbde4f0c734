//! What every tile storage must do, for each of them.

use custody_audit::storage::{DirectoryTiles, MemoryTiles, TileStorage};
use custody_audit::tile::{Tile, TileId};
use custody_audit::tree::TreeHash;
use pollster::block_on;

fn each(check: impl Fn(&dyn TileStorage)) {
    check(&MemoryTiles::default());
    let folder = tempfile::tempdir().unwrap();
    check(&DirectoryTiles::open(folder.path()).unwrap());
}

fn tile(number: u64) -> Tile {
    let leaf = |index: u64| TreeHash::leaf(&[number.to_be_bytes(), index.to_be_bytes()].concat());
    Tile::new((0..256).map(leaf).collect()).unwrap()
}

const PLACES: [TileId; 4] = [
    TileId { level: 0, index: 0 },
    TileId { level: 0, index: 1_000 },
    TileId { level: 1, index: 0 },
    TileId { level: 7, index: 1_234_567 },
];

#[test]
fn a_new_storage_is_empty() {
    each(|storage| {
        assert_eq!(block_on(storage.checkpoint()).unwrap(), None);
        for id in PLACES {
            assert_eq!(block_on(storage.tile(id)).unwrap(), None);
        }
    });
}

#[test]
fn tiles_come_back_from_the_place_where_they_were_put() {
    each(|storage| {
        let tiles = PLACES.into_iter().zip((0..).map(tile)).collect();
        block_on(storage.put_tiles(tiles)).unwrap();
        for (id, number) in PLACES.into_iter().zip(0..) {
            assert_eq!(block_on(storage.tile(id)).unwrap(), Some(tile(number)), "{id:?}");
        }
        let other = TileId { level: 0, index: 2 };
        assert_eq!(block_on(storage.tile(other)).unwrap(), None);
    });
}

#[test]
fn a_tile_that_is_put_again_is_replaced_as_a_whole() {
    each(|storage| {
        for number in [1, 2] {
            block_on(storage.put_tiles(vec![(PLACES[0], tile(number))])).unwrap();
            assert_eq!(block_on(storage.tile(PLACES[0])).unwrap(), Some(tile(number)));
        }
    });
}

#[test]
fn the_checkpoint_is_the_one_put_last() {
    each(|storage| {
        for note in ["long and first\n", "second\n", "\u{2014}\n"] {
            block_on(storage.put_checkpoint(note.into())).unwrap();
            assert_eq!(block_on(storage.checkpoint()).unwrap().as_deref(), Some(note));
        }
    });
}

#[test]
fn putting_nothing_changes_nothing() {
    each(|storage| {
        block_on(storage.put_tiles(Vec::new())).unwrap();
        assert_eq!(block_on(storage.tile(PLACES[0])).unwrap(), None);
    });
}
