//! Members proven by credentials: what one exchange with a wallet is good for, what ends it, and what opens nothing.

use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_node::app::App;
use tidm_node::jobs::membership::{self, Particulars};
use tidm_node::net::client::Answer;
use tidm_space::engine::node::Signer as _;
use tidm_space::identity::credential::MEMBERSHIP;
use tidm_space::identity::did::Did;
use tidm_space::identity::document::Relation;
use tidm_space::identity::issuance::message::{Container, Delivery, Outcome};
use tidm_space::identity::presentation::scope::Scope;
use tidm_space::limits::MESSAGE_BYTES;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dcp::{issuance, query};

use crate::world::{Node, World, csv, eventually, fault, limited};

const STATUS: Duration = Duration::from_secs(1);

/// Nodes whose identity mode is `dcp`; the first runs the space, all are members.
async fn world(count: usize) -> (World, String) {
    let more = |_: usize, _: &[Did]| {
        format!("[identity]\nmode = \"dcp\"\n[dcp]\nstatus_seconds = {}\n", STATUS.as_secs())
    };
    let world = World::of(count, more).await;
    let operator = &world.nodes[0].app;
    let space = membership::create(operator, "test").await.unwrap();
    for node in &world.nodes {
        let (invitation, _) =
            membership::invite(operator, &space, &node.did, &[], Particulars::default())
                .await
                .unwrap();
        assert_eq!(membership::join(&node.app, &invitation).await.unwrap().state, "issued");
    }
    (world, space)
}

/// One DSP request of `from` to `to` with this `Authorization`.
pub(crate) async fn ask(from: &App, to: &Node, authorization: Option<&str>) -> u16 {
    let body = json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"});
    let url = format!("{}/catalog/request", to.base());
    let answer = from.client.call(Method::POST, &url, authorization, Some(body.to_string())).await;
    answer.unwrap().status.as_u16()
}

async fn knock(from: &Node, to: &Node) -> u16 {
    let bearer = format!("Bearer {}", from.app.identity.bearer(&to.did, &from.app.clock));
    ask(&from.app, to, Some(&bearer)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_exchange_with_a_wallet_serves_a_whole_negotiation() {
    let (world, _) = world(2).await;
    let product = world.published("d.csv", &csv(), limited(3), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    world.delivered(&contract, Use::Plain).await;
    for node in &world.nodes {
        assert_eq!(node.app.claims.exchanges(), 1, "{}", node.did);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_bites_at_the_next_message() {
    let (world, space) = world(3).await;
    let [operator, plant, buyer] = &world.nodes[..] else { panic!("three nodes") };
    for other in [operator, plant] {
        assert_eq!(knock(buyer, other).await, 200);
    }
    assert_eq!(membership::revoke(&operator.app, &space, &buyer.did).await.unwrap(), 1);
    // Here the issuer is local: nothing older than this moment is believed.
    assert_eq!(knock(buyer, operator).await, 404);
    tokio::time::sleep(STATUS).await;
    assert_eq!(knock(buyer, plant).await, 404);
    assert_eq!(knock(plant, operator).await, 200, "others are as before");
    // The same again changes nothing; a name that was mistyped does not pass for one that is cut off.
    assert_eq!(membership::revoke(&operator.app, &space, &buyer.did).await.unwrap(), 0);
    let mistyped = Did::parse("did:web:nobody.example").unwrap();
    let unknown = membership::revoke(&operator.app, &space, &mistyped).await.unwrap_err();
    assert!(unknown.to_string().contains("member"), "{unknown}");
    // Nobody revokes what is not his.
    let other = membership::revoke(&plant.app, &space, &operator.did).await;
    assert!(other.is_err());
}

/// Each of these tokens is one claim or one signature away from a good one.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_fresh_token_for_us_opens_anything() {
    only_fresh_tokens(world(2).await.0, 300).await;
}

/// Also where a list says who is a member.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_fresh_token_for_us_opens_anything_by_list() {
    only_fresh_tokens(World::two().await, 50).await;
}

/// `life` is what a token of that mode may live.
async fn only_fresh_tokens(world: World, life: i64) {
    let [provider, member] = &world.nodes[..] else { panic!("two nodes") };
    let app = &member.app;
    let now = app.clock.now().seconds();
    let claims = |change: Value| {
        let mut it = json!({
            "iss": member.did.as_str(), "sub": member.did.as_str(), "aud": provider.did.as_str(),
            "jti": uuid::Uuid::now_v7().to_string(), "iat": now, "exp": now + life,
        });
        it.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        it
    };
    let sign = |it: Value| format!("Bearer {}", app.identity.sign_jwt(it.to_string().as_bytes()));
    let stranger = SigningKey::from_secret_bytes(KeyKind::Es256, &[9; 32]).unwrap();
    let forged = |kid: &str| {
        let payload = claims(json!({})).to_string();
        format!("Bearer {}", jws::sign(kid, "JWT", payload.as_bytes(), &stranger))
    };
    let used = sign(claims(json!({"jti": "used"})));
    assert_eq!(knock(member, provider).await, 200, "the membership is known from here on");
    assert_eq!(ask(app, provider, Some(&used)).await, 200);
    let wrong = [
        ("replayed", used.clone()),
        ("for another", sign(claims(json!({"aud": member.did.as_str()})))),
        ("for several", sign(claims(json!({"aud": [provider.did.as_str(), member.did.as_str()]})))),
        ("of somebody else", sign(claims(json!({"sub": provider.did.as_str()})))),
        ("expired", sign(claims(json!({"iat": now - life, "exp": now - 1})))),
        ("from the future", sign(claims(json!({"iat": now + 60, "exp": now + 60 + life})))),
        ("not yet", sign(claims(json!({"nbf": now + 60})))),
        ("for ever", sign(claims(json!({"exp": now + 100_000})))),
        ("without an id", sign(claims(json!({"jti": null})))),
        ("forged", forged(app.identity.key_id())),
        ("with an unknown key", forged(&format!("{}#other", member.did))),
        ("with another's key", forged(provider.app.identity.key_id())),
        ("without scheme", used.trim_start_matches("Bearer ").to_owned()),
        ("nothing", "Bearer ".to_owned()),
        ("rubbish", "Bearer a.b.c".to_owned()),
        ("too long", format!("Bearer {}", "x".repeat(20_000))),
    ];
    let wallet = format!("{}/dcp/1.0/wallet/presentations/query", provider.app.identity.public_url);
    let body = query::write(&[Scope::kind(MEMBERSHIP)]);
    for (what, authorization) in &wrong {
        // DSP names no strangers; DCP says 401. A header that is too long never gets that far.
        let status = ask(app, provider, Some(authorization)).await;
        assert!(status == 404 || status == 431 || status == 400, "{what}: {status}");
        let answer =
            app.client.call(Method::POST, &wallet, Some(authorization), Some(body.clone())).await;
        let status = answer.unwrap().status.as_u16();
        assert!((400..500).contains(&status), "{what}: {status}");
    }
    assert_eq!(ask(app, provider, None).await, 404);
    // A clock that is a few seconds ahead is no crime.
    assert_eq!(ask(app, provider, Some(&sign(claims(json!({"iat": now + 2}))))).await, 200);
}

async fn post(from: &Node, to: &str, bearer: &str, body: String) -> Answer {
    let bearer = format!("Bearer {bearer}");
    from.app.client.call(Method::POST, to, Some(&bearer), Some(body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_shows_what_its_token_covers_to_whom_it_was_given() {
    let (world, _) = world(3).await;
    let [holder, verifier, other] = &world.nodes[..] else { panic!("three nodes") };
    let access = |node: &Node, kind: &str| {
        let token =
            holder.app.identity.token(&node.did, Some(&[Scope::kind(kind)]), &holder.app.clock);
        let claims = jws::Unverified::parse(&token).unwrap();
        let claims: Value = serde_json::from_slice(claims.unproven_payload()).unwrap();
        claims["token"].as_str().unwrap().to_owned()
    };
    let wallet = format!("{}/dcp/1.0/wallet/presentations/query", holder.app.identity.public_url);
    let asked = query::write(&[Scope::kind(MEMBERSHIP), Scope::kind("Secret")]);
    let show = async |by: &Node, access: &str| {
        let bearer = by.app.identity.token_with(&holder.did, access, &by.app.clock);
        post(by, &wallet, &bearer, asked.clone()).await
    };
    let shown = show(verifier, &access(verifier, MEMBERSHIP)).await;
    assert_eq!(shown.status, 200);
    assert_eq!(query::read_response(&shown.body).unwrap().len(), 1);
    // Another scope covers nothing that is there: an empty answer, no error (DCP §5.4.1.2).
    let shown = show(verifier, &access(verifier, "Secret")).await;
    assert_eq!(query::read_response(&shown.body).unwrap(), Vec::<String>::new());
    for (what, by, token) in [
        ("somebody else's access token", other, access(verifier, MEMBERSHIP)),
        ("an identity token in its place", verifier, holder.app.identity.sign_jwt(b"{}")),
        ("a token that we did not sign", verifier, {
            let payload = json!({"iss": holder.did.as_str(), "sub": verifier.did.as_str(), "aud": holder.did.as_str(), "jti": "1", "iat": 1, "exp": 9_999_999_999_i64, "scope": Scope::kind(MEMBERSHIP).to_string()});
            verifier.app.identity.sign("tidm-access+jwt", payload.to_string().as_bytes())
        }),
        ("rubbish", verifier, "x".to_owned()),
    ] {
        assert_eq!(show(by, &token).await.status, 401, "{what}");
    }
    let bearer = verifier.app.identity.token(&holder.did, None, &verifier.app.clock);
    assert_eq!(
        post(verifier, &wallet, &bearer, asked.clone()).await.status,
        401,
        "no access token"
    );
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(MESSAGE_BYTES + 1));
    let bearer = verifier.app.identity.token(&holder.did, None, &verifier.app.clock);
    assert_eq!(post(verifier, &wallet, &bearer, long).await.status, 413, "too long a body");
}

/// A wallet takes credentials from whom it trusts or asked, and only what they may say.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_fills_our_wallet_unasked() {
    let (world, _) = world(3).await;
    let [operator, member, stranger] = &world.nodes[..] else { panic!("three nodes") };
    let held = || async { member.app.store.wallet(&member.did).await.unwrap() };
    let before = held().await;
    let wallet = format!("{}/dcp/1.0/wallet/credentials", member.app.identity.public_url);
    let deliver = async |by: &Node, payload: &str| {
        let container = Container {
            kind: MEMBERSHIP.to_owned(),
            profile: tidm_space::identity::credential::Profile::Vc20,
            payload: payload.to_owned(),
        };
        let said = Delivery {
            issuer_pid: "i".to_owned(),
            holder_pid: "h".to_owned(),
            outcome: Outcome::Issued(vec![container]),
        };
        let bearer = by.app.identity.token(&member.did, None, &by.app.clock);
        post(by, &wallet, &bearer, issuance::write_delivery(&said)).await.status.as_u16()
    };
    let own = before[0].clone();
    let theirs = operator.app.store.wallet(&operator.did).await.unwrap().remove(0);
    let mut changed = own.clone();
    changed.replace_range(own.len() - 4.., "AAAA");
    assert_eq!(deliver(stranger, &own).await, 403, "an issuer that we never asked");
    assert_eq!(deliver(operator, &theirs).await, 404, "about somebody else");
    assert_eq!(deliver(operator, &changed).await, 404, "with a broken signature");
    assert_eq!(deliver(operator, "rubbish").await, 400);
    assert_eq!(held().await, before);
    assert_eq!(deliver(operator, &own).await, 200, "the same again is the same");
    assert_eq!(held().await.len(), before.len());
}

/// Requests of the uninvited leave nothing behind, and a request's status is its holder's alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_deals_with_whom_it_invited() {
    let (world, space) = world(3).await;
    let [operator, member, other] = &world.nodes[..] else { panic!("three nodes") };
    let app = &member.app;
    let (invitation, _) =
        membership::invite(&operator.app, &space, &member.did, &[], Particulars::default())
            .await
            .unwrap();
    // A space has one issuer: somebody else's invitation to it is none.
    let text = json!({"space": space, "operator": other.did.as_str()}).to_string();
    let forged = format!("tidm-invitation:{}", tidm_space::wire::json::base64url(text.as_bytes()));
    assert_eq!(fault(membership::join(app, &forged).await).code(), "space.invitation");
    // Stolen, it is of no use.
    assert!(membership::join(&other.app, &invitation).await.is_err());
    let url = format!("{}/dcp/1.0/issuer/credentials", operator.app.identity.public_url);
    let asked = tidm_space::identity::issuance::message::Request {
        holder_pid: "mine".to_owned(),
        wants: vec![format!("{space}#vc20")],
    };
    let bearer = || app.identity.token(&operator.did, None, &app.clock);
    assert_eq!(post(member, &url, &bearer(), issuance::write_request(&asked)).await.status, 201);
    let again = post(member, &url, &bearer(), issuance::write_request(&asked)).await.status;
    assert!(again == 201 || again == 403, "the same request, or one too many: {again}");
    let unknown = tidm_space::identity::issuance::message::Request {
        wants: vec!["urn:uuid:none".to_owned()],
        ..asked
    };
    assert_eq!(post(member, &url, &bearer(), issuance::write_request(&unknown)).await.status, 400);
    let id = eventually("a decided request", || async {
        let row = sqlx_row(&operator.app, &member.did).await;
        row.filter(|(_, state)| state == "issued")
    })
    .await
    .0;
    let status = format!("{}/dcp/1.0/issuer/requests/{id}", operator.app.identity.public_url);
    for (by, code) in [(member, 200), (other, 404)] {
        let bearer =
            format!("Bearer {}", by.app.identity.token(&operator.did, None, &by.app.clock));
        let answer = by.app.client.call(Method::GET, &status, Some(&bearer), None).await.unwrap();
        assert_eq!(answer.status.as_u16(), code, "{}", by.did);
    }
}

/// The newest request of a holder that was approved for `mine`.
async fn sqlx_row(operator: &App, holder: &Did) -> Option<(String, String)> {
    let all = operator.store.issuances_of(&operator.identity.did, holder).await.unwrap();
    let it = all.into_iter().find(|it| it.holder_pid == "mine")?;
    Some((it.id.clone(), it.state.name().word().to_owned()))
}

/// A key that is rotated while we deal with its owner is found; a made-up one is not asked for again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_is_found() {
    let (world, _) = world(1).await;
    let directory = world.nodes[0].app.directory.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let did = Did::web("127.0.0.1", Some(listener.local_addr().unwrap().port())).unwrap();
    let (turn, asked) = (
        std::sync::Arc::new(std::sync::atomic::AtomicU8::new(1)),
        std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0)),
    );
    let (now, count, me) = (turn.clone(), asked.clone(), did.clone());
    let document = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let seed = now.load(std::sync::atomic::Ordering::Relaxed);
        let key = SigningKey::from_secret_bytes(KeyKind::Es256, &[seed; 32]).unwrap();
        let id = format!("{me}#{seed}");
        let json = json!({
            "id": me.as_str(), "capabilityInvocation": [id],
            "verificationMethod": [{"id": id, "publicKeyJwk": key.verifying_key().to_jwk()}],
        });
        async move { json.to_string() }
    };
    let router = Router::new().route("/.well-known/did.json", get(document));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let find = async |kid: &str| directory.key_for(&did, Some(kid), Relation::Invocation).await;
    let asked = || asked.load(std::sync::atomic::Ordering::Relaxed);
    let first = find("#1").await.unwrap();
    assert!(directory.key_for(&did, Some("#1"), Relation::Authentication).await.is_err());
    assert_eq!(asked(), 1);
    turn.store(2, std::sync::atomic::Ordering::Relaxed);
    assert_ne!(find("#2").await.unwrap(), first, "at once");
    assert!(find("#1").await.is_err(), "the old key is gone with the document");
    turn.store(3, std::sync::atomic::Ordering::Relaxed);
    assert!(find("#3").await.is_err() && find("#4").await.is_err());
    assert_eq!(asked(), 2, "not at every unknown id");
    tokio::time::sleep(Duration::from_millis(5100)).await;
    assert!(find("#3").await.is_ok());
    assert_eq!(asked(), 3);
}

/// A list that cannot be had proves nothing: who holds back the operator's address keeps nobody a member.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_status_list_nobody_is_waved_through() {
    let (mut world, _) = world(3).await;
    assert_eq!(knock(&world.nodes[2], &world.nodes[1]).await, 200);
    world.nodes[0].halt().await;
    tokio::time::sleep(STATUS).await;
    assert_eq!(knock(&world.nodes[2], &world.nodes[1]).await, 503);
}

/// Whoever names an address in its document does not make us call others, follow, or swallow anything.
#[tokio::test(flavor = "multi_thread")]
async fn wallets_lead_us_nowhere() {
    let (world, _) = world(1).await;
    let app = &world.nodes[0].app;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hits = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let (counted, key) =
        (hits.clone(), SigningKey::from_secret_bytes(KeyKind::Es256, &[3; 32]).unwrap());
    let document = move |axum::extract::Path(name): axum::extract::Path<String>| {
        let did = format!("did:web:127.0.0.1%3A{port}:{name}");
        let endpoint = match name.as_str() {
            "metadata" => "http://169.254.169.254/latest".to_owned(),
            "file" => "file:///etc".to_owned(),
            "password" => format!("http://user:pw@127.0.0.1:{port}/target"),
            _ => format!("http://127.0.0.1:{port}/{name}"),
        };
        let json = json!({
            "id": did, "service": [{"type": "CredentialService", "serviceEndpoint": endpoint}],
            "verificationMethod": [{"id": format!("{did}#1"), "publicKeyJwk": key.verifying_key().to_jwk()}],
        });
        async move { json.to_string() }
    };
    let target = axum::routing::any(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { "reached" }
    });
    let answers = axum::routing::post(
        move |axum::extract::Path(name): axum::extract::Path<String>| async move {
            match name.as_str() {
                "redirect" => axum::response::Redirect::temporary(&format!(
                    "http://127.0.0.1:{port}/target/presentations/query"
                ))
                .into_response(),
                "big" => "x".repeat(MESSAGE_BYTES + 1).into_response(),
                "rubbish" => "{\"presentation\":".into_response(),
                _ => query::write_response(&["a.b.c".to_owned()]).into_response(),
            }
        },
    );
    let router = Router::new()
        .route("/{name}/did.json", get(document))
        .route("/target/presentations/query", target)
        .route("/{name}/presentations/query", answers);
    tokio::spawn(async move { axum::serve(listener, router).await });

    for (name, code) in [
        ("metadata", "unavailable"),
        ("file", "unavailable"),
        ("password", "unavailable"),
        ("redirect", "presentation.refused"),
        ("big", "unavailable"),
        ("rubbish", "message.malformed"),
        ("nonsense", "credential.malformed"),
    ] {
        let did = Did::parse(&format!("did:web:127.0.0.1%3A{port}:{name}")).unwrap();
        let wanted = [Scope::kind(MEMBERSHIP)];
        let shown = app.claims.present(app, &app.identity, &did, "opaque", &wanted).await;
        assert_eq!(fault(shown).code(), code, "{name}");
    }
    assert_eq!(hits.load(std::sync::atomic::Ordering::Relaxed), 0);
}
