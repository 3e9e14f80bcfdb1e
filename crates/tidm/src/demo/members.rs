//! The member list of the demo's space, signed as its operator would.
//!
//! Never a list that outlives the demo by much: it expires after a day.

use std::time::Duration;

use tidm_node::clock::Clock;
use tidm_node::init;
use tidm_node::keys::Keys as _;
use tidm_node::keys::directory::Directory;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::wire::tidm::members;

use super::trouble::Trouble;
use super::world::{Part, World};

const LIFE: Duration = Duration::from_secs(24 * 3600);

/// Writes `members.jws` with the operator's own key.
pub(super) fn sign(world: &World) -> Result<(), Trouble> {
    let failed = |why: &dyn std::fmt::Display| Trouble::here("members.jws", why);
    let operator = world.node(Part::Intermediary)?;
    let did = Did::parse(&operator.did).map_err(|why| failed(&why))?;
    let mut listed = Vec::new();
    for node in world.nodes() {
        listed.push(Member {
            did: Did::parse(&node.did).map_err(|why| failed(&why))?,
            name: node.part.org(world.lang).to_owned(),
            roles: Role::from_name(node.part.role()).into_iter().collect(),
            credit_code: None,
            endpoint: Some(format!("{}{}", node.url(), init::DSP_PATH)),
            cut: false,
        });
    }
    let now = Clock::default().now();
    let list = MemberList {
        space: Id::parse("urn:tidm:space:demo").map_err(|why| failed(&why))?,
        operator: did.clone(),
        version: 1,
        issued: now,
        expires: now.after(LIFE),
        members: listed,
    };
    let keys = Directory::open(&operator.dir.join(init::KEYS), None).map_err(|why| failed(&why))?;
    let kid = init::key_id(&did, &keys.identity().verifying_key());
    let jws = members::seal(&list, &kid, keys.identity()).map_err(|why| failed(&why))?;
    std::fs::write(world.member_list(), jws).map_err(|why| failed(&why))
}
