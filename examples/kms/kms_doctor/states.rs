//! Keys that are disabled, and keys that will be deleted: neither is used, and both come back.

use custody_core::crypto::Algorithm;
use custody_kms::aws_sdk_kms::types::{KeyState, MessageType};

use crate::answer::why;
use crate::encryption::{self, Sealed};
use crate::keys::{self, MESSAGE};
use crate::patient::{DAYS, Patient, Purpose};
use crate::row::{Row, Topic};

/// A key, and what it is used for.
enum Subject {
    Data(String, Sealed),
    Sign(String),
}

/// A key that signs, and one that opens data keys.
pub(crate) async fn rows(patient: &mut Patient) -> Vec<Row> {
    let mut rows = Vec::new();
    let signing = Purpose::Sign(keys::spec(ALGORITHM));
    match patient.make(signing).await {
        Ok(arn) => rows.extend(of(patient, &Subject::Sign(arn), "sign").await),
        Err(why) => rows.push(Row::new(Topic::State, "sign", false, format!("not made: {why}"))),
    }
    match encryption::sealed(patient).await {
        Ok((arn, sealed)) => {
            rows.extend(of(patient, &Subject::Data(arn, sealed), "decrypt").await);
        }
        Err(why) => rows.push(Row::new(Topic::State, "decrypt", false, format!("not made: {why}"))),
    }
    rows.push(at_once(patient).await);
    rows
}

async fn of(patient: &Patient, subject: &Subject, what: &str) -> Vec<Row> {
    let (client, arn) = (&patient.client, subject.arn());
    let disabled = client.disable_key().key_id(arn).send().await.map(drop).map_err(why);
    let mut rows = vec![refused(patient, subject, ("disabled", what), (disabled, DISABLED)).await];

    let enabled = client.enable_key().key_id(arn).send().await.map(drop).map_err(why);
    let used = match enabled {
        Ok(()) => subject.used(patient).await,
        Err(why) => Err(format!("not enabled: {why}")),
    };
    let used = used.map(|()| "it serves".to_owned());
    rows.push(Row::tried(Topic::State, &format!("enabled again: {what}"), used));

    let call = client.schedule_key_deletion().key_id(arn).pending_window_in_days(DAYS);
    let scheduled = call.send().await.map(drop).map_err(why);
    let name = ("pending deletion", what);
    rows.push(refused(patient, subject, name, (scheduled, STATE)).await);
    let enabled = client.enable_key().key_id(arn).send().await.map_err(why);
    let name = format!("pending deletion: enable, {what}");
    rows.push(Row::refused(Topic::State, &name, enabled, &[STATE]));

    // Where the line before has let it live again, this puts it back.
    let call = client.schedule_key_deletion().key_id(arn).pending_window_in_days(DAYS);
    drop(call.send().await);
    let taken_back = client.cancel_key_deletion().key_id(arn).send().await.map_err(why);
    let state = match taken_back {
        Ok(_) => patient.metadata(arn).await.map(|told| told.key_state),
        Err(why) => Err(why),
    };
    let state = match state {
        Ok(Some(KeyState::Disabled)) => Ok("it is disabled".to_owned()),
        Ok(state) => Err(format!("it is {state:?}")),
        Err(why) => Err(why),
    };
    rows.push(Row::tried(Topic::State, &format!("deletion taken back: {what}"), state));
    rows
}

async fn refused(
    patient: &Patient,
    subject: &Subject,
    (when, what): (&str, &str),
    (done, error): (Result<(), String>, &str),
) -> Row {
    let name = format!("{when}: {what}");
    match done {
        Ok(()) => Row::refused(Topic::State, &name, subject.used(patient).await, &[error]),
        Err(why) => Row::new(Topic::State, &name, false, format!("not {when}: {why}")),
    }
}

/// A deletion after fewer days than people need to notice it.
async fn at_once(patient: &mut Patient) -> Row {
    let what = "deletion after a day";
    match patient.make(Purpose::Data).await {
        Ok(arn) => {
            let call = patient.client.schedule_key_deletion().key_id(arn);
            let scheduled = call.pending_window_in_days(1).send().await.map_err(why);
            Row::refused(Topic::State, what, scheduled, &["ValidationException"])
        }
        Err(why) => Row::new(Topic::State, what, false, format!("not made: {why}")),
    }
}

impl Subject {
    fn arn(&self) -> &str {
        match self {
            Self::Data(arn, _) | Self::Sign(arn) => arn,
        }
    }

    async fn used(&self, patient: &Patient) -> Result<(), String> {
        match self {
            Self::Data(arn, sealed) => {
                sealed.open(&patient.client, Some(arn), encryption::CONTEXT).await.map(drop)
            }
            Self::Sign(arn) => {
                let how = (ALGORITHM, MessageType::Digest);
                keys::sign(&patient.client, arn, how, &MESSAGE).await.map(drop)
            }
        }
    }
}

const ALGORITHM: Algorithm = Algorithm::EcdsaP256;
const DISABLED: &str = "DisabledException";
const STATE: &str = "KMSInvalidStateException";
