//! Groups as an argument: `2of3,3of5`.

use std::str::FromStr;

use custody_recovery::slip39::GroupScheme;

/// The groups of a scheme.
#[derive(Clone, Debug)]
pub(crate) struct Groups(Vec<GroupScheme>);

impl Groups {
    pub(crate) fn to_vec(&self) -> Vec<GroupScheme> {
        self.0.clone()
    }
}

impl FromStr for Groups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(group).collect::<Result<_, _>>().map(Self)
    }
}

fn group(text: &str) -> Result<GroupScheme, String> {
    let counts = text.trim().split_once("of").and_then(|(threshold, count)| {
        Some((threshold.trim().parse().ok()?, count.trim().parse().ok()?))
    });
    let (threshold, count) = counts.ok_or_else(|| format!("{text:?} is not of the form 2of3"))?;
    GroupScheme::new(threshold, count).map_err(|error| error.to_string())
}
