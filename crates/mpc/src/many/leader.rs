//! The party that learns the intersection.
//!
//! What leaves it: the members' nonces, and its items under one-time masks, one for each member.

use super::{NONCE_BYTES, Terms};
use crate::fault::Fault;
use crate::opprf;
use crate::psi::Set;
use crate::session::{Session, Setting};
use crate::step::Step;

/// A fault, and with which member it came up. None where it was before any.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Blamed {
    pub member: Option<usize>,
    pub fault: Fault,
}

impl From<Fault> for Blamed {
    fn from(fault: Fault) -> Self {
        Self { member: None, fault }
    }
}

/// The leader's whole session: places in its list of the items that every member has, rising.
///
/// Settings are one per member, in the order of the terms; members are served one after the other. After a fault the
/// caller closes all channels: the other members wait.
pub fn lead(settings: Vec<Setting<'_>>, terms: &Terms, set: &Set) -> Result<Vec<u32>, Blamed> {
    let mut leader = Leader::open(settings, terms, set)?;
    let mut sums = vec![0; set.len()];
    for number in 0..terms.members.len() {
        for (sum, share) in sums.iter_mut().zip(leader.ask(terms, number, set)?) {
            *sum ^= share;
        }
    }
    let common = sums.iter().enumerate().filter(|(_, sum)| **sum == 0);
    let mut places: Vec<u32> = common.map(|(index, _)| set.place(index)).collect();
    places.sort_unstable();
    Ok(places)
}

/// The leader after every member knows the nonces of all.
pub(super) struct Leader<'a> {
    sessions: Vec<Session<'a>>,
}

impl<'a> Leader<'a> {
    pub(super) fn open(
        settings: Vec<Setting<'a>>,
        terms: &Terms,
        set: &Set,
    ) -> Result<Self, Blamed> {
        terms.check()?;
        set.fits(terms.leader_items)?;
        if settings.len() != terms.members.len() {
            return Err(Fault::ApiMisuse("there is not one channel per member").into());
        }
        let mut sessions = Vec::with_capacity(settings.len());
        let mut nonces = Vec::with_capacity(settings.len() * NONCE_BYTES);
        for (number, setting) in settings.into_iter().enumerate() {
            let blamed = |fault| Blamed { member: Some(number), fault };
            let mut session = Session::open(setting, &terms.bytes(number)).map_err(blamed)?;
            nonces.extend(session.receive(Step::MemberNonce, NONCE_BYTES).map_err(blamed)?);
            sessions.push(session);
        }
        for (number, session) in sessions.iter_mut().enumerate() {
            let blamed = |fault| Blamed { member: Some(number), fault };
            session.send(Step::MemberNonces, &nonces).map_err(blamed)?;
        }
        Ok(Self { sessions })
    }

    /// What one member's function gives for each item: its share where it has the item, else noise.
    pub(super) fn ask(
        &mut self,
        terms: &Terms,
        number: usize,
        set: &Set,
    ) -> Result<Vec<u128>, Blamed> {
        let parties = self.sessions.get_mut(number).zip(terms.members.get(number));
        let (session, member) = parties.ok_or(Fault::ApiMisuse("there is no such member"))?;
        let blamed = |fault| Blamed { member: Some(number), fault };
        let function = opprf::Receiver::set_up(session, &terms.function(member));
        function.map_err(blamed)?.run(session, set.items()).map_err(blamed)
    }
}
