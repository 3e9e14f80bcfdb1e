//! Asks for more than it may: many uses at once, one nonce with several keys, uses after the end, and uses under
//! contracts of others.

use tidm_space::id::Id;
use tidm_space::wire;

use crate::strategy::ask;
use crate::world::World;

/// Requests that race each other in one deed.
const BURST: usize = 6;

pub fn act(world: &mut World, node: usize) {
    let provider = world.dice.below(world.providers);
    if provider == node {
        return;
    }
    let me = world.nodes[node].did.clone();
    let stranger = world.dice.chance(20);
    let contracts: Vec<Id> = world.nodes[provider]
        .store
        .contracts
        .iter()
        .filter(|(_, it)| stranger || it.peer.as_ref() == Some(&me))
        .map(|(id, _)| id.clone())
        .collect();
    let Some(contract) = world.dice.pick(&contracts).cloned() else { return };
    let mut request = ask(world, contract);
    for turn in 0..BURST {
        match world.dice.below(3) {
            0 => request.key = world.dice.bytes(),
            1 => request.nonce = world.dice.bytes(),
            _ => {}
        }
        let Ok(id) = Id::parse(&format!("urn:over:{}:{turn}", world.dice.roll())) else { return };
        let posting = wire::tidm::lease::write_request(&id, &request);
        world.inject(node, provider, posting.path, &posting.body);
    }
}
