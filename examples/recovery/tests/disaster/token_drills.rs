//! Drills of a house with a token: wrapped keys come back into a token for drills, and nowhere else.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use custody_core::secret::Secret;
use custody_hsm::HsmBackend;
use custody_recovery::drill::{DrillError, Driller as _};
use examples_hsm::tokens::Tokens;
use examples_recovery::cold::{self, WRAPPED, WRAPPING};
use examples_recovery::drilled::Drilled;
use examples_recovery::house::House;
use examples_recovery::keys;

use crate::stage::with_tokens;
use crate::world::World;

/// The living token, and the one for drills.
const TOKENS: [&str; 2] = ["vault", "drill"];

/// A house with a key in a token, which left it wrapped.
async fn house(tokens: &Tokens, wrapping: &Secret) -> (World, House) {
    let token = cold::open(tokens, TOKENS[0], wrapping).await.unwrap();
    let others = vec![Arc::<HsmBackend>::clone(&token) as _];
    let (world, house) = World::with(Drilled::with_token(tokens, TOKENS[1]), others).await;
    cold::wallet(&house, &world.people).await.unwrap();
    cold::wrap(&house, &token, &world.directory().join(WRAPPED)).await.unwrap();
    (world, house)
}

/// How many objects are in a token.
fn objects(tokens: &Tokens, label: &str) -> usize {
    tokens.bare(label).unwrap().session().find_objects(&[]).unwrap().len()
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_drill_proves_a_tokens_keys_in_another_token_and_leaves_nothing_there() {
    with_tokens(&TOKENS, async |_: &Path, tokens: &Tokens| {
        let wrapping = keys::drawn().unwrap();
        let (world, house) = house(tokens, &wrapping).await;
        world.archive_with(&house, &[(WRAPPING, &wrapping)]).await;
        let living = objects(tokens, TOKENS[0]);
        assert!(living > 0);
        // What a drill that was cut off has left does not stand in the way of the next one.
        drop(cold::open(tokens, TOKENS[1], &wrapping).await.unwrap());
        assert!(objects(tokens, TOKENS[1]) > 0);
        for round in 0..2 {
            let evidence = world.vault.drill(None).await.unwrap();
            assert!(evidence.is_success(), "{round}: {:?}", evidence.unproved);
            assert_eq!((evidence.keys, evidence.seeds), (2, 1), "{round}");
            assert_eq!(objects(tokens, TOKENS[1]), 0, "{round}");
            assert_eq!(objects(tokens, TOKENS[0]), living, "{round}");
        }
        house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_drill_misses_a_tokens_key_that_the_archive_has_not_though_the_token_has_it() {
    with_tokens(&TOKENS, async |_: &Path, tokens: &Tokens| {
        let wrapping = keys::drawn().unwrap();
        let (world, house) = house(tokens, &wrapping).await;
        let wrapped = world.directory().join(WRAPPED).join(cold::ACCOUNT);
        let bytes = fs::read(&wrapped).unwrap();
        fs::remove_file(&wrapped).unwrap();
        world.archive_with(&house, &[(WRAPPING, &wrapping)]).await;
        fs::write(&wrapped, &bytes).unwrap();
        let evidence = world.vault.drill(None).await.unwrap();
        let unproved: Vec<_> = evidence.unproved.iter().map(|one| one.key.as_str()).collect();
        assert_eq!((unproved, evidence.keys), (vec![cold::ACCOUNT], 1));
        assert!(!evidence.is_success());

        // Bytes that are not that key are no better than none.
        let (half, _) = bytes.split_at(bytes.len() / 2);
        fs::write(&wrapped, half).unwrap();
        world.archive_with(&house, &[(WRAPPING, &wrapping)]).await;
        let evidence = world.vault.drill(None).await.unwrap();
        assert_eq!((evidence.unproved.len(), evidence.keys), (1, 1));

        // Wrapped keys without what they are wrapped under are not looked for at home either.
        fs::write(&wrapped, &bytes).unwrap();
        world.archive(&house).await;
        let error = world.vault.drill(None).await.unwrap_err();
        let DrillError::Backends { reason } = &error else { panic!("{error}") };
        assert!(reason.contains(WRAPPING), "{reason}");

        // Under another key they do not open.
        let other = keys::drawn().unwrap();
        world.archive_with(&house, &[(WRAPPING, &other)]).await;
        let evidence = world.vault.drill(None).await.unwrap();
        assert_eq!((evidence.unproved.len(), evidence.keys), (1, 1));
        assert_eq!(objects(tokens, TOKENS[1]), 0);
        house.close().await.unwrap();
    });
}
