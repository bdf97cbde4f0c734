use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;

use custody_audit::verify::{KeyHistory, LogDirectory};
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BookId, KeyId, PayloadFormat, RequestId, TierId, WalletId};
use custody_core::replay::{Depth, Replay, Report};
use custody_core::seam::{Authentication, DerivationPath, Entropy as _, Payload};
use examples_start::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::exported::ExportedDocuments;
use examples_start::house::{self, House};
use examples_start::transactions::{self, bundled};
use serde_json::json;

use crate::output::Output;

/// The five steps of the quickstart.
pub(crate) struct Steps<'a> {
    house: &'a House,
    output: &'a Output,
    run: String,
}

/// How an order should end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect<'a> {
    /// Denied by this rule, perhaps among others.
    Denied(&'a str),
    /// Released at once.
    Released,
    /// Released once what was missing came.
    ReleasedAfterApprovals,
    /// As the rules say, whatever that is: released, pending or denied. Never failed or unknown.
    Ruled,
}

/// How an order came to its outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Whether approvals were collected for it.
    pub(crate) waited: bool,
    /// Whether what was released recovers to the wallet's address.
    pub(crate) signed_by_us: bool,
}

impl Expect<'_> {
    /// Whether an order ended as it should.
    pub(crate) fn is_met(self, outcome: &Outcome, course: Course) -> bool {
        match (outcome, self) {
            (Outcome::Released(_), Self::Released) => course.signed_by_us && !course.waited,
            (Outcome::Released(_), Self::ReleasedAfterApprovals) => {
                course.signed_by_us && course.waited
            }
            (Outcome::Released(_), Self::Ruled) => course.signed_by_us,
            (Outcome::Denied { rules }, Self::Denied(rule)) => {
                rules.iter().any(|named| named.as_str() == rule)
            }
            (Outcome::Denied { .. } | Outcome::Pending { .. }, Self::Ruled) => true,
            _ => false,
        }
    }
}

impl<'a> Steps<'a> {
    pub(crate) fn new(house: &'a House, output: &'a Output) -> Self {
        Self { house, output, run: String::new() }
    }

    /// Runs all steps; whether each ended as it should.
    pub(crate) async fn run(mut self, first: Option<&str>) -> Result<bool, Failure> {
        let mut random = [0; 6];
        OsEntropy.fill(&mut random)?;
        self.run = format!("{}-{}", self.house.clock.now().as_millis(), hex::encode(random));
        let wallet = self.prepare().await?;
        let mut good = self.small(&wallet, first).await?;
        good &= self.large(&wallet).await?;
        good &= self.denied(&wallet).await?;
        good &= self.limit(&wallet).await?;
        good &= self.verify().await?;
        if good {
            self.output.say("\nEvery step ended as it should.");
        }
        Ok(good)
    }

    /// Makes what is missing: address book entries, and a new wallet from a new seed.
    async fn prepare(&self) -> Result<WalletId, Failure> {
        let custodian = &self.house.custodian;
        let made = if self.house.is_new { "New" } else { "Opened" };
        self.output.say(&format!("{made} custodian {}", custodian.id()));
        for left in &self.house.resumed {
            self.output.answer(0, "what a stopped run had left", left, None);
        }
        if self.house.is_new {
            for known in bundled::KNOWN {
                let book = BookId::parse("customers")?;
                let account = AccountId::parse(known)?;
                self.command("book", known, Command::AddAddress { book, account }).await?;
            }
        }
        let mut number = 1_u32;
        let wallet = loop {
            let id = WalletId::parse(&format!("hot-{number}"))?;
            if custodian.wallet(&id).is_none() {
                break id;
            }
            number = number.saturating_add(1);
        };
        let command = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1")?,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse("software")?,
            seed: Some(KeyId::parse(&format!("{wallet}.seed"))?),
        };
        self.command("wallet", "wallet", command).await?;
        let key = KeyId::parse(&format!("{wallet}.0"))?;
        let command = Command::DeriveAccount {
            wallet: wallet.clone(),
            key: key.clone(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0")?,
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        self.command("account", "account", command).await?;
        let address = self.address(&wallet)?;
        self.output.say(&format!("New hot wallet {wallet} with address {address}"));
        Ok(wallet)
    }

    async fn small(&self, wallet: &WalletId, first: Option<&str>) -> Result<bool, Failure> {
        self.output.step(1, "Small transfers to known addresses go at once");
        let (text, expect) = match first {
            Some(text) => (text, Expect::Ruled),
            None => (bundled::SMALL, Expect::Released),
        };
        let name = if first.is_some() { "your transaction" } else { "0.5 ETH" };
        let mut good = self.pay((1, name), wallet, text, expect).await?;
        good &= self
            .pay((1, "0.25 ETH (EIP-155)"), wallet, bundled::SMALL_LEGACY, Expect::Released)
            .await?;
        Ok(good)
    }

    async fn large(&self, wallet: &WalletId) -> Result<bool, Failure> {
        self.output.step(2, "A large one waits for two treasurers");
        self.pay((2, "25 ETH"), wallet, bundled::LARGE, Expect::ReleasedAfterApprovals).await
    }

    async fn denied(&self, wallet: &WalletId) -> Result<bool, Failure> {
        self.output.step(3, "What never happens is denied by name");
        let mut good = true;
        for (name, text, rule) in [
            ("an unlimited allowance", bundled::ALLOWANCE, "unlimited-allowance"),
            ("an unknown contract call", bundled::UNKNOWN_CALL, "unknown-call"),
            ("a fee that eats the wallet", bundled::FEE_EATER, "fee-cap"),
        ] {
            good &= self.pay((3, name), wallet, text, Expect::Denied(rule)).await?;
        }
        Ok(good)
    }

    async fn limit(&self, wallet: &WalletId) -> Result<bool, Failure> {
        self.output.step(4, "The daily limit of 60 ETH holds, whoever approves");
        let mut good = true;
        for (number, text) in (1_u8..).zip(bundled::LIMIT) {
            let expect = if number == 4 {
                Expect::Denied("daily-limit")
            } else {
                Expect::ReleasedAfterApprovals
            };
            good &=
                self.pay((4, &format!("10 ETH, number {number}")), wallet, text, expect).await?;
        }
        Ok(good)
    }

    /// Exports the log and verifies it, then flips one byte of a copy and shows who notices.
    async fn verify(&self) -> Result<bool, Failure> {
        self.output.step(5, "Anybody can verify it offline");
        let directory = tempfile::tempdir()?;
        let target = directory.path().join("log");
        let checkpoint = self.house.custodian.checkpoint().await?;
        let checkpoint = checkpoint.ok_or("there is no checkpoint")?;
        custody_audit::export(self.house.store.as_ref(), &checkpoint, &target).await?;
        let report = self.replay(&target)?;
        let line = format!(
            "verified: {} entries, {} decisions judged again, {} signatures, {} approvals",
            report.events, report.decisions, report.signatures, report.approvals
        );
        self.output.verification(
            &line,
            &json!({
                "outcome": "verified", "entries": report.events, "decisions": report.decisions,
                "signatures": report.signatures, "approvals": report.approvals,
            }),
        );
        flip_a_byte(&target)?;
        let Err(error) = self.replay(&target) else { return Ok(false) };
        let line = format!("one byte flipped in a copy: {error}");
        self.output
            .verification(&line, &json!({ "outcome": "refused", "error": error.to_string() }));
        Ok(error.to_string().contains("entry"))
    }

    /// The tree and its signed head first, then what the entries say.
    fn replay(&self, directory: &Path) -> Result<Report, Failure> {
        let directory = LogDirectory::open(directory)?;
        let log = directory.clone().replay(|_, _| Ok::<_, Infallible>(()))?;
        let log = log.authenticate(KeyHistory::new(self.house.log_key.clone()))?;
        let documents = ExportedDocuments(&log);
        let (id, compiler) = (self.house.custodian.id(), Some(house::compiler()?));
        let mut replay = Replay::new(id, Depth::Full, compiler, house::decoders());
        let replayed = directory.replay(|_, entry| replay.event(entry, &documents));
        replayed.map(drop).map_err(|error| Failure::from(error.to_string()))?;
        Ok(*replay.report())
    }

    /// Submits a transaction, collects what is missing, prints each answer.
    async fn pay(
        &self,
        (step, what): (u8, &str),
        wallet: &WalletId,
        text: &str,
        expect: Expect<'_>,
    ) -> Result<bool, Failure> {
        let bytes = transactions::parse(text)?;
        let payload = Payload { format: PayloadFormat::parse("evm/transaction")?, bytes };
        let id = self.request_id(&format!("{step}-{what}"))?;
        let operator = self.house.operator.id().clone();
        let request =
            Request::payload(operator, id, wallet.clone(), payload).authenticated(authentication());
        let mut answer = self.house.custodian.submit(request).await?;
        let mut waited = false;
        if let (Outcome::Pending { .. }, Expect::ReleasedAfterApprovals) = (&answer.outcome, expect)
        {
            waited = true;
            self.output.answer(step, what, &answer, None);
            answer = self.approve(step, answer).await?;
        }
        let sender = if let Outcome::Released(release) = &answer.outcome {
            release.signed.as_deref().map(transactions::sender).transpose()?
        } else {
            None
        };
        self.output.answer(step, what, &answer, sender.as_deref());
        let signed_by_us = sender == Some(self.address(wallet)?);
        Ok(expect.is_met(&answer.outcome, Course { waited, signed_by_us }))
    }

    /// Both treasurers approve.
    async fn approve(&self, step: u8, mut answer: Answer) -> Result<Answer, Failure> {
        for treasurer in &self.house.treasurers {
            let Outcome::Pending { .. } = answer.outcome else { break };
            let until = self.house.clock.now().after(Duration::from_secs(3_600));
            let custodian = &self.house.custodian;
            let approval = treasurer.approve(&custodian.id(), &answer, "treasurer", until)?;
            answer = custodian.approve(approval).await?;
            if step > 0 {
                self.output.say(&format!("            approved by {}", treasurer.id()));
            }
        }
        Ok(answer)
    }

    async fn command(&self, name: &str, what: &str, command: Command) -> Result<(), Failure> {
        let id = self.request_id(&format!("{name}-{what}"))?;
        let operator = self.house.operator.id().clone();
        let request = Request::command(operator, id, command).authenticated(authentication());
        let answer = self.house.custodian.submit(request).await?;
        let answer = self.approve(0, answer).await?;
        if let Outcome::Released(_) = answer.outcome {
            return Ok(());
        }
        Err(format!("the command {name} was not done: {:?}", answer.outcome).into())
    }

    fn address(&self, wallet: &WalletId) -> Result<String, Failure> {
        let custodian = &self.house.custodian;
        let found = custodian.wallet(wallet).ok_or("there is no wallet")?;
        let key = found.keys().first().and_then(|id| custodian.key(id)).ok_or("there is no key")?;
        Ok(key.account().ok_or("the key has no account")?.address().to_owned())
    }

    fn request_id(&self, what: &str) -> Result<RequestId, Failure> {
        let digest = Digest::of(what.as_bytes()).to_string();
        let short = digest.get(..12).unwrap_or_default();
        Ok(RequestId::parse(&format!("{}-{short}", self.run))?)
    }
}

/// A fresh login with two factors, as the host's own login page would tell.
fn authentication() -> Authentication {
    Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false }
}

/// Flips one bit in the middle of the first bundle of entries.
fn flip_a_byte(log: &Path) -> Result<(), Failure> {
    let entries = log.join("tile/entries");
    let partial = entries.join("000.p");
    let bundle = match fs::read_dir(&partial) {
        Ok(mut files) => files.next().ok_or("there is no bundle")??.path(),
        Err(_) => entries.join("000"),
    };
    let mut bytes = fs::read(&bundle)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    Ok(fs::write(bundle, bytes)?)
}
