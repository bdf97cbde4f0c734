//! Published vectors: transparency-dev/merkle, a Tessera log, a Sunlight mirror, the examples
//! of the standard, and a log with post-quantum signatures beside ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_audit::checkpoint::{CheckpointError, LogHead};
use custody_audit::note::{KeyId, NoteError, SignedNote, VerifierKey};
use custody_audit::proof::LogProof;
use custody_audit::tile::{Edge, Entries, Tile, TileId, TilePath};
use custody_audit::tree::{
    HashSource, Node, ProofPlan, TreeHash, TreeHead, verify_consistency, verify_inclusion,
};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_testkit::vectors::{bytes, json, text};
use serde_json::Value;

/// A hash in base64; nothing is no hash. Some cases have a text in place of a root that must not
/// matter: then any hash does that is equal for equal texts.
fn hash(value: &Value) -> Option<TreeHash> {
    let bytes = STANDARD.decode(value.as_str()?).ok().filter(|bytes| !bytes.is_empty())?;
    let exact = <[u8; 32]>::try_from(bytes.as_slice());
    Some(exact.map_or_else(|_| TreeHash::leaf(&bytes), TreeHash::from_bytes))
}

fn hex_hash(value: &Value) -> TreeHash {
    TreeHash::from_bytes(hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap())
}

fn proof(case: &Value) -> Option<Vec<TreeHash>> {
    let none = Vec::new();
    case["proof"].as_array().unwrap_or(&none).iter().map(hash).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn every_inclusion_case_of_transparency_dev_is_judged_as_published() {
    let cases = json("merkle/inclusion.json");
    let cases = cases.as_object().unwrap();
    assert_eq!(cases.len(), 98);
    let judge = |case: &Value| {
        let head = TreeHead { size: number(&case["treeSize"]), root: hash(&case["root"])? };
        let leaf = hash(&case["leafHash"])?;
        verify_inclusion(&leaf, number(&case["leafIdx"]), &head, &proof(case)?).ok()
    };
    for (name, case) in cases {
        assert_eq!(judge(case).is_none(), case["wantErr"].as_bool().unwrap(), "{name}");
    }
}

#[test]
fn every_consistency_case_of_transparency_dev_is_judged_as_published() {
    let cases = json("merkle/consistency.json");
    let cases = cases.as_object().unwrap();
    assert_eq!(cases.len(), 98);
    let judge = |case: &Value| {
        let old = TreeHead { size: number(&case["size1"]), root: hash(&case["root1"])? };
        let new = TreeHead { size: number(&case["size2"]), root: hash(&case["root2"])? };
        verify_consistency(&old, &new, &proof(case)?).ok()
    };
    for (name, case) in cases {
        assert_eq!(judge(case).is_none(), case["wantErr"].as_bool().unwrap(), "{name}");
    }
}

#[test]
fn the_signed_note_of_the_standard_is_believed_under_its_key_and_no_other() {
    let example = json("tlog/c2sp-examples/signed-note.json");
    let key = VerifierKey::parse(example["vkey"].as_str().unwrap()).unwrap();
    let file = example["note"].as_str().unwrap();
    let note = SignedNote::parse(file).unwrap();
    assert_eq!(note.verify(std::slice::from_ref(&key)), Ok("This is an example message.\n"));
    assert_eq!(note.to_string(), file);
    let other = SignedNote::parse(&file.replace("example message", "other message")).unwrap();
    assert!(other.verify(&[key]).is_err());
}

#[test]
fn the_checkpoint_of_the_standard_is_read_whole_and_not_believed_under_another_key_of_its_name() {
    let example = json("tlog/c2sp-examples/tlog-checkpoint.json");
    let file = example["note"].as_str().unwrap();
    let note = SignedNote::parse(file).unwrap();
    assert_eq!(note.to_string(), file);
    let head = LogHead::parse(note.unverified_text()).unwrap();
    assert_eq!((head.origin(), head.tree().size), ("example.com/behind-the-sofa", 20_852_163));
    let root = hash(&"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=".into()).unwrap();
    assert_eq!((head.tree().root, head.extensions().len()), (root, 0));
    assert_eq!(head.to_text(), note.unverified_text());
    let [line] = note.signatures() else { panic!("one signature") };
    assert_eq!(line.name().as_str(), head.origin());
    assert_eq!((line.id(), line.as_bytes().len()), (KeyId::new([0x03, 0x3d, 0xe0, 0xae]), 64));
    // The specification does not publish the key.
    let other = crate::support::LogSigner::new(1).public().clone();
    let other = VerifierKey::new(line.name().clone(), other).unwrap();
    let refused = LogHead::open(&note, &[other]);
    assert_eq!(refused, Err(CheckpointError::Note(NoteError::UnknownSigner)));
}

/// The Tessera log at its fifteen sizes.
struct Tessera {
    key: VerifierKey,
    heads: Vec<TreeHead>,
}

impl Tessera {
    fn read() -> Self {
        let keys = json("tlog/tessera-log/keys.json");
        let key = VerifierKey::parse(keys["public_key"].as_str().unwrap()).unwrap();
        let open = |name: String| {
            let note = SignedNote::parse(&text(&format!("tlog/tessera-log/{name}"))).unwrap();
            *LogHead::open(&note, std::slice::from_ref(&key)).unwrap().tree()
        };
        let heads: Vec<_> = (0..=15).map(|size| open(format!("checkpoint.{size}"))).collect();
        assert_eq!(open("checkpoint".into()), heads[15]);
        Self { key, heads }
    }

    fn tile(size: u64) -> Tile {
        let id = TileId { level: 0, index: 0 };
        let path = TilePath::hashes(id, size).unwrap();
        Tile::parse(&bytes(&format!("tlog/tessera-log/{path}")), path.width()).unwrap()
    }
}

/// The hashes of a log with one tile.
struct OneTile(Tile);

impl HashSource for OneTile {
    type Error = Node;

    fn hash(&mut self, node: Node) -> Result<TreeHash, Node> {
        self.0.node(node).ok_or(node)
    }
}

#[test]
fn the_seventeen_tessera_checkpoints_are_read_believed_and_refused_under_another_key() {
    let tessera = Tessera::read();
    let other = LogHead::open(
        &SignedNote::parse(&text("tlog/tessera-log/checkpoint.7")).unwrap(),
        &[crate::support::LogSigner::new(1).key()],
    );
    assert!(other.is_err());
    for (size, head) in (0_u64..).zip(&tessera.heads) {
        assert_eq!(head.size, size);
    }
    assert_eq!(tessera.key.name().as_str(), "example.com/log/testdata");
}

#[test]
fn the_tessera_entries_lead_to_its_tiles_and_roots_at_every_size() {
    let tessera = Tessera::read();
    assert_eq!(tessera.heads[0].root, TreeHash::empty_root());
    for size in 1..=15 {
        let path = TilePath::entries(0, size).unwrap();
        let bundle = bytes(&format!("tlog/tessera-log/{path}"));
        let mut edge = Edge::default();
        for entry in Entries::new(&bundle) {
            assert!(edge.append(TreeHash::leaf(entry.unwrap())).unwrap().is_empty());
        }
        assert_eq!(edge.head(), tessera.heads[usize::try_from(size).unwrap()]);
        let partial: Vec<_> = edge.partial_tiles().map(|(_, tile)| tile).collect();
        assert_eq!(partial, [Tessera::tile(size)]);
    }
}

#[test]
fn every_inclusion_and_consistency_proof_of_the_tessera_log_holds() {
    let tessera = Tessera::read();
    let (mut inclusions, mut consistencies) = (0, 0);
    for size in 1..=15_u64 {
        let mut tile = OneTile(Tessera::tile(size));
        let head = tessera.heads[usize::try_from(size).unwrap()];
        for index in 0..size {
            let proof = ProofPlan::inclusion(index, size).unwrap().assemble(&mut tile).unwrap();
            let leaf = tile.hash(Node { level: 0, index }).unwrap();
            assert_eq!(verify_inclusion(&leaf, index, &head, &proof), Ok(()));
            inclusions += 1;
        }
        for old in &tessera.heads[1..=usize::try_from(size).unwrap()] {
            let plan = ProofPlan::consistency(old.size, size).unwrap();
            let proof = plan.assemble(&mut tile).unwrap();
            assert_eq!(verify_consistency(old, &head, &proof), Ok(()));
            consistencies += 1;
        }
    }
    assert_eq!((inclusions, consistencies), (120, 120));
}

#[test]
fn the_tiles_of_a_sunlight_mirror_lead_to_its_root() {
    let folder = "tlog/sunlight-witness/witness/mirror/\
                  000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706";
    let note = SignedNote::parse(&text(&format!("{folder}/checkpoint"))).unwrap();
    let head = *LogHead::parse(note.unverified_text()).unwrap().tree();
    let read = |level, index| {
        let path = TilePath::hashes(TileId { level, index }, head.size).unwrap();
        Tile::parse(&bytes(&format!("{folder}/{path}")), path.width()).unwrap()
    };
    let mut edge = Edge::default();
    let leaves: Vec<_> =
        [read(0, 0), read(0, 1)].iter().flat_map(|t| t.hashes().to_vec()).collect();
    let full: Vec<_> = leaves.iter().flat_map(|leaf| edge.append(*leaf).unwrap()).collect();
    assert_eq!(full, [(TileId { level: 0, index: 0 }, read(0, 0))]);
    let partial: Vec<_> = edge.partial_tiles().map(|(_, tile)| tile).collect();
    assert_eq!(partial, [read(0, 1), read(1, 0)]);
    assert_eq!(edge.head(), head);
}

#[test]
fn a_sunlight_witness_line_is_read_whole_and_does_not_speak_for_the_log() {
    let folder = "tlog/sunlight-witness/witness";
    let log = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706";
    let file = text(&format!("{folder}/{log}/checkpoint"));
    let note = SignedNote::parse(&file).unwrap();
    assert_eq!(note.to_string(), file);
    assert_eq!(note.signatures().len(), 2);
    let keys = json(&format!("{folder}/witness.v0.json"));
    let key = keys["verifier_keys"][0].as_str().unwrap();
    // A cosignature key is of another type than the keys of logs.
    assert!(VerifierKey::parse(key).is_err());
    let parts: Vec<_> = key.splitn(3, '+').collect();
    let point = STANDARD.decode(parts[2]).unwrap();
    let line = &note.signatures()[1];
    assert_eq!((parts[0], parts[1]), (line.name().as_str(), line.id().to_string().as_str()));
    // C2SP tlog-cosignature: a timestamp, then an Ed25519 signature over header, time and text.
    let (time, signature) = line.as_bytes().split_first_chunk::<8>().unwrap();
    let time = u64::from_be_bytes(*time);
    let message = format!("cosignature/v1\ntime {time}\n{}", note.unverified_text());
    let public = PublicKey::from_bytes(Algorithm::Ed25519, &point[1..]).unwrap();
    let signature = Signature::from_bytes(Algorithm::Ed25519, signature).unwrap();
    signature.verify(&public, SignInput::Message(message.as_bytes())).unwrap();
}

#[test]
fn a_log_with_post_quantum_lines_beside_ours_is_believed_for_our_line() {
    let vectors = json("../custody-audit/tests/vectors/tlog_hybrid.json.gz");
    let key = VerifierKey::parse(vectors["log_ed25519_vkey"].as_str().unwrap()).unwrap();
    let checkpoints = vectors["checkpoints"].as_array().unwrap();
    let proofs = vectors["inclusion"].as_array().unwrap();
    let consistencies = vectors["consistency"].as_array().unwrap();
    assert_eq!(checkpoints.len() + proofs.len() + consistencies.len(), 96);
    for case in checkpoints {
        let file = case["note"].as_str().unwrap();
        let note = SignedNote::parse(file).unwrap();
        assert_eq!((note.to_string(), note.signatures().len()), (file.to_owned(), 3));
        let head = LogHead::open(&note, std::slice::from_ref(&key)).unwrap();
        let tree = TreeHead { size: number(&case["size"]), root: hex_hash(&case["root"]) };
        assert_eq!(*head.tree(), tree);
    }
    let mut files = 0;
    let roots: std::collections::BTreeMap<_, _> =
        checkpoints.iter().map(|case| (number(&case["size"]), hex_hash(&case["root"]))).collect();
    for case in proofs {
        let (index, size) = (number(&case["index"]), number(&case["size"]));
        let path: Vec<_> = case["proof"].as_array().unwrap().iter().map(hex_hash).collect();
        let head = TreeHead { size, root: roots[&size] };
        let leaf = hex_hash(&case["leaf_hash"]);
        assert_eq!(verify_inclusion(&leaf, index, &head, &path), Ok(()));
        // Only some of the proofs come as files too.
        let Some(file) = case["tlog_proof"].as_str() else { continue };
        files += 1;
        let receipt = LogProof::parse(file).unwrap();
        assert_eq!(receipt.to_string(), file);
        let keys = std::slice::from_ref(&key);
        assert_eq!(receipt.verify_leaf(&leaf, keys).unwrap().tree(), &head);
        assert!(receipt.verify_leaf(&TreeHash::leaf(b"other"), keys).is_err());
    }
    assert_eq!(files, 4);
    for case in consistencies {
        let old = TreeHead { size: number(&case["from"]), root: hex_hash(&case["root1"]) };
        let new = TreeHead { size: number(&case["to"]), root: hex_hash(&case["root2"]) };
        let hashes: Vec<_> = case["proof"].as_array().unwrap().iter().map(hex_hash).collect();
        assert_eq!(verify_consistency(&old, &new, &hashes), Ok(()));
        assert!(verify_consistency(&new, &old, &hashes).is_err());
    }
}

#[test]
fn the_roots_of_the_hybrid_log_are_those_of_its_entries() {
    let vectors = json("../custody-audit/tests/vectors/tlog_hybrid.json.gz");
    let entries = vectors["entries"].as_array().unwrap();
    let mut edge = Edge::default();
    let mut roots = vec![edge.head()];
    for entry in entries {
        let entry = hex::decode(entry.as_str().unwrap()).unwrap();
        drop(edge.append(TreeHash::leaf(&entry)).unwrap());
        roots.push(edge.head());
    }
    for case in vectors["checkpoints"].as_array().unwrap() {
        let head = roots[usize::try_from(number(&case["size"])).unwrap()];
        assert_eq!(head.root, hex_hash(&case["root"]));
    }
}

#[test]
fn key_ids_are_those_of_the_published_keys() {
    let vectors = json("../custody-audit/tests/vectors/tlog_hybrid.json.gz");
    let text = vectors["log_ed25519_vkey"].as_str().unwrap();
    let key = VerifierKey::parse(text).unwrap();
    assert_eq!((key.id(), key.to_string()), (KeyId::new([0xef, 0x1e, 0x2f, 0x55]), text.into()));
}
