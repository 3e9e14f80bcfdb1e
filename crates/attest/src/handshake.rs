//! The walk around evidence: a request, a challenge, evidence that answers it, and the verdict (RATS "background check").
//!
//! ```text
//!   asker (in the environment)              desk (beside the gate)
//!     one-time key        ── request ──►
//!                         ◄─ challenge ──   fresh nonce, for this asker, for a short time
//!     evidence over nonce,
//!     key and request     ── evidence ─►    redeemed once, appraised
//!                         ◄─ result ─────   what was asked for, wrapped to that one-time key
//! ```
//!
//! Threat model: the asker may replay evidence, relay another machine's, answer late, or open challenges without end. A
//! challenge answers one request of whoever it was drawn for, once; asking the same again is answered the same, so that a
//! lost answer costs nothing. Relayed evidence binds the other machine's key, and the result is useless without that.
//!
//! Must never draw its own nonce (randomness is the caller's) nor keep anything secret. Open challenges live in one
//! process: after a restart, or at another replica, the asker asks for a new one.

use std::collections::BTreeMap;

use crate::appraisal::Appraisal;
use crate::appraise;
use crate::evidence::Evidence;
use crate::limits::{CHALLENGE_SECONDS, CHALLENGES, CHALLENGES_OF_ONE};
use crate::policy::{Policy, report_data};

/// What evidence must answer.
pub type Nonce = [u8; 32];

/// One request, as the gate saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Who asks, as authenticated.
    pub who: &'a str,
    /// The nonce that is answered.
    pub nonce: Nonce,
    /// The one-time key that the result is wrapped to.
    pub key: [u8; 32],
    /// Digest of all else that is asked for.
    pub request: [u8; 32],
}

impl Ask<'_> {
    /// What the evidence must carry.
    pub fn bound(&self) -> [u8; 32] {
        report_data(&self.nonce, &self.key, &self.request)
    }
}

/// Why nothing was appraised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// No such challenge is open for this asker: never drawn, drawn for somebody else, or too old.
    Unknown,
    /// It answered another request already.
    Used,
}

impl Stale {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "stale-nonce",
            Self::Used => "used-nonce",
        }
    }
}

/// Too many challenges are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// The open challenges.
#[derive(Debug, Default)]
pub struct Desk(BTreeMap<Nonce, Open>);

#[derive(Debug)]
struct Open {
    who: String,
    until: u64,
    /// What it answered: the bytes bound.
    used: Option<[u8; 32]>,
}

impl Desk {
    /// Opens a challenge with this fresh nonce; it may be answered until the second returned.
    ///
    /// # Errors
    /// [`Busy`] where this asker, or all together, have too many open.
    pub fn challenge(&mut self, who: &str, nonce: Nonce, now: u64) -> Result<u64, Busy> {
        self.0.retain(|_, it| it.until >= now);
        let theirs = self.0.values().filter(|it| it.who == who).count();
        if theirs >= CHALLENGES_OF_ONE || self.0.len() >= CHALLENGES || self.0.contains_key(&nonce)
        {
            return Err(Busy);
        }
        let until = now.saturating_add(CHALLENGE_SECONDS);
        self.0.insert(nonce, Open { who: who.to_owned(), until, used: None });
        Ok(until)
    }

    /// Redeems the challenge and judges the evidence by `policy`, whose own `report_data` does not count.
    ///
    /// # Errors
    /// [`Stale`]: the evidence was not looked at.
    pub fn judge(
        &mut self,
        ask: &Ask<'_>,
        evidence: &Evidence<'_>,
        policy: &Policy,
        now: u64,
    ) -> Result<Appraisal, Stale> {
        let bound = self.redeem(ask, now)?;
        let policy = Policy { report_data: bound.to_vec(), ..policy.clone() };
        Ok(appraise(evidence, &policy, now))
    }

    fn redeem(&mut self, ask: &Ask<'_>, now: u64) -> Result<[u8; 32], Stale> {
        let open = self.0.get_mut(&ask.nonce).filter(|it| it.who == ask.who && it.until >= now);
        let open = open.ok_or(Stale::Unknown)?;
        let bound = ask.bound();
        match open.used {
            Some(before) if before != bound => Err(Stale::Used),
            Some(_) | None => {
                open.used = Some(bound);
                Ok(bound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Ask, Busy, Desk, Stale};
    use crate::appraisal::{Level, Reason};
    use crate::evidence::{Evidence, Kind};
    use crate::limits::{CHALLENGE_SECONDS, CHALLENGES, CHALLENGES_OF_ONE};
    use crate::policy::{Chips, LeastTcb, Policy};
    use crate::simulated::{Machine, SimulatedRoot};

    const ROOT: u8 = 9;
    const NOW: u64 = 1_000;
    const ASK: Ask<'_> = Ask { who: "a", nonce: [1; 32], key: [2; 32], request: [3; 32] };

    fn machine() -> Machine {
        Machine::new(ROOT, [7; 32])
    }

    fn policy() -> Policy {
        Policy {
            measurements: BTreeSet::from([vec![0x5A; 48]]),
            chips: Chips::Only(BTreeSet::from([vec![7; 32]])),
            least_tcb: LeastTcb { simulated: Some(7), ..LeastTcb::default() },
            simulated: Some(SimulatedRoot::new(ROOT)),
            ..Policy::default()
        }
    }

    fn desk() -> Desk {
        let mut desk = Desk::default();
        assert_eq!(desk.challenge("a", [1; 32], NOW), Ok(NOW + CHALLENGE_SECONDS));
        desk
    }

    fn judged(
        desk: &mut Desk,
        ask: &Ask<'_>,
        bytes: &[u8],
        now: u64,
    ) -> Result<Vec<Reason>, Stale> {
        let evidence = Evidence { bytes, kind: Kind::Simulated };
        let appraisal = desk.judge(ask, &evidence, &policy(), now)?;
        assert_eq!(appraisal.is_accepted(), appraisal.level == Level::E3);
        Ok(appraisal.refusals().collect())
    }

    #[test]
    fn evidence_answers_one_request_of_one_asker_once() {
        let good = machine().evidence(ASK.bound());
        let mut desk = desk();
        // Not the asker's, not drawn, too late: nothing is used up.
        for (ask, now) in [
            (Ask { who: "b", ..ASK }, NOW),
            (Ask { nonce: [9; 32], ..ASK }, NOW),
            (ASK, NOW + CHALLENGE_SECONDS + 1),
        ] {
            assert_eq!(judged(&mut desk, &ask, &good, now), Err(Stale::Unknown));
        }
        assert_eq!(judged(&mut desk, &ASK, &good, NOW), Ok(vec![]));
        // The same again: the same verdict.
        assert_eq!(judged(&mut desk, &ASK, &good, NOW + CHALLENGE_SECONDS), Ok(vec![]));
        for other in [Ask { key: [4; 32], ..ASK }, Ask { request: [4; 32], ..ASK }] {
            let fresh = machine().evidence(other.bound());
            assert_eq!(judged(&mut desk, &other, &fresh, NOW), Err(Stale::Used));
        }
    }

    #[test]
    fn replayed_and_relayed_evidence_binds_something_else() {
        let elsewhere = [
            Ask { key: [4; 32], ..ASK },
            Ask { nonce: [4; 32], ..ASK },
            Ask { request: [4; 32], ..ASK },
        ];
        for other in elsewhere {
            let relayed = machine().evidence(other.bound());
            let found = judged(&mut desk(), &ASK, &relayed, NOW);
            assert_eq!(found, Ok(vec![Reason::OtherReportData]));
        }
    }

    #[test]
    fn each_demand_refuses_by_itself() {
        let cases: [(Machine, Reason); 5] = [
            (Machine { debug: true, ..machine() }, Reason::Debug),
            (Machine { firmware: 6, ..machine() }, Reason::TcbBelowFloor),
            (Machine { measurement: [1; 48], ..machine() }, Reason::UnknownMeasurement),
            (Machine::new(ROOT, [8; 32]), Reason::UnknownChip),
            (Machine::new(8, [7; 32]), Reason::BrokenChain),
        ];
        for (machine, reason) in cases {
            let bytes = machine.evidence(ASK.bound());
            assert_eq!(judged(&mut desk(), &ASK, &bytes, NOW), Ok(vec![reason]));
        }
    }

    #[test]
    fn simulated_evidence_needs_a_root_that_only_tests_make() {
        let bytes = machine().evidence(ASK.bound());
        let evidence = Evidence { bytes: &bytes, kind: Kind::Simulated };
        let policy = Policy { simulated: None, ..policy() };
        let appraisal = desk().judge(&ASK, &evidence, &policy, NOW).unwrap();
        assert_eq!(appraisal.refusals().collect::<Vec<_>>(), [Reason::UnknownRoot]);
        assert_eq!(appraisal.facts, None);
        let mut tampered = bytes;
        for at in 0..tampered.len() {
            tampered[at] ^= 1;
            assert_ne!(judged(&mut desk(), &ASK, &tampered, NOW), Ok(vec![]), "byte {at}");
            tampered[at] ^= 1;
        }
    }

    #[test]
    fn open_challenges_are_bounded_and_make_room_again() {
        let mut desk = Desk::default();
        let nonce = |number: usize| {
            let mut nonce = [0; 32];
            nonce[..8].copy_from_slice(&number.to_le_bytes());
            nonce
        };
        let mut opened = 0;
        for number in 0..CHALLENGES + 1 {
            let who = format!("{}", number / CHALLENGES_OF_ONE);
            opened += usize::from(desk.challenge(&who, nonce(number), NOW).is_ok());
        }
        assert_eq!(opened, CHALLENGES);
        let later = NOW + CHALLENGE_SECONDS + 1;
        for number in 0..CHALLENGES_OF_ONE {
            assert!(desk.challenge("one", nonce(number), later).is_ok());
        }
        assert_eq!(desk.challenge("one", nonce(CHALLENGES), later), Err(Busy));
        assert_eq!(desk.challenge("two", nonce(0), later), Err(Busy));
        assert!(desk.challenge("two", nonce(CHALLENGES), later).is_ok());
    }
}
