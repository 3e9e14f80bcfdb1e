//! Sealing: what goes in comes out, and nobody else gets in.

use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::format::Format;
use crate::options::Options;
use crate::table;

const KEY: [u8; 32] = [7; 32];
const AAD: &[u8] = b"urn:uuid:contract-1/product-1";

fn sealed(rows: usize) -> (tempfile::TempDir, PathBuf, Sealed) {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("a.csv");
    let body = (0..rows).fold("id,name,value\n".to_owned(), |s, i| {
        s + &format!("{i},泵-{},{}\n", i % 7, i as f64 / 8.0)
    });
    std::fs::write(&csv, body).unwrap();
    let parquet = dir.path().join("a.parquet");
    let go = &mut |_| std::ops::ControlFlow::Continue(());
    let _table = table::ingest(&csv, Format::Csv, &Options::default(), &parquet, 1, go).unwrap();
    let out = dir.path().join("a.sealed");
    let made = seal_table(&parquet, &out, &KEY, AAD).unwrap();
    (dir, out, made)
}

#[test]
fn a_sealed_table_opens_only_with_key_and_prefix() {
    let (dir, out, made) = sealed(20_000);
    assert_eq!((made.rows, made.bytes), (20_000, std::fs::metadata(&out).unwrap().len()));
    assert_eq!(check(&out, &KEY, AAD).unwrap(), 20_000);
    assert_eq!(read(&out, &KEY, AAD).unwrap().schema().fields().len(), 3);
    let refused = |key: &[u8; 32], aad: &[u8]| matches!(check(&out, key, aad), Err(Fault::Refused));
    assert!(refused(&[8; 32], AAD), "another key");
    assert!(refused(&KEY, b"urn:uuid:contract-2/product-1"), "another prefix");
    assert!(refused(&KEY, b""), "no prefix");
    let bytes = std::fs::read(&out).unwrap();
    assert!(!bytes.windows(4).any(|w| w == b"name"), "no schema in the clear");
    assert!(!bytes.windows(AAD.len()).any(|w| w == AAD), "the prefix is not stored");
    assert!(
        matches!(check(&dir.path().join("a.parquet"), &KEY, AAD), Err(Fault::Refused)),
        "a table in the clear"
    );
}

#[test]
fn any_changed_byte_is_refused() {
    let (dir, out, _) = sealed(500);
    let bytes = std::fs::read(&out).unwrap();
    let bad = dir.path().join("bad");
    // The page index lies between data and footer and need not be read to scan: step over the rest.
    let data = bytes.len() / 4;
    for at in (4..data).step_by(97).chain([bytes.len() - 40, bytes.len() - 6]) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&bad, changed).unwrap();
        assert!(check(&bad, &KEY, AAD).is_err(), "byte {at} of {}", bytes.len());
    }
    for cut in [0, 3, 4, 12, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&bad, &bytes[..cut]).unwrap();
        assert!(matches!(check(&bad, &KEY, AAD), Err(Fault::Refused)), "cut at {cut}");
    }
}

#[test]
fn failures_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk.parquet");
    std::fs::write(&junk, b"PAR1 nothing PAR1").unwrap();
    let out = dir.path().join("out");
    assert!(matches!(seal_table(&junk, &out, &KEY, AAD), Err(Fault::Broken { .. })));
    assert!(matches!(seal_table(&junk, &out, &KEY, b""), Err(Fault::Limit { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn pyarrow_opens_it_too() {
    const SCRIPT: &str = r"
import sys, pyarrow.parquet as pq, pyarrow.parquet.encryption as pe
path, key, aad = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
def rows(key, aad):
    bound = {'aad_prefix': aad} if aad else {}
    return pq.read_table(path, decryption_properties=pe.create_decryption_properties(footer_key=key, **bound)).num_rows
assert rows(key, aad) == 3000
for k, a in ((bytes(32), aad), (key, b'other'), (key, None)):
    try: rows(k, a)
    except Exception: continue
    raise SystemExit('opened with a wrong key, a wrong prefix or none')
";
    let named = std::env::var("TIDM_PYTHON").ok();
    let python = named.clone().unwrap_or_else(|| "python3".to_owned());
    let probe = Command::new(&python)
        .args(["-c", "import pyarrow.parquet.encryption as e; e.create_decryption_properties"])
        .output();
    if !probe.is_ok_and(|p| p.status.success()) {
        assert!(named.is_none(), "TIDM_PYTHON={python} cannot open with pyarrow and direct keys");
        println!(
            "SKIPPED: {python} cannot import pyarrow with direct decryption keys (pip install pyarrow)"
        );
        return;
    }
    let (_dir, out, _) = sealed(3_000);
    let hex = crate::origin::hex;
    let ran = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(&out)
        .args([hex(&KEY), hex(AAD)])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
