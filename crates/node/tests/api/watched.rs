//! What the log of people knows of every call, tries from here and elsewhere, and codes for what destroys keys.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use tidm_crypto::totp;
use tidm_node::accounts::FREE_FAILURES;
use tidm_node::api::auth::From;
use tidm_node::people::diary::{MINUTE, settle};
use tidm_node::people::here;
use tidm_node::store::save::save;
use tidm_space::engine::commit::Commit;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::charge::Reserved;
use tidm_space::lease::message::Request as LeaseRequest;
use tidm_space::lease::state::{Lease, State as LeaseState};
use tidm_space::negotiation::message::Role;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::state::{State as Stage, Transfer};
use tidm_space::wire::dsp::catalog::DataService;

use super::people::secret;
use super::{Node, PASSWORD, node, node_with};

impl Node {
    /// An open lease and a transfer under this contract; their ids.
    pub(super) async fn under_way(&self, contract: &str) -> (Id, Id) {
        let id = |text: &str| Id::parse(text).unwrap();
        let (now, peer) = (self.app.clock.now(), Did::parse("did:web:peer.example").unwrap());
        let request = LeaseRequest {
            contract: id(contract),
            kind: Use::SealedFile,
            nonce: [1; 16],
            key: [7; 32],
            purpose: None,
            query: None,
            items: None,
            epsilon: None,
            span: MINUTE,
        };
        let lease = Lease {
            id: id("urn:lease:1"),
            role: Role::Consumer,
            peer: peer.clone(),
            request,
            level: None,
            granted: now,
            until: now.after(MINUTE),
            renewals: 0,
            renewed: None,
            uses_left: None,
            epsilon_left: None,
            reserved: Reserved { seconds: None, rows: None, bytes: None },
            state: LeaseState::Granted,
        };
        let transfer = Transfer {
            id: id("urn:transfer:1"),
            role: Role::Consumer,
            peer,
            peer_pid: None,
            address: "https://peer.example/dsp".to_owned(),
            contract: id(contract),
            format: "HttpData-PULL".to_owned(),
            push_to: None,
            state: Stage::Initial,
            pending: None,
            starts: 0,
            created: now,
            moved: now,
        };
        let ids = (lease.id.clone(), transfer.id.clone());
        let commit = Commit { leases: vec![lease], transfers: vec![transfer], ..Commit::default() };
        let service =
            DataService { id: id("urn:service:1"), endpoint: String::new(), flight: false };
        let saved = self.app.writer.note(move |conn| {
            let (commit, service) = (commit.clone(), service.clone());
            Box::pin(async move { save(conn, &commit, now, &service).await })
        });
        saved.await.unwrap();
        ids
    }

    /// Entries, newest first: act, subject, outcome, reason, times.
    async fn entries(
        &self,
        token: &str,
        query: &str,
    ) -> Vec<(String, String, String, String, u64)> {
        let body = self.get(&format!("/people-log?limit=200{query}"), token).await.body;
        let items = body["items"].as_array().unwrap_or_else(|| panic!("{body}")).clone();
        let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let entry = |it: &Value| {
            let times = it["times"].as_u64().unwrap();
            (text(it, "act"), text(it, "subject"), text(it, "outcome"), text(it, "reason"), times)
        };
        items.iter().map(entry).collect()
    }

    /// A second factor for whoever has this session; what the confirmation answers.
    async fn enrol(&self, session: &str, password: &str) -> Value {
        let own = json!({ "password": password });
        let begun = self.post("/me/second-factor", Some(session), own).await;
        let secret = secret(begun.body["uri"].as_str().unwrap());
        let step = u64::try_from(self.app.clock.now().seconds()).unwrap() / totp::STEP;
        let confirm = json!({ "code": totp::code(&secret, step).unwrap() });
        let done = self.post("/me/second-factor/confirm", Some(session), confirm).await;
        assert_eq!(done.status, 200, "{}", done.body);
        done.body
    }

    async fn sign_in_from(&self, from: &str, name: &str, password: &str) -> u16 {
        let body = json!({ "name": name, "password": password }).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/session")
            .header("content-type", "application/json")
            .extension(From(from.parse::<SocketAddr>().unwrap()))
            .body(Body::from(body))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }
}

fn entry(
    act: &str,
    subject: &str,
    outcome: &str,
    reason: &str,
    times: u64,
) -> (String, String, String, String, u64) {
    (act.to_owned(), subject.to_owned(), outcome.to_owned(), reason.to_owned(), times)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_changes_something_is_an_entry_and_refusals_are_counted() {
    let node = node().await;
    let admin = node.admin().await;
    let contract = "urn:uuid:0190b6a0-0000-7000-8000-000000000000";
    let space = node.post("/spaces", Some(&admin), json!({ "name": "长三角" })).await;
    assert_eq!(space.status, 201);
    for act in ["revoke", "suspend", "recall", "end"] {
        let path = format!("/contracts/{contract}/{act}");
        let (status, _) = node.send(Method::POST, &path, &admin, json!({ "reason": "秘密" })).await;
        assert_eq!(status, 404);
    }
    let query = json!({ "contract": contract, "sql": "SELECT secret" });
    assert_eq!(node.send(Method::POST, "/uses/query", &admin, query).await.0, 404);
    assert_eq!(node.send(Method::DELETE, "/planes/data/x", &admin, Value::Null).await.0, 404);
    let other = node.sign_in().await;
    assert_eq!(node.send(Method::DELETE, "/session", &other, Value::Null).await.0, 204);
    let all = node.entries(&admin, "").await;
    for it in [
        entry("POST /spaces", "", "done", "", 1),
        entry("POST /contracts/{id}/revoke", contract, "refused", "not-found: contract", 1),
        entry("POST /uses/query", contract, "refused", "not-found: contract", 1),
        entry("DELETE /planes/{kind}/{id}", "data x", "refused", "not-found: plane", 1),
        entry("DELETE /session", "", "done", "", 1),
    ] {
        assert!(all.contains(&it), "{it:?} in {all:#?}");
    }
    let text = node.get("/people-log?limit=200", &admin).await.body.to_string();
    assert!(!text.contains("秘密") && !text.contains("SELECT"), "a body is in the log");
    assert!(!all.iter().any(|it| it.0 == "GET /people-log"), "reading is counted first");
    let of_route = node.entries(&admin, "&route=/contracts/%7Bid%7D/end&account=admin").await;
    assert_eq!(of_route.len(), 1, "{of_route:?}");
    assert_eq!(node.entries(&admin, "&account=nobody").await, []);
    // A key of little worth, and strangers: as many entries as minutes, not as calls.
    let key = node.key(&admin, &["read"]).await;
    let count = async || node.app.store.verify_people_log(None).await.unwrap().entries;
    let before = count().await;
    for number in 0..60 {
        assert_eq!(node.send(Method::POST, "/spaces", &key, json!({})).await.0, 403);
        let path = format!("/contracts/{number}/revoke");
        assert_eq!(node.post(&path, Some("tidm-key.x.y"), json!({})).await.status, 401);
        assert_eq!(
            node.post("/join", None, json!({ "token": "x", "password": PASSWORD })).await.status,
            403
        );
    }
    assert_eq!(count().await, before + 2);
    settle(&node.app, node.app.clock.now().after(MINUTE), false).await.unwrap();
    // Two of refusals, and what the administrator read of this log until now.
    assert_eq!(count().await, before + 5);
    let last = node.entries(&admin, "").await;
    assert!(
        last.contains(&entry("POST /spaces", "", "refused", "no role grants admin", 59)),
        "{last:?}"
    );
    let strangers = node.entries(&admin, "&account=%20anonymous").await;
    assert_eq!(strangers.iter().map(|it| it.4).collect::<Vec<_>>(), [119, 1]);
}

/// Nothing is written for a read; a minute of them is one entry for account and route, also when the node stops.
#[tokio::test(flavor = "multi_thread")]
async fn allowed_reads_are_counted_and_cost_no_write_each() {
    let node = node().await;
    let admin = node.admin().await;
    let key = node.key(&admin, &["read"]).await;
    let count = async || node.app.store.verify_people_log(None).await.unwrap().entries;
    let before = count().await;
    let begun = std::time::Instant::now();
    for number in 0..200 {
        assert_eq!(node.get("/products", &admin).await.status, 200);
        assert_eq!(node.get(&format!("/contracts/urn:c:{number}"), &key).await.status, 404);
        assert_eq!(node.get("/contracts", &key).await.status, 200);
    }
    println!("600 reads: {:?}", begun.elapsed());
    assert_eq!(count().await, before, "not one write");
    let now = node.app.clock.now();
    settle(&node.app, now, false).await.unwrap();
    assert_eq!(count().await, before, "the minute is not over");
    settle(&node.app, now.after(MINUTE), false).await.unwrap();
    let all = node.entries(&admin, "").await;
    let read = |route: &str| entry(route, "", "done", "", 200);
    assert_eq!(&all[..2], [read("GET /products"), read("GET /contracts")]);
    assert_eq!(count().await, before + 2, "what is not there was read by nobody");
    // What stands in memory when the node stops is written then: this very reading of the log.
    settle(&node.app, now, true).await.unwrap();
    let found = node.entries(&admin, "&route=/people-log").await;
    assert_eq!(found[0], entry("GET /people-log", "", "done", "", 1));
}

/// `tidm use open` asks several times a second how its lease stands: only refusals are entries of their own.
#[tokio::test(flavor = "multi_thread")]
async fn asking_how_a_lease_stands_is_no_entry() {
    let node = node().await;
    let admin = node.admin().await;
    let (lease, _) = node.under_way("urn:agreement:9").await;
    let count = async || node.app.store.verify_people_log(None).await.unwrap().entries;
    let before = count().await;
    for _ in 0..10 {
        let stands = node.get(&format!("/uses/{lease}"), &admin).await.body;
        assert_eq!(stands["state"], "granted", "{stands}");
    }
    assert_eq!(count().await, before);
    assert_eq!(node.send(Method::GET, "/uses/urn:lease:none", &admin, Value::Null).await.0, 404);
    assert_eq!(count().await, before + 1);
    settle(&node.app, node.app.clock.now().after(MINUTE), false).await.unwrap();
    assert_eq!(node.entries(&admin, "").await[0], entry("GET /uses/{lease}", "", "done", "", 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_before_the_end_leaves_an_entry() {
    let node = node().await;
    let admin = node.admin().await;
    let first = stream::iter([Ok::<_, std::io::Error>("machine,temp\n")]);
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/api/v1/uploads?name=readings.csv")
        .header("authorization", format!("Bearer {admin}"))
        .body(Body::from_stream(first.chain(stream::pending())))
        .unwrap();
    let left = tokio::time::timeout(Duration::from_secs(2), node.router.clone().oneshot(request));
    assert!(left.await.is_err(), "the body never ends");
    let mut found = Vec::new();
    for _ in 0..100 {
        found = node.entries(&admin, "&route=/uploads").await;
        if !found.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].2, "unknown", "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_log_shows_where() {
    let node = node().await;
    let admin = node.admin().await;
    for number in 0..3 {
        let path = format!("/access-rules/urn:product:{number}");
        let body = json!({ "rule": "clearance>=2" });
        assert_eq!(node.send(Method::PUT, &path, &admin, body).await.0, 204);
    }
    let check = async |query: &str| {
        node.get(&format!("/people-log/verification{query}"), &admin).await.body
    };
    let whole = check("").await;
    assert_eq!((&whole["holds"], &whole["brokenAt"]), (&json!(true), &Value::Null), "{whole}");
    let entries = whole["entries"].as_u64().unwrap();
    let noted = format!("?place={entries}&digest={}", whole["head"].as_str().unwrap());
    assert_eq!(check(&noted).await["holds"], true);
    assert_eq!(node.get("/people-log/verification?place=1", &admin).await.status, 400);
    let change = async |sql: &'static str| {
        let done = node.app.writer.note(move |conn| {
            Box::pin(async move {
                sqlx::query(sql).execute(&mut *conn).await?;
                Ok(())
            })
        });
        done.await.unwrap();
    };
    change("UPDATE people_log SET who = 'nobody' WHERE place = 3").await;
    let changed = check("").await;
    assert_eq!((&changed["holds"], &changed["brokenAt"]), (&json!(false), &json!(3)), "{changed}");
    change("UPDATE people_log SET who = 'admin' WHERE place = 3").await;
    assert_eq!(check("").await["holds"], true);
    change("UPDATE people_log SET digest = 'none' WHERE place = 2").await;
    assert_eq!(check("").await["brokenAt"], 2, "what cannot be read does not follow");
    // A shorter end holds by itself; the noted entry says that there was more.
    change("DELETE FROM people_log WHERE place > 1").await;
    assert_eq!(check("").await["holds"], true);
    let shortened = check(&noted).await;
    assert_eq!((&shortened["holds"], &shortened["noted"]), (&json!(false), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_elsewhere_lock_out_strangers_and_not_the_owner() {
    let node = node().await;
    let admin = node.admin().await;
    let (home, far) = ("192.0.2.1:1", "198.51.100.7:1");
    assert_eq!(node.sign_in_from(home, "admin", PASSWORD).await, 201);
    for _ in 0..FREE_FAILURES {
        assert_eq!(node.sign_in_from(far, "admin", "wrong").await, 401);
    }
    assert_eq!(node.sign_in_from(far, "admin", PASSWORD).await, 429);
    assert_eq!(node.sign_in_from("[2001:db8::1]:1", "admin", "wrong").await, 401);
    // Many addresses: every stranger is locked out, the owner is not where the owner has been.
    let mut heard = 0;
    for number in 0..60 {
        heard += usize::from(
            node.sign_in_from(&format!("203.0.113.{number}:1"), "admin", "wrong").await == 401,
        );
    }
    assert!((30..=50 - 5 - 1).contains(&heard), "fifty in all at most, {heard} here");
    assert_eq!(node.sign_in_from("203.0.113.200:1", "admin", PASSWORD).await, 429);
    assert_eq!(node.sign_in_from(home, "admin", PASSWORD).await, 201);
    let locks = node.entries(&admin, "&account=admin&route=lock-out").await;
    assert_eq!(locks.len(), 1, "{locks:?}");
    // At the machine, without signing in, while the node runs.
    here::unlock(&node.app.config, "admin").await.unwrap();
    assert!(here::unlock(&node.app.config, "nobody").await.is_err());
    assert_eq!(node.sign_in_from(far, "admin", PASSWORD).await, 201);
    let unlocked = node.entries(&admin, "&account=%20machine").await;
    assert_eq!(unlocked, [entry("people.unlock", "admin", "done", "", 1)]);
}

/// Where administrators must have a second factor, nobody else destroys keys, or makes one of the API, without one either.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_steward_enrols_before_the_first_revocation() {
    let node = node_with(&[("people.second_factor", "administrators")]).await;
    let admin = node.admin().await;
    // The administrator's own factor; the code that confirms it stands for five minutes.
    node.enrol(&admin, PASSWORD).await;
    let (_, made) = node.send(Method::POST, "/people", &admin, json!({ "name": "wang" })).await;
    let joined = node.join(made["token"].as_str().unwrap(), PASSWORD).await;
    assert_eq!(joined.0, 201, "{}", joined.1);
    assert_eq!(node.grant(&admin, "wang", &["data-steward"]).await.0, 204);
    let steward = node.sign_in_as("wang", PASSWORD).await.1;
    assert_eq!(node.get("/contracts", &steward).await.status, 200, "no administrator");
    let said = async |path: &str, body: Value| {
        let it = node.post(path, Some(&steward), body).await;
        (it.status.as_u16(), it.body["code"].as_str().unwrap_or_default().to_owned(), it.body)
    };
    let acts = ["revoke", "end", "recall", "suspend", "resume", "consent"];
    let acts = acts.map(|it| format!("/contracts/x/{it}"));
    let acts = acts.each_ref().map(String::as_str);
    let key = || json!({ "title": "k", "scopes": ["contract"] });
    for (path, body) in
        acts.map(|it| (it, json!({ "reason": "" }))).into_iter().chain([("/keys", key())])
    {
        let (status, code, body) = said(path, body).await;
        assert_eq!((status, code.as_str()), (403, "auth.enrol"), "{path}: {body}");
        assert!(body.to_string().contains("tidm people factor"), "{path}: {body}");
    }
    node.enrol(&steward, PASSWORD).await;
    for path in acts {
        assert_eq!(said(path, json!({ "reason": "" })).await.0, 404, "{path}: past the code");
    }
    assert_eq!(said("/keys", key()).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_destroyed_with_a_code_by_whoever_has_a_second_factor() {
    let node = node().await;
    let admin = node.admin().await;
    let program = node.key(&admin, &["contract"]).await;
    let own = node.key(&admin, &["admin"]).await;
    let done = node.enrol(&admin, PASSWORD).await;
    let spare = done["codes"][0].as_str().unwrap().to_owned();
    let acts = [
        "/contracts/x/revoke",
        "/contracts/x/end",
        "/contracts/x/recall",
        "/contracts/x/suspend",
        "/contracts/x/resume",
        "/contracts/x/consent",
        "/spaces/x/revocations",
    ];
    for path in acts {
        let body = || {
            if path.starts_with("/spaces") {
                json!({ "did": "did:web:a" })
            } else {
                json!({ "reason": "" })
            }
        };
        let asked = node.post(path, Some(&own), body()).await;
        assert_eq!(
            (asked.status.as_u16(), asked.body["code"].as_str()),
            (403, Some("auth.step-up")),
            "{path}"
        );
        // Proven within five minutes by the code that confirmed.
        assert_eq!(node.post(path, Some(&admin), body()).await.status, 404, "{path}");
        let expected = if path.starts_with("/spaces") { 403 } else { 404 };
        assert_eq!(node.post(path, Some(&program), body()).await.status, expected, "{path}");
    }
    let with = [("tidm-code", spare.as_str())];
    let body = Some(json!({ "reason": "" }));
    let given = node.call(Method::POST, acts[0], Some(&own), &with, body).await;
    assert_eq!(given.status, 404, "past the code");
    // So are holds of an operator, links into accounts, what is known of people, and rules.
    assert_eq!(node.send(Method::POST, "/people", &admin, json!({ "name": "li" })).await.0, 201);
    let hold = json!({ "subject": "urn:c:1", "reason": "x" });
    for (method, path, body) in [
        (Method::POST, "/operator/holds", hold),
        (Method::DELETE, "/operator/holds/urn:c:1", Value::Null),
        (Method::POST, "/people/li/link", Value::Null),
        (Method::PUT, "/people/li/groups", json!({ "groups": "group=line-3" })),
        (Method::PUT, "/access-rules/urn:c:1", json!({ "rule": "group=line-3" })),
        (Method::DELETE, "/access-rules/urn:c:1", Value::Null),
    ] {
        let (status, told) = node.send(method.clone(), path, &own, body.clone()).await;
        assert_eq!((status, told["code"].as_str()), (403, Some("auth.step-up")), "{method} {path}");
        assert!(node.app.store.holds().await.unwrap().is_empty());
        let (status, told) = node.send(method.clone(), path, &admin, body).await;
        assert!([201, 204].contains(&status), "{method} {path}: {status} {told}");
        if path == "/operator/holds" {
            node.send(Method::DELETE, "/operator/holds/urn:c:1", &admin, Value::Null).await;
        }
    }
    let key = json!({ "title": "k", "scopes": ["contract"] });
    assert_eq!(node.post("/keys", Some(&own), key).await.body["code"], "auth.step-up");
    let log = node.entries(&admin, "&route=/contracts/%7Bid%7D/revoke").await;
    assert!(
        log.contains(&entry("POST /contracts/{id}/revoke", "x", "refused", "auth.step-up", 1)),
        "{log:?}"
    );
    // A session that has ended does nothing to the factor, however late its call comes to that.
    let who = tidm_node::accounts::authenticate(&node.app, &admin).await.unwrap().unwrap();
    assert_eq!(node.send(Method::DELETE, "/session", &admin, Value::Null).await.0, 204);
    let spare = done["codes"][1].as_str().unwrap();
    let late = tidm_node::people::factor::remove(&node.app, &who, spare).await;
    assert_eq!(late.unwrap_err().code, "auth.required");
    assert!(node.app.store.factor("admin").await.unwrap().is_some_and(|it| it.on));
}
