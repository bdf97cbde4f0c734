//! What a writer refuses.

use std::pin::Pin;
use std::task::{Context, Poll};

use custody_core::seam::Position;
use custody_core::secret::Secret;
use custody_recovery::archive::{
    ArchiveWriter, ContentError, Counts, EntryKind, HeaderError, WriteError,
};
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;
use tokio::io::AsyncWrite;

use crate::support::{
    Put, SMALL, apply, draft, entropy, header, key, name, other_key, path, read, routes, small,
    write, write_with,
};

fn content(puts: &[Put]) -> ContentError {
    match write(SMALL, puts) {
        Err(WriteError::Content(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn entries_out_of_order_are_refused() {
    use EntryKind::{Event, File, Record, Secret};
    let event = |at| Put::Event(at, Vec::new());
    let record = |key| Put::Record(key, Vec::new());
    let file = |path| Put::File(path, Vec::new());
    let secret = |name| Put::Secret(name, Vec::new());
    let records = || [record("a"), record("b"), record("c"), event(0), event(1)];
    let files = || [&records()[..], &[file("a"), file("b")]].concat();
    for (puts, expected) in [
        (vec![event(1)], ContentError::Gap { expected: 0, found: 1 }),
        (vec![event(0), event(0)], ContentError::Gap { expected: 1, found: 0 }),
        (vec![record("b"), record("a")], ContentError::Unordered { kind: Record }),
        (vec![record("a"), record("a")], ContentError::Unordered { kind: Record }),
        (
            vec![record("document/genesis/b"), record("document/genesis/a")],
            ContentError::Unordered { kind: Record },
        ),
        (vec![event(0), event(1), record("a")], ContentError::Order { kind: Record, after: Event }),
        (
            vec![record("a"), record("b"), record("c"), record("d")],
            ContentError::Count { kind: Record, expected: 3, found: 4 },
        ),
        (vec![event(0), file("a")], ContentError::Count { kind: Event, expected: 2, found: 1 }),
        (
            vec![record("a"), event(0), event(1), file("a")],
            ContentError::Count { kind: Record, expected: 3, found: 1 },
        ),
        (
            [&records()[..], &[secret("a")]].concat(),
            ContentError::Count { kind: File, expected: 2, found: 0 },
        ),
        (
            [&records()[..], &[file("b"), file("a")]].concat(),
            ContentError::Unordered { kind: File },
        ),
        (
            [&files()[..], &[file("c")]].concat(),
            ContentError::Count { kind: File, expected: 2, found: 3 },
        ),
        (
            [&files()[..], &[event(2)]].concat(),
            ContentError::Order { kind: Event, after: EntryKind::FileEnd },
        ),
        (
            [&files()[..], &[secret("b"), secret("a")]].concat(),
            ContentError::Unordered { kind: Secret },
        ),
        (
            [&files()[..], &[secret("a"), secret("b"), secret("c")]].concat(),
            ContentError::Count { kind: Secret, expected: 2, found: 3 },
        ),
        (
            [&files()[..], &[secret("a"), file("c")]].concat(),
            ContentError::Order { kind: File, after: Secret },
        ),
        ([&files()[..], &[secret("a")]].concat(), {
            ContentError::Count { kind: Secret, expected: 2, found: 1 }
        }),
    ] {
        assert_eq!(content(&puts), expected, "{puts:?}");
    }
}

#[test]
fn every_length_has_a_limit() {
    let one = Counts { events: 1, ..Counts::default() };
    let event = |length| write(one, &[Put::Event(0, vec![1; length])]);
    assert!(event(32 * 1024 + 64).is_ok());
    let limit = 32 * 1024 + 64;
    let kind = EntryKind::Event;
    let expected = ContentError::Length { kind, length: limit + 1, limit };
    assert!(matches!(event(32 * 1024 + 65), Err(WriteError::Content(e)) if e == expected));

    let one = Counts { events: 1, records: 1, ..Counts::default() };
    let record =
        |length| write(one, &[Put::Record("a", vec![1; length]), Put::Event(0, Vec::new())]);
    assert_eq!(read(&record(16 * 1024 * 1024).unwrap()).unwrap().len(), 2);
    let limit = 16 * 1024 * 1024;
    let kind = EntryKind::Record;
    let expected = ContentError::Length { kind, length: limit + 1, limit };
    assert!(matches!(record(16 * 1024 * 1024 + 1), Err(WriteError::Content(e)) if e == expected));

    let one = Counts { secrets: 1, ..Counts::default() };
    let secret = |length| write(one, &[Put::Secret("a", vec![1; length])]);
    assert_eq!(read(&secret(64 * 1024).unwrap()).unwrap().len(), 1);
    let limit = 64 * 1024;
    let kind = EntryKind::Secret;
    let expected = ContentError::Length { kind, length: limit + 1, limit };
    assert!(matches!(secret(64 * 1024 + 1), Err(WriteError::Content(e)) if e == expected));
}

#[test]
fn entries_that_end_with_a_chunk_are_read_again() {
    // The entry of an event of this length ends somewhere around the end of the first chunk.
    let one = Counts { secrets: 1, ..Counts::default() };
    for length in 65_470..65_536 {
        let bytes = write(one, &[Put::Secret("a", vec![1; length])]).unwrap();
        assert_eq!(read(&bytes).unwrap().len(), 1, "{length}");
    }
}

#[test]
fn an_archive_of_nothing_has_an_end_too() {
    let bytes = write(Counts::default(), &[]).unwrap();
    assert!(read(&bytes).unwrap().is_empty());
}

#[test]
fn a_key_of_another_header_writes_nothing() {
    let refused = write_with(&other_key(), &header(SMALL), &small());
    assert!(matches!(refused, Err(WriteError::WrongKey)));
}

#[test]
fn a_header_that_contradicts_itself_is_not_written() {
    let mut many = draft(SMALL);
    many.counts.files = 1 << 53;
    let made = custody_recovery::archive::Header::new(many, &key(), routes(&key()));
    assert_eq!(made.unwrap_err(), HeaderError::Count);
    let mut ahead = draft(SMALL);
    ahead.checkpoint.head.size = Position::new(3);
    let made = custody_recovery::archive::Header::new(ahead, &key(), routes(&key()));
    assert_eq!(made.unwrap_err(), HeaderError::Checkpoint { size: 3, events: 2 });
    let mut long = draft(SMALL);
    long.checkpoint.note = "a".repeat(64 * 1024);
    let made = custody_recovery::archive::Header::new(long, &key(), routes(&key()));
    assert!(matches!(made, Err(HeaderError::Length { .. })));
}

#[test]
fn a_writer_that_failed_never_comes_to_an_end() {
    let header = header(SMALL);
    block_on(async {
        let mut bytes = Vec::new();
        let key = key();
        let mut writer = ArchiveWriter::begin(&mut bytes, &key, &header, entropy(1)).await.unwrap();
        for put in small() {
            apply(&mut writer, &put).await.unwrap();
        }
        let secret = Secret::new(vec![1]);
        assert!(writer.secret(&name("z"), &secret).await.is_err());
        assert!(matches!(writer.secret(&name("zz"), &secret).await, Err(WriteError::Broken)));
        assert!(matches!(writer.finish().await, Err(WriteError::Broken)));
    });
}

#[test]
fn a_writer_without_entropy_fails() {
    let header = header(SMALL);
    block_on(async {
        let entropy = std::sync::Arc::new(TestEntropy::failing());
        let key = key();
        let mut bytes = Vec::new();
        let mut writer = ArchiveWriter::begin(&mut bytes, &key, &header, entropy).await.unwrap();
        for put in small() {
            apply(&mut writer, &put).await.unwrap();
        }
        assert!(matches!(writer.finish().await, Err(WriteError::Envelope(_))));
    });
}

/// A sink that takes so many bytes and then fails.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let length = bytes.len().min(self.0);
        self.0 -= length;
        Poll::Ready(match length {
            0 => Err(std::io::ErrorKind::StorageFull.into()),
            length => Ok(length),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_sink_that_is_full_at_any_byte_fails_the_archive() {
    let (good, header, key) = (crate::support::small_archive(), header(SMALL), key());
    let attempt = |room| {
        block_on(async {
            let mut writer = ArchiveWriter::begin(Full(room), &key, &header, entropy(1)).await?;
            writer.record(&crate::support::record("document/genesis/1", b"rules")).await?;
            writer.event(Position::new(0), b"{\"first\":1}").await?;
            writer.record(&crate::support::record("handle/hot", b"sealed")).await?;
            writer.record(&crate::support::record("request/a/b", b"")).await?;
            writer.event(Position::new(1), b"{\"second\":2}").await?;
            writer.file(&path("log/checkpoint"), &b"note"[..]).await?;
            writer.file(&path("log/tile/empty"), &b""[..]).await?;
            let passphrase = Secret::new(b"correct horse battery staple".to_vec());
            writer.secret(&name("kek/main"), &passphrase).await?;
            writer.secret(&name("log-key"), &Secret::new(vec![9; 32])).await?;
            writer.finish().await
        })
    };
    for room in 0..good.len() {
        assert!(matches!(attempt(room), Err(WriteError::Sink(_))), "{room}");
    }
    assert_eq!(attempt(good.len()).unwrap().bytes, good.len() as u64);
}
