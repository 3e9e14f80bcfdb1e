//! Sealed tables: they open with the right key and binding, and with nothing else.

use std::fs::File;
use std::path::Path;

use rand_core::UnwrapErr;
use tidm_crypto::kem::{self, KemPublic};
use tidm_sandbox::host::{Failure, Job, KeyDenied, Outcome, Table};
use tidm_sandbox::job::{Hello, TableKey};
use tidm_sandbox::refusal::Code;

use crate::fixture::{self, batches};

const KEY: [u8; 32] = [7; 32];
const AAD: &[u8] = b"contract-1/product-1/version-1";
const INFO: &[u8] = b"tidm lease";

/// Wraps `key` to the worker, as a provider's gate does.
fn wrapped(hello: &Hello, key: &[u8]) -> Vec<TableKey> {
    let public = KemPublic::from_bytes(&hello.public_key).unwrap();
    let mut rng = UnwrapErr(getrandom::SysRng);
    let wrapped = kem::seal(&public, INFO, b"lease-1", key, &mut rng).unwrap();
    vec![TableKey {
        table: "t".to_owned(),
        wrapped: wrapped.to_bytes(),
        info: INFO.to_vec(),
        aad: b"lease-1".to_vec(),
        share: None,
    }]
}

async fn run(path: &Path, key: &[u8], aad: &[u8], sql: &str) -> Result<Outcome, Failure> {
    let table = Table {
        name: "t".to_owned(),
        files: vec![File::open(path).unwrap()],
        rules: fixture::open_rules(),
        aad_prefix: Some(aad.to_vec()),
    };
    let job = Job { sql: sql.to_owned(), tables: vec![table] };
    let key = key.to_vec();
    let keys = |hello: Hello| async move { Ok(wrapped(&hello, &key)) };
    fixture::worker().run(job, fixture::limits(), keys).await
}

const SQL: &str = "SELECT line, count(*) AS n, sum(power) AS p FROM t WHERE power > 600 GROUP BY line ORDER BY line";

#[tokio::test]
async fn a_sealed_table_answers_like_a_plain_one() {
    let (directory, plain) = fixture::plain();
    let sealed = directory.path().join("sealed.parquet");
    fixture::write(&sealed, Some((&KEY, AAD)));
    let expected =
        fixture::run(fixture::job(SQL, &plain, fixture::open_rules()), fixture::limits()).await;
    let found = run(&sealed, &KEY, AAD, SQL).await.unwrap();
    assert_eq!(batches(&found), batches(&expected.unwrap()));
    assert_eq!(found.rows, 4);
}

#[tokio::test]
async fn everything_else_is_refused_as_a_broken_seal() {
    let (directory, plain) = fixture::plain();
    let sealed = directory.path().join("sealed.parquet");
    fixture::write(&sealed, Some((&KEY, AAD)));
    let bytes = std::fs::read(&sealed).unwrap();
    let variant = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let cut = variant("cut.parquet", &bytes[..bytes.len() - 100]);
    let mut flipped = bytes.clone();
    flipped[2000] ^= 1;
    let flipped = variant("flipped.parquet", &flipped);
    let empty = variant("empty.parquet", b"");

    let cases: [(&str, &Path, &[u8], &[u8]); 7] = [
        ("wrong key", &sealed, &[8; 32], AAD),
        ("short key", &sealed, &[7; 16], AAD),
        ("wrong binding", &sealed, &KEY, b"contract-2/product-1/version-1"),
        ("cut file", &cut, &KEY, AAD),
        ("flipped bit", &flipped, &KEY, AAD),
        ("empty file", &empty, &KEY, AAD),
        ("plain file in its place", &plain, &KEY, AAD),
    ];
    for (what, path, key, aad) in cases {
        match run(path, key, aad, "SELECT * FROM t").await {
            Err(Failure::Refused(refusal)) => assert_eq!(refusal.code, Code::Seal, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_key_no_use() {
    let (directory, _) = fixture::plain();
    let sealed = directory.path().join("sealed.parquet");
    fixture::write(&sealed, Some((&KEY, AAD)));
    let table = Table {
        name: "t".to_owned(),
        files: vec![File::open(&sealed).unwrap()],
        rules: fixture::open_rules(),
        aad_prefix: Some(AAD.to_vec()),
    };
    let job = Job { sql: SQL.to_owned(), tables: vec![table] };
    let denied = |_| async { Err(KeyDenied("revoked".to_owned())) };
    let result = fixture::worker().run(job, fixture::limits(), denied).await;
    assert!(matches!(result, Err(Failure::Key(_))), "{result:?}");
}

#[tokio::test]
async fn a_sealed_file_announced_as_plain_is_no_table() {
    let (directory, _) = fixture::plain();
    let sealed = directory.path().join("sealed.parquet");
    fixture::write(&sealed, Some((&KEY, AAD)));
    let job = fixture::job("SELECT * FROM t", &sealed, fixture::open_rules());
    match fixture::run(job, fixture::limits()).await {
        Err(Failure::Refused(refusal)) => assert_eq!(refusal.code, Code::Table),
        other => panic!("{other:?}"),
    }
}
