//! The token programs: SPL Token and Token-2022.
//!
//! Invariant: an amount is told only where the instruction names the mint. Whose a token account is
//! follows from nothing but a proof. What else an instruction does to tokens is a fact by its tag
//! alone, for the programs ignore bytes behind what they need.

use solana_address::Address;
use spl_token_2022_interface::extension::transfer_fee::instruction::TransferFeeInstruction as Fee;
use spl_token_2022_interface::instruction::{AuthorityType, TokenInstruction as Token};

use super::SolanaError;
use super::associated;
use super::instruction::{Instruction, Told, unread};
use super::story::{Story, selector};

/// Adds what the instruction does.
pub(super) fn describe(
    instruction: &Instruction<'_>,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    if instruction.program == TOKEN_2022 {
        story.fact("token_2022")?;
    }
    if let Some(fact) = fact(instruction) {
        story.fact(fact)?;
    }
    if let Some(fee) = parse_fee(instruction) {
        return describe_fee(instruction, &fee, story);
    }
    let Some(parsed) = parse(instruction) else { return unread(is_known(instruction), story) };
    if let Some(told) = describe_amount(instruction, &parsed, story)? {
        return Ok(told);
    }
    let Some((account, named)) = change(instruction, &parsed) else { return Ok(Told::No) };
    story.administer(account, instruction.head(1), &named)?;
    Ok(Told::Yes)
}

/// What rules may speak about, by the tag alone.
fn fact(instruction: &Instruction<'_>) -> Option<&'static str> {
    let is_2022 = instruction.program == TOKEN_2022;
    match *instruction.data.first()? {
        TRANSFER => Some("unchecked_token_transfer"),
        APPROVE => Some("unchecked_token_approval"),
        MINT_TO | MINT_TO_CHECKED => Some("mint"),
        BURN | BURN_CHECKED => Some("burn"),
        CLOSE_ACCOUNT => Some("close_account"),
        FEE_EXTENSION => is_2022.then_some("token_2022_fee"),
        PERMANENT_DELEGATE => is_2022.then_some("permanent_delegate"),
        _ => None,
    }
}

/// Instructions with a mint and an amount, and the closing of an account; none for all others.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other instructions are told elsewhere")]
fn describe_amount(
    instruction: &Instruction<'_>,
    parsed: &Token<'_>,
    story: &mut Story<'_>,
) -> Result<Option<Told>, SolanaError> {
    let told = match *parsed {
        Token::TransferChecked { amount, .. } => transfer(instruction, amount, story)?,
        Token::ApproveChecked { amount, .. } => match instruction.first() {
            Some([_, mint, delegate]) => {
                story.approve(delegate, story.tokens(mint, amount)?)?;
                Told::Yes
            }
            None => Told::No,
        },
        Token::MintTo { amount } | Token::MintToChecked { amount, .. } => {
            mint(instruction, amount, story)?
        }
        Token::Burn { amount } | Token::BurnChecked { amount, .. } => {
            burn(instruction, amount, story)?
        }
        Token::CloseAccount => close(instruction, story)?,
        _ => return Ok(None),
    };
    Ok(Some(told))
}

/// Tokens move from account to account. More accounts than an owner needs are signers of a
/// multisignature, marks for a payment, or what a transfer hook is called with: Token-2022 calls
/// other programs with them.
fn transfer(
    instruction: &Instruction<'_>,
    amount: u64,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some([source, mint, destination, _]) = instruction.first() else { return Ok(Told::No) };
    let amount = story.tokens(mint, amount)?;
    let from = holder(instruction, mint, source, story);
    let to = holder(instruction, mint, destination, story);
    if to.is_none() {
        story.fact("unproved_token_owner")?;
    }
    story.transfer(from.unwrap_or(source), to.unwrap_or(destination), amount)?;
    if instruction.program == TOKEN_2022 && instruction.accounts.len() > 4 {
        story.fact("transfer_hook")?;
        return Ok(Told::No);
    }
    Ok(Told::Yes)
}

/// Tokens come into being: they move from the mint, and only who controls it can do so.
fn mint(
    instruction: &Instruction<'_>,
    amount: u64,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some([mint, destination, _]) = instruction.first() else { return Ok(Told::No) };
    let units = story.tokens(mint, amount)?;
    let to = holder(instruction, mint, destination, story);
    story.transfer(mint, to.unwrap_or(destination), units)?;
    let named = [("amount", amount.to_string()), ("to", destination.to_string())];
    story.administer(mint, instruction.head(1), &named)?;
    Ok(Told::Yes)
}

/// Tokens cease to exist: they move to the mint.
fn burn(
    instruction: &Instruction<'_>,
    amount: u64,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    let Some([source, mint, _]) = instruction.first() else { return Ok(Told::No) };
    let amount = story.tokens(mint, amount)?;
    let from = holder(instruction, mint, source, story);
    story.transfer(from.unwrap_or(source), mint, amount)?;
    Ok(Told::Yes)
}

/// All lamports of an account move, and how many they are stands nowhere in the message.
fn close(instruction: &Instruction<'_>, story: &mut Story<'_>) -> Result<Told, SolanaError> {
    let Some([account, destination, owner]) = instruction.first() else { return Ok(Told::No) };
    let named = [
        ("account", account.to_string()),
        ("destination", destination.to_string()),
        ("owner", owner.to_string()),
    ];
    story.call(instruction.program, selector(instruction.head(1))?, &named)?;
    Ok(Told::Yes)
}

/// The account that an instruction changes, and how.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other instructions are calls")]
fn change(
    instruction: &Instruction<'_>,
    parsed: &Token<'_>,
) -> Option<(Address, Vec<(&'static str, String)>)> {
    let [account] = instruction.first()?;
    let named = match parsed {
        Token::SetAuthority { authority_type, new_authority } => {
            let new = optional(Option::from(*new_authority));
            vec![("authority", authority(authority_type).to_owned()), ("new", new)]
        }
        Token::FreezeAccount | Token::ThawAccount => Vec::new(),
        Token::InitializeMint { mint_authority, freeze_authority, decimals }
        | Token::InitializeMint2 { mint_authority, freeze_authority, decimals } => vec![
            ("decimals", decimals.to_string()),
            ("freeze_authority", optional(Option::from(*freeze_authority))),
            ("mint_authority", mint_authority.to_string()),
        ],
        Token::InitializeAccount => {
            let [_, mint, owner] = instruction.first()?;
            vec![("mint", mint.to_string()), ("owner", owner.to_string())]
        }
        Token::InitializeAccount2 { owner } | Token::InitializeAccount3 { owner } => {
            let [_, mint] = instruction.first()?;
            vec![("mint", mint.to_string()), ("owner", owner.to_string())]
        }
        Token::InitializeMultisig { m } | Token::InitializeMultisig2 { m } => {
            vec![("needed", m.to_string())]
        }
        Token::InitializePermanentDelegate { delegate } => {
            vec![("delegate", delegate.to_string())]
        }
        Token::InitializeMintCloseAuthority { close_authority } => {
            vec![("close_authority", optional(Option::from(*close_authority)))]
        }
        _ => return None,
    };
    Some((account, named))
}

/// A transfer with a fee, or how large the fee is.
fn describe_fee(
    instruction: &Instruction<'_>,
    fee: &Fee,
    story: &mut Story<'_>,
) -> Result<Told, SolanaError> {
    match fee {
        Fee::TransferCheckedWithFee { amount, .. } => transfer(instruction, *amount, story),
        Fee::InitializeTransferFeeConfig { transfer_fee_basis_points, maximum_fee, .. }
        | Fee::SetTransferFee { transfer_fee_basis_points, maximum_fee } => {
            let Some([mint]) = instruction.first() else { return Ok(Told::No) };
            let named = [
                ("basis_points", transfer_fee_basis_points.to_string()),
                ("fee_max", maximum_fee.to_string()),
            ];
            story.administer(mint, instruction.head(2), &named)?;
            Ok(Told::Yes)
        }
        Fee::WithdrawWithheldTokensFromMint
        | Fee::WithdrawWithheldTokensFromAccounts { .. }
        | Fee::HarvestWithheldTokensToMint => Ok(Told::No),
    }
}

/// Whose tokens an account holds, where that is proved: by an instruction before this one, or
/// because it is the associated token account of an account of the wallet that signs.
fn holder(
    instruction: &Instruction<'_>,
    mint: Address,
    account: Address,
    story: &Story<'_>,
) -> Option<Address> {
    let is_its =
        |owner: &&Address| associated::address(**owner, instruction.program, mint) == account;
    story.owner(account).or_else(|| story.ours().iter().find(is_its).copied())
}

/// The instruction, if these are all its bytes and its only encoding, and the program knows it.
fn parse<'a>(instruction: &Instruction<'a>) -> Option<Token<'a>> {
    let known = instruction.program == TOKEN_2022 || *instruction.data.first()? <= TOKEN_LAST;
    let parsed = Token::unpack(instruction.data).ok()?;
    (known && parsed.pack() == instruction.data).then_some(parsed)
}

/// An instruction of the transfer fee extension, under the same conditions.
fn parse_fee(instruction: &Instruction<'_>) -> Option<Fee> {
    let [FEE_EXTENSION, rest @ ..] = instruction.data else { return None };
    let parsed = Fee::unpack(rest).ok()?;
    let mut written = vec![FEE_EXTENSION];
    parsed.pack(&mut written);
    (instruction.program == TOKEN_2022 && written == instruction.data).then_some(parsed)
}

/// Whether the program has an instruction of this tag that is read here. Behind other tags of
/// Token-2022 stand instructions of its extensions, which are not.
fn is_known(instruction: &Instruction<'_>) -> bool {
    let is_2022 = instruction.program == TOKEN_2022;
    match instruction.data {
        [0..=TOKEN_LAST, ..] => true,
        [FEE_EXTENSION, 0..=FEE_LAST, ..] => is_2022,
        [tag, ..] => is_2022 && TAGS_2022.contains(tag),
        [] => false,
    }
}

fn optional(address: Option<Address>) -> String {
    address.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

const fn authority(authority: &AuthorityType) -> &'static str {
    match authority {
        AuthorityType::MintTokens => "mint_tokens",
        AuthorityType::FreezeAccount => "freeze_account",
        AuthorityType::AccountOwner => "account_owner",
        AuthorityType::CloseAccount => "close_account",
        AuthorityType::TransferFeeConfig => "transfer_fee_config",
        AuthorityType::WithheldWithdraw => "withheld_withdraw",
        AuthorityType::CloseMint => "close_mint",
        AuthorityType::InterestRate => "interest_rate",
        AuthorityType::PermanentDelegate => "permanent_delegate",
        AuthorityType::ConfidentialTransferMint => "confidential_transfer_mint",
        AuthorityType::TransferHookProgramId => "transfer_hook_program_id",
        AuthorityType::ConfidentialTransferFeeConfig => "confidential_transfer_fee_config",
        AuthorityType::MetadataPointer => "metadata_pointer",
        AuthorityType::GroupPointer => "group_pointer",
        AuthorityType::GroupMemberPointer => "group_member_pointer",
        AuthorityType::ScaledUiAmount => "scaled_ui_amount",
        AuthorityType::Pause => "pause",
        AuthorityType::PermissionedBurn => "permissioned_burn",
    }
}

pub(super) const TOKEN: Address =
    Address::from_str_const("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub(super) const TOKEN_2022: Address = spl_token_2022_interface::ID;
const TRANSFER: u8 = 3;
const APPROVE: u8 = 4;
const MINT_TO: u8 = 7;
const BURN: u8 = 8;
const CLOSE_ACCOUNT: u8 = 9;
const MINT_TO_CHECKED: u8 = 14;
const BURN_CHECKED: u8 = 15;
/// The last instruction of SPL Token that has the meaning it has in Token-2022.
const TOKEN_LAST: u8 = 24;
const FEE_EXTENSION: u8 = 26;
/// The last instruction of the transfer fee extension, `SetTransferFee`.
const FEE_LAST: u8 = 5;
const PERMANENT_DELEGATE: u8 = 35;
/// The instructions of Token-2022 alone that are read: close authority of a mint, reallocation,
/// native mint, mint without transfers, permanent delegate, excess lamports and unwrapping.
const TAGS_2022: [u8; 7] = [25, 29, 31, 32, PERMANENT_DELEGATE, 38, 45];
