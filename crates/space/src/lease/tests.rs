use super::machine::{Gate, Granted, Input, Kind, Spent, grant, next, table};
use super::message::Request;
use super::state::{Lease, Name, State};
use crate::contract::{Contract, End, State as ContractState};
use crate::fault::Fault;
use crate::identity::did::Did;
use crate::negotiation::message::Role;
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

fn ask(
    contract: &Contract,
    uses: u64,
    earlier: Option<&Lease>,
    from: &Did,
    request: &Request,
) -> Result<Granted, Fault> {
    let spent = Spent { uses, ..Spent::default() };
    grant(Gate { contract, spent, earlier, from }, request, id("urn:lease:new"), at(10))
}

#[test]
fn the_count_is_never_exceeded() {
    let contract = active(3);
    let mut uses = 0;
    for nonce in 0..10 {
        match ask(&contract, uses, None, &contract.peer, &request(nonce)) {
            Ok(Granted::New { lease, debit }) => {
                uses += debit.amount;
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
    let inputs = || [Input::Return(outcome()), Input::Expire, Input::Revoke];
    for first in inputs() {
        let (ended, changed) = next(&granted, first, at(11)).unwrap();
        assert!(changed && ended.state != State::Granted);
        for second in inputs() {
            assert_eq!(next(&ended, second, at(12)).unwrap(), (ended.clone(), false));
        }
    }
}
