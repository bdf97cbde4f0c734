//! Accounts that hand themselves over to code (EIP-7702): authorisations, alone and in the
//! transactions that carry them.
//!
//! Invariant: an authorisation is decoded only from the bytes that it encodes to.

use alloy_primitives::{Address, U256};
use alloy_rlp::{BufMut, Encodable, Header};

use super::EvmError;
use super::reader::Reader;
use super::transaction::checked_chain_id;

/// An account's consent to run the code at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    /// Valid on this chain only; 0 is valid on all.
    pub(super) chain_id: u64,
    /// Whose code runs; zero takes an earlier consent back.
    pub(super) code: Address,
    pub(super) nonce: u64,
}

/// One with its signature, as a transaction carries it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedAuthorization {
    pub(super) authorization: Authorization,
    odd: u8,
    r: U256,
    s: U256,
}

impl Authorization {
    /// Decodes the bytes that get signed: the magic byte and the list.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, EvmError> {
        let length = bytes.len();
        if length > LIMIT {
            return Err(EvmError::TooLong { length, limit: LIMIT });
        }
        let rest = match bytes {
            [] => return Err(EvmError::Empty),
            [MAGIC, rest @ ..] => rest,
            [found, ..] => return Err(EvmError::Type { found: *found }),
        };
        let mut reader = Reader::open(rest, length, AUTHORIZATION)?;
        let authorization = Self::read(&mut reader)?;
        reader.finish()?;
        if authorization.encode() != bytes {
            return Err(EvmError::Encoding);
        }
        Ok(authorization)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, EvmError> {
        let chain_id = match reader.small("authorization chain id")? {
            0 => 0,
            chain_id => checked_chain_id(chain_id)?,
        };
        let code = reader.address("authorization address")?;
        let nonce = reader.small("authorization nonce")?;
        if nonce == u64::MAX {
            return Err(EvmError::Nonce);
        }
        Ok(Self { chain_id, code, nonce })
    }

    /// The bytes that get signed.
    fn encode(&self) -> Vec<u8> {
        let mut list = Vec::with_capacity(LIMIT);
        self.encode_fields(&mut list);
        let mut out = vec![MAGIC];
        Header { list: true, payload_length: list.len() }.encode(&mut out);
        out.extend_from_slice(&list);
        out
    }

    /// The list that a transaction carries.
    pub(super) fn signed(self, odd: bool, r: U256, s: U256) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 * LIMIT);
        SignedAuthorization { authorization: self, odd: u8::from(odd), r, s }.encode(&mut out);
        out
    }

    fn encode_fields(&self, out: &mut dyn BufMut) {
        self.chain_id.encode(out);
        self.code.encode(out);
        self.nonce.encode(out);
    }

    fn fields_length(&self) -> usize {
        [self.chain_id.length(), self.code.length(), self.nonce.length()].iter().sum()
    }
}

impl Encodable for SignedAuthorization {
    fn encode(&self, out: &mut dyn BufMut) {
        Header { list: true, payload_length: self.inner_length() }.encode(out);
        self.authorization.encode_fields(out);
        self.odd.encode(out);
        self.r.encode(out);
        self.s.encode(out);
    }

    fn length(&self) -> usize {
        let inner = self.inner_length();
        inner.saturating_add(Header { list: true, payload_length: inner }.length())
    }
}

impl SignedAuthorization {
    fn inner_length(&self) -> usize {
        [self.authorization.fields_length(), self.odd.length(), self.r.length(), self.s.length()]
            .iter()
            .sum()
    }
}

/// The authorisations of a transaction, at least one (EIP-7702, "Set code transaction").
pub(super) fn read_list(mut list: Reader<'_>) -> Result<Vec<SignedAuthorization>, EvmError> {
    let mut authorizations = Vec::new();
    while !list.is_empty() {
        let mut item = list.list("authorization")?;
        let authorization = Authorization::read(&mut item)?;
        let odd = item.small("authorization parity")?;
        let odd = u8::try_from(odd)
            .map_err(|_| EvmError::Length { field: "authorization parity", length: 2 })?;
        let (r, s) = (item.number("authorization r")?, item.number("authorization s")?);
        item.finish()?;
        authorizations.push(SignedAuthorization { authorization, odd, r, s });
    }
    if authorizations.is_empty() {
        return Err(EvmError::Length { field: "authorizations", length: 0 });
    }
    Ok(authorizations)
}

const AUTHORIZATION: &str = "the authorization";
/// `MAGIC` (EIP-7702, "Parameters").
const MAGIC: u8 = 5;
/// More than an authorisation takes without its signature.
const LIMIT: usize = 64;
