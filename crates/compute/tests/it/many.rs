//! Jobs of more than two parties, each a process: the right rows, and what ends them.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tidm_compute::job::many::KeySeed;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidm-compute-worker"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Writes a list, and gives its keys back.
fn list(path: &Path, column: &str, keys: impl Iterator<Item = u32>) -> HashSet<String> {
    let keys: Vec<String> = keys.map(|it| format!("K-{it:06}")).collect();
    let rows = keys.iter().enumerate().map(|(row, key)| format!("{row},{key}\n"));
    std::fs::write(path, rows.fold(format!("row,{column}\n"), |all, row| all + &row)).unwrap();
    keys.into_iter().collect()
}

fn last(child: Child) -> Value {
    let lines = BufReader::new(child.stdout.unwrap()).lines().map_while(Result::ok);
    serde_json::from_str(&lines.last().unwrap()).unwrap()
}

#[test]
fn the_leader_gets_its_rows_that_all_lists_have() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let mine = list(&path("mine.csv"), "id", (0..3000).rev());
    let others = [
        list(&path("a.csv"), "number", 0..2500),
        list(&path("b.csv"), "number", (0..9000).step_by(2)),
        list(&path("c.csv"), "number", (0..900).map(|it| it * 3)),
    ];
    let (also, out) = (["b.csv", "c.csv"].map(|it| format!("also={}", text(it))), text("out.csv"));
    for count in [1, 2] {
        let (mine_csv, a, out) = (text("mine.csv"), text("a.csv"), format!("out={out}"));
        let mut all = vec!["local", &mine_csv, &a, "id", "their-columns=number", &out];
        all.extend(also.iter().take(count).map(String::as_str));
        let answer = last(program(&all).spawn().unwrap());
        let expected: Vec<String> = {
            let members = &others[..=count];
            let common = |key: &&String| members.iter().all(|it| it.contains(*key));
            let keys: HashSet<&String> = mine.iter().filter(common).collect();
            let text = std::fs::read_to_string(path("mine.csv")).unwrap();
            let has = |line: &&str| keys.contains(&line.rsplit(',').next().unwrap().to_owned());
            text.lines().filter(has).map(str::to_owned).collect()
        };
        let found = std::fs::read_to_string(path("out.csv")).unwrap();
        let found: Vec<&str> = found.lines().collect();
        assert_eq!(found[0], "row,id");
        assert_eq!(&found[1..], expected, "{count} more");
        assert!(expected.len() > 300);
        assert_eq!(answer["leader"]["matched"], expected.len());
        for member in answer["members"].as_array().unwrap() {
            assert_eq!((member.get("matched"), &member["rows"]), (None, &member["items"]));
            assert!(member["sent"].as_u64().unwrap() > 0);
        }
    }
}

/// Two members over sockets of this directory, and a leader.
fn orders(dir: &Path) -> [Value; 3] {
    let seeds = [[1; 32], [2; 32]].map(KeySeed::new);
    let members = seeds.each_ref().map(|it| json!({ "key": it.public(), "items": 100 }));
    let socket = |number: usize| format!("unix:{}", dir.join(format!("s{number}")).display());
    let order = |side: Value, name: &str| {
        list(&dir.join(name), "id", 0..100);
        json!({
            "side": side, "job": "0a".repeat(32), "leader_items": 100, "members": members,
            "rule": { "parts": [{ "role": "id", "form": "text" }], "equals": "first" },
            "mapping": { "id": "id" },
            "source": { "path": dir.join(name), "format": "csv" },
            "memory": 512 << 20, "silence": 20, "patience": 20,
        })
    };
    let member = |number: usize| {
        let connect = json!({ "listen": socket(number) });
        json!({ "member": { "number": number, "seed": seeds[number], "connect": connect } })
    };
    let connect = [0, 1].map(|it| json!({ "dial": socket(it) }));
    let leader = json!({ "leader": { "connect": connect } });
    [order(leader, "mine.csv"), order(member(0), "a.csv"), order(member(1), "b.csv")]
}

fn start(order: &Value) -> Child {
    let mut child = program(&["many"]).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
    child
}

#[test]
fn one_that_fails_ends_it_for_all_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // As it is; then one with more rows than it said, one that agreed to other sizes, one without its column.
    let whole = orders(dir.path());
    let ended = whole.each_ref().map(start).map(last);
    assert_eq!(ended.each_ref().map(|it| &it["event"]), ["report"; 3], "{ended:?}");
    for (field, value, codes) in [
        (
            "leader_items",
            json!(99),
            ["mpc.peer-incompatible", "mpc.peer-stopped", "mpc.peer-incompatible"],
        ),
        (
            "mapping",
            json!({ "id": "no" }),
            ["mpc.connection-lost", "mpc.peer-stopped", "keys.no-column"],
        ),
    ] {
        let mut orders = orders(dir.path());
        orders[2][field] = value;
        for order in &mut orders {
            order["patience"] = json!(2);
        }
        let ended = orders.each_ref().map(start).map(last);
        let codes = codes.map(Some);
        assert_eq!(ended.each_ref().map(|it| it["code"].as_str()), codes, "{ended:?}");
        assert_eq!(ended[0]["member"], 1, "{ended:?}");
    }
    let mut orders = orders(dir.path());
    list(&dir.path().join("a.csv"), "id", 0..101);
    orders[0]["patience"] = json!(2);
    let ended = [start(&orders[0]), start(&orders[1])].map(last);
    assert_eq!(ended[1]["code"], "mpc.too-many");
    assert_eq!(ended[0]["member"], 0);
}
