//! One connection of a job, from its hello to its end, the same for every process of a party.

use std::collections::VecDeque;
use std::sync::Arc;

use tidm_mpc::channel::stream::Framed;
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::Job;
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::partition::talk::{Agreed, Greeting, compare, greet, ready};
use tidm_mpc::psi::Learns;
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, Session, Setting, Watch as _};
use tidm_mpc::step::Step;

use super::failure::Failure;
use super::journal::{Entry, Journal};
use super::limits::MAX_CONNECTIONS;
use super::link::{Link, Socket};
use super::more::{self, Extra};
use super::order::{Order, inflates};
use super::progress::Progress;
use super::room::Room;
use super::store::Store;
use super::work::{Keys, Sets, Work};

/// A process of a party.
pub struct Visitor<'a> {
    pub order: &'a Order,
    pub job: Job,
    pub journal: Journal,
    pub progress: &'a Progress,
    /// Of a worker, so that each begins with another part.
    pub number: u32,
}

/// What a process does between the greeting and the first part.
pub trait Prepare {
    /// The parts that this process works on, or none if it came only for the greeting.
    fn prepare(
        &mut self,
        visitor: &mut Visitor<'_>,
        agreed: &Agreed,
        finished: &[bool],
    ) -> Result<Option<Arc<Store>>, Failure>;

    /// What goes with the parts that were prepared.
    fn extra(&self) -> Arc<Extra> {
        Arc::default()
    }
}

/// How a connection ended where nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Both have kept all parts.
    Complete,
    /// One of them came only for the greeting.
    Greeted,
}

impl Visitor<'_> {
    /// The whole of one connection.
    pub fn visit(&mut self, socket: Socket, prepare: &mut dyn Prepare) -> Result<Ended, Failure> {
        let link = Link::new(socket, self.order.silence(), self.progress.stop());
        let link = link.map_err(|why| lost(&why))?;
        let mut channel = Framed::new(link);
        let ended = self.talk(&mut channel, prepare);
        match &ended {
            Ok(_) => channel.into_inner().finish(),
            Err(failure) if failure.is_final() => channel.into_inner().give_up(),
            // The peer is to call again.
            Err(_) => {}
        }
        if ended.is_err() && self.progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
        ended
    }

    fn talk(
        &mut self,
        channel: &mut Framed<Link>,
        prepare: &mut dyn Prepare,
    ) -> Result<Ended, Failure> {
        let party = self.order.party();
        let state = self.journal.state()?;
        let nonce = match state.nonce {
            Some(nonce) => nonce,
            None => {
                let nonce = random()?;
                self.journal.keep(&Entry::Nonce(nonce))?;
                nonce
            }
        };
        let seed = Seed::new(random()?);
        let id = self.job.session();
        let setting = Setting { channel, party, id, seed, watch: self.progress };
        let mut session = Session::open(setting, &self.job.bytes())?;
        let parts = match state.agreed {
            Some(agreed) => agreed.parts,
            None => self.order.wanted_parts()?,
        };
        let agreed = greet(&mut session, &Greeting { nonce, parts })?;
        let remembered = remembered(party, &agreed);
        match &state.agreed {
            Some(kept) => remembered.same_as(kept)?,
            None => self.journal.note(&Entry::Agreed(remembered))?,
        }
        let plan = Plan { whole: self.job.whole, parts: agreed.parts };
        plan.part_terms()?;
        // Each part is filled up: with many small ones a peer could put in many times what was agreed.
        if agreed.parts > parts && inflates(&plan) {
            let what = "it wants more parts than these sizes have";
            return Err(Fault::PeerIncompatible { what }.into());
        }
        let finished = compare(&mut session, &state.kept(agreed.parts))?;
        let store = prepare.prepare(self, &agreed, &finished)?;
        let works = ready(&mut session, store.is_some())?;
        let (Some(store), true) = (store, works) else {
            return Ok(Ended::Greeted);
        };
        if state.connections >= MAX_CONNECTIONS {
            return Err(Failure::TooManyConnections(MAX_CONNECTIONS));
        }
        self.journal.note(&Entry::Connected)?;
        let done = finished.iter().filter(|it| **it).count() as u64;
        self.progress.phase("running", done, Some(agreed.parts.into()));
        let room = Room::of(self.order, self.job.equals, &plan);
        // Of an answer both learn something: at least whether it was opened.
        let counted = party == Party::Sender
            || self.job.whole.learns == Learns::Both
            || self.order.what.opens();
        let kept =
            state.parts.iter().filter(|(part, _)| finished.get(**part as usize) == Some(&true));
        let found = kept.map(|(_, it)| it.items).sum();
        let sets = Sets { room, counted, keys: Keys { found, most: self.order.own_items() } };
        let waiting = waiting(&finished, self.number, self.order.workers);
        let mut work = Work::new(store, sets, waiting, &mut self.journal, self.progress);
        more::run(&mut session, self.order, &plan, &mut work, &prepare.extra())?;
        Ok(Ended::Complete)
    }
}

/// What a journal says of a greeting: of the peer's nonce a hash. So whoever reads one party's disk cannot work out how its list
/// was cut, nor try guesses of a list against its digest or the sizes of its parts.
fn remembered(party: Party, agreed: &Agreed) -> Agreed {
    let hidden = |nonce: &[u8; 32]| tidm_mpc::hash::derive("tidm compute 1 peer nonce", &[nonce]);
    match party {
        Party::Receiver => Agreed { sender_nonce: hidden(&agreed.sender_nonce), ..*agreed },
        Party::Sender => Agreed { receiver_nonce: hidden(&agreed.receiver_nonce), ..*agreed },
    }
}

/// Parts that are not finished; workers begin at places of their own.
fn waiting(finished: &[bool], number: u32, workers: u32) -> VecDeque<u32> {
    let parts = (0u32..).zip(finished).filter(|(_, finished)| !**finished).map(|(part, _)| part);
    let mut parts: VecDeque<u32> = parts.collect();
    let begin = parts.len() * number as usize / workers.max(1) as usize;
    parts.rotate_left(begin.min(parts.len()));
    parts
}

pub(crate) fn lost(why: &std::io::Error) -> Failure {
    Failure::Mpc(Fault::Lost { step: Step::Hello, reason: why.to_string() })
}

/// Random bytes of the operating system.
pub(crate) fn random() -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|why| Failure::Directory {
        action: "drawing random numbers",
        reason: why.to_string(),
    })?;
    Ok(bytes)
}
