//! Migrations, and every kind of row: what is written is what is read.

use tidm_crypto::hash::sha256;
use tidm_space::catalog::merge::Known;
use tidm_space::engine::commit::{About, Commit, Due, Job, Seen, Send, Timer};
use tidm_space::engine::view::Needs;
use tidm_space::evidence;
use tidm_space::evidence::fact::{Fact, Links, What};
use tidm_space::identity::member::Group;
use tidm_space::lease::charge::Reserved;
use tidm_space::lease::machine::{Debit, DebitKind, Spent};
use tidm_space::lease::state::{Lease, State as LeaseState};
use tidm_space::negotiation::message::{Body, Message, Role};
use tidm_space::negotiation::state::{Negotiation, State};
use tidm_space::transfer::state::{State as TransferState, Transfer};

use sqlx::Connection as _;

use super::world::{at, contract, counted, did, each, id, number, product, put, request, run_on};
use crate::store::dialect::Dialect;
use crate::store::matchings::{self, Matching, Record};
use crate::store::{Store, StoreError, load, schema};

#[tokio::test]
async fn a_store_opens_again_and_beside_itself() {
    each(async |place| {
        let (first, second) = tokio::join!(Store::open(&place.url), Store::open(&place.url));
        drop((first.unwrap(), second.unwrap()));
        let again = place.store().await;
        let versions = number(&again, "SELECT COUNT(*) FROM schema_version").await;
        assert_eq!(versions, i64::try_from(schema::MIGRATIONS.len()).unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    each(async |place| {
        drop(place.store().await);
        run_on(&place.url, "INSERT INTO schema_version (version, at) VALUES (900, 0)".to_owned())
            .await;
        match Store::open(&place.url).await {
            Err(StoreError::Newer { found: 900, .. }) => {}
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("opened"),
        }
    })
    .await;
}

/// From every older version with rows in it: what was debited before stays spent.
#[tokio::test]
async fn every_older_version_migrates_with_its_rows() {
    for from in 1..schema::MIGRATIONS.len() {
        each(async |place| {
            let dialect = Dialect::of(&place.url).unwrap();
            sqlx::any::install_default_drivers();
            let mut conn =
                sqlx::AnyConnection::connect(&dialect.address(&place.url)).await.unwrap();
            for statement in statements(from) {
                let sql = sqlx::AssertSqlSafe(dialect.ddl(&statement));
                sqlx::query(sql).execute(&mut conn).await.unwrap();
            }
            conn.close().await.unwrap();
            let store = place.store().await;
            let spent = store.spent(&id("urn:agreement:1")).await.unwrap();
            assert_eq!(spent, Spent { uses: 6, ..Spent::default() }, "from {from}");
            // What was crawled before says nothing of its facets until it is crawled again.
            let [row]: [_; 1] = store.indexed(None, 9).await.unwrap().try_into().unwrap();
            let facets = row.facets;
            let unknown = (vec!["unknown"], "unknown", "unknown");
            assert_eq!(
                (facets.currencies(), facets.grade, facets.free_word()),
                unknown,
                "from {from}"
            );
            let known = store.known(&did("did:web:a"), &["urn:p"]).await.unwrap();
            assert_eq!(known["urn:p"], Known { digest: None, direct: true });
            // Of a contract that obliges to delete and stands the end by the clock is looked at, once.
            let due: Vec<_> =
                store.due_timers(at(0)).await.unwrap().into_iter().map(|it| it.what).collect();
            let end = Due::ContractEnd { contract: id("urn:agreement:1") };
            let looked: &[Due] = if from < 19 { &[end] } else { &[] };
            assert_eq!(due, looked, "from {from}");
            // A proof that was owed still is, to the peer.
            let owed = number(&store, "SELECT COUNT(*) FROM proofs_owed WHERE contract = 'urn:agreement:1' AND receiver = 'peer' AND next = 7 AND body = 'proof'").await;
            assert_eq!(owed, i64::from(from >= 18), "from {from}");
            let versions = number(&store, "SELECT COUNT(*) FROM schema_version").await;
            assert_eq!(versions, i64::try_from(schema::MIGRATIONS.len()).unwrap());
        })
        .await;
    }
}

/// What a program of the version `from` left behind.
fn statements(from: usize) -> Vec<String> {
    let mut all = vec![
        "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, at BIGINT NOT NULL)".to_owned(),
    ];
    for (version, statements) in schema::MIGRATIONS.iter().enumerate().take(from) {
        let statements = statements.split(';').map(str::trim).filter(|it| !it.is_empty());
        all.extend(statements.map(str::to_owned));
        all.push(format!("INSERT INTO schema_version (version, at) VALUES ({}, 0)", version + 1));
    }
    for lease in 1..=3 {
        all.push(format!(
            "INSERT INTO debits (lease, kind, contract, grp, amount, at) VALUES ('urn:lease:{lease}', 'use', 'urn:agreement:1', 'did:web:c.example', 2, 0)"
        ));
    }
    for (name, active, record) in
        [(1, 1, r#"{"action":"delete"}"#), (2, 0, r#"{"action":"delete"}"#), (3, 1, "{}")]
    {
        all.push(format!(
            "INSERT INTO contracts (id, peer, role, product, negotiation, active, signed_at, record) VALUES ('urn:agreement:{name}', 'did:web:c.example', 'consumer', 'urn:p', 'urn:n', {active}, 0, '{record}')"
        ));
    }
    all.push("INSERT INTO timers (name, at, claimed, record) VALUES ('contract-end urn:agreement:1', 4000000000000, 0, 'later')".to_owned());
    all.push("INSERT INTO remote_products (id, provider, address, title, search, seen, dataset) VALUES ('urn:p', 'did:web:a', 'x', 'x', 'x', 0, '{}')".to_owned());
    if from >= 8 {
        // Written by every program since; the migration does it for rows of before.
        all.push("UPDATE remote_products SET via = provider".to_owned());
    }
    if from >= 18 {
        let owed = match from {
            18 | 19 => {
                "INSERT INTO owed_proofs (contract, next, tries, body) VALUES ('urn:agreement:1', 7, 1, 'proof')"
            }
            _ => {
                "INSERT INTO proofs_owed (contract, receiver, next, tries, body) VALUES ('urn:agreement:1', 'peer', 7, 1, 'proof')"
            }
        };
        all.push(owed.to_owned());
    }
    if from >= 2 {
        all.push(
            "INSERT INTO spent (contract, kind, amount) VALUES ('urn:agreement:1', 'use', 6)"
                .to_owned(),
        );
    }
    all
}

fn negotiation(state: State, known: bool) -> Negotiation {
    let pending = Message { id: Some(id("urn:message:1")), body: Body::Accept };
    Negotiation {
        id: id("urn:negotiation:1"),
        role: Role::Consumer,
        peer: did("did:web:peer.example"),
        peer_pid: known.then(|| id("urn:theirs:1")),
        address: "https://peer.example/dsp".to_owned(),
        product: id("urn:product:1"),
        state,
        pending: known.then_some(pending),
        rounds: 2,
        awaits_approval: known,
        proposed: known.then(|| counted(2)),
        rules: tidm_space::approval::Rules::default(),
        created: at(0),
        moved: at(1),
    }
}

fn transfer(state: TransferState, known: bool) -> Transfer {
    Transfer {
        id: id("urn:transfer:1"),
        role: Role::Provider,
        peer: did("did:web:peer.example"),
        peer_pid: known.then(|| id("urn:theirs:2")),
        address: "https://peer.example/dsp".to_owned(),
        contract: id("urn:agreement:1"),
        format: "HttpData-PULL".to_owned(),
        push_to: None,
        state,
        pending: None,
        starts: 0,
        created: at(0),
        moved: at(1),
    }
}

fn lease(state: LeaseState) -> Lease {
    Lease {
        id: id("urn:lease:1"),
        role: Role::Provider,
        peer: did("did:web:peer.example"),
        request: request(&id("urn:agreement:1"), 1),
        granted: at(6),
        until: at(66),
        renewals: 2,
        renewed: Some(at(9)),
        uses_left: None,
        epsilon_left: None,
        level: None,
        reserved: Reserved { seconds: Some(60), rows: None, bytes: Some(u64::from(u32::MAX) * 4) },
        state,
    }
}

/// First with everything that may be absent absent, then moved on with everything there.
#[tokio::test]
async fn aggregates_come_back_as_they_were_saved() {
    each(async |place| {
        let store = place.store().await;
        let peer = did("did:web:peer.example");
        let mut agreed = contract("urn:agreement:1", &peer, 3);
        let steps = Vec::from([
            (
                negotiation(State::Initial, false),
                transfer(TransferState::Initial, false),
                lease(LeaseState::Granted),
            ),
            (
                negotiation(State::Offered { offer: counted(3) }, true),
                transfer(TransferState::Started { address: None }, true),
                lease(LeaseState::Expired { at: at(66) }),
            ),
        ]);
        let it = product("urn:product:1", 3);
        put(&store, &Commit { products: vec![it.clone()], ..Commit::default() }).await;
        for (negotiation, transfer, lease) in steps {
            let commit = Commit {
                negotiations: vec![negotiation.clone()],
                transfers: vec![transfer.clone()],
                leases: vec![lease.clone()],
                contracts: vec![agreed.clone()],
                ..Commit::default()
            };
            put(&store, &commit).await;
            let needs = Needs {
                negotiation: Some(negotiation.id.clone()),
                transfer: Some(transfer.id.clone()),
                lease: Some(lease.id.clone()),
                contract: Some(agreed.id.clone()),
                product: Some(it.id.clone()),
                open_with: Some(peer.clone()),
                open_under: Some(agreed.id.clone()),
                ..Needs::default()
            };
            let mut conn = store.connect().await.unwrap();
            let view = load::load(&mut conn, &needs).await.unwrap();
            assert_eq!(view.negotiation.as_ref(), Some(&negotiation));
            assert_eq!(view.transfer.as_ref(), Some(&transfer));
            assert_eq!(view.lease.as_ref(), Some(&lease));
            assert_eq!(view.contract.as_ref(), Some(&agreed));
            assert_eq!(view.product.as_ref(), Some(&it));
            assert_eq!(view.open_negotiations, 1);
            assert_eq!(view.open_transfers, std::slice::from_ref(&transfer));
            let open = lease.state == LeaseState::Granted;
            assert_eq!(view.open_leases, if open { vec![lease.clone()] } else { vec![] });
            if let (Some(theirs), Some(pid)) = (&negotiation.peer_pid, &transfer.peer_pid) {
                let needs = Needs {
                    negotiation_of: Some((peer.clone(), theirs.clone())),
                    transfer_of: Some((peer.clone(), pid.clone())),
                    lease_of: Some((agreed.id.clone(), lease.request.nonce)),
                    ..Needs::default()
                };
                let view = load::load(&mut conn, &needs).await.unwrap();
                assert_eq!(view.negotiation, Some(negotiation));
                assert_eq!(view.transfer, Some(transfer));
                assert_eq!(view.lease, Some(lease));
            }
            agreed.first_use = Some(at(7));
        }
        let page = store.datasets(None, 10).await.unwrap();
        assert!(page.rows[0].contains("urn:product:1") && page.next.is_none());
        assert_eq!(store.products(None, 10).await.unwrap().rows, [it]);
    })
    .await;
}

fn fact(number: i64) -> Fact {
    let links = Links { contract: Some(id("urn:agreement:1")), ..Links::default() };
    let what = What::MessageRefused { code: "message.malformed".to_owned() };
    Fact {
        id: id(&format!("urn:fact:{number}")),
        at: at(number),
        by: did("did:web:me.example"),
        links,
        what,
    }
}

#[tokio::test]
async fn facts_debits_and_queues_come_back_as_they_were_saved() {
    each(async |place| {
        let store = place.store().await;
        let peer = did("did:web:peer.example");
        let agreement = id("urn:agreement:1");
        let debit = |number: i64, kind, amount, back| Debit {
            renewal: 0,
            contract: agreement.clone(),
            group: Group::from(&peer),
            kind,
            amount,
            back,
            lease: id(&format!("urn:lease:{number}")),
            at: at(number),
        };
        let send = Send {
            id: id("urn:message:1"),
            to: peer.clone(),
            url: "https://peer.example/dsp/negotiations/request".to_owned(),
            body: "{\"温\": 1}".to_owned(),
            about: About::Negotiation(id("urn:negotiation:1")),
            attempts: 3,
            first: at(0),
            next: at(5),
        };
        let timer = Timer::new(at(5), Due::Job(Job::Erase { contract: agreement.clone() }));
        let seen = Seen {
            peer: peer.clone(),
            id: id("urn:message:9"),
            digest: sha256(b"body"),
            at: at(3),
        };
        let commit = Commit {
            facts: (0..5).map(fact).collect(),
            debits: vec![
                debit(1, DebitKind::Use, 1, false),
                debit(2, DebitKind::Use, 2, false),
                debit(2, DebitKind::Rows, 40, false),
                debit(2, DebitKind::Bytes, u64::from(u32::MAX) * 4, false),
                debit(2, DebitKind::Seconds, 60, false),
                debit(2, DebitKind::Seconds, 49, true),
            ],
            sends: vec![send.clone()],
            timers: vec![timer.clone()],
            seen: Some(seen.clone()),
            ..Commit::default()
        };
        put(&store, &commit).await;
        let bytes = u64::from(u32::MAX) * 4;
        let spent = Spent { uses: 3, rows: 40, bytes, items: 0, seconds: 11, epsilon: 0 };
        assert_eq!(store.spent(&agreement).await.unwrap(), spent);
        assert_eq!(store.latest_fact().await.unwrap(), at(4));
        let rows = store.facts_of_contract(&agreement, 2, 2).await.unwrap();
        let read: Vec<Fact> =
            rows.iter().map(|(_, it)| evidence::encode::decode(it).unwrap()).collect();
        assert_eq!(read, [fact(2), fact(3)]);
        assert_eq!(store.next_due().await.unwrap(), Some(at(5)));
        assert_eq!(store.due_sends(at(4)).await.unwrap(), []);
        assert_eq!(store.due_sends(at(5)).await.unwrap(), [send]);
        assert_eq!(store.due_timers(at(5)).await.unwrap(), [timer]);
        let mut conn = store.connect().await.unwrap();
        let needs = Needs { message: Some((peer, seen.id.clone())), ..Needs::default() };
        assert_eq!(load::load(&mut conn, &needs).await.unwrap().seen, Some(seen));
    })
    .await;
}

#[tokio::test]
async fn an_empty_store_has_nothing() {
    each(async |place| {
        let store = place.store().await;
        assert_eq!(store.next_due().await.unwrap(), None);
        assert_eq!(store.latest_fact().await.unwrap().ms(), 0);
        assert_eq!(store.spent(&id("urn:x")).await.unwrap(), Spent::default());
        assert!(store.contracts(None, 10).await.unwrap().rows.is_empty());
        store.sweep(at(0)).await.unwrap();
    })
    .await;
}

/// Two replicas that are told of the same session: the second finds the row as the first left it, whatever it read before.
#[tokio::test]
async fn a_session_is_claimed_once() {
    each(async |place| {
        let store = place.store().await;
        let mut conn = store.connect().await.unwrap();
        let open = Matching {
            id: "00ff".to_owned(),
            contract: id("urn:c"),
            role: Role::Provider,
            state: matchings::State::Open,
            lease: Some(id("urn:l")),
            created: at(1),
            moved: at(1),
            record: Record::default(),
        };
        let joined = |by: &str| Matching {
            record: Record { join: Some(by.to_owned()), ..Record::default() },
            ..open.clone()
        };
        assert!(!matchings::claim(&mut conn, &joined("urn:l:1")).await.unwrap(), "of no row");
        matchings::save(&mut conn, &open).await.unwrap();
        assert!(matchings::claim(&mut conn, &joined("urn:l:1")).await.unwrap());
        assert!(!matchings::claim(&mut conn, &joined("urn:l:2")).await.unwrap());
        let kept = store.matching("00ff").await.unwrap().unwrap();
        assert_eq!(kept.record.join.as_deref(), Some("urn:l:1"));
        let over =
            Matching { id: "0100".to_owned(), state: matchings::State::Done, ..open.clone() };
        matchings::save(&mut conn, &over).await.unwrap();
        let late = Matching { id: "0100".to_owned(), ..joined("urn:l:3") };
        assert!(!matchings::claim(&mut conn, &late).await.unwrap(), "of one that is over");
    })
    .await;
}
