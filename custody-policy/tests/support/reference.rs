//! Cedar itself, asked in the slowest and plainest way: all rules as they are written, the whole
//! context in Cedar's own types, checked against the schema. No index, no slices, no caches, and
//! nothing of the crate but the text of its schema.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema,
};
use custody_core::amount::Units;
use custody_core::effect::{Arguments, Effect};
use custody_core::id::RuleId;
use custody_core::seam::{Judgement, PolicyDocument, WindowSums};
use custody_core::time::Timestamp;
use custody_policy::CedarCompiler;
use ruint::Uint;
use serde_json::{Map, Value, json};

use crate::support::{About, Order, Part};

/// Wide enough for 2^256 times 10^255.
type Wide = Uint<1152, 18>;

/// A rule set as Cedar sees it.
pub(crate) struct Reference {
    schema: Schema,
    rules: PolicySet,
    roles: Vec<String>,
}

impl Reference {
    pub(crate) fn new(document: &PolicyDocument) -> Self {
        let text = CedarCompiler::new().unwrap().schema(document);
        let (schema, _) = Schema::from_cedarschema_str(&text).unwrap();
        let named = |rule: &Policy| rule.new_id(PolicyId::new(rule.annotation("id").unwrap()));
        let parsed = PolicySet::from_str(&document.rules).unwrap();
        let rules = PolicySet::from_policies(parsed.policies().map(named)).unwrap();
        let roles = document.roles.iter().map(ToString::to_string).collect();
        Self { schema, rules, roles }
    }

    pub(crate) fn judge(&self, order: &Order) -> Judgement {
        let (mut permits, mut denials) = (BTreeSet::new(), BTreeSet::new());
        let (mut errors, mut allowed) = (BTreeSet::new(), !order.parts.is_empty());
        for part in &order.parts {
            let (permitted, reasons, failed) = self.effect(order, part);
            errors.extend(failed.iter().cloned());
            if permitted && failed.is_empty() {
                permits.extend(reasons);
            } else {
                allowed = false;
                let forbids = if permitted { Vec::new() } else { reasons };
                let silent = forbids.is_empty();
                denials.extend(forbids);
                denials.extend(silent.then(|| RuleId::parse("no-permit").unwrap()));
            }
        }
        if order.parts.is_empty() {
            denials.insert(RuleId::parse("no-permit").unwrap());
        }
        let rules = if allowed { permits } else { denials };
        let (rules, errors) = (rules.into_iter().collect(), errors.into_iter().collect());
        Judgement { allowed, rules, errors }
    }

    fn effect(&self, order: &Order, part: &Part) -> (bool, Vec<RuleId>, Vec<RuleId>) {
        if part.money.as_ref().is_some_and(|money| money.decimals.is_none()) {
            return (false, Vec::new(), Vec::new());
        }
        let action = uid("Action", part.effect.action().as_str());
        let context = self.context(order, part);
        let context = Context::from_json_value(context, Some((&self.schema, &action))).unwrap();
        let (entities, principal, resource) = self.entities(order);
        let request =
            Request::new(principal, action, resource, context, Some(&self.schema)).unwrap();
        let answer = Authorizer::new().is_authorized(&request, &self.rules, &entities);
        let rule = |id: &PolicyId| RuleId::parse(id.as_ref()).unwrap();
        let failed = answer.diagnostics().errors().map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                rule(error.policy_id())
            }
        });
        let failed = failed.collect();
        let reasons = answer.diagnostics().reason().map(rule).collect();
        (answer.decision() == Decision::Allow, reasons, failed)
    }

    fn entities(&self, order: &Order) -> (Entities, EntityUid, EntityUid) {
        let requester = &order.requester;
        let principal = uid("User", requester.id.as_str());
        let groups: HashSet<EntityUid> = requester
            .roles
            .iter()
            .map(|role| uid("Role", role.as_str()))
            .chain([uid("Org", requester.organisation.as_str())])
            .collect();
        let service = RestrictedExpression::new_bool(requester.service);
        let attributes = HashMap::from([("service".to_owned(), service)]);
        let user = Entity::new(principal.clone(), attributes, groups).unwrap();
        let (resource, thing) = match &order.about {
            About::Book(id) => {
                let uid = uid("AddressBook", id.as_str());
                (uid.clone(), Entity::with_uid(uid))
            }
            About::House => {
                let uid = uid("House", "house");
                (uid.clone(), Entity::with_uid(uid))
            }
            About::Wallet(id, tier, chain) => {
                let own = uid("Wallet", id.as_str());
                let chain = RestrictedExpression::new_string(chain.to_string());
                let attributes = HashMap::from([("chain".to_owned(), chain)]);
                let groups = HashSet::from([uid("Tier", tier.as_str())]);
                (own.clone(), Entity::new(own, attributes, groups).unwrap())
            }
        };
        let entities = Entities::from_entities([user, thing], Some(&self.schema)).unwrap();
        (entities, principal, resource)
    }

    fn context(&self, order: &Order, part: &Part) -> Value {
        let count = |read: fn(&custody_core::seam::RoleFacts) -> u32| -> Value {
            let role = |name: &String| {
                let facts = order.approvals.roles.iter().find(|(role, _)| role.as_str() == name);
                (name.clone(), json!(facts.map_or(0, |(_, facts)| read(facts))))
            };
            Value::Object(self.roles.iter().map(role).collect())
        };
        let now = order.now.as_millis();
        let mut authentication = json!({
            "factors": order.authentication.factors,
            "age": format!("{}ms", order.authentication.age_ms),
            "signed": order.authentication.signed,
        });
        if let Some(ip) = order.authentication.ip {
            authentication["ip"] = json!(ip.to_string());
        }
        let mut context = json!({
            "approvals": count(|facts| facts.approvals),
            "organisations": count(|facts| facts.organisations),
            "age": format!("{}ms", now - order.submitted.as_millis()),
            "drilled": format!("{}ms", now - order.drilled.as_millis()),
            "now": order.now.to_string(),
            "weekday": (now / 86_400_000 + 3) % 7 + 1,
            "authn": authentication,
            "facts": order.decoded.iter().map(|fact| fact.as_str()).collect::<Vec<_>>(),
            "order": { "count": order.parts.len() },
        });
        let fields = context.as_object_mut().unwrap();
        add_money(fields, part);
        add_destination(fields, part, order.now);
        add_rest(fields, part);
        context
    }
}

fn add_money(fields: &mut Map<String, Value>, part: &Part) {
    let Some(money) = &part.money else { return };
    let decimals = money.decimals.unwrap();
    let whole = |units: Units| json!(decimal(units, decimals));
    let window = |sums: &WindowSums| {
        json!({
            "h1": whole(sums.h1), "h24": whole(sums.h24),
            "d7": whole(sums.d7), "d30": whole(sums.d30),
        })
    };
    let amount = part.effect.amount().unwrap();
    fields.insert("amount".to_owned(), whole(amount.units()));
    fields.insert("asset".to_owned(), entity("Asset", amount.asset().as_str()));
    fields.insert("fee".to_owned(), whole(money.fee));
    fields["order"]["total"] = whole(money.order_total);
    fields.insert(
        "spent".to_owned(),
        json!({
            "wallet": window(&money.spent.wallet),
            "requester": window(&money.spent.requester),
            "destination": window(&money.spent.destination),
        }),
    );
    if let Some(value) = &money.value {
        fields.insert("value".to_owned(), json!(decimal(value.units(), 4)));
    }
}

fn add_destination(fields: &mut Map<String, Value>, part: &Part, now: Timestamp) {
    let Some(destination) = &part.destination else { return };
    let account = part.effect.destination().unwrap().as_str();
    let books = destination.books.iter().map(|book| entity("AddressBook", book.as_str()));
    let cooled = destination.known_since.map_or(0, |since| now.since(since).as_millis());
    fields.insert("destination".to_owned(), entity("Address", account));
    fields.insert("books".to_owned(), books.collect());
    fields.insert("known".to_owned(), json!(destination.known_since.is_some()));
    fields.insert("cooled".to_owned(), json!(format!("{cooled}ms")));
    fields.insert("self_owned".to_owned(), json!(destination.self_owned));
    fields.insert("resembles".to_owned(), json!(destination.resembles));
}

fn said(arguments: &Arguments) -> Value {
    arguments.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn add_rest(fields: &mut Map<String, Value>, part: &Part) {
    match &part.effect {
        Effect::Administer { selector, arguments, .. }
        | Effect::Call { selector, arguments, .. }
        | Effect::DelegateCall { selector, arguments, .. } => {
            fields.insert("selector".to_owned(), json!(selector.as_str()));
            fields.insert("arguments".to_owned(), said(arguments));
        }
        Effect::SignMessage { kind, arguments } => {
            fields.insert("kind".to_owned(), json!(kind.as_str()));
            fields.insert("arguments".to_owned(), said(arguments));
        }
        Effect::SignOpaque { kind } => {
            fields.insert("kind".to_owned(), json!(kind.as_str()));
            fields.insert("arguments".to_owned(), json!([]));
        }
        Effect::PayFee { rate: Some(rate), .. } => {
            fields.insert("fee_rate".to_owned(), json!(rate));
        }
        Effect::Govern { loosens, extension, .. } => {
            if let Some(loosens) = loosens {
                fields.insert("loosens".to_owned(), json!(loosens));
            }
            if let Some(name) = extension {
                fields.insert("name".to_owned(), json!(name.as_str()));
            }
        }
        _ => {}
    }
}

/// Whole units with four places, rounded up, at most the largest that Cedar can hold.
pub(crate) fn decimal(units: Units, decimals: u8) -> String {
    let units = Wide::from_be_slice(&units.to_be_bytes());
    let one = Wide::from(10).pow(Wide::from(decimals));
    let ticks = (units * Wide::from(10_000) + one - Wide::from(1)) / one;
    let ticks = ticks.min(Wide::from(i64::MAX));
    let (whole, rest) = ticks.div_rem(Wide::from(10_000));
    format!("{whole}.{:04}", rest.to::<u64>())
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_str(&format!("{kind}::\"{id}\"")).unwrap()
}

fn entity(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}
