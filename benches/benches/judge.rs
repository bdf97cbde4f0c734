//! How long the engine takes to judge a transfer and its fee, the building of its context included:
//! fifty rules of which five can match, and a thousand of which eighteen can.
//!
//! `cargo bench --bench judge` fails if the median is above the limit.
#![expect(clippy::print_stdout, reason = "a bench that reports")]

use std::hint::black_box;

use benches::judging::{self, Case};
use benches::percentile::{Times, micros};
use benches::{Failure, house};

const CALLS: usize = 50_000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let case = Case::new()?;
    let mut slow = Vec::new();
    for (name, rules, limit) in
        [("5 of 50", house::rules(), 25.0), ("18 of 1,000", house::many_rules(), 60.0)]
    {
        let engine = judging::engine(rules)?;
        let judgement = case.judge(engine.as_ref());
        if !judgement.allowed {
            return Err(format!("not allowed: {judgement:?}").into());
        }
        let mut times = Times::default();
        for _ in 0..CALLS {
            let judgement = times.measure(|| case.judge(black_box(engine.as_ref())));
            if !black_box(judgement).allowed {
                return Err("not allowed any more".into());
            }
        }
        let (median, high) = (times.percentile(50), times.percentile(99));
        let median = micros(median.ok_or("nothing was measured")?);
        let high = micros(high.ok_or("nothing was measured")?);
        println!("judge, {name} rules: p50 = {median:.1} us (at most {limit}), p99 = {high:.1} us");
        if median > limit {
            slow.push(name);
        }
    }
    if slow.is_empty() { Ok(()) } else { Err(format!("above the limit: {slow:?}").into()) }
}
