//! 9: a contract says what somebody put on the table, its digest is over what both signed, and both signatures
//! verify with their signer's key, on both sides.

use tidm_crypto::hash::sha256;
use tidm_crypto::jws::{BadJws, Unverified};
use tidm_space::contract::{Contract, signed_bytes};
use tidm_space::negotiation::message::{Role, Signature};
use tidm_space::policy::model::Policy;
use tidm_space::wire::record;
use tidm_space::wire::terms::digest;

use super::Moment;
use crate::world::World;

#[expect(clippy::wildcard_enum_match_arm, reason = "the other moments are for other properties")]
pub(super) fn check(world: &World, moment: &Moment<'_>) -> Result<(), String> {
    match moment {
        Moment::Committed { node, was, commit } => commit
            .contracts
            .iter()
            .filter(|it| !was.contracts.contains_key(&it.id))
            .try_for_each(|it| signed(world, *node, it)),
        Moment::End => {
            for at in 0..world.nodes.len() {
                for id in world.nodes[at].store.contracts.keys() {
                    let Ok(Some(mine)) = world.nodes[at].store.contract(id) else {
                        return Err(format!("n{at}: {id} cannot be read"));
                    };
                    let Some(peer) = world.node_of(&mine.peer) else { continue };
                    let Ok(theirs) = world.nodes[peer].store.contract(id) else {
                        return Err(format!("n{peer}: {id} cannot be read"));
                    };
                    if theirs.is_some_and(|it| {
                        it.digest != mine.digest || !it.policy.same_terms(&mine.policy)
                    }) {
                        return Err(format!(
                            "contract {id} says different things at n{at} and n{peer}"
                        ));
                    }
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn signed(world: &World, node: usize, it: &Contract) -> Result<(), String> {
    let me = &world.nodes[node].did;
    let (provider, consumer) = (it.provider(me), it.consumer(me));
    let bytes =
        signed_bytes(&it.id, provider, consumer, &it.product, digest(&it.policy), it.signed_at);
    if sha256(&bytes) != it.digest {
        return Err(format!("n{node}: the digest of {} is not over its terms", it.id));
    }
    for (who, signature) in [(provider, &it.provider_signature), (consumer, &it.consumer_signature)]
    {
        let Some(signer) = world.node_of(who) else { return Err(format!("{who} is nobody")) };
        match signature {
            Some(Signature(jws)) => {
                let payload = verified(world, signer, jws)
                    .map_err(|why| format!("n{node}: {}: {why}", it.id))?;
                if payload != bytes {
                    return Err(format!("n{node}: {who} signed something else than {}", it.id));
                }
            }
            None if world.nodes[node].demands_signatures => {
                return Err(format!("n{node}: {} is not signed by {who}", it.id));
            }
            None => {}
        }
    }
    offered(world, node, it)
}

fn verified(world: &World, signer: usize, jws: &str) -> Result<Vec<u8>, BadJws> {
    let key = (signer, jws.to_owned());
    if let Some(known) = world.reference.verified.borrow().get(&key) {
        return Ok(known.clone());
    }
    let payload = Unverified::parse(jws)?.verify(&world.nodes[signer].public)?.to_vec();
    world.reference.verified.borrow_mut().insert(key, payload.clone());
    Ok(payload)
}

fn offered(world: &World, node: usize, it: &Contract) -> Result<(), String> {
    let Some(peer) = world.node_of(&it.peer) else { return Ok(()) };
    if world.is_traitor(node) || world.is_traitor(peer) {
        return Ok(());
    }
    let (provider, consumer) = if it.role == Role::Provider { (node, peer) } else { (peer, node) };
    let said = world.reference.proposed.get(&(consumer, it.product.clone()));
    let said = said.is_some_and(|all| all.iter().any(|policy| policy.same_terms(&it.policy)));
    let listed = world.nodes[provider]
        .store
        .products
        .get(&it.product)
        .and_then(|row| record::product::decode(&row.record).ok());
    let same = |policy: &Policy| policy.same_terms(&it.policy);
    if said || listed.is_some_and(|product| product.offers.iter().any(|offer| same(offer.policy())))
    {
        Ok(())
    } else {
        Err(format!("n{node}: nobody put the terms of {} on the table", it.id))
    }
}
