//! Terms about a trusted environment: signed where evidence is judged, kept by what the evidence proves.

use std::time::Duration;

use tidm_crypto::hash::sha256;

use super::side::{Side, ask, pair, request, settle, terms};
use crate::catalog::product::Approval;
use crate::engine::commit::Reply;
use crate::engine::input::{Heard, SayWish, Wish};
use crate::evidence::encode::summary;
use crate::evidence::fact::What;
use crate::fault::Fault;
use crate::lang::Lang;
use crate::lease::message::{Proven, Renewal, Request};
use crate::policy::compile::compile;
use crate::policy::model::{Operand, Operator, Policy};
use crate::policy::usage::{Level, Use};
use crate::wire::samples::{at, constraint};

fn demanding(operand: Operand, operator: Operator, value: &str) -> Policy {
    let mut offer = terms(None);
    offer.permissions[0].constraints.push(constraint(operand, operator, value));
    offer
}

/// Both sides after a person at the provider approved these terms.
fn approved(offer: Policy, attests: bool) -> (Side, Side) {
    let (mut provider, mut consumer) = pair(Approval::Manual, None);
    provider.attests = attests;
    request(&provider, &mut consumer, offer);
    settle(&mut provider, &mut consumer, at(2));
    let negotiation = provider.only_negotiation().id.clone();
    provider.wish(Wish::Say { negotiation, body: SayWish::Approve }, at(3)).unwrap();
    settle(&mut provider, &mut consumer, at(4));
    (provider, consumer)
}

fn heard(
    provider: &mut Side,
    consumer: &Side,
    (nonce, kind): (u8, Use),
    proven: Option<(Option<Level>, &str)>,
) -> Result<(), String> {
    let request = Request { kind, ..ask(&provider.contract().id, nonce) };
    // A refusal is told once a minute.
    let now = at(5 + 60 * i64::from(nonce % 100));
    let what = match proven {
        None => Heard::Ask(Box::new(request)),
        Some((level, refused)) => {
            let evidence = sha256(b"evidence");
            let proven =
                Proven { format: "simulated", evidence, level, refused: refused.to_owned() };
            Heard::Attested(Box::new((request, proven)))
        }
    };
    match provider.hear(consumer, &format!("urn:ask:{nonce}"), what, now) {
        Ok(Reply::Lease(_)) => Ok(()),
        Ok(other) => panic!("{other:?}"),
        Err(Fault::Denied { code, .. }) => Err(code.to_owned()),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn what_only_evidence_meets_is_signed_where_evidence_is_judged() {
    for (offer, plain) in [
        (demanding(Operand::Environment, Operator::Eq, "tee"), false),
        (demanding(Operand::Enforcement, Operator::Gteq, "E3"), false),
        (demanding(Operand::Enforcement, Operator::Gteq, "E1"), true),
    ] {
        for attests in [false, true] {
            let (provider, consumer) = approved(offer.clone(), attests);
            let state = if attests || plain { "FINALIZED" } else { "TERMINATED" };
            assert_eq!((provider.state(), consumer.state()), (state, state), "{attests}");
        }
    }
}

/// (level, what was refused) as appraised → the gate's answer, for terms about the environment and for E4.
#[test]
fn a_key_follows_evidence_that_holds() {
    type Case = (Option<(Option<Level>, &'static str)>, Result<(), &'static str>, bool);
    let cases: [Case; 5] = [
        (None, Err("policy.unknown"), false),
        (Some((None, "debug,unknown-chip")), Err("attest.refused"), false),
        // A TPM proves no trusted environment.
        (Some((None, "")), Err("policy.unknown"), false),
        (Some((Some(Level::E3), "")), Ok(()), false),
        (Some((Some(Level::E4), "")), Ok(()), true),
    ];
    let (mut tee, consumer) = approved(demanding(Operand::Environment, Operator::Eq, "tee"), true);
    let (mut fourth, peer) = approved(demanding(Operand::Enforcement, Operator::Gteq, "E4"), true);
    for (nonce, (proven, expected, independent)) in (0..).zip(cases) {
        let said = heard(&mut tee, &consumer, (nonce, Use::SealedTable), proven);
        assert_eq!(said, expected.map_err(str::to_owned), "{proven:?}");
        let said = heard(&mut fourth, &peer, (nonce, Use::SealedTable), proven);
        assert_eq!(said.is_ok(), independent, "{proven:?}");
        // A statement runs at the provider: where the asker is does not matter.
        assert!(heard(&mut tee, &consumer, (100 + nonce, Use::Query), proven).is_err());
        let terms = compile(&tee.contract().policy).unwrap();
        assert!(!terms.unkeepable(Use::Plain).is_empty(), "no bytes in the clear");
        let last = tee.facts.iter().rev().find_map(|it| {
            let What::Appraised { level, refused, format, .. } = &it.what else { return None };
            assert_eq!(format, "simulated", "labelled wherever its level is");
            let said = summary(it, Lang::En);
            assert!(said.ends_with("(simulated)"), "{said}");
            Some((*level, refused.as_str()))
        });
        assert_eq!(last, proven, "{proven:?}");
    }
}

/// For an hour from the grant; from then on each renewal needs new evidence, and refused evidence refuses at any time.
#[test]
fn a_lease_that_evidence_opened_goes_on_by_fresh_evidence() {
    let (mut gate, consumer) = approved(demanding(Operand::Environment, Operator::Eq, "tee"), true);
    let proven = Some((Some(Level::E3), ""));
    heard(&mut gate, &consumer, (1, Use::SealedTable), proven).unwrap();
    let lease = gate.leases.keys().next().unwrap().clone();
    assert_eq!(gate.leases[&lease].level, Some(Level::E3));
    let mut renew = |number, shown: Option<(Option<Level>, &str)>, now| {
        let it = Renewal { lease: lease.clone(), number, span: Duration::from_secs(3000) };
        let what = match shown {
            None => Heard::Renew(it),
            Some((level, refused)) => {
                let (evidence, refused) = (sha256(b"new"), refused.to_owned());
                let proven = Proven { format: "simulated", evidence, level, refused };
                Heard::RenewAttested(Box::new((it, proven)))
            }
        };
        match gate.hear(&consumer, &format!("urn:renew:{number}"), what, at(now)) {
            Ok(Reply::Lease(grant)) => Ok(grant.until),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => Err(fault.code()),
        }
    };
    let (none, good) = (None, Some((Some(Level::E3), "")));
    assert_eq!(renew(1, none, 80), Ok(at(3080)));
    assert_eq!(renew(2, Some((None, "unknown-chip")), 2000), Err("attest.refused"));
    assert_eq!(renew(2, none, 3000), Ok(at(6000)));
    assert_eq!(renew(3, none, 3700), Err("lease.renewal"), "too old");
    // A TPM proves no trusted environment.
    assert_eq!(renew(3, Some((None, "")), 3800), Err("lease.renewal"));
    assert_eq!(renew(3, good, 3900), Ok(at(6900)));
    assert_eq!(renew(3, good, 3910), Ok(at(6900)), "its answer was lost");
    assert_eq!(renew(4, none, 3920), Err("lease.renewal"), "each brings its own");
    assert_eq!(renew(4, good, 6800), Ok(at(9800)));
    let appraised = |it: &&What| matches!(it, What::Appraised { .. });
    let all = gate.facts.iter().map(|it| &it.what);
    assert_eq!(all.filter(appraised).count(), 1 + 1 + 1 + 2, "grant, refused, none, two renewals");
}
