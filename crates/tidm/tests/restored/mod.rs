//! A provider whose whole data directory comes from an older copy: its custodian has seen more, and it does not start.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use reqwest::Method;
use serde_json::json;

use tidm_node::config::Config;
use tidm_node::config::template::quoted;
use tidm_node::init;
use tidm_node::keys::directory::Directory;

use crate::two::{LOOK, Node, PATIENCE, lasting_port};

/// Verifier keys of a node's log and, were it a custodian, of its witness.
fn keys_of(dir: &Path) -> (String, String) {
    let config = Config::load(dir, [], &[]).unwrap();
    let keys = Directory::open(&dir.join(init::KEYS), None).unwrap();
    let log = init::log_vkey(&config, &keys).unwrap().to_string();
    (log, init::witness_vkey(&config, &keys).unwrap().to_string())
}

/// A provider, watched by a custodian.
fn nodes(root: &Path) -> (Node, Node) {
    let ports = [lasting_port(), lasting_port()].map(|it| it.local_addr().unwrap().port());
    let mode = ("identity.mode", quoted("did"));
    let custodian = [mode.clone(), ("node.roles", "[\"custodian\"]".to_owned())];
    drop(Node::new(root, "custodian", ports[1], &custodian));
    let (_, witness) = keys_of(&root.join("custodian"));
    let watching = format!(
        "[{{ url = \"http://localhost:{}/witness\", vkey = {} }}]",
        ports[1],
        quoted(&witness)
    );
    let plant = Node::new(root, "plant", ports[0], &[mode, ("evidence.custodians", watching)]);
    let (log, _) = keys_of(&root.join("plant"));
    let watched = ("evidence.watched", format!("[{}]", quoted(&log)));
    let custodian: Vec<_> = custodian.into_iter().chain([watched]).collect();
    (plant, Node::new(root, "custodian", ports[1], &custodian))
}

async fn published(plant: &Node, root: &Path, name: &str) {
    let path = root.join(name);
    std::fs::write(&path, "machine,load\nM1,0.5\nM2,0.7\n").unwrap();
    let offer = json!({"terms": {"uses": 3, "kinds": ["query"]}});
    let asked = json!({"path": path, "title": name, "offers": [offer]});
    plant.insist(Method::POST, "/products", asked).await;
}

/// The size of the plant's log that the custodian cosigned last; it keeps one file for each log that it watches.
fn witnessed(custodian: &Node) -> u64 {
    let heads = std::fs::read_dir(custodian.dir.join("data/witness")).into_iter().flatten();
    let size = |path: &Path| {
        let text = std::fs::read_to_string(path).ok()?;
        text.lines().nth(1)?.parse::<u64>().ok()
    };
    heads.filter_map(|it| size(&it.unwrap().path())).max().unwrap_or(0)
}

/// All facts of the plant are in its log, and the custodian cosigned that: how many there are.
async fn settled(plant: &Node, custodian: &Node) -> u64 {
    let begun = Instant::now();
    loop {
        let facts = plant.all("/facts").await;
        let places = facts.iter().filter(|it| it["logIndex"].is_u64()).count() as u64;
        if places == facts.len() as u64 && places > 0 && witnessed(custodian) == places {
            return places;
        }
        assert!(begun.elapsed() < PATIENCE, "{places}\n{}\n{}", plant.log(), custodian.log());
        tokio::time::sleep(LOOK).await;
    }
}

fn copied(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_a_provider_restored_from_an_older_copy_does_not_start() {
    let root = tempfile::tempdir().unwrap();
    let (plant, custodian) = nodes(root.path());
    custodian.begin().await;
    plant.begin().await;
    published(&plant, root.path(), "first.csv").await;
    let first = settled(&plant, &custodian).await;
    let (data, older, newer) =
        (plant.dir.join("data"), root.path().join("older"), root.path().join("newer"));
    plant.kill();
    copied(&data, &older);
    // From its own copy of that moment it goes on: nothing happened since.
    std::fs::remove_dir_all(&data).unwrap();
    copied(&older, &data);
    plant.start();
    plant.ready().await;
    published(&plant, root.path(), "second.csv").await;
    let second = settled(&plant, &custodian).await;
    assert!(second > first, "{first} {second}");
    plant.kill();
    copied(&data, &newer);
    // Now the same copy is older than what the custodian has seen.
    std::fs::remove_dir_all(&data).unwrap();
    copied(&older, &data);
    plant.start();
    let (code, said) = plant.ended().await;
    assert_ne!(code, Some(0), "{said}");
    let told = format!("witnessed: {second}, own: {first}");
    assert!(said.contains("the evidence log may not go on") && said.contains(&told), "{said}");
    let place = plant.url.trim_start_matches("http://");
    assert!(tokio::net::TcpStream::connect(place).await.is_err(), "it listens");
    // The newest copy starts: it was the age that was refused.
    std::fs::remove_dir_all(&data).unwrap();
    copied(&newer, &data);
    plant.start();
    plant.ready().await;
    assert_eq!(plant.all("/products").await.len(), 2);
}
