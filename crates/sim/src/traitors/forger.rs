//! Speaks in other people's negotiations, transfers and contracts under its own name, changes terms and
//! signatures in what it says, ends contracts that are not its own, and signs for deletions it never did.

use serde_json::{Value, json};

use super::recall;
use crate::world::World;

pub fn act(world: &mut World, node: usize) {
    match world.dice.below(5) {
        // Another's message, told as its own.
        0 => {
            if let Some(it) = recall(world, |it| it.from != node && it.to != node) {
                world.inject(node, it.to, it.path, &it.body);
            }
        }
        // Its own message with other terms or another signature.
        1 | 2 => {
            if let Some(it) = recall(world, |it| it.from == node) {
                let turn = world.dice.roll();
                world.inject(node, it.to, it.path, &changed(&it.body, turn));
            }
        }
        // The end of somebody's contract.
        3 => {
            let victim = world.dice.below(world.members);
            let contracts: Vec<_> = world.nodes[victim].store.contracts.keys().cloned().collect();
            if let Some(contract) = world.dice.pick(&contracts).cloned() {
                let words = ["revoked", "agreed", "expired", "used-up"];
                let why = words[world.dice.below(words.len())];
                let turn = world.dice.roll();
                let doc = json!({"@type": "ContractEnded", "@id": format!("urn:forged:{turn}"), "contract": contract.as_str(), "why": why, "reason": "forged"});
                world.inject(node, victim, "/tidm/1/contracts/ended".to_owned(), &doc.to_string());
            }
        }
        // A deletion receipt whose signature is another document's.
        _ => {
            let victim = world.dice.below(world.members);
            let contracts: Vec<_> = world.nodes[victim].store.contracts.keys().cloned().collect();
            if let Some(contract) = world.dice.pick(&contracts).cloned() {
                let receipt = world.nodes[node].sign("tidm-deletion+jws", b"nothing was deleted");
                let turn = world.dice.roll();
                let doc = json!({
                    "@type": "CopiesDeleted", "@id": format!("urn:forged:{turn}"), "contract": contract.as_str(),
                    "at": "2026-06-01T00:00:00.000Z", "files": [], "receipt": receipt,
                });
                world.inject(
                    node,
                    victim,
                    "/tidm/1/contracts/deleted".to_owned(),
                    &doc.to_string(),
                );
            }
        }
    }
}

/// Other terms, another signature, or another kind of event; under a fresh message id.
fn changed(body: &str, turn: u64) -> String {
    let Ok(mut doc) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    doc["@id"] = json!(format!("urn:forged:{turn}"));
    for policy in ["offer", "agreement"] {
        if let Some(rules) = doc
            .get_mut(policy)
            .and_then(|it| it.get_mut("permission"))
            .and_then(Value::as_array_mut)
        {
            for rule in rules {
                rule["constraint"] =
                    json!([{"leftOperand": "count", "operator": "lteq", "rightOperand": "1000"}]);
            }
        }
    }
    if doc.get("tidm:signature").is_some() && turn.is_multiple_of(2) {
        doc["tidm:signature"] = json!("e30.e30.AAAA");
    }
    if doc.get("eventType").is_some() {
        doc["eventType"] = json!("FINALIZED");
    }
    doc.to_string()
}
