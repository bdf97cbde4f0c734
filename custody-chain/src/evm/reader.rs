//! Strict reading of RLP (Yellow Paper, appendix B).
//!
//! Invariant: an item that is not in its only canonical form is refused, and so is every byte that
//! belongs to no item.

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Header;

use super::EvmError;

/// The items of a list, read in their order.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Where in the payload `rest` ends.
    end: usize,
    list: &'static str,
}

impl<'a> Reader<'a> {
    /// The items of the one list that `bytes` are; they end where the payload ends, at `end`.
    pub(super) fn open(bytes: &'a [u8], end: usize, list: &'static str) -> Result<Self, EvmError> {
        let mut outer = Self { rest: bytes, end, list };
        let inner = outer.list(list)?;
        outer.finish()?;
        Ok(inner)
    }

    /// The list that comes next.
    pub(super) fn list(&mut self, field: &'static str) -> Result<Self, EvmError> {
        let rest = self.item(field, true)?;
        let end = self.position();
        Ok(Self { rest, end, list: field })
    }

    /// The byte string that comes next.
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], EvmError> {
        self.item(field, false)
    }

    /// The number below 2^256 that comes next.
    pub(super) fn number(&mut self, field: &'static str) -> Result<U256, EvmError> {
        let bytes = self.bytes(field)?;
        if bytes.first() == Some(&0) {
            return Err(EvmError::LeadingZero { field });
        }
        U256::try_from_be_slice(bytes).ok_or(EvmError::Length { field, length: bytes.len() })
    }

    /// The number below 2^64 that comes next.
    pub(super) fn small(&mut self, field: &'static str) -> Result<u64, EvmError> {
        let number = self.number(field)?;
        u64::try_from(number).map_err(|_| EvmError::Length { field, length: number.byte_len() })
    }

    /// The address that comes next; none if it is empty.
    pub(super) fn address_or_none(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Address>, EvmError> {
        match self.bytes(field)? {
            [] => Ok(None),
            bytes => Address::try_from(bytes)
                .map(Some)
                .map_err(|_| EvmError::Length { field, length: bytes.len() }),
        }
    }

    /// The address that comes next.
    pub(super) fn address(&mut self, field: &'static str) -> Result<Address, EvmError> {
        self.address_or_none(field)?.ok_or(EvmError::Length { field, length: 0 })
    }

    /// The 32 bytes that come next.
    pub(super) fn word(&mut self, field: &'static str) -> Result<B256, EvmError> {
        let bytes = self.bytes(field)?;
        B256::try_from(bytes).map_err(|_| EvmError::Length { field, length: bytes.len() })
    }

    /// Nothing is left.
    pub(super) fn finish(&self) -> Result<(), EvmError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(EvmError::Trailing { what: self.list, count }),
        }
    }

    /// How many items are left, each well-formed outside.
    pub(super) fn count(&self) -> Result<usize, EvmError> {
        let mut reader = self.clone();
        let mut count = 0_usize;
        while !reader.is_empty() {
            let kind = reader.header(self.list)?.list;
            reader.item(self.list, kind)?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn item(&mut self, field: &'static str, list: bool) -> Result<&'a [u8], EvmError> {
        let malformed = EvmError::Malformed { field, position: self.position() };
        let mut body = self.rest;
        match Header::decode(&mut body) {
            Ok(header) if header.list == list => {
                let (item, rest) = body.split_at_checked(header.payload_length).ok_or(malformed)?;
                self.rest = rest;
                Ok(item)
            }
            Ok(_) | Err(_) => Err(malformed),
        }
    }

    fn header(&self, field: &'static str) -> Result<Header, EvmError> {
        let mut body = self.rest;
        Header::decode(&mut body)
            .map_err(|_| EvmError::Malformed { field, position: self.position() })
    }

    const fn position(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }
}
