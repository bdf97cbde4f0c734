use std::time::Duration;

use custody_core::custodian::{Answer, Request};
use custody_core::digest::Digest;
use custody_core::id::{KeyId, OrderId};
use custody_core::principal::Verb;

use super::Life;
use crate::house::{WALLETS, key, payment, request_id, wallet};
use crate::register::{Known, submission};

impl Life {
    /// Somebody does something.
    pub(crate) async fn act(&self) {
        match self.dice.below(100) {
            0..37 => self.pay().await,
            37..46 => self.repeat().await,
            46..49 => self.reuse().await,
            49..58 => self.approve_one().await,
            58..61 => self.replay_statement().await,
            61..65 => self.refuse_one().await,
            65..71 => self.ask_about_one().await,
            71..74 => self.step_clock().await,
            _ => self.govern().await,
        }
    }

    /// An operator asks for a payment, now and then twice at once.
    async fn pay(&self) {
        let request = self.payment();
        self.register.memory().requests.push(request.clone());
        if self.dice.chance(150) {
            let twin = request.clone();
            self.spawn(|life| async move { drop(life.submit(twin, "twin").await) });
        }
        self.submit(request, "pay").await;
    }

    fn payment(&self) -> Request {
        let number = self.register.number();
        let name = *self.dice.pick(&["olivia", "otto", "otto", "olivia", "theo"]);
        let from = *self.dice.pick(&WALLETS);
        let units = *self.dice.pick(&[1, 50, 100, 200, 300, 301, 500, 501, 700]);
        let mut signers = vec![key(&format!("{from}.{}", self.dice.below(2)))];
        if self.dice.chance(200) {
            signers = vec![key(&format!("{from}.0")), key(&format!("{from}.1"))];
        } else if self.dice.chance(150) {
            signers = vec![self.some_key_of(from)];
        }
        let person = self.people.named(name);
        let payload = payment(units, signers, number);
        let id = request_id(&format!("r-{number}"));
        let mut request = Request::payload(person.id().clone(), id, wallet(from), payload);
        if self.dice.chance(150) {
            request = request.expiring(self.now().after(self.dice.time(1, 120_000)));
        }
        if self.dice.chance(200) {
            let signature = person.submit(&self.id, &submission(&request));
            request.signature = Some(signature);
        }
        request
    }

    /// Any key of a wallet, whatever has become of it.
    fn some_key_of(&self, wallet: &str) -> KeyId {
        let keys = self.referee.keys().into_iter().map(|(key, _)| key);
        let keys: Vec<_> = keys.filter(|key| key.as_str().starts_with(wallet)).collect();
        if keys.is_empty() { key(&format!("{wallet}.0")) } else { self.dice.pick(&keys).clone() }
    }

    /// A request comes again.
    async fn repeat(&self) {
        let Some(request) = self.known_request() else { return };
        self.submit(request, "again").await;
    }

    /// A request id comes again with other bytes.
    async fn reuse(&self) {
        let Some(first) = self.known_request() else { return };
        let request = Request { id: first.id, requester: first.requester, ..self.payment() };
        let request = Request { signature: None, ..request };
        self.submit(request, "reuse").await;
    }

    fn known_request(&self) -> Option<Request> {
        let memory = self.register.memory();
        (!memory.requests.is_empty()).then(|| self.dice.pick(&memory.requests).clone())
    }

    fn known_order(&self, pending: bool) -> Option<Known> {
        let memory = self.register.memory();
        let waiting: Vec<_> = memory.orders.iter().filter(|order| order.is_pending).collect();
        if pending && !waiting.is_empty() {
            return Some((*self.dice.pick(&waiting)).clone());
        }
        (!memory.orders.is_empty()).then(|| self.dice.pick(&memory.orders).clone())
    }

    /// Some of those who can approve do so in their own time.
    pub(crate) fn approvers_look_at(&self, answer: &Answer) {
        let order = (answer.order.clone(), answer.digest);
        for name in ["theo", "tara", "tom", "olivia"] {
            if !self.dice.chance(450) {
                continue;
            }
            let (delay, order) = (self.dice.time(0, 10_000), order.clone());
            self.spawn(move |life| async move {
                life.weather.sleep(delay).await;
                life.approve(name, order).await;
            });
        }
    }

    pub(crate) async fn approve(&self, name: &str, order: (OrderId, Digest)) -> Option<Answer> {
        // An approval that ends while its order is under way stops it: most are to last.
        const HOUR: u64 = 3_600_000;
        let life = *self.dice.pick(&[1, 500, 30_000, HOUR, HOUR, HOUR, HOUR, HOUR, HOUR, HOUR]);
        let until = self.now().after(Duration::from_millis(life));
        self.say(self.people.named(name), Verb::Approve, order, until).await
    }

    async fn approve_one(&self) {
        let Some(known) = self.known_order(true) else { return };
        let name = *self.dice.pick(&["theo", "tara", "tom", "olivia", "otto"]);
        // Now and then an approval of other bytes.
        let digest = if self.dice.chance(50) { Digest::of(b"else") } else { known.digest };
        self.approve(name, (known.order, digest)).await;
    }

    /// A statement comes again, or under another's name.
    async fn replay_statement(&self) {
        let signed = {
            let memory = self.register.memory();
            if memory.statements.is_empty() {
                return;
            }
            self.dice.pick(&memory.statements).clone()
        };
        let mut signed = signed;
        if self.dice.chance(300) {
            signed.statement.valid_until = self.now().after(Duration::from_secs(3_600));
        }
        if self.dice.chance(200)
            && let Some(other) = self.known_order(true)
        {
            (signed.statement.order, signed.statement.digest) = (other.order, other.digest);
        }
        self.give(signed).await;
    }

    /// An order is rejected, or taken back by its requester.
    async fn refuse_one(&self) {
        let Some(known) = self.known_order(true) else { return };
        let until = self.now().after(Duration::from_secs(600));
        let order = (known.order, known.digest);
        match known.requester.filter(|_| self.dice.chance(500)) {
            Some(requester) => {
                let person = self.people.named(requester.as_str());
                self.say(person, Verb::Cancel, order, until).await;
            }
            None => {
                let name = *self.dice.pick(&["theo", "tara", "otto"]);
                self.say(self.people.named(name), Verb::Reject, order, until).await;
            }
        }
    }

    async fn ask_about_one(&self) {
        let Some(known) = self.known_order(self.dice.chance(500)) else { return };
        match self.dice.below(3) {
            0 => drop(self.ask(&known.order, true).await),
            1 => drop(self.ask(&known.order, false).await),
            _ => drop(self.custodian.explain(&known.order).await),
        }
    }

    /// The wall clock is set, or the machine sleeps.
    async fn step_clock(&self) {
        let step = self.dice.time(10, 7_200_000);
        let now = self.now();
        match self.dice.below(3) {
            0 => self.clock.set_wall(now.after(step)),
            1 => {
                let millis = now.as_millis().saturating_sub(step.as_millis() as u64);
                self.clock.set_wall(custody_core::time::Timestamp::from_millis(millis));
            }
            _ => self.clock.drift(step.min(Duration::from_secs(20))),
        }
        self.trace.note(format_args!("clock: {now} became {}", self.now()));
        if self.dice.chance(700) {
            self.weather.sleep(self.dice.time(0, 10_000)).await;
            self.confirm_clock().await;
        }
    }
}
