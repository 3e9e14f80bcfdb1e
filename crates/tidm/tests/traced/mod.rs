//! `tidm watermark trace` over a table that was really delivered: one contract is named, and no other.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use tidm_crypto::hash::sha256;

use crate::agree;
use crate::two::{Miss, Node, Two};

/// Two thousand readings with a digit to mark.
fn readings() -> String {
    let mut text = String::from("sensor,temp\n");
    for i in 0..2_000_u64 {
        let tenths = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        text += &format!("s{i},{}.{}\n", 18 + tenths / 10, tenths % 10);
    }
    text
}

async fn delivered(consumer: &Node, contract: &str) -> PathBuf {
    let asked = json!({"contract": contract, "format": "plain"});
    let made = consumer.insist(Method::POST, "/transfers", asked).await;
    let path = format!("/transfers/{}?wait=30", made["id"].as_str().unwrap());
    let it = consumer.get(&path).await;
    assert_eq!(it["state"], "COMPLETED", "{it}");
    let digest = it["copies"][0]["sha256"].as_str().unwrap();
    lying(&consumer.dir.join("data"), digest).unwrap_or_else(|| panic!("no file {digest}"))
}

/// The file of this digest, wherever the node keeps it.
fn lying(dir: &Path, digest: &str) -> Option<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
    all.sort();
    all.into_iter().find_map(|path| {
        if path.is_dir() {
            return lying(&path, digest);
        }
        let is = |bytes: Vec<u8>| sha256(&bytes).to_string() == digest;
        std::fs::read(&path).is_ok_and(is).then_some(path)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_names_the_contract_that_a_found_table_was_delivered_under() {
    let two = Two::start().await;
    let (own, dir) = (two.dir.path().join("temp.csv"), two.dir.path());
    std::fs::write(&own, readings()).unwrap();
    let terms = json!({"watermark": "temp:0.1;sensor", "kinds": ["plain"]});
    let asked = json!({"path": own, "title": "Temperatures", "offers": [{"terms": terms}]});
    let made = two.provider.insist(Method::POST, "/products", asked).await;
    let product = made["id"].as_str().unwrap();
    let (first, second) = (agree(&two, product).await, agree(&two, product).await);
    assert_ne!(first, second);
    let leak = dir.join("leak.parquet");
    std::fs::copy(delivered(&two.consumer, &first).await, &leak).unwrap();
    drop(delivered(&two.consumer, &second).await);

    let trace = |path: &Path| -> Value {
        let path = path.display().to_string();
        let words = ["-o", "json", "watermark", "trace", path.as_str(), "--product", product];
        serde_json::from_str(&two.provider.tidm(&words)).unwrap()
    };
    let found = trace(&leak);
    let counts = ["rows", "contracts", "named"].map(|it| found[it].as_u64().unwrap());
    assert_eq!(counts, [2_000, 2, 1], "{found:#}");
    let [named, other] = [0, 1].map(|at| &found["suspects"][at]);
    assert_eq!(
        (&named["contract"], &named["consumer"], &named["named"]),
        (&json!(first), &json!(two.consumer.did), &json!(true))
    );
    assert_eq!((&other["contract"], &other["named"]), (&json!(second), &json!(false)));
    assert_eq!(named["agree"], named["cells"], "{named}");
    assert!(named["changed"].as_u64().is_some_and(|it| (180..320).contains(&it)), "{named}");
    assert!(found["means"].is_string());

    // The provider's own file blames nobody, and a file without what tells rows apart is held against nobody.
    assert_eq!(trace(&own)["named"], 0);
    let odd = dir.join("odd.csv");
    std::fs::write(&odd, "a,b\n1,2\n").unwrap();
    let odd = odd.display().to_string();
    let no = two.provider.refused(&["watermark", "trace", &odd, "--product", product]);
    assert!(no.contains("watermark.columns"), "{no}");
    // Who holds no evidence scope traces nobody, and a stranger's product is none.
    let path = format!("/products/{product}/trace?name=x.csv");
    let key = json!({"title": "reader", "scopes": ["read", "publish"]});
    let key = two.provider.insist(Method::POST, "/keys", key).await;
    let token = key["token"].as_str().unwrap();
    let asked = two.provider.call_with(token, Method::POST, &path, Value::Null).await;
    assert!(matches!(asked, Err(Miss::No(403, _))), "{asked:?}");
    let no = two.consumer.refused(&["watermark", "trace", &odd, "--product", product]);
    assert!(no.contains("not-found"), "{no}");
}
