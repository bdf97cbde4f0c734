//! Callers who stop, start and change the house, and one who keeps the heads.

use custody_core::caip::AccountId;
use custody_core::command::{Command, FreezeScope};
use custody_core::id::{BookId, KeyId};
use custody_testkit::oracle::Given;

use crate::Failure;
use crate::house::policy;
use crate::life::{Callers, pause};
use crate::random::Random;
use crate::requests;

/// Freezes one wallet, now and then the house, and thaws most of it again.
pub async fn freeze(callers: Callers, mut random: Random) -> Result<(), Failure> {
    let (life, cool) = (callers.opening(), FreezeScope::Wallet(requests::cool()?));
    // What the last life left frozen stays so for a while, or for all of this life.
    pause(random.between(0, 60)).await;
    callers.thaw(&format!("thaw-house-{life}"), FreezeScope::House).await?;
    for number in 0.. {
        if !random.once_in(4) {
            callers.thaw(&format!("thaw-{life}-{number}"), cool.clone()).await?;
        }
        pause(random.between(2, 25)).await;
        callers.freeze(&format!("freeze-{life}-{number}"), cool.clone()).await?;
        pause(random.between(0, 10)).await;
        if random.once_in(6) {
            callers.freeze(&format!("stop-{life}-{number}"), FreezeScope::House).await?;
            pause(random.between(0, 4)).await;
            callers.thaw(&format!("go-{life}-{number}"), FreezeScope::House).await?;
        }
    }
    Ok(())
}

/// Changes rules, books and keys now and then.
pub async fn govern(callers: Callers, mut random: Random) -> Result<(), Failure> {
    let life = callers.life;
    for number in 0.. {
        pause(random.between(5, 40)).await;
        let id = format!("govern-{}-{number}", callers.opening());
        match random.between(0, 9) {
            0 | 1 => {
                let policy = String::from_utf8(policy(&id)?.to_bytes()?)?;
                callers.command(&id, Command::UpdatePolicy { policy }).await?;
            }
            2 => {
                let key = requests::key(&requests::hot(life)?, &format!("{life}-{number}"))?;
                callers.command(&id, key).await?;
            }
            3 | 4 => drop(callers.command(&id, requests::account(life * 100 + number)?).await?),
            5 | 6 => {
                let key = KeyId::parse("cool.0")?;
                callers.command(&id, Command::SuspendKey { key: key.clone() }).await?;
                pause(random.between(0, 5)).await;
                callers.command(&format!("{id}-back"), Command::ResumeKey { key }).await?;
            }
            // A life that was killed in between leaves the key suspended.
            7 => {
                let key = KeyId::parse("cool.0")?;
                callers.command(&id, Command::ResumeKey { key }).await?;
            }
            _ => {
                let address = format!("eip155:1:0x{:040x}", random.next());
                let (book, account) = (BookId::parse("others")?, AccountId::parse(&address)?);
                callers.command(&id, Command::AddAddress { book, account }).await?;
            }
        }
    }
    Ok(())
}

/// Closes the house after a while, now and then.
pub async fn close(callers: Callers, mut random: Random) -> Result<(), Failure> {
    if !random.once_in(3) {
        return Ok(());
    }
    pause(random.between(0, 60)).await;
    callers.close().await
}

/// Keeps the newest head, every few milliseconds.
pub async fn watch(callers: Callers) -> Result<(), Failure> {
    let mut last = None;
    while !callers.is_closing() {
        pause(3).await;
        let newest = callers.house.custodian.checkpoint().await?;
        if newest != last {
            if let Some(checkpoint) = &newest {
                callers.tell(Given::head(checkpoint));
            }
            last = newest;
        }
    }
    Ok(())
}
