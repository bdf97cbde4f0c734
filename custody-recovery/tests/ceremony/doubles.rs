//! A desk and a journal in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::{BackendError, ErrorKind};
use custody_core::secret::Secret;
use custody_recovery::ceremony::{Begun, Journal, Purpose, ShareDesk, SharePlace};
use custody_recovery::slip39::Share;
use custody_recovery::{Holder, SetId, SharePosition};

/// A desk that puts what it hands out into a drawer, and fails as told. Clones share one drawer.
#[derive(Clone, Default)]
pub(crate) struct Drawer(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    handed: BTreeMap<(SetId, SharePosition), Vec<u8>>,
    brought: Vec<Vec<u8>>,
    purposes: Vec<Purpose>,
    fails: Option<(usize, ErrorKind)>,
    hangs: bool,
    calls: usize,
}

impl Drawer {
    pub(crate) fn words(&self, set: SetId, share: SharePosition) -> Option<Vec<u8>> {
        self.0.lock().unwrap().handed.get(&(set, share)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().handed.values().cloned().collect()
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn purposes(&self) -> Vec<Purpose> {
        self.0.lock().unwrap().purposes.clone()
    }

    pub(crate) fn bring(&self, words: Vec<Vec<u8>>) {
        self.0.lock().unwrap().brought = words;
    }

    /// The hand-out after so many others fails.
    pub(crate) fn fail(&self, after: usize, kind: ErrorKind) {
        let mut contents = self.0.lock().unwrap();
        contents.fails = Some((contents.calls + after, kind));
    }

    /// The next hand-out but one never ends: the process may die in it.
    pub(crate) fn hang(&self) {
        self.0.lock().unwrap().hangs = true;
    }

    pub(crate) fn mend(&self) {
        let mut contents = self.0.lock().unwrap();
        (contents.fails, contents.hangs) = (None, false);
    }
}

impl std::fmt::Debug for Drawer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drawer").finish_non_exhaustive()
    }
}

#[async_trait]
impl ShareDesk for Drawer {
    fn reaches(&self, holder: &Holder) -> bool {
        holder.principal.as_str() != "nobody"
    }

    async fn hand_out(&self, place: SharePlace<'_>, share: Share) -> Result<(), BackendError> {
        let hangs = {
            let mut contents = self.0.lock().unwrap();
            contents.calls += 1;
            if let Some((call, kind)) = contents.fails
                && contents.calls > call
            {
                return Err(BackendError::new(kind, "hand a share out"));
            }
            let hangs = contents.hangs && place.share.member == 1;
            if !hangs {
                let words = share.to_words().expose().to_vec();
                contents.handed.insert((*place.set, place.share), words);
            }
            hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn collect(
        &self,
        _: &CustodianId,
        _: &SetId,
        purpose: &Purpose,
    ) -> Result<Vec<Share>, BackendError> {
        let mut contents = self.0.lock().unwrap();
        contents.purposes.push(purpose.clone());
        let parse = |words: &Vec<u8>| Share::parse(&Secret::new(words.clone()));
        let shares: Result<_, _> = contents.brought.iter().map(parse).collect();
        shares.map_err(|_| BackendError::new(ErrorKind::Refused, "read shares"))
    }
}

/// A journal in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<BTreeMap<SetId, Option<Vec<u8>>>>>);

impl Notes {
    /// A record is lost, as it is on another machine.
    pub(crate) fn forget(&self, set: &SetId) {
        self.0.lock().unwrap().remove(set);
    }

    /// What was noted of the set of an order: nothing, that it was begun, or its record.
    pub(crate) fn of(&self, custodian: CustodianId, order: &OrderId) -> Option<Option<Vec<u8>>> {
        self.0.lock().unwrap().get(&SetId::of(&custodian, order)).cloned()
    }
}

#[async_trait]
impl Journal for Notes {
    async fn begin(&self, set: &SetId) -> Result<Begun, BackendError> {
        let mut notes = self.0.lock().unwrap();
        Ok(match notes.get(set) {
            None => {
                notes.insert(*set, None);
                Begun::First
            }
            Some(None) => Begun::BrokenOff,
            Some(Some(record)) => Begun::Done(record.clone()),
        })
    }

    async fn finish(&self, set: &SetId, record: &[u8]) -> Result<(), BackendError> {
        self.0.lock().unwrap().insert(*set, Some(record.to_vec()));
        Ok(())
    }

    async fn record(&self, set: &SetId) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.0.lock().unwrap().get(set).cloned().flatten())
    }
}
