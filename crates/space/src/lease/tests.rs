use super::charge::Known;
use super::machine::{DebitKind, Gate, Granted, Input, Kind, Spent, grant, join, next, table};
use super::message::Request;
use super::seen::Seen;
use super::state::{Lease, Name, State};
use crate::contract::{Contract, End, State as ContractState};
use crate::fault::Fault;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::negotiation::message::Role;
use crate::policy::matching::{Key, Matching};
use crate::policy::sentence::{Sentences, build};
use crate::policy::usage::Use;
use crate::wire::samples::{agreement, at, contract, counted, did, id, leases, outcome, request};

/// The whole table, as a reviewer reads it. Only moves that change the state are listed.
#[test]
fn the_table_is_the_protocols() {
    let mut seen = String::new();
    for state in Name::ALL {
        for input in Kind::ALL {
            if let Ok(to) = table(state, input)
                && to != state
            {
                seen += &format!("{} --{input:?}--> {}\n", state.word(), to.word());
            }
        }
    }
    assert_eq!(seen.trim(), include_str!("table.txt").trim(), "\n{seen}");
}

fn active(uses: u64) -> Contract {
    let mut policy = agreement(false).policy;
    policy.permissions = counted(uses).permissions;
    contract(policy)
}

fn gate<'a>(
    contract: &'a Contract,
    spent: Spent,
    earlier: Option<&'a Lease>,
    from: &'a Did,
    group: &'a Group,
) -> Gate<'a> {
    const NOTHING: &Seen = &Seen { address: None, roles: None, regions: None };
    Gate {
        contract,
        spent,
        earlier,
        from,
        group,
        known: Known::default(),
        seen: NOTHING,
        outside: false,
    }
}

fn ask(
    contract: &Contract,
    uses: u64,
    earlier: Option<&Lease>,
    from: &Did,
    request: &Request,
) -> Result<Granted, Fault> {
    let spent = Spent { uses, ..Spent::default() };
    grant(
        gate(contract, spent, earlier, from, &Group::from(from)),
        request,
        id("urn:lease:new"),
        at(10),
    )
}

#[test]
fn the_count_is_never_exceeded() {
    let contract = active(3);
    let mut uses = 0;
    for nonce in 0..10 {
        match ask(&contract, uses, None, &contract.peer, &request(nonce)) {
            Ok(Granted::New { lease, debits }) => {
                uses += debits.iter().map(|it| it.amount).sum::<u64>();
                assert_eq!(lease.uses_left, Some(3 - uses));
            }
            Ok(Granted::Again(_)) => panic!("a fresh nonce is no repetition"),
            Err(fault) => assert_eq!((uses, fault.code()), (3, "policy.denied")),
        }
    }
    assert_eq!(uses, 3);
}

#[test]
fn the_same_nonce_gets_the_same_lease_uncharged() {
    let contract = active(1);
    let [granted, returned, expired, revoked] = <[Lease; 4]>::try_from(leases()).unwrap();
    let again = ask(&contract, 1, Some(&granted), &contract.peer, &request(1)).unwrap();
    assert_eq!(again, Granted::Again(granted.clone()), "although no use is left");
    let mut other = request(1);
    other.key = [8; 32];
    assert_eq!(
        ask(&contract, 0, Some(&granted), &contract.peer, &other).unwrap_err().code(),
        "lease.nonce"
    );
    for (ended, code) in
        [(returned, "lease.returned"), (expired, "lease.expired"), (revoked, "lease.revoked")]
    {
        assert_eq!(
            ask(&contract, 0, Some(&ended), &contract.peer, &request(1)).unwrap_err().code(),
            code
        );
    }
    let late = Lease { until: at(10), ..granted };
    assert_eq!(
        ask(&contract, 0, Some(&late), &contract.peer, &request(1)).unwrap_err().code(),
        "lease.expired"
    );
}

#[test]
fn an_ended_contract_refuses_even_a_known_nonce() {
    let granted = leases().swap_remove(0);
    for why in End::ALL {
        let mut contract = active(3);
        contract.state =
            ContractState::Ended { why, by: Role::Provider, at: at(9), reason: "over".to_owned() };
        for earlier in [None, Some(&granted)] {
            assert_eq!(
                ask(&contract, 0, earlier, &contract.peer, &request(1)).unwrap_err().code(),
                "contract.ended"
            );
        }
    }
}

/// Somebody else hears the same, whether the contract exists, ended, or is used up.
#[test]
fn another_peer_learns_nothing() {
    let stranger = did("did:web:stranger.example");
    let mut ended = active(0);
    ended.state = ContractState::Ended {
        why: End::Revoked,
        by: Role::Provider,
        at: at(9),
        reason: "secret".to_owned(),
    };
    let granted = leases().swap_remove(0);
    for contract in [active(3), active(0), ended] {
        for earlier in [None, Some(&granted)] {
            let fault = ask(&contract, 0, earlier, &stranger, &request(1)).unwrap_err();
            assert_eq!(fault, Fault::NotFound { what: "contract" });
        }
    }
}

#[test]
fn the_first_ending_stands() {
    let granted = leases().swap_remove(0);
    let inputs = || [Input::Return(outcome(), None), Input::Expire, Input::Revoke];
    for first in inputs() {
        let (ended, changed) = next(&granted, first, at(11)).unwrap();
        assert!(changed && ended.state != State::Granted);
        for second in inputs() {
            assert_eq!(next(&ended, second, at(12)).unwrap(), (ended.clone(), false));
        }
    }
}

fn matching_contract() -> Contract {
    let matching = Matching {
        key: Key::parse("part_no:text"),
        items: Some(100),
        budget: Some(250),
        ..Matching::default()
    };
    let said = Sentences { matching, kinds: vec![Use::Psi], ..Sentences::default() };
    let mut policy = agreement(false).policy;
    policy.permissions = build(id("urn:o"), None, &said).unwrap().permissions;
    contract(policy)
}

fn matched(nonce: u8, items: u64) -> Request {
    Request { kind: Use::Psi, items: Some(items), ..request(nonce) }
}

/// What is put in is counted before anything leaves, at a time and altogether.
#[test]
fn items_put_in_are_counted() {
    let contract = matching_contract();
    let mut spent = Spent::default();
    for (nonce, (items, rule)) in (0..).zip([
        (101, Some("tidm:matchItems")),
        (100, None),
        (100, None),
        (51, Some("tidm:matchBudget")),
        (50, None),
        (1, Some("tidm:matchBudget")),
        (0, None),
    ]) {
        let group = Group::from(&contract.peer);
        let gate = gate(&contract, spent, None, &contract.peer, &group);
        match (grant(gate, &matched(nonce, items), id("urn:lease:new"), at(10)), rule) {
            (Ok(Granted::New { debits, .. }), None) => {
                let of = |kind| {
                    debits.iter().filter(|it| it.kind == kind).map(|it| it.amount).sum::<u64>()
                };
                assert_eq!((of(DebitKind::Use), of(DebitKind::Items)), (1, items));
                spent.uses += 1;
                spent.items += items;
            }
            (Err(Fault::Denied { code, rule, .. }), Some(expected)) => {
                assert_eq!((code, rule.as_str()), ("psi.items", expected));
            }
            (got, _) => panic!("{items}: {got:?}"),
        }
    }
    assert_eq!(spent.items, 250);
    for broken in
        [Request { items: None, ..matched(9, 1) }, Request { query: None, ..matched(9, 1) }]
    {
        let group = Group::from(&contract.peer);
        let gate = gate(&contract, spent, None, &contract.peer, &group);
        let fault = grant(gate, &broken, id("urn:lease:new"), at(10)).unwrap_err();
        assert_eq!(fault.code(), "lease.session");
    }
}

/// A provider joins the session that it granted a lease for, and no other.
#[test]
fn a_provider_joins_its_own_session_only() {
    let contract = Contract { role: Role::Consumer, ..matching_contract() };
    let lease = leases().into_iter().next().unwrap();
    let request = |nonce| Request { contract: contract.id.clone(), ..matched(nonce, 5) };
    let ours = Lease { role: Role::Consumer, request: request(1), ..lease };
    let stranger = did("did:web:stranger.example");
    let other_session = Request { query: None, ..request(2) };
    let ended = Lease { state: State::Revoked { at: at(9) }, ..ours.clone() };
    let late = Lease { until: at(10), ..ours.clone() };
    for (from, ours, request, code) in [
        (&contract.peer, &ours, request(2), None),
        (&stranger, &ours, request(2), Some("not-found")),
        (&contract.peer, &ours, other_session, Some("lease.session")),
        (&contract.peer, &ours, Request { kind: Use::Query, ..request(2) }, Some("lease.session")),
        (&contract.peer, &ended, request(2), Some("lease.session")),
        (&contract.peer, &late, request(2), Some("lease.session")),
    ] {
        let group = Group::from(from);
        let gate = gate(&contract, Spent::default(), None, from, &group);
        match join(gate, ours, &request, id("urn:lease:join"), at(10)) {
            Ok(Granted::New { lease, debits }) => {
                assert_eq!((code, debits.len(), lease.until), (None, 0, ours.until));
            }
            Ok(Granted::Again(_)) => panic!("nothing was granted before"),
            Err(fault) => assert_eq!(Some(fault.code()), code),
        }
    }
    let group = Group::from(&ours.peer);
    let gate = |contract| gate(contract, Spent::default(), None, &ours.peer, &group);
    let provider = matching_contract();
    assert!(join(gate(&provider), &ours, &request(2), id("urn:lease:join"), at(10)).is_err());
}

/// A bare key goes to an outside program only where handing on is permitted; a refusal says what would help.
#[test]
fn outside_programs_need_the_right_to_hand_on() {
    use super::rewrap::{Obligation, obligations};
    use crate::policy::sentence::{Export, Sentences, build};

    let with = |export| {
        let sentences = Sentences {
            uses: Some(2),
            purposes: vec!["quality".to_owned()],
            export,
            ..Sentences::default()
        };
        let mut policy = agreement(false).policy;
        policy.permissions = build(id("urn:offer"), None, &sentences).unwrap().permissions;
        contract(policy)
    };
    let (open, closed) = (with(Export::Permitted), with(Export::default()));
    let stated = Request { purpose: Some("quality".to_owned()), ..request(1) };
    let silent = Request { purpose: None, ..request(1) };
    for (contract, uses, request, owed) in [
        (&open, 0, &stated, None),
        (&open, 0, &silent, Some(Obligation::Purpose("quality".to_owned()))),
        (&open, 2, &stated, Some(Obligation::Contract)),
        (&closed, 0, &stated, Some(Obligation::Node)),
    ] {
        let spent = Spent { uses, ..Spent::default() };
        let group = Group::from(&contract.peer);
        let gate = Gate { outside: true, ..gate(contract, spent, None, &contract.peer, &group) };
        let request = Request { contract: contract.id.clone(), ..request.clone() };
        let done = grant(gate, &request, id("urn:lease:new"), at(10));
        assert_eq!(done.is_ok(), owed.is_none(), "{done:?}");
        if let Err(no) = done {
            let found = obligations(contract, spent, request.purpose.as_deref(), &no);
            assert_eq!(found, Vec::from_iter(owed));
        }
    }
}
