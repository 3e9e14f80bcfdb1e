//! The whole way with real processes: a short walk, and the same walk with a node or a replica killed at a random moment.
//!
//! The crash tests kill one of two nodes, or one of two replicas of the provider on one PostgreSQL
//! (`TIDM_TEST_POSTGRES`), with SIGKILL somewhere in a walk, starts it again and lets the walk
//! finish. Then: every fact that was shown before is still there, with its place in the log; the gate spent
//! exactly the leases it granted, and never more than the contract allows; both sides tell the same story.
//! `TIDM_SEED` repeats a run; `TIDM_LONG=1` makes 50 rounds of it.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod attest;
mod dataplane;
mod lost;
mod matching;
mod membership;
mod opening;
mod restored;
mod traced;
mod two;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use two::{LOOK, Miss, Node, PATIENCE, Two};

/// Uses that each contract of these tests permits.
const USES: u64 = 6;
const ROUNDS: (u64, u64) = (3, 50);
/// Kills fall into this span of a walk.
const SPAN_MS: u64 = 2500;

/// A small table, made here.
fn csv() -> String {
    let mut text = String::from("machine,at,load\n");
    for i in 0..400 {
        text += &format!("M{},2026-01-01T00:{:02}:{:02}Z,{}.5\n", i % 4, i / 60, i % 60, i % 90);
    }
    text
}

/// The product's id.
async fn publish(two: &Two) -> String {
    let path = two.dir.path().join("load.csv");
    std::fs::write(&path, csv()).unwrap();
    let offer = json!({"terms": {"uses": USES, "export": false, "deleteAfterUse": true, "kinds": ["query", "sealed-table"]}});
    let asked = json!({"path": path, "title": "Machine load", "offers": [offer]});
    let made = two.provider.insist(Method::POST, "/products", asked).await;
    assert_eq!(made["rows"], 400);
    made["id"].as_str().unwrap().to_owned()
}

/// What a walk saw of its contract.
struct Walked {
    contract: String,
    /// Uses whose result arrived.
    answered: u64,
}

/// Negotiates, fetches, uses here and at the provider, ends: whatever dies in between, it goes on.
async fn walk(two: &Two, product: &str) -> Walked {
    let contract = agree(two, product).await;
    fetch(&two.consumer, &contract).await;
    let mut answered = 0;
    for turn in 0..4 {
        let place = if turn % 2 == 0 { "here" } else { "provider" };
        let asked = json!({
            "contract": contract, "where": place,
            "sql": "SELECT machine, count(*) AS n, avg(load) AS mean FROM data GROUP BY machine"
        });
        // A use whose answer was lost is not repeated under the same lease: the gate may have counted it.
        match use_once(&two.consumer, asked).await {
            Some(answer) => {
                assert_eq!(answer["rows"], 4, "{answer}");
                answered += 1;
            }
            None => assert!(answered < USES),
        }
    }
    let path = format!("/contracts/{contract}/end");
    loop {
        match two.consumer.call(Method::POST, &path, json!({"reason": "the walk is over"})).await {
            Ok(_) => break,
            Err(Miss::Again(_)) => tokio::time::sleep(LOOK).await,
            // The call before was done, and its answer lost.
            Err(Miss::No(status, ..)) if status != 404 => break,
            Err(no @ Miss::No(..)) => panic!("{no:?}"),
        }
    }
    Walked { contract, answered }
}

/// The contract of a fresh negotiation; one whose node died is looked up again.
async fn agree(two: &Two, product: &str) -> String {
    let begun = Instant::now();
    loop {
        assert!(
            begun.elapsed() < PATIENCE,
            "no contract\n{}\n{}",
            two.provider.log(),
            two.consumer.log()
        );
        let asked = json!({"peer": two.provider.did, "product": product});
        let made = match two.consumer.call(Method::POST, "/negotiations", asked).await {
            Ok(made) => made,
            Err(Miss::Again(_)) | Err(Miss::No(404 | 409 | 422, ..)) => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(no @ Miss::No(..)) => panic!("{no:?}"),
        };
        let id = made["id"].as_str().unwrap().to_owned();
        loop {
            let it = two.consumer.get(&format!("/negotiations/{id}")).await;
            match it["state"].as_str() {
                Some("FINALIZED") => return it["contract"].as_str().unwrap().to_owned(),
                Some("TERMINATED") => panic!("the negotiation ended: {it}"),
                Some(_) | None => {}
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{it}\n{}\n{}",
                two.provider.log(),
                two.consumer.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Has the sealed table delivered.
async fn fetch(consumer: &Node, contract: &str) {
    let begun = Instant::now();
    let mut id: Option<String> = None;
    loop {
        assert!(begun.elapsed() < PATIENCE, "no delivery of {contract}\n{}", consumer.log());
        let Some(known) = &id else {
            match consumer
                .call(
                    Method::POST,
                    "/transfers",
                    json!({"contract": contract, "format": "sealed-table"}),
                )
                .await
            {
                Ok(made) => id = made["id"].as_str().map(str::to_owned),
                Err(Miss::Again(_)) => tokio::time::sleep(LOOK).await,
                Err(no @ Miss::No(..)) => panic!("{no:?}"),
            }
            continue;
        };
        let it = consumer.get(&format!("/transfers/{known}")).await;
        match it["state"].as_str() {
            Some("COMPLETED") => return,
            // The provider died over it and said so: ask anew.
            Some("TERMINATED") => id = None,
            Some(_) | None => tokio::time::sleep(LOOK).await,
        }
    }
}

/// One use; `None` when its answer was lost on the way.
async fn use_once(consumer: &Node, asked: Value) -> Option<Value> {
    match consumer.call(Method::POST, "/uses/query", asked).await {
        Ok(answer) => Some(answer),
        Err(Miss::Again(_)) => {
            // Let the node come back before the next one.
            drop(consumer.get("/info").await);
            None
        }
        Err(no @ Miss::No(..)) => panic!("{no:?}\n{}", consumer.log()),
    }
}

/// Facts as a node shows them: id to summary and place in the log.
async fn facts(node: &Node) -> BTreeMap<String, Value> {
    let rows = node.all("/facts").await;
    rows.into_iter().map(|it| (it["id"].as_str().unwrap().to_owned(), it)).collect()
}

/// Everything shown before is there now; what had a place in the log has the same one.
fn nothing_is_lost(name: &str, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    for (id, old) in before {
        let new = after.get(id).unwrap_or_else(|| panic!("{name} lost the fact {id}: {old}"));
        assert_eq!((&old["summary"], &old["at"]), (&new["summary"], &new["at"]), "{name}");
        if !old["logIndex"].is_null() {
            assert_eq!(old["logIndex"], new["logIndex"], "{name}: the log changed at {id}");
        }
    }
    let places: Vec<u64> = after.values().filter_map(|it| it["logIndex"].as_u64()).collect();
    let distinct: std::collections::BTreeSet<u64> = places.iter().copied().collect();
    assert_eq!(places.len(), distinct.len(), "{name}: two facts at one place of the log");
}

/// The gate spent what it granted; both sides agree, once late messages have arrived.
async fn accounts_agree(two: &Two, walked: &Walked) {
    let begun = Instant::now();
    let path = format!("/audit/{}", walked.contract);
    let report = loop {
        let it = two.provider.get(&path).await;
        let report = it["report"].clone();
        if report["verdict"] == "consistent" {
            break report;
        }
        let wait = report["verdict"] == "pending"
            || !it["peerError"].is_null()
            || report["verdict"] == "incomplete";
        assert!(
            wait && begun.elapsed() < PATIENCE,
            "{it:#}\n{}\n{}",
            two.provider.log(),
            two.consumer.log()
        );
        tokio::time::sleep(LOOK * 5).await;
    };
    let number = |it: &Value| -> u64 { it.as_str().unwrap().parse().unwrap() };
    let leases = report["providerAccount"]["leases"].as_object().unwrap();
    let granted = leases.values().filter(|it| !it["opened"].is_null()).count() as u64;
    let counts: std::collections::BTreeSet<&str> =
        leases.values().filter_map(|it| it["opened"]["use"].as_str()).collect();
    assert_eq!(counts.len() as u64, granted, "a use was counted twice: {report:#}");
    assert_eq!(number(&report["uses"]), granted);
    assert!(
        walked.answered <= granted && granted <= USES,
        "{} answered, {granted} granted",
        walked.answered
    );
    for node in two.nodes() {
        let it = node.get(&format!("/contracts/{}", walked.contract)).await;
        assert_eq!(it["state"], "ended", "{}: {it:#}", node.name);
    }
    let it = two.provider.get(&format!("/contracts/{}", walked.contract)).await;
    assert_eq!(it["usesLeft"].as_u64().unwrap(), USES - granted, "{it:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_walk() {
    let two = Two::start().await;
    let begun = Instant::now();
    let product = publish(&two).await;
    let walked = walk(&two, &product).await;
    assert_eq!(walked.answered, 4);
    accounts_agree(&two, &walked).await;
    println!("walk: {} ms", begun.elapsed().as_millis());
    let it = two.provider.get(&format!("/contracts/{}", walked.contract)).await;
    assert_eq!(
        (&it["providerSignature"], &it["consumerSignature"]),
        (&json!("signed"), &json!("signed"))
    );
    let over = json!({"contract": walked.contract, "sql": "SELECT count(*) AS n FROM data"});
    match two.consumer.call(Method::POST, "/uses/query", over).await {
        Err(Miss::No(_, code)) => {
            assert!(["contract.ended", "policy.denied"].contains(&code.as_str()), "{code}");
        }
        other => panic!("a use after the end: {other:?}"),
    }
}

/// Where the kills of this run come from, and how many there are.
fn rounds() -> (Random, u64) {
    let long = std::env::var("TIDM_LONG").is_ok_and(|it| it == "1");
    let rounds = if long { ROUNDS.1 } else { ROUNDS.0 };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var("TIDM_SEED")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| now.subsec_nanos().into());
    (Random(seed), rounds)
}

/// ADBC's driver, which prepares what it executes and asks for metadata.
const ADBC: &str = "
import sys
import adbc_driver_flightsql.dbapi as adbc
key = 'adbc.flight.sql.authorization_header'
with adbc.connect(sys.argv[1], db_kwargs={key: 'Bearer ' + sys.argv[2]}, autocommit=True) as c:
    tables = c.adbc_get_objects(depth='tables').read_all().to_pylist()
    print([t['table_name'] for n in tables for s in n['catalog_db_schemas'] for t in s['db_schema_tables']])
    cursor = c.cursor()
    for _ in range(2):
        cursor.execute('SELECT machine, count(*) AS n FROM data GROUP BY machine ORDER BY machine')
        print(cursor.fetch_arrow_table()['n'].to_pylist())
    try:
        cursor.execute('DELETE FROM data')
        cursor.fetchall()
    except adbc.Error as error:
        print(type(error).__name__)
";

/// What the command prints works when it is pasted, so does ADBC, and both accounts show each use.
#[tokio::test(flavor = "multi_thread")]
async fn tools_connect_as_the_command_says() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return println!("{why}"),
    };
    let two = Two::start().await;
    let product = publish(&two).await;
    let contract = agree(&two, &product).await;
    let printed = two.consumer.tidm(&["use", "flight", &contract]);
    let run = |program: String, words: Vec<String>| {
        let mut call = std::process::Command::new(&python);
        let done = call.arg("-c").arg(program).args(words).output().unwrap();
        let trouble = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{trouble}\n{}", two.provider.log());
        String::from_utf8(done.stdout).unwrap()
    };
    let said = run(printed, vec![]);
    assert!(said.contains("400"), "{said}");
    let told = two.consumer.tidm(&["--output", "json", "use", "flight", &contract]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let word = |name: &str| told[name].as_str().unwrap().to_owned();
    let said = run(ADBC.to_owned(), vec![word("endpoint"), word("token")]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["['data']", "[100, 100, 100, 100]", "[100, 100, 100, 100]"], "{said}");
    assert!(lines[3].ends_with("Error"), "{said}");
    let begun = Instant::now();
    loop {
        let it = two.provider.get(&format!("/audit/{contract}")).await;
        let findings = it["report"]["findings"].as_array().cloned().unwrap_or_default();
        let codes: Vec<&str> = findings.iter().filter_map(|it| it["code"].as_str()).collect();
        let programs = codes.iter().filter(|it| **it == "lease.used-by-program").count();
        if programs >= 3 && it["report"]["verdict"] == "consistent" {
            assert_eq!(it["report"]["uses"], programs.to_string(), "{it:#}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{it:#}\n{}", two.consumer.log());
        tokio::time::sleep(LOOK * 5).await;
    }
}

/// Python with the drivers: the test command names one that it made; elsewhere whatever is there, if it can.
fn python() -> Result<std::path::PathBuf, String> {
    let named = std::env::var_os("TIDM_PYTHON");
    let python = std::path::PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    let probe = "import pyarrow.flight, adbc_driver_flightsql.dbapi";
    let probe = std::process::Command::new(&python).args(["-c", probe]).output();
    if probe.is_ok_and(|it| it.status.success()) {
        return Ok(python);
    }
    let lacks = "cannot import pyarrow.flight and adbc_driver_flightsql";
    assert!(named.is_none(), "{} {lacks}: install them with pip", python.display());
    Err(format!(
        "SKIPPED: python3 {lacks} (pip install pyarrow adbc-driver-flightsql, or set TIDM_PYTHON)"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_loses_nothing() {
    let (mut random, rounds) = rounds();
    println!("crash: TIDM_SEED={}, {rounds} rounds", random.0);
    let two = Two::start().await;
    let product = publish(&two).await;
    for round in 0..rounds {
        let victim = two.nodes()[usize::try_from(random.next() % 2).unwrap()];
        let after = Duration::from_millis(random.next() % SPAN_MS);
        let killing = async {
            tokio::time::sleep(after).await;
            // What is shown now is acknowledged: it must survive.
            let seen = [facts(&two.provider).await, facts(&two.consumer).await];
            victim.kill();
            tokio::time::sleep(Duration::from_millis(random.next() % 300)).await;
            victim.start();
            victim.ready().await;
            seen
        };
        let (walked, seen) = tokio::join!(walk(&two, &product), killing);
        accounts_agree(&two, &walked).await;
        for (node, before) in two.nodes().into_iter().zip(&seen) {
            nothing_is_lost(node.name, before, &facts(node).await);
        }
        println!(
            "crash {round}: {} killed after {} ms, {} answered",
            victim.name,
            after.as_millis(),
            walked.answered
        );
    }
}

/// Two replicas of the provider on one PostgreSQL, one killed in each round: the other goes on, one log, one count.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_share_a_store_lose_nothing() {
    let Ok(server) = std::env::var("TIDM_TEST_POSTGRES") else {
        println!("SKIPPED: TIDM_TEST_POSTGRES names no server");
        return;
    };
    let schema = format!("tidm_walk_{}", uuid::Uuid::now_v7().simple());
    run_on(&server, format!("CREATE SCHEMA {schema}")).await;
    let mark = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{mark}options=-c%20search_path%3D{schema}");
    let (mut random, rounds) = rounds();
    println!("crash: TIDM_SEED={}, {rounds} rounds", random.0);
    {
        let two = Two::start_with(Some(&url)).await;
        let product = publish(&two).await;
        for round in 0..rounds {
            let victim = usize::try_from(random.next() % 2).unwrap();
            let after = Duration::from_millis(random.next() % SPAN_MS);
            let killing = async {
                tokio::time::sleep(after).await;
                let seen = facts(&two.provider).await;
                two.provider.kill_process(victim);
                tokio::time::sleep(Duration::from_millis(random.next() % 300)).await;
                // The other one answers for both.
                two.provider.get("/info").await;
                two.provider.start_process(victim);
                seen
            };
            let (walked, seen) = tokio::join!(walk(&two, &product), killing);
            accounts_agree(&two, &walked).await;
            nothing_is_lost("provider", &seen, &facts(&two.provider).await);
            println!(
                "crash {round}: replica {victim} killed after {} ms, {} answered",
                after.as_millis(),
                walked.answered
            );
        }
    }
    run_on(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
}

/// One statement on a connection of its own.
async fn run_on(url: &str, sql: String) {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let mut conn = sqlx::AnyConnection::connect(url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// SplitMix64: the same seed gives the same kills.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }
}
