//! Programs that tests need: installed when missing, through the ordinary package clients, into a cache outside the
//! checkout. Versions are fixed here so that every machine runs the same tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::place;
use crate::shell::{Call, exists};

/// A Rust program installed with `cargo install`.
pub(crate) struct Tool {
    pub(crate) package: &'static str,
    pub(crate) program: &'static str,
    pub(crate) version: &'static str,
    pub(crate) features: &'static str,
}

/// Checks licences, sources and duplicates of dependencies.
pub(crate) const DENY: Tool =
    Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20.2", features: "" };
/// A small S3 server; later versions want a newer compiler than ours.
pub(crate) const S3: Tool =
    Tool { package: "s3s-fs", program: "s3s-fs", version: "0.14.1", features: "binary" };

impl Tool {
    /// Where the program is once installed.
    pub(crate) fn program(&self) -> Result<PathBuf> {
        Ok(self.home()?.join("bin").join(self.program))
    }

    /// A folder per version: an older program in the cache is never mistaken for the one asked for.
    fn home(&self) -> Result<PathBuf> {
        Ok(place::tools()?.join(format!("{}-{}", self.package, self.version)))
    }

    /// Path of the program, after installing it when this version is not in the cache yet. Takes minutes the first time.
    pub(crate) fn ensure(&self, log: &Path) -> Result<PathBuf> {
        let program = self.program()?;
        if program.is_file() {
            return Ok(program);
        }
        println!(
            "    installing {} {} with cargo (once per machine, takes minutes)",
            self.package, self.version
        );
        let build = place::tools()?.join("build");
        let mut call = Call::new("cargo").args(["install", "--locked", "--root"]).arg(self.home()?);
        call = call.args(["--version", self.version, self.package]).env("CARGO_TARGET_DIR", &build);
        if !self.features.is_empty() {
            call = call.args(["--features", self.features]);
        }
        // Tools are built to be small and soon ready, not fast: they run for seconds.
        call = call
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        call = call
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        call.logged(log)
            .with_context(|| format!("installing {} {}", self.package, self.version))?;
        // The intermediate files are of no further use; a failure to delete them only costs disk.
        if let Err(error) = std::fs::remove_dir_all(&build) {
            println!("    note: {} stays behind: {error}", build.display());
        }
        if !program.is_file() {
            bail!("{} was installed but {} is not there", self.package, program.display());
        }
        Ok(program)
    }
}

/// Installs Debian packages unless `present` already says they are there.
pub(crate) fn ensure_debian(
    packages: &[&str],
    present: impl Fn() -> bool,
    log: &Path,
) -> Result<()> {
    if present() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !exists("apt-get") {
        bail!("{names} is missing and this is no Debian machine: install it by hand and run again");
    }
    println!("    installing {names} with apt-get");
    let apt = |args: &[&str]| {
        Call::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").by_root()
    };
    let install: Vec<&str> =
        ["install", "-y", "--no-install-recommends"].iter().chain(packages).copied().collect();
    // The lists of a fresh machine may be missing or old; refresh them once, only if the first try fails.
    if apt(&install)?.logged(log).is_err() {
        apt(&["update"])?.logged(log).context("refreshing Debian's package lists")?;
        apt(&install)?.logged(log).with_context(|| format!("installing {names} with apt-get"))?;
    }
    if !present() {
        bail!("{names} was installed but what it brings cannot be found");
    }
    Ok(())
}

/// The C++ compiler that libFuzzer's runtime is built with.
pub(crate) fn ensure_cxx(log: &Path) -> Result<()> {
    ensure_debian(&["g++"], || exists("c++") || exists("g++"), log)
}

/// Python libraries that read what we write and ask as others' tools do: outside oracles, each at one version.
const ORACLES: &[&str] =
    &["pyarrow==26.0.1", "prov==3.2.3", "adbc-driver-flightsql==1.13.0", "otdf-python==0.11.0"];

/// SecretFlow's program for computing with others, a peer of ours: apart, since it wants libraries of its own versions.
const SPU: &[&str] = &["spu==0.9.5"];

/// A Python with [`ORACLES`], in the tool cache.
pub(crate) fn python(log: &Path) -> Result<PathBuf> {
    environment(ORACLES, log)
}

/// A Python with [`SPU`], or nothing where there is none of it for this machine: tests that need it then say so.
pub(crate) fn spu(log: &Path) -> Option<PathBuf> {
    environment(SPU, log)
        .inspect_err(|error| println!("    note: tests against spu are skipped: {error:#}"))
        .ok()
}

/// An OpenID provider for people's sign-ins, as published; later versions want a newer Node.js.
const OIDC: &str = "oidc-provider@8.8.1";

/// The folder with [`OIDC`], or nothing where it cannot be had: the test that needs it then says so.
pub(crate) fn oidc(log: &Path) -> Option<PathBuf> {
    let install = || {
        let home = place::tools()?.join(OIDC.replace('@', "-"));
        let done = home.join("complete");
        if !done.is_file() {
            println!("    installing {OIDC} with npm (once per machine)");
            let call = Call::new("npm").args(["install", "--no-audit", "--no-fund", "--prefix"]);
            call.arg(&home).arg(OIDC).logged(log).context("installing the OpenID provider")?;
            std::fs::write(&done, "").with_context(|| done.display().to_string())?;
        }
        Ok(home)
    };
    install()
        .inspect_err(|error: &anyhow::Error| {
            println!("    note: the test with a real OpenID provider is skipped: {error:#}");
        })
        .ok()
}

/// The emulator of a TPM, and the tools that make keys in one. Where they cannot be had, the test that needs them says so.
pub(crate) fn tpm(log: &Path) {
    let present = || exists("swtpm") && exists("tpm2_createak");
    if let Err(error) = ensure_debian(&["swtpm", "tpm2-tools", "libtss2-tcti-swtpm0"], present, log)
    {
        println!("    note: the test with an emulated TPM is skipped: {error:#}");
    }
}

fn environment(packages: &[&str], log: &Path) -> Result<PathBuf> {
    let home = place::tools()?.join(format!("python-{}", packages.join("-")));
    let program = home.join("bin/python");
    let done = home.join("complete");
    if done.is_file() {
        return Ok(program);
    }
    println!("    installing {} with pip (once per machine)", packages.join(", "));
    let venv = || Call::new("python3").args(["-m", "venv", "--clear"]).arg(&home);
    if venv().logged(log).is_err() {
        ensure_debian(&["python3-venv"], || venv().logged(log).is_ok(), log)?;
    }
    Call::new(&program)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages)
        .logged(log)
        .context("installing Python libraries that check ours")?;
    std::fs::write(&done, "").with_context(|| done.display().to_string())?;
    Ok(program)
}
