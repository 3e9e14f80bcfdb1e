//! `cargo xtask demo`: gets the sample data, builds `tidm` and hands over to `tidm demo`, which walks and tells.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::data::{self, Item};
use crate::place;
use crate::shell::Call;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    release: bool,
    offline: bool,
    /// Arguments of `tidm demo`.
    rest: Vec<String>,
}

/// `--keep`, `--lang` and `--dir` are the walk's own, and so is everything after `--`.
fn options(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--release" => options.release = true,
            "--offline" => options.offline = true,
            "--keep" => options.rest.push(arg.clone()),
            "--lang" | "--dir" => {
                let value = args.next().with_context(|| format!("{arg} wants a value"))?;
                options.rest.extend([arg.clone(), value.clone()]);
            }
            "--" => {
                options.rest.extend(args.by_ref().cloned());
            }
            other => bail!(
                "`cargo xtask demo` does not know `{other}`; it knows --release, --offline, --keep, --lang zh|en, --dir DIR and -- ARGS"
            ),
        }
    }
    if !options.rest.iter().any(|it| it.starts_with("--lang")) {
        options.rest.extend(["--lang".to_owned(), "en".to_owned()]);
    }
    Ok(options)
}

pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let Options { release, offline, rest } = options(args)?;
    println!("1. sample data");
    let items = data::provide(None, offline, &|line| println!("   {line}"))?;
    println!("2. building tidm (minutes the first time)");
    let program = build(&["tidm"], release)?.join("tidm");
    let call = walk(program, &items)?.args(rest);
    println!("3. {}", call.shown());
    exit(call.show()?)
}

/// `tidm demo` over the sample data.
pub(crate) fn walk(program: PathBuf, items: &[Item]) -> Result<Call> {
    let path_of = |name: &str| {
        let found = items.iter().find(|item: &&Item| item.name == name);
        found
            .map(|item| item.path.clone())
            .with_context(|| format!("data/ has no manifest called {name}"))
    };
    let (scada, cad) = (path_of("la-haute-borne")?, path_of("cad-assembly")?);
    Ok(Call::new(program).arg("demo").arg("--scada").arg(scada).arg("--cad").arg(cad))
}

/// Builds programs of the workspace and returns their folder. The whole workspace is selected, so that Cargo settles
/// on the features that the tests have and compiles no dependency twice.
pub(crate) fn build(programs: &[&str], release: bool) -> Result<PathBuf> {
    let mut call =
        Call::new("cargo").dir(&place::root()?).args(["build", "--locked", "--workspace"]);
    for program in programs {
        call = call.args(["--bin", program]);
    }
    if release {
        call = call.arg("--release");
    }
    if call.show()? != 0 {
        bail!("`{}` failed; what is wrong stands above", call.shown());
    }
    Ok(place::target()?.join(if release { "release" } else { "debug" }))
}

/// The exit code of a program as ours.
pub(crate) fn exit(code: i32) -> Result<ExitCode> {
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walks_own_arguments_are_handed_on() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (given, release, offline, rest) in [
            ("", false, false, "--lang en"),
            ("--release --keep", true, false, "--keep --lang en"),
            ("--lang zh --offline", false, true, "--lang zh"),
            ("--dir /tmp/x -- --lang zh", false, false, "--dir /tmp/x --lang zh"),
        ] {
            let expected = Options { release, offline, rest: words(rest) };
            assert_eq!(options(&words(given)).unwrap(), expected, "{given}");
        }
        for bad in ["--fast", "--lang", "keep"] {
            assert!(options(&words(bad)).is_err(), "{bad}");
        }
    }
}
