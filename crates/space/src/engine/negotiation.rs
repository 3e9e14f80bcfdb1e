//! Negotiations: what a message, a wish or an outcome changes, and the automatic answers.
//!
//! Never knows how a message looks on the wire: [`crate::wire::dsp::negotiation`] writes it.

use tidm_crypto::sign::VerifyingKey;

use crate::catalog::product::{Approval, Offer, Product};
use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::{APPROVAL_IDLE, NEGOTIATION_IDLE, OPEN_NEGOTIATIONS};
use crate::negotiation::machine::{self, Input as Event, Step};
use crate::negotiation::message::{Agreement, Body, Message, Role};
use crate::negotiation::state::{Name, Negotiation, State};
use crate::policy::compile::compile;
use crate::policy::model::{Kind as PolicyKind, Policy};
use crate::wire::dsp;
use crate::wire::terms::digest;

use super::commit::{About, Answer, Due, Reply, Send, Work};
use super::input::{ContractWish, NegotiationSpoken, SayWish};
use super::signature::{check_signature, sign};
use super::view::Needs;
use super::{contract, derived, rule};

pub(super) fn needs(from: &Did, it: &NegotiationSpoken) -> Needs {
    let product = match &it.body {
        Body::Request { offer } | Body::Offer { offer } => offer.target.clone(),
        Body::Accept
        | Body::Agree { .. }
        | Body::Verify { .. }
        | Body::Finalize
        | Body::Terminate { .. } => None,
    };
    match &it.mine {
        Some(mine) => {
            let contract = match &it.body {
                Body::Agree { agreement } => Some(agreement.id.clone()),
                Body::Request { .. }
                | Body::Offer { .. }
                | Body::Accept
                | Body::Verify { .. }
                | Body::Finalize
                | Body::Terminate { .. } => None,
            };
            Needs { negotiation: Some(mine.clone()), product, contract, ..Needs::default() }
        }
        None => Needs {
            negotiation_of: it.theirs.as_ref().map(|pid| (from.clone(), pid.clone())),
            open_with: Some(from.clone()),
            product,
            ..Needs::default()
        },
    }
}

pub(super) fn heard(
    work: &mut Work<'_>,
    from: &Did,
    key: Option<&VerifyingKey>,
    id: Option<Id>,
    it: NegotiationSpoken,
) -> Answer {
    let NegotiationSpoken { mine, theirs, callback, role, body } = it;
    let (negotiation, created) = match (&work.view.negotiation, &mine) {
        (Some(known), _) if known.peer != *from || known.role != role => {
            return Err(Fault::NotFound { what: "negotiation" });
        }
        (Some(known), Some(_))
            if theirs.is_some() && known.peer_pid.is_some() && known.peer_pid != theirs =>
        {
            return Err(Fault::misbehaved(
                "negotiation.pid",
                "this message names another negotiation of yours",
            ));
        }
        (Some(known), _) => (known.clone(), false),
        (None, Some(_)) => return Err(Fault::NotFound { what: "negotiation" }),
        (None, None) => (open(work, from, theirs.as_ref(), callback, role, &body)?, true),
    };
    if matches!(body, Body::Agree { .. })
        && work.view.contract.as_ref().is_some_and(|it| it.negotiation != negotiation.id)
    {
        // A contract is known by its id alone: nobody may put another in its place.
        return Err(Fault::misbehaved("agreement.id", "this agreement's id is another contract's"));
    }
    let mut negotiation = negotiation;
    if negotiation.peer_pid.is_none() {
        negotiation.peer_pid = theirs;
    }
    let fresh = id.is_some() && mine.is_some();
    let (after, step) =
        machine::next(&negotiation, Event::Heard(Message { id, body: body.clone() }), work.now)?;
    let moved = !step.moved.is_empty();
    if fresh && !moved && matches!(body, Body::Request { .. } | Body::Offer { .. }) {
        // A repeated message has the id that it had, and does not come this far: these are the same terms once more,
        // out of turn. An opening is told by the peer's pid, so that its repetition is harmless whatever its id.
        return Err(Fault::misbehaved(
            "negotiation.unexpected",
            format!("a second {} without an answer to the first", body.kind().word()),
        ));
    }
    let after = settle(work, after, step)?;
    if !moved {
        return Ok(Reply::Negotiation { it: Box::new(after), created: false });
    }
    let reply = after.clone();
    let after = react(work, after, key, &body)?;
    work.commit.negotiations.push(after);
    // What is acknowledged is the state that the message led to, before our own answer to it.
    Ok(Reply::Negotiation { it: Box::new(reply), created })
}

/// A first message: a negotiation of ours begins.
fn open(
    work: &mut Work<'_>,
    from: &Did,
    theirs: Option<&Id>,
    callback: Option<String>,
    role: Role,
    body: &Body,
) -> Result<Negotiation, Fault> {
    let (Body::Request { offer } | Body::Offer { offer }) = body else {
        return Err(Fault::NotFound { what: "negotiation" });
    };
    let (Some(theirs), Some(address)) = (theirs, callback) else {
        return Err(Fault::misbehaved(
            "negotiation.opening",
            "a first message names your pid and a callbackAddress",
        ));
    };
    let Some(product) = offer.target.clone() else {
        return Err(Fault::misbehaved("negotiation.target", "the offer names no target"));
    };
    if work.view.open_negotiations >= OPEN_NEGOTIATIONS {
        return Err(Fault::Unavailable {
            reason: format!("{OPEN_NEGOTIATIONS} negotiations with you are open already"),
            retry_after: std::time::Duration::from_secs(30),
        });
    }
    let listed = work.view.product.as_ref().filter(|_| role == Role::Provider);
    if role == Role::Provider && listed.is_none() {
        return Err(Fault::NotFound { what: "dataset" });
    }
    // An offer that is not made to this peer answers it nothing.
    let asked = listed.and_then(|it| it.offer(&offer.id)).filter(|it| offered_to(it, from));
    let rules = asked.map(|it| it.rules().clone()).unwrap_or_default();
    Ok(Negotiation {
        id: work.ids.fresh(),
        role,
        peer: from.clone(),
        peer_pid: Some(theirs.clone()),
        address: address.trim_end_matches('/').to_owned(),
        product,
        state: State::Initial,
        pending: None,
        rounds: 0,
        awaits_approval: false,
        proposed: None,
        rules,
        created: work.now,
        moved: work.now,
    })
}

/// The answers that need nobody: approval by rule, verification, finalization.
fn react(
    work: &mut Work<'_>,
    it: Negotiation,
    key: Option<&VerifyingKey>,
    heard: &Body,
) -> Result<Negotiation, Fault> {
    // What no rule decides: a signature that is wrong, or missing where it is demanded, ends it.
    if let Err(reason) = signed(work, &it, key, heard) {
        return end(work, it, "signature", reason);
    }
    if let Some(rule) = rule::of(&it).cloned() {
        return Ok(rule::take(work, it, &rule));
    }
    match (it.role, heard) {
        (Role::Provider, Body::Request { offer }) => {
            match approval(work.view.product.as_ref(), &it.peer, offer) {
                Verdict::Agree => agree(work, it),
                Verdict::Ask => Ok(wait_for_person(work, it)),
                Verdict::Counter(offer) => propose(work, it, *offer, |offer| Body::Offer { offer }),
                Verdict::Refuse(reason) => end(work, it, "offer.refused", reason),
            }
        }
        (Role::Consumer, Body::Offer { .. }) => Ok(wait_for_person(work, it)),
        // We offered these terms: who accepts them gets them.
        (Role::Provider, Body::Accept) => agree(work, it),
        (Role::Consumer, Body::Agree { .. }) => verify(work, it),
        (Role::Provider, Body::Verify { .. }) => say_now(work, it, Body::Finalize),
        (_, _) => Ok(it),
    }
}

fn signed(
    work: &Work<'_>,
    it: &Negotiation,
    key: Option<&VerifyingKey>,
    heard: &Body,
) -> Result<(), String> {
    let signature = match heard {
        Body::Agree { agreement } => agreement.signature.as_ref(),
        Body::Verify { signature } => signature.as_ref(),
        Body::Request { .. }
        | Body::Offer { .. }
        | Body::Accept
        | Body::Finalize
        | Body::Terminate { .. } => return Ok(()),
    };
    match it.state.agreement() {
        Some(agreement) => check_signature(work, it, agreement, signature, key),
        None => Err("there is no agreement".to_owned()),
    }
}

/// Consumer: the terms on the table are to be signed.
pub(super) fn accept(work: &mut Work<'_>, it: Negotiation) -> Result<Negotiation, Fault> {
    it.state.offer().map(contract::signable).transpose()?;
    say_now(work, it, Body::Accept)
}

/// Consumer: our signature under the agreement.
pub(super) fn verify(work: &mut Work<'_>, it: Negotiation) -> Result<Negotiation, Fault> {
    let Some(agreement) = it.state.agreement() else {
        return Err(Fault::ApiMisuse("verifying without an agreement"));
    };
    if let Err(fault) = contract::signable(&agreement.policy) {
        return end(work, it, "offer.refused", fault.to_string());
    }
    let signature = Some(sign(work, &it, agreement));
    say_now(work, it, Body::Verify { signature })
}

enum Verdict {
    Agree,
    Ask,
    /// Our own terms first; who accepts them gets them.
    Counter(Box<Policy>),
    Refuse(String),
}

/// Approval rules are the offer's: other terms than the listed ones always go to a person.
fn approval(product: Option<&Product>, peer: &Did, asked: &Policy) -> Verdict {
    let Some(product) = product else {
        return Verdict::Refuse("the product is no longer offered".to_owned());
    };
    if let Err(refused) = compile(asked) {
        let terms: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return Verdict::Refuse(format!(
            "terms that nobody here can enforce: {}",
            terms.join("; ")
        ));
    }
    match product.offer(&asked.id) {
        Some(listed) if !offered_to(listed, peer) => {
            Verdict::Refuse("this offer is not made to you".to_owned())
        }
        Some(listed) if listed.policy().same_terms(asked) => match listed.approval() {
            Approval::Auto => Verdict::Agree,
            Approval::Manual => Verdict::Ask,
            Approval::Counter => Verdict::Counter(Box::new(listed.policy().clone())),
        },
        Some(_) => Verdict::Ask,
        None => Verdict::Refuse("no such offer of this product".to_owned()),
    }
}

/// An offer with recipients is made to them alone.
pub(super) fn offered_to(offer: &Offer, peer: &Did) -> bool {
    let (recipients, name) = (offer.terms().summary.recipients.as_ref(), peer.to_id());
    recipients.is_none_or(|all| all.iter().any(|it| it == name.as_str()))
}

pub(super) fn wait_for_person(work: &mut Work<'_>, mut it: Negotiation) -> Negotiation {
    it.awaits_approval = true;
    work.timer(work.now.after(APPROVAL_IDLE), Due::NegotiationIdle(it.id.clone()));
    it
}

pub(super) fn agree(work: &mut Work<'_>, it: Negotiation) -> Result<Negotiation, Fault> {
    let Some(offer) = it.state.offer().cloned() else {
        return Err(Fault::ApiMisuse("agreeing to nothing"));
    };
    let may = contract::signable(&offer).and_then(|_| contract::provable(work, &offer));
    if let Err(fault) = may {
        return end(work, it, "offer.refused", fault.to_string());
    }
    let mut policy = offer;
    policy.kind = PolicyKind::Agreement;
    policy.id = work.ids.fresh();
    policy.assigner = Some(work.node.me.to_id());
    policy.assignee = Some(it.peer.to_id());
    policy.target = Some(it.product.clone());
    let mut agreement = Agreement { id: policy.id.clone(), policy, at: work.now, signature: None };
    agreement.signature = Some(sign(work, &it, &agreement));
    say_now(work, it, Body::Agree { agreement })
}

/// Consumer: ask for these terms.
pub(super) fn request(work: &mut Work<'_>, wish: ContractWish) -> Answer {
    contract::signable(&wish.offer)?;
    let it = Negotiation {
        id: work.ids.fresh(),
        role: Role::Consumer,
        peer: wish.peer,
        peer_pid: None,
        address: wish.address.trim_end_matches('/').to_owned(),
        product: wish.product,
        state: State::Initial,
        pending: None,
        rounds: 0,
        awaits_approval: false,
        proposed: None,
        rules: wish.rules,
        created: work.now,
        moved: work.now,
    };
    // An offer as a catalogue lists it has no target; in a negotiation it names one.
    let offer = Policy { target: Some(it.product.clone()), ..wish.offer };
    let it = say_now(work, it, Body::Request { offer })?;
    work.commit.negotiations.push(it.clone());
    Ok(Reply::Negotiation { it: Box::new(it), created: true })
}

/// What an operator says.
pub(super) fn say(work: &mut Work<'_>, id: &Id, wish: SayWish) -> Answer {
    let Some(it) = work.view.negotiation.clone().filter(|it| it.id == *id) else {
        return Err(Fault::NotFound { what: "negotiation" });
    };
    let terms = match (&wish, it.state.name()) {
        (SayWish::Propose(offer), _) => Some(&**offer),
        (SayWish::Approve, Name::Requested | Name::Accepted) => it.state.offer(),
        (SayWish::Approve | SayWish::Terminate { .. }, _) => None,
    };
    if let Some(terms) = terms.filter(|_| it.role == Role::Provider) {
        derived::within(work.view.product.as_ref(), &it.product, terms)?;
    }
    let it = match (wish, it.role, it.state.name()) {
        // A peer that never told its pid cannot be told: it ends here, and the peer hears so if it ever speaks.
        (SayWish::Terminate { reason }, _, _) if it.peer_pid.is_none() && it.is_open() => {
            let event = Event::GiveUp { code: "operator", reason };
            let (after, step) = machine::next(&it, event, work.now)?;
            settle(work, after, step)?
        }
        (SayWish::Terminate { reason }, _, _) => end(work, it, "operator", reason)?,
        (SayWish::Propose(offer), Role::Consumer, _) => {
            propose(work, it, *offer, |offer| Body::Request { offer })?
        }
        (SayWish::Propose(offer), Role::Provider, _) => {
            propose(work, it, *offer, |offer| Body::Offer { offer })?
        }
        (SayWish::Approve, Role::Consumer, Name::Offered) => accept(work, it)?,
        (SayWish::Approve, Role::Provider, Name::Requested | Name::Accepted) => agree(work, it)?,
        // A rule of ours held it back after the peer's signature was checked.
        (SayWish::Approve, Role::Consumer, Name::Agreed) => verify(work, it)?,
        (SayWish::Approve, Role::Provider, Name::Verified) => say_now(work, it, Body::Finalize)?,
        (SayWish::Approve, _, state) => {
            return Err(Fault::refused(
                "negotiation.not-now",
                format!("nothing waits for approval in state {}", state.token()),
            ));
        }
    };
    work.commit.negotiations.push(it.clone());
    Ok(Reply::Negotiation { it: Box::new(it), created: false })
}

pub(super) fn propose(
    work: &mut Work<'_>,
    it: Negotiation,
    mut offer: Policy,
    body: fn(Policy) -> Body,
) -> Result<Negotiation, Fault> {
    contract::signable(&offer)?;
    if it.role == Role::Provider {
        contract::provable(work, &offer)?;
    }
    offer.target = Some(it.product.clone());
    // A counter-offer speaks of the offer it answers: the id stays, so that the peer finds what it listed.
    if let Some(had) = it.state.offer() {
        offer.id = had.id.clone();
    }
    say_now(work, it, body(offer))
}

pub(super) fn end(
    work: &mut Work<'_>,
    it: Negotiation,
    code: &str,
    reason: String,
) -> Result<Negotiation, Fault> {
    say_now(work, it, Body::Terminate { code: Some(code.to_owned()), reason: vec![reason] })
}

/// Decides to say it: pending in the state, a row in the outbox.
pub(super) fn say_now(
    work: &mut Work<'_>,
    it: Negotiation,
    body: Body,
) -> Result<Negotiation, Fault> {
    let proposed = match &body {
        Body::Request { offer } | Body::Offer { offer } => Some(offer.clone()),
        Body::Accept
        | Body::Agree { .. }
        | Body::Verify { .. }
        | Body::Finalize
        | Body::Terminate { .. } => None,
    };
    let message = Message { id: Some(work.ids.fresh()), body };
    let (mut after, step) = machine::next(&it, Event::Say(message), work.now)?;
    after.awaits_approval = false;
    after.proposed = proposed.or(after.proposed);
    settle(work, after, step)
}

/// How long a negotiation may stand still: people of either side get longer than machines.
pub(super) fn patience(it: &Negotiation) -> std::time::Duration {
    match (it.role, it.state.name()) {
        _ if it.awaits_approval => APPROVAL_IDLE,
        _ if rule::of(it).is_some() => rule::patience(it).unwrap_or(NEGOTIATION_IDLE),
        // The peer may have to ask a person.
        (Role::Consumer, Name::Requested) | (Role::Provider, Name::Offered)
            if it.pending.is_none() =>
        {
            APPROVAL_IDLE
        }
        (_, _) => NEGOTIATION_IDLE,
    }
}

/// Turns a step into rows: facts, outbox, timers, and the contract once it stands.
pub(super) fn settle(
    work: &mut Work<'_>,
    it: Negotiation,
    step: Step,
) -> Result<Negotiation, Fault> {
    if step.withdraw {
        work.commit.withdrawn.push(About::Negotiation(it.id.clone()));
        work.commit.sends.retain(|send| send.about != About::Negotiation(it.id.clone()));
    }
    for (from, to, by) in &step.moved {
        let terms = it.state.offer().map(digest);
        let reason = match &it.state {
            State::Terminated { reason, .. } => Some(reason.join("; ")),
            State::Initial
            | State::Requested { .. }
            | State::Offered { .. }
            | State::Accepted { .. }
            | State::Agreed { .. }
            | State::Verified { .. }
            | State::Finalized { .. } => None,
        };
        work.fact(links(&it), What::Negotiation { from: *from, to: *to, by: *by, terms, reason });
    }
    if let Some(message) = step.send {
        let posting = dsp::negotiation::write(&it, &message, work.node.address)?;
        let id = message.id.ok_or(Fault::ApiMisuse("what we say has an id"))?;
        work.commit.sends.push(Send {
            id,
            to: it.peer.clone(),
            url: format!("{}{}", it.address, posting.path),
            body: posting.body,
            about: About::Negotiation(it.id.clone()),
            attempts: 0,
            first: work.now,
            next: work.now,
        });
    }
    if it.is_open() {
        work.timer(work.now.after(patience(&it)), Due::NegotiationIdle(it.id.clone()));
    } else {
        work.untimer(&Due::NegotiationIdle(it.id.clone()));
        if !it.rules.is_empty() {
            work.untimer(&Due::NegotiationRule(it.id.clone()));
        }
    }
    if let State::Finalized { agreement, consumer_signature } = &it.state
        && !step.moved.is_empty()
    {
        contract::conclude(work, &it, agreement, consumer_signature.clone())?;
    }
    Ok(it)
}

pub(super) fn links(it: &Negotiation) -> Links {
    Links {
        peer: Some(it.peer.clone()),
        product: Some(it.product.clone()),
        negotiation: Some(it.id.clone()),
        contract: it.state.agreement().map(|it| it.id.clone()),
        ..Links::default()
    }
}
