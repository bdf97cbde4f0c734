//! The strict form of a message: legacy or of version 0.
//!
//! Invariant: a message that was read is written back as the same bytes, and no account stands in
//! it twice. Accounts of lookup tables are known only if the payload brings them.

use std::collections::BTreeSet;

use solana_address::Address;
use solana_message::VersionedMessage;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::v0::MessageAddressTableLookup;

use super::SolanaError;
use super::resolved::Table;

/// A message with the accounts that are known.
pub(super) struct Message {
    message: VersionedMessage,
    accounts: Vec<Address>,
}

impl Message {
    /// Reads a message and refuses whatever is not its one encoding.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SolanaError> {
        let length = bytes.len();
        if length > LIMIT {
            return Err(SolanaError::TooLong { length, limit: LIMIT });
        }
        let message: VersionedMessage =
            wincode::deserialize_exact(bytes).map_err(|_| SolanaError::Encoding)?;
        if matches!(message, VersionedMessage::V1(_)) {
            return Err(SolanaError::Version);
        }
        message.sanitize().map_err(|_| SolanaError::Sanitize)?;
        let written = wincode::serialize(&message).map_err(|_| SolanaError::Encoding)?;
        if written != bytes {
            return Err(SolanaError::Encoding);
        }
        let accounts = message.static_account_keys().to_vec();
        let message = Self { message, accounts };
        message.check_packet(length)?;
        message.check_lookups()?;
        message.check_accounts()?;
        Ok(message)
    }

    /// The message with what its lookup tables hold.
    pub(super) fn resolve(mut self, tables: &[Table]) -> Result<Self, SolanaError> {
        let lookups = self.lookups().to_vec();
        if lookups.len() != tables.len() {
            return Err(SolanaError::Tables);
        }
        let mut writable = Vec::new();
        let mut readonly = Vec::new();
        for (lookup, table) in lookups.iter().zip(tables) {
            let count = lookup.writable_indexes.len().saturating_add(lookup.readonly_indexes.len());
            if lookup.account_key != table.address || table.accounts.len() != count {
                return Err(SolanaError::Tables);
            }
            let (first, second) = table
                .accounts
                .split_at_checked(lookup.writable_indexes.len())
                .ok_or(SolanaError::Tables)?;
            writable.extend_from_slice(first);
            readonly.extend_from_slice(second);
        }
        // "Versioned Transactions": static accounts, then all writable ones, then all read-only ones.
        self.accounts.extend(writable);
        self.accounts.extend(readonly);
        self.check_accounts()?;
        Ok(self)
    }

    /// Those that must sign, the fee payer first.
    pub(super) fn signers(&self) -> &[Address] {
        let count = usize::from(self.message.header().num_required_signatures);
        self.accounts.get(..count).unwrap_or_default()
    }

    /// The account that pays the fee.
    pub(super) fn fee_payer(&self) -> Result<Address, SolanaError> {
        self.accounts.first().copied().ok_or(SolanaError::Sanitize)
    }

    /// Whether it has accounts that came from outside the message.
    pub(super) fn is_resolved(&self) -> bool {
        self.accounts.len() > self.message.static_account_keys().len()
    }

    /// The account at an index, if it is known.
    pub(super) fn account(&self, index: u8) -> Option<Address> {
        self.accounts.get(usize::from(index)).copied()
    }

    pub(super) fn instructions(&self) -> &[CompiledInstruction] {
        self.message.instructions()
    }

    /// The tables from which accounts are loaded.
    pub(super) fn lookups(&self) -> &[MessageAddressTableLookup] {
        self.message.address_table_lookups().unwrap_or_default()
    }

    /// A message with its signatures must fit into one packet.
    fn check_packet(&self, length: usize) -> Result<(), SolanaError> {
        let signatures = self.signers().len().saturating_mul(SIGNATURE).saturating_add(1);
        let limit = LIMIT.saturating_sub(signatures);
        if length > limit { Err(SolanaError::TooLong { length, limit }) } else { Ok(()) }
    }

    fn check_lookups(&self) -> Result<(), SolanaError> {
        let mut tables = BTreeSet::new();
        for lookup in self.lookups() {
            let indexes: BTreeSet<_> =
                lookup.writable_indexes.iter().chain(&lookup.readonly_indexes).collect();
            let count = lookup.writable_indexes.len().saturating_add(lookup.readonly_indexes.len());
            if !tables.insert(lookup.account_key) || indexes.len() != count {
                return Err(SolanaError::Tables);
            }
        }
        Ok(())
    }

    fn check_accounts(&self) -> Result<(), SolanaError> {
        let mut seen = BTreeSet::new();
        match self.accounts.iter().position(|account| !seen.insert(account)) {
            Some(position) => Err(SolanaError::DuplicateAccount { position }),
            None => Ok(()),
        }
    }
}

/// Largest packet of the network, and so of a transaction.
pub(super) const LIMIT: usize = 1_232;
const SIGNATURE: usize = 64;
