//! Freezes, thaws, rules and the log's key. A freeze stops no command: whatever fails in those that
//! come between must leave it in place.

use custody_core::bytes::HexBytes;
use custody_core::command::{Command, FreezeScope};
use custody_core::crypto::SignInput;
use custody_core::custodian::Answer;
use custody_core::id::ExtensionName;
use custody_core::principal::rotation_signing_digest;

use super::{payment, wallet};
use crate::Failure;
use crate::failpoints::callers::{Callers, is_released};
use crate::failpoints::doubles::CLERK;
use crate::failpoints::seams::{log_keys, policy};

/// Commands while a wallet and the house are frozen, and a payment once they are thawed.
pub(super) async fn governance(
    callers: &Callers,
    round: u32,
) -> Result<Vec<Option<Answer>>, Failure> {
    let wallet = FreezeScope::Wallet(wallet("main", round)?);
    let (wallet, house) = (("wallet", wallet), ("house", FreezeScope::House));
    let mut heard = vec![freeze(callers, round, &wallet).await];
    heard.extend(changes(callers, round).await?);
    heard.push(freeze(callers, round, &house).await);
    let document = HexBytes::new(format!("round {round}").into_bytes());
    let command = Command::Extension { name: ExtensionName::parse(CLERK)?, document };
    heard.push(callers.command(&format!("ask-{round}"), command).await);
    // What will never be frozen needs no thaw, and would be refused one.
    let refused =
        |answer: &Option<Answer>| answer.as_ref().is_some_and(|heard| !is_released(heard));
    let (no_wallet, no_house) = (refused(&heard[0]), refused(&heard[3]));
    for ((name, scope), none) in [(house, no_house), (wallet, no_wallet)] {
        if !none {
            heard.push(callers.thaw(&format!("thaw-{name}-{round}"), &scope).await);
        }
    }
    heard.extend(payment(callers, round).await?);
    Ok(heard)
}

async fn freeze(
    callers: &Callers,
    round: u32,
    (name, scope): &(&str, FreezeScope),
) -> Option<Answer> {
    callers.freeze(&format!("freeze-{name}-{round}"), scope).await
}

/// Other rules, and another key of the log.
async fn changes(callers: &Callers, round: u32) -> Result<[Option<Answer>; 2], Failure> {
    let policy = String::from_utf8(policy(&format!("round {round}")).to_bytes()?)?;
    let rules = callers.command(&format!("rules-{round}"), Command::UpdatePolicy { policy }).await;
    let keys = log_keys();
    // The first round must be the same whenever it is made; the second follows whatever it left.
    let old = match round {
        1 => 0,
        _ => {
            let now = callers.log.public_key().await;
            let place = keys.iter().position(|key| *key.public_key() == now);
            place.ok_or("the log has an unknown key")?
        }
    };
    let (old, next) = (&keys[old], &keys[old + 1]);
    let digest =
        rotation_signing_digest(&callers.custodian.id(), old.public_key(), next.public_key());
    let input = SignInput::Message(digest.as_bytes());
    let command = Command::RotateLogKey {
        next: next.public_key().clone(),
        old_signature: old.sign(input).map_err(|_| "the key signs messages")?,
        new_signature: next.sign(input).map_err(|_| "the key signs messages")?,
    };
    let rotated = callers.command(&format!("rotate-{round}"), command).await;
    Ok([rules, rotated])
}
