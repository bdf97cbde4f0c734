//! A key with a replica in another region, which opens what the first has sealed.

use std::time::Duration;

use custody_kms::aws_sdk_kms::Client;
use custody_kms::aws_sdk_kms::types::KeyState;

use crate::answer::why;
use crate::encryption::{self, CONTEXT};
use crate::patient::{self, Patient, Place, Purpose};
use crate::row::{Row, Topic};

/// A multi-Region key, its replica, and a data key that crosses over.
pub(crate) async fn rows(patient: &mut Patient, elsewhere: Place) -> Vec<Row> {
    let arn = match primary(patient).await {
        Ok(arn) => arn,
        Err(why) => return vec![Row::new(Topic::Region, MAKE, false, why)],
    };
    let mut rows = vec![Row::new(Topic::Region, MAKE, true, "its id begins with mrk-")];
    let there = elsewhere.client();
    let what = format!("replicate it to {}", elsewhere.region());
    let replica = match replicate(patient, &there, (&arn, elsewhere.region())).await {
        Ok(replica) => replica,
        Err(why) => {
            rows.push(Row::new(Topic::Region, &what, false, why));
            return rows;
        }
    };
    let is_same = replica.rsplit('/').next() == arn.rsplit('/').next();
    let told = if is_same { "it has the same id" } else { "it has another id" };
    rows.push(Row::new(Topic::Region, &what, is_same, told));
    let opened = match encryption::seal(&patient.client, &arn).await {
        Ok(sealed) => sealed.open(&there, Some(&replica), CONTEXT).await,
        Err(why) => Err(why),
    };
    let opened = opened.map(|()| "it is the same".to_owned());
    rows.push(Row::tried(Topic::Region, "open a data key there", opened));
    rows
}

async fn primary(patient: &mut Patient) -> Result<String, String> {
    let arn = patient.make(Purpose::MultiRegion).await?;
    match arn.rsplit('/').next() {
        Some(id) if id.starts_with("mrk-") => Ok(arn),
        _ => Err("its id does not begin with mrk-".to_owned()),
    }
}

/// The ARN of the replica, once it can be used: AWS takes some seconds.
async fn replicate(
    patient: &mut Patient,
    there: &Client,
    (arn, region): (&str, &str),
) -> Result<String, String> {
    let call = patient.client.replicate_key().key_id(arn).replica_region(region);
    let made = call.send().await.map_err(why)?.replica_key_metadata;
    let replica = made.and_then(|told| told.arn).ok_or("the replica has no ARN")?;
    patient.note_key(there, &replica);
    for _ in 0..LOOKS_MAX {
        match patient::metadata(there, &replica).await?.key_state {
            Some(KeyState::Enabled) => return Ok(replica),
            Some(KeyState::Creating) => tokio::time::sleep(LOOK_AGAIN).await,
            state => return Err(format!("it is {state:?}")),
        }
    }
    Err("it is not made yet".to_owned())
}

const MAKE: &str = "make a multi-Region key";
const LOOKS_MAX: u32 = 60;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
