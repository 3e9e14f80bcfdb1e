//! Targets in `tidm-space`: our own profile's messages, stored rows and facts.

use tidm_space::engine::input::Heard;
use tidm_space::evidence::encode;
use tidm_space::wire::record::{
    contract, flow, lease, negotiation, product, send, timer, transfer,
};
use tidm_space::wire::tidm::{facts, lease as asked, members, notice, psi, psi_many, share};

use crate::{Parser, choose};

/// Messages between our nodes, and the list of members.
pub(crate) fn notices(data: &[u8]) {
    const PARSERS: [Parser; 10] = [
        requests,
        grants,
        refusals,
        heard,
        pages,
        lists,
        matchings,
        matchings_of_many,
        shares,
        challenges,
    ];
    choose(&PARSERS, data);
}

/// What is asked before evidence is made, and the evidence in a request.
fn challenges(data: &[u8]) {
    if let Ok(contract) = asked::read_challenge_request(data) {
        let text = asked::write_challenge_request(&contract, &contract).body;
        assert!(asked::read_challenge_request(text.as_bytes()).is_ok_and(|it| it == contract));
    }
    if let Ok((nonce, until)) = asked::read_challenge(data) {
        let text = asked::write_challenge(&nonce, until);
        assert!(asked::read_challenge(text.as_bytes()).is_ok_and(|it| it == (nonce, until)));
    }
    let Ok(Some(evidence)) = asked::read_evidence(data) else { return };
    assert!(evidence.len() <= asked::EVIDENCE_BYTES);
    let Ok((Some(id), Heard::Ask(it))) = asked::read_request(data) else { return };
    let text = asked::write_attested(&id, &it, &evidence).body;
    assert!(asked::read_evidence(text.as_bytes()).is_ok_and(|again| again == Some(evidence)));
}

fn matchings(data: &[u8]) {
    if let Ok((Some(id), it)) = psi::read_invitation(data) {
        let text = psi::write_invitation(&id, &it).body;
        assert!(psi::read_invitation(text.as_bytes()).is_ok_and(|again| again == (Some(id), it)));
    }
    if let Ok(it) = psi::read_acceptance(data) {
        let text = psi::write_acceptance(&it);
        assert!(psi::read_acceptance(text.as_bytes()).is_ok_and(|again| again == it));
    }
    drop(psi::read_joining(data));
}

fn matchings_of_many(data: &[u8]) {
    if let Ok((Some(id), it)) = psi_many::read_invitation(data) {
        let text = psi_many::write_invitation(&id, &it).body;
        let again = psi_many::read_invitation(text.as_bytes());
        assert!(again.is_ok_and(|again| again == (Some(id), it)));
    }
    if let Ok(it) = psi_many::read_word(data) {
        let again = psi_many::read_word(psi_many::write_word(&it).as_bytes());
        assert!(again.is_ok_and(|again| again == it));
        drop(it.key_id());
    }
    if let Ok((Some(id), it)) = psi_many::read_start(data) {
        assert!(it.fits() && it.agreed.check().is_ok());
        let text = psi_many::write_start(&id, &it).body;
        assert!(psi_many::read_start(text.as_bytes()).is_ok_and(|again| again == (Some(id), it)));
    }
}

/// What is signed about shares of keys, and the messages that carry it.
fn shares(data: &[u8]) {
    if let Ok(it) = share::read_deposit(data) {
        let text = share::deposit_claims(&it).to_string();
        assert!(share::read_deposit(text.as_bytes()).is_ok_and(|again| again == it));
    }
    if let Ok(it) = share::read_shown(data) {
        let text = share::shown_claims(&it).to_string();
        assert!(share::read_shown(text.as_bytes()).is_ok_and(|again| again == it));
    }
    if let Ok(it) = share::read_request(data) {
        let text = share::write_request(&it).body;
        assert!(share::read_request(text.as_bytes()).is_ok_and(|again| again == it));
    }
    if let Ok((lease, wrapped)) = share::read_grant(data) {
        let text = share::write_grant(&lease, &wrapped);
        assert!(share::read_grant(text.as_bytes()).is_ok_and(|again| again == (lease, wrapped)));
    }
    drop((share::read_key(data), share::read_key_claims(data), share::read_inquiry(data)));
    drop(asked::read_split(data));
}

fn requests(data: &[u8]) {
    let Ok((Some(id), Heard::Ask(it))) = asked::read_request(data) else { return };
    let again = asked::read_request(asked::write_request(&id, &it).body.as_bytes());
    let Ok((Some(same), Heard::Ask(again))) = again else { panic!("not read again: {it:?}") };
    assert_eq!((same, again), (id, it));
}

fn grants(data: &[u8]) {
    let Ok((grant, key)) = asked::read_grant(data) else { return };
    let text = asked::write_grant(&grant, key.as_deref());
    assert!(asked::read_grant(text.as_bytes()).is_ok_and(|again| again == (grant, key)), "{text}");
}

fn refusals(data: &[u8]) {
    drop(asked::read_refusal(data));
}

fn heard(data: &[u8]) {
    if let Ok((Some(id), Heard::Ended { contract, why, reason })) =
        notice::read_contract_ended(data)
    {
        let text = notice::contract_ended(&id, &contract, why, &reason).body;
        assert!(notice::read_contract_ended(text.as_bytes()).is_ok(), "{text}");
    }
    if let Ok((Some(id), Heard::Return { lease, outcome, receipt })) =
        notice::read_lease_returned(data)
    {
        let text = notice::lease_returned(&id, &lease, &outcome, receipt.as_ref()).body;
        assert!(notice::read_lease_returned(text.as_bytes()).is_ok(), "{text}");
    }
    if let Ok((Some(id), Heard::Renew(it))) = asked::read_renewal(data) {
        let text = asked::write_renewal(&id, &it).body;
        assert!(asked::read_renewal(text.as_bytes()).is_ok(), "{text}");
    }
    if let Ok((Some(id), Heard::Standing { contract, change, reason })) =
        notice::read_contract_standing(data)
    {
        let text = notice::contract_standing(&id, &contract, change, reason.as_deref()).body;
        assert!(notice::read_contract_standing(text.as_bytes()).is_ok(), "{text}");
    }
    if let Ok((Some(id), Heard::LeaseEnded { contract, lease, how })) =
        notice::read_lease_ended(data)
    {
        let text = notice::lease_ended(&id, &contract, &lease, how).body;
        assert!(notice::read_lease_ended(text.as_bytes()).is_ok(), "{text}");
    }
    if let Ok((Some(id), Heard::Deleted { contract, deletion })) = notice::read_deleted(data) {
        let text = notice::deleted(&id, &contract, &deletion).body;
        let Ok((_, Heard::Deleted { deletion: again, .. })) = notice::read_deleted(text.as_bytes())
        else {
            panic!("not read again: {text}")
        };
        assert_eq!(again, deletion);
    }
}

fn pages(data: &[u8]) {
    let Ok(page) = facts::read_page(data) else { return };
    let next = page.next.clone().unwrap_or_default();
    let entries: Vec<_> = page.facts.iter().map(|it| (next.clone(), encode::encode(it))).collect();
    let text = facts::write_page(&page.contract, &entries, page.next.as_deref());
    let Ok(again) = facts::read_page(text.as_bytes()) else { panic!("not read again: {text}") };
    // A page that is too large for one message is cut; what is there is the same.
    assert_eq!(again.facts.as_slice(), page.facts.get(..again.facts.len()).unwrap_or_default());
}

fn lists(data: &[u8]) {
    let Ok(list) = members::parse(data) else { return };
    let Ok(bytes) = members::to_bytes(&list) else { return };
    assert!(members::parse(&bytes).is_ok_and(|again| again == list));
}

/// Rows of the store, and facts: what is read and written is read again as the same.
pub(crate) fn records(data: &[u8]) {
    const PARSERS: [Parser; 9] = [
        |data| row(data, contract::decode, contract::encode),
        |data| row(data, lease::decode, lease::encode),
        |data| row(data, negotiation::decode, negotiation::encode),
        |data| row(data, product::decode, product::encode),
        |data| row(data, send::decode, send::encode),
        |data| row(data, timer::decode, timer::encode),
        |data| row(data, transfer::decode, transfer::encode),
        fact,
        |data| row(data, flow::decode, flow::encode),
    ];
    choose(&PARSERS, data);
}

fn row<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    data: &[u8],
    decode: fn(&str) -> Result<T, E>,
    encode: fn(&T) -> String,
) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(it) = decode(text) else { return };
    let row = encode(&it);
    match decode(&row) {
        Ok(again) => assert_eq!(again, it, "{row}"),
        Err(why) => panic!("{why:?}: {row}"),
    }
}

fn fact(data: &[u8]) {
    if let Ok(fact) = encode::decode(data) {
        assert_eq!(encode::encode(&fact), data);
    }
}
