//! Reading the outcome of test programs out of what they print.

/// What a stage found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// One line for each test that did not run: its name and the reason.
    pub(crate) skips: Vec<String>,
    /// What a person needs to see when something failed.
    pub(crate) report: String,
}

impl Counts {
    /// One check that held.
    pub(crate) fn success() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One check that did not.
    pub(crate) fn failure(report: String) -> Self {
        Self { failed: 1, report, ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skips.extend(other.skips);
        self.report.push_str(&other.report);
    }
}

/// Where in the output of a test program we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Running,
    Successes,
    Failures,
}

/// Sums the output of `cargo test -- --show-output`, of any number of test programs.
///
/// A test that passes and prints a line `SKIPPED: reason` has tested nothing: it counts as skipped, not as passed.
pub(crate) fn cargo_test(output: &str) -> Counts {
    let mut counts = Counts::default();
    let mut part = Part::Running;
    let mut test = "";
    let mut skipped_here: Vec<(&str, String)> = Vec::new();
    for line in output.lines() {
        if let Some(name) =
            line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            test = name;
        }
        match line {
            "successes:" => part = Part::Successes,
            "failures:" => part = Part::Failures,
            _ => {}
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            counts.passed += number_before(result, " passed");
            counts.failed += number_before(result, " failed");
            let skipped = u64::try_from(skipped_here.len()).unwrap_or_default();
            counts.passed = counts.passed.saturating_sub(skipped);
            counts
                .skips
                .extend(skipped_here.drain(..).map(|(name, reason)| format!("{name}: {reason}")));
            part = Part::Running;
            continue;
        }
        match part {
            Part::Running => {
                if let Some((name, reason)) = ignored(line) {
                    counts.skips.push(format!("{name}: ignored{reason}"));
                }
            }
            Part::Successes => {
                if let Some(reason) = line.trim_start().strip_prefix("SKIPPED:") {
                    note_skip(&mut skipped_here, test, reason.trim());
                }
            }
            Part::Failures => {
                counts.report.push_str(line);
                counts.report.push('\n');
            }
        }
    }
    counts
}

fn note_skip<'a>(skipped: &mut Vec<(&'a str, String)>, test: &'a str, reason: &str) {
    match skipped.last_mut() {
        Some((name, reasons)) if *name == test => {
            reasons.push_str("; ");
            reasons.push_str(reason);
        }
        Some(_) | None => skipped.push((test, reason.to_owned())),
    }
}

/// `test some::name ... ignored, because` gives the name and `, because`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ignored")
}

/// The last line `N passed, N failed[, N skipped]` that a program of ours printed.
pub(crate) fn closing_line(output: &str) -> Option<Counts> {
    output.lines().rev().find_map(|line| {
        let mut parts = line.trim().split(", ");
        let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
        let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
        Some(Counts { passed, failed, ..Counts::default() })
    })
}

fn number_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test a::one ... ok
test a::two ... ok
test a::three ... ignored, needs a TPM
test a::four ... FAILED

successes:

---- a::two stdout ----
talk
SKIPPED: no kit found
SKIPPED: nor another


successes:
    a::one
    a::two

failures:

---- a::four stdout ----
SKIPPED: printed by a test that failed
assertion failed: 1 == 2

failures:
    a::four

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 12 tests
test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.25s
";

    #[test]
    fn a_test_that_skips_is_not_a_test_that_passes() {
        let counts = cargo_test(OUTPUT);
        assert_eq!((counts.passed, counts.failed), (13, 1));
        assert_eq!(
            counts.skips,
            ["a::three: ignored, needs a TPM", "a::two: no kit found; nor another"]
        );
        assert!(counts.report.contains("assertion failed"), "{}", counts.report);
        assert!(!counts.report.contains("talk"));
    }

    #[test]
    fn nothing_counts_nothing() {
        assert_eq!(cargo_test("error: could not compile"), Counts::default());
    }

    #[test]
    fn our_own_closing_line() {
        let counts = closing_line("seed 7\n300 passed, 2 failed, 0 skipped\nbye").unwrap();
        assert_eq!((counts.passed, counts.failed), (300, 2));
        assert_eq!(closing_line("300 seeds fine"), None);
    }
}
