//! Targets in `tidm-space`: TC609's codes, its contracts, their translation from and into our policies, its messages.

use tidm_space::lang::Lang;
use tidm_space::policy::compile::understand;
use tidm_space::policy::model::Policy;
use tidm_space::tc609::code::{ContractCode, NodeCode, ProductCode, product_of, urn};
use tidm_space::tc609::document::{Document, Frame};
use tidm_space::tc609::loss::Kind;
use tidm_space::tc609::message::{Interface, Message};
use tidm_space::time::Time;
use tidm_space::wire::odrl;
use tidm_space::wire::tc609::{answer, from_tc609, message, offered, parse, to_json, to_tc609};

use crate::{Parser, choose};

/// A contract that our policies are written into.
const FRAME: &[u8] = include_bytes!("../seeds/space_tc609/frame");

pub(crate) fn contracts(data: &[u8]) {
    const PARSERS: [Parser; 5] = [documents, policies, codes, requests, answers];
    choose(&PARSERS, data);
}

/// What is read is written and read the same, and comes back from ODRL or says that it does not.
fn documents(data: &[u8]) {
    let Ok(document) = parse(data) else { return };
    let written = to_json(&document).to_string();
    assert!(parse(written.as_bytes()).is_ok_and(|again| again == document), "{written}");
    let Ok((policy, losses)) = from_tc609(&document) else { return };
    for loss in &losses {
        assert!(!loss.why(Lang::Zh).is_empty() && !loss.why(Lang::En).is_empty());
    }
    // Nothing is signed of which a part has no word of ours.
    let carried = losses.iter().any(|it| it.kind == Kind::Carried);
    assert!(!carried || understand(&policy).is_err(), "{written}");
    let told = losses.iter().any(|it| it.term.ends_with("Policies"));
    match to_tc609(&policy, &document.frame) {
        Ok((back, _)) if back == document => {}
        other => assert!(told, "{written}\n{other:?}"),
    }
}

/// A policy of a stranger's comes back with its rules, or with something that nobody signs.
fn policies(data: &[u8]) {
    let (Ok(it), Some(frame)) = (odrl::parse(data), frame()) else { return };
    let Ok((contract, losses)) = to_tc609(&it.model, &frame) else { return };
    let Ok((back, _)) = from_tc609(&contract) else { return };
    let rules =
        |it: &Policy| (it.permissions.clone(), it.prohibitions.clone(), it.obligations.clone());
    let dropped = losses.iter().any(|it| it.kind == Kind::Dropped && !it.place.is_empty());
    if dropped {
        assert!(understand(&back).is_err(), "a term was dropped from what can be signed");
    } else if rules(&back) != rules(&it.model) {
        // Targets that the contract says otherwise, and what is not understood, in another order.
        assert!(understand(&back).is_err() || understand(&it.model).is_ok(), "became wider");
    }
}

fn frame() -> Option<Frame> {
    let document: Document = parse(FRAME.get(1..)?).ok()?;
    Some(document.frame)
}

/// Whatever is accepted is accepted again as it was printed.
fn codes(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    if let Ok(code) = ContractCode::parse(text) {
        assert_eq!(code.as_str(), text);
        assert!(code.issued().is_some() && code.subject().len() == 18 && code.region().len() == 4);
    }
    if let Ok(code) = NodeCode::parse(text) {
        assert_eq!(code.as_str().len(), 32);
    }
    if let Ok(code) = ProductCode::parse(text) {
        assert!(urn(code.as_str()).is_some_and(|id| product_of(&id) == Some(code)));
    }
}

/// The first byte says to which interface the rest was posted.
fn posted(data: &[u8]) -> Option<(Interface, &[u8])> {
    let (which, body) = data.split_first()?;
    let which = usize::from(which.wrapping_sub(b'a')) % Interface::ALL.len();
    Some((*Interface::ALL.get(which)?, body))
}

/// Whatever terms say, the policy ends no later than the contract, or cannot be signed.
fn requests(data: &[u8]) {
    let Some((interface, body)) = posted(data) else { return };
    let Ok(said) = message::read(interface, body) else { return };
    let covered = message::covered(body, "signature");
    assert!(covered.is_ok_and(|it| !it.is_empty()), "nothing is signed of what was read");
    let (Message::Negotiate { terms, .. } | Message::Registrate { terms, .. }) = said else {
        return;
    };
    let until = Time::from_ms(1_767_196_799_000);
    let listed = terms.document(until);
    let Ok((listed, _)) = from_tc609(&listed) else { return };
    let Ok(policy) = offered(&terms.document(until), &listed) else { return };
    if let Ok(whole) = understand(&policy) {
        assert!(whole.summary.until.is_none_or(|it| it <= until), "outlives its contract");
    }
}

fn answers(data: &[u8]) {
    let Some((interface, body)) = posted(data) else { return };
    if let Ok(said) = answer::read(interface, body) {
        let again = answer::write(interface, said.done, said.body.clone());
        assert!(answer::read(interface, again.as_bytes()).is_ok_and(|it| it == said));
    }
}
