//! Getting a data set out of a public package, through the package client that the machine has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::manifest::{Manifest, Registry};
use super::{Item, sha256};
use crate::servers::Scratch;
use crate::shell::{Call, exists};
use crate::tools;

/// Opens an archive and those within it; both formats that packages come in.
const EXTRACT: &str = "\
import io, sys, tarfile, zipfile
package, out, *inner = sys.argv[1:]
data = open(package, 'rb').read()
for name in inner:
    if zipfile.is_zipfile(io.BytesIO(data)):
        data = zipfile.ZipFile(io.BytesIO(data)).read(name)
    else:
        data = tarfile.open(fileobj=io.BytesIO(data)).extractfile(name).read()
open(out, 'wb').write(data)
";

/// The data file in the cache, fetched unless it is there already; its digest is checked either way.
pub(super) fn get(manifest: &Manifest, cache: &Path, tell: &dyn Fn(String)) -> Result<Item> {
    let path = cache.join(&manifest.file);
    if path.is_file() && sha256(&path)? == manifest.sha256 {
        tell(format!("{}: already there, digest as expected: {}", manifest.name, path.display()));
        return Ok(item(manifest, path));
    }
    let scratch = Scratch::new("data")?;
    let package = download(manifest, scratch.path(), tell).with_context(|| {
        format!(
            "{}: cannot fetch {} {}; without a network try `--offline`",
            manifest.name, manifest.package, manifest.version
        )
    })?;
    expect_digest(&package, &manifest.package_sha256)?;

    let inside = manifest.inner.join(" → ");
    tell(format!("{}: taking out {inside}", manifest.name));
    // Taken out beside its place and moved there when checked: what lies in the cache is always whole.
    let fresh = cache.join(format!(".{}.{}", manifest.file, std::process::id()));
    Call::new("python3")
        .args(["-c", EXTRACT])
        .arg(&package)
        .arg(&fresh)
        .args(&manifest.inner)
        .text()?;
    expect_digest(&fresh, &manifest.sha256)?;
    std::fs::rename(&fresh, &path)?;
    tell(format!(
        "{}: {} bytes, digest as expected: {}",
        manifest.name,
        manifest.bytes,
        path.display()
    ));
    tell(format!("{}: licence: {}", manifest.name, manifest.licence));
    Ok(item(manifest, path))
}

fn item(manifest: &Manifest, path: PathBuf) -> Item {
    Item {
        name: manifest.name.clone(),
        kind: manifest.kind,
        path,
        bytes: manifest.bytes,
        sha256: manifest.sha256.clone(),
        licence: manifest.licence.clone(),
        title: manifest.title.clone(),
        generated: false,
    }
}

/// The package as the registry's client brings it, alone in `folder`.
fn download(manifest: &Manifest, folder: &Path, tell: &dyn Fn(String)) -> Result<PathBuf> {
    let log = folder.join("client.log");
    let packages = folder.join("package");
    std::fs::create_dir(&packages)?;
    let Manifest { package, version, .. } = manifest;
    let call = match manifest.registry {
        Registry::Pypi => {
            let has_pip = || Call::new("python3").args(["-m", "pip", "--version"]).text().is_ok();
            tools::ensure_debian(&["python3-pip"], has_pip, &log)?;
            let call = Call::new("python3").args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
            ]);
            call.arg(&packages).arg(format!("{package}=={version}"))
        }
        Registry::Npm => {
            tools::ensure_debian(&["npm"], || exists("npm"), &log)?;
            let call = Call::new("npm").args(["pack", "--silent", "--pack-destination"]);
            call.arg(&packages).arg(format!("{package}@{version}")).dir(&packages)
        }
    };
    tell(format!("{}: {}", manifest.name, call.shown()));
    call.logged(&log)?;
    let files: Vec<PathBuf> =
        std::fs::read_dir(&packages)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        other => bail!("expected one package from the client, got {}", other.len()),
    }
}

fn expect_digest(file: &Path, expected: &str) -> Result<()> {
    let found = sha256(file)?;
    if found != expected {
        std::fs::remove_file(file)?;
        bail!("{}: SHA-256 is {found}, the manifest says {expected}: not used", file.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_digest_is_refused_and_removed() {
        let scratch = Scratch::new("digest").unwrap();
        let file = scratch.path().join("x");
        std::fs::write(&file, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        expect_digest(&file, abc).unwrap();
        assert!(expect_digest(&file, &abc.replace('b', "c")).is_err());
        assert!(!file.exists());
    }

    #[test]
    fn a_file_inside_an_archive_inside_a_package_comes_out() {
        let scratch = Scratch::new("extract").unwrap();
        let make = "import io, sys, tarfile, zipfile
inner = io.BytesIO()
with zipfile.ZipFile(inner, 'w') as z: z.writestr('deep/file.csv', 'a,b')
data = inner.getvalue()
info = tarfile.TarInfo('package/inner.zip'); info.size = len(data)
with tarfile.open(sys.argv[1], 'w:gz') as t: t.addfile(info, io.BytesIO(data))";
        let (package, out) = (scratch.path().join("p.tgz"), scratch.path().join("out"));
        Call::new("python3").args(["-c", make]).arg(&package).text().unwrap();
        let call = Call::new("python3").args(["-c", EXTRACT]).arg(&package).arg(&out);
        call.args(["package/inner.zip", "deep/file.csv"]).text().unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "a,b");
    }
}
