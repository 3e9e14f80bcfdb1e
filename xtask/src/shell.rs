//! Running other programs: quietly into a log, or in front of the person.
//!
//! Every call is a program and its arguments, never a line for a shell, so no value can be read as a command.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a failed program's output that are worth repeating in an error.
const TAIL_LINES: usize = 25;

/// What Cargo tells us about this package. Passed on, it would make build scripts that watch these variables run again
/// each time somebody switches between `cargo xtask test` and `cargo test`.
const OF_OUR_PACKAGE: &[&str] =
    &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];

/// One program to run.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    without: Vec<OsString>,
    dir: Option<PathBuf>,
}

impl Call {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            without: Vec::new(),
            dir: None,
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Keeps a variable of ours from the program.
    pub(crate) fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.without.push(name.as_ref().to_owned());
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// The same call by root: unchanged for root, else through sudo without asking for a password.
    pub(crate) fn by_root(mut self) -> Result<Self> {
        if !is_root()? {
            if !exists("sudo") {
                bail!("`{}` needs root: run this as root, or install sudo", self.shown());
            }
            let program = std::mem::replace(&mut self.program, "sudo".into());
            self.args.splice(0..0, ["-n".into(), program]);
        }
        Ok(self)
    }

    /// The call as a person would type it.
    pub(crate) fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        for name in &self.without {
            command.env_remove(name);
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| OF_OUR_PACKAGE.iter().any(|prefix| name.starts_with(prefix)))
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it with output and input of its own: what the person asked to see. Returns its exit code.
    pub(crate) fn show(&self) -> Result<i32> {
        let status =
            self.command().stdin(Stdio::inherit()).status().with_context(|| self.missing())?;
        Ok(status.code().unwrap_or(-1))
    }

    /// Runs it and returns what it wrote to standard output; fails with the end of its errors.
    pub(crate) fn text(&self) -> Result<String> {
        let output = self.command().output().with_context(|| self.missing())?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed ({}):\n{}", self.shown(), output.status, tail(&errors));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it with both outputs appended to `log`; fails with the end of what it wrote.
    pub(crate) fn logged(&self, log: &Path) -> Result<()> {
        let (success, written) = self.logged_output(log)?;
        if !success {
            bail!("`{}` failed; the end of {}:\n{}", self.shown(), log.display(), tail(&written));
        }
        Ok(())
    }

    /// Runs it with both outputs appended to `log`; returns whether it succeeded and what it wrote.
    pub(crate) fn logged_output(&self, log: &Path) -> Result<(bool, String)> {
        let mut file = open_log(log)?;
        writeln!(file, "$ {}", self.shown())?;
        let start = file.metadata()?.len();
        let outputs = (file.try_clone()?, file.try_clone()?);
        let status = self
            .command()
            .stdout(outputs.0)
            .stderr(outputs.1)
            .status()
            .with_context(|| self.missing())?;
        let bytes = std::fs::read(log)?;
        let start = usize::try_from(start)?.min(bytes.len());
        let written = String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned();
        writeln!(file, "# {status}")?;
        Ok((status.success(), written))
    }

    fn missing(&self) -> String {
        format!(
            "cannot start `{}`: is {} installed and on the PATH?",
            self.shown(),
            self.program.to_string_lossy()
        )
    }
}

/// Opens a log for appending, making its folder.
pub(crate) fn open_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("opening {}", log.display()))
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Whether a program of this name is on the PATH.
pub(crate) fn exists(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether we run as root.
pub(crate) fn is_root() -> Result<bool> {
    Ok(Call::new("id").arg("-u").text()?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_told_with_its_own_words() {
        let log = std::env::temp_dir().join(format!("xtask-shell-{}.log", std::process::id()));
        let call = Call::new("sh").args(["-c", "echo first; echo broken >&2; exit 3"]);
        let error = call.logged(&log).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(error.contains("broken") && error.contains("first"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Call::new("no-such-program-of-ours").text().unwrap_err().to_string();
        assert!(error.contains("no-such-program-of-ours"), "{error}");
        assert!(!exists("no-such-program-of-ours") && exists("sh"));
    }

    #[test]
    fn what_cargo_told_us_stays_with_us() {
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let text = Call::new("env").env("OURS", "kept").text().unwrap();
        assert!(!text.contains("CARGO_PKG_NAME") && text.contains("OURS=kept"), "{text}");
    }

    #[test]
    fn the_tail_is_short() {
        let text = (0..100).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(tail(&text).lines().count(), TAIL_LINES);
        assert!(tail(&text).ends_with("99"));
    }
}
