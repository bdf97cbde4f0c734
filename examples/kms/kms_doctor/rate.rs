//! How often something can be done in a second.

use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::row::{Row, Topic};

/// The rates of one caller and of many at once.
pub(crate) async fn rows<F, T>(what: &str, time: Duration, call: impl Fn() -> F) -> Vec<Row>
where
    F: Future<Output = Result<T, String>>,
{
    let mut rows = Vec::new();
    for callers in [1, MANY] {
        let (since, mut count) = (Instant::now(), 0_u64);
        let failed = loop {
            if count > 0 && since.elapsed() >= time {
                break None;
            }
            if let Err(why) = try_join_all((0..callers).map(|_| call())).await {
                break Some(why);
            }
            count = count.saturating_add(callers);
        };
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let rate = count.saturating_mul(1_000_000).checked_div(micros).unwrap_or_default();
        let told = if callers == 1 { "one caller" } else { "sixteen callers" };
        let told = failed.as_ref().map_or_else(|| told.to_owned(), |why| format!("{told}: {why}"));
        rows.push(Row::new(Topic::Rate, what, failed.is_none(), told).rate(rate));
    }
    rows
}

const MANY: u64 = 16;
