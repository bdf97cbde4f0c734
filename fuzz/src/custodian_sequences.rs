//! A whole custodian: bytes choose what its callers do, what fails meanwhile and when its process
//! ends. Every caller hears something in time, everything comes to its end, and an oracle finds
//! nothing wrong with the log.

mod records;
mod seeds;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope, KeyStart, Resolution};
use custody_core::custodian::{Answer, Custodian, Error, Outcome, Request};
use custody_core::id::KeyId;
use custody_core::ledger::Ledger;
use custody_core::principal::Verb;
use custody_core::seam::Clock as _;
use custody_testkit::failpoint::{Action, Failpoint};
use custody_testkit::oracle::Given;
use custody_testkit::people::{People, TestPerson};
use custody_testkit::policy::TestRules;
use futures::future::{Either, join, select};

use crate::input::Input;
use crate::record::statement;
use crate::world::{
    PATIENCE, ROLES, World, create_key, hot, payment, people, principal, request_id, rules,
};

pub(crate) use seeds::seeds;

const PARTS: [&str; 4] = ["calls", "changed records", "crashes", "failures"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let Lived { mut world, struck, changes } = live(bytes);
    let (lives, heard) = (world.lives, !world.answers.is_empty());
    world.judge();
    if records::are_changed(&mut world, changes) {
        return Some("changed records");
    }
    match (struck, lives) {
        (true, _) => Some("failures"),
        (false, 4..) => Some("crashes"),
        (false, _) => heard.then_some("calls"),
    }
}

/// The state after a sequence.
pub(crate) fn ledger_after(bytes: &[u8]) -> Option<Ledger> {
    let Lived { world, .. } = live(bytes);
    (!world.answers.is_empty()).then(|| world.judge())
}

/// A world that has come to rest.
struct Lived<'a> {
    world: World,
    /// Whether something failed.
    struck: bool,
    /// What is to become of the records outside of the log.
    changes: &'a [u8],
}

/// Lives until the bytes are used up, then once more while nothing fails.
fn live(bytes: &[u8]) -> Lived<'_> {
    let mut input = Input::new(bytes);
    let first = input.byte();
    let changes = if first >= CHANGES { input.field() } else { &[] };
    let mut world = World::furnished(first.is_multiple_of(2));
    let mut struck = false;
    let mut steps = 0;
    loop {
        world.points.disarm();
        let life = world.begin();
        let executor = life.executor.clone();
        let builder = world.builder(&life);
        let id = world.id;
        let goes_on = executor.run(async {
            let custodian = Box::pin(builder.open(id)).await.unwrap();
            let mut callers = Callers { custodian, people: people(), world: &mut world };
            callers.go_on().await;
            callers.work(&mut input, &mut steps).await
        });
        struck |= world.points.struck() > 0;
        world.end(life);
        if !goes_on || world.lives > LIVES_MAX {
            break;
        }
    }
    finish(&mut world);
    Lived { world, struck, changes }
}

/// What can be known is known, everything is closed, and the log has come to rest.
fn finish(world: &mut World) {
    let rests = (0..LAST_LIVES_MAX).any(|_| last_life(world));
    assert!(rests, "the log grows though nobody asks for anything");
}

/// A last life in which nothing fails; whether nothing happened any more once all was asked for.
fn last_life(world: &mut World) -> bool {
    world.points.disarm();
    world.last.clear();
    let life = world.begin();
    let (executor, builder, id) = (life.executor.clone(), world.builder(&life), world.id);
    let asked_at = executor.run(async {
        let custodian = Box::pin(builder.open(id)).await.unwrap();
        let mut callers = Callers { custodian, people: people(), world: &mut *world };
        if !callers.go_on().await {
            callers.confirm_clock().await;
            assert!(callers.go_on().await, "the clock is confirmed, and nothing goes on");
        }
        let head = callers.custodian.checkpoint().await.unwrap().unwrap();
        callers.ask_everything().await;
        callers.world.given.push(Given::head(&head));
        Box::pin(callers.custodian.close()).await.unwrap();
        head.head.size.value()
    });
    world.end(life);
    world.events() == asked_at
}

/// Everybody who asks a custodian for something.
struct Callers<'a> {
    custodian: Custodian,
    people: People,
    world: &'a mut World,
}

impl Callers<'_> {
    /// Does what the bytes say; whether the process ends before they do.
    async fn work(&mut self, input: &mut Input<'_>, steps: &mut usize) -> bool {
        while !input.is_empty() && *steps < STEPS_MAX {
            *steps += 1;
            match input.byte() % 12 {
                0 | 1 => self.pay(input).await,
                2 => self.pay_twice_at_once(input).await,
                3 | 4 => self.say(Verb::Approve, input).await,
                5 => {
                    let verb = *input.pick(&[Verb::Reject, Verb::Cancel]);
                    self.say(verb, input).await;
                }
                6 | 7 => self.govern(input).await,
                8 => self.ask(input).await,
                9 => self.pass(input),
                10 => self.arm(input),
                _ => {
                    if input.byte().is_multiple_of(2) {
                        let close = self.custodian.clone();
                        self.hear(close.close()).await.ok();
                    }
                    return true;
                }
            }
        }
        false
    }

    async fn pay(&mut self, input: &mut Input<'_>) {
        let request = some_payment(input);
        self.submit(request).await;
    }

    async fn pay_twice_at_once(&mut self, input: &mut Input<'_>) {
        let (first, second) = (some_payment(input), some_payment(input));
        let (custodian, asked) = (self.custodian.clone(), [first.clone(), second.clone()]);
        let both = join(custodian.submit(first), custodian.submit(second));
        let (first, second) = self.hear(Box::pin(both)).await;
        for (request, answer) in asked.into_iter().zip([first, second]) {
            self.note(Some(request), answer);
        }
    }

    /// Somebody says something about an order, or something else than was asked.
    async fn say(&mut self, verb: Verb, input: &mut Input<'_>) {
        let Some(answer) = self.some_answer(input) else { return };
        let (name, role) = *input.pick(&[
            ("tara", "treasurer"),
            ("theo", "treasurer"),
            ("otto", "operator"),
            ("olivia", "administrator"),
        ]);
        let said = statement(
            self.people.get(name),
            (role, verb),
            &self.world.id,
            &answer,
            self.world.clock.now(),
        );
        let custodian = self.custodian.clone();
        let answer = match verb {
            Verb::Approve => self.hear(Box::pin(custodian.approve(said))).await,
            Verb::Cancel => self.hear(Box::pin(custodian.cancel(said))).await,
            Verb::Reject => self.hear(Box::pin(custodian.reject(said))).await,
        };
        self.note(None, answer);
    }

    async fn govern(&mut self, input: &mut Input<'_>) {
        let command = some_command(input);
        let id = request_id(1_000 + usize::from(input.byte()));
        match &command {
            Command::Thaw { scope } => self.world.given.push(Given::Thawing(scope.clone())),
            Command::Freeze { scope } => self.world.freezing(&id, scope),
            _ => {}
        }
        let request = Request::command(principal("olivia"), id.clone(), command.clone());
        let answer = self.submit(request).await;
        let done = answer.is_some_and(|answer| matches!(answer.outcome, Outcome::Released(_)));
        if let (Command::Freeze { scope }, true) = (command, done) {
            self.world.frozen(&id, scope);
        }
    }

    async fn ask(&mut self, input: &mut Input<'_>) {
        let Some(answer) = self.some_answer(input) else { return };
        let custodian = self.custodian.clone();
        match input.byte() % 4 {
            0 => {
                let answer = self.hear(Box::pin(custodian.judge_again(&answer.order))).await;
                self.note(None, answer);
            }
            1 => {
                self.hear(Box::pin(custodian.explain(&answer.order))).await.ok();
            }
            2 => {
                custodian.simulate(some_payment(input)).ok();
            }
            _ => {
                let answer = self.hear(Box::pin(custodian.order(&answer.order))).await;
                self.note(None, answer);
            }
        }
    }

    /// Time passes, or the wall clock stands still while it does.
    fn pass(&self, input: &mut Input<'_>) {
        let time = *input.pick(&[
            Duration::from_millis(1),
            Duration::from_secs(4),
            Duration::from_secs(70),
            Duration::from_secs(4_000),
            Duration::from_secs(90_000),
        ]);
        match input.byte() % 8 {
            7 => self.world.clock.drift(Duration::from_secs(6)),
            _ => self.world.clock.advance(time),
        }
    }

    /// Something will fail, or take for ever.
    fn arm(&self, input: &mut Input<'_>) {
        let points: Vec<_> = Failpoint::all().collect();
        let (point, nth) = (*input.pick(&points), u64::from(input.byte() % 8));
        let action = *input.pick(&[Action::Error, Action::Hang]);
        if can_strike(point, action) {
            self.world.points.arm(point, nth, action, false);
        }
    }

    /// Goes on with what an earlier process left; people settle what cannot be known.
    /// Whether it could: nothing goes on by a clock that is not trusted.
    async fn go_on(&mut self) -> bool {
        let custodian = self.custodian.clone();
        let Ok(resumed) = self.hear(Box::pin(custodian.resume())).await else { return false };
        for answer in resumed {
            self.world.given.push(Given::answer(&answer));
            if matches!(answer.outcome, Outcome::Unknown { .. }) {
                let resolution = Resolution::Failed { reason: "nobody saw one".to_owned() };
                let order = answer.order.clone();
                let id = format!("resolve-{order}").parse().unwrap();
                let command = Command::ResolveOrder { order, resolution };
                self.submit(Request::command(principal("olivia"), id, command)).await;
            }
        }
        true
    }

    async fn confirm_clock(&mut self) {
        let id = format!("confirm-{}", self.world.lives).parse().unwrap();
        let command = Command::ConfirmClock {};
        self.submit(Request::command(principal("olivia"), id, command)).await;
    }

    /// Asks for every order that was ever answered about.
    async fn ask_everything(&mut self) {
        for answer in self.world.answers.clone() {
            let custodian = self.custodian.clone();
            let now = self.hear(Box::pin(custodian.order(&answer.order))).await.unwrap();
            self.world.last.push(Given::answer(&now));
        }
    }

    async fn submit(&mut self, request: Request) -> Option<Answer> {
        let asked = request.clone();
        let custodian = self.custodian.clone();
        let answer = self.hear(Box::pin(custodian.submit(request))).await;
        self.note(Some(asked), answer)
    }

    /// Keeps what a caller was given.
    fn note(&mut self, asked: Option<Request>, answer: Result<Answer, Error>) -> Option<Answer> {
        let answer = answer.ok()?;
        self.world.given.push(match &asked {
            Some(asked) => Given::answer_to(asked.requester.clone(), asked.id.clone(), &answer),
            None => Given::answer(&answer),
        });
        self.world.asked.extend(asked.map(|request| (request, answer.clone())));
        self.world.answers.retain(|known| known.order != answer.order);
        self.world.answers.push(answer.clone());
        Some(answer)
    }

    fn some_answer(&self, input: &mut Input<'_>) -> Option<Answer> {
        let number = usize::from(input.byte());
        let answers = &self.world.answers;
        (!answers.is_empty()).then(|| answers[number % answers.len()].clone())
    }

    /// Waits for an answer as long as a caller may have to.
    async fn hear<T>(&self, call: impl Future<Output = T>) -> T {
        let deadline = self.world.clock.monotonic().saturating_add(PATIENCE);
        match select(pin!(call), self.world.clock.sleep_until(deadline)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => panic!("a caller heard nothing within {PATIENCE:?}"),
        }
    }
}

/// Whether a failpoint is armed to do this. An engine that judges otherwise than its rules say does
/// not fail: what it says is on record, and whoever judges again finds a breach.
fn can_strike(point: Failpoint, action: Action) -> bool {
    let is_left_out = match action {
        Action::Hang => BLOCKING.iter().any(|seam| point.call().starts_with(seam)),
        _ => point.call() == "engine.judge",
    };
    point.knows(action) && !is_left_out
}

fn some_payment(input: &mut Input<'_>) -> Request {
    let id = usize::from(input.byte() % 32);
    let units = u64::from(input.byte()) * 2;
    payment(id, units, input.byte().is_multiple_of(4))
}

fn some_command(input: &mut Input<'_>) -> Command {
    let name = *input.pick(&["hot.0", "hot.0", "hot.0", "hot.1", "hot.2"]);
    let key = KeyId::parse(name).unwrap();
    let scope = match input.byte() % 3 {
        0 => FreezeScope::House,
        _ => FreezeScope::Wallet(hot()),
    };
    match input.byte() % 16 {
        0 | 1 => Command::Freeze { scope },
        2 | 3 => Command::Thaw { scope },
        4 => Command::SuspendKey { key },
        5 => Command::ResumeKey { key },
        6 => Command::DeactivateKey { key },
        7 => Command::DestroyKey { key, wait_ms: u64::from(input.byte()) * 1_000 },
        8 => Command::CancelDestroy { key },
        9 => create_key(name, *input.pick(&[KeyStart::Active, KeyStart::PreActivation])),
        10 => Command::ActivateKey { key },
        11 => Command::ConfirmClock {},
        12 => Command::CompromiseKey { key },
        13 => {
            let tara = TestPerson::new("tara", &["treasurer"]);
            match input.byte() % 2 {
                0 => Command::RemovePrincipal { principal: tara.id().clone() },
                _ => Command::EnrollPrincipal { principal: tara.principal() },
            }
        }
        15 => {
            let after = input.byte().is_multiple_of(2).then_some(key);
            Command::ResealKeys { wallet: hot(), after, limit: u16::from(input.byte() % 3) }
        }
        _ => {
            let remark = format!("number {}", input.byte());
            let document = TestRules::document(&ROLES, &rules(&remark));
            Command::UpdatePolicy {
                policy: String::from_utf8(document.to_bytes().unwrap()).unwrap(),
            }
        }
    }
}

/// Seams whose calls block their thread and are not armed to hang: a call that returns late lets
/// time pass, as callers do.
const BLOCKING: [&str; 5] = ["clock.", "compiler.", "decoder.", "engine.", "spawner."];
/// From here on the first byte says that records are changed after the last life.
const CHANGES: u8 = 0x80;
const LAST_LIVES_MAX: usize = 4;
const STEPS_MAX: usize = 48;
const LIVES_MAX: u64 = 6;
