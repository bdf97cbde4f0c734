//! The house is lost in more ways than the example shows.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking"
)]

#[path = "disaster/drills.rs"]
mod drills;
#[path = "disaster/halfway.rs"]
mod halfway;
#[path = "disaster/older.rs"]
mod older;
#[path = "disaster/partial.rs"]
mod partial;
#[path = "disaster/permits.rs"]
mod permits;
#[path = "../../hsm/tests/softhsm/stage.rs"]
mod stage;
#[path = "disaster/token_drills.rs"]
mod token_drills;
#[path = "disaster/token_route.rs"]
mod token_route;
#[path = "disaster/world.rs"]
mod world;

use std::process::Command;

#[test]
#[ignore = "needs SoftHSM"]
fn the_program_rebuilds_the_house_and_says_each_step() {
    let program = world::program("disaster");
    let output = Command::new(program).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for step in [
        "before: paid within the limit",
        "ten holders have confirmed",
        "the site home alone can restore",
        "copies: lisbon Good, oslo Good",
        "before, from the token: paid approved by two treasurers",
        "drill: 2 keys and 1 seeds proved",
        "6 holders brought their shares",
        "2 keys and 1 seeds are the recorded ones",
        "limits of the hour and the day are used up: true",
        "after: paid approved by two treasurers",
        "after, from another token: paid approved by two treasurers",
        "the log goes on across the break",
    ] {
        assert!(told.contains(step), "{step:?} is not in\n{told}");
    }
}
