//! The transition table, and what a message does to one side of a negotiation.
//!
//! Never saves, sends or logs: a call returns the new state and what it owes ([`Step`]).

use crate::fault::Fault;
use crate::limits::OFFER_ROUNDS;
use crate::policy::model::Policy;
use crate::time::Time;

use super::message::{Agreement, Body, Kind, Message, Role};
use super::state::{Name, Negotiation, State};

/// What happened to a negotiation.
#[derive(Clone, Debug)]
pub enum Input {
    /// We decide to say this; our state changes only when the peer acknowledges it.
    Say(Message),
    /// The peer acknowledged what we said last.
    Acknowledged,
    /// The peer refused what we said last: it had moved on. `final_` when nothing can follow.
    Refused { code: Option<String>, reason: Vec<String> },
    /// The peer said this. `Ok` means: acknowledge it.
    Heard(Message),
    /// Nothing moved for too long, or a message could not be delivered.
    GiveUp { code: &'static str, reason: String },
}

/// What a call owes the world.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The states passed through, oldest first; empty when nothing changed.
    pub moved: Vec<(Name, Name, Role)>,
    /// Message to deliver to the peer, at least once, until it is acknowledged.
    pub send: Option<Message>,
    /// What we had said became pointless: do not deliver it any more.
    pub withdraw: bool,
}

/// `(state, input, now) -> (state, step)`: all that can happen to one side.
pub fn next(it: &Negotiation, input: Input, now: Time) -> Result<(Negotiation, Step), Fault> {
    let mut it = it.clone();
    let mut step = Step::default();
    match input {
        Input::Say(message) => say(&mut it, &mut step, message)?,
        Input::Acknowledged => {
            // An ACK that was overtaken by the peer's next message finds nothing pending: it is old news.
            if let Some(message) = it.pending.take() {
                let role = it.role;
                enter(&mut it, &mut step, role, message.body)?;
            }
        }
        Input::Refused { code, reason } => {
            match it.pending.take().map(|said| said.body) {
                // Who refuses an ending has nothing open that could end.
                Some(Body::Terminate { code, reason }) if it.is_open() => {
                    let by = it.role;
                    end(&mut it, &mut step, by, code, reason);
                }
                _ if it.state == State::Initial => {
                    let by = it.role.peer();
                    end(&mut it, &mut step, by, code, reason);
                }
                _ => {}
            }
        }
        Input::Heard(message) => heard(&mut it, &mut step, message)?,
        Input::GiveUp { code, reason } => {
            if it.is_open() {
                let by = it.role;
                it.pending = None;
                end(&mut it, &mut step, by, Some(code.to_owned()), vec![reason]);
                step.withdraw = true;
            }
        }
    }
    if !step.moved.is_empty() {
        it.moved = now;
    }
    Ok((it, step))
}

fn say(it: &mut Negotiation, step: &mut Step, message: Message) -> Result<(), Fault> {
    if let Some(pending) = &it.pending {
        // Ending overrides what we were about to say, save what may have concluded it at the peer already;
        // anything else waits its turn.
        if message.body.kind() != Kind::Terminate || rank(pending.body.kind()) > 0 {
            return Err(Fault::refused(
                "negotiation.in-flight",
                "the last message is not acknowledged yet",
            ));
        }
        step.withdraw = true;
    }
    match table(it.state.name(), it.role, message.body.kind()) {
        Ok(to) if to != it.state.name() => {}
        // What changes nothing need not be said.
        Ok(_) | Err(_) => return Err(illegal(it, message.body.kind())),
    }
    check_data(it, it.role, &message.body)?;
    it.pending = Some(message.clone());
    step.send = Some(message);
    Ok(())
}

fn heard(it: &mut Negotiation, step: &mut Step, message: Message) -> Result<(), Fault> {
    let kind = message.body.kind();
    let peer = it.role.peer();
    // The peer can say this only after it heard what we said: an implied acknowledgement. A message that would
    // change nothing here is a fresh one too where it has an id: repeated ids do not come this far.
    let says_nothing = table(it.state.name(), peer, kind).is_ok_and(|to| to == it.state.name());
    if (table(it.state.name(), peer, kind).is_err() || (says_nothing && message.id.is_some()))
        && let Some(pending) = &it.pending
        && let Ok(after) = table(it.state.name(), it.role, pending.body.kind())
        && table(after, peer, kind).is_ok_and(|to| to != after)
    {
        let said = pending.body.clone();
        it.pending = None;
        let role = it.role;
        enter(it, step, role, said)?;
    }
    let to = table(it.state.name(), peer, kind).map_err(|why| why.fault(it.state.name(), kind))?;
    if to == it.state.name() {
        return repeated(it, &message.body);
    }
    check_data(it, peer, &message.body)?;
    // A message that crossed ours can make ours pointless: drop it rather than resend for ever. But ours may have
    // ended it at the peer already: then the peer's is refused, so that one of the two stands on both sides.
    let crossed = it.pending.as_ref().map(|said| said.body.kind());
    let crossed = crossed.filter(|said| !table(to, it.role, *said).is_ok_and(|after| after != to));
    if crossed.is_some_and(|said| rank(said) > rank(kind)) {
        return Err(Unexpected::Crossed.fault(it.state.name(), kind));
    }
    enter(it, step, peer, message.body)?;
    if crossed.is_some() {
        it.pending = None;
        step.withdraw = true;
    }
    Ok(())
}

/// Of two messages that cross, the higher one stands.
pub fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Terminate => 2,
        Kind::Finalize => 1,
        Kind::Request | Kind::Offer | Kind::Accept | Kind::Agree | Kind::Verify => 0,
    }
}

/// A message repeated because its ACK was lost is acknowledged again and changes nothing;
/// the same kind with other terms is a second message where none may come.
fn repeated(it: &Negotiation, body: &Body) -> Result<(), Fault> {
    let same = match (&it.state, body) {
        (State::Requested { offer: had }, Body::Request { offer })
        | (State::Offered { offer: had }, Body::Offer { offer }) => had == offer,
        (State::Agreed { agreement: had }, Body::Agree { agreement }) => had == agreement,
        (_, _) => true,
    };
    if same { Ok(()) } else { Err(Unexpected::Here.fault(it.state.name(), body.kind())) }
}

fn enter(it: &mut Negotiation, step: &mut Step, sender: Role, body: Body) -> Result<(), Fault> {
    let from = it.state.name();
    let to = table(from, sender, body.kind()).map_err(|why| why.fault(from, body.kind()))?;
    if to == from {
        return Ok(());
    }
    let state = std::mem::replace(&mut it.state, State::Initial);
    it.state = match (state, body) {
        (_, Body::Request { offer }) => State::Requested { offer },
        (_, Body::Offer { offer }) => State::Offered { offer },
        (State::Offered { offer }, Body::Accept) => State::Accepted { offer },
        (_, Body::Agree { agreement }) => State::Agreed { agreement },
        (State::Agreed { agreement }, Body::Verify { signature }) => {
            State::Verified { agreement, consumer_signature: signature }
        }
        (State::Verified { agreement, consumer_signature }, Body::Finalize) => {
            State::Finalized { agreement, consumer_signature }
        }
        (_, Body::Terminate { code, reason }) => State::Terminated { by: sender, code, reason },
        (state, Body::Accept | Body::Verify { .. } | Body::Finalize) => {
            it.state = state;
            return Err(Fault::ApiMisuse("the transition table and the states differ"));
        }
    };
    if matches!(to, Name::Requested | Name::Offered) {
        it.rounds += 1;
    }
    it.awaits_approval = false;
    step.moved.push((from, to, sender));
    Ok(())
}

fn end(it: &mut Negotiation, step: &mut Step, by: Role, code: Option<String>, reason: Vec<String>) {
    step.moved.push((it.state.name(), Name::Terminated, by));
    it.state = State::Terminated { by, code, reason };
    it.awaits_approval = false;
}

/// What the table cannot see: the data of a message must fit what was said before.
fn check_data(it: &Negotiation, sender: Role, body: &Body) -> Result<(), Fault> {
    match body {
        Body::Request { offer } | Body::Offer { offer } => {
            if usize::try_from(it.rounds).unwrap_or(usize::MAX) >= OFFER_ROUNDS {
                return Err(Fault::misbehaved(
                    "negotiation.rounds",
                    format!("more than {OFFER_ROUNDS} offers and counter-offers"),
                ));
            }
            check_target(it, offer)
        }
        Body::Agree { agreement } => check_agreement(it, sender, agreement),
        Body::Accept | Body::Verify { .. } | Body::Finalize | Body::Terminate { .. } => Ok(()),
    }
}

fn check_target(it: &Negotiation, offer: &Policy) -> Result<(), Fault> {
    match &offer.target {
        Some(target) if *target == it.product => Ok(()),
        Some(target) => Err(Fault::misbehaved(
            "negotiation.target",
            format!("the offer is about {target}, this negotiation about {}", it.product),
        )),
        None => Err(Fault::misbehaved(
            "negotiation.target",
            "an offer in a negotiation names its target",
        )),
    }
}

/// "The agreement's policy is the last offer's, with parties and target": nothing may slip in at the end.
fn check_agreement(it: &Negotiation, sender: Role, agreement: &Agreement) -> Result<(), Fault> {
    check_target(it, &agreement.policy)?;
    let Some(offer) = it.state.offer() else {
        return Err(Fault::ApiMisuse("an agreement without an offer"));
    };
    if agreement.policy.same_terms(offer) {
        Ok(())
    } else if sender == it.role {
        Err(Fault::refused(
            "negotiation.terms",
            "the agreement's rules differ from the offer on the table",
        ))
    } else {
        Err(Fault::misbehaved(
            "negotiation.terms",
            "the agreement's rules differ from the offer on the table",
        ))
    }
}

/// The transition table: every legal move, and nothing else.
pub fn table(state: Name, sender: Role, message: Kind) -> Result<Name, Unexpected> {
    use Role::{Consumer, Provider};
    use {Kind as K, Name as N};

    Ok(match (state, sender, message) {
        // Haggling: each side may replace the other's terms.
        (N::Initial | N::Offered, Consumer, K::Request) => N::Requested,
        (N::Initial | N::Requested, Provider, K::Offer) => N::Offered,
        (N::Offered, Consumer, K::Accept) => N::Accepted,

        // Agreement, and its two signatures.
        (N::Requested | N::Accepted, Provider, K::Agree) => N::Agreed,
        (N::Agreed, Consumer, K::Verify) => N::Verified,
        (N::Verified, Provider, K::Finalize) => N::Finalized,

        // A message repeated because its ACK was lost is acknowledged again, and changes nothing.
        (N::Requested, Consumer, K::Request)
        | (N::Offered, Provider, K::Offer)
        | (N::Accepted, Consumer, K::Accept)
        | (N::Agreed, Provider, K::Agree)
        | (N::Verified, Consumer, K::Verify)
        | (N::Finalized, Provider, K::Finalize)
        | (N::Terminated, _, K::Terminate) => state,

        // "Terminal states are final."
        (N::Finalized | N::Terminated, _, _) => return Err(Unexpected::AfterEnd),
        (N::Initial, _, K::Terminate) => N::Terminated,
        (N::Initial, _, _) => return Err(Unexpected::BeforeStart),

        (_, _, K::Terminate) => N::Terminated,
        (_, _, _) => return Err(Unexpected::Here),
    })
}

/// Why the table refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    AfterEnd,
    BeforeStart,
    Here,
    /// It crossed something of ours that stands above it.
    Crossed,
}

impl Unexpected {
    fn fault(self, state: Name, kind: Kind) -> Fault {
        let code = match self {
            Self::AfterEnd => "negotiation.after-end",
            Self::BeforeStart => "negotiation.before-start",
            Self::Here => "negotiation.unexpected",
            Self::Crossed => "negotiation.crossed",
        };
        Fault::misbehaved(
            code,
            format!("{} is not possible in state {}", kind.word(), state.token()),
        )
    }
}

fn illegal(it: &Negotiation, kind: Kind) -> Fault {
    Fault::refused(
        "negotiation.not-now",
        format!(
            "{} cannot be said in state {} by the {}",
            kind.word(),
            it.state.name().token(),
            it.role.word()
        ),
    )
}
