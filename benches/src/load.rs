//! The load: bare signatures on all cores, and governed ones with many in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use custody_core::custodian::{Custodian, Outcome, Request};
use custody_core::id::{PayloadFormat, PrincipalId, RequestId, WalletId};
use custody_core::seam::Payload;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{SigningKey, VerifyingKey};

use crate::Failure;

/// Signs and verifies on all cores for `duration`; how many a second.
pub fn bare(duration: Duration) -> Result<f64, Failure> {
    let cores = std::thread::available_parallelism()?.get();
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let threads: Vec<_> = (0..cores)
        .map(|core| {
            let done = Arc::clone(&done);
            std::thread::spawn(move || sign_until(started + duration, core, &done))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(rate(done.load(Ordering::Relaxed), started.elapsed()))
}

fn sign_until(end: Instant, core: usize, done: &AtomicU64) -> Result<(), Failure> {
    let key = SigningKey::from_slice(&[u8::try_from(core % 250)? + 1; 32])?;
    let public = VerifyingKey::from(&key);
    let mut digest = [0_u8; 32];
    while Instant::now() < end {
        for number in 0..64_u8 {
            digest[0] = number;
            let (signature, _) = key.sign_prehash_recoverable(&digest);
            public.verify_prehash(&digest, &signature)?;
        }
        done.fetch_add(64, Ordering::Relaxed);
    }
    Ok(())
}

/// Submits transfers for `duration` with `in_flight` at once; how many were released a second.
pub async fn governed(
    custodian: &Custodian,
    in_flight: usize,
    duration: Duration,
) -> Result<f64, Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let end = started + duration;
    let run = started.elapsed().as_nanos();
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (custodian, next) = (custodian.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut released = 0_u64;
                while Instant::now() < end {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    pay(&custodian, run, number).await?;
                    released += 1;
                }
                Ok::<_, Failure>(released)
            })
        })
        .collect();
    let mut released = 0;
    for worker in workers {
        released += worker.await??;
    }
    Ok(rate(released, started.elapsed()))
}

/// One transfer of one wei, through the whole flow.
pub async fn pay(custodian: &Custodian, run: u128, number: u64) -> Result<(), Failure> {
    let id = RequestId::parse(&format!("1-{run:020}-{number:012}"))?;
    let payload = payload(transfer(number))?;
    let wallet = WalletId::parse("hot")?;
    let request = Request::payload(PrincipalId::parse("operator")?, id, wallet, payload);
    let answer = custodian.submit(request).await?;
    match answer.outcome {
        Outcome::Released(_) => Ok(()),
        outcome => Err(format!("not released: {outcome:?}").into()),
    }
}

/// An unsigned EVM transaction.
pub fn payload(bytes: Vec<u8>) -> Result<Payload, Failure> {
    Ok(Payload { format: PayloadFormat::parse("evm/transaction")?, bytes })
}

/// An EIP-1559 transfer of one wei with this nonce.
#[must_use]
pub fn transfer(nonce: u64) -> Vec<u8> {
    transfer_to(nonce, 0x7070_7070_7070_7070)
}

/// The same to the destination with this number (RLP: Ethereum Yellow Paper, appendix B).
#[must_use]
pub fn transfer_to(nonce: u64, destination: u64) -> Vec<u8> {
    let mut fields = vec![0x01];
    push_integer(&mut fields, nonce);
    push_integer(&mut fields, 1_000_000_000);
    push_integer(&mut fields, 30_000_000_000);
    push_integer(&mut fields, 21_000);
    fields.push(0x94);
    fields.extend_from_slice(&[0x70; 12]);
    fields.extend_from_slice(&destination.to_be_bytes());
    fields.extend_from_slice(&[0x01, 0x80, 0xc0]);
    let length = u8::try_from(fields.len()).unwrap_or(u8::MAX);
    let mut payload = vec![0x02];
    if length < 56 {
        payload.push(0xc0 + length);
    } else {
        payload.extend_from_slice(&[0xf8, length]);
    }
    payload.extend_from_slice(&fields);
    payload
}

fn push_integer(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_be_bytes();
    let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    match digits.as_slice() {
        [byte] if *byte < 0x80 => out.push(*byte),
        digits => {
            out.push(0x80 + u8::try_from(digits.len()).unwrap_or(0));
            out.extend_from_slice(digits);
        }
    }
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / elapsed.as_secs_f64()
}
