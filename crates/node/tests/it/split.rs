//! Keys that are split with an operator: both must release, each can stop, and nothing else opens a copy.

use std::time::{Duration, Instant};

use reqwest::Method;

use tidm_crypto::kem::{KemSecret, Wrapped};
use tidm_crypto::secret::Secret;
use tidm_crypto::tdf::Container;
use tidm_crypto::{domain, jws};
use tidm_node::jobs::audit::audit;
use tidm_node::jobs::use_data::{OpenRequest, open_file, program, query_sealed};
use tidm_node::jobs::{release, renewing};
use tidm_node::net::auth;
use tidm_node::random::os;
use tidm_node::store::shares::set_hold;
use tidm_space::contract::Contract;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::audit::Verdict;
use tidm_space::evidence::fact::{Fact, ShareAct, What};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::lease::message::Request;
use tidm_space::limits::LEASE_RENEWAL_PAUSE;
use tidm_space::policy::render::render;
use tidm_space::policy::sentence::{Export, Sentences};
use tidm_space::policy::usage::Use;
use tidm_space::share::{OPERATOR_SHARE, PROVIDER_SHARE};
use tidm_space::wire::tidm::lease;
use tidm_space::wire::tidm::share::{self, Split};

use crate::files::opened;
use crate::world::{Node, Plan, World, csv, fault, limited, table};

const COUNT: &str = "SELECT count(*) AS n FROM data";

/// Provider, consumer, operator and another operator.
async fn world() -> World {
    let text = |plan: &Plan, at: usize| {
        let (plain, operating) = ("\"infrastructure\"", "\"infrastructure\", \"intermediary\"");
        let node = plan.node(at);
        let node = if at >= 2 { node.replace(plain, operating) } else { node };
        format!(
            "{node}public_url = \"http://{}\"\ninsecure_http = true\n[peers]\nallow_private_addresses = true\n\
             [evidence]\ncheckpoint_ms = 200\n[space]\nmembers = \"{}\"\noperator = \"{}\"\n",
            plan.places[at],
            plan.list.display(),
            plan.dids[0],
        )
    };
    World::planned(4, text).await
}

fn operator(world: &World) -> &Node {
    &world.nodes[2]
}

fn split(world: &World, uses: u64) -> Sentences {
    Sentences { split_with: Some(operator(world).did.clone()), ..limited(uses) }
}

async fn spent(world: &World, contract: &Contract) -> u64 {
    world.provider().app.store.spent(&contract.id).await.unwrap().uses
}

async fn acts(world: &World, contract: &Contract) -> Vec<ShareAct> {
    let facts = operator(world).app.store.contract_facts(&contract.id).await.unwrap();
    let act = |it: &Fact| match &it.what {
        What::Share { act, .. } => Some(*act),
        _ => None,
    };
    facts.iter().filter_map(act).collect()
}

async fn held(world: &World, subject: &str, reason: Option<&str>) {
    let app = &operator(world).app;
    let subject = Id::parse(subject).unwrap();
    let now = app.clock.now();
    set_hold(&app.writer, &app.identity.did, &subject, reason.map(str::to_owned), now)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_opens_where_both_release_and_both_are_in_the_audit() {
    let world = world().await;
    let contract = world.ready("t.csv", &csv(), split(&world, 5), Use::SealedTable).await;
    let op = operator(&world).did.to_string();
    for (lang, words) in [(Lang::Zh, "双方放行"), (Lang::En, "must both release")] {
        let said = render(&contract.policy, lang, Use::SealedTable);
        let it = said.iter().find(|it| it.text.contains(words)).unwrap();
        assert!(it.understood && it.text.contains(&op), "{it:?}");
    }
    let consumer = world.consumer();
    let done = query_sealed(&consumer.app, &contract.id, COUNT, None).await.unwrap();
    assert_eq!(table(&done.ipc), [["201"]]);
    assert_eq!((done.uses_left, spent(&world, &contract).await), (Some(4), 1));
    assert_eq!(acts(&world, &contract).await, [ShareAct::Released]);
    for node in [world.provider(), consumer] {
        let report = audit(&node.app, &contract.id).await.unwrap().unwrap();
        let text = report.markdown(Lang::En);
        assert!(
            text.contains("released its share") && text.contains(done.lease.as_str()),
            "{text}"
        );
        assert_ne!(report.report.verdict(), Verdict::Contradicting, "{text}");
        assert_eq!(report.report.operator.unwrap().acts.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_two_key_services_and_the_providers_store_alone_opens_nothing() {
    let world = world().await;
    let sentences = Sentences { export: Export::Permitted, ..split(&world, 3) };
    let plain = b"ISO-10303-21; a drawing".repeat(50_000);
    let contract = world.ready("part.bin", &plain, sentences, Use::SealedFile).await;
    let out = world.path().join("seen");
    let shown = format!("cat \"$1\" > {}", out.display());
    let (grant, status) = opened(world.consumer(), &contract, &shown).await.unwrap();
    assert_eq!((status, grant.uses_left), (Some(0), Some(2)));
    assert!(std::fs::read(&out).unwrap() == plain);
    // What a thief of the provider's store and keys has, and the copy that was delivered.
    let provider = &world.provider().app;
    let seal = provider.store.seal(&contract.id).await.unwrap().unwrap();
    let half = release::open_at_rest(provider, &seal).unwrap();
    let copy = world.consumer().app.store.copies(&contract.id).await.unwrap().remove(0);
    let key = tidm_node::objects::Key::parse(&copy.object).unwrap();
    let bytes = world.consumer().app.objects.get_range(&key, 0..copy.bytes).await.unwrap();
    let mut container = Container::open(std::io::Cursor::new(bytes.to_vec())).unwrap();
    assert_eq!(container.manifest().split_ids(), [PROVIDER_SHARE, OPERATOR_SHARE]);
    let services: Vec<_> =
        container.manifest().key_access.iter().map(|it| it.url.clone()).collect();
    assert_eq!(
        services,
        [world.provider().app.identity.key_service(), operator(&world).app.identity.key_service()]
    );
    assert!(container.decrypt(&half).is_err());
    for other in [Secret::new([0; 32]), half.clone()] {
        let shares = [(PROVIDER_SHARE, &half), (OPERATOR_SHARE, &other)];
        assert!(container.decrypt_split(&shares).is_err());
    }
    // The deposit is under no key that the provider has.
    let claims = jws::Unverified::parse_within(&seal.deposit, 1 << 13).unwrap();
    let deposit = share::read_deposit(claims.unproven_payload()).unwrap();
    let mut keys = vec![half];
    for id in provider.keys.list().unwrap() {
        keys.push(provider.keys.get(&id).unwrap().unwrap());
    }
    for key in keys {
        let wrapped = Wrapped::from_bytes(&deposit.wrapped).unwrap();
        let secret = KemSecret::from_secret_bytes(key.expose()).unwrap();
        let info = domain::SHARE_DEPOSIT.as_bytes();
        assert!(secret.open(&wrapped, info, &deposit.binding()).is_err());
    }
    // A program that is none of ours would get half a key: it is refused before it costs anything.
    let refused = program(&world.consumer().app, &contract.id, None, None).await;
    assert_eq!(fault(refused).code(), "split.program");
    assert_eq!(spent(&world, &contract).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_holds_opens_nowhere_and_costs_nothing() {
    let world = world().await;
    let contract = world.ready("t.csv", &csv(), split(&world, 5), Use::SealedTable).await;
    let consumer = world.consumer().app.clone();
    let provider = world.provider().did.to_string();
    let (own, op) = (world.consumer().did.as_str(), operator(&world).did.as_str());
    let inquiry = share::write_inquiry(&contract.id, &world.provider().did);
    // Why, it hears of itself at any time; of the contract and its provider once a share was released to it.
    for used in [false, true] {
        for subject in [contract.id.as_str(), own, &provider] {
            held(&world, subject, Some("核查中")).await;
            let no = fault(query_sealed(&consumer, &contract.id, COUNT, None).await);
            assert_eq!(no.code(), "split.held", "{no:?}");
            let Fault::Denied { reason, .. } = no else { unreachable!() };
            assert!(reason.contains(op), "{reason}");
            assert_eq!(reason.contains("核查中"), used || subject == own, "{reason}");
            // Another member learns neither who nor why, and of another member nothing at all.
            let (path, body) = (inquiry.path.clone(), inquiry.body.clone());
            let (status, body) = said(&world.nodes[3], operator(&world), path, body).await;
            assert_eq!(status == 200, subject == own);
            let text = String::from_utf8(body).unwrap();
            assert!(!text.contains("核查中") && !text.contains(&provider), "{text}");
            held(&world, subject, None).await;
        }
        assert_eq!(spent(&world, &contract).await, u64::from(used));
        if !used {
            query_sealed(&consumer, &contract.id, COUNT, None).await.unwrap();
        }
    }
    assert_eq!(
        acts(&world, &contract).await,
        [ShareAct::Held, ShareAct::Freed, ShareAct::Released, ShareAct::Held, ShareAct::Freed],
        "of participants there is no contract to note it with"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_gone_is_named_in_time_and_costs_nothing() {
    let mut world = world().await;
    let contract = world.ready("t.csv", &csv(), split(&world, 5), Use::SealedTable).await;
    let did = operator(&world).did.to_string();
    world.nodes[2].halt().await;
    let started = Instant::now();
    let no = fault(query_sealed(&world.consumer().app, &contract.id, COUNT, None).await);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let Fault::Unavailable { reason, .. } = no else { panic!("{no:?}") };
    assert!(reason.contains(&did) && reason.contains("no use was counted"), "{reason}");
    assert_eq!(spent(&world, &contract).await, 0);
}

/// A long use of a split key is renewed only where its operator holds nothing and answers.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_asked_before_each_renewal() {
    let mut world = world().await;
    let contract = world.ready("note.bin", b"a note", split(&world, 5), Use::SealedFile).await;
    let consumer = world.consumer().app.clone();
    let request = OpenRequest {
        contract: contract.id.clone(),
        purpose: None,
        key: KemSecret::generate(&mut os()).public().to_bytes(),
        span: Duration::from_secs(60),
        export: false,
    };
    let opened = open_file(&consumer, request).await.unwrap();
    let provider = world.provider().app.clone();
    let renewals = async || provider.store.lease(&opened.lease).await.unwrap().unwrap().renewals;
    // As often as the gate takes one.
    let renewed = async || {
        tokio::time::sleep(LEASE_RENEWAL_PAUSE).await;
        renewing::once(&consumer, &contract, &opened.lease).await
    };
    held(&world, contract.id.as_str(), Some("核查中")).await;
    assert_eq!(fault(renewed().await).code(), "split.held");
    assert_eq!(renewals().await, 0);
    held(&world, contract.id.as_str(), None).await;
    renewed().await.unwrap();
    assert_eq!(renewals().await, 1);
    world.nodes[2].halt().await;
    // It ends no use, and lets none go on for longer.
    renewed().await.unwrap();
    assert_eq!(renewals().await, 1);
}

/// A lease of the provider's gate with what the operator is to be shown, as a patched consumer gets it.
async fn leased(world: &World, contract: &Contract, nonce: u8, key: &KemSecret) -> Split {
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::SealedTable,
        nonce: [nonce; 16],
        key: key.public().to_bytes(),
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: Duration::from_secs(60),
    };
    let posting = lease::write_request(&Id::from(uuid::Uuid::now_v7()), &request);
    let (status, body) = said(world.consumer(), world.provider(), posting.path, posting.body).await;
    assert_eq!(status, 200);
    lease::read_split(&body).unwrap().unwrap()
}

async fn said(from: &Node, to: &Node, path: String, body: String) -> (u16, Vec<u8>) {
    let url = format!("{}{path}", to.base());
    let bearer = auth::mint(&from.app.identity, &to.did, &from.app.clock);
    let answer = from.app.client.call(Method::POST, &url, Some(&bearer), Some(body)).await.unwrap();
    (answer.status.as_u16(), answer.body)
}

/// What an operator makes of it: the code of its refusal.
async fn code(from: &Node, to: &Node, it: &Split) -> String {
    let posting = share::write_request(it);
    let (status, body) = said(from, to, posting.path, posting.body).await;
    if status == 200 {
        return "released".to_owned();
    }
    lease::read_refusal(&body).unwrap().code
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_stale_forged_and_misdirected_leases_bring_no_share() {
    let world = world().await;
    let contract = world.ready("t.csv", &csv(), split(&world, 9), Use::SealedTable).await;
    let other = world.ready("u.csv", &csv(), split(&world, 9), Use::SealedTable).await;
    let key = KemSecret::generate(&mut os());
    let it = leased(&world, &contract, 1, &key).await;
    let (op, consumer, provider) = (operator(&world), world.consumer(), world.provider());
    // One answer, however often it is asked for; only the using program's key opens it.
    let posting = share::write_request(&it);
    let (_, first) = said(consumer, op, posting.path.clone(), posting.body.clone()).await;
    let (_, again) = said(consumer, op, posting.path, posting.body).await;
    let (granted, wrapped) = share::read_grant(&first).unwrap();
    assert_eq!((granted.clone(), wrapped.clone()), share::read_grant(&again).unwrap());
    assert_eq!(acts(&world, &contract).await, [ShareAct::Released]);
    let aad = release::associated_data(&granted, &contract.id);
    let wrapped = Wrapped::from_bytes(&wrapped).unwrap();
    let thief = KemSecret::generate(&mut os());
    assert!(thief.open(&wrapped, domain::SHARE_KEY.as_bytes(), &aad).is_err());
    assert_eq!(key.open(&wrapped, domain::SHARE_KEY.as_bytes(), &aad).unwrap().expose().len(), 32);
    // Another member with the same words, and another operator.
    assert_eq!(code(&world.nodes[3], op, &it).await, "split.lease");
    assert_eq!(code(consumer, &world.nodes[3], &it).await, "split.lease");
    assert_eq!(code(consumer, provider, &it).await, "split.not-operator");
    // Signed by the provider, and not what it should be; or signed by somebody else.
    let claims = jws::Unverified::parse_within(&it.shown, 1 << 13).unwrap();
    let shown = share::read_shown(claims.unproven_payload()).unwrap();
    let signed = |by: &Node, it: &tidm_space::share::Shown| {
        by.app.identity.sign(share::SHOWN_TYP, share::shown_claims(it).to_string().as_bytes())
    };
    let before = tidm_space::time::Time::from_ms(shown.granted.ms() - 600_000);
    let deposits = leased(&world, &other, 2, &key).await.deposit;
    let changed = |change: fn(&mut tidm_space::share::Shown)| {
        let mut it = shown.clone();
        change(&mut it);
        it
    };
    let mut stale = shown.clone();
    stale.granted = before;
    let of = |shown: String| Split { shown, ..it.clone() };
    for (it, expected) in [
        (of(signed(provider, &stale)), "split.lease"),
        (of(signed(provider, &changed(|it| it.key = [9; 32]))), "split.lease"),
        (of(signed(consumer, &changed(|it| it.nonce = [7; 16]))), "token.key"),
        (of(it.deposit.clone()), "message.malformed"),
        (Split { deposit: deposits, ..it.clone() }, "split.deposit"),
        (Split { deposit: it.shown.clone(), ..it.clone() }, "split.statement"),
    ] {
        assert_eq!(code(consumer, op, &it).await, expected, "{it:?}");
    }
}
