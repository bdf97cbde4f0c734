use std::time::Duration;

use custody_core::command::{Command, FreezeScope, Resolution};
use custody_core::crypto::SignInput;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::document::Hold;
use custody_core::id::{KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::principal::rotation_signing_digest;
use custody_core::seam::TaskSignature;

use super::Life;
use crate::house::{RuleSet, WALLETS, create_key, principal, request_id, wallet};

impl Life {
    /// The administrator changes something.
    pub(crate) async fn govern(&self) {
        let Some(command) = self.command() else { return };
        if self.dice.chance(150) {
            // Somebody else has the same idea at the same time.
            let same = command.clone();
            self.spawn(|life| async move { drop(life.carry(same).await) });
        }
        if let Command::ResumeKey { key } = &command
            && self.dice.chance(500)
        {
            // Somebody raises the alarm while it is under way.
            let (key, delay) = (key.clone(), self.dice.time(0, *self.dice.pick(&[100, 5_000])));
            self.spawn(move |life| async move {
                life.weather.sleep(delay).await;
                drop(life.carry(Command::SuspendKey { key }).await);
            });
        }
        let repeats = self.dice.chance(200);
        let answer = self.administer(command, repeats).await;
        if let Some(answer) = answer
            && matches!(answer.outcome, Outcome::Pending { .. })
            && self.dice.chance(800)
        {
            self.approve("theo", (answer.order, answer.digest)).await;
        }
    }

    /// Confirms the clock, with a treasurer's approval.
    pub(crate) async fn confirm_clock(&self) {
        self.carry(Command::ConfirmClock {}).await;
    }

    /// Has a command done, with as many approvals as it needs.
    pub(crate) async fn carry(&self, command: Command) -> Option<Answer> {
        let answer = self.administer(command, false).await?;
        if !matches!(answer.outcome, Outcome::Pending { .. }) {
            return Some(answer);
        }
        // Ledger time may be far ahead of a clock that was set back.
        let until = self.now().after(Duration::from_secs(30 * 86_400));
        let order = (answer.order, answer.digest);
        let verb = custody_core::principal::Verb::Approve;
        self.say(self.people.named("theo"), verb, order, until).await
    }

    async fn administer(&self, command: Command, repeats: bool) -> Option<Answer> {
        let id = request_id(&format!("g-{}", self.register.number()));
        let what = command.action().to_string();
        let request = Request::command(principal("adam"), id, command);
        self.register.memory().requests.push(request.clone());
        if repeats {
            let (twin, what) = (request.clone(), format!("twin {what}"));
            self.spawn(|life| async move { drop(life.submit(twin, &what).await) });
        }
        self.submit(request, &what).await
    }

    fn command(&self) -> Option<Command> {
        // A destruction is soon due: whoever waits for the turn of all else comes too late.
        if let Some(command) = self.spare_key(300) {
            return Some(command);
        }
        let name = *self.dice.pick(&WALLETS);
        let scope = match self.dice.below(3) {
            0 => FreezeScope::House,
            _ => FreezeScope::Wallet(wallet(name)),
        };
        let somebody = *self.dice.pick(&["tom", "otto"]);
        Some(match self.dice.below(28) {
            0..2 => Command::Freeze { scope },
            2..6 => Command::Thaw { scope },
            6..10 => self.switch_key()?,
            10..15 => self.end_key()?,
            15 => Command::RemovePrincipal { principal: principal(somebody) },
            16..18 => {
                let person = self.people.named(somebody).principal();
                Command::EnrollPrincipal { principal: person }
            }
            18..20 => self.update_policy(),
            20 => self.rotate_log_key()?,
            21..24 => create_key(name, self.dice.between(3, 6)),
            24 => Command::ConfirmClock {},
            _ => self.resolve()?,
        })
    }

    fn update_policy(&self) -> Command {
        let rules = RuleSet::all();
        let document = self.dice.pick(&rules).document.to_bytes().unwrap();
        Command::UpdatePolicy { policy: String::from_utf8(document).unwrap() }
    }

    /// Suspends a key, or lets it sign again; most of the time what makes sense.
    fn switch_key(&self) -> Option<Command> {
        let keys = self.referee.keys();
        let (key, state) = (!keys.is_empty()).then(|| self.dice.pick(&keys).clone())?;
        let is_suspended = state == KeyState::Suspended;
        Some(if is_suspended != self.dice.chance(150) {
            Command::ResumeKey { key }
        } else {
            Command::SuspendKey { key }
        })
    }

    /// Takes a destruction back, in so many of a thousand cases in which there is one.
    fn spare_key(&self, often: u64) -> Option<Command> {
        let keys = self.referee.keys().into_iter().map(|(key, _)| key);
        let going: Vec<_> = keys.filter(|key| self.referee.is_scheduled(key)).collect();
        let spares = !going.is_empty() && self.dice.chance(often);
        spares.then(|| Command::CancelDestroy { key: self.dice.pick(&going).clone() })
    }

    /// A step towards the end of a key that was made later, and now and then of a first one.
    fn end_key(&self) -> Option<Command> {
        if let Some(command) = self.spare_key(400) {
            return Some(command);
        }
        let keys = self.referee.keys();
        let is_first = |key: &KeyId| key.as_str().ends_with(".0") || key.as_str().ends_with(".1");
        let takes_first = self.dice.chance(30);
        let keys: Vec<_> =
            keys.into_iter().filter(|(key, _)| takes_first || !is_first(key)).collect();
        let (key, state) = (!keys.is_empty()).then(|| self.dice.pick(&keys).clone())?;
        let longest = *self.dice.pick(&[20_000, 300_000]);
        let wait_ms = self.dice.time(0, longest).as_millis() as u64;
        let has_ended = matches!(state, KeyState::Compromised | KeyState::Deactivated);
        Some(match (has_ended, self.dice.below(8)) {
            (true, 0..5) => Command::DestroyKey { key, wait_ms },
            (true, 5..7) => Command::CancelDestroy { key },
            (false, 0..5) => Command::DeactivateKey { key },
            (false, 5) => Command::DestroyKey { key, wait_ms },
            (_, _) => Command::CompromiseKey { key },
        })
    }

    fn rotate_log_key(&self) -> Option<Command> {
        let old = self.referee.log_key()?;
        let signer = self.log_keys.iter().find(|key| *key.public_key() == old)?;
        let next = self.dice.pick(&self.log_keys);
        let digest = rotation_signing_digest(&self.id, &old, next.public_key());
        let input = SignInput::Message(digest.as_bytes());
        Some(Command::RotateLogKey {
            next: next.public_key().clone(),
            old_signature: signer.sign(input).ok()?,
            new_signature: next.sign(input).ok()?,
        })
    }

    fn resolve(&self) -> Option<Command> {
        let unknown: Vec<_> = self.unknown_orders();
        (!unknown.is_empty())
            .then(|| self.dice.pick(&unknown).clone())
            .and_then(|o| self.settled(&o))
    }

    /// Orders whose outcome is durably unknown.
    pub(crate) fn unknown_orders(&self) -> Vec<OrderId> {
        let unknown = |id: &OrderId| {
            self.referee.tale(id).is_some_and(|tale| tale.state == OrderState::Unknown)
        };
        self.referee.orders().into_iter().filter(unknown).collect()
    }

    /// How people who look at the vault settle an order: with its signatures if there are all of
    /// them, as failed if there is none, and else not at all.
    pub(crate) fn settled(&self, order: &OrderId) -> Option<Command> {
        let made = self.referee.made_for(order)?;
        let count = made.iter().filter(|(_, signature)| signature.is_some()).count();
        let resolution = if count == 0 {
            Resolution::Failed { reason: "the vault has not signed".to_owned() }
        } else if count == made.len() {
            let signed = made
                .into_iter()
                .filter_map(|(key, signature)| Some(TaskSignature { key, signature: signature? }));
            Resolution::Signed { signatures: signed.collect() }
        } else {
            return None;
        };
        Some(Command::ResolveOrder { order: order.clone(), resolution })
    }

    /// Whether an outcome is unknown only as long as a freeze lasts.
    pub(crate) fn is_held(answer: &Answer) -> bool {
        matches!(answer.outcome, Outcome::Unknown { reason: Hold::Frozen })
    }
}
