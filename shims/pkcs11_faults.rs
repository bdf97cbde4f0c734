//! Builds the module `pkcs11_faults.c`, puts it before another one, and tells it what to do.
//!
//! **Invariant:** an order is written whole before the call that it is about is made.

#[path = "library.rs"]
mod library;

use std::fs;
use std::path::{Path, PathBuf};

/// A module that fails and lies as it is told, before a real one.
#[derive(Clone, Debug)]
pub(crate) struct FaultyModule {
    orders: PathBuf,
    trace: PathBuf,
}

/// What a call is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// It is made, and answers this all the same.
    After(u64),
    /// It is not made, and answers this.
    Answer(u64),
    /// What it gives is so many bytes or objects too short.
    Cut(u64),
    /// One bit of what it gives is changed, another one each time.
    Flip(u64),
    /// It never comes back.
    Hang,
    /// It is made after so many milliseconds.
    Late(u64),
    /// What it gives is all zero.
    Zero,
}

/// Which calls an order is about: `count` of them from the first, which is 1; 0 is all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) function: &'static str,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl FaultyModule {
    /// Puts it before a module, for the rest of this process: `set` sets variables of the
    /// environment.
    pub(crate) fn before(module: &Path, folder: &Path, set: impl Fn(&'static str, &str)) -> Self {
        let (orders, trace) = (folder.join("orders"), folder.join("trace"));
        for (name, path) in [
            ("CUSTODY_MODULE", module),
            ("CUSTODY_MODULE_ORDERS", &orders),
            ("CUSTODY_MODULE_TRACE", &trace),
        ] {
            set(name, path.to_str().unwrap());
        }
        Self { orders, trace }
    }

    /// Where it is.
    pub(crate) fn path() -> PathBuf {
        library::library("pkcs11_faults", "-ldl")
    }

    /// From now on these calls do this; counting begins anew, and so does the trace.
    pub(crate) fn order(&self, orders: &[(Calls, Deed)]) {
        let lines = orders.iter().map(|(Calls { function, first, count }, deed)| {
            let (what, number) = match deed {
                Deed::After(answer) => ("after", *answer),
                Deed::Answer(answer) => ("answer", *answer),
                Deed::Cut(bytes) => ("cut", *bytes),
                Deed::Flip(seed) => ("flip", *seed),
                Deed::Hang => ("hang", 0),
                Deed::Late(millis) => ("late", *millis),
                Deed::Zero => ("zero", 0),
            };
            format!("{function} {first} {count} {what} {number}\n")
        });
        let draft = self.orders.with_extension("draft");
        fs::write(&draft, lines.collect::<String>()).unwrap();
        drop(fs::remove_file(&self.trace));
        fs::rename(draft, &self.orders).unwrap();
    }

    /// What the calls of a function answered since the last order.
    pub(crate) fn answers(&self, function: &str) -> Vec<u64> {
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        let answers = trace.lines().filter_map(|line| line.split_once(' '));
        let ours = answers.filter(|(name, _)| *name == function);
        ours.map(|(_, answer)| u64::from_str_radix(answer.trim_start_matches("0x"), 16).unwrap())
            .collect()
    }
}

impl Calls {
    /// All calls of a function.
    pub(crate) const fn all(function: &'static str) -> Self {
        Self { function, first: 1, count: 0 }
    }

    /// One call of a function; the first is 1.
    pub(crate) const fn one(function: &'static str, number: u32) -> Self {
        Self { function, first: number, count: 1 }
    }
}
