//! Where the custodian's log says that keys are: a key is in a wallet, a wallet at a backend, and a
//! backend of this crate has an identity that names KMS.
//!
//! Invariant: a key is said to be elsewhere only if the log says so all the way.

use std::collections::BTreeMap;

use custody_core::id::{BackendId, BackendIdentity, KeyId, WalletId};

/// What a log says of wallets and backends.
#[derive(Clone, Debug, Default)]
pub(super) struct Homes {
    backends: BTreeMap<BackendId, Home>,
    wallets: BTreeMap<WalletId, BackendId>,
    /// None for a key that is said to be in two wallets, or in none.
    keys: BTreeMap<KeyId, Option<WalletId>>,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// Not in KMS.
    Elsewhere,
    /// In KMS, in the account of this number.
    Kms(String),
    /// The log does not tell.
    Unknown,
}

impl Homes {
    pub(super) fn add_backend(&mut self, backend: BackendId, identity: &BackendIdentity) {
        let home = Home::of(identity);
        let known = self.backends.entry(backend).or_insert_with(|| home.clone());
        if *known != home {
            *known = Home::Unknown;
        }
    }

    pub(super) fn add_wallet(&mut self, wallet: WalletId, backend: BackendId) {
        self.wallets.insert(wallet, backend);
    }

    pub(super) fn add_key(&mut self, key: KeyId, wallet: Option<WalletId>) {
        let known = self.keys.entry(key).or_insert_with(|| wallet.clone());
        if *known != wallet {
            *known = None;
        }
    }

    pub(super) fn has_wallet(&self, wallet: &WalletId) -> bool {
        self.wallets.contains_key(wallet)
    }

    /// Every key, with its wallet and where it is.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&KeyId, Option<&WalletId>, Home)> {
        self.keys.iter().map(|(key, wallet)| (key, wallet.as_ref(), self.home(wallet.as_ref())))
    }

    fn home(&self, wallet: Option<&WalletId>) -> Home {
        let backend = wallet.and_then(|wallet| self.wallets.get(wallet));
        let home = backend.and_then(|backend| self.backends.get(backend));
        home.cloned().unwrap_or(Home::Unknown)
    }
}

impl Home {
    /// The backend of this crate says `kms:ACCOUNT:REGION`.
    fn of(identity: &BackendIdentity) -> Self {
        let mut parts = identity.as_str().split(':');
        match parts.next() {
            Some("kms") => Self::Kms(parts.next().unwrap_or_default().to_owned()),
            _ => Self::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KMS: &str = "kms:111122223333:eu-central-1";

    fn home(identities: &[&str], wallets: &[&str]) -> Home {
        let mut homes = Homes::default();
        let backend = || BackendId::parse("one").unwrap();
        for identity in identities {
            homes.add_backend(backend(), &BackendIdentity::parse(identity).unwrap());
        }
        homes.add_wallet(WalletId::parse("hot").unwrap(), backend());
        for wallet in wallets {
            homes.add_key(KeyId::parse("key").unwrap(), WalletId::parse(wallet).ok());
        }
        homes.keys().next().map_or(Home::Unknown, |(_, _, home)| home)
    }

    #[test]
    fn a_key_is_elsewhere_only_if_the_log_says_so_all_the_way() {
        let kms = Home::Kms("111122223333".to_owned());
        for (name, identities, wallets, expected) in [
            ("in KMS", &[KMS][..], &["hot"][..], kms.clone()),
            ("in KMS, said twice", &[KMS, KMS], &["hot", "hot"], kms),
            ("at another backend", &["soft:0011"], &["hot"], Home::Elsewhere),
            ("a name that only begins alike", &["kmsish:1"], &["hot"], Home::Elsewhere),
            ("at a backend of two identities", &["soft:0011", KMS], &["hot"], Home::Unknown),
            ("in KMS and then not", &[KMS, "soft:0011"], &["hot"], Home::Unknown),
            ("at a backend that is not known", &[], &["hot"], Home::Unknown),
            ("in a wallet that is not known", &["soft:0011"], &["cold"], Home::Unknown),
            ("in two wallets", &["soft:0011"], &["hot", "cold"], Home::Unknown),
            ("in no wallet", &["soft:0011"], &[""], Home::Unknown),
        ] {
            assert_eq!(home(identities, wallets), expected, "{name}");
        }
    }
}
