use super::*;
use crate::evidence::fact::Links;
use crate::lang::Lang;
use tidm_crypto::hash::sha256;

const PROVIDER: &str = "did:web:p.example";
const CONSUMER: &str = "did:web:c.example";

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn subject() -> Subject {
    Subject {
        contract: id("urn:contract"),
        product: id("urn:product"),
        provider: Did::parse(PROVIDER).unwrap(),
        consumer: Did::parse(CONSUMER).unwrap(),
        signed: sha256(b"terms"),
        limit: Some(2),
    }
}

fn fact(role: Role, seconds: i64, lease: Option<&str>, transfer: Option<&str>, what: What) -> Fact {
    let (by, peer) =
        if role == Role::Provider { (PROVIDER, CONSUMER) } else { (CONSUMER, PROVIDER) };
    Fact {
        id: id(&format!("urn:fact:{}:{seconds}", role.word())),
        at: Time::from_ms(seconds * 1000),
        by: Did::parse(by).unwrap(),
        links: Links {
            peer: Some(Did::parse(peer).unwrap()),
            contract: Some(id("urn:contract")),
            lease: lease.map(id),
            transfer: transfer.map(id),
            ..Links::default()
        },
        what,
    }
}

fn concluded() -> What {
    What::Concluded { signed: sha256(b"terms"), provider_signed: true, consumer_signed: true }
}

fn delivered() -> What {
    What::Delivered { bytes: 10, content: sha256(b"sealed") }
}

fn granted(uses: u64) -> What {
    What::LeaseGranted {
        kind: Use::SealedTable,
        purpose: Some("maintenance".to_owned()),
        query: None,
        key: sha256(b"key"),
        uses,
        until: Time::from_ms(200_000),
        epsilon: 0,
    }
}

fn held() -> What {
    What::LeaseHeld { kind: Use::SealedTable, until: Time::from_ms(200_000) }
}

fn closed(rows: u64) -> What {
    What::LeaseClosed {
        how: Closed::Returned,
        rows,
        bytes: 5,
        result: Some(sha256(b"result")),
        receipt: None,
    }
}

fn ended() -> What {
    What::ContractEnded { why: End::Revoked, by: Role::Provider, reason: "| over *now*".to_owned() }
}

fn deleted() -> What {
    What::CopiesDeleted {
        files: vec![sha256(b"sealed")],
        receipt: sha256(b"receipt"),
        checked: true,
    }
}

/// A whole life of a contract, both sides honest.
fn honest() -> (Vec<Fact>, Vec<Fact>) {
    use Role::{Consumer as C, Provider as P};
    let provider = vec![
        fact(P, 10, None, None, concluded()),
        fact(P, 20, None, Some("urn:t:p"), delivered()),
        fact(P, 30, Some("urn:l:1"), None, granted(1)),
        fact(P, 40, Some("urn:l:1"), None, closed(7)),
        fact(P, 50, Some("urn:l:2"), None, granted(2)),
        fact(P, 60, Some("urn:l:2"), None, closed(7)),
        fact(P, 70, None, None, ended()),
        fact(P, 71, None, None, What::KeyDestroyed),
        fact(P, 73, None, None, deleted()),
    ];
    let consumer = vec![
        fact(C, 10, None, None, concluded()),
        fact(C, 21, None, Some("urn:t:c"), delivered()),
        fact(C, 31, Some("urn:l:1"), None, held()),
        fact(C, 39, Some("urn:l:1"), None, closed(7)),
        fact(C, 51, Some("urn:l:2"), None, held()),
        fact(C, 59, Some("urn:l:2"), None, closed(7)),
        fact(C, 71, None, None, ended()),
        fact(C, 72, None, None, deleted()),
    ];
    (provider, consumer)
}

fn missed() -> What {
    What::LeaseMissed { how: Closed::Expired, more: 0 }
}

fn at(seconds: i64) -> Time {
    Time::from_ms(seconds * 1000)
}

fn codes(it: &Report) -> Vec<(Severity, &'static str)> {
    it.findings.iter().map(|it| (it.severity, it.code.word())).collect()
}

#[test]
fn honest_sides_agree_whatever_the_order() {
    let (mut provider, mut consumer) = honest();
    let report = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    assert_eq!(codes(&report), []);
    assert_eq!(
        (report.verdict(), report.uses(), report.remaining()),
        (Verdict::Consistent, 2, Some(0))
    );
    provider.reverse();
    consumer.push(consumer[3].clone());
    let again = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    assert_eq!(again, report);
    assert_eq!(
        crate::wire::tidm::audit::to_json(&again).to_string(),
        crate::wire::tidm::audit::to_json(&report).to_string()
    );
}

#[test]
fn every_forgotten_fact_is_named() {
    for (side, left_out, expected) in [
        (Role::Provider, 0, "contract.not-concluded"),
        (Role::Provider, 1, "delivery.not-provided"),
        (Role::Provider, 2, "lease.not-granted"),
        (Role::Provider, 3, "lease.open"),
        (Role::Provider, 6, "end.unknown"),
        (Role::Provider, 7, "key.not-destroyed"),
        (Role::Provider, 8, "deletion.not-received"),
        (Role::Consumer, 0, "contract.not-concluded"),
        (Role::Consumer, 1, "delivery.not-arrived"),
        (Role::Consumer, 2, "lease.not-held"),
        (Role::Consumer, 3, "lease.open"),
        (Role::Consumer, 6, "end.unknown"),
        (Role::Consumer, 7, "deletion.missing"),
    ] {
        let (mut provider, mut consumer) = honest();
        let side_facts = if side == Role::Provider { &mut provider } else { &mut consumer };
        side_facts.remove(left_out);
        let report = check(&subject(), Some(&provider), Some(&consumer), at(1000));
        assert!(
            codes(&report).iter().any(|it| it.1 == expected),
            "{side:?} {left_out}: {:?}",
            codes(&report)
        );
        assert!(
            matches!(report.verdict(), Verdict::Incomplete | Verdict::Contradicting),
            "{side:?} {left_out}"
        );
    }
}

#[test]
fn lies_contradict() {
    use Role::{Consumer as C, Provider as P};
    type Change = fn(&mut Vec<Fact>, &mut Vec<Fact>);
    let cases: &[(&str, Change)] = &[
        ("lease.not-granted", |_, c| c.push(fact(C, 55, Some("urn:l:9"), None, held()))),
        ("uses.exceeded", |p, c| {
            p.push(fact(P, 61, Some("urn:l:3"), None, granted(3)));
            c.push(fact(C, 61, Some("urn:l:3"), None, held()));
        }),
        ("uses.count-broken", |p, _| p[4].what = granted(1)),
        ("uses.after-end", |p, _| p[4].at = at(75)),
        ("lease.outcome-differs", |_, c| c[3].what = closed(8)),
        ("lease.terms-differ", |_, c| {
            c[2].what = What::LeaseHeld { kind: Use::Query, until: at(200) }
        }),
        ("contract.signed-differs", |p, _| {
            p[0].what = What::Concluded {
                signed: sha256(b"else"),
                provider_signed: true,
                consumer_signed: true,
            };
        }),
        ("contract.signatures-differ", |_, c| {
            c[0].what = What::Concluded {
                signed: sha256(b"terms"),
                provider_signed: true,
                consumer_signed: false,
            };
        }),
        ("delivery.not-provided", |_, c| {
            c[1].what = What::Delivered { bytes: 11, content: sha256(b"sealed") }
        }),
        ("deletion.differs", |p, _| {
            p[8].what =
                What::CopiesDeleted { files: vec![], receipt: sha256(b"receipt"), checked: true };
        }),
        ("end.differs", |_, c| {
            c[6].what = What::ContractEnded { why: End::Agreed, by: P, reason: String::new() };
        }),
        ("key.destroyed-early", |p, _| drop(p.remove(6))),
        ("fact.foreign", |p, _| p[2].by = Did::parse(CONSUMER).unwrap()),
        ("fact.foreign", |p, _| p[2].links.contract = Some(id("urn:other"))),
        ("lease.not-granted", |_, c| c.push(fact(C, 55, Some("urn:l:9"), None, missed()))),
        ("lease.renewal-not-granted", |_, c| {
            let what = What::LeaseRenewed { number: 1, until: at(400) };
            let lease = c[2].links.lease.clone().map(|it| it.to_string());
            c.push(fact(C, 56, lease.as_deref(), None, what));
        }),
        ("uses.while-suspended", |p, _| {
            let what = What::ContractStanding { change: 1, reason: Some("audit".to_owned()) };
            p.push(fact(P, 1, None, None, what));
        }),
        ("standing.differs", |_, c| {
            c.push(fact(C, 1, None, None, What::ContractStanding { change: 1, reason: None }));
        }),
        ("lease.close-without-open", |p, c| {
            p.remove(2);
            c.remove(2);
        }),
    ];
    for (expected, change) in cases {
        let (mut provider, mut consumer) = honest();
        change(&mut provider, &mut consumer);
        let report = check(&subject(), Some(&provider), Some(&consumer), at(1000));
        assert!(
            codes(&report).contains(&(Severity::Contradiction, expected)),
            "{expected}: {:?}",
            codes(&report)
        );
        assert_eq!(report.verdict(), Verdict::Contradicting, "{expected}");
    }
}

#[test]
fn what_may_still_come_is_pending_and_then_missing() {
    let (mut provider, mut consumer) = honest();
    provider.truncate(8);
    consumer.truncate(6);
    for (now, expected) in [(80, Verdict::Pending), (1000, Verdict::Incomplete)] {
        assert_eq!(
            check(&subject(), Some(&provider), Some(&consumer), at(now)).verdict(),
            expected,
            "{now}"
        );
    }
}

/// The answer to a grant was lost: the use counts, and a consumer that says so agrees with the gate.
#[test]
fn a_lost_grant_is_a_note() {
    let (provider, mut consumer) = honest();
    let lost = consumer.iter().position(|it| matches!(it.what, What::LeaseHeld { .. })).unwrap();
    let id = consumer[lost].links.lease.clone();
    consumer.retain(|it| it.links.lease != id);
    let silent = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    assert!(codes(&silent).contains(&(Severity::Missing, "lease.not-held")));
    let lease = id.map(|it| it.to_string());
    consumer.push(fact(Role::Consumer, 55, lease.as_deref(), None, missed()));
    let told = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    assert_eq!(codes(&told), [(Severity::Note, "lease.never-arrived")]);
    assert_eq!((told.verdict(), told.uses()), (Verdict::Consistent, 2));
}

/// A program of the consumer asked the gate itself, and the consumer's node was told.
#[test]
fn a_use_by_a_program_is_a_note() {
    let (provider, mut consumer) = honest();
    let held = consumer.iter().position(|it| matches!(it.what, What::LeaseHeld { .. })).unwrap();
    let id = consumer[held].links.lease.clone();
    consumer.retain(|it| it.links.lease != id);
    let told = What::LeaseMissed { how: Closed::Returned, more: 0 };
    let lease = id.map(|it| it.to_string());
    consumer.push(fact(Role::Consumer, 55, lease.as_deref(), None, told));
    let report = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    assert_eq!(codes(&report), [(Severity::Note, "lease.used-by-program")]);
    assert_eq!((report.verdict(), report.uses()), (Verdict::Consistent, 2));
}

#[test]
fn one_side_alone_says_so() {
    let (provider, _) = honest();
    let report = check(&subject(), Some(&provider), None, at(1000));
    assert_eq!(codes(&report), [(Severity::Missing, "peer.no-facts")]);
    assert_eq!(report.absent, Some(Role::Consumer));
}

#[test]
fn people_read_it_in_both_languages() {
    let (provider, mut consumer) = honest();
    consumer.push(fact(Role::Consumer, 55, Some("urn:l:9"), None, held()));
    let report = check(&subject(), Some(&provider), Some(&consumer), at(1000));
    let (zh, en) = (markdown(&report, Lang::Zh), markdown(&report, Lang::En));
    assert!(zh.contains("闸口从未授予") && zh.contains("有矛盾"), "{zh}");
    assert!(
        en.contains("the gate never granted") && en.contains("What this report does not prove"),
        "{en}"
    );
    assert!(en.contains("\\| over \\*now\\*"), "text of others has no structure of its own: {en}");
    for code in report.findings {
        assert!(!finding(&code, Lang::En).contains('{'));
    }
}
