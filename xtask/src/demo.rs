//! `cargo xtask demo`: gets the sample data, builds `tidm` and hands over to `tidm demo`, which walks and tells.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::data::{self, Item};
use crate::place;
use crate::shell::Call;

/// Everything after `--` goes to `tidm demo` as it is.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let (mut release, mut offline, mut rest) = (false, false, [].as_slice());
    for (index, arg) in args.iter().enumerate() {
        match arg.as_str() {
            "--release" => release = true,
            "--offline" => offline = true,
            "--" => {
                rest = args.get(index + 1..).unwrap_or_default();
                break;
            }
            other => bail!(
                "`cargo xtask demo` does not know `{other}`; it knows --release, --offline and -- ARGS"
            ),
        }
    }
    println!("1. sample data");
    let items = data::provide(None, offline, &|line| println!("   {line}"))?;
    let path_of = |name: &str| {
        let found = items.iter().find(|item: &&Item| item.name == name);
        found
            .map(|item| item.path.clone())
            .with_context(|| format!("data/ has no manifest called {name}"))
    };
    let (scada, cad) = (path_of("la-haute-borne")?, path_of("cad-assembly")?);

    println!("2. building tidm (minutes the first time)");
    let program = build(&["tidm"], release)?.join("tidm");
    let call =
        Call::new(program).arg("demo").arg("--scada").arg(scada).arg("--cad").arg(cad).args(rest);
    println!("3. {}", call.shown());
    exit(call.show()?)
}

/// Builds packages of the workspace and returns the folder with their programs.
pub(crate) fn build(packages: &[&str], release: bool) -> Result<std::path::PathBuf> {
    let mut call = Call::new("cargo").dir(&place::root()?).args(["build", "--locked"]);
    for package in packages {
        call = call.args(["-p", package]);
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
