//! Says again what it said before, hours later and out of order: word for word, or under a fresh message id.

use super::recall;
use crate::world::World;

/// Messages that one deed repeats.
const REPEATS: usize = 3;

pub fn act(world: &mut World, node: usize) {
    for _ in 0..REPEATS {
        let Some(it) = recall(world, |it| it.from == node) else { return };
        let body = if world.dice.chance(50) {
            it.body.to_string()
        } else {
            fresh_id(&it.body, world.dice.roll())
        };
        world.inject(node, it.to, it.path, &body);
    }
}

/// The same document with another `@id` at its top.
fn fresh_id(body: &str, number: u64) -> String {
    let Ok(serde_json::Value::Object(mut doc)) = serde_json::from_str(body) else {
        return body.to_owned();
    };
    if doc.contains_key("@id") {
        doc.insert("@id".to_owned(), serde_json::Value::String(format!("urn:replayed:{number}")));
    }
    serde_json::Value::Object(doc).to_string()
}
