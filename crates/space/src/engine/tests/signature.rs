//! House D14: present and wrong always ends a negotiation; missing ends it where signatures are demanded.

use serde_json::{Value, json};

use super::side::{Side, agreed, deliver, pair, post, request, settle, terms};
use crate::catalog::product::Approval;
use crate::engine::commit::Send;
use crate::wire::dsp::negotiation::SIGNATURE;
use crate::wire::samples::at;

#[derive(Clone, Copy, Debug)]
enum Made {
    Right,
    Missing,
    Garbage,
    ByAnother,
}

/// Whose message is changed, how, whether signatures are demanded → does a contract stand on both sides?
#[test]
fn signatures_are_checked_by_both() {
    for (of_provider, made, demands, stands) in [
        (true, Made::Right, true, true),
        (true, Made::Missing, true, false),
        (true, Made::Missing, false, true),
        (true, Made::Garbage, false, false),
        (true, Made::ByAnother, false, false),
        (false, Made::Right, true, true),
        (false, Made::Missing, true, false),
        (false, Made::Missing, false, true),
        (false, Made::Garbage, false, false),
        (false, Made::ByAnother, false, false),
    ] {
        let (mut provider, mut consumer) = pair(Approval::Auto, None);
        provider.demands = demands;
        consumer.demands = demands;
        request(&provider, &mut consumer, terms(None));
        assert!(post(&mut consumer, &mut provider, at(2)));
        if of_provider {
            change(&mut provider, made);
        } else {
            assert!(post(&mut provider, &mut consumer, at(2)));
            change(&mut consumer, made);
        }
        settle(&mut provider, &mut consumer, at(3));
        let case = format!("{of_provider} {made:?} {demands}");
        let state = if stands { "FINALIZED" } else { "TERMINATED" };
        assert_eq!((provider.state(), consumer.state()), (state, state), "{case}");
        assert_eq!(
            (provider.contracts.len(), consumer.contracts.len()),
            if stands { (1, 1) } else { (0, 0) },
            "{case}"
        );
        if stands {
            let signed = matches!(made, Made::Right);
            let of = |it: &Side| {
                if of_provider {
                    it.contract().provider_signature
                } else {
                    it.contract().consumer_signature
                }
            };
            let receiver = if of_provider { &consumer } else { &provider };
            assert_eq!(of(receiver).is_some(), signed, "{case}: unsigned is marked");
        }
    }
}

fn change(side: &mut Side, made: Made) {
    let send = side.waiting();
    let mut doc: Value = serde_json::from_str(&send.body).unwrap();
    let members = doc.as_object_mut().unwrap();
    match made {
        Made::Right => {}
        Made::Missing => drop(members.remove(SIGNATURE).unwrap()),
        Made::Garbage => drop(members.insert(SIGNATURE.to_owned(), json!("e30.e30.AAAA"))),
        Made::ByAnother => {
            let jws = tidm_crypto::jws::sign(
                "key-1",
                "tidm-agreement+jws",
                b"other terms",
                &Side::new("stranger", 9).key,
            );
            members.insert(SIGNATURE.to_owned(), json!(jws));
        }
    }
    side.outbox.insert(send.id.clone(), Send { body: doc.to_string(), ..send });
}

/// An agreement under the id of a contract that the consumer holds already would take its place.
#[test]
fn an_agreement_cannot_take_another_contracts_id() {
    let (mut provider, mut consumer) = agreed(None);
    let had = consumer.contract();
    request(&provider, &mut consumer, terms(None));
    assert!(post(&mut consumer, &mut provider, at(4)));
    let send = provider.waiting();
    let mut doc: Value = serde_json::from_str(&send.body).unwrap();
    doc["agreement"]["@id"] = json!(had.id.as_str());
    let refused = deliver(&provider, &mut consumer, &Send { body: doc.to_string(), ..send }, at(4))
        .unwrap_err();
    assert_eq!(refused.code(), "agreement.id");
    assert_eq!(consumer.contract(), had);
}
