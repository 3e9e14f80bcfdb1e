//! Targets in `tidm-space`: TC609's codes, its contracts, and their translation from and into our policies.

use tidm_space::lang::Lang;
use tidm_space::policy::compile::understand;
use tidm_space::policy::model::Policy;
use tidm_space::tc609::code::{ContractCode, NodeCode, ProductCode, product_of, urn};
use tidm_space::tc609::document::{Document, Frame};
use tidm_space::tc609::loss::Kind;
use tidm_space::wire::odrl;
use tidm_space::wire::tc609::{from_tc609, parse, to_json, to_tc609};

use crate::{Parser, choose};

/// A contract that our policies are written into.
const FRAME: &[u8] = include_bytes!("../seeds/space_tc609/frame");

pub(crate) fn contracts(data: &[u8]) {
    const PARSERS: [Parser; 3] = [documents, policies, codes];
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
