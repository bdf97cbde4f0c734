//! How often something can be done in a second.

use std::time::{Duration, Instant};

/// Does it again and again for a while.
pub(crate) fn measure<E>(
    time: Duration,
    mut once: impl FnMut() -> Result<(), E>,
) -> Result<u64, E> {
    let (since, mut count) = (Instant::now(), 0_u64);
    loop {
        once()?;
        count = count.saturating_add(1);
        if since.elapsed() >= time {
            return Ok(a_second(count, since.elapsed()));
        }
    }
}

/// A count as a rate.
pub(crate) fn a_second(count: u64, elapsed: Duration) -> u64 {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    count.saturating_mul(1_000_000).checked_div(micros).unwrap_or_default()
}
