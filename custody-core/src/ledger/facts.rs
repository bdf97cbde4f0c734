use std::collections::{BTreeMap, BTreeSet};

use super::{Key, Ledger, OpenOrder};
use crate::amount::Units;
use crate::caip::{AccountId, AssetId};
use crate::command::Command;
use crate::document::OrderDocument;
use crate::effect::{Effect, GovernanceTarget};
use crate::id::{OrganisationId, PrincipalId, RoleId};
use crate::principal::SignedStatement;
use crate::seam::{
    ApprovalFacts, DestinationFacts, EffectFacts, Facts, MoneyFacts, RoleFacts, Spent, Subject,
    WindowSums,
};
use crate::time::Timestamp;
use crate::window::{Charges, WindowKey, WindowOverflow, WindowScope};

/// What an order counts in each window.
///
/// # Errors
/// Fails if a sum passes 2^256 - 1.
pub fn charges(order: &OrderDocument) -> Result<Charges, WindowOverflow> {
    let mut charges = Charges::new();
    for effect in &order.effects {
        let Some(amount) = effect.amount() else { continue };
        let destination = effect.destination().cloned().map(WindowScope::Destination);
        let scopes = order
            .wallet
            .clone()
            .map(WindowScope::Wallet)
            .into_iter()
            .chain([WindowScope::Requester(order.requester.clone())])
            .chain(destination);
        for scope in scopes {
            let key = WindowKey { scope, asset: amount.asset().clone() };
            let sum: &mut Units = charges.entry(key).or_default();
            *sum = sum.checked_add(amount.units()).ok_or(WindowOverflow)?;
        }
    }
    Ok(charges)
}

/// The window sums of an order, by window; none where a sum passes 2^256 - 1.
pub(super) type Uses = BTreeMap<WindowKey, Option<WindowSums>>;

impl Ledger {
    pub(super) fn uses(&self, charges: &Charges, now: Timestamp) -> Uses {
        charges
            .iter()
            .map(|(key, units)| (key.clone(), self.windows.sums(key, *units, now).ok()))
            .collect()
    }

    /// The approvals that count at `now`: verified when they were added, unexpired, by people who
    /// are still enrolled with that credential and role, each person once, never the requester.
    pub fn counting_approvals<'a>(
        &'a self,
        order: &'a OpenOrder,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a SignedStatement> + 'a {
        let mut seen = BTreeSet::new();
        order.approvals.iter().filter(move |approval| {
            let statement = &approval.statement;
            statement.valid_until >= now
                && statement.principal != order.document.requester
                && self.members.get(&statement.principal).is_some_and(|member| {
                    member.principal.roles.contains(&statement.role)
                        && member.principal.credentials.contains_key(&statement.credential)
                })
                && seen.insert(statement.principal.clone())
        })
    }

    /// Calls `judge` with the facts about an order; nothing if its requester is not enrolled or was
    /// removed after asking for it, or if its wallet does not exist.
    pub(super) fn with_facts<R>(
        &self,
        order: &OpenOrder,
        uses: &Uses,
        now: Timestamp,
        judge: impl FnOnce(&Facts<'_>) -> R,
    ) -> Option<R> {
        let document = order.document.as_ref();
        if order.is_of_former() {
            return None;
        }
        let member = self.members.get(&document.requester)?;
        let approvals = self.approval_facts(order, now);
        let totals = totals(document);
        let fees = fees(document);
        let effects = document
            .effects
            .iter()
            .map(|effect| EffectFacts {
                effect,
                money: effect.amount().map(|amount| MoneyFacts {
                    decimals: self.assets.get(amount.asset()).map(|asset| asset.decimals()),
                    order_total: totals.get(amount.asset()).copied().unwrap_or_default(),
                    fee: fees.get(amount.asset()).copied().unwrap_or_default(),
                    spent: spent(document, effect, amount.asset(), uses),
                    value: None,
                }),
                destination: effect.destination().map(|account| self.destination_facts(account)),
            })
            .collect();
        Some(judge(&Facts {
            requester: &member.requester.0,
            subject: self.subject(order)?,
            effects,
            facts: &document.facts,
            approvals: &approvals,
            authentication: &order.authentication,
            submitted: document.submitted,
            drilled: self.drilled.unwrap_or(self.began),
            now,
            expires: document.expires,
        }))
    }

    /// What an order is about; nothing if its wallet does not exist. A wallet to be is what its
    /// command says it will be, also for whoever settles what became of that command.
    fn subject<'a>(&'a self, order: &'a OpenOrder) -> Option<Subject<'a>> {
        let command = match order.command.as_deref() {
            Some(Command::ResolveOrder { order: lost, .. }) => {
                self.orders.get(lost).and_then(|lost| lost.command.as_deref())
            }
            own => own,
        };
        if let Some(Command::CreateWallet { wallet: id, tier, chain, .. }) = command {
            return Some(Subject::Wallet { id, tier, chain });
        }
        let document = order.document.as_ref();
        let target = document.effects.iter().find_map(|effect| {
            if let Effect::Govern { target, .. } = effect { Some(target) } else { None }
        });
        let id = match (target, &document.wallet) {
            (Some(GovernanceTarget::House), _) | (None, None) => return Some(Subject::House),
            (Some(GovernanceTarget::Book(book)), _) => return Some(Subject::Book(book)),
            (Some(GovernanceTarget::Wallet(id)), _) | (None, Some(id)) => id,
        };
        let wallet = self.wallets.get(id)?;
        Some(Subject::Wallet { id, tier: &wallet.tier, chain: &wallet.chain })
    }

    fn approval_facts(&self, order: &OpenOrder, now: Timestamp) -> ApprovalFacts {
        let mut given: BTreeMap<&RoleId, Vec<&PrincipalId>> = BTreeMap::new();
        for approval in self.counting_approvals(order, now) {
            given.entry(&approval.statement.role).or_default().push(&approval.statement.principal);
        }
        let requester = self.members.get(&order.document.requester);
        let roles = self
            .policy
            .document
            .roles
            .iter()
            .map(|role| {
                let people = given.get(role).map_or(&[][..], Vec::as_slice);
                let excluded = requester
                    .filter(|member| member.principal.roles.contains(role))
                    .map(|member| &member.principal.organisation);
                (role.clone(), self.role_facts(role, people, excluded))
            })
            .collect();
        ApprovalFacts { roles }
    }

    fn role_facts(
        &self,
        role: &RoleId,
        people: &[&PrincipalId],
        excluded: Option<&OrganisationId>,
    ) -> RoleFacts {
        let organisations: BTreeSet<_> = people
            .iter()
            .filter_map(|id| self.members.get(id))
            .map(|member| &member.principal.organisation)
            .collect();
        let (mut eligible, mut eligible_organisations) = (0_u32, 0_u32);
        for (organisation, count) in self.roles.get(role).into_iter().flatten() {
            let own = u32::from(excluded == Some(organisation));
            let others = count.saturating_sub(own);
            eligible = eligible.saturating_add(others);
            eligible_organisations = eligible_organisations.saturating_add(others.min(1));
        }
        RoleFacts {
            approvals: count(people.len()),
            organisations: count(organisations.len()),
            eligible,
            eligible_organisations,
        }
    }

    fn destination_facts(&self, account: &AccountId) -> DestinationFacts {
        let books = self.addresses.get(account);
        let own = self.key_of(account);
        let is_kept = |key: &Key| key.state.may_receive() && key.destruction.is_none();
        let self_owned = own.and_then(|id| self.keys.get(id)).is_some_and(is_kept);
        DestinationFacts {
            known_since: books.and_then(|books| books.0.values().min().copied()),
            books: books.into_iter().flat_map(|books| books.0.keys().cloned()).collect(),
            self_owned,
            resembles: books.is_none() && own.is_none() && self.looks.has(account),
        }
    }
}

fn totals(document: &OrderDocument) -> BTreeMap<&AssetId, Units> {
    let mut totals: BTreeMap<_, Units> = BTreeMap::new();
    for amount in document.effects.iter().filter_map(Effect::amount) {
        let total = totals.entry(amount.asset()).or_default();
        *total = total.saturating_add(amount.units());
    }
    totals
}

fn fees(document: &OrderDocument) -> BTreeMap<&AssetId, Units> {
    let mut fees: BTreeMap<_, Units> = BTreeMap::new();
    for effect in &document.effects {
        if let Effect::PayFee { amount, .. } = effect {
            let fee = fees.entry(amount.asset()).or_default();
            *fee = fee.saturating_add(amount.units());
        }
    }
    fees
}

fn spent(document: &OrderDocument, effect: &Effect, asset: &AssetId, uses: &Uses) -> Spent {
    let sums = |scope: WindowScope| {
        let key = WindowKey { scope, asset: asset.clone() };
        uses.get(&key).map_or_else(WindowSums::default, |sums| sums.unwrap_or(SATURATED))
    };
    Spent {
        wallet: document
            .wallet
            .clone()
            .map_or_else(WindowSums::default, |wallet| sums(WindowScope::Wallet(wallet))),
        requester: sums(WindowScope::Requester(document.requester.clone())),
        destination: effect.destination().map_or_else(WindowSums::default, |account| {
            sums(WindowScope::Destination(account.clone()))
        }),
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

const SATURATED: WindowSums =
    WindowSums { h1: Units::MAX, h24: Units::MAX, d7: Units::MAX, d30: Units::MAX };
