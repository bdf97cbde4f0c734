use custody_core::amount::Units;
use custody_core::caip::AssetId;
use custody_core::command::CommandResult;
use custody_core::seam::TaskSignature;

/// What the rules of a house promise about one asset, so that it can be counted without them.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Promises {
    /// The asset; none if nothing is promised.
    pub asset: Option<AssetId>,
    /// What may leave one wallet in a day; none if it is not limited.
    pub a_day: Option<Units>,
    /// What one order may cost without approvals, fee and all, and how many people it takes beyond.
    pub alone: Option<(Units, usize)>,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests take it apart")]
pub enum End {
    /// Taken back.
    Cancelled,
    /// Denied or rejected.
    Denied,
    /// Its command is done.
    Executed {
        /// What it left behind.
        result: CommandResult,
    },
    /// Waited too long.
    Expired,
    /// Nothing was signed.
    Failed,
    /// Signed, by the custodian or by a resolution.
    Signed {
        /// The signatures.
        signatures: Vec<TaskSignature>,
        /// Whether people said so.
        resolved: bool,
    },
    /// A signature may exist.
    Unknown,
}
