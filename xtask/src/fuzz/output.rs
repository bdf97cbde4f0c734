//! What libFuzzer prints: its figures, and where it left what it found.

/// The figures of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// Inputs tried.
    pub(crate) executions: u64,
    /// Inputs tried in a second.
    pub(crate) a_second: u64,
    /// Places in the code that were reached.
    pub(crate) coverage: u64,
    /// Inputs that reached something new.
    pub(crate) new_inputs: u64,
}

/// What one run printed, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) statistics: Statistics,
    /// The file with the input that failed.
    pub(crate) artifact: Option<String>,
}

impl Output {
    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.artifact = Some(path.trim().to_owned());
            return;
        }
        let statistics = &mut self.statistics;
        if line.starts_with('#') {
            if let Some(coverage) = number_after(line, "cov:") {
                statistics.coverage = coverage;
            }
            return;
        }
        let Some((name, value)) = line.strip_prefix("stat::").and_then(|line| line.split_once(':'))
        else {
            return;
        };
        let Ok(value) = value.trim().parse() else { return };
        match name {
            "number_of_executed_units" => statistics.executions = value,
            "average_exec_per_sec" => statistics.a_second = value,
            "new_units_added" => statistics.new_inputs = value,
            _ => {}
        }
    }
}

/// The number behind a word, as in `cov: 12`.
fn number_after(line: &str, word: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    words.find(|part| *part == word)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Output {
        let mut output = Output::default();
        text.lines().for_each(|line| output.line(line));
        output
    }

    #[test]
    fn the_figures_of_a_run_are_read() {
        let output = read(
            "INFO: Seed: 1\n\
             #2\tINITED cov: 17 ft: 18 corp: 1/1b exec/s: 0 rss: 40Mb\n\
             #65536\tpulse  cov: 120 ft: 300 corp: 40/1Kb lim: 652 exec/s: 32768 rss: 50Mb\n\
             #98765\tDONE   cov: 123 ft: 301 corp: 41/1Kb lim: 900 exec/s: 32921 rss: 50Mb\n\
             Done 98765 runs in 4 second(s)\n\
             stat::number_of_executed_units: 98765\n\
             stat::average_exec_per_sec:     24691\n\
             stat::new_units_added:          41\n\
             stat::slowest_unit_time_sec:    0\n\
             stat::peak_rss_mb:              50\n",
        );
        let statistics =
            Statistics { executions: 98_765, a_second: 24_691, coverage: 123, new_inputs: 41 };
        assert_eq!(output, Output { statistics, artifact: None });
    }

    #[test]
    fn where_a_finding_lies_is_read() {
        let output = read(
            "thread '<unnamed>' panicked at fuzz/src/texts.rs:1:1:\n\
             ==1== ERROR: libFuzzer: deadly signal\n\
             artifact_prefix='out/'; Test unit written to out/crash-da39\n\
             Base64: \n",
        );
        assert_eq!(output.artifact.as_deref(), Some("out/crash-da39"));
    }

    #[test]
    fn lines_of_another_kind_change_nothing() {
        for line in ["", "#", "#x cov: y", "stat::", "stat::new_units_added: many", "cov: 5"] {
            assert_eq!(read(line), Output::default(), "{line}");
        }
    }
}
