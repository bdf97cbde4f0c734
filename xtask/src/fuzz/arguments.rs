//! What `cargo xtask fuzz` is asked for.

/// Which targets to run, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Their names; none for all.
    pub(crate) targets: Vec<String>,
    /// How long each is run.
    pub(crate) seconds: u64,
}

/// Arguments that mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("--seconds takes a whole number from 1 on")]
    Seconds,
    #[error("the option {0:?} is unknown")]
    Option(String),
}

impl Arguments {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, ArgumentError> {
        let mut parsed = Self { targets: Vec::new(), seconds: SECONDS };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let seconds = match argument.as_str() {
                "--seconds" => arguments.next().map(String::as_str),
                other => other.strip_prefix("--seconds="),
            };
            if let Some(text) = seconds {
                let number = text.parse().ok().filter(|seconds| *seconds > 0);
                parsed.seconds = number.ok_or(ArgumentError::Seconds)?;
            } else if argument == "--seconds" {
                return Err(ArgumentError::Seconds);
            } else if argument.starts_with('-') {
                return Err(ArgumentError::Option(argument.clone()));
            } else {
                parsed.targets.push(argument.clone());
            }
        }
        Ok(parsed)
    }
}

/// How long a target is run unless something else is asked for.
const SECONDS: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, ArgumentError> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn nothing_means_every_target_for_ten_minutes() {
        assert_eq!(parse(""), Ok(Arguments { targets: Vec::new(), seconds: 600 }));
    }

    #[test]
    fn targets_and_seconds_may_stand_in_any_order() {
        let targets = vec!["a".to_owned(), "b".to_owned()];
        for text in ["--seconds 7 a b", "a --seconds 7 b", "a b --seconds=7"] {
            let expected = Arguments { targets: targets.clone(), seconds: 7 };
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn no_time_no_number_and_an_unknown_option_are_refused() {
        for text in ["--seconds", "--seconds 0", "--seconds=", "--seconds -1", "a --seconds x"] {
            assert_eq!(parse(text), Err(ArgumentError::Seconds), "{text}");
        }
        for text in ["--second 1", "-j 2", "--seconds 1 --long"] {
            assert!(matches!(parse(text), Err(ArgumentError::Option(_))), "{text}");
        }
    }
}
