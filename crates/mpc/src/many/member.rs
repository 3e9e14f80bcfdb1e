//! A party whose set counts and that learns nothing.
//!
//! What leaves it: a nonce, and its shares of zero behind a programmed function.

use super::shares::{MemberKey, shares};
use super::{NONCE_BYTES, Terms};
use crate::fault::Fault;
use crate::opprf;
use crate::psi::Set;
use crate::session::{Session, Setting};
use crate::step::Step;

/// A member's whole session over its channel to the leader. `number` is its place in the terms.
pub fn join(
    setting: Setting<'_>,
    terms: &Terms,
    number: usize,
    key: &MemberKey,
    set: &Set,
) -> Result<(), Fault> {
    terms.check()?;
    let misuse = Fault::ApiMisuse("the key is not that of this member");
    let member = terms.members.get(number).filter(|member| member.key == key.public());
    let member = member.ok_or(misuse)?;
    set.fits(member.items)?;
    let mut session = Session::open(setting, &terms.bytes(number))?;
    let nonce = session.stream(b"member nonce").bytes32();
    session.send(Step::MemberNonce, &nonce)?;
    let nonces = session.receive(Step::MemberNonces, terms.members.len() * NONCE_BYTES)?;
    if nonces.chunks_exact(NONCE_BYTES).nth(number) != Some(&nonce) {
        let what = "this member's nonce is not among those of all";
        return Err(Fault::misbehaved(Step::MemberNonces, what));
    }
    let keys = key.agree(terms, number, &nonces)?;
    let mut function = opprf::Sender::set_up(&mut session, &terms.function(member))?;
    function.run(&mut session, &shares(&keys, set.items()))
}
