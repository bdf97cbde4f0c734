use std::sync::{Arc, Mutex};
use std::time::Duration;

/// All chance of a world: one stream of numbers out of one seed. Clones draw from one stream.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: Arc<Mutex<u64>>,
}

impl Dice {
    /// The stream of this seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        // Neighbouring seeds begin far from each other.
        Self { state: Arc::new(Mutex::new(seed.wrapping_mul(0xd134_2543_de82_ef95))) }
    }

    /// The next number (SplitMix64).
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.number() % end
    }

    /// A number from `first` to `last`, both possible.
    pub(crate) fn between(&self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&self, permille: u64) -> bool {
        self.below(1_000) < permille
    }

    /// One of these, which are not none.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// A time between these, in milliseconds; short ones as likely as long ones.
    pub(crate) fn time(&self, first_ms: u64, last_ms: u64) -> Duration {
        let most = 64 - (last_ms - first_ms).leading_zeros();
        let span = 1_u64.checked_shl(self.below(u64::from(most) + 1) as u32).unwrap_or(u64::MAX);
        Duration::from_millis(first_ms + self.below(span.min(last_ms - first_ms + 1)))
    }
}
