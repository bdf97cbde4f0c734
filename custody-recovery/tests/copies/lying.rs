//! A store that fails and lies as it is told to.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_recovery::object_store::memory::InMemory;
use custody_recovery::object_store::path::Path;
use custody_recovery::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// An upload does not begin.
    Begin,
    /// A part is not taken.
    Part,
    /// An upload does not end.
    Complete,
    /// An upload ends, and nothing is there.
    Forgets,
    /// Nothing can be read.
    Get,
    /// Reading breaks off in the middle.
    GetBreaks,
    /// One bit of what is read is another.
    GetFlips,
    /// What is read is too short.
    GetCuts,
    /// What is read has a byte more.
    GetAdds,
    /// Nothing can be listed.
    List,
    /// Nothing can be deleted.
    Delete,
    /// No upload ever ends.
    Hangs,
}

pub(crate) const WRITING: [Lie; 3] = [Lie::Begin, Lie::Part, Lie::Complete];
pub(crate) const DAMAGING: [Lie; 3] = [Lie::GetFlips, Lie::GetCuts, Lie::GetAdds];

#[derive(Clone, Debug, Default)]
pub(crate) struct LyingStore {
    pub(crate) inner: Arc<InMemory>,
    lie: Arc<Mutex<Option<Lie>>>,
    pub(crate) aborted: Arc<AtomicBool>,
    pub(crate) parts: Arc<AtomicUsize>,
}

impl LyingStore {
    pub(crate) fn tell(&self, lie: impl Into<Option<Lie>>) {
        *self.lie.lock().unwrap() = lie.into();
    }

    fn tells(&self, lie: Lie) -> bool {
        *self.lie.lock().unwrap() == Some(lie)
    }

    fn fail(&self, lie: Lie) -> Result<()> {
        match self.tells(lie) {
            true => Err(failure()),
            false => Ok(()),
        }
    }
}

/// An error with an address and a credential in it, as those of clouds may have.
fn failure() -> Error {
    let source = "https://user:hunter2@bucket.example/?X-Amz-Signature=c0ffee".into();
    Error::Generic { store: "lying", source }
}

impl fmt::Display for LyingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("https://user:hunter2@bucket.example")
    }
}

#[derive(Debug)]
struct LyingUpload {
    inner: Box<dyn MultipartUpload>,
    store: LyingStore,
}

#[async_trait]
impl MultipartUpload for LyingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.store.parts.fetch_add(1, Ordering::SeqCst);
        match self.store.fail(Lie::Part) {
            Ok(()) => self.inner.put_part(data),
            Err(error) => futures::future::ready(Err(error)).boxed(),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.store.tells(Lie::Hangs) {
            futures::future::pending::<()>().await;
        }
        self.store.fail(Lie::Complete)?;
        if self.store.tells(Lie::Forgets) {
            return Ok(PutResult { e_tag: None, version: None, extensions: Default::default() });
        }
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.aborted.store(true, Ordering::SeqCst);
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for LyingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.fail(Lie::Begin)?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(LyingUpload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.fail(Lie::Get)?;
        let is_head = options.head;
        let mut result = self.inner.get_opts(location, options).await?;
        if is_head {
            return Ok(result);
        }
        let (meta, range) = (result.meta.clone(), result.range.clone());
        let mut bytes = result.bytes().await?.to_vec();
        let middle = bytes.len() / 2;
        match *self.lie.lock().unwrap() {
            Some(Lie::GetFlips) => bytes[middle] ^= 4,
            Some(Lie::GetCuts) => bytes.truncate(middle),
            Some(Lie::GetAdds) => bytes.push(0),
            _ => {}
        }
        let mut pieces: Vec<Result<_>> =
            bytes.chunks(1_000).map(|piece| Ok(piece.to_vec().into())).collect();
        if self.tells(Lie::GetBreaks) {
            pieces.truncate(1);
            pieces.push(Err(failure()));
        }
        let payload = GetResultPayload::Stream(futures::stream::iter(pieces).boxed());
        result = self.inner.get_opts(location, GetOptions::default()).await?;
        Ok(GetResult { payload, meta, range, ..result })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.fail(Lie::Delete) {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.fail(Lie::List) {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
