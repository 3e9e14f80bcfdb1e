use std::time::Duration;

use super::decide::{self, Invited, Offered, Order, Verdict, View};
use super::machine::{Input, Kind, delivery, next, table};
use super::message::{Container, Outcome, Request};
use super::state::{Issuance, Name, State, Word};
use super::wallet::{Answered, admit};
use crate::identity::credential::Profile;
use crate::identity::did::Did;
use crate::limits::{ISSUANCE_GIVE_UP, OPEN_REQUESTS, RETRY_LONGEST};
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

fn order(holder_pid: &str) -> Order {
    let offered = Offered::membership("s", Profile::Vc20);
    Order {
        id: "new".to_owned(),
        issuer: Did::parse("did:web:i").unwrap(),
        holder: Did::parse("did:web:h").unwrap(),
        access: None,
        request: Request { holder_pid: holder_pid.to_owned(), wants: vec![offered.object.clone()] },
        wanted: vec![offered],
    }
}

#[test]
fn only_the_invited_get_something_and_a_repeated_request_gets_what_the_first_one_got() {
    let invited = |space: &str| {
        vec![Some(Invited {
            space: space.to_owned(),
            roles: "consumer".to_owned(),
            country: None,
            credit_code: None,
        })]
    };
    let old = decide::approve(&order("h"), vec![container()], at(3)).unwrap().0;
    let open = |count: u64| {
        let one = |it| Issuance { holder_pid: format!("other {it}"), ..old.clone() };
        (0..count).map(one).collect::<Vec<_>>()
    };
    for (view, code) in [
        (View { invitations: invited("s"), ..View::default() }, ""),
        (View { open: open(OPEN_REQUESTS - 1), invitations: invited("s"), ..View::default() }, ""),
        (
            View { open: open(OPEN_REQUESTS), invitations: invited("s"), ..View::default() },
            "issuance.many",
        ),
        (View::default(), "issuance.uninvited"),
        (View { invitations: vec![None], ..View::default() }, "issuance.uninvited"),
        // An invitation to another space is none.
        (View { invitations: invited("t"), ..View::default() }, "issuance.uninvited"),
    ] {
        match decide::decide(&order("h"), &view) {
            Ok(verdict) => assert_eq!((verdict, code), (Verdict::Issue, "")),
            Err(fault) => assert_eq!(fault.code(), code),
        }
    }
    // Its invitation is used by then.
    let view = View { open: vec![old.clone()], invitations: vec![None], ..View::default() };
    assert_eq!(decide::decide(&order("h"), &view), Ok(Verdict::Again(Box::new(old.clone()))));
    assert!(decide::decide(&order("another"), &view).is_err());
    // Nor does a later invitation issue twice on one request.
    let done = next(&old, Input::Delivered, at(4)).unwrap().0;
    let view = View { past: vec![done], invitations: invited("s"), ..View::default() };
    assert_eq!(decide::decide(&order("h"), &view), Ok(Verdict::Known("new".to_owned())));
    assert_eq!(decide::decide(&order("another"), &view), Ok(Verdict::Issue));

    let known = [Offered::membership("s", Profile::Vc20), Offered::membership("s", Profile::Vc11)];
    assert_eq!(decide::wanted(&order("h").request, &known).unwrap(), known[..1]);
    assert_eq!(
        decide::wanted(&order("h").request, &known[1..]).unwrap_err().code(),
        "issuance.unknown"
    );
    for it in Profile::ALL {
        assert_eq!(decide::from_word(decide::word(it)), Some(it));
    }
    // Two replicas tell one wallet: the second outcome changes nothing, and nothing is owed.
    let (issued, again) = decide::told(&old, Input::Delivered, at(4));
    assert_eq!((issued.state.clone(), again), (State::Issued, None));
    assert_eq!(decide::told(&issued, Input::Undelivered, at(5)), (issued, None));
}

#[test]
fn a_wallet_takes_what_it_asked_for_or_whom_it_trusts() {
    let sender = Did::parse("did:web:i").unwrap();
    let [open, issued, rejected] =
        [Answered::Open, Answered::Issued, Answered::Rejected].map(Answered::word);
    for (asked, trusted, taken) in [
        (Some(("did:web:i", open)), false, Some(true)),
        (Some(("did:web:i", open)), true, Some(true)),
        (Some(("did:web:x", open)), false, None),
        (Some(("did:web:i", issued)), false, None),
        (Some(("did:web:i", rejected)), false, None),
        // Our acknowledgement was lost: it is taken again, as nothing that we wait for.
        (Some(("did:web:i", issued)), true, Some(false)),
        (None, true, Some(false)),
        (None, false, None),
    ] {
        assert_eq!(admit(&sender, asked, trusted).ok(), taken, "{asked:?} {trusted}");
    }
}
