//! Numbers that follow from a seed.

pub(super) fn seed() -> u64 {
    std::env::var("CUSTODY_DISK_SEED").map_or(SEED, |text| text.parse().unwrap())
}

/// SplitMix64.
pub(super) struct Seeded(u64);

impl Seeded {
    pub(super) fn new() -> Self {
        Self(seed())
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn bit(&mut self) -> u32 {
        u32::try_from(self.draw() % 8).unwrap()
    }
}

const SEED: u64 = 20_251_121;
