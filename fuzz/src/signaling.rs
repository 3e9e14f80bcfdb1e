//! Target in `tidm-space`: messages between control planes and data planes.

use tidm_space::dataflow::message::{Kind, Message, Plane};
use tidm_space::dataflow::state::{Flow, State};
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;
use tidm_space::wire::dps::{self, registration};

use crate::{Parser, choose};

/// Orders, answers, reports and registrations.
pub(crate) fn signaling(data: &[u8]) {
    const PARSERS: [Parser; 5] = [
        orders,
        answers,
        reports,
        |data| plane(Plane::Data, data),
        |data| plane(Plane::Control, data),
    ];
    choose(&PARSERS, data);
}

/// The first byte says to which path the rest was posted.
fn kind(data: &[u8]) -> Option<(Kind, &[u8])> {
    let (which, body) = data.split_first()?;
    let which = usize::from(which.wrapping_sub(b'a')) % Kind::ALL.len();
    Some((*Kind::ALL.get(which)?, body))
}

fn fixed(text: &str) -> Id {
    Id::parse(text).unwrap_or_else(|_| unreachable!("a fixed text that is right"))
}

fn orders(data: &[u8]) {
    let Some((kind, body)) = kind(data) else { return };
    let Ok(ordered) = dps::read(kind, body) else { return };
    let Some(terms) = ordered.terms.clone() else { return };
    // As the control plane would have written it.
    let flow = Flow {
        id: fixed("urn:flow:1"),
        plane: Plane::Control,
        role: Role::Provider,
        partner: fixed("plane"),
        address: "https://plane.example".to_owned(),
        theirs: None,
        opened_by: fixed("urn:message:1"),
        terms,
        state: State::Initialized,
        owed: vec![],
        error: None,
        created: Time::ZERO,
        moved: Time::ZERO,
    };
    let message = Message { id: ordered.id.clone(), body: ordered.body.clone() };
    let Ok(posting) = dps::write(&flow, &message) else { return };
    match dps::read(kind, posting.body.as_bytes()) {
        Ok(again) => assert_eq!(again, ordered, "{}", posting.body),
        Err(why) => panic!("{why}\n{}", posting.body),
    }
}

fn answers(data: &[u8]) {
    if let Ok(status) = dps::read_status(data) {
        assert!(status.error.is_none_or(|it| !it.is_empty()));
    }
}

fn reports(data: &[u8]) {
    let Some((kind, body)) = kind(data) else { return };
    if let Ok((_, body)) = dps::read_callback(kind, body) {
        assert_eq!(body.kind(), kind);
    }
}

fn plane(plane: Plane, data: &[u8]) {
    let Ok(it) = registration::read(plane, data) else { return };
    let text = registration::write(&it);
    match registration::read(plane, text.as_bytes()) {
        Ok(again) => assert_eq!(again, it, "{text}"),
        Err(why) => panic!("{why}\n{text}"),
    }
}
