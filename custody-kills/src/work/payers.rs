//! Callers who pay.

use std::collections::VecDeque;
use std::time::Duration;

use custody_core::custodian::{Answer, Outcome};
use custody_core::principal::Verb;

use crate::Failure;
use crate::life::{Callers, pause};
use crate::random::Random;
use crate::requests;

/// Pays small amounts, and often asks again: the same request twice at once, one of an earlier
/// life, another one under a used id, or for an order that waited.
pub async fn small(callers: Callers, caller: u64, mut random: Random) -> Result<(), Failure> {
    let mut waiting = VecDeque::new();
    for number in 0.. {
        let request = requests::small(callers.life, caller, number)?;
        let twin = if random.once_in(5) { Some(request.clone()) } else { None };
        let (answer, twin) = tokio::join!(callers.submit(request.clone()), async {
            match twin {
                Some(twin) => callers.submit(twin).await,
                None => Ok(None),
            }
        });
        let (answer, twin) = (answer?, twin?);
        if let Some(answer) = answer.or(twin) {
            callers.settle(&answer).await?;
            if random.once_in(6) {
                reuse(&callers, &request, &answer).await?;
            }
            again(&callers, &mut waiting, answer, &mut random).await?;
        }
        if random.once_in(6) && callers.life > 0 {
            let life = random.between(callers.life.saturating_sub(3), callers.life - 1);
            callers.submit(requests::small(life, caller, random.between(0, 20))?).await?;
        }
        pause(random.between(0, 3)).await;
    }
    Ok(())
}

/// Pays large amounts: two treasurers approve, one rejects, the requester cancels, two of these at
/// once, or nobody says enough until it expires.
pub async fn large(callers: Callers, caller: u64, mut random: Random) -> Result<(), Failure> {
    for number in 0.. {
        let way = random.between(0, 9);
        let request = requests::large(callers.life, caller, number)?;
        let expires = callers.house.clock.now().after(Duration::from_millis(30));
        let request = if way == 0 { request.expiring(expires) } else { request };
        let Some(answer) = callers.submit(request).await? else {
            pause(5).await;
            continue;
        };
        if way > 0 || random.once_in(2) {
            callers.say("theo", Verb::Approve, &answer).await?;
        }
        match way {
            0 => {
                pause(40).await;
                callers.ask(&answer).await?;
            }
            1 => drop(callers.say("tara", Verb::Reject, &answer).await?),
            2 => drop(callers.say("otto", Verb::Cancel, &answer).await?),
            3 => {
                let approval = callers.say("tara", Verb::Approve, &answer);
                let (one, two) = tokio::join!(approval, callers.say("otto", Verb::Cancel, &answer));
                drop((one?, two?));
            }
            4 => {}
            _ => drop(callers.say("tara", Verb::Approve, &answer).await?),
        }
        pause(random.between(2, 12)).await;
    }
    Ok(())
}

/// Asks for an order again, and for one that waited to be judged again.
async fn again(
    callers: &Callers,
    waiting: &mut VecDeque<Answer>,
    answer: Answer,
    random: &mut Random,
) -> Result<(), Failure> {
    if random.once_in(5) {
        callers.ask(&answer).await?;
    }
    if matches!(answer.outcome, Outcome::Pending { .. }) {
        waiting.push_back(answer);
    }
    match waiting.pop_front() {
        Some(waited) if random.once_in(2) => callers.judge_again(&waited).await,
        Some(waited) => {
            waiting.push_back(waited);
            Ok(())
        }
        None => Ok(()),
    }
}

/// Another payment under the id of one that was answered must be refused.
async fn reuse(
    callers: &Callers,
    request: &custody_core::custodian::Request,
    answer: &Answer,
) -> Result<(), Failure> {
    let other = requests::other_under_the_id_of(request)?;
    match callers.submit(other).await? {
        None => Ok(()),
        Some(other) => {
            Err(format!("{} was taken under the id of {}", other.order, answer.order).into())
        }
    }
}
