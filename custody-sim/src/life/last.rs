use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::principal::Verb;
use futures::channel::oneshot;

use super::Life;
use crate::house::{WALLETS, short, wallet};
use crate::switches::Switches;

/// The end of a world: nothing goes wrong any more, and everything must come to its end.
pub(crate) async fn settle(life: &Life) {
    let (done, read) = oneshot::channel();
    life.spawn(|life| async move { drop(done.send(life.listen().await)) });
    take_back(life).await;
    life.confirm_clock().await;
    life.resume().await;
    let requests = life.register.memory().requests.clone();
    for request in requests {
        life.submit(request, "once more").await;
    }
    for name in ["tom", "otto"] {
        let principal = life.people.named(name).principal();
        life.carry(Command::EnrollPrincipal { principal }).await;
    }
    take_back(life).await;
    life.carry(Command::Thaw { scope: FreezeScope::House }).await;
    for name in WALLETS {
        life.carry(Command::Thaw { scope: FreezeScope::Wallet(wallet(name)) }).await;
    }
    settle_unknown(life).await;
    for order in life.referee.orders() {
        let answer = life.ask(&order, true).await;
        let state = life.referee.tale(&order).map(|tale| tale.state);
        let name = short(&order);
        if answer.is_none() {
            life.referee.object(ENDS, format_args!("there is no answer about {name}"));
        }
        if let Some(open @ (OrderState::Pending | OrderState::Reserved)) = state {
            life.referee.object(ENDS, format_args!("{name} stays {open}"));
        }
        let held = answer.as_ref().is_some_and(Life::is_held);
        if held && state == Some(OrderState::Signed) {
            life.referee.object(ENDS, format_args!("{name} is signed and is kept back"));
        }
    }
    if let Some(switches) = &life.switches {
        all_are_switched_off(life, switches).await;
    }
    let closed = life.custodian.close().await;
    if let Err(error) = &closed {
        life.referee.object(ENDS, format_args!("it does not close: {error}"));
    }
    life.referee.closed();
    match read.await {
        Ok(reader) => life.referee.has_read(&reader),
        Err(oneshot::Canceled) => life.referee.object(ENDS, "a reader was lost"),
    }
    for answer in [life.custodian.close().await.is_ok(), life.custodian.resume().await.is_ok()] {
        if answer {
            life.referee.object(ENDS, "a closed custodian closes or resumes again");
        }
    }
}

/// People take back what waits, which counts towards the quotas.
async fn take_back(life: &Life) {
    for id in life.referee.orders() {
        let Some(tale) = life.referee.tale(&id) else { continue };
        if tale.state == OrderState::Pending {
            let person = life.people.named(tale.document.requester.as_str());
            // Ledger time may be far ahead of a clock that was set back.
            let until = life.now().after(Duration::from_secs(30 * 86_400));
            life.say(person, Verb::Cancel, (id, tale.digest), until).await;
        }
    }
}

/// People settle what is unknown, as far as it is known what the vault did.
async fn settle_unknown(life: &Life) {
    for order in life.unknown_orders() {
        let Some(command) = life.settled(&order) else { continue };
        life.carry(command).await;
        if life.unknown_orders().contains(&order) {
            let name = short(&order);
            life.referee.object(ENDS, format_args!("{name} was settled and stays unknown"));
        }
    }
}

/// Keys that do not sign are off at their backend, too.
async fn all_are_switched_off(life: &Life, switches: &Switches) {
    const RULE: &str = "in calm weather every key that is off is switched off";
    for _ in 0..600 {
        if life.custodian.owed_switches().is_empty() {
            break;
        }
        life.weather.sleep(Duration::from_secs(1)).await;
    }
    for owed in life.custodian.owed_switches() {
        life.referee.object(RULE, format_args!("{} is owed still", owed.key));
    }
    for (id, state) in life.referee.keys() {
        let is_scheduled = life.custodian.key(&id).is_some_and(|key| key.destruction().is_some());
        let stops =
            matches!(state, KeyState::Compromised | KeyState::Deactivated | KeyState::Suspended);
        if (stops || is_scheduled) && switches.is_on(&id) {
            life.referee.object(RULE, format_args!("{id} is {state} and on"));
        }
    }
}

const ENDS: &str = "in calm weather everything comes to its end";
