//! What `Benchmarked` costs on top of a software key, in production: signatures through it and
//! without it, in turns in one run, on one thread. It fails above 1 %.
#![expect(clippy::float_arithmetic, clippy::print_stdout, reason = "a bench that reports")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::{Failure, house};
use custody_bench::{Benchmarked, Operation};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend, KeyRecord, KeyRequest, Signer};
use custody_core::tokio::TokioClock;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The medians of so many turns are compared: others on the machine disturb some of them.
const TURNS: usize = 400;
const CALLS: u8 = 50;
const MOST: f64 = 0.01;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut is_cheap = true;
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::Ed25519] {
        let backend = Benchmarked::new(house::soft_backend()?, Arc::new(TokioClock::new()));
        let measured = backend.measured();
        // The same key, so that nothing but the recording differs.
        let record = record(&backend, algorithm).await?;
        let bare = backend.backend().signer(&record).await?;
        let ours = backend.signer(&record).await?;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            // Whoever begins differs from turn to turn.
            for is_bare in [turn % 2 == 0, turn % 2 != 0] {
                let (signer, times) =
                    if is_bare { (&bare, &mut without) } else { (&ours, &mut with) };
                times.push(sign(signer.as_ref()).await?);
            }
        }
        let [bare, ours] = [median(without), median(with)].map(|time| time.as_secs_f64());
        let more = ours / bare - 1.0;
        let recorded = measured.histogram(Operation::Sign).map_or(0, |times| times.len());
        println!(
            "{algorithm}: {:.2} us bare, {:.2} us recorded ({recorded}), {:+.2} %, at most {:+.2} %",
            bare * 1e6 / f64::from(CALLS),
            ours * 1e6 / f64::from(CALLS),
            more * 100.0,
            MOST * 100.0
        );
        is_cheap &= more < MOST;
    }
    if is_cheap { Ok(()) } else { Err("recording costs too much".into()) }
}

async fn record(backend: &dyn KeyBackend, algorithm: Algorithm) -> Result<KeyRecord, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"benchmarked")),
        wallet: WalletId::parse("hot")?,
        key: KeyId::parse("hot.0")?,
        algorithm,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(KeyRecord { custodian, wallet, key, public_key, handle })
}

async fn sign(signer: &dyn Signer) -> Result<Duration, Failure> {
    let since = Instant::now();
    for number in 0..CALLS {
        let bytes = [number; 32];
        let input = match signer.algorithm().signs_prehash() {
            true => SignInput::Prehash(&bytes),
            false => SignInput::Message(&bytes),
        };
        let _signature = signer.sign(input).await?;
    }
    Ok(since.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
