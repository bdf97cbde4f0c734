//! `cargo xtask mutants`: whether the tests notice a fault that is put into the code on purpose.
//!
//! Some faults are made by hand, one patch each under `custody-testkit/mutants`, and each names
//! the test that must fail. Others are drawn by a seed from all that cargo-mutants can think of.
//! Both are put into a copy of the workspace under `target/mutants`, never into the workspace; only
//! what became of drawn ones is written there, beside the patches.
//!
//! **Invariant:** a mutant counts as caught only if a test that passes without it fails with it.

mod draw;
mod drawn;
mod hand;
mod patch;
mod tree;

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::project::{Project, ProjectError};
use crate::setup::SetupError;
use crate::stand_in::StandInError;
use draw::{Draw, Portion};
use patch::PatchError;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    /// Mutants that cargo-mutants makes.
    Drawn(Draw, Portion),
    /// The hand-made ones of these names, or all.
    Hand(Vec<String>),
}

/// Why a run could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MutantsError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no mutant is called {0:?}")]
    NoSuchMutant(String),
    #[error("{name}: {error}")]
    Patch { name: String, error: PatchError },
    #[error("{0}")]
    Project(#[from] ProjectError),
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("{0}")]
    StandIn(#[from] StandInError),
    #[error("tests of {0} do not pass without a mutant; see the output above")]
    Unfit(String),
    #[error("{0} failed; see the output above")]
    Failed(&'static str),
    #[error("usage: {USAGE}")]
    Usage,
}

pub(crate) const USAGE: &str = "cargo xtask mutants [NAME…]
       cargo xtask mutants --drawn [--seed N] [--from K] [--count N] [--seconds S | --missed]";

/// Runs what the arguments ask for; whether the tests are good enough.
pub(crate) fn run(arguments: &[String]) -> Result<bool, MutantsError> {
    let request = Request::parse(arguments)?;
    let project = Project::read()?;
    let root = project.package("xtask").and_then(|xtask| xtask.folder.parent());
    let root = root.unwrap_or(Path::new(".")).to_owned();
    crate::setup::prepare(&[])?;
    match request {
        Request::Drawn(draw, portion) => drawn::run(&project, &root, draw, portion),
        Request::Hand(names) => hand::run(&project, &root, &names),
    }
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, MutantsError> {
        let Some((first, rest)) = arguments.split_first() else {
            return Ok(Self::Hand(Vec::new()));
        };
        if first != "--drawn" {
            let is_option = arguments.iter().any(|name| name.starts_with('-'));
            return if is_option {
                Err(MutantsError::Usage)
            } else {
                Ok(Self::Hand(arguments.to_vec()))
            };
        }
        let (mut draw, mut portion) = (Draw::default(), Portion::Whole);
        let mut words = rest.iter();
        while let Some(option) = words.next() {
            if option == "--missed" {
                portion = Portion::Missed;
                continue;
            }
            let number = words.next().and_then(|word| word.parse().ok());
            let number: u32 = number.ok_or(MutantsError::Usage)?;
            match option.as_str() {
                "--count" => draw.count = number,
                "--from" => draw.from = number,
                "--seconds" => portion = Portion::New(Duration::from_secs(number.into())),
                "--seed" => draw.seed = number,
                _ => return Err(MutantsError::Usage),
            }
        }
        Ok(Self::Drawn(draw, portion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Request> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words).ok()
    }

    #[test]
    fn arguments_are_names_or_a_draw_and_nothing_else() {
        let drawn =
            |seed, from, count, portion| Some(Request::Drawn(Draw { seed, from, count }, portion));
        let whole = Portion::Whole;
        let hand = |names: &[&str]| {
            Some(Request::Hand(names.iter().map(|name| (*name).to_owned()).collect()))
        };
        for (text, expected) in [
            ("", hand(&[])),
            ("one two", hand(&["one", "two"])),
            ("--drawn", drawn(1, 0, 200, whole)),
            ("--drawn --seed 7 --from 20 --count 15", drawn(7, 20, 15, whole)),
            ("--drawn --missed --seed 7", drawn(7, 0, 200, Portion::Missed)),
            ("--drawn --seconds 9", drawn(1, 0, 200, Portion::New(Duration::from_secs(9)))),
            ("--drawn --missed 7", None),
            ("--drawn --seed", None),
            ("--drawn --seed x", None),
            ("--drawn --sede 1", None),
            ("--seed 1", None),
            ("one --drawn", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
