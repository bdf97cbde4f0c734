//! Which lines of a test run a person wants to see: all but the output of tests that passed, and of
//! that the figures.

/// Follows the lines of a run and says which to show.
#[derive(Default)]
pub(crate) struct Screen {
    quiet: bool,
}

impl Screen {
    /// Takes the next line and says whether it belongs on the terminal.
    pub(crate) fn shows(&mut self, line: &str) -> bool {
        let Some(word) = status_word(line) else {
            return !self.quiet || line.starts_with(FIGURES);
        };
        self.quiet = word == "PASS";
        true
    }
}

/// The word at the start of a status line of nextest, which ends at column 12.
fn status_word(line: &str) -> Option<&str> {
    let (column, _) = line.split_at_checked(12)?;
    let word = column.trim_start();
    STATUS_WORDS.contains(&word).then_some(word)
}

/// What a line begins with that tells how much a test did.
const FIGURES: &str = "figures: ";

const STATUS_WORDS: [&str; 14] = [
    "ABORT",
    "Cancelling",
    "FAIL",
    "LEAK",
    "LEAK-FAIL",
    "Nextest",
    "PASS",
    "SIGABRT",
    "SIGSEGV",
    "SLOW",
    "Starting",
    "Summary",
    "TERMINATING",
    "TIMEOUT",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(lines: &[&'a str]) -> Vec<&'a str> {
        let mut screen = Screen::default();
        lines.iter().copied().filter(|line| screen.shows(line)).collect()
    }

    #[test]
    fn the_output_of_a_passed_test_is_hidden_and_that_of_a_failed_one_shown() {
        let lines = [
            "   Compiling custody-core v0.1.0",
            "    Starting 2 tests across 1 binary",
            "        PASS [   0.004s] custody-core a",
            "  stdout ───",
            "    TRACE a line of a",
            "        FAIL [   0.004s] custody-core b",
            "    panicked at b",
            "        PASS [   0.004s] custody-core c",
            "    TRACE a line of c",
            "     Summary [   0.005s] 3 tests run: 2 passed, 1 failed, 0 skipped",
        ];
        let hidden = [3, 4, 8];
        let expected: Vec<_> =
            (0..lines.len()).filter(|n| !hidden.contains(n)).map(|n| lines[n]).collect();
        assert_eq!(shown(&lines), expected);
    }

    #[test]
    fn the_figures_of_a_passed_test_are_shown() {
        let lines =
            ["        PASS [   0.004s] custody-kills a", "figures: 500 kills", "TRACE a line"];
        assert_eq!(shown(&lines), lines[..2]);
    }

    #[test]
    fn a_line_without_a_status_column_changes_nothing() {
        assert_eq!(shown(&["", "PASS", "test ok ... é"]), ["", "PASS", "test ok ... é"]);
    }
}
