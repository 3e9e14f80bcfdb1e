//! A program that looks at a sealed file, and a provider that changes its mind meanwhile.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::two::{LOOK, Node, PATIENCE, Two};

const SECOND: Duration = Duration::from_secs(1);

async fn product(two: &Two) -> String {
    let path = two.dir.path().join("part.bin");
    std::fs::write(&path, b"a drawing".repeat(1000)).unwrap();
    let offer = json!({"terms": {"kinds": ["sealed-file"]}});
    let asked = json!({"path": path, "title": "Part", "offers": [offer]});
    let made = two.provider.insist(Method::POST, "/products", asked).await;
    made["id"].as_str().unwrap().to_owned()
}

async fn delivered(consumer: &Node, contract: &str) {
    let asked = json!({"contract": contract, "format": "sealed-file"});
    let made = consumer.insist(Method::POST, "/transfers", asked).await;
    let path = format!("/transfers/{}?wait=30", made["id"].as_str().unwrap());
    assert_eq!(consumer.get(&path).await["state"], "COMPLETED");
}

/// The path of the plaintext, as the program was told, once it runs.
async fn shown(told: &Path) -> PathBuf {
    let begun = Instant::now();
    loop {
        match std::fs::read_to_string(told) {
            Ok(text) if text.ends_with('\n') => return PathBuf::from(text.trim()),
            Ok(_) | Err(_) => assert!(begun.elapsed() < PATIENCE, "the program does not run"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opened_file_closes_within_a_second_of_a_suspension_and_of_a_revocation() {
    let two = Two::start().await;
    let product = product(&two).await;
    let contract = super::agree(&two, &product).await;
    delivered(&two.consumer, &contract).await;
    for word in ["suspend", "revoke"] {
        let told = two.dir.path().join(word);
        let exec = format!(r#"sh -c "echo $0 > {}; exec sleep 600" {{}}"#, told.display());
        let mut opened = two.consumer.begun(&["use", "open", &contract, "--exec", &exec]);
        let path = shown(&told).await;
        assert_eq!(std::fs::read(&path).unwrap().len(), 9000);
        let call = format!("/contracts/{contract}/{word}");
        two.provider.insist(Method::POST, &call, json!({"reason": "数据核查"})).await;
        let since = Instant::now();
        while std::fs::read(&path).is_ok_and(|it| !it.is_empty()) {
            assert!(since.elapsed() <= SECOND, "{word}: still there after {:?}", since.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        while opened.try_wait().unwrap().is_none() {
            assert!(since.elapsed() <= SECOND, "{word}: runs after {:?}", since.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!path.parent().unwrap().exists(), "{}", path.display());
        if word == "suspend" {
            let call = format!("/contracts/{contract}/resume");
            two.provider.insist(Method::POST, &call, Value::Null).await;
            stands(&two.consumer, &contract).await;
        }
    }
}

/// Whoever kills the command outright has not freed its program of the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_ends_with_the_command_that_opened_its_file() {
    let two = Two::start().await;
    let product = product(&two).await;
    let contract = super::agree(&two, &product).await;
    delivered(&two.consumer, &contract).await;
    let told = two.dir.path().join("told");
    // The program itself has the plaintext open, in a process of its own.
    let exec = format!(
        r#"sh -c "exec 3< $0; echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600" {{}}"#,
        told.display()
    );
    let mut opened = two.consumer.begun(&["use", "open", &contract, "--exec", &exec]);
    let process = Path::new("/proc").join(shown(&told).await);
    assert!(runs(&process));
    opened.kill().unwrap();
    opened.wait().unwrap();
    let since = Instant::now();
    while runs(&process) {
        assert!(since.elapsed() <= SECOND, "the program runs on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Nobody may have taken note of its end: then its name stays, and nothing else of it.
fn runs(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The consumer heard of the resumption.
async fn stands(consumer: &Node, contract: &str) {
    let begun = Instant::now();
    while consumer.get(&format!("/contracts/{contract}")).await["state"] != "active" {
        assert!(begun.elapsed() < PATIENCE, "{}", consumer.log());
        tokio::time::sleep(LOOK).await;
    }
}
