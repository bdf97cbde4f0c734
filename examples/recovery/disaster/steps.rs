//! The steps, from a payment to the same payment after everything was lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_core::custodian::Older;
use custody_core::id::{CustodianId, KeyId};
use custody_core::seam::{Head, KeyBackend};
use custody_hsm::HsmBackend;
use custody_recovery::archive::SecretName;
use custody_recovery::ceremony::CeremonyRecord;
use examples_hsm::tokens::Tokens;
use examples_recovery::acts::{ACCOUNT, ceremony, drill, parts, pay, pay_from, wallet};
use examples_recovery::cold;
use examples_recovery::drilled::Drilled;
use examples_recovery::holders::{Holders, Post};
use examples_recovery::house::{House, People, Way};
use examples_recovery::keys::{self, SoftKeys};
use examples_recovery::vault::{self, Made, Vault};
use examples_recovery::{Failure, log, rebuild};
use examples_start::transactions::bundled;

/// Runs them all below a folder, and tells what happened.
pub(crate) async fn run(world: &Path, tokens: Option<&Tokens>) -> Result<Vec<String>, Failure> {
    let mut told = Vec::new();
    let directory = world.join("house");
    let people = People::meet(&world.join("people"))?;
    let holders = Holders::meet(&world.join("holders"))?;
    let post = Post::default();
    let (passphrase, wrapping) = (keys::drawn()?, keys::drawn()?);
    let soft = SoftKeys::create(&directory.join("keys"), keys::copy(&passphrase)).await?;
    let token = match tokens {
        Some(tokens) => Some(cold::open(tokens, TOKENS[0], &wrapping).await?),
        None => None,
    };
    // Drills have a token of their own.
    let drilled = tokens.map(|tokens| Drilled::with_token(tokens, TOKENS[2])).unwrap_or_default();
    let vault = Arc::new(Vault::open(world, drilled)?);

    let mut its = parts(&directory, soft, &post, &vault)?;
    its.others.extend(token.iter().map(|token| Arc::<HsmBackend>::clone(token) as _));
    let house = House::open(its, Way::Create(people.genesis(&holders)?)).await?;
    let custodian = house.custodian.id();
    let hot = wallet(&house, &people).await?;
    told.push(format!("the wallet has the address {hot}"));
    told.push(format!("before: {}", pay(&house, &people, bundled::SMALL, &hot).await?));
    let mut cold_address = None;
    if let Some(token) = &token {
        let address = cold::wallet(&house, &people).await?;
        let paid = pay_from(&house, &people, (cold::WALLET, &address), bundled::LARGE).await?;
        told.push(format!("before, from the token: {paid}"));
        cold::wrap(&house, token, &directory.join(cold::WRAPPED)).await?;
        cold_address = Some(address);
    }
    let record = ceremony(&house, &people, &holders, &post).await?;
    told.push(format!("ten holders have confirmed their shares of set {}", record.set));
    told.extend(vault::sites(&record)?);
    let secrets = [(keys::PASSPHRASE, &passphrase), (cold::WRAPPING, &wrapping)];
    let made = vault::make(&house, &directory, &record, &vault, &secrets).await?;
    told.push(format!("archived {} bytes, copies: {}", made.summary.bytes, made.copies));
    told.push(drill(&house, &people).await?);
    // The drill is in the log, and an archive that knows of it is made right after.
    let made = vault::make(&house, &directory, &record, &vault, &secrets).await?;
    let before = house.custodian.checkpoint().await?.ok_or("the log has no head")?.head;
    house.close().await?;
    drop((passphrase, wrapping, token));

    fs::remove_dir_all(&directory)?;
    fs::remove_file(vault.newest_path())?;
    told.push(format!("lost: the house with its store, its log and its keys ({custodian})"));
    drop(vault);
    let vault = Arc::new(Vault::open(world, Drilled::default())?);
    let lost = Lost { directory, people, holders, post, vault, record, made, custodian, before };
    told.extend(lost.rebuilt(world, tokens, &hot, cold_address).await?);
    Ok(told)
}

/// What is left when the house is lost: people, packets, copies.
struct Lost {
    directory: PathBuf,
    people: People,
    holders: Holders,
    post: Post,
    vault: Arc<Vault>,
    record: CeremonyRecord,
    made: Made,
    custodian: CustodianId,
    before: Head,
}

impl Lost {
    async fn rebuilt(
        &self,
        world: &Path,
        tokens: Option<&Tokens>,
        hot: &str,
        cold_address: Option<String>,
    ) -> Result<Vec<String>, Failure> {
        let Self { directory, people, vault, .. } = self;
        let mut told = Vec::new();
        let shares = rebuild::bring(&self.holders, &self.record, &self.post)?;
        told.push(format!("{} holders brought their shares", shares.len()));
        let (restored, soft) = rebuild::restore(directory, vault, &self.made, shares).await?;
        let mut token: Option<Arc<dyn KeyBackend>> = None;
        if let Some(tokens) = tokens {
            let name = SecretName::parse(cold::WRAPPING)?;
            let wrapping = restored.secrets().get(&name).ok_or("the archive cannot unwrap")?;
            let spare = cold::open(tokens, TOKENS[1], wrapping).await?;
            token = Some(cold::unwrapping(spare, cold::wrapped(&directory.join(cold::WRAPPED))?)?);
        }
        told.push(rebuild::prove(&restored, &soft, token.clone()).await?);
        let recovery = restored.recovery(&[self.before], Older::Refuse);
        drop(restored);
        let mut its = parts(directory, soft, &self.post, vault)?;
        its.others.extend(token.clone());
        let house = House::open(its, Way::Recover(self.custodian, recovery)).await?;
        if house.address(&KeyId::parse(ACCOUNT)?)? != *hot {
            return Err("the address is another one".into());
        }
        let [h1, h24, ..] = house.custodian.exhausted();
        told.push(format!("limits of the hour and the day are used up: {}", h1 && h24));
        told.push(format!("after: {}", pay(&house, people, bundled::SMALL_LEGACY, hot).await?));
        if let (Some(token), Some(address)) = (&token, &cold_address) {
            cold::settle(&house, people, token.as_ref()).await?;
            let from = (cold::WALLET, address.as_str());
            let paid = pay_from(&house, people, from, bundled::LIMIT[0]).await?;
            told.push(format!("after, from another token: {paid}"));
        }
        told.push(log::verify(&house, world, self.before).await?);
        house.close().await?;
        Ok(told)
    }
}

/// The token that is lost, the one that is bought after it, and the one for drills.
pub(crate) const TOKENS: [&str; 3] = ["vault", "spare", "drill"];
