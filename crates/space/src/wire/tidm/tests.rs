use serde_json::Value;

use super::{changes, facts, lease, notice, psi, share};
use crate::contract::End;
use crate::engine::input::Heard;
use crate::evidence::encode::encode;
use crate::evidence::fact::{Closed, Fact, Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::{Grant, Renewal, Request};
use crate::limits::MATCH_TABLE_ENTRIES;
use crate::negotiation::message::Signature;
use crate::policy::usage::Use;
use crate::psi::{Acceptance, Asked, Invitation, Protocol, Session};
use crate::wire::samples::{self, id};
use crate::wire::schema::Schemas;

fn fact() -> Fact {
    Fact {
        id: id("urn:fact:1"),
        at: samples::at(1),
        by: samples::did("did:web:me.example"),
        links: Links::default(),
        what: What::KeyDestroyed,
    }
}

fn grant() -> Grant {
    Grant {
        lease: id("urn:lease:1"),
        contract: id("urn:agreement:1"),
        until: samples::at(60),
        uses_left: Some(2),
        epsilon_left: None,
    }
}

fn renewal() -> Renewal {
    Renewal { lease: id("urn:lease:1"), number: 2, span: std::time::Duration::from_millis(90_500) }
}

fn changed() -> Vec<(u64, changes::Said)> {
    let dataset = serde_json::json!({
        "@id": "urn:product:1", "@type": "Dataset", "hasPolicy": [],
        "distribution": [{ "@type": "Distribution", "format": "tidm:query", "accessService": "urn:service:1" }],
    });
    vec![
        (7, changes::Said::Offered(dataset.to_string())),
        (8, changes::Said::Hidden),
        (9, changes::Said::Gone(id("urn:product:2"))),
    ]
}

fn session(contract: Id, asked: Asked) -> Session {
    Session { id: [9; 32], contract, protocol: Protocol::Fast, items: 1000, asked }
}

fn invitation() -> Invitation {
    invited(Asked::Rows)
}

fn invited(asked: Asked) -> Invitation {
    let contract = id("urn:agreement:1");
    let session = session(contract.clone(), asked);
    let query = Some(session.digest());
    let request = samples::request(1);
    let lease = Request { contract, kind: Use::Psi, query, items: Some(1000), ..request };
    Invitation { session, workers: 2, lease }
}

fn over_a_table() -> Invitation {
    let mut it = invitation();
    it.session.protocol = Protocol::Table(samples::digest("index"));
    it.lease.query = Some(it.session.digest());
    it
}

fn acceptance() -> Acceptance {
    let join = Request { nonce: [2; 16], ..invitation().lease };
    Acceptance { lease: grant(), join, items: 5000, workers: 1 }
}

fn sum() -> Asked {
    Asked::Sum { column: "price".to_owned(), decimals: 2 }
}

fn split() -> share::Split {
    share::Split { deposit: "a.b.c".to_owned(), shown: "d.e.f".to_owned() }
}

#[test]
fn statements_about_shares_are_read_as_written() {
    let (deposit, shown) = (crate::share::tests::deposit(), crate::share::tests::shown());
    let key = crate::share::Published {
        operator: samples::did("did:web:o.example"),
        key: [3; 32],
        at: samples::at(0),
    };
    let text = |it: Value| it.to_string().into_bytes();
    let claims =
        [share::deposit_claims(&deposit), share::shown_claims(&shown), share::key_claims(&key)];
    let [a, b, c] = claims.clone().map(text);
    assert_eq!(share::read_deposit(&a).unwrap(), deposit);
    assert_eq!(share::read_shown(&b).unwrap(), shown);
    assert_eq!(share::read_key_claims(&c).unwrap(), key);
    // A lease is no deposit, and nothing is left out.
    assert!(share::read_deposit(&b).is_err() && share::read_shown(&a).is_err());
    assert!(share::read_shown(&c).is_err());
    for (at, it) in claims.into_iter().enumerate() {
        for name in it.as_object().unwrap().keys() {
            let mut less = it.clone();
            less.as_object_mut().unwrap().remove(name);
            let less = less.to_string().into_bytes();
            let read = [
                share::read_deposit(&less).is_err(),
                share::read_shown(&less).is_err(),
                share::read_key_claims(&less).is_err(),
            ];
            assert!(read[at], "{name}");
        }
    }
    let long = "x".repeat(crate::limits::SHARE_STATEMENT_BYTES + 1);
    let body = share::write_request(&share::Split { deposit: long.clone(), ..split() }).body;
    assert!(share::read_request(body.as_bytes()).is_err());
    assert!(share::read_key(share::write_key(&long).as_bytes()).is_err());
}

#[test]
fn matchings_are_proposed_and_joined() {
    let m = id("urn:message:1");
    let text = psi::write_invitation(&m, &invitation()).body;
    assert_eq!(psi::read_invitation(text.as_bytes()).unwrap(), (Some(m.clone()), invitation()));
    let columns = vec!["name".to_owned(), "备注".to_owned()];
    for asked in
        [Asked::Size, sum(), Asked::AtLeast(u64::MAX >> 1), Asked::Labels { columns, bytes: 4096 }]
    {
        let text = psi::write_invitation(&m, &invited(asked.clone())).body;
        let (_, read) = psi::read_invitation(text.as_bytes()).unwrap();
        assert_eq!(read.session.asked, asked);
        // Another question than the one that the lease is for.
        for other in [
            "{\"kind\":\"size\"}",
            "{\"kind\":\"atLeast\",\"least\":0}",
            "{\"kind\":\"labels\",\"columns\":[],\"bytes\":9}",
            "{\"kind\":\"sum\",\"column\":\"a\"}",
            "7",
        ] {
            let mut doc: Value = serde_json::from_str(&text).unwrap();
            doc["reveal"] = serde_json::from_str(other).unwrap();
            let read = psi::read_invitation(doc.to_string().as_bytes());
            assert!(read.is_err() || asked == Asked::Size, "{other}");
        }
    }
    let text = psi::write_acceptance(&acceptance());
    assert_eq!(psi::read_acceptance(text.as_bytes()).unwrap(), acceptance());
    let text = psi::write_joining(&m, &id("urn:lease:1"), &grant()).body;
    assert_eq!(psi::read_joining(text.as_bytes()).unwrap(), grant());
    // Sizes of no list, which a gate would add up.
    for items in [MATCH_TABLE_ENTRIES + 1, u64::MAX >> 1, u64::MAX] {
        let mut it = invitation();
        (it.session.items, it.lease.items) = (items, Some(items));
        it.lease.query = Some(it.session.digest());
        let text = psi::write_invitation(&m, &it).body;
        assert_eq!(psi::read_invitation(text.as_bytes()).unwrap_err().code(), "message.malformed");
        let text = psi::write_acceptance(&Acceptance { items, ..acceptance() });
        assert_eq!(psi::read_acceptance(text.as_bytes()).unwrap_err().code(), "message.malformed");
    }
    // A lease for another session, another size, another kind of use.
    let it = invitation();
    for lease in [
        Request { query: None, ..it.lease.clone() },
        Request { items: Some(999), ..it.lease.clone() },
        Request { items: None, ..it.lease.clone() },
        Request { kind: Use::Query, ..it.lease.clone() },
    ] {
        let text = psi::write_invitation(&m, &Invitation { lease, ..it.clone() }).body;
        assert!(psi::read_invitation(text.as_bytes()).is_err());
    }
}

/// What we write is the fixture, and fits its schema.
#[test]
fn messages_are_their_fixtures_and_fit_their_schemas() {
    let m = id("urn:message:1");
    let entries = [("7".to_owned(), encode(&fact()))];
    for (name, schema, text) in [
        (
            "lease-request",
            include_str!("schema/lease-request.json"),
            lease::write_request(&m, &samples::request(1)).body,
        ),
        (
            "lease-request-attested",
            include_str!("schema/lease-request.json"),
            lease::write_attested(&m, &samples::request(1), b"{}").body,
        ),
        (
            "lease-challenge-request",
            include_str!("schema/lease-challenge-request.json"),
            lease::write_challenge_request(&m, &id("urn:agreement:1")).body,
        ),
        (
            "lease-challenge",
            include_str!("schema/lease-challenge.json"),
            lease::write_challenge(&[1; 32], samples::at(60)),
        ),
        (
            "lease-grant",
            include_str!("schema/lease-grant.json"),
            lease::write_grant(&grant(), Some(&[1, 2, 3])),
        ),
        (
            "lease-grant-split",
            include_str!("schema/lease-grant.json"),
            lease::write_split_grant(&grant(), &[1, 2, 3], &split()),
        ),
        ("share-key", include_str!("schema/share-key.json"), share::write_key("a.b.c")),
        (
            "share-inquiry",
            include_str!("schema/share-inquiry.json"),
            share::write_inquiry(&id("urn:agreement:1"), &samples::did("did:web:p.example")).body,
        ),
        (
            "share-request",
            include_str!("schema/share-request.json"),
            share::write_request(&split()).body,
        ),
        (
            "share-grant",
            include_str!("schema/share-grant.json"),
            share::write_grant(&id("urn:lease:1"), &[4, 5, 6]),
        ),
        (
            "lease-renewal",
            include_str!("schema/lease-renewal.json"),
            lease::write_renewal(&m, &renewal()).body,
        ),
        (
            "lease-renewal-attested",
            include_str!("schema/lease-renewal.json"),
            lease::write_attested_renewal(&m, &renewal(), b"{}").body,
        ),
        (
            "psi-invitation",
            include_str!("schema/psi-invitation.json"),
            psi::write_invitation(&m, &invitation()).body,
        ),
        (
            "psi-invitation-sum",
            include_str!("schema/psi-invitation.json"),
            psi::write_invitation(&m, &invited(sum())).body,
        ),
        (
            "psi-invitation-table",
            include_str!("schema/psi-invitation.json"),
            psi::write_invitation(&m, &over_a_table()).body,
        ),
        ("psi-table", include_str!("schema/psi-table.json"), super::psi_table::write("a.b.c")),
        (
            "psi-acceptance",
            include_str!("schema/psi-acceptance.json"),
            psi::write_acceptance(&acceptance()),
        ),
        (
            "psi-joining",
            include_str!("schema/psi-joining.json"),
            psi::write_joining(&m, &id("urn:lease:1"), &grant()).body,
        ),
        (
            "lease-refusal",
            include_str!("schema/lease-refusal.json"),
            lease::write_refusal(
                &Fault::denied("lease.denied", "permission[0]", "no use is left")
                    .in_chinese("使用次数已用完"),
            ),
        ),
        (
            "contract-ended",
            include_str!("schema/contract-ended.json"),
            notice::contract_ended(&m, &id("urn:agreement:1"), End::Revoked, "违约").body,
        ),
        (
            "contract-standing",
            include_str!("schema/contract-standing.json"),
            notice::contract_standing(&m, &id("urn:agreement:1"), 3, Some("核查")).body,
        ),
        (
            "lease-returned",
            include_str!("schema/lease-returned.json"),
            notice::lease_returned(
                &m,
                &id("urn:lease:1"),
                &samples::outcome(),
                Some(&Signature("g.h.i".to_owned())),
            )
            .body,
        ),
        (
            "lease-ended",
            include_str!("schema/lease-ended.json"),
            notice::lease_ended(&m, &id("urn:agreement:1"), &id("urn:lease:1"), Closed::Revoked)
                .body,
        ),
        (
            "copies-deleted",
            include_str!("schema/copies-deleted.json"),
            notice::deleted(&m, &id("urn:agreement:1"), &samples::deletion()).body,
        ),
        (
            "facts-page",
            include_str!("schema/facts-page.json"),
            facts::write_page(&id("urn:agreement:1"), &entries, Some("7")),
        ),
        (
            "catalog-changes",
            include_str!("schema/catalog-changes.json"),
            changes::write_page(&changed(), 9, false),
        ),
    ] {
        let document: Value = serde_json::from_str(&text).unwrap();
        let path = format!("{}/src/wire/tidm/fixture/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let pretty = serde_json::to_string_pretty(&document).unwrap() + "\n";
        if std::env::var_os("TIDM_APPROVE").is_some() {
            std::fs::write(&path, &pretty).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            pretty,
            "{name}: approve with TIDM_APPROVE=1"
        );
        let mut schemas = Schemas::default();
        let schema = schemas.add(serde_json::from_str(schema).unwrap());
        assert_eq!(schemas.check(&schema, &document), Vec::<String>::new(), "{name}");
        let mut bare = document.clone();
        bare.as_object_mut().unwrap().remove("@type");
        assert!(!schemas.check(&schema, &bare).is_empty(), "{name}: a schema that refuses nothing");
    }
}

#[test]
fn fixtures_are_read_as_they_were_meant() {
    let fixture = |name: &str| {
        std::fs::read(format!("{}/src/wire/tidm/fixture/{name}.json", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
    };
    let message = Some(id("urn:message:1"));
    let attested = fixture("lease-request-attested");
    assert_eq!(lease::read_evidence(&attested).unwrap(), Some(b"{}".to_vec()));
    assert_eq!(lease::read_evidence(&fixture("lease-request")).unwrap(), None);
    assert!(matches!(lease::read_request(&attested).unwrap().1, Heard::Ask(_)));
    assert_eq!(
        lease::read_challenge_request(&fixture("lease-challenge-request")).unwrap(),
        id("urn:agreement:1")
    );
    let challenge = lease::read_challenge(&fixture("lease-challenge")).unwrap();
    assert_eq!(challenge, ([1; 32], samples::at(60)));
    let (got, heard) = lease::read_request(&fixture("lease-request")).unwrap();
    assert!(matches!(heard, Heard::Ask(it) if *it == samples::request(1)) && got == message);
    let (got, heard) = lease::read_renewal(&fixture("lease-renewal")).unwrap();
    assert!(matches!(heard, Heard::Renew(it) if it == renewal()) && got == message);
    let attested = fixture("lease-renewal-attested");
    assert_eq!(lease::read_evidence(&attested).unwrap(), Some(b"{}".to_vec()));
    let (_, heard) = lease::read_renewal(&attested).unwrap();
    assert!(matches!(heard, Heard::Renew(it) if it == renewal()));
    assert_eq!(lease::read_grant(&fixture("lease-grant")).unwrap(), (grant(), Some(vec![1, 2, 3])));
    assert_eq!(lease::read_split(&fixture("lease-grant")).unwrap(), None);
    assert_eq!(lease::read_split(&fixture("lease-grant-split")).unwrap(), Some(split()));
    assert_eq!(share::read_key(&fixture("share-key")).unwrap(), "a.b.c");
    assert_eq!(
        share::read_inquiry(&fixture("share-inquiry")).unwrap(),
        (id("urn:agreement:1"), samples::did("did:web:p.example"))
    );
    assert_eq!(share::read_request(&fixture("share-request")).unwrap(), split());
    assert_eq!(
        share::read_grant(&fixture("share-grant")).unwrap(),
        (id("urn:lease:1"), vec![4, 5, 6])
    );
    assert_eq!(
        lease::read_refusal(&fixture("lease-refusal")).unwrap().rule.as_deref(),
        Some("permission[0]")
    );
    let (got, heard) = notice::read_contract_ended(&fixture("contract-ended")).unwrap();
    assert!(
        matches!(heard, Heard::Ended { why: End::Revoked, reason, .. } if reason == "违约")
            && got == message
    );
    let (_, heard) = notice::read_contract_standing(&fixture("contract-standing")).unwrap();
    assert!(matches!(heard, Heard::Standing { change: 3, reason: Some(why), .. } if why == "核查"));
    let resumed = notice::contract_standing(&id("urn:m:1"), &id("urn:agreement:1"), 4, None).body;
    let (_, heard) = notice::read_contract_standing(resumed.as_bytes()).unwrap();
    assert!(matches!(heard, Heard::Standing { change: 4, reason: None, .. }));
    let (_, heard) = notice::read_lease_returned(&fixture("lease-returned")).unwrap();
    assert!(
        matches!(heard, Heard::Return { outcome, receipt: Some(it), .. } if outcome == samples::outcome() && it.0 == "g.h.i")
    );
    let (_, heard) = notice::read_lease_ended(&fixture("lease-ended")).unwrap();
    assert!(matches!(heard, Heard::LeaseEnded { how: Closed::Revoked, .. }));
    let (_, heard) = notice::read_deleted(&fixture("copies-deleted")).unwrap();
    assert!(matches!(heard, Heard::Deleted { deletion, .. } if deletion == samples::deletion()));
    let page = changes::read_page(&fixture("catalog-changes")).unwrap();
    assert_eq!((page.revision, page.more, page.gone), (9, false, vec![id("urn:product:2")]));
    assert_eq!(page.datasets[0].id, id("urn:product:1"));
    let page = facts::read_page(&fixture("facts-page")).unwrap();
    assert_eq!((page.facts, page.next.as_deref()), (vec![fact()], Some("7")));
}

#[test]
fn nasty_inputs() {
    for body in [
        "",
        "{}",
        "[]",
        "{\"@type\":\"LeaseRequest\",\"contract\":\"c\",\"kind\":\"query\",\"nonce\":\"AA\"}",
        "{\"@type\":\"FactsPage\",\"facts\":[7]}",
    ] {
        let body = body.as_bytes();
        assert!(
            lease::read_request(body).is_err()
                && lease::read_renewal(body).is_err()
                && lease::read_grant(body).is_err()
                && lease::read_refusal(body).is_err()
        );
        assert!(
            notice::read_contract_ended(body).is_err()
                && notice::read_lease_returned(body).is_err()
        );
        assert!(notice::read_lease_ended(body).is_err());
        assert!(share::read_key(body).is_err() && share::read_inquiry(body).is_err());
        assert!(share::read_request(body).is_err() && share::read_grant(body).is_err());
        assert!(share::read_deposit(body).is_err() && share::read_shown(body).is_err());
        assert!(notice::read_contract_standing(body).is_err());
        assert!(notice::read_deleted(body).is_err() && facts::read_page(body).is_err());
    }
}

/// A price is above zero and within what budgets have; it comes back from wire and store as it was.
#[test]
fn prices_are_read_as_written_or_not_at_all() {
    let request = Request {
        epsilon: crate::policy::privacy::Epsilon::from_micro(100_000),
        ..samples::request(1)
    };
    let body = lease::write_request(&id("urn:message:1"), &request).body;
    let (_, Heard::Ask(read)) = lease::read_request(body.as_bytes()).unwrap() else {
        panic!("a request")
    };
    assert_eq!(*read, request);
    assert_ne!(read.attested(), samples::request(1).attested());
    let whole: Value = serde_json::from_str(&body).unwrap();
    for bad in [0.into(), 100_000_001.into(), (-1).into(), 0.5.into(), "1".into(), u64::MAX.into()]
    {
        let mut it = whole.clone();
        it["epsilon"] = bad;
        assert!(lease::read_request(it.to_string().as_bytes()).is_err(), "{it}");
    }
    let mut kept = samples::leases().swap_remove(0);
    (kept.request, kept.epsilon_left) = (request, Some(900_000));
    let row = crate::wire::record::lease::encode(&kept);
    assert_eq!(crate::wire::record::lease::decode(&row).unwrap(), kept);
    let granted = Grant { epsilon_left: Some(0), ..grant() };
    let text = lease::write_grant(&granted, None);
    assert_eq!(lease::read_grant(text.as_bytes()).unwrap(), (granted, None));
}
