//! People: invitations, roles kept apart, second factors, keys that follow their owner, rules, and the log of it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use tidm_crypto::hash::Digest;
use tidm_crypto::totp;
use tidm_space::id::Id;
use tidm_space::limits::{KEYS_OF_ONE, SESSIONS_OF_ONE};
use tidm_space::negotiation::message::Role;
use tidm_space::people::log::{Entry, broken};

use super::{Node, PASSWORD, node, node_with};
use tidm_node::accounts;
use tidm_node::people::{Deed, change_password, perform};
use tidm_node::store::accounts::{SessionRow, save_session};
use tidm_node::store::matchings::{self, Matching, Record};
use tidm_node::store::people::Wanted;

pub(super) const OTHER: &str = "a much longer sentence";

impl Node {
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = (!body.is_null()).then_some(body);
        let it = self.call(method, path, Some(token), &[], body).await;
        (it.status.as_u16(), it.body)
    }

    async fn coded(
        &self,
        method: Method,
        path: &str,
        token: &str,
        code: &str,
        body: Value,
    ) -> (u16, Value) {
        let it = self.call(method, path, Some(token), &[("tidm-code", code)], Some(body)).await;
        (it.status.as_u16(), it.body)
    }

    pub(super) async fn sign_in_as(&self, name: &str, password: &str) -> (u16, String) {
        let it = self.post("/session", None, json!({ "name": name, "password": password })).await;
        (it.status.as_u16(), it.body["token"].as_str().unwrap_or_default().to_owned())
    }

    pub(super) async fn join(&self, token: &str, password: &str) -> (u16, Value) {
        let it = self.post("/join", None, json!({ "token": token, "password": password })).await;
        (it.status.as_u16(), it.body)
    }

    /// A person who has joined, and a session of theirs.
    async fn person(&self, system: &str, name: &str) -> String {
        let (status, made) =
            self.send(Method::POST, "/people", system, json!({ "name": name })).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(self.join(made["token"].as_str().unwrap(), OTHER).await.0, 201);
        self.sign_in_as(name, OTHER).await.1
    }

    pub(super) async fn grant(&self, security: &str, name: &str, roles: &[&str]) -> (u16, Value) {
        let path = format!("/people/{name}/roles");
        self.send(Method::PUT, &path, security, json!({ "roles": roles })).await
    }

    /// A matching that is done: seven rows.
    async fn matched(&self, contract: &str) {
        let now = self.app.clock.now();
        let it = Matching {
            id: "00ff".to_owned(),
            contract: Id::parse(contract).unwrap(),
            role: Role::Consumer,
            state: matchings::State::Done,
            lease: None,
            created: now,
            moved: now,
            record: Record {
                matched: Some(7),
                answer: Some(json!({ "size": 7 })),
                ..Record::default()
            },
        };
        let saved = self.app.writer.note(move |conn| {
            let it = it.clone();
            Box::pin(async move { matchings::save(conn, &it).await })
        });
        saved.await.unwrap();
    }

    /// The whole log, oldest first, its chain checked.
    async fn log(&self) -> Vec<(String, String, bool)> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let all_of_it = Wanted::default();
            let page = self.app.store.people_log(&all_of_it, after.as_ref(), 3).await.unwrap();
            all.extend(page.rows);
            let Some(next) = page.next else { break };
            after = Some(next);
        }
        all.reverse();
        let parsed = |(it, digest): &(Entry, String)| (it.clone(), Digest::parse(digest).unwrap());
        let chain: Vec<_> = all.iter().map(parsed).collect();
        assert_eq!(broken(chain.iter().map(|(it, digest)| (it, *digest))), None);
        all.into_iter().map(|(it, _)| (it.who, it.act, it.allowed)).collect()
    }
}

/// A password that was right when it was asked for opens nothing for somebody who was disabled while it was checked.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_while_a_password_is_checked_has_no_session() {
    let node = node().await;
    let admin = node.admin().await;
    drop(node.person(&admin, "li.na").await);
    let tries = || async {
        let found = Arc::new(AtomicI64::new(-1));
        let told = found.clone();
        let noted = node.app.writer.note(move |conn| {
            let told = told.clone();
            Box::pin(async move {
                let sql = "SELECT COUNT(*) FROM tries WHERE name = 'li.na' AND address = '-' AND forgotten > 0";
                let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *conn).await?;
                told.store(count, Ordering::Relaxed);
                Ok(())
            })
        });
        noted.await.unwrap();
        found.load(Ordering::Relaxed)
    };
    assert_eq!(tries().await, 0, "what she got right before holds nothing against her");
    // Strangers take all places where passwords are checked, so that hers waits for its turn.
    let strangers: Vec<String> = (0..8).map(|it| format!("nobody {it}")).collect();
    let strangers = join_all(strangers.iter().map(|it| node.sign_in_as(it, OTHER)));
    let owner = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        node.sign_in_as("li.na", OTHER).await
    };
    let disabled = async {
        while tries().await == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        node.post("/people/li.na/disable", Some(&admin), json!({})).await.status
    };
    let (_, (status, token), off) = tokio::join!(strangers, owner, disabled);
    assert_eq!(off, 204);
    assert_eq!((status, token.as_str()), (401, ""));
    let log = node.get("/people-log?account=li.na&route=sign-in", &admin).await.body;
    assert_eq!(log["items"][0]["reason"], "the account was changed meanwhile", "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_invited_given_a_role_and_their_key_follows_it() {
    let node = node().await;
    let admin = node.admin().await;
    let (_, made) = node.send(Method::POST, "/people", &admin, json!({ "name": "li.na" })).await;
    let link = made["token"].as_str().unwrap();
    assert_eq!(node.send(Method::POST, "/people", &admin, json!({ "name": "li.na" })).await.0, 409);
    assert_eq!(node.sign_in_as("li.na", OTHER).await.0, 401, "nobody signs in before joining");
    for (token, password, status, code) in [
        ("nonsense", OTHER, 403, "people.link"),
        (link, "short", 422, "setup.password"),
        (link, "passwordpassword", 422, "setup.password"),
        (link, "the li.na of line 3", 422, "setup.password"),
    ] {
        let (found, body) = node.join(token, password).await;
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{password}");
    }
    assert_eq!(node.join(link, OTHER).await.0, 201);
    assert_eq!(node.join(link, PASSWORD).await.0, 403, "a link works once");
    let (_, li) = node.sign_in_as("li.na", OTHER).await;
    assert_eq!(node.get("/products", &li).await.status, 403, "no role, no right");
    assert_eq!(node.grant(&admin, "li.na", &["analyst"]).await.0, 204);
    assert_eq!(node.get("/products", &li).await.status, 200, "rights are those of now");
    assert_eq!(node.get("/me", &li).await.body["scopes"], json!(["read", "use", "own"]));
    // A key is never more than its owner, when it is made and later.
    let body = |scope: &str| json!({ "title": "k", "scopes": [scope] });
    assert_eq!(node.send(Method::POST, "/keys", &li, body("publish")).await.0, 403);
    let (status, key) = node.send(Method::POST, "/keys", &li, body("admin")).await;
    assert_eq!(status, 201, "all that she may");
    let key = key["token"].as_str().unwrap();
    assert_eq!(node.get("/products", key).await.status, 200);
    assert_eq!(node.get("/people", key).await.status, 403);
    assert_eq!(node.get("/spaces", key).await.status, 403);
    assert_eq!(node.get("/keys", &li).await.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(node.grant(&admin, "li.na", &["regulator"]).await.0, 204);
    assert_eq!(node.get("/products", key).await.status, 403);
    assert_eq!(node.get("/facts", key).await.status, 200);
    assert_eq!(node.send(Method::POST, "/people/li.na/disable", &admin, Value::Null).await.0, 204);
    assert_eq!(node.get("/facts", key).await.status, 401);
    assert_eq!(node.sign_in_as("li.na", OTHER).await.0, 401);
    assert_eq!(node.send(Method::POST, "/people/li.na/enable", &admin, Value::Null).await.0, 204);
    assert_eq!(node.sign_in_as("li.na", OTHER).await.0, 201);
    assert_eq!(node.send(Method::POST, "/people/admin/disable", &admin, Value::Null).await.0, 403);
    let (status, body) = node.grant(&admin, "admin", &["analyst"]).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("people.last")));
    let log = node.log().await;
    for entry in [
        ("admin", "people.add", true),
        ("admin", "people.add", false),
        ("li.na", "join", true),
        ("li.na", "key.make", false),
        ("li.na", "GET /people", false),
        ("admin", "people.role", false),
    ] {
        assert!(
            log.contains(&(entry.0.to_owned(), entry.1.to_owned(), entry.2)),
            "{entry:?} in {log:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn separated_administrators_have_what_is_theirs_and_no_more() {
    let node = node_with(&[("people.separation", "on")]).await;
    let token = accounts::setup_token(&node.app).await.unwrap().unwrap();
    let made = node
        .post("/setup", None, json!({ "token": token, "name": "admin", "password": PASSWORD }))
        .await;
    let links = made.body["invitations"].as_array().unwrap().clone();
    let system = node.sign_in().await;
    let mut sessions = Vec::new();
    for it in &links {
        assert_eq!(node.join(it["token"].as_str().unwrap(), OTHER).await.0, 201);
        sessions.push(node.sign_in_as(it["name"].as_str().unwrap(), OTHER).await.1);
    }
    let (security, audit) = (sessions[0].clone(), sessions[1].clone());
    let li = node.person(&system, "li").await;
    for (path, expected) in [
        ("/people", [200, 200, 403, 403]),
        ("/access-rules", [403, 200, 403, 403]),
        ("/people-log", [403, 403, 200, 403]),
        ("/spaces", [200, 403, 403, 403]),
        ("/products", [403, 403, 403, 403]),
        ("/facts", [403, 403, 403, 403]),
        ("/info", [200, 200, 200, 403]),
        ("/me", [200, 200, 200, 200]),
    ] {
        for (who, status) in [&system, &security, &audit, &li].into_iter().zip(expected) {
            assert_eq!(node.get(path, who).await.status, status, "{path}");
        }
    }
    assert_eq!(node.send(Method::POST, "/people", &security, json!({ "name": "x" })).await.0, 403);
    assert_eq!(node.grant(&system, "li", &["analyst"]).await.0, 403);
    assert_eq!(node.grant(&security, "li", &["analyst"]).await.0, 204);
    for (who, roles, code) in [
        ("security", &["security-administrator", "analyst"][..], "people.oneself"),
        ("li", &["analyst", "audit-administrator"], "people.separation"),
        ("li", &["system-administrator", "audit-administrator"], "people.separation"),
        ("admin", &["audit-administrator"], "people.last"),
    ] {
        let (_, body) = node.grant(&security, who, roles).await;
        assert_eq!(body["code"], code, "{who} {roles:?}");
    }
    // A fresh link takes the roles away: whoever holds it must be seen by the security administrator first.
    assert_eq!(node.get("/products", &li).await.status, 200);
    let (_, key) =
        node.send(Method::POST, "/keys", &li, json!({ "title": "k", "scopes": ["read"] })).await;
    let (status, link) = node.send(Method::POST, "/people/li/link", &system, Value::Null).await;
    assert_eq!(status, 201, "{link}");
    assert_eq!(node.join(link["token"].as_str().unwrap(), PASSWORD).await.0, 201);
    assert_eq!(node.get("/products", key["token"].as_str().unwrap()).await.status, 401);
    let li = node.sign_in_as("li", PASSWORD).await.1;
    assert_eq!(node.get("/products", &li).await.status, 403);
    let (_, body) = node.send(Method::POST, "/people/security/link", &system, Value::Null).await;
    assert_eq!(body["code"], "people.last");
    let shown = node.get("/people-log?limit=200", &audit).await.body["items"].clone();
    let refused = shown.as_array().unwrap().iter().filter(|it| it["outcome"] == "refused").count();
    assert!(refused >= 9, "{shown}");
    node.log().await;
}

pub(super) fn secret(uri: &str) -> Vec<u8> {
    let text = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let five = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|it| *it == letter).unwrap();
        bits = ((bits << 5) | u32::try_from(five).unwrap()) & 0xffff;
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_give_a_code_and_each_code_works_once() {
    let node = node_with(&[("people.second_factor", "administrators")]).await;
    let admin = node.admin().await;
    let blocked = node.get("/people", &admin).await;
    assert_eq!((blocked.status.as_u16(), blocked.body["code"].as_str()), (403, Some("auth.enrol")));
    let wrong = json!({ "password": OTHER });
    assert_eq!(node.send(Method::POST, "/me/second-factor", &admin, wrong).await.0, 401);
    let own = json!({ "password": PASSWORD });
    let (status, begun) = node.send(Method::POST, "/me/second-factor", &admin, own.clone()).await;
    assert_eq!(status, 201, "{begun}");
    let uri = begun["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/tidm%20")
            && uri.ends_with("algorithm=SHA1&digits=6&period=30"),
        "{uri}"
    );
    let secret = secret(uri);
    let kept = node.app.store.factor("admin").await.unwrap().unwrap();
    assert!(!kept.on && !kept.secret.contains(&totp::base32(&secret)));
    // One step back, now, one step on: three codes at hand, if no step ends in between.
    let left = 30_000 - node.app.clock.now().ms() % 30_000;
    if left < 15_000 {
        tokio::time::sleep(Duration::from_millis(u64::try_from(left).unwrap())).await;
    }
    let now = u64::try_from(node.app.clock.now().seconds()).unwrap() / totp::STEP;
    let [before, this, next] = [now - 1, now, now + 1].map(|it| totp::code(&secret, it).unwrap());
    let confirm = |code: &str| json!({ "code": code });
    assert_eq!(
        node.send(Method::POST, "/me/second-factor/confirm", &admin, confirm("000000")).await.0,
        401
    );
    let (status, done) =
        node.send(Method::POST, "/me/second-factor/confirm", &admin, confirm(&before)).await;
    assert_eq!(status, 200, "{done}");
    let codes = done["codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);
    assert_eq!(node.get("/people", &admin).await.status, 200, "proven by the code that confirmed");
    assert_eq!(node.send(Method::POST, "/me/second-factor", &admin, own).await.0, 409);
    // Signing in needs a code, and never one that was used.
    let try_in = async |code: Value| {
        let body = json!({ "name": "admin", "password": PASSWORD, "code": code });
        let it = node.post("/session", None, body).await;
        (it.status.as_u16(), it.body["token"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(try_in(Value::Null).await.0, 401);
    assert_eq!(try_in(json!(before)).await.0, 401);
    let (status, session) = try_in(json!(this)).await;
    assert_eq!(status, 201);
    assert_eq!(try_in(json!(this)).await.0, 401, "replayed");
    let recovery = codes[0].as_str().unwrap();
    assert_eq!(try_in(json!(recovery)).await.0, 201);
    assert_eq!(try_in(json!(recovery)).await.0, 401, "a recovery code works once");
    // Granting a role wants a fresh code: in the session above it is; with a key it comes along.
    let li = node.person(&session, "li").await;
    assert_eq!(node.grant(&session, "li", &["analyst"]).await.0, 204);
    assert_eq!(node.get("/products", &li).await.status, 200, "no administrator, no code");
    let (status, key) = node
        .send(Method::POST, "/keys", &session, json!({ "title": "k", "scopes": ["admin"] }))
        .await;
    assert_eq!(status, 201, "{key}");
    let key = key["token"].as_str().unwrap();
    assert_eq!(node.get("/people", key).await.status, 200);
    let (status, body) = node.grant(key, "li", &[]).await;
    assert_eq!((status, body["code"].as_str()), (403, Some("auth.step-up")));
    let roles = json!({ "roles": [] });
    assert_eq!(node.coded(Method::PUT, "/people/li/roles", key, &this, roles.clone()).await.0, 401);
    assert_eq!(node.coded(Method::PUT, "/people/li/roles", key, &next, roles).await.0, 204);
    // Guessing locks.
    for _ in 0..accounts::FREE_FAILURES + 1 {
        try_in(json!("000000")).await;
    }
    assert_eq!(try_in(json!(codes[1])).await.0, 429);
    assert!(node.log().await.contains(&("admin".to_owned(), "factor.recovery".to_owned(), true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_change_sessions_end_and_rules_narrow() {
    let node = node().await;
    let admin = node.admin().await;
    let li = node.person(&admin, "li").await;
    let second = node.sign_in_as("li", OTHER).await.1;
    let sessions = node.get("/me/sessions", &li).await.body["items"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|it| it["this"] == false).unwrap()["id"].as_str().unwrap();
    assert_eq!(
        node.send(Method::DELETE, &format!("/me/sessions/{other}"), &admin, Value::Null).await.0,
        404
    );
    assert_eq!(
        node.send(Method::DELETE, &format!("/me/sessions/{other}"), &li, Value::Null).await.0,
        204
    );
    assert_eq!(node.get("/me", &second).await.status, 401);
    for (old, new, status) in [
        ("not the password", PASSWORD, 401),
        (OTHER, OTHER, 422),
        (OTHER, "short", 422),
        (OTHER, PASSWORD, 204),
        (PASSWORD, OTHER, 422),
    ] {
        let body = json!({ "old": old, "new": new });
        assert_eq!(
            node.send(Method::PUT, "/me/password", &li, body).await.0,
            status,
            "{old} {new}"
        );
    }
    // Rules: what a person needs, in the words of the security administrator.
    assert_eq!(node.grant(&admin, "li", &["analyst"]).await.0, 204);
    let rule = json!({ "rule": "department=quality|design; clearance>=2" });
    let contract = "urn:uuid:0190b6a0-0000-7000-8000-000000000000";
    let path = format!("/access-rules/{contract}");
    assert_eq!(
        node.send(Method::PUT, &path, &admin, json!({ "rule": "clearance>=x" })).await.0,
        400
    );
    assert_eq!(node.send(Method::PUT, &path, &admin, rule).await.0, 204);
    let query = json!({ "contract": contract, "sql": "SELECT 1" });
    let (status, body) = node.send(Method::POST, "/uses/query", &li, query.clone()).await;
    assert_eq!(
        (status, body["code"].as_str(), body["cause"].as_str()),
        (403, Some("people.rule"), Some("department=quality|design"))
    );
    let (lease, transfer) = node.under_way(contract).await;
    for (method, path, body) in [
        (Method::POST, "/uses/programs".to_owned(), json!({ "contract": contract })),
        (Method::GET, format!("/uses/programs/{contract}/copy"), Value::Null),
        (
            Method::POST,
            format!("/uses/{lease}/close"),
            json!({ "done": true, "bytes": 1_u64 << 40 }),
        ),
        (Method::POST, format!("/transfers/{transfer}/suspend"), json!({ "reason": "x" })),
        (Method::POST, format!("/transfers/{transfer}/terminate"), json!({ "reason": "x" })),
        (
            Method::POST,
            "/matchings".to_owned(),
            json!({ "contract": contract.replace('0', "1"), "mine": { "product": contract } }),
        ),
    ] {
        let (status, body) = node.send(method, &path, &li, body).await;
        assert_eq!((status, body["code"].as_str()), (403, Some("people.rule")), "{path}");
    }
    node.matched(contract).await;
    for path in ["/matchings/00ff", "/matchings"] {
        let told = async |who: &str| {
            let body = node.get(path, who).await.body;
            let it = if body["items"].is_array() { &body["items"][0] } else { &body };
            assert_eq!(it["id"], "00ff", "{path} {body}");
            (it["matched"].clone(), it["answer"].clone())
        };
        assert_eq!(told(&li).await, (Value::Null, Value::Null), "{path}");
        let groups = json!({ "groups": "department=design;clearance=2" });
        let set = |groups| node.send(Method::PUT, "/people/li/groups", &admin, groups);
        assert_eq!(set(groups).await.0, 204);
        assert_eq!(told(&li).await, (json!(7), json!({ "size": 7 })), "{path}");
        assert_eq!(set(json!({ "groups": "" })).await.0, 204);
    }
    let groups = json!({ "groups": "group=line-3;department=quality;clearance=2" });
    assert_eq!(node.send(Method::PUT, "/people/li/groups", &admin, groups).await.0, 204);
    let (status, body) = node.send(Method::POST, "/uses/query", &li, query).await;
    assert_eq!((status, body["code"].as_str()), (404, Some("not-found")), "past the rule: {body}");
    assert_eq!(
        node.get("/access-rules", &admin).await.body["items"][0]["rule"],
        "department=quality|design; clearance>=2"
    );
    assert_eq!(node.send(Method::DELETE, &path, &admin, Value::Null).await.0, 204);
    assert_eq!(node.get("/access-rules", &admin).await.body["items"], json!([]));
    assert!(node.log().await.contains(&("li".to_owned(), "use".to_owned(), false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_before_open_nothing_and_keys_and_sessions_are_bounded() {
    let node = node().await;
    let admin = node.admin().await;
    let li = node.person(&admin, "li").await;
    let link = async || {
        let (status, made) = node.send(Method::POST, "/people/li/link", &admin, Value::Null).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    };
    let before = link().await;
    assert_eq!(node.grant(&admin, "li", &["analyst"]).await.0, 204);
    assert_eq!(node.join(&before, PASSWORD).await.0, 403, "made before the grant");
    let open = link().await;
    let (_, made) = node.send(Method::POST, "/people", &admin, json!({ "name": "new" })).await;
    for (name, token, state) in
        [("li", open.as_str(), "active"), ("new", made["token"].as_str().unwrap(), "invited")]
    {
        for act in ["disable", "enable"] {
            let path = format!("/people/{name}/{act}");
            assert_eq!(node.send(Method::POST, &path, &admin, Value::Null).await.0, 204);
        }
        assert_eq!(node.join(token, PASSWORD).await.0, 403, "made before it was disabled");
        assert_eq!(node.get(&format!("/people/{name}"), &admin).await.body["state"], state);
    }
    assert_eq!(node.get("/me", &li).await.status, 401, "disabling ended it");
    let li = node.sign_in_as("li", OTHER).await.1;
    // A key's key ends with it; there are so many and no more.
    let end = node.app.clock.now().after(Duration::from_secs(3600)).to_string();
    let body = |until: Value| json!({ "title": "k", "scopes": ["own"], "until": until });
    let (_, first) = node.send(Method::POST, "/keys", &li, body(json!(end))).await;
    let token = first["token"].as_str().unwrap();
    let (status, second) = node.send(Method::POST, "/keys", token, body(Value::Null)).await;
    assert_eq!((status, &second["until"]), (201, &first["until"]));
    for _ in 2..KEYS_OF_ONE {
        assert_eq!(node.send(Method::POST, "/keys", &li, body(Value::Null)).await.0, 201);
    }
    let (status, body) = node.send(Method::POST, "/keys", &li, body(Value::Null)).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("people.keys")));
    let now = node.app.clock.now();
    let saved = node.app.writer.note(move |conn| {
        Box::pin(async move {
            for place in 0..SESSIONS_OF_ONE {
                let (id, account) = (format!("{place:032}"), "li".to_owned());
                let (digest, created, used) = (String::new(), now, now);
                let row = SessionRow { id, account, digest, created, used, proven: None };
                save_session(conn, &row).await?;
            }
            Ok(())
        })
    });
    saved.await.unwrap();
    assert_eq!(node.get("/me", &li).await.status, 200);
    assert_eq!(node.sign_in_as("li", OTHER).await.0, 201);
    assert_eq!(node.get("/me", &li).await.status, 401, "the oldest ended");
    assert_eq!(node.app.store.sessions_of("li").await.unwrap().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_at_the_same_time_share_none_and_a_door_that_closed_opens_nothing() {
    let node = node().await;
    let admin = node.admin().await;
    drop(node.person(&admin, "li").await);
    let wrong = join_all((0..20).map(|_| node.sign_in_as("li", "not the password"))).await;
    let heard = wrong.iter().filter(|it| it.0 == 401).count();
    assert_eq!(heard, usize::try_from(accounts::FREE_FAILURES).unwrap(), "{wrong:?}");
    // Found to be somebody before the body came; signed out while it came.
    let who = accounts::authenticate(&node.app, &admin).await.unwrap().unwrap();
    assert_eq!(node.send(Method::DELETE, "/session", &admin, Value::Null).await.0, 204);
    let late = perform(&node.app, &who, Deed::Unlock("li".to_owned())).await;
    assert_eq!(late.unwrap_err().code, "auth.required");
    let late = change_password(&node.app, &who, PASSWORD, OTHER).await;
    assert_eq!(late.unwrap_err().code, "auth.wrong");
    assert_eq!(node.sign_in_as("admin", PASSWORD).await.0, 201);
}
