//! Rotation inside KMS: what was encrypted before must still open.

use crate::answer::why;
use crate::encryption::{self, CONTEXT};
use crate::patient::Patient;
use crate::row::{Row, Topic};

/// By itself, and on demand.
pub(crate) async fn rows(patient: &mut Patient) -> Vec<Row> {
    let (arn, sealed) = match encryption::sealed(patient).await {
        Ok(made) => made,
        Err(why) => return vec![Row::new(Topic::Rotation, AUTOMATIC, false, why)],
    };
    let client = &patient.client;
    let rotated = client.rotate_key_on_demand().key_id(&arn).send().await.map_err(why);
    let opened = match rotated {
        Ok(_) => sealed.open(client, Some(&arn), CONTEXT).await,
        Err(why) => Err(why),
    };
    let listed = client.list_key_rotations().key_id(&arn).send().await.map_err(why);
    let listed = listed.map(|told| format!("listed: {}", told.rotations().len()));
    vec![
        Row::tried(Topic::Rotation, AUTOMATIC, automatic(patient, &arn).await),
        Row::tried(
            Topic::Rotation,
            "rotate on demand",
            opened.map(|()| "what was encrypted before opens".to_owned()),
        ),
        Row::tried(Topic::Rotation, "list rotations", listed),
    ]
}

async fn automatic(patient: &Patient, arn: &str) -> Result<String, String> {
    let client = &patient.client;
    let call = client.enable_key_rotation().key_id(arn).rotation_period_in_days(DAYS);
    call.send().await.map_err(why)?;
    let told = client.get_key_rotation_status().key_id(arn).send().await.map_err(why)?;
    match (told.key_rotation_enabled, told.rotation_period_in_days) {
        (true, Some(DAYS)) => Ok(format!("every {DAYS} days")),
        (true, told) => Err(format!("asked for {DAYS} days, told {told:?}")),
        (false, _) => Err("it is not enabled".to_owned()),
    }
}

const AUTOMATIC: &str = "automatic rotation";
/// The shortest period that AWS takes.
const DAYS: i32 = 90;
