//! Aliases and tags, by which keys are found, and lists that come in pages.

use std::collections::BTreeSet;

use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::types::Tag;

use crate::answer::why;
use crate::patient::{Patient, Purpose, TAG};
use crate::row::{Row, Topic};

/// What is tried with names and lists.
pub(crate) async fn rows(patient: &mut Patient) -> Vec<Row> {
    let made = [patient.make(Purpose::Data).await, patient.make(Purpose::Data).await];
    let [one, two] = match made {
        [Ok(one), Ok(two)] => [one, two],
        [Err(why), _] | [_, Err(why)] => {
            return vec![Row::new(Topic::Name, "make keys", false, why)];
        }
    };
    let mut rows = aliases(patient, [&one, &two]).await;
    rows.push(Row::tried(Topic::Name, "tags", tags(patient, &one).await));
    rows.push(Row::tried(Topic::List, "all keys", all(patient).await));
    rows.push(Row::tried(Topic::List, "keys in pages", pages(&patient.client).await));
    rows
}

async fn aliases(patient: &mut Patient, [one, two]: [&str; 2]) -> Vec<Row> {
    let name = format!("alias/{TAG}-{}", patient.mark);
    let client = patient.client.clone();
    let create = |key: &str| client.create_alias().alias_name(&name).target_key_id(key).send();
    let made = create(one).await.map_err(why);
    if made.is_ok() {
        patient.note_alias(&name);
    }
    let named = async |arn: &str| match patient.metadata(&name).await {
        Ok(told) if told.arn.as_deref() == Some(arn) => Ok("it names the key".to_owned()),
        Ok(_) => Err("it names another key".to_owned()),
        Err(why) => Err(why),
    };
    let made = match made {
        Ok(_) => named(one).await,
        Err(why) => Err(why),
    };
    let twice = create(two).await.map_err(why);
    let moved = client.update_alias().alias_name(&name).target_key_id(two).send().await;
    let moved = match moved.map_err(why) {
        Ok(_) => named(two).await,
        Err(why) => Err(why),
    };
    vec![
        Row::tried(Topic::Name, "alias", made),
        Row::refused(Topic::Name, "the same alias again", twice, &["AlreadyExistsException"]),
        Row::tried(Topic::Name, "alias moved", moved),
    ]
}

/// The tag that the key was made with, and one that it gets later.
async fn tags(patient: &Patient, arn: &str) -> Result<String, String> {
    let client = &patient.client;
    let later = Tag::builder().tag_key("custody-doctor-later").tag_value("yes").build();
    let later = later.map_err(|error| error.to_string())?;
    client.tag_resource().key_id(arn).tags(later).send().await.map_err(why)?;
    let told = client.list_resource_tags().key_id(arn).send().await.map_err(why)?;
    let told: Vec<_> = told.tags().iter().map(|tag| (tag.tag_key(), tag.tag_value())).collect();
    match (told.contains(&(TAG, &patient.mark)), told.contains(&("custody-doctor-later", "yes"))) {
        (true, true) => Ok("both are told".to_owned()),
        (true, false) => Err("the one that came later is not told".to_owned()),
        (false, _) => Err("the one that the key was made with is not told".to_owned()),
    }
}

/// Whether the list has all keys that were made here.
async fn all(patient: &Patient) -> Result<String, String> {
    let (mut listed, mut marker) = (BTreeSet::new(), None);
    for _ in 0..PAGES_MAX {
        let (keys, next) = page(&patient.client, marker, 1_000).await?;
        listed.extend(keys);
        marker = next;
        if marker.is_none() {
            break;
        }
    }
    let region = |arn: &str| arn.split(':').nth(3).map(str::to_owned);
    let home = listed.first().and_then(|arn: &String| region(arn));
    let mut made = patient.keys().filter(|arn| region(arn) == home);
    match made.find(|arn| !listed.contains(*arn)) {
        None => Ok(format!("{} keys", listed.len())),
        Some(_) => Err("a key that was made is not listed".to_owned()),
    }
}

/// Whether a short page says where the next one begins, and that one goes on from there.
async fn pages(client: &Client) -> Result<String, String> {
    let (first, marker) = page(client, None, 2).await?;
    let marker = marker.ok_or("the first page does not say where the next one begins")?;
    let (second, _) = page(client, Some(marker), 2).await?;
    if first.len() > 2 || second.iter().any(|key| first.contains(key)) {
        return Err("the second page is the first one again".to_owned());
    }
    Ok("the second page goes on behind the first".to_owned())
}

async fn page(
    client: &Client,
    marker: Option<String>,
    limit: i32,
) -> Result<(Vec<String>, Option<String>), String> {
    let told = client.list_keys().limit(limit).set_marker(marker).send().await.map_err(why)?;
    let keys = told.keys().iter().filter_map(|key| key.key_arn.clone()).collect();
    Ok((keys, told.next_marker))
}

const PAGES_MAX: u32 = 1_000;
