//! Targets in `tidm-space`: messages of the Dataspace Protocol and catalogues.

use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::{Body, Message, Role};
use tidm_space::negotiation::state::{Negotiation, State};
use tidm_space::time::Time;
use tidm_space::transfer::message as moved;
use tidm_space::transfer::state::{State as TransferState, Transfer};
use tidm_space::wire::dsp::catalog::{self, CatalogRequest};
use tidm_space::wire::dsp::negotiation::{self, Endpoint as Said};
use tidm_space::wire::dsp::transfer::{self, Endpoint as Moved};
use tidm_space::wire::dsp::{error, version};
use tidm_space::wire::{json, kas};

use tidm_space::catalog::entry::Entry;
use tidm_space::catalog::search::Filter;
use tidm_space::catalog::words;
use tidm_space::identity::program;
use tidm_space::limits::{KAS_OBJECTS, KAS_POLICIES, WORD_CHARS, WORDS_OF_ENTRY};
use tidm_space::wire::tidm::{changes, psi, psi_table};

use crate::policy::writable;
use crate::{Parser, choose};

const BASE: &str = "https://me.example/dsp";

/// All messages of the protocol.
pub(crate) fn messages(data: &[u8]) {
    const PARSERS: [Parser; 14] = [
        negotiations,
        transfers,
        answers,
        versions_and_errors,
        documents,
        catalogs,
        datasets,
        catalog_requests,
        catalog_errors,
        catalog_changes,
        searched_words,
        key_requests,
        key_requests_in_protobuf,
        tables_for_matching,
    ];
    choose(&PARSERS, data);
}

fn fixed<T, E>(it: Result<T, E>) -> T {
    it.unwrap_or_else(|_| unreachable!("a fixed text that is right"))
}

/// Our pid in a path, as the seeds name it.
fn mine() -> Id {
    fixed(Id::parse("urn:mine:1"))
}

fn peer() -> Did {
    fixed(Did::parse("did:web:peer.example"))
}

/// The first byte says to which address the rest was posted.
fn negotiations(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    let which = usize::from(which.wrapping_sub(b'a'));
    let Some(&endpoint) = Said::ALL.get(which % Said::ALL.len()) else { return };
    let opens = matches!(endpoint, Said::RequestOpen | Said::OfferOpen);
    let pid = (!opens).then(mine);
    let Ok((id, spoken)) = negotiation::read(endpoint, pid.as_ref(), body) else { return };
    let kept = match &spoken.body {
        Body::Request { offer } | Body::Offer { offer } => writable(offer),
        Body::Agree { agreement } => writable(&agreement.policy),
        Body::Accept | Body::Verify { .. } | Body::Finalize | Body::Terminate { .. } => true,
    };
    let Some(theirs) = spoken.theirs.clone().filter(|_| kept) else { return };
    // As the peer would have written it.
    let them = Negotiation {
        id: theirs,
        role: spoken.role.peer(),
        peer: peer(),
        peer_pid: spoken.mine.clone(),
        address: BASE.to_owned(),
        product: mine(),
        state: State::Initial,
        pending: None,
        rounds: 0,
        proposed: None,
        rules: tidm_space::approval::Rules::default(),
        awaits_approval: false,
        created: Time::ZERO,
        moved: Time::ZERO,
    };
    let message = Message { id, body: spoken.body.clone() };
    let Ok(posting) = negotiation::write(&them, &message, BASE) else { return };
    match negotiation::read(endpoint, pid.as_ref(), posting.body.as_bytes()) {
        Ok((id, again)) => {
            assert_eq!((id, again.body, again.theirs), (message.id, spoken.body, spoken.theirs));
        }
        Err(why) => panic!("{why}\n{}", posting.body),
    }
}

fn transfers(data: &[u8]) {
    const ENDPOINTS: [Moved; 5] =
        [Moved::Request, Moved::Start, Moved::Completion, Moved::Suspension, Moved::Termination];
    let Some((which, body)) = data.split_first() else { return };
    let which = usize::from(which.wrapping_sub(b'a')) % ENDPOINTS.len();
    let Some(&endpoint) = ENDPOINTS.get(which) else { return };
    let pid = (which > 0).then(mine);
    let Ok((id, spoken)) = transfer::read(endpoint, pid.as_ref(), body) else { return };
    let Some(theirs) = spoken.theirs.clone() else { return };
    let them = Transfer {
        id: theirs,
        role: Role::Consumer,
        peer: peer(),
        peer_pid: spoken.mine.clone(),
        address: BASE.to_owned(),
        contract: mine(),
        format: String::new(),
        push_to: None,
        state: TransferState::Initial,
        pending: None,
        starts: 0,
        created: Time::ZERO,
        moved: Time::ZERO,
    };
    let message = moved::Message { id, body: spoken.body.clone() };
    let Ok(posting) = transfer::write(&them, &message, BASE) else { return };
    let ours = transfer::read(endpoint, pid.as_ref(), posting.body.as_bytes());
    // Where our role decides which pid is whose, only the body can be compared.
    if let Ok((id, again)) = ours {
        assert!(id == message.id && again.body == spoken.body, "{}", posting.body);
    }
}

fn answers(data: &[u8]) {
    let mine = mine();
    drop((negotiation::read_answer(data, &mine), transfer::read_answer(data, &mine)));
    let acks = (negotiation::read_ack(data, &mine), transfer::read_ack(data, &mine));
    assert!(acks.0.is_none() || acks.1.is_none(), "one document cannot be both");
}

fn versions_and_errors(data: &[u8]) {
    drop(version::read(data));
    drop(error::pids_in(data));
    let (code, reasons) = error::read(data);
    assert!(code.is_none_or(|it| it.chars().count() <= tidm_space::limits::REASON_CHARS));
    assert!(reasons.len() <= tidm_space::limits::REASONS);
}

fn documents(data: &[u8]) {
    let Ok(value) = json::parse(data) else { return };
    assert!(json::parse(value.to_string().as_bytes()).is_ok_and(|again| again == value));
}

fn catalogs(data: &[u8]) {
    let Ok(it) = catalog::parse_catalog(data) else { return };
    for offer in it.datasets.iter().flat_map(|it| &it.offers) {
        crate::policy::use_it(offer);
    }
}

fn datasets(data: &[u8]) {
    let Ok(it) = catalog::parse_dataset(data) else { return };
    for distribution in &it.distributions {
        let _ = distribution.kind();
    }
    it.offers.iter().for_each(crate::policy::use_it);
}

fn catalog_requests(data: &[u8]) {
    let Ok(it) = CatalogRequest::parse(data) else { return };
    let again = CatalogRequest::parse(it.to_json().to_string().as_bytes());
    assert!(again.is_ok_and(|again| again.filter == it.filter));
}

fn catalog_errors(data: &[u8]) {
    drop(catalog::parse_error(data));
}

/// A page of changes: what was read stays within its bounds, and an entry of it is always the same.
fn catalog_changes(data: &[u8]) {
    let Ok(page) = changes::read_page(data) else { return };
    for it in &page.datasets {
        let entry = Entry::of(it);
        assert_eq!(entry, Entry::of(it));
        assert!(Filter::default().takes("did:web:a", &entry.facets, &entry.text));
    }
}

/// Words of any text: bounded, and what is searched for is found in its own text.
fn searched_words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let known = words::of_text(text);
    assert!(known.len() <= WORDS_OF_ENTRY);
    assert!(known.iter().all(|it| it.chars().count() <= 2 * WORD_CHARS));
    if known.len() < WORDS_OF_ENTRY {
        assert!(words::of_search(text, 16).iter().all(|it| known.contains(it)));
    }
}

/// Requests to the key access service, their policies, and access tokens for it.
fn key_requests(data: &[u8]) {
    drop(kas::read_body(data));
    drop(program::parse(data, BASE, Time::ZERO));
    let Ok(ask) = kas::read_token(data, Time::ZERO) else { return };
    assert!(ask.policies.len() <= KAS_POLICIES);
    for policy in &ask.policies {
        assert!(policy.objects.len() <= KAS_OBJECTS);
        drop(kas::contract_of(&policy.body));
    }
}

fn key_requests_in_protobuf(data: &[u8]) {
    if let Ok(text) = kas::proto::read_text(data) {
        assert!(text.len() <= data.len());
    }
}

/// A provider's word on a table, and an invitation over one: what is read is within bounds, and written again the same.
fn tables_for_matching(data: &[u8]) {
    drop(psi_table::read(data));
    if let Ok(it) = psi_table::read_statement(data) {
        assert!(it.within_bounds());
        let again = psi_table::statement(&it).to_string();
        assert!(psi_table::read_statement(again.as_bytes()).is_ok_and(|again| again == it));
    }
    if let Ok((Some(id), it)) = psi::read_invitation(data) {
        assert!(it.fits());
        let again = psi::write_invitation(&id, &it).body;
        assert!(psi::read_invitation(again.as_bytes()).is_ok_and(|(_, again)| again == it));
    }
}
