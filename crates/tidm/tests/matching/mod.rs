//! Lists matched from the command line between two real nodes, from files and databases, and with a node killed meanwhile.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::two::{LOOK, Node, PATIENCE, Two};

/// Part numbers from `begin` on.
fn parts(begin: u32, count: u32) -> String {
    let mut text = String::from("part_no,amount\n");
    for number in begin..begin + count {
        writeln!(text, "P-{number:07},{}", number % 9).unwrap();
    }
    text
}

async fn agreed(two: &Two, count: u32) -> String {
    let path = two.dir.path().join("parts.csv");
    std::fs::write(&path, parts(0, count)).unwrap();
    let offer = json!({"terms": {"matchKey": "part_no:text;first", "kinds": ["psi"]}, "deliveries": ["psi"]});
    let asked = json!({"path": path, "title": "Parts", "offers": [offer]});
    let made = two.provider.insist(Method::POST, "/products", asked).await;
    super::agree(two, made["id"].as_str().unwrap()).await
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
