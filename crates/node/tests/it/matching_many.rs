//! Matching of lists between three nodes: what all have and nothing of fewer, keys that nobody may put in, one that stops all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_node::app::App;
use tidm_node::jobs::matching::ask;
use tidm_node::jobs::matching::many::lead::{Wanted, start};
use tidm_node::jobs::matching::many::member;
use tidm_node::jobs::matching::{Written, serve, stop};
use tidm_node::jobs::publish::{OfferRequest, PublishRequest};
use tidm_node::store::matchings::{Matching, State};
use tidm_space::approval::Rules;
use tidm_space::catalog::product::Approval;
use tidm_space::contract::{Contract, End};
use tidm_space::engine::input::{ContractWish, Wish};
use tidm_space::lease::message::Request;
use tidm_space::lease::state::State as Lease;
use tidm_space::limits::LEASE_MAX;
use tidm_space::policy::matching::{Key, Matching as Terms, Reveal};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::psi::many::{
    Agreed, Invitation, Member, Proposal, Start, WORD_TYPE, Word, numbered, under,
};
use tidm_space::psi::{Asked, Invitation as OfTwo, Protocol, Session};

use crate::matching::{app_matching, bits, code, over, parts, rows, uploaded, wanted};
use crate::world::{Node, World, eventually, fault, publishing};

const LEADER: usize = 1;

fn common(key: &str, more: Terms) -> Sentences {
    let reveal = Some([Reveal::Common].into());
    let matching = Terms { key: Key::parse(key), reveal, ..more };
    Sentences { matching, kinds: vec![Use::Psi], ..Sentences::default() }
}

/// A node's table under contract with the leader.
async fn agreed(world: &World, at: usize, list: &[u8], said: Sentences) -> Contract {
    let (provider, leader) = (&world.nodes[at], &world.nodes[LEADER]);
    let file = world.path().join(format!("{at}-{}.csv", list.len()));
    std::fs::write(&file, list).unwrap();
    let mut request = PublishRequest::new(file, "parts");
    request.offers = vec![OfferRequest {
        policy: None,
        sentences: said,
        approval: Approval::Auto,
        deliveries: vec![Use::Psi],
        rules: Rules::default(),
    }];
    let product = publishing(provider, request).await.unwrap().product;
    let wish = ContractWish {
        peer: provider.did.clone(),
        address: provider.base(),
        product: product.id.clone(),
        offer: product.offers[0].policy().clone(),
        rules: Rules::default(),
    };
    leader.wish(Wish::Request(Box::new(wish))).await;
    let found = |app: Arc<App>| {
        let product = product.id.clone();
        async move {
            let page = app.store.contracts(None, 100).await.unwrap();
            page.rows.into_iter().find(|it| it.product == product)
        }
    };
    eventually("a contract at the provider", || found(provider.app.clone())).await;
    eventually("a contract at the leader", || found(leader.app.clone())).await
}

/// Parts 0 to 2999 at the first, 1500 to 3499 at the third under another name of the column.
async fn two(world: &World, more: Terms) -> [Contract; 2] {
    let other = String::from_utf8(parts(1500, 2000)).unwrap().replace("part_no", "nr");
    let first = common("part_no:text;first", more.clone());
    [
        agreed(world, 0, &parts(0, 3000), first).await,
        agreed(world, 2, other.as_bytes(), common("nr:text;first", more)).await,
    ]
}

async fn begun(
    world: &World,
    contracts: &[Contract],
    id: &str,
    (begin, count): (u32, u32),
) -> Matching {
    let leader = &world.nodes[LEADER].app;
    let mine = uploaded(leader, id, &parts(begin, count)).await;
    let wish = Wanted {
        contracts: contracts.iter().map(|it| it.id.clone()).collect(),
        mine,
        columns: vec!["part_no".to_owned()],
        result: Written::Rows(vec![]),
        purpose: None,
    };
    start(leader, wish).await.unwrap()
}

fn of_three() -> impl Future<Output = World> {
    World::of(3, |_, _| String::new())
}

async fn returned(node: &Node, lease: &str) -> bool {
    let lease = tidm_space::id::Id::parse(lease).unwrap();
    let ended = || async {
        match node.app.store.lease(&lease).await.unwrap()?.state {
            Lease::Returned { outcome, .. } => Some(outcome.done),
            Lease::Granted | Lease::Expired { .. } | Lease::Revoked { .. } => None,
        }
    };
    eventually("a lease is returned", ended).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_gets_what_all_have_and_each_gate_counts() {
    let world = of_three().await;
    let contracts = two(&world, Terms { budget: Some(3000), ..Terms::default() }).await;
    let leader = &world.nodes[LEADER];
    // 1000 to 3999: 1000 to 2999 at the first, 1500 to 3499 at the third.
    let begun_it = begun(&world, &contracts, "a", (1000, 3000)).await;
    let ours = over(&leader.app, &begun_it.id).await;
    assert_eq!((ours.state, &ours.record.fault), (State::Done, &None));
    assert_eq!(ours.record.matched, Some(1500));
    assert_eq!(rows(&leader.app, &ours).await, String::from_utf8(parts(1500, 1500)).unwrap());
    let mut sessions = std::collections::BTreeSet::new();
    for (at, party) in [0, 2].into_iter().zip(&ours.record.parties) {
        let node = &world.nodes[at];
        let theirs = over(&node.app, &begun_it.id).await;
        assert_eq!((theirs.state, &theirs.record.fault), (State::Done, &None));
        assert_eq!((theirs.record.matched, &theirs.record.rows), (None, &None));
        let report = theirs.record.report.unwrap().to_string();
        assert!(!report.contains("matched") && report.contains("\"sent\""), "{report}");
        let spent = node.app.store.spent(&theirs.contract).await.unwrap();
        assert_eq!((spent.uses, spent.items), (1, 3000));
        for lease in [&party.lease, &party.join] {
            let lease = lease.clone().unwrap();
            assert!(returned(leader, &lease).await && returned(node, &lease).await);
            let id = tidm_space::id::Id::parse(&lease).unwrap();
            let lease = leader.app.store.lease(&id).await.unwrap().unwrap();
            sessions.insert(lease.request.query.unwrap().to_string());
        }
    }
    assert_eq!(sessions.len(), 1, "all four leases name one session");
    // The budget of each is used up.
    let again = begun(&world, &contracts, "b", (0, 1)).await;
    let it = over(&leader.app, &again.id).await;
    assert_eq!(it.record.fault.unwrap().code, "psi.items");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_strictest_of_the_contracts_withholds() {
    let world = of_three().await;
    let loose = agreed(&world, 0, &parts(0, 100), common("part_no:text", Terms::default())).await;
    let strict = common("part_no:text", Terms { least: Some(11), ..Terms::default() });
    let strict = agreed(&world, 2, &parts(90, 100), strict).await;
    let begun = begun(&world, &[loose, strict], "a", (0, 100)).await;
    let it = over(&world.nodes[LEADER].app, &begun.id).await;
    assert_eq!((it.state, it.record.fault), (State::Done, None));
    assert_eq!(it.record.withheld.as_deref(), Some("tidm:minMatches"));
    assert_eq!((it.record.matched, it.record.rows), (None, None));
}

/// Of several parties, too, a bit for each row of the leader's list says which all have.
#[tokio::test(flavor = "multi_thread")]
async fn bits_say_what_all_have() {
    let world = of_three().await;
    let contracts = two(&world, Terms::default()).await;
    let leader = &world.nodes[LEADER].app;
    // The third has none before 1500.
    let wish = Wanted {
        contracts: contracts.iter().map(|it| it.id.clone()).collect(),
        mine: uploaded(leader, "a", &parts(1490, 20)).await,
        columns: vec![],
        result: Written::Bitmap,
        purpose: None,
    };
    let begun = start(leader, wish).await.unwrap();
    assert_eq!(bits(leader, &over(leader, &begun.id).await).await, (20, (10..20).collect()));
}

/// Who reveals only what is common is in no matching of two, nor is one that does not in one of many.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_signed_may_be_asked_for() {
    let world = of_three().await;
    let contracts = two(&world, Terms::default()).await;
    let (leader, provider) = (&world.nodes[LEADER], &world.nodes[0]);
    let mine = uploaded(&leader.app, "a", &parts(0, 10)).await;
    let pair = ask::start(&leader.app, wanted(&contracts[0], mine.clone())).await;
    assert_eq!(fault(pair).code(), "psi.reveal");
    // A leader that does not look at its contract is refused by the provider.
    let session = Session {
        id: [7; 32],
        contract: contracts[0].id.clone(),
        protocol: Protocol::Fast,
        items: 10,
        asked: Asked::Rows,
    };
    let lease = request(&contracts[0], session.digest(), 10);
    let invitation = OfTwo { session, workers: 1, lease };
    let no = serve::prepare(&provider.app, &leader.did, &invitation).await;
    assert_eq!(fault(no).code(), "psi.reveal");

    let rows = Sentences {
        matching: Terms { key: Key::parse("part_no:text;first"), ..Terms::default() },
        kinds: vec![Use::Psi],
        ..Sentences::default()
    };
    let rows = agreed(&world, 2, &parts(0, 20), rows).await;
    let said = common("part_no:text;first", Terms::default());
    let same = agreed(&world, 0, &parts(0, 20), said).await;
    for (contracts, code) in [
        (vec![&contracts[0], &rows], "psi.reveal"),
        (vec![&contracts[0]], "psi.parties"),
        (vec![&contracts[0], &same], "psi.parties"),
        (vec![&contracts[0], &contracts[0]], "psi.parties"),
    ] {
        let contracts: Vec<_> = contracts.into_iter().map(|it| it.id.clone()).collect();
        let (columns, shown) = (vec!["part_no".to_owned()], vec![]);
        let wish = Wanted {
            contracts,
            mine: mine.clone(),
            columns,
            result: Written::Rows(shown),
            purpose: None,
        };
        assert_eq!(fault(start(&leader.app, wish).await).code(), code);
    }
    assert_eq!(provider.app.store.spent(&contracts[0].id).await.unwrap().uses, 0);
}

fn request(contract: &Contract, query: tidm_crypto::hash::Digest, items: u64) -> Request {
    Request {
        contract: contract.id.clone(),
        kind: Use::Psi,
        nonce: [1; 16],
        key: [2; 32],
        purpose: None,
        query: Some(query),
        items: Some(items),
        epsilon: None,
        span: LEASE_MAX,
    }
}

/// A leader that puts in a key of its own, in whatever way it can, gets no lease from anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_key_of_a_member_is_refused() {
    let world = of_three().await;
    let contracts = two(&world, Terms::default()).await;
    let (leader, first, third) = (&world.nodes[LEADER], &world.nodes[0], &world.nodes[2]);
    let proposal = |members: [&Node; 2]| Proposal {
        id: [5; 32],
        leader: leader.did.clone(),
        items: 10,
        key: numbered(&Key::parse("part_no:text;first").unwrap()),
        members: members
            .into_iter()
            .zip(&contracts)
            .map(|(it, of)| Member { did: it.did.clone(), under: under(&[5; 32], &of.id) })
            .collect(),
    };
    let whole = proposal([first, third]);
    let mut words = Vec::new();
    for (node, contract) in [first, third].into_iter().zip(&contracts) {
        let invitation = Invitation { contract: contract.id.clone(), proposal: whole.clone() };
        let word = member::word(&node.app, &leader.did, &invitation).await.unwrap();
        let again = member::word(&node.app, &leader.did, &invitation).await.unwrap();
        assert_eq!(word, again, "nothing is kept, and the same is said");
        words.push(word);
    }
    let started = |proposal: &Proposal, words: [Word; 2]| {
        let agreed = Agreed { proposal: proposal.clone(), words: words.to_vec() };
        let lease = request(&contracts[0], agreed.digest(), proposal.items);
        Start { agreed, lease }
    };
    let [ours, theirs] = [words[0].clone(), words[1].clone()];
    let prepared = async |it: &Start| member::prepare(&first.app, &leader.did, it).await;
    prepared(&started(&whole, [ours.clone(), theirs.clone()])).await.unwrap();

    let payload = Word::signed(&whole, 1, &[3; 32], theirs.items);
    let own = SigningKey::from_secret_bytes(KeyKind::Es256, &[4; 32]).unwrap();
    let kid = theirs.key_id().unwrap().unwrap();
    for forged in [
        // Carried over under the signature of the true one; signed by somebody else; by the leader's own node.
        Word { key: [3; 32], ..theirs.clone() },
        Word { items: 1, ..theirs.clone() },
        Word {
            key: [3; 32],
            signature: jws::sign(&kid, WORD_TYPE, &payload, &own),
            ..theirs.clone()
        },
        Word {
            key: [3; 32],
            signature: jws::sign(&kid, WORD_TYPE, &payload, leader.app.keys.identity()),
            ..theirs.clone()
        },
    ] {
        let no = prepared(&started(&whole, [ours.clone(), forged])).await;
        assert_eq!(fault(no).code(), "psi.member-key");
    }
    // Nor one that we did not make, nor ours twice.
    let payload = Word::signed(&whole, 0, &[3; 32], ours.items);
    let signature =
        jws::sign(first.app.identity.key_id(), WORD_TYPE, &payload, first.app.keys.identity());
    let not_made = Word { key: [3; 32], signature, ..ours.clone() };
    let no = prepared(&started(&whole, [not_made, theirs])).await;
    assert_eq!(fault(no).code(), "psi.member-key");
    let no = prepared(&started(&whole, [ours.clone(), ours])).await;
    assert_eq!(fault(no).code(), "psi.member-key");
    // Participants of the leader's making.
    let mut strange = whole.clone();
    strange.members[1].did =
        tidm_space::identity::did::Did::parse("did:web:nobody.example").unwrap();
    let mut himself = whole.clone();
    himself.members[1].did = leader.did.clone();
    for proposal in [strange, himself] {
        let invitation = Invitation { contract: contracts[0].id.clone(), proposal };
        let no = member::word(&first.app, &leader.did, &invitation).await;
        assert_eq!(fault(no).code(), "psi.parties");
    }
    // Somebody else's contract is nobody's.
    let invitation = Invitation { contract: contracts[0].id.clone(), proposal: whole };
    let no = fault(member::word(&first.app, &third.did, &invitation).await);
    assert_eq!(
        no.to_string(),
        fault(member::word(&third.app, &leader.did, &invitation).await).to_string()
    );
    assert_eq!(first.app.store.spent(&contracts[0].id).await.unwrap().uses, 0);
}

/// While a long one runs: one contract that is revoked ends it at all three.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_of_one_contract_stops_all() {
    let world = of_three().await;
    let said = || common("part_no:text;first", Terms::default());
    let contracts = [
        agreed(&world, 0, &parts(0, 300_000), said()).await,
        agreed(&world, 2, &parts(0, 300_001), said()).await,
    ];
    let begun = begun(&world, &contracts, "a", (0, 300_000)).await;
    let leader = &world.nodes[LEADER];
    let running = || async { leader.app.matchings.told(&begun.id).map(drop) };
    eventually("it runs", running).await;
    let (contract, reason) = (contracts[1].id.clone(), "revoked by a test".to_owned());
    world.nodes[2].wish(Wish::EndContract { contract, why: End::Revoked, reason }).await;
    for node in &world.nodes {
        let it = over(&node.app, &begun.id).await;
        assert_eq!((it.state, it.record.matched), (State::Failed, None), "{:?}", it.record);
    }
    // What was counted stays counted, at both.
    for (at, contract) in [0, 2].into_iter().zip(&contracts) {
        let spent = world.nodes[at].app.store.spent(&contract.id).await.unwrap();
        assert_eq!((spent.uses, spent.items), (1, 300_000));
    }
}

/// Of every contract its purposes hold; the first member that says no ends it, and nobody has counted anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_purpose_opens_nothing() {
    let world = of_three().await;
    let said = || Sentences {
        purposes: vec!["质检".to_owned()],
        ..common("part_no:text;first", Terms::default())
    };
    let contracts = [
        agreed(&world, 0, &parts(0, 100), said()).await,
        agreed(&world, 2, &parts(50, 100), said()).await,
    ];
    let leader = &world.nodes[LEADER].app;
    for (id, purpose, expected) in [
        ("none", None, Some("policy.unknown")),
        ("other", Some("转售"), Some("policy.denied")),
        ("right", Some("质检"), None),
    ] {
        let mine = uploaded(leader, id, &parts(90, 20)).await;
        let contracts = contracts.iter().map(|it| it.id.clone()).collect();
        let purpose = purpose.map(str::to_owned);
        let wish =
            Wanted { contracts, mine, columns: vec![], result: Written::Rows(vec![]), purpose };
        let begun = start(leader, wish).await.unwrap();
        let it = over(leader, &begun.id).await;
        assert_eq!(code(&it), expected, "{id}");
        assert_eq!(it.record.matched, expected.is_none().then_some(10), "{id}");
        for at in [0, 2] {
            let node = &world.nodes[at].app;
            let theirs = node.store.matching(&begun.id).await.unwrap();
            assert_eq!(theirs.is_some(), expected.is_none(), "{id}");
        }
    }
    for (at, contract) in [0, 2].into_iter().zip(&contracts) {
        let spent = world.nodes[at].app.store.spent(&contract.id).await.unwrap();
        assert_eq!((spent.uses, spent.items), (1, 20));
    }
}

/// Somebody stops it, at the leader or at a member: it is over for all at once.
#[tokio::test(flavor = "multi_thread")]
async fn either_side_of_many_stops_it_for_all() {
    let world = of_three().await;
    let said = || common("part_no:text;first", Terms::default());
    let contracts = [
        agreed(&world, 0, &parts(0, 300_000), said()).await,
        agreed(&world, 2, &parts(0, 300_001), said()).await,
    ];
    for stopper in [LEADER, 2] {
        let begun = begun(&world, &contracts, &stopper.to_string(), (0, 300_000)).await;
        let stopping = &world.nodes[stopper].app;
        let running = || async { stopping.matchings.told(&begun.id).map(drop) };
        eventually("it runs", running).await;
        assert!(stop(stopping, &app_matching(stopping, &begun.id).await).await.unwrap());
        let since = Instant::now();
        for (at, node) in world.nodes.iter().enumerate() {
            let it = over(&node.app, &begun.id).await;
            assert_eq!((it.state, it.record.matched), (State::Failed, None), "{:?}", it.record);
            let cancelled = code(&it) == Some("psi.cancelled");
            assert_eq!(cancelled, at == stopper, "{at}: {:?}", it.record.fault);
        }
        let took = since.elapsed();
        assert!(took <= Duration::from_secs(3), "all stopped after {took:?}");
    }
}

/// A member whose list is not what it was: all end, and the leader's reason names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_cannot_is_named() {
    let world = of_three().await;
    let contracts = [
        agreed(&world, 0, &parts(0, 50), common("part_no:text", Terms::default())).await,
        // Equal keys, which its key refuses.
        agreed(
            &world,
            2,
            &[parts(0, 50), b"P-0000001,3\n".to_vec()].concat(),
            common("part_no:text", Terms::default()),
        )
        .await,
    ];
    let begun = begun(&world, &contracts, "a", (0, 50)).await;
    let it = over(&world.nodes[LEADER].app, &begun.id).await;
    let why = it.record.fault.unwrap();
    assert!(it.state == State::Failed && why.text.contains(world.nodes[2].did.as_str()), "{why:?}");
    for at in [0, 2] {
        assert_eq!(over(&world.nodes[at].app, &begun.id).await.state, State::Failed);
    }
}

/// What is lost on the way is not run again: items are guessed once for one debit.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_ends_it_for_all() {
    let mut world = of_three().await;
    let said = || common("part_no:text;first", Terms::default());
    let contracts = [
        agreed(&world, 0, &parts(0, 300_000), said()).await,
        agreed(&world, 2, &parts(0, 300_001), said()).await,
    ];
    let begun = begun(&world, &contracts, "a", (0, 300_000)).await;
    let leader = world.nodes[LEADER].app.clone();
    let running = || async { leader.matchings.told(&begun.id).map(drop) };
    eventually("it runs", running).await;
    drop(leader);
    world.restart(LEADER).await;
    let ours = over(&world.nodes[LEADER].app, &begun.id).await;
    assert_eq!((ours.state, ours.record.fault.unwrap().code.as_str()), (State::Failed, "psi.once"));
    for (at, contract) in [0, 2].into_iter().zip(&contracts) {
        let it = over(&world.nodes[at].app, &begun.id).await;
        assert_eq!((it.state, it.record.matched), (State::Failed, None), "{:?}", it.record);
        let spent = world.nodes[at].app.store.spent(&contract.id).await.unwrap();
        assert_eq!((spent.uses, spent.items), (1, 300_000));
    }
}
