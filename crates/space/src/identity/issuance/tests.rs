use std::time::Duration;

use super::machine::{Input, Kind, delivery, next, table};
use super::message::{Container, Outcome};
use super::state::{Issuance, Name, State, Word};
use crate::identity::credential::Profile;
use crate::identity::did::Did;
use crate::limits::{ISSUANCE_GIVE_UP, RETRY_LONGEST};
use crate::time::Time;

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

fn at(s: u64) -> Time {
    Time::ZERO.after(Duration::from_secs(s))
}

fn container() -> Container {
    Container { kind: "X".to_owned(), profile: Profile::Vc20, payload: "a.b.c".to_owned() }
}

fn received() -> Issuance {
    Issuance {
        id: "i".to_owned(),
        issuer: Did::parse("did:web:i").unwrap(),
        holder: Did::parse("did:web:h").unwrap(),
        holder_pid: "h".to_owned(),
        wants: vec!["1".to_owned()],
        access: None,
        created: at(1),
        moved: at(1),
        state: State::Received,
    }
}

fn decided() -> [Issuance; 2] {
    [Input::Approve { credentials: vec![container()] }, Input::Reject { reason: "no".to_owned() }]
        .map(|input| {
            let (it, step) = next(&received(), input, at(10)).unwrap();
            assert_eq!(step.deliver, Some(at(10)), "the wallet is told at once");
            it
        })
}

#[test]
fn what_was_decided_stays_and_is_said_until_it_is_taken() {
    for it in decided() {
        let said = delivery(&it).unwrap();
        let mut now = at(10);
        let mut tried = it.clone();
        let mut tries = 0_u32;
        // The same words at every try, ever more slowly, and not for ever.
        while let Some(said_again) = delivery(&tried) {
            assert_eq!(said_again, said);
            let (later, step) = next(&tried, Input::Undelivered, now).unwrap();
            tried = later;
            let Some(deliver) = step.deliver else { break };
            assert!(deliver > now && deliver.since(now) <= RETRY_LONGEST);
            now = deliver;
            tries += 1;
            assert!(now.since(at(10)) <= ISSUANCE_GIVE_UP + RETRY_LONGEST);
        }
        assert!(tries > 1000, "{tries}");
        assert_eq!(tried.state.name().shown(), Word::Rejected);

        let (done, step) = next(&it, Input::Delivered, at(11)).unwrap();
        assert_eq!((step.deliver, delivery(&done)), (None, None));
        let expected =
            if matches!(said.outcome, Outcome::Issued(_)) { Word::Issued } else { Word::Rejected };
        assert_eq!(done.state.name().shown(), expected);
        assert_eq!(next(&done, Input::Delivered, at(12)).unwrap().0, done, "said twice, done once");
    }
}

#[test]
fn nothing_is_decided_twice() {
    for it in decided() {
        let (done, _) = next(&it, Input::Delivered, at(11)).unwrap();
        for it in [&it, &done] {
            for input in [
                Input::Approve { credentials: Vec::new() },
                Input::Reject { reason: String::new() },
            ] {
                assert_eq!(next(it, input, at(12)).unwrap_err().code(), "issuance.decided");
            }
        }
    }
    for input in [Input::Delivered, Input::Undelivered] {
        assert_eq!(next(&received(), input, at(2)).unwrap_err().code(), "issuance.nothing");
    }
}
