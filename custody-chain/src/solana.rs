//! Solana: messages of transactions, and messages off the chain.
//!
//! Invariant: the bytes that are signed are the bytes that were decoded, all of them; an
//! instruction that is not understood to its last byte is a call that nothing permits by itself.

mod address;
mod associated;
mod error;
mod fee;
mod instruction;
mod message;
mod offchain;
mod resolved;
mod stake;
mod story;
mod system;
mod token;

use std::collections::BTreeSet;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, DerivationPath, Intent, Payload,
    SigningTask, TaskInput, TaskSignature,
};
use solana_address::Address;
use solana_sdk_ids::system_program;

pub use self::address::{SolanaAddress, SolanaAddressError};
pub use self::error::SolanaError;
use self::message::Message;
use self::story::Story;
use crate::signer::{self, SignerError};

/// Reads messages of transactions, legacy and of version 0, and off-chain messages on `solana`
/// chains. The formats:
///
/// - `solana/message`: the bytes of a message, as they are signed, up to 1,232 together with the
///   signatures.
/// - `solana/resolved`: such a message and the accounts that it loads from lookup tables, as the
///   JSON document `{"v":1,"message":"<base64>","tables":[{"address":"…","accounts":["…"]}]}`,
///   without white space. Each table of the message stands there in its order, with the accounts at
///   the message's indexes: the writable ones, then the read-only ones. Up to 16 KiB.
/// - `solana/offchain`: an off-chain message of version 0, with its header.
///
/// Each of the wallet's Ed25519 accounts that must sign a message does; an off-chain message is
/// signed by the first account. The reason of a refusal is a [`SolanaError`].
///
/// # Security
///
/// What a lookup table holds is not signed: whoever submits a `solana/resolved` payload says it.
/// Such an order has the fact `resolved_tables`, so that rules can demand that only a service that
/// reads the tables from the chain submits it.
#[derive(Clone, Debug)]
pub struct SolanaDecoder {
    id: DecoderId,
}

impl SolanaDecoder {
    /// The decoder `solana/2`.
    ///
    /// # Panics
    /// Never: what it parses is a constant.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the constant is well-formed, each test proves it")]
    pub fn new() -> Self {
        Self { id: DecoderId::parse(ID).expect("a well-formed decoder id") }
    }

    /// The path of an account below a seed (SLIP-44, coin 501): `m/44'/501'/account'/0'`. None for
    /// a number that cannot be hardened.
    ///
    /// # Examples
    ///
    /// ```
    /// use custody_chain::SolanaDecoder;
    ///
    /// let path = SolanaDecoder::path(7).map(|path| path.to_string());
    /// assert_eq!(path.as_deref(), Some("m/44'/501'/7'/0'"));
    /// assert!(SolanaDecoder::path(1 << 31).is_none());
    /// ```
    #[must_use]
    pub fn path(account: u32) -> Option<DerivationPath> {
        DerivationPath::parse(&format!("m/44'/501'/{account}'/0'")).ok()
    }
}

impl Default for SolanaDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for SolanaDecoder {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        FORMATS.contains(&format.as_str()) && is_solana(chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        if !is_solana(chain) {
            return None;
        }
        AccountId::new(chain, &address(key)?.to_string()).ok()
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        intent(payload, context).map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }

    /// The transaction as a network takes it, with zeros in the place of signatures of others; for
    /// an off-chain message, the 64 bytes of the signature.
    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        assemble(payload, context, signatures)
            .map_err(|reason| DecodeError::new(payload.format.clone(), reason))
    }
}

fn intent(payload: &Payload, context: &DecodeContext) -> Result<Intent, SolanaError> {
    let first = check(payload, context)?;
    if payload.format.as_str() != OFFCHAIN {
        let (message, bytes) = read(payload)?;
        return transaction(&message, &bytes, context);
    }
    let (effect, line) = offchain::describe(&payload.bytes)?;
    Ok(Intent {
        chain: context.chain.clone(),
        effects: vec![effect],
        facts: BTreeSet::new(),
        tasks: vec![task(offchain_signer(first)?, &payload.bytes)],
        summary: vec![line],
    })
}

/// What a message of a transaction does, and who of the wallet signs it.
fn transaction(
    message: &Message,
    bytes: &[u8],
    context: &DecodeContext,
) -> Result<Intent, SolanaError> {
    let signers = signers(message, context);
    let ours: Vec<_> = signers.iter().filter_map(|it| address(&it.public_key)).collect();
    let is_foreign = !ours.contains(&message.fee_payer()?);
    if signers.is_empty() {
        return Err(SolanaError::NotSigner);
    }
    if message.instructions().is_empty() {
        return Err(SolanaError::NoInstruction);
    }
    let fee = fee::worst_case(message)?;
    let mut story = Story::new(&context.chain, ours)?;
    note(message, signers.len(), &mut story)?;
    for compiled in message.instructions() {
        instruction::describe(message, compiled, &mut story)?;
    }
    if is_foreign {
        story.fact("foreign_fee_payer")?;
    } else {
        story.pay_fee(fee);
    }
    if story.effects.is_empty() {
        return Err(SolanaError::NoEffect);
    }
    Ok(Intent {
        chain: context.chain.clone(),
        effects: story.effects,
        facts: story.facts,
        tasks: signers.iter().map(|account| task(account, bytes)).collect(),
        summary: story.summary,
    })
}

/// Facts about the message as a whole.
fn note(message: &Message, signers: usize, story: &mut Story<'_>) -> Result<(), SolanaError> {
    if signers < message.signers().len() {
        story.fact("foreign_signer")?;
    }
    let first = message.instructions().first();
    let is_nonce = first.is_some_and(|first| {
        message.account(first.program_id_index) == Some(system_program::ID)
            && system::is_advance(&first.data)
    });
    if is_nonce {
        story.fact("durable_nonce")?;
    }
    if message.is_resolved() {
        story.fact("resolved_tables")?;
    }
    Ok(())
}

/// The signed form: the signatures in the order of those who must sign, then the message.
fn assemble(
    payload: &Payload,
    context: &DecodeContext,
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, SolanaError> {
    // What has no intent is not put together.
    let expected = intent(payload, context)?.tasks.len();
    if signatures.len() != expected {
        return Err(SolanaError::SignatureCount { expected, found: signatures.len() });
    }
    if payload.format.as_str() == OFFCHAIN {
        let account = signer::first(context)?;
        return Ok(signer::only(signatures, account)?.as_bytes().to_vec());
    }
    let (message, bytes) = read(payload)?;
    let count = u8::try_from(message.signers().len()).map_err(|_| SolanaError::Sanitize)?;
    let mut wire = vec![count];
    for signer in message.signers() {
        let Some(account) = account_of(context, *signer) else {
            wire.extend_from_slice(&[0; 64]);
            continue;
        };
        let by_account: Vec<_> =
            signatures.iter().filter(|it| it.key == account.key).cloned().collect();
        let [_] = by_account.as_slice() else { return Err(SignerError::Key.into()) };
        wire.extend_from_slice(signer::only(&by_account, account)?.as_bytes());
    }
    wire.extend_from_slice(&bytes);
    Ok(wire)
}

/// The message of a payload, and the bytes that are signed.
fn read(payload: &Payload) -> Result<(Message, Vec<u8>), SolanaError> {
    if payload.format.as_str() == RESOLVED {
        return resolved::read(&payload.bytes);
    }
    Ok((Message::read(&payload.bytes)?, payload.bytes.clone()))
}

/// Passes a format and a context that are read; gives the context's first account.
fn check<'a>(
    payload: &Payload,
    context: &'a DecodeContext,
) -> Result<&'a ContextAccount, SolanaError> {
    if !FORMATS.contains(&payload.format.as_str()) {
        return Err(SolanaError::Format);
    }
    if !is_solana(&context.chain) {
        return Err(SolanaError::ContextChain);
    }
    Ok(signer::first(context)?)
}

fn offchain_signer(account: &ContextAccount) -> Result<&ContextAccount, SolanaError> {
    let (expected, found) = (Algorithm::Ed25519, account.public_key.algorithm());
    if found == expected {
        return Ok(account);
    }
    Err(SignerError::Algorithm { expected, found }.into())
}

fn task(account: &ContextAccount, bytes: &[u8]) -> SigningTask {
    SigningTask {
        key: account.key.clone(),
        algorithm: Algorithm::Ed25519,
        input: TaskInput::Message(bytes.to_vec()),
    }
}

/// The wallet's accounts that must sign, in the order of the message.
fn signers<'a>(message: &Message, context: &'a DecodeContext) -> Vec<&'a ContextAccount> {
    message.signers().iter().filter_map(|signer| account_of(context, *signer)).collect()
}

fn account_of(context: &DecodeContext, signer: Address) -> Option<&ContextAccount> {
    context.accounts.iter().find(|account| address(&account.public_key) == Some(signer))
}

/// The address of an Ed25519 key: its 32 bytes.
fn address(key: &PublicKey) -> Option<Address> {
    if key.algorithm() != Algorithm::Ed25519 {
        return None;
    }
    Address::try_from(key.as_bytes()).ok()
}

/// Whether a chain is named as CAIP-2 wants it: by 32 characters of the hash of its genesis.
fn is_solana(chain: &ChainId) -> bool {
    let reference = chain.reference();
    chain.namespace() == "solana"
        && reference.len() == 32
        && bs58::decode(reference).into_vec().is_ok()
}

const ID: &str = "solana/2";
const FORMATS: [&str; 3] = ["solana/message", RESOLVED, OFFCHAIN];
const RESOLVED: &str = "solana/resolved";
const OFFCHAIN: &str = "solana/offchain";
