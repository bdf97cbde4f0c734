use super::Life;
use crate::house::furniture;

/// The beginning of a world: the wallets and their keys are made, and if the world is to be a long
/// one, so much else is done that the log's first tile is full before long.
pub(crate) async fn furnish(life: &Life, is_long: bool) {
    const RULE: &str = "in calm weather everything comes to its end";
    const TILE: u64 = 256;
    for command in furniture() {
        if life.carry(command).await.is_none() {
            life.referee.object(RULE, "no furniture");
        }
    }
    let events = if is_long { TILE - 4 * life.dice.between(1, 8) } else { 0 };
    for _ in 0..TILE {
        if life.referee.events() >= events {
            return;
        }
        life.confirm_clock().await;
    }
    life.referee.object(RULE, "the log does not grow");
}
