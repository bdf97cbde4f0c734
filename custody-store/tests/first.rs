//! t
use custody_core::seam::*;
use custody_store::SqliteStore;
#[test]
fn works() {
    pollster::block_on(async {
        let d = tempfile::tempdir().unwrap();
        let p = d.path().join("x.db");
        let s = SqliteStore::open(&p).unwrap();
        assert!(matches!(SqliteStore::open(&p), Err(custody_store::OpenError::InUse)));
        let b = Batch { events: vec![b"{}".to_vec()], ..Batch::default() };
        assert_eq!(s.commit(Position::START, b.clone()).await.unwrap(), Position::new(1));
        assert_eq!(s.commit(Position::START, b).await.unwrap_err().kind(), ErrorKind::Conflict);
        s.close();
        let s = SqliteStore::open(&p).unwrap();
        assert_eq!(s.head().await.unwrap(), Position::new(1));
        for e in std::fs::read_dir(d.path()).unwrap() {
            println!("{:?}", e.unwrap());
        }
    });
}
