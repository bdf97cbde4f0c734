//! What is left without the token: nothing that opens.

use std::path::Path;
use std::sync::Arc;

use cryptoki::object::{Attribute, ObjectClass};
use custody_core::custodian::Outcome;
use custody_core::id::CustodianId;
use custody_core::seam::{ErrorKind, KeyEncryption as _};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmKek};
use examples_hsm::Failure;
use examples_hsm::house::outcome;
use examples_hsm::tokens::Tokens;
use examples_start::entropy::OsEntropy;

use crate::sealing::{self, KEK};
use crate::{accounts, payment};

/// A data key under one token's key: another context, a changed byte and another token are refused.
pub(crate) async fn refusals(kek: &HsmKek, other: &HsmKek) -> Result<Vec<String>, Failure> {
    let context: [&[u8]; 2] = [b"house", b"wallet"];
    let sealed = kek.wrap(&Secret::new(vec![0x6b; 32]), &context).await?;
    let mut changed = sealed.clone();
    let last = changed.last_mut().ok_or("nothing was sealed")?;
    *last ^= 1;
    let tries = [
        ("another context", kek.unwrap(&sealed, &[b"house", b"another"]).await),
        ("a changed byte", kek.unwrap(&changed, &context).await),
        ("another token", other.unwrap(&sealed, &context).await),
    ];
    let mut told = Vec::new();
    for (what, tried) in tries {
        let Err(error) = tried else { return Err(format!("{what} opens a data key").into()) };
        if error.kind() != ErrorKind::Corrupt {
            return Err(format!("{what}: {error}").into());
        }
        told.push(format!("a data key, {what}: refused as corrupt"));
    }
    let _opened = kek.unwrap(&sealed, &context).await?;
    Ok(told)
}

/// The same house over another token: it opens, tells who did what, and signs nothing.
pub(crate) async fn another_token(
    directory: &Path,
    (token, other): (&Arc<HsmBackend>, &Arc<HsmBackend>),
    id: CustodianId,
) -> Result<String, Failure> {
    let keys = sealing::backend(other, Arc::new(OsEntropy)).await?;
    let house = sealing::house(directory, keys, Arc::clone(token), Some(id)).await?;
    let answer = payment::pay(&house, 0, 2_000).await?;
    let told = format!("the house over another token: {}", outcome(&answer));
    let is_watched = accounts::watched(&house, 1).await.is_ok();
    house.close().await?;
    let Outcome::Failed { .. } = answer.outcome else { return Err(told.into()) };
    if is_watched {
        return Err("another token opens the seed".into());
    }
    Ok(told)
}

/// The token's key is destroyed while the house runs. Nothing brings the seed back.
pub(crate) async fn destroyed(
    directory: &Path,
    (tokens, label): (&Tokens, &str),
    token: &Arc<HsmBackend>,
    id: CustodianId,
) -> Result<Vec<String>, Failure> {
    let keys = sealing::backend(token, Arc::new(OsEntropy)).await?;
    let house = sealing::house(directory, keys, Arc::clone(token), Some(id)).await?;
    let answer = payment::pay(&house, 0, 3_000).await?;
    let before = format!("the house over its own token, opened again: {}", outcome(&answer));
    let _transaction = payment::check(&house, 0, answer)?;
    destroy(tokens, label)?;
    let answer = payment::pay(&house, 0, 4_000).await?;
    let told = format!("once the token's key is destroyed: {}", outcome(&answer));
    let is_watched = accounts::watched(&house, 1).await.is_ok();
    house.close().await?;
    let Outcome::Failed { .. } = answer.outcome else { return Err(told.into()) };
    if is_watched {
        return Err("the seed opens without its key".into());
    }
    Ok(vec![before, told])
}

/// Somebody with the PIN destroys the key, past custody.
pub(crate) fn destroy(tokens: &Tokens, label: &str) -> Result<(), Failure> {
    let bare = tokens.bare(label)?;
    let name = format!("custody kek {KEK}").into_bytes();
    let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(name)];
    let found = bare.session().find_objects(&wanted)?;
    let [key] = found.as_slice() else { return Err("the token has no such key".into()) };
    Ok(bare.session().destroy_object(*key)?)
}
