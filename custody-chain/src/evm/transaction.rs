//! The unsigned transaction: decoded from its bytes, encoded again to prove them canonical, and
//! encoded with a signature.
//!
//! Invariant: `decode` succeeds only on bytes that `encode` gives back, so that no two payloads
//! mean one transaction and no payload means two.

mod kind;

use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{BufMut, Encodable, Header};

use super::EvmError;
use super::authorization::{self, SignedAuthorization};
use super::reader::Reader;
use kind::{Blobs, Kind, Market};

/// An unsigned transaction.
#[derive(Clone, Debug)]
pub(super) struct Transaction<'a> {
    kind: Kind,
    pub(super) nonce: u64,
    gas_limit: u64,
    /// None creates a contract.
    pub(super) to: Option<Address>,
    pub(super) value: U256,
    pub(super) data: &'a [u8],
    /// The worst-case fee; together with the value below 2^256.
    pub(super) fee: U256,
}

impl<'a> Transaction<'a> {
    /// Decodes the bytes that get signed.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, EvmError> {
        let length = bytes.len();
        if length > LIMIT {
            return Err(EvmError::TooLong { length, limit: LIMIT });
        }
        let typed = |rest| Reader::open(rest, length, TRANSACTION);
        let transaction = match bytes {
            [] => return Err(EvmError::Empty),
            [EIP2930_TYPE, rest @ ..] => {
                counted(&typed(rest)?, EIP2930_FIELDS, Self::decode_eip2930)?
            }
            [EIP1559_TYPE, rest @ ..] => {
                counted(&typed(rest)?, EIP1559_FIELDS, Self::decode_eip1559)?
            }
            [EIP4844_TYPE, rest @ ..] => {
                counted(&typed(rest)?, EIP4844_FIELDS, Self::decode_eip4844)?
            }
            [EIP7702_TYPE, rest @ ..] => {
                counted(&typed(rest)?, EIP7702_FIELDS, Self::decode_eip7702)?
            }
            [found @ ..0x80, ..] => return Err(EvmError::Type { found: *found }),
            _ => Self::decode_legacy(typed(bytes)?)?,
        };
        if transaction.encode() != bytes {
            return Err(EvmError::Encoding);
        }
        Ok(transaction)
    }

    fn decode_legacy(mut reader: Reader<'a>) -> Result<Self, EvmError> {
        let fields = reader.count()?;
        if fields != LEGACY_FIELDS && fields != EIP155_FIELDS {
            return Err(EvmError::Fields { found: fields });
        }
        let nonce = reader.small("nonce")?;
        let gas_price = reader.number("gas price")?;
        let body = Body::read(&mut reader, nonce)?;
        let kind = if fields == LEGACY_FIELDS {
            Kind::Legacy { gas_price }
        } else {
            Kind::Eip155 { chain_id: read_eip155(&mut reader)?, gas_price }
        };
        reader.finish()?;
        body.priced(kind, gas_price)
    }

    fn decode_eip2930(mut reader: Reader<'a>) -> Result<Self, EvmError> {
        let chain_id = checked_chain_id(reader.small("chain id")?)?;
        let nonce = reader.small("nonce")?;
        let gas_price = reader.number("gas price")?;
        let body = Body::read(&mut reader, nonce)?;
        let access_list = read_access_list(reader.list("access list")?)?;
        reader.finish()?;
        body.priced(Kind::Eip2930 { chain_id, gas_price, access_list }, gas_price)
    }

    fn decode_eip1559(mut reader: Reader<'a>) -> Result<Self, EvmError> {
        let Head { chain_id, market, body, access_list } = Head::read(&mut reader)?;
        reader.finish()?;
        body.priced(Kind::Eip1559 { chain_id, market, access_list }, market.fee)
    }

    fn decode_eip4844(mut reader: Reader<'a>) -> Result<Self, EvmError> {
        let Head { chain_id, market, body, access_list } = Head::read(&mut reader)?;
        let fee = reader.number("fee per blob gas")?;
        let hashes = read_words(reader.list("blob hashes")?, "blob hash")?;
        reader.finish()?;
        if body.to.is_none() {
            return Err(EvmError::Length { field: "to", length: 0 });
        }
        let blobs = Blobs { fee, hashes };
        let count = blobs.hashes.len();
        if count == 0 || blobs.hashes.iter().any(|hash| hash.first() != Some(&BLOB_VERSION)) {
            return Err(EvmError::Blobs { count });
        }
        let gas = BLOB_GAS.checked_mul(U256::from(count)).ok_or(EvmError::FeeOverflow)?;
        let blob_fee = gas.checked_mul(fee).ok_or(EvmError::FeeOverflow)?;
        let kind = Kind::Eip4844 { chain_id, market, access_list, blobs };
        body.priced_with(kind, market.fee, blob_fee)
    }

    fn decode_eip7702(mut reader: Reader<'a>) -> Result<Self, EvmError> {
        let Head { chain_id, market, body, access_list } = Head::read(&mut reader)?;
        let authorizations = authorization::read_list(reader.list("authorizations")?)?;
        reader.finish()?;
        if body.to.is_none() {
            return Err(EvmError::Length { field: "to", length: 0 });
        }
        let kind = Kind::Eip7702 { chain_id, market, access_list, authorizations };
        body.priced(kind, market.fee)
    }

    /// The authorisations that it carries.
    pub(super) fn authorizations(&self) -> &[SignedAuthorization] {
        if let Kind::Eip7702 { authorizations, .. } = &self.kind { authorizations } else { &[] }
    }

    /// The transaction with its signature, as a node takes it.
    pub(super) fn signed(&self, odd: bool, r: U256, s: U256) -> Result<Vec<u8>, EvmError> {
        let parity = u64::from(odd);
        let v = match self.kind {
            Kind::Legacy { .. } => 27_u64.checked_add(parity),
            Kind::Eip155 { chain_id, .. } => chain_id
                .checked_mul(2)
                .and_then(|double| double.checked_add(35))
                .and_then(|even| even.checked_add(parity)),
            Kind::Eip2930 { .. }
            | Kind::Eip1559 { .. }
            | Kind::Eip4844 { .. }
            | Kind::Eip7702 { .. } => Some(parity),
        };
        Ok(self.encode_with(&[U256::from(v.ok_or(EvmError::ChainId)?), r, s]))
    }

    /// The chain that the transaction names.
    pub(super) const fn chain_id(&self) -> Option<u64> {
        match &self.kind {
            Kind::Legacy { .. } => None,
            Kind::Eip155 { chain_id, .. }
            | Kind::Eip2930 { chain_id, .. }
            | Kind::Eip1559 { chain_id, .. }
            | Kind::Eip4844 { chain_id, .. }
            | Kind::Eip7702 { chain_id, .. } => Some(*chain_id),
        }
    }

    /// The bytes that get signed.
    fn encode(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Eip155 { chain_id, .. } => {
                self.encode_with(&[U256::from(*chain_id), U256::ZERO, U256::ZERO])
            }
            Kind::Legacy { .. }
            | Kind::Eip2930 { .. }
            | Kind::Eip1559 { .. }
            | Kind::Eip4844 { .. }
            | Kind::Eip7702 { .. } => self.encode_with(&[]),
        }
    }

    fn encode_with(&self, last: &[U256]) -> Vec<u8> {
        let mut list = Vec::with_capacity(self.data.len().saturating_add(FIELDS_CAPACITY));
        self.encode_fields(&mut list);
        last.iter().for_each(|number| number.encode(&mut list));
        let mut out = Vec::with_capacity(list.len().saturating_add(HEADER_CAPACITY));
        self.encode_header(list.len(), &mut out);
        out.extend_from_slice(&list);
        out
    }

    /// The type and the header of a list of so many bytes.
    fn encode_header(&self, payload_length: usize, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Legacy { .. } | Kind::Eip155 { .. } => {}
            Kind::Eip2930 { .. } => out.put_u8(EIP2930_TYPE),
            Kind::Eip1559 { .. } => out.put_u8(EIP1559_TYPE),
            Kind::Eip4844 { .. } => out.put_u8(EIP4844_TYPE),
            Kind::Eip7702 { .. } => out.put_u8(EIP7702_TYPE),
        }
        Header { list: true, payload_length }.encode(out);
    }

    fn encode_fields(&self, list: &mut Vec<u8>) {
        match &self.kind {
            Kind::Legacy { gas_price } | Kind::Eip155 { gas_price, .. } => {
                self.nonce.encode(list);
                gas_price.encode(list);
                self.encode_body(list);
            }
            Kind::Eip2930 { chain_id, gas_price, access_list } => {
                chain_id.encode(list);
                self.nonce.encode(list);
                gas_price.encode(list);
                self.encode_body(list);
                access_list.encode(list);
            }
            Kind::Eip1559 { chain_id, market, access_list } => {
                self.encode_head(*chain_id, market, access_list, list);
            }
            Kind::Eip4844 { chain_id, market, access_list, blobs } => {
                self.encode_head(*chain_id, market, access_list, list);
                blobs.fee.encode(list);
                blobs.hashes.encode(list);
            }
            Kind::Eip7702 { chain_id, market, access_list, authorizations } => {
                self.encode_head(*chain_id, market, access_list, list);
                authorizations.encode(list);
            }
        }
    }

    fn encode_head(
        &self,
        chain_id: u64,
        market: &Market,
        access_list: &AccessList,
        out: &mut Vec<u8>,
    ) {
        chain_id.encode(out);
        self.nonce.encode(out);
        market.priority_fee.encode(out);
        market.fee.encode(out);
        self.encode_body(out);
        access_list.encode(out);
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        self.gas_limit.encode(out);
        self.to.as_ref().map_or(&[][..], |to| to.as_slice()).encode(out);
        self.value.encode(out);
        self.data.encode(out);
    }
}

/// The fields that follow the fees in every kind of transaction.
struct Body<'a> {
    nonce: u64,
    gas_limit: u64,
    to: Option<Address>,
    value: U256,
    data: &'a [u8],
}

impl<'a> Body<'a> {
    fn read(reader: &mut Reader<'a>, nonce: u64) -> Result<Self, EvmError> {
        if nonce == u64::MAX {
            return Err(EvmError::Nonce);
        }
        Ok(Self {
            nonce,
            gas_limit: reader.small("gas limit")?,
            to: reader.address_or_none("to")?,
            value: reader.number("value")?,
            data: reader.bytes("data")?,
        })
    }

    fn priced(self, kind: Kind, fee_per_gas: U256) -> Result<Transaction<'a>, EvmError> {
        self.priced_with(kind, fee_per_gas, U256::ZERO)
    }

    fn priced_with(
        self,
        kind: Kind,
        fee_per_gas: U256,
        more: U256,
    ) -> Result<Transaction<'a>, EvmError> {
        let Self { nonce, gas_limit, to, value, data } = self;
        let fee = fee_per_gas.checked_mul(U256::from(gas_limit));
        let fee = fee.and_then(|fee| fee.checked_add(more)).ok_or(EvmError::FeeOverflow)?;
        value.checked_add(fee).ok_or(EvmError::TotalOverflow)?;
        Ok(Transaction { kind, nonce, gas_limit, to, value, data, fee })
    }
}

/// The fields that transactions with a fee market begin with.
struct Head<'a> {
    chain_id: u64,
    market: Market,
    body: Body<'a>,
    access_list: AccessList,
}

impl<'a> Head<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, EvmError> {
        let chain_id = checked_chain_id(reader.small("chain id")?)?;
        let nonce = reader.small("nonce")?;
        let priority_fee = reader.number("priority fee per gas")?;
        let fee = reader.number("fee per gas")?;
        if priority_fee > fee {
            return Err(EvmError::PriorityFee);
        }
        let body = Body::read(reader, nonce)?;
        let access_list = read_access_list(reader.list("access list")?)?;
        Ok(Self { chain_id, market: Market { priority_fee, fee }, body, access_list })
    }
}

/// Decodes a typed transaction, which has so many fields. What has another number of them is refused
/// for that, whatever else may be wrong with it.
fn counted<'a>(
    reader: &Reader<'a>,
    fields: usize,
    decode: impl FnOnce(Reader<'a>) -> Result<Transaction<'a>, EvmError>,
) -> Result<Transaction<'a>, EvmError> {
    decode(reader.clone()).or_else(|error| check_fields(reader, fields).and(Err(error)))
}

/// A typed transaction has so many fields, and three more once it is signed.
fn check_fields(reader: &Reader<'_>, expected: usize) -> Result<(), EvmError> {
    match reader.count()? {
        found if found == expected => Ok(()),
        found if found == expected.saturating_add(3) => Err(EvmError::Signed),
        found => Err(EvmError::Fields { found }),
    }
}

/// Chain id, 0, 0: what stands in the place of the signature (EIP-155).
fn read_eip155(reader: &mut Reader<'_>) -> Result<u64, EvmError> {
    let mut signature = reader.clone();
    signature.bytes("v")?;
    if !signature.bytes("r")?.is_empty() || !signature.bytes("s")?.is_empty() {
        return Err(EvmError::Signed);
    }
    let chain_id = reader.small("chain id")?;
    *reader = signature;
    checked_chain_id(chain_id)
}

pub(super) const fn checked_chain_id(chain_id: u64) -> Result<u64, EvmError> {
    if chain_id == 0 || chain_id > CHAIN_ID_MAX {
        return Err(EvmError::ChainId);
    }
    Ok(chain_id)
}

fn read_access_list(mut list: Reader<'_>) -> Result<AccessList, EvmError> {
    let mut items = Vec::new();
    while !list.is_empty() {
        let mut item = list.list("access list item")?;
        let address = item.address("access list address")?;
        let storage_keys = read_words(item.list("storage keys")?, "storage key")?;
        item.finish()?;
        items.push(AccessListItem { address, storage_keys });
    }
    Ok(AccessList(items))
}

fn read_words(mut list: Reader<'_>, field: &'static str) -> Result<Vec<B256>, EvmError> {
    let mut words = Vec::new();
    while !list.is_empty() {
        words.push(list.word(field)?);
    }
    Ok(words)
}

/// The largest chain id whose `v` fits into 64 bits (EIP-2294).
pub(super) const CHAIN_ID_MAX: u64 = 9_223_372_036_854_775_771;

const TRANSACTION: &str = "the transaction";
const LIMIT: usize = 256 * 1024;
const EIP2930_TYPE: u8 = 1;
const EIP1559_TYPE: u8 = 2;
const EIP4844_TYPE: u8 = 3;
const EIP7702_TYPE: u8 = 4;
const LEGACY_FIELDS: usize = 6;
const EIP155_FIELDS: usize = 9;
const EIP2930_FIELDS: usize = 8;
const EIP1559_FIELDS: usize = 9;
const EIP4844_FIELDS: usize = 11;
const EIP7702_FIELDS: usize = 10;
/// `VERSIONED_HASH_VERSION_KZG` (EIP-4844, "Parameters").
const BLOB_VERSION: u8 = 1;
/// `GAS_PER_BLOB` (EIP-4844, "Parameters").
const BLOB_GAS: U256 = U256::from_limbs([131_072, 0, 0, 0]);
/// More than the fields beside data and access list take.
const FIELDS_CAPACITY: usize = 256;
/// More than the type and the header of the list take.
const HEADER_CAPACITY: usize = 10;
