//! Lists matched from the command line between two real nodes, from files and databases, and with a node killed meanwhile.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::two::{LOOK, Miss, Node, PATIENCE, Two};

/// Part numbers from `begin` on.
fn parts(begin: u32, count: u32) -> String {
    let mut text = String::from("part_no,amount\n");
    for number in begin..begin + count {
        writeln!(text, "P-{number:07},{}", number % 9).unwrap();
    }
    text
}

async fn agreed(two: &Two, count: u32) -> String {
    let terms = json!({"matchKey": "part_no:text;first", "kinds": ["psi"]});
    let product = published(two, count, terms).await;
    super::agree(two, &product).await
}

/// The id of a product with that many parts.
async fn published(two: &Two, count: u32, terms: Value) -> String {
    let path = two.dir.path().join("parts.csv");
    std::fs::write(&path, parts(0, count)).unwrap();
    let offer = json!({"terms": terms, "deliveries": ["psi"]});
    let asked = json!({"path": path, "title": "Parts", "offers": [offer]});
    let made = two.provider.insist(Method::POST, "/products", asked).await;
    made["id"].as_str().unwrap().to_owned()
}

/// What `tidm psi run` shows of one that is done.
fn ran(node: &Node, words: &[&str]) -> Value {
    let words = [&["psi", "run"][..], words, &["--output", "json"]].concat();
    let told: Value = serde_json::from_str(&node.tidm(&words)).unwrap();
    assert_eq!(told["state"], "done", "{told}");
    told
}

/// The exit code of what is refused, and its words: of the node's problem document where that said no.
fn refused(node: &Node, words: &[&str]) -> (i32, String) {
    let (code, told, trouble) = node.called(&[words, &["--output", "json"]].concat());
    // A matching that was begun and failed is shown as it stands.
    assert!(told.is_empty() || told.contains("\"failed\""), "tidm {words:?}: {told}{trouble}");
    let said = serde_json::from_str::<Value>(&trouble).ok();
    let said = said.and_then(|it| it["code"].as_str().map(str::to_owned));
    (code.unwrap(), said.unwrap_or(trouble))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_matched_from_the_command_line() {
    let two = Two::start().await;
    let contract = agreed(&two, 3000).await;
    let (mine, out) = (two.dir.path().join("mine.csv"), two.dir.path().join("common.csv"));
    std::fs::write(&mine, parts(2500, 1000)).unwrap();
    let consumer = &two.consumer;
    let run = ["psi", "run", &contract, "--mine", text(&mine), "--key", "part_no"];
    let told = consumer.tidm(&[&run[..], &["--out", text(&out), "--output", "json"]].concat());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((told["state"].as_str(), told["matched"].as_u64()), (Some("done"), Some(500)));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), parts(2500, 500));
    let shown = consumer.tidm(&["psi", "show", told["id"].as_str().unwrap(), "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let okvs = &shown["report"]["traffic"]["masks"];
    assert!(okvs["received"].as_u64() > Some(0) || okvs["sent"].as_u64() > Some(0), "{shown}");

    // The same question, asked of a database.
    let store = format!("sqlite:{}", two.dir.path().join("erp.db").display());
    let options = SqliteConnectOptions::from_str(&store).unwrap().create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    let made = "CREATE TABLE stock (no TEXT, n INTEGER);
        INSERT INTO stock VALUES ('P-0000007', 1), (' P-0002999 ', 2), ('P-9999999', 3)";
    sqlx::raw_sql(made).execute(&mut conn).await.unwrap();
    let sql = "SELECT no AS part_no, n FROM stock ORDER BY n";
    let run = ["psi", "run", &contract, "--mine", &store, "--sql", sql];
    consumer.tidm(&[&run[..], &["--out", text(&out)]].concat());
    let found = std::fs::read_to_string(&out).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), ["part_no,n", "P-0000007,1", " P-0002999 ,2"]);

    let no = consumer.refused(&["psi", "run", &contract, "--mine", text(&mine), "--key", "other"]);
    assert!(no.contains("other"), "{no}");
}

/// Every kind of answer that a contract reveals, each by its flags; and what is refused, by exit code and code.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_is_had_from_the_command_line() {
    let two = Two::start().await;
    let terms = json!({
        "matchKey": "part_no:text;first", "minMatches": 10, "kinds": ["psi"],
        "matchReveal": ["rows", "size", "sum", "atLeast", "labels"],
    });
    let product = published(&two, 3000, terms).await;
    let contract = super::agree(&two, &product).await;
    let (consumer, dir) = (&two.consumer, two.dir.path());
    let [mine, few, out, labels] =
        ["mine.csv", "few.csv", "out.csv", "labels.csv"].map(|it| dir.join(it));
    // Parts 2980 to 2999 match: of the second list one fewer than may be shown.
    std::fs::write(&mine, parts(2980, 100)).unwrap();
    std::fs::write(&few, parts(2991, 100)).unwrap();
    let amounts = || (2980..3000).map(|it| it % 9);
    let run = [contract.as_str(), "--mine", text(&mine)];
    let with = |more: &[&str]| ran(consumer, &[&run[..], more].concat());

    for (words, answer) in [
        (&["--reveal", "size"][..], json!({ "size": 20 })),
        (
            &["--reveal", "sum:amount", "--decimals", "1"],
            json!({ "sum": format!("{}.0", amounts().sum::<u32>()) }),
        ),
        (&["--reveal", "at-least:20"], json!({ "atLeast": true })),
        (&["--reveal", "at-least:21"], json!({ "atLeast": false })),
    ] {
        let told = with(words);
        assert_eq!((&told["answer"], &told["matched"]), (&answer, &Value::Null), "{words:?}");
    }
    let told = with(&[
        "--reveal",
        "labels:amount",
        "--label-bytes",
        "16",
        "--labels-out",
        text(&labels),
        "--out",
        text(&out),
    ]);
    assert_eq!(told["matched"], 20);
    let expected = (1..).zip(amounts()).map(|(row, it)| format!("{row},{it}\n"));
    let expected = expected.fold("row,amount\n".to_owned(), |all, it| all + &it);
    assert_eq!(std::fs::read_to_string(&labels).unwrap(), expected);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), parts(2980, 20));
    for protocol in ["rr22-malicious", "rr22-low"] {
        let theirs = ["--theirs", &product, "--protocol", protocol, "--columns", "amount"];
        let told = with(&[&theirs[..], &["--out", text(&out)]].concat());
        assert_eq!((&told["protocol"], &told["matched"]), (&json!(protocol), &json!(20)));
        let expected = amounts().fold("amount\n".to_owned(), |all, it| all + &format!("{it}\n"));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), expected);
    }
    let told = with(&["--bitmap", "--out", text(&out)]);
    let words = [u64::from_le_bytes(*b"tidmrow1"), 100, (1 << 20) - 1, 0];
    assert_eq!(told["matched"], 20);
    assert_eq!(std::fs::read(&out).unwrap(), words.map(u64::to_le_bytes).concat());

    // Too few to be shown: no error, and nothing to fetch.
    let told =
        ran(consumer, &[&contract, "--mine", text(&few), "--out", text(&dir.join("no.csv"))]);
    assert_eq!((&told["withheld"], &told["matched"]), (&json!("tidm:minMatches"), &Value::Null));
    assert!(!dir.join("no.csv").exists());
    let id = told["id"].as_str().unwrap();
    let rows =
        |id: &str| refused(consumer, &["psi", "rows", id, "--out", text(&dir.join("no.csv"))]);
    assert_eq!(rows(id), (7, "psi.no-rows".to_owned()));

    // What somebody deletes is gone, here and by the API; labels with it.
    let id = with(&["--reveal", "labels:amount"])["id"].as_str().unwrap().to_owned();
    consumer.tidm(&["psi", "labels", &id, "--out", text(&labels)]);
    consumer.tidm(&["psi", "forget", &id]);
    assert_eq!(rows(&id), (7, "psi.no-rows".to_owned()));
    for what in ["rows", "labels"] {
        let path = format!("/matchings/{id}/{what}");
        let no = consumer.call(Method::GET, &path, Value::Null).await;
        assert!(matches!(&no, Err(Miss::No(409, code)) if code == "psi.no-rows"), "{no:?}");
    }
    assert_eq!(consumer.get(&format!("/matchings/{id}")).await["matched"], 20);
    assert_eq!(refused(consumer, &["psi", "stop", &id]), (7, "psi.not-running".to_owned()));
    assert_eq!(refused(consumer, &["psi", "show", "none"]).0, 4);

    let other = format!("{product}0");
    for (words, code, said) in [
        (&["--reveal", "at-least:9"][..], 7, "psi.reveal"),
        (&["--reveal", "labels:nothing"], 1, "the product has no column nothing"),
        (&["--reveal", "size", "--protocol", "rr22-low"], 7, "psi.protocol"),
        (&["--reveal", "size", "--workers", "2"], 7, "psi.workers"),
        (&["--reveal", "size", "--bitmap"], 7, "request.malformed"),
        (&["--protocol", "rr23"], 7, "request.malformed"),
        (&["--table"], 7, "psi.no-table"),
        (&["--table", "--protocol", "rr22"], 7, "psi.table-protocol"),
        (&["--key", "part_no,amount"], 7, "psi.columns"),
        (&["--theirs", &other], 1, "the contract is about the product"),
        (&["--reveal", "everything"], 1, "is none of rows, size"),
        (&["--sql", "SELECT 1"], 1, "--sql goes with a database"),
        (&[&contract], 7, "psi.reveal"),
        (&[&contract, "--workers", "2"], 1, "several contracts"),
    ] {
        // Further contracts stand before what begins with dashes.
        let (code_is, told) =
            refused(consumer, &[&["psi", "run", &contract][..], words, &run[1..]].concat());
        assert_eq!(code_is, code, "{words:?}: {told}");
        assert!(told.contains(said), "{words:?}: {told}");
    }
}

/// A table made, fetched and asked from the command line; and a running one stopped on either side.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_asked_and_a_matching_stopped_from_the_command_line() {
    const ROWS: u32 = 400_000;
    let two = Two::start().await;
    let terms = json!({"matchKey": "part_no:text;first", "kinds": ["psi"]});
    let product = published(&two, ROWS, terms).await;
    let contract = super::agree(&two, &product).await;
    let (provider, consumer, dir) = (&two.provider, &two.consumer, two.dir.path());
    let [mine, many, out] = ["mine.csv", "many.csv", "out.csv"].map(|it| dir.join(it));
    std::fs::write(&mine, parts(ROWS - 5, 10)).unwrap();
    std::fs::write(&many, parts(0, ROWS)).unwrap();

    let made = provider.tidm(&["psi", "table", "prepare", &product, "--output", "json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["state"], &made["entries"]), (&json!("done"), &json!(ROWS)));
    for _ in 0..2 {
        let told =
            ran(consumer, &[&contract, "--mine", text(&mine), "--table", "--out", text(&out)]);
        assert_eq!((&told["table"], &told["matched"]), (&made["table"], &json!(5)));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), parts(ROWS - 5, 5));
    }
    let kept = consumer.tidm(&["psi", "table", "list", "--output", "json"]);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    let [kept] = kept["items"].as_array().unwrap().as_slice() else { panic!("{kept}") };
    assert_eq!((&kept["kind"], &kept["fetched"]), (&json!("kept"), &json!(1)));
    let id = made["id"].as_str().unwrap();
    provider.tidm(&["psi", "table", "drop", id]);
    assert_eq!(refused(provider, &["psi", "table", "show", id]).0, 4);
    let ask = ["psi", "run", &contract, "--mine", text(&mine), "--table"];
    assert_eq!(refused(consumer, &ask), (7, "psi.no-table".to_owned()));

    for stopper in [consumer, provider] {
        let run = ["psi", "run", &contract, "--mine", text(&many), "--detach", "--output", "json"];
        let told: Value = serde_json::from_str(&consumer.tidm(&run)).unwrap();
        let id = told["id"].as_str().unwrap();
        running(stopper, id).await;
        stopper.tidm(&["psi", "stop", id]);
        for node in two.nodes() {
            let it = node.get(&format!("/matchings/{id}?wait=20")).await;
            assert_eq!(it["state"], "failed", "{it}");
            let cancelled = it["fault"]["code"] == "psi.cancelled";
            assert_eq!(cancelled, node.name == stopper.name, "{it}");
        }
        assert_eq!(refused(stopper, &["psi", "stop", id]), (7, "psi.not-running".to_owned()));
        let rows = ["psi", "rows", id, "--out", text(&out)];
        assert_eq!(refused(consumer, &rows), (7, "psi.no-rows".to_owned()));
    }
}

/// SIGKILL of either node in the middle: the same result, and the items counted once.
#[tokio::test(flavor = "multi_thread")]
async fn a_matching_outlives_nodes_that_are_killed() {
    const ROWS: u32 = 400_000;
    let two = Two::start().await;
    let contract = agreed(&two, ROWS).await;
    let (mine, out) = (two.dir.path().join("mine.csv"), two.dir.path().join("common.csv"));
    std::fs::write(&mine, parts(ROWS / 2, ROWS)).unwrap();
    for victim in [&two.provider, &two.consumer] {
        let run = ["psi", "run", &contract, "--mine", text(&mine), "--detach", "--output", "json"];
        let told: Value = serde_json::from_str(&two.consumer.tidm(&run)).unwrap();
        let id = told["id"].as_str().unwrap();
        running(victim, id).await;
        victim.kill();
        victim.start();
        victim.ready().await;
        let begun = Instant::now();
        let it = loop {
            let it = two.consumer.get(&format!("/matchings/{id}?wait=5")).await;
            if it["state"] != "open" {
                break it;
            }
            assert!(begun.elapsed() < PATIENCE * 2, "{it}\n{}", two.consumer.log());
        };
        assert_eq!((&it["state"], &it["matched"]), (&json!("done"), &json!(ROWS / 2)), "{it}");
        two.consumer.tidm(&["psi", "rows", id, "--out", text(&out)]);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), parts(ROWS / 2, ROWS / 2));
        // What had left before the kill is known, as a least.
        let left = victim.get(&format!("/matchings/{id}")).await["brokenOff"].take();
        assert_eq!(left["atLeast"], json!(true), "{left}");
        assert!(left["sent"].as_u64() > Some(0), "{left}");
    }
}

/// Its process moves bytes.
async fn running(node: &Node, id: &str) {
    let begun = Instant::now();
    loop {
        let it = node.call(Method::GET, &format!("/matchings/{id}"), Value::Null).await;
        if it.is_ok_and(|it| it["progress"]["sent"].as_u64() > Some(0)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not run\n{}", node.log());
        tokio::time::sleep(LOOK.min(Duration::from_millis(5))).await;
    }
}
