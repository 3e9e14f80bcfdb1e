//! A test kit: where it lies, how it runs, and what its cases came to.
//!
//! It must never take a kit's exit code for a verdict (the kits always exit 0): only the lines count that name a case.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::place;
use crate::shell::{Call, exists};
use crate::stages::{Context, Counts};
use crate::tools;

/// One kit of the Eclipse Dataspace TCK.
#[derive(Debug)]
pub(crate) struct Kit {
    /// `dsp`: file name, profile, command line.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) version: &'static str,
    /// The class that runs it.
    pub(crate) main: &'static str,
    /// Cases that a full run has; fewer is a failure.
    pub(crate) cases: u64,
}

/// What came of a kit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ran(Vec<Case>),
    /// Why no case was run.
    Skipped(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The case's number and title, as the kit says them.
    pub(crate) name: String,
    /// `None`: it began and never ended.
    pub(crate) passed: Option<bool>,
    /// It passed at the second run only.
    pub(crate) again: bool,
}

/// A kit that was found, and what runs it.
#[derive(Debug)]
pub(crate) struct Installed {
    kit: &'static Kit,
    classpath: String,
    /// Where it lies: specifications may lie beside it.
    pub(crate) home: PathBuf,
}

impl Kit {
    /// The kit with its runtime, or the reason why its cases cannot be run here.
    pub(crate) fn find(
        &'static self,
        context: &Context,
    ) -> Result<std::result::Result<Installed, String>> {
        let jar = format!("lib/{}-tck.jar", self.name);
        let places = places(&context.root);
        let Some(home) = places.iter().find(|it| it.join(&jar).is_file()) else {
            return Ok(Err(self.missing(&places)));
        };
        tools::ensure_debian(&["openjdk-17-jre-headless"], java_is_new, &context.log)?;
        let jar = home.join(jar);
        let pom = home.join("pom.xml");
        // A jar without the list of its libraries is one that carries them.
        let mut classpath = jar.display().to_string();
        if pom.is_file() {
            classpath = format!("{classpath}:{}", self.libraries(&pom, &context.log)?);
        }
        Ok(Ok(Installed { kit: self, classpath, home: home.clone() }))
    }

    /// The third-party libraries that the kit's list names, through Maven; resolved once per machine.
    fn libraries(&self, pom: &Path, log: &Path) -> Result<String> {
        let file = place::tools()?.join(format!("tck-{}-{}.classpath", self.name, self.version));
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        if !known.is_empty() && known.trim().split(':').all(|it| Path::new(it).is_file()) {
            return Ok(known.trim().to_owned());
        }
        tools::ensure_debian(&["maven"], || exists("mvn"), log)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Call::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(pom)
            .args(["-P", self.name, "dependency:build-classpath"])
            .arg(format!("-Dmdep.outputFile={}", file.display()))
            .logged(log)
            .with_context(|| format!("fetching the libraries of the kit `{}`", self.name))?;
        Ok(std::fs::read_to_string(&file)?.trim().to_owned())
    }

    fn missing(&self, places: &[PathBuf]) -> String {
        let looked: Vec<String> = places.iter().map(|it| it.display().to_string()).collect();
        format!(
            "{title} {version} is not here, so NONE of its {cases} cases was run. Get the release v{version} of \
             `{name}-tck` from the Eclipse Dataspace TCK project's public repositories, build it (`./gradlew build`, \
             Java 17), put its jar with all it depends on at FOLDER/lib/{name}-tck.jar and set TIDM_TCK=FOLDER. \
             Looked in: {looked}",
            title = self.title,
            version = self.version,
            cases = self.cases,
            name = self.name,
            looked = looked.join(", "),
        )
    }
}

/// Where `TIDM_TCK` points, else beside the checkout.
fn places(root: &Path) -> Vec<PathBuf> {
    match std::env::var_os("TIDM_TCK") {
        Some(told) => vec![PathBuf::from(told)],
        None => root
            .parent()
            .map(|it| it.join("shared/conformance/tck"))
            .into_iter()
            .chain(Some(root.join("shared/conformance/tck")))
            .collect(),
    }
}

/// Java 17 is what the kits are compiled for.
fn java_is_new() -> bool {
    let Ok(output) = Call::new("java").arg("-version").command().output() else { return false };
    major(&String::from_utf8_lossy(&output.stderr)).is_some_and(|it| it >= 17)
}

/// `openjdk version "17.0.15" 2025-04-15` gives 17.
fn major(told: &str) -> Option<u32> {
    let version = told.split('"').nth(1)?;
    version.split('.').next()?.parse().ok()
}

impl Installed {
    /// Resources that the kit looks for and its jar may lack; those in the jar win.
    pub(crate) fn add_resources(&mut self, folder: &Path) {
        self.classpath = format!("{}:{}", self.classpath, folder.display());
    }

    /// Runs the kit on these properties and reads its cases out of what it wrote into `log`.
    pub(crate) fn run(&self, properties: &Path, log: &Path) -> Result<Vec<Case>> {
        let call = Call::new("java")
            .args(["-cp", &self.classpath, self.kit.main, "-config"])
            .arg(properties);
        let (_, written) = call.logged_output(log)?;
        let cases = cases(&written);
        if cases.is_empty() {
            bail!("the kit `{}` ran no case; see {}", self.kit.name, log.display());
        }
        Ok(cases)
    }
}

/// The cases in a kit's log: `[time] Started: NAME`, then `SUCCESSFUL: ID` or `FAILED: ID`.
pub(crate) fn cases(written: &str) -> Vec<Case> {
    let mut all: Vec<Case> = Vec::new();
    for line in written.lines() {
        let line = match line.strip_prefix('[').and_then(|it| it.split_once("] ")) {
            Some((_, rest)) => rest,
            None => line,
        };
        if let Some(name) = line.strip_prefix("Started: ") {
            all.push(Case { name: name.trim().to_owned(), passed: None, again: false });
            continue;
        }
        let ended = [("SUCCESSFUL: ", true), ("FAILED: ", false)]
            .into_iter()
            .find_map(|(word, passed)| Some((line.strip_prefix(word)?.trim(), passed)));
        let Some((id, passed)) = ended else { continue };
        let open = all.iter_mut().find(|it| it.passed.is_none() && it.name.starts_with(id));
        match open {
            Some(case) => case.passed = Some(passed),
            // An end without a beginning: it counts as it says, so that no failure is lost.
            None => all.push(Case { name: id.to_owned(), passed: Some(passed), again: false }),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether a case needs a second run.
pub(crate) fn any_lost(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Ran(cases) if cases.iter().any(|it| it.passed != Some(true)))
}

/// What two runs came to. The kits wait for messages by the clock, and on a machine under load they lose some that
/// did arrive (their self-tests do, too); a case that fails twice has failed.
pub(crate) fn twice(first: Outcome, second: &Outcome) -> Outcome {
    let (Outcome::Ran(mut cases), Outcome::Ran(repeated)) = (first, second) else {
        return second.clone();
    };
    for case in cases.iter_mut().filter(|it| it.passed != Some(true)) {
        if repeated.iter().any(|it| it.name == case.name && it.passed == Some(true)) {
            (case.passed, case.again) = (Some(true), true);
        }
    }
    Outcome::Ran(cases)
}

/// What the stage counts.
pub(crate) fn counts(kit: &Kit, outcome: &Outcome) -> Counts {
    let cases = match outcome {
        Outcome::Skipped(reason) => {
            return Counts { skips: vec![reason.clone()], ..Counts::default() };
        }
        Outcome::Ran(cases) => cases,
    };
    let mut counts = Counts::default();
    for case in cases {
        if case.passed == Some(true) {
            counts.passed += 1;
        } else {
            let how = if case.passed.is_none() { "never ended" } else { "failed" };
            counts.add(Counts::failure(format!("{} {how}\n", case.name)));
        }
    }
    let missing = kit.cases.saturating_sub(counts.passed + counts.failed);
    if missing > 0 {
        let report = format!("{missing} of the kit's {} cases did not run\n", kit.cases);
        counts.add(Counts { failed: missing, report, ..Counts::default() });
    }
    counts
}

/// The outcome as a table that people read.
pub(crate) fn table(kit: &Kit, outcome: &Outcome) -> String {
    let mut text = format!("# {} {}\n\n", kit.title, kit.version);
    match outcome {
        Outcome::Skipped(reason) => text.push_str(&format!("SKIPPED: {reason}\n")),
        Outcome::Ran(cases) => {
            text.push_str("| case | verdict |\n|---|---|\n");
            for case in cases {
                let verdict = match case.passed {
                    Some(true) if case.again => "passed at the second run",
                    Some(true) => "passed",
                    Some(false) => "**FAILED**",
                    None => "**NEVER ENDED**",
                };
                // Writing into a string cannot fail.
                let _ = writeln!(text, "| {} | {verdict} |", case.name.replace('|', "/"));
            }
            let counts = counts(kit, outcome);
            let _ = writeln!(text, "\n{} passed, {} failed", counts.passed, counts.failed);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIT: Kit = Kit { name: "toy", title: "Toy", version: "1", main: "Toy", cases: 3 };

    const LOG: &str = "
[2026-01-01T00:00:00.1] Started: A:01-01: Verify one
[2026-01-01T00:00:00.2] SUCCESSFUL: A:01-01
[2026-01-01T00:00:00.3] Started: A:01-02: Verify two
Some error: FAILED: not a verdict
[2026-01-01T00:00:00.4] FAILED: A:01-02
[2026-01-01T00:00:00.5] Started: B:01-01: Verify three
";

    #[test]
    fn only_what_the_kit_calls_successful_has_passed() {
        let ran = Outcome::Ran(cases(LOG));
        let counts = counts(&KIT, &ran);
        assert_eq!((counts.passed, counts.failed), (1, 2));
        assert!(counts.report.contains("B:01-01: Verify three never ended"), "{}", counts.report);
        assert!(table(&KIT, &ran).contains("| A:01-02: Verify two | **FAILED** |"));
    }

    #[test]
    fn a_case_that_fails_twice_has_failed() {
        let second = "Started: A:01-02: Verify two\nSUCCESSFUL: A:01-02\nStarted: B:01-01: Verify three\nFAILED: B:01-01\n";
        let first = Outcome::Ran(cases(LOG));
        assert!(any_lost(&first));
        let both = twice(first, &Outcome::Ran(cases(second)));
        let counts = counts(&KIT, &both);
        assert_eq!((counts.passed, counts.failed), (2, 1));
        assert!(table(&KIT, &both).contains("| A:01-02: Verify two | passed at the second run |"));
    }

    #[test]
    fn cases_that_did_not_run_have_failed() {
        let ran = Outcome::Ran(cases("Started: A:1: x\nSUCCESSFUL: A:1\n"));
        let counts = counts(&KIT, &ran);
        assert_eq!((counts.passed, counts.failed), (1, 2));
    }

    #[test]
    fn a_missing_kit_passes_nothing() {
        let skipped = Outcome::Skipped(KIT.missing(&[PathBuf::from("/nowhere")]));
        let counts = counts(&KIT, &skipped);
        assert_eq!((counts.passed, counts.failed, counts.skips.len()), (0, 0, 1));
        assert!(counts.skips[0].contains("TIDM_TCK"));
    }

    #[test]
    fn javas_version_is_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("java version \"1.8.0_202\""), Some(1));
        assert_eq!(major("nothing"), None);
    }
}
