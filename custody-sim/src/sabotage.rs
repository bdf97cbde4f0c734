/// A part of the house that breaks its contract, to show that the referee notices.
///
/// A custodian cannot make up for these: whoever puts such a part in loses money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "tests name each of them")]
pub enum Sabotage {
    /// The anchor acknowledges and forgets, and after a crash an older copy is put in place.
    AnchorForgets,
    /// The backend says that it has refused, and has signed.
    BackendDenies,
    /// The backend says that it has switched a key off, and has not.
    BackendLeavesKeysOn,
    /// The backend says that it cannot be reached, and signs a little later.
    BackendSignsLater,
    /// The backend signs each input twice.
    BackendSignsTwice,
    /// After a crash half of every tile is gone, also of those that were durable.
    FilesCutTiles,
    /// The log hands out a receipt of another event.
    LogMixesReceipts,
    /// The log's signer signs another head of the same size besides.
    LogSignsTwoHeads,
    /// The custodian's rules count no approvals and no limits.
    RulesAllowAll,
    /// The store says that it cannot be reached, and has written.
    StoreDenies,
    /// The store acknowledges a batch and forgets its records.
    StoreForgetsRecords,
    /// The store loses the records of requests when it is opened again.
    StoreForgetsRequests,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::AnchorForgets,
        Self::BackendDenies,
        Self::BackendLeavesKeysOn,
        Self::BackendSignsLater,
        Self::BackendSignsTwice,
        Self::FilesCutTiles,
        Self::LogMixesReceipts,
        Self::LogSignsTwoHeads,
        Self::RulesAllowAll,
        Self::StoreDenies,
        Self::StoreForgetsRecords,
        Self::StoreForgetsRequests,
    ];
}
