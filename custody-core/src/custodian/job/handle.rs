//! Finds handles.
//!
//! Invariant: a handle is believed only if the log carries its digest.

use std::time::Duration;

use super::Stop;
use crate::custodian::record::handle_key;
use crate::custodian::shared::Shared;
use crate::digest::Digest;
use crate::document::Hold;
use crate::id::{KeyId, WalletId};
use crate::seam::KeyHandle;

/// The handle of a wallet's seed or key, with its SHA-256 as the log has it.
///
/// A handle that is being replaced is in the store a moment before the state that callers see tells
/// of it: then that moment is waited for, no longer than [`TRIES`] times [`PAUSE`].
pub(in crate::custodian) async fn load_handle(
    shared: &Shared,
    wallet: &WalletId,
    key: &KeyId,
) -> Result<(Digest, KeyHandle), Stop> {
    const CORRUPT: Stop = Stop::before(Hold::Corrupt);
    let record_key = handle_key(key).map_err(|_| CORRUPT)?;
    for _ in 0..TRIES {
        let recorded = shared.read().ledger.handle_of(wallet, key).ok_or(CORRUPT)?;
        let record = shared.store.get(&record_key).await;
        let record = record.map_err(|_| Stop::before(Hold::BackendUnavailable))?;
        if let Some(record) = record
            && Digest::of(&record.value) == recorded
        {
            return Ok((recorded, KeyHandle::new(record.value)));
        }
        match standing(shared, wallet, key, &recorded) {
            Standing::Final => return Err(CORRUPT),
            Standing::Changed => {}
            Standing::Changing => {
                let until = shared.clock.monotonic().saturating_add(PAUSE);
                shared.clock.sleep_until(until).await;
            }
        }
    }
    Err(Stop::before(Hold::BackendUnavailable))
}

/// What becomes of a digest that is not that of the stored handle.
enum Standing {
    /// Another has taken its place meanwhile.
    Changed,
    /// An order that may replace it is under way.
    Changing,
    /// Nothing replaces it: the stored handle is not the custodian's.
    Final,
}

fn standing(shared: &Shared, wallet: &WalletId, key: &KeyId, recorded: &Digest) -> Standing {
    let published = shared.read();
    if published.ledger.handle_of(wallet, key).as_ref() != Some(recorded) {
        return Standing::Changed;
    }
    if published.ledger.is_resealing(wallet) { Standing::Changing } else { Standing::Final }
}

const TRIES: u16 = 1_000;
const PAUSE: Duration = Duration::from_millis(10);
