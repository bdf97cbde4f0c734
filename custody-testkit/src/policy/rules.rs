use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::effect::Action;
use custody_core::id::{BookId, EngineId, PolicyId, RoleId, RuleId, TierId};
use custody_core::seam::{
    EffectFacts, Facts, Finding, Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine,
    PolicyError, Requirement,
};

/// A compiler of rules in a tiny text format, one rule a line. Empty lines and lines that begin
/// with `#` are left out.
///
/// | line | what it does |
/// |---|---|
/// | `allow [ACTION]` | permits |
/// | `need ROLE COUNT [ACTION]` | permits with so many approvals of a role |
/// | `deny [ACTION]` | forbids |
/// | `drill SECONDS [ACTION]` | forbids when the last drill is longer ago |
/// | `limit-order UNITS` | forbids money effects whose order moves more of their asset |
/// | `limit-day UNITS` | forbids money effects whose wallet moves more in 24 hours |
/// | `wait SECONDS [ACTION]` | forbids before the order has this age |
/// | `book BOOK` | forbids destinations outside the book |
/// | `role ROLE [ACTION]` | forbids requesters without the role |
/// | `error [ACTION]` | fails |
/// | `panic` | panics |
///
/// An effect is allowed if a rule permits it, none forbids it and none fails.
#[derive(Clone, Debug)]
pub struct TestRules {
    engine: EngineId,
}

impl TestRules {
    /// The compiler.
    #[must_use]
    pub fn new() -> Self {
        Self { engine: EngineId::parse("test-rules/2").unwrap() }
    }

    /// A rule set of these lines in a house with these roles and the tiers `hot` and `cold`.
    #[must_use]
    pub fn document(roles: &[&str], rules: &str) -> PolicyDocument {
        PolicyDocument {
            v: 1,
            roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
            tiers: ["hot", "cold"].map(|tier| TierId::parse(tier).unwrap()).to_vec(),
            rules: rules.to_owned(),
        }
    }
}

impl Default for TestRules {
    fn default() -> Self {
        Self::new()
    }
}

impl PolicyCompiler for TestRules {
    fn engine(&self) -> &EngineId {
        &self.engine
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let finding = |line: usize, message: &str| Finding {
            rule: None,
            line: line as u32,
            column: 0,
            message: message.to_owned(),
        };
        let bytes = rules.to_bytes().map_err(|_| PolicyError::new(vec![finding(0, "no JSON")]))?;
        let mut findings = Vec::new();
        if rules.v != 1 || bytes.len() > PolicyDocument::MAX {
            findings.push(finding(0, "an unknown version or too long"));
        }
        let mut parsed = Vec::new();
        for (number, line) in rules.rules.lines().enumerate().map(|(n, line)| (n + 1, line)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.first() {
                None => {}
                Some(first) if first.starts_with('#') => {}
                Some(_) => match Rule::parse(number, &words, &rules.roles) {
                    Some(rule) => parsed.push(rule),
                    None => findings.push(finding(number, "no rule, or an unknown role")),
                },
            }
        }
        if !findings.is_empty() {
            return Err(PolicyError::new(findings));
        }
        Ok(Arc::new(Engine { id: PolicyDocument::id_of(&bytes), rules: parsed }))
    }
}

#[derive(Clone, Debug)]
struct Rule {
    id: RuleId,
    kind: Kind,
    action: Option<Action>,
}

#[derive(Clone, Debug)]
enum Kind {
    Allow,
    Book(BookId),
    Deny,
    Drill(Duration),
    Error,
    LimitDay(Units),
    LimitOrder(Units),
    Need(RoleId, u32),
    Panic,
    Role(RoleId),
    Wait(Duration),
}

/// What one rule says about one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Fails,
    Forbids,
    Nothing,
    Permits,
}

impl Rule {
    fn parse(number: usize, words: &[&str], roles: &[RoleId]) -> Option<Self> {
        let known = |text: &str| RoleId::parse(text).ok().filter(|role| roles.contains(role));
        let (kind, rest) = match words {
            ["allow", rest @ ..] => (Kind::Allow, rest),
            ["book", book] => (Kind::Book(BookId::parse(book).ok()?), &[][..]),
            ["deny", rest @ ..] => (Kind::Deny, rest),
            ["drill", seconds, rest @ ..] => {
                (Kind::Drill(Duration::from_secs(seconds.parse().ok()?)), rest)
            }
            ["error", rest @ ..] => (Kind::Error, rest),
            ["limit-day", units] => (Kind::LimitDay(Units::parse(units).ok()?), &[][..]),
            ["limit-order", units] => (Kind::LimitOrder(Units::parse(units).ok()?), &[][..]),
            ["need", role, count, rest @ ..] => {
                (Kind::Need(known(role)?, count.parse().ok()?), rest)
            }
            ["panic"] => (Kind::Panic, &[][..]),
            ["role", role, rest @ ..] => (Kind::Role(known(role)?), rest),
            ["wait", seconds, rest @ ..] => {
                (Kind::Wait(Duration::from_secs(seconds.parse().ok()?)), rest)
            }
            _ => return None,
        };
        let action = match rest {
            [] => None,
            [name] => Some(*Action::ALL.iter().find(|action| action.as_str() == *name)?),
            _ => return None,
        };
        let id = RuleId::parse(&format!("line-{number}-{}", words.first()?)).ok()?;
        Some(Self { id, kind, action })
    }

    fn speak(&self, effect: &EffectFacts<'_>, facts: &Facts<'_>) -> Word {
        let forbids = |forbids: bool| if forbids { Word::Forbids } else { Word::Nothing };
        let permits = |permits: bool| if permits { Word::Permits } else { Word::Nothing };
        if self.action.is_some_and(|action| action != effect.effect.action()) {
            return Word::Nothing;
        }
        let money = effect.money.as_ref();
        match &self.kind {
            Kind::Allow => Word::Permits,
            Kind::Book(book) => {
                let outside = effect.destination.as_ref().map(|facts| !facts.books.contains(book));
                forbids(outside.unwrap_or(effect.effect.destination().is_some()))
            }
            Kind::Deny => Word::Forbids,
            Kind::Drill(most) => forbids(facts.now.since(facts.drilled) > *most),
            Kind::Error => Word::Fails,
            Kind::LimitDay(most) => {
                forbids(money.is_some_and(|money| money.spent.wallet.h24 > *most))
            }
            Kind::LimitOrder(most) => forbids(money.is_some_and(|money| money.order_total > *most)),
            Kind::Need(role, count) => {
                permits(facts.approvals.roles.get(role).is_some_and(|f| f.approvals >= *count))
            }
            Kind::Panic => panic!("the rule {} panics", self.id),
            Kind::Role(role) => forbids(!facts.requester.roles.contains(role)),
            Kind::Wait(age) => forbids(facts.now.since(facts.submitted) < *age),
        }
    }
}

#[derive(Debug)]
struct Engine {
    id: PolicyId,
    rules: Vec<Rule>,
}

impl Engine {
    fn named(name: &str) -> BTreeSet<RuleId> {
        BTreeSet::from([RuleId::parse(name).unwrap()])
    }

    /// The rules that permit, forbid and fail for one effect.
    fn rules(&self, word: Word, effect: &EffectFacts<'_>, facts: &Facts<'_>) -> BTreeSet<RuleId> {
        let speaking = self.rules.iter().filter(|rule| rule.speak(effect, facts) == word);
        speaking.map(|rule| rule.id.clone()).collect()
    }

    /// The approvals and times that rules speak about: each permit's alone, all of them together,
    /// and with every waiting time.
    fn candidates(&self, facts: &Facts<'_>) -> Vec<Requirement> {
        let mut needs = vec![BTreeMap::new()];
        let mut all: BTreeMap<RoleId, u32> = BTreeMap::new();
        let mut times = vec![None];
        for rule in &self.rules {
            if let Kind::Need(role, count) = &rule.kind {
                let given = facts.approvals.roles.get(role).copied().unwrap_or_default();
                let more = count.saturating_sub(given.approvals);
                if more > 0 && *count <= given.eligible {
                    needs.push(BTreeMap::from([(role.clone(), more)]));
                    let most = all.entry(role.clone()).or_default();
                    *most = more.max(*most);
                }
            }
            if let Kind::Wait(age) = &rule.kind {
                let time = facts.submitted.after(*age);
                times.extend((time > facts.now && time < facts.expires).then_some(Some(time)));
            }
        }
        needs.push(all);
        times.sort();
        let mut candidates = Vec::new();
        for not_before in times {
            candidates.extend(needs.iter().map(|approvals| Requirement {
                approvals: approvals.clone(),
                organisations: BTreeMap::new(),
                not_before,
            }));
        }
        candidates
    }

    fn allows(&self, facts: &Facts<'_>, requirement: &Requirement) -> bool {
        let mut approvals = facts.approvals.clone();
        for (role, more) in &requirement.approvals {
            let facts = approvals.roles.entry(role.clone()).or_default();
            facts.approvals = facts.approvals.saturating_add(*more);
        }
        let now = facts.now.max(requirement.not_before.unwrap_or_default());
        self.judge(&Facts { approvals: &approvals, now, ..facts.clone() }).allowed
    }
}

impl PolicyEngine for Engine {
    fn id(&self) -> PolicyId {
        self.id
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let (mut permits, mut forbids) = (BTreeSet::new(), BTreeSet::new());
        let (mut errors, mut silent) = (BTreeSet::new(), facts.effects.is_empty());
        for effect in &facts.effects {
            let permit = self.rules(Word::Permits, effect, facts);
            silent |= permit.is_empty();
            permits.extend(permit);
            forbids.extend(self.rules(Word::Forbids, effect, facts));
            errors.extend(self.rules(Word::Fails, effect, facts));
            let decimals = effect.money.as_ref().and_then(|money| money.decimals);
            if effect.effect.amount().is_some() && decimals.is_none() {
                forbids.extend(Self::named("no-decimals"));
            }
        }
        let allowed = !silent && forbids.is_empty() && errors.is_empty();
        let rules = match (allowed, forbids.is_empty()) {
            (true, _) => permits,
            (false, false) => forbids,
            (false, true) => Self::named("no-permit"),
        };
        let errors = errors.into_iter().collect();
        Judgement { allowed, rules: rules.into_iter().collect(), errors }
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        let mut options: Vec<Requirement> = Vec::new();
        for candidate in self.candidates(facts) {
            let dominated = options.iter().any(|option| {
                let fewer = |(role, more): (&RoleId, &u32)| {
                    candidate.approvals.get(role).is_some_and(|count| count >= more)
                };
                option.not_before <= candidate.not_before && option.approvals.iter().all(fewer)
            });
            if !dominated && self.allows(facts, &candidate) {
                options.push(candidate);
            }
        }
        if options.is_empty() {
            return Missing::Never;
        }
        Missing::Await { options, complete: true }
    }
}
