//! Targets in `tidm-space`: short texts that come with every message, and tokens' claims.

use tidm_space::id::Id;
use tidm_space::identity::certificate::{Names, Register};
use tidm_space::identity::did::Did;
use tidm_space::identity::member::CreditCode;
use tidm_space::identity::token;
use tidm_space::lang::Lang;
use tidm_space::policy::privacy::{Epsilon, Unit};
use tidm_space::policy::span::Span;
use tidm_space::policy::terms::Price;
use tidm_space::time::Time;

use crate::{Parser, choose};

/// Whatever is accepted is accepted again as it was printed.
pub(crate) fn names(data: &[u8]) {
    const PARSERS: [Parser; 9] =
        [ids, dids, times, spans, codes, prices, claims, certificates, units];
    choose(&PARSERS, data);
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).unwrap_or_default()
}

fn units(data: &[u8]) {
    let text = text(data);
    if let Some(it) = Unit::parse(text) {
        assert!(it.sums.iter().all(|it| it.low <= it.high && (it.low, it.high) != (0, 0)), "{it}");
        assert_eq!(Unit::parse(&it.to_string()), Some(it));
    }
    if let Some(it) = Epsilon::parse(text) {
        assert_eq!(Epsilon::parse(&it.to_string()), Some(it));
    }
}

fn ids(data: &[u8]) {
    if let Ok(id) = Id::parse(text(data)) {
        assert!(Id::parse(id.as_str()).is_ok_and(|again| again == id));
    }
}

/// The address of a document never leads out of the host's own path.
fn dids(data: &[u8]) {
    let Ok(did) = Did::parse(text(data)) else { return };
    assert!(Did::parse(did.as_str()).is_ok_and(|again| again == did));
    let shown = did.to_id();
    if shown.as_str() != did.as_str() {
        // A participant under test by its plain name, which names no other and is no DID.
        assert!(Did::parse(shown.as_str()).is_err(), "{shown}");
        assert!(Did::named(shown.as_str()).is_ok_and(|again| again == did), "{shown}");
    }
    let Some(location) = did.document_location() else { return };
    assert!(!location.contains(['%', '?', '#', '@', '\\']), "{location}");
    let mut path = location.split('/').skip(1);
    assert!(path.all(|it| !it.is_empty() && it != "." && it != ".."), "{location}");
}

fn times(data: &[u8]) {
    if let Ok(time) = Time::parse(text(data)) {
        assert!(Time::parse(&time.to_string()).is_ok_and(|again| again == time));
    }
}

/// Never into the past, whatever the calendar does.
fn spans(data: &[u8]) {
    let text = text(data);
    let _ = (Span::looks_like_minutes(text), Lang::from_tag(text));
    let Ok(span) = Span::parse(text) else { return };
    assert!(Span::parse(&span.to_string()).is_ok_and(|again| again == span), "{span}");
    for start in [0, 1_780_000_000_000, i64::MAX].map(Time::from_ms) {
        assert!(span.after(start) >= start);
    }
}

fn codes(data: &[u8]) {
    if let Ok(code) = CreditCode::parse(text(data)) {
        assert_eq!(code.as_str(), text(data));
    }
}

fn prices(data: &[u8]) {
    let Some((amount, currency)) = text(data).split_once(' ') else { return };
    let Ok(price) = Price::parse(amount, currency) else { return };
    let again = price.to_string();
    let again = again.split_once(' ').map(|(amount, currency)| Price::parse(amount, currency));
    assert!(again.is_some_and(|again| again.is_ok_and(|again| again == price)));
}

fn claims(data: &[u8]) {
    drop(token::parse(data));
}

/// Whatever stands in the file and in a certificate: it names one participant who is in one of them, or nobody.
fn certificates(data: &[u8]) {
    let text = text(data);
    let Ok(register) = Register::parse(text) else { return };
    let words = || text.split_whitespace();
    let after =
        |kind: &str| words().filter_map(|it| it.strip_prefix(kind)).map(str::to_owned).collect();
    let names = Names { uris: after("uri:"), hosts: after("dns:"), digest: None };
    let Ok(who) = register.participant(&names) else { return };
    let named = |it: &str| Did::parse(it).or_else(|_| Did::named(it)).is_ok_and(|it| it == who);
    assert!(words().any(|it| named(it) || it.strip_prefix("uri:").is_some_and(named)), "{who}");
}
