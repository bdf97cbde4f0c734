//! Data keys: made, opened, and refused where they must be. They protect nothing.

use std::collections::HashMap;
use std::time::Duration;

use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::primitives::Blob;
use custody_kms::aws_sdk_kms::types::DataKeySpec;

use crate::answer::why;
use crate::patient::{Patient, Purpose};
use crate::rate;
use crate::row::{Row, Topic};

/// A data key, and what a key of KMS made of it.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    ciphertext: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Sealed {
    /// Opens it, with a key or with the one that KMS finds in the ciphertext. It must be what it was.
    pub(crate) async fn open(
        &self,
        client: &Client,
        key: Option<&str>,
        context: &str,
    ) -> Result<(), String> {
        if decrypt(client, (key, context), &self.ciphertext).await? == self.plaintext {
            return Ok(());
        }
        Err("another data key came back".to_owned())
    }
}

/// A new key of KMS, and a data key under it.
pub(crate) async fn sealed(patient: &mut Patient) -> Result<(String, Sealed), String> {
    let arn = patient.make(Purpose::Data).await?;
    let sealed = seal(&patient.client, &arn).await?;
    Ok((arn, sealed))
}

/// A data key under a key of KMS.
pub(crate) async fn seal(client: &Client, arn: &str) -> Result<Sealed, String> {
    let call = client.generate_data_key().key_id(arn).key_spec(DataKeySpec::Aes256);
    let made = call.set_encryption_context(Some(pairs(CONTEXT))).send().await.map_err(why)?;
    let (Some(ciphertext), Some(plaintext)) = (made.ciphertext_blob, made.plaintext) else {
        return Err("no data key is told".to_owned());
    };
    Ok(Sealed { ciphertext: ciphertext.into_inner(), plaintext: plaintext.into_inner() })
}

/// What is tried with data keys.
pub(crate) async fn rows(patient: &mut Patient, time: Duration) -> Vec<Row> {
    let (arn, sealed) = match sealed(patient).await {
        Ok(made) => made,
        Err(why) => return vec![Row::new(Topic::Encryption, MAKE, false, why)],
    };
    let other = match patient.make(Purpose::Data).await {
        Ok(other) => other,
        Err(why) => return vec![Row::new(Topic::Encryption, MAKE, false, why)],
    };
    let client = &patient.client;
    let row = |what, tried: Result<(), String>| {
        Row::tried(Topic::Encryption, what, tried.map(|()| "it is the same".to_owned()))
    };
    let refused = |what, tried| Row::refused(Topic::Encryption, what, tried, &[]);
    let told = format!("a data key becomes {} bytes", sealed.ciphertext.len());
    let mut rows = vec![
        Row::new(Topic::Encryption, MAKE, sealed.plaintext.len() == 32, told),
        row("open it", sealed.open(client, Some(&arn), CONTEXT).await),
        row("open it without the id of the key", sealed.open(client, None, CONTEXT).await),
        refused("another context", decrypt(client, (Some(&arn), "x"), &sealed.ciphertext).await),
        refused("another key", decrypt(client, (Some(&other), CONTEXT), &sealed.ciphertext).await),
    ];
    rows.push(flipped(client, &arn, &sealed).await);
    rows.push(cut(client, &arn, &sealed).await);
    rows.push(again(client, (&arn, &other), &sealed).await);
    let call = || sealed.open(client, Some(&arn), CONTEXT);
    rows.extend(rate::rows("decrypt a data key", time, call).await);
    rows
}

/// A flipped bit in each byte of the ciphertext, one after the other.
async fn flipped(client: &Client, arn: &str, sealed: &Sealed) -> Row {
    let mut opened = Vec::new();
    for position in 0..sealed.ciphertext.len() {
        let mut ciphertext = sealed.ciphertext.clone();
        if let Some(byte) = ciphertext.get_mut(position) {
            *byte ^= 1;
        }
        if decrypt(client, (Some(arn), CONTEXT), &ciphertext).await.is_ok() {
            opened.push(position);
        }
    }
    told("a flipped bit", &opened, sealed)
}

/// The ciphertext without its last bytes.
async fn cut(client: &Client, arn: &str, sealed: &Sealed) -> Row {
    let mut opened = Vec::new();
    for length in 1..sealed.ciphertext.len() {
        let ciphertext = sealed.ciphertext.get(..length).unwrap_or_default();
        if decrypt(client, (Some(arn), CONTEXT), ciphertext).await.is_ok() {
            opened.push(length);
        }
    }
    told("a cut", &opened, sealed)
}

fn told(what: &str, opened: &[usize], sealed: &Sealed) -> Row {
    let (count, of) = (opened.len(), sealed.ciphertext.len());
    let told = match opened {
        [] => format!("refused at each of {of} bytes"),
        [first, .., last] => format!("not refused at {count} of {of} bytes, {first} to {last}"),
        [only] => format!("not refused at byte {only} of {of}"),
    };
    Row::new(Topic::Encryption, what, opened.is_empty(), told)
}

/// The data key under another key and context, without its coming out.
async fn again(client: &Client, (from, to): (&str, &str), sealed: &Sealed) -> Row {
    let call = client.re_encrypt().ciphertext_blob(Blob::new(sealed.ciphertext.as_slice()));
    let call = call.source_key_id(from).set_source_encryption_context(Some(pairs(CONTEXT)));
    let call = call.destination_key_id(to).set_destination_encryption_context(Some(pairs("new")));
    let tried = match call.send().await.map_err(why).map(|told| told.ciphertext_blob) {
        Ok(Some(ciphertext)) => {
            let (ciphertext, plaintext) = (ciphertext.into_inner(), sealed.plaintext.clone());
            Sealed { ciphertext, plaintext }.open(client, Some(to), "new").await
        }
        Ok(None) => Err("no ciphertext is told".to_owned()),
        Err(why) => Err(why),
    };
    let tried = tried.map(|()| "it opens with the other key".to_owned());
    Row::tried(Topic::Encryption, "re-encrypt", tried)
}

async fn decrypt(
    client: &Client,
    (key, context): (Option<&str>, &str),
    ciphertext: &[u8],
) -> Result<Vec<u8>, String> {
    let call = client.decrypt().set_key_id(key.map(str::to_owned));
    let call = call.ciphertext_blob(Blob::new(ciphertext));
    let opened = call.set_encryption_context(Some(pairs(context))).send().await.map_err(why)?;
    opened.plaintext.map(Blob::into_inner).ok_or_else(|| "no data key is told".to_owned())
}

fn pairs(context: &str) -> HashMap<String, String> {
    HashMap::from([("custody-doctor".to_owned(), context.to_owned())])
}

/// The usual encryption context.
pub(crate) const CONTEXT: &str = "usual";
const MAKE: &str = "make a data key";
