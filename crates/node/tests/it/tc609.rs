//! Two nodes, and a system of each organisation that speaks TC609 alone: a deal, its use, its end, its archive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use tidm_crypto::hash::sha256;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_crypto::{jcs, jws};
use tidm_node::app::App;
use tidm_node::identity::DSP_PATH;
use tidm_node::jobs::archive::{self, check::check};
use tidm_node::jobs::tc609 as job;
use tidm_node::jobs::use_data::query_at_provider;
use tidm_node::store::save::save;
use tidm_node::store::tc609::{self as rows, Owed, Receiver};
use tidm_space::catalog::product::Product;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Commit;
use tidm_space::engine::input::Wish;
use tidm_space::engine::node::Signer as _;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::tc609::code::{ContractCode, NodeCode, SubjectCode, check_character};
use tidm_space::tc609::message::{Envelope, Interface, SIGNATURE_TYPE};
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::DataService;
use tidm_space::wire::odrl;
use tidm_space::wire::tc609::message::{confirmed, covered};
use tidm_space::wire::tc609::{answer, from_tc609, parse, to_json};
use tidm_space::wire::terms::digest;

use crate::world::{Node, World, csv, eventually, limited};

const SUBJECTS: [&str; 2] = ["91310000MA0DEMQ19R", "91110000600037341L"];

pub(crate) fn node_code(kind: char, at: usize) -> NodeCode {
    let body = format!("{kind}{}3101AAAAAAA{at}", SUBJECTS[at % SUBJECTS.len()]);
    NodeCode::parse(&format!("{body}{}", check_character(&body).unwrap())).unwrap()
}

/// `did:key` of an Ed25519 key (did:key §3).
fn did_key(key: &SigningKey) -> String {
    const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let bytes = [&[0xed, 0x01][..], &key.verifying_key().to_bytes()].concat();
    let mut digits: Vec<usize> = vec![];
    for byte in bytes {
        let mut carry = usize::from(byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    let text: String = digits.iter().rev().map(|it| char::from(BASE58[*it])).collect();
    format!("did:key:z{text}")
}

fn key(at: usize) -> SigningKey {
    let seed = [u8::try_from(at).unwrap() + 7; 32];
    SigningKey::from_secret_bytes(KeyKind::Ed25519, &seed).unwrap()
}

/// A system of one organisation: it knows HTTP, TC609, its own key and nothing of DSP.
struct Desk {
    http: reqwest::Client,
    base: String,
    key: SigningKey,
    code: NodeCode,
    node: NodeCode,
    next: AtomicU64,
}

impl Desk {
    fn new(world: &World, at: usize) -> Self {
        let config = tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap();
        let http = reqwest::Client::builder().no_proxy();
        Self {
            http: http.use_preconfigured_tls((*config).clone()).build().unwrap(),
            base: world.nodes[at].app.identity.public_url.clone(),
            key: key(at),
            code: node_code('4', at),
            node: node_code('5', at),
            next: AtomicU64::new(1),
        }
    }

    fn kid(&self) -> String {
        let did = did_key(&self.key);
        format!("{did}#{}", did.trim_start_matches("did:key:"))
    }

    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        jws::sign(&self.kid(), typ, payload, &self.key)
    }

    /// Headers of a call now; each may be spoiled before it is sent.
    fn headers(
        &self,
        interface: Interface,
        body: &str,
        number: &str,
        at: Time,
    ) -> Vec<(&'static str, String)> {
        let envelope = Envelope { interface, at, sequence: number.to_owned() };
        let signed = envelope.signed_bytes(&self.node, sha256(body.as_bytes()));
        vec![
            ("msgcode", interface.path().to_owned()),
            ("msgversion", "1.0.0".to_owned()),
            ("timestamp", format!("{:013}", at.ms())),
            ("sequenceNum", number.to_owned()),
            ("signValue", self.sign(Envelope::TYPE, &signed)),
        ]
    }

    async fn send(
        &self,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: &str,
    ) -> (u16, Vec<u8>) {
        let mut request =
            self.http.post(format!("{}/tc609/{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn numbered(&self, interface: Interface, body: &str, number: &str) -> answer::Answer {
        let headers = self.headers(interface, body, number, now());
        let (status, bytes) = self.send(interface.path(), headers, body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        answer::read(interface, &bytes).unwrap()
    }

    /// Signs what its interface wants signed, and calls.
    async fn call(&self, interface: Interface, body: &Value) -> answer::Answer {
        let number = format!("n{}", self.next.fetch_add(1, Ordering::Relaxed));
        self.numbered(interface, &self.with_signature(interface, body).to_string(), &number).await
    }

    fn with_signature(&self, interface: Interface, body: &Value) -> Value {
        let mut body = body.clone();
        if interface.is_signed() && body.get("signature").is_none() {
            let payload = covered(body.to_string().as_bytes(), "signature").unwrap();
            body["signature"] = self.sign(SIGNATURE_TYPE, &payload).into();
        }
        body
    }

    /// The body with this organisation's yes.
    fn confirmed(&self, body: &Value, at: Time) -> Value {
        let entity = self.subject();
        let payload = confirmed(body.to_string().as_bytes(), &entity, at).unwrap();
        let mut body = body.clone();
        body["signatureList"] = json!([{
            "entityId": entity.as_str(), "signature": self.sign(SIGNATURE_TYPE, &payload), "signatoryTime": at.to_string(),
        }]);
        body
    }

    fn subject(&self) -> SubjectCode {
        self.node.subject().unwrap()
    }

    fn creation(&self) -> Value {
        let issued = job::floor(now());
        let until = issued.after(Duration::from_secs(3600));
        json!({
            "contractName": "锅炉数据", "contractAbstract": "读取三次", "issueTime": issued.to_string(),
            "activationTime": issued.to_string(), "endTime": until.to_string(), "signMode": "01",
            "issuerId": self.code.as_str(), "issuerEntityId": self.subject().as_str(),
        })
    }

    async fn created(&self) -> String {
        let done = self.call(Interface::Create, &self.creation()).await;
        assert!(done.done, "{done:?}");
        let code = done.body["contractId"].as_str().unwrap().to_owned();
        assert!(ContractCode::parse(&code).is_ok());
        code
    }

    async fn contract(&self, code: &str) -> answer::Answer {
        self.call(Interface::Query, &json!({ "contractId": code })).await
    }

    async fn status(&self, code: &str) -> String {
        self.contract(code).await.body["contractStatus"].as_str().unwrap().to_owned()
    }
}

fn now() -> Time {
    tidm_node::clock::Clock::default().now()
}

fn strategy(product: &Product, actions: &[&str], count: &str) -> Value {
    let provider = node_code('5', 0);
    json!({
        "subjectInfo": { "dataProductId": job::product_code(&provider, &product.id).unwrap().as_str() },
        "executionNodeInfo": { "providerNodeId": provider.as_str(), "consumerNodeId": node_code('5', 1).as_str() },
        "actions": actions,
        "constraints": [{ "constraintName": "count", "constraintOperator": "11", "constraintValue": count }],
    })
}

fn round(name: &str, code: &str, strategy: Value) -> Value {
    json!({ "contractName": name, "contractId": code, "strategy": strategy })
}

async fn world() -> World {
    World::of(2, |at, dids| {
        let other = 1 - at;
        format!(
            "[tc609]\nenabled = true\nconnector = \"{}\"\nplatform = \"{}\"\npartners = [\"{}={}\"]\ncallers = [\"{}={}\"]\n",
            node_code('5', at).as_str(),
            node_code('4', at).as_str(),
            node_code('5', other).as_str(),
            dids[other],
            node_code('4', at).as_str(),
            did_key(&key(at)),
        )
    })
    .await
}

/// The strategies of a document, as a message says them.
fn strategies(document: &Value) -> Value {
    let classes = &document["contractPolicies"];
    let mut all = vec![];
    for (class, name) in
        [("01", "permissionPolicies"), ("02", "prohibitionPolicies"), ("03", "obligationPolicies")]
    {
        for it in classes[name].as_array().into_iter().flatten() {
            let mut it = it.clone();
            it["policyType"] = class.into();
            all.push(it);
        }
    }
    all.into()
}

/// Agreed after a counter-offer, signed by both; the code at the provider and at the consumer, and the product.
async fn agreed(world: &World, provider: &Desk, consumer: &Desk) -> (String, String, Product) {
    let product = world.published("t.csv", &csv(), limited(5), &[Use::Query]).await;
    let code = consumer.created().await;
    assert_eq!(consumer.status(&code).await, "01");
    let asked = round("锅炉数据", &code, strategy(&product, &["read"], "5"));
    // Not what is listed: a person, or a system, of the provider decides. A signature now would be over nothing.
    let early = consumer.call(Interface::Negotiate, &consumer.confirmed(&asked, now())).await;
    assert!(!early.done, "{early:?}");

    let found = || async {
        let all = provider.call(Interface::Query, &json!({})).await;
        let all = all.body["contracts"].as_array().unwrap().clone();
        all.into_iter().find(|it| it["awaitsConfirmation"] == true)
    };
    let theirs = eventually("the negotiation at the provider", found).await;
    let theirs = theirs["contractId"].as_str().unwrap().to_owned();
    assert_ne!(theirs, code, "each node's platform gives its own code");
    let shown = provider.contract(&theirs).await.body["contract"].clone();
    let name = shown["contractName"].as_str().unwrap().to_owned();
    let mut fewer = strategies(&shown);
    let constraints = fewer[0]["constraints"].as_array_mut().unwrap();
    let count = constraints.iter_mut().find(|it| it["constraintName"] == "count").unwrap();
    count["constraintValue"] = "3".into();
    let countered = provider.call(Interface::Negotiate, &round(&name, &theirs, fewer)).await;
    assert!(!countered.done, "{countered:?}");

    let counter = || async {
        let shown = consumer.contract(&code).await.body["contract"].clone();
        let fewer = strategies(&shown);
        fewer.to_string().contains("\"3\"").then_some(fewer)
    };
    let fewer = eventually("the counter-offer", counter).await;
    let same = round("锅炉数据", &code, fewer);
    let in_words = consumer.call(Interface::Negotiate, &same).await;
    assert!(in_words.done && in_words.body["contractStatus"] == "02", "{in_words:?}");
    let signed = consumer.confirmed(&same, now());
    let done = consumer.call(Interface::Negotiate, &signed).await;
    assert!(done.done, "{done:?}");
    for (desk, code) in [(consumer, &code), (provider, &theirs)] {
        let signed = || async { (desk.status(code).await == "0301").then_some(()) };
        eventually("a signed contract", signed).await;
    }
    // Once more is the same again.
    assert!(consumer.call(Interface::Negotiate, &signed).await.done);
    (theirs, code, product)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_deal_and_its_use_in_the_words_of_tc609() {
    let world = world().await;
    let (provider, consumer) = (Desk::new(&world, 0), Desk::new(&world, 1));
    let (theirs, ours, _) = agreed(&world, &provider, &consumer).await;
    let app = &world.consumer().app;
    let whole = job::by_code(app, &ContractCode::parse(&ours).unwrap()).await.unwrap();
    let contract = whole.contract.clone().unwrap();
    let shown = consumer.contract(&ours).await.body["contract"].clone();

    // What was signed is in the document, word for word, both ways.
    let (document, losses) = job::document(app, &whole).await.unwrap();
    assert_eq!(to_json(&document), shown);
    let read = parse(shown.to_string().as_bytes()).unwrap();
    assert_eq!(read, document);
    assert!(from_tc609(&read).unwrap().0.same_terms(&contract.policy));
    assert!(losses.iter().all(|it| it.place.is_empty()), "no rule lost anything: {losses:?}");
    let theirs_shown = provider.contract(&theirs).await.body["contract"].clone();
    for name in ["contractPolicies", "signatoryEntities", "signTime", "expansionItem"] {
        assert_eq!(theirs_shown[name], shown[name], "{name}");
    }

    // Filed as it was signed, and only so.
    let at = document.frame.signed.unwrap().to_string();
    let signatories: Vec<Value> = shown["signatoryEntities"].as_array().unwrap().iter().map(|it| {
        json!({ "signatoryEntityId": it["signatoryEntityId"], "signature": it["signature"] })
    }).collect();
    let mut filing = round("锅炉数据", &ours, strategies(&shown));
    filing["signatoryEntities"] = signatories.into();
    filing["signatoryTime"] = at.into();
    filing["contractExpansionItem"] = "{}".into();
    let filed = consumer.call(Interface::Registrate, &filing).await;
    assert_eq!(filed.body["contractHash"], job::evidence_code(&document).to_string(), "{filed:?}");
    let mut other = filing.clone();
    other["strategy"][0]["constraints"][0]["constraintValue"] = "9".into();
    assert_eq!(
        consumer.call(Interface::Registrate, &other).await.code.as_deref(),
        Some("tc609.differs")
    );

    // The policy instance, the decision of the gate, a use, and what is told of it.
    let agreement = contract.id.as_str().trim_start_matches("urn:uuid:").to_owned();
    let decision = |code: &str| json!({ "contractId": code, "context": { "operation": "query" } });
    let asked = provider.call(Interface::Decision, &decision(&theirs)).await.body;
    assert_eq!((&asked["result"], &asked["details"]["basis"]), (&json!("allowed"), &json!("gate")));
    assert_eq!(asked["details"]["charges"]["use"], 1, "what it would be charged: {asked:?}");
    let asked = consumer.call(Interface::Decision, &decision(&ours)).await.body;
    assert_eq!(
        (&asked["result"], &asked["details"]["basis"]),
        (&json!("allowed"), &json!("terms"))
    );
    let plain = json!({ "contractId": theirs, "context": { "operation": "plain" } });
    assert_eq!(provider.call(Interface::Decision, &plain).await.body["result"], "denied");
    assert_eq!(
        world.provider().app.store.spent(&contract.id).await.unwrap().uses,
        0,
        "asking counts nothing"
    );
    let sql = "SELECT count(*) AS n FROM data";
    query_at_provider(app, &contract.id, sql, None).await.unwrap();
    assert_eq!(consumer.status(&ours).await, "05");
    let sent = |code: &str, strategy: &str, document: &Value| {
        json!({ "contractId": code, "strategyId": strategy, "strategyVersion": "1", "issuedAt": now().to_string(),
            "transactionExecutionStrategy": document })
    };
    let instance = sent(&theirs, "s1", &theirs_shown);
    assert!(provider.call(Interface::Strategy, &instance).await.done);
    let feedback = |strategy: &str, result: &str| {
        json!({ "connectorId": provider.code.as_str(), "contractId": theirs, "strategyId": strategy, "result": result,
            "timestamp": now().to_string(), "details": { "operation": "query", "rows": 1 } })
    };
    assert!(provider.call(Interface::Feedback, &feedback("s1", "allowed")).await.done);
    assert_eq!(
        provider.call(Interface::Feedback, &feedback("s9", "allowed")).await.code.as_deref(),
        Some("not-found")
    );
    let report = |actions: &[&str]| {
        let mut it = round("锅炉数据", &ours, strategies(&shown));
        it["reportTime"] = now().to_string().into();
        it["executedStrategy"] = json!({ "executedStrategyId": agreement, "executedActions": actions, "executionResult": "ok" });
        it
    };
    assert!(consumer.call(Interface::Execution, &report(&["read"])).await.done);
    assert_eq!(
        consumer.call(Interface::Execution, &report(&["distribute"])).await.code.as_deref(),
        Some("tc609.excess")
    );
    let proof = json!({ "proofId": "p1", "contractId": ours, "strategyId": agreement, "log": { "uses": 1 },
        "timestamp": now().to_string() });
    assert!(consumer.call(Interface::Proof, &proof).await.done);

    archived(&world, &contract.id, &ours).await;

    // The provider stops it; the gate says so, whoever says otherwise.
    let stop = json!({ "connectorId": provider.code.as_str(), "terminationId": "t1", "contractId": theirs,
        "strategyId": "s1", "reason": "越权", "triggeredBy": "provider", "timestamp": now().to_string() });
    assert!(provider.call(Interface::Abnormal, &stop).await.done);
    assert!(
        provider.call(Interface::Abnormal, &stop).await.done,
        "told once or twice, it is one end"
    );
    for (desk, code) in [(&provider, &theirs), (&consumer, &ours)] {
        let over = || async { (desk.status(code).await == "06").then_some(()) };
        eventually("the end", over).await;
    }
    let asked = provider.call(Interface::Decision, &decision(&theirs)).await.body;
    assert_eq!(
        (&asked["result"], &asked["details"]["code"]),
        (&json!("denied"), &json!("contract.ended"))
    );
    let told = provider.call(Interface::Feedback, &feedback("s1", "allowed")).await;
    assert!(!told.done && told.body["result"] == "denied", "{told:?}");
    assert_eq!(
        provider
            .call(Interface::Strategy, &sent(&theirs, "s2", &theirs_shown))
            .await
            .code
            .as_deref(),
        Some("contract.ended")
    );
}

type Forgery = (&'static str, fn(&mut Value));

/// What nobody signed does not pass because the archiver signs the file again.
const FORGERIES: &[Forgery] = &[
    ("no party", |it| it["by"] = "did:web:nobody.example".into()),
    ("no custodian", |it| it["log"]["quorum"] = 1.into()),
    ("digest does not cover", |it| it["contract"]["policy"]["timestamp"] = "2020".into()),
    ("digest does not cover", |it| it["contract"]["policy"]["more"] = "x".into()),
    ("digest does not cover", |it| it["contract"]["policy"]["permission"][0]["title"] = "x".into()),
    ("digest does not cover", |it| {
        it["contract"]["policy"]["permission"][0]["constraint"][0]["title"] = "x".into();
    }),
    ("digest does not cover", |it| it["terms"][0]["policy"]["note"] = "x".into()),
    ("same twice", |it| {
        let one = it["terms"][0].clone();
        it["terms"].as_array_mut().unwrap().push(one);
    }),
    ("no fact names", |it| {
        let mut one = it["terms"][0].clone();
        one["policy"]["@id"] = "urn:uuid:another".into();
        let said = odrl::parse(one["policy"].to_string().as_bytes()).unwrap().model;
        one["sha256"] = digest(&said).to_string().into();
        it["terms"].as_array_mut().unwrap().push(one);
    }),
    ("not what was signed", |it| it["tc609"]["document"]["signTime"] = "20200101000000".into()),
    ("not what was signed", |it| it["tc609"]["document"]["indate"] = "99981231235959".into()),
    ("not what was signed", |it| {
        it["tc609"]["document"]["expansionItem"]["agreement"] = "urn:uuid:another".into();
    }),
    ("not what was signed", |it| {
        let all = &mut it["tc609"]["document"]["signatoryEntities"];
        all[0]["signatoryEntityId"] = all[1]["signatoryEntityId"].clone();
    }),
    ("not what was signed", |it| {
        let policies = &mut it["tc609"]["document"]["contractPolicies"];
        for it in policies.as_object_mut().unwrap().values_mut() {
            for it in it.as_array_mut().unwrap() {
                it["subjectInfo"]["dataProductId"] = "691310000MA0DEMQ19R0026A7K2M9QXQ".into();
            }
        }
    }),
];

fn forged(app: &App, file: &[u8]) {
    let resigned = |change: fn(&mut Value)| {
        let mut it: Value = serde_json::from_slice(file).unwrap();
        change(&mut it["archive"]);
        let archive = sha256(&jcs::canonical(&it["archive"]).unwrap()).to_string();
        let said = json!({ "@type": it["@type"], "archiveSha256": archive });
        let payload = jcs::canonical(&said).unwrap();
        it["signature"] = app.identity.sign("tidm-archive+jws", &payload).into();
        check(&jcs::canonical(&it).unwrap())
    };
    resigned(|_| {}).unwrap();
    for (why, change) in FORGERIES {
        let said = resigned(*change).map(|_| why).unwrap_err().to_string();
        // A document that contradicts itself is found before it is held against the contract.
        assert!(said.contains(why) || said.contains("/tc609/document"), "{why}: {said}");
    }
}

/// The archive holds, and does not once any byte of it is another.
async fn archived(world: &World, contract: &Id, code: &str) {
    let app = &world.consumer().app;
    let kept = app.store.contract(contract).await.unwrap().unwrap();
    let file = archive::make(app, &kept).await.unwrap();
    let said = check(&file).unwrap();
    assert_eq!((said.contract.as_str(), said.tc609.as_deref()), (contract.as_str(), Some(code)));
    assert_eq!((said.missing, said.unsigned.len(), said.keys.len()), (0, 0, 2));
    assert!(said.terms >= 3 && said.facts >= 5 && said.messages >= 4, "{said:?}");
    let text = String::from_utf8(file.clone()).unwrap();
    for what in ["contractNegotiate", "signatureList", "\"request\"", "\"offers\"", "tlog-proof"] {
        assert!(text.contains(what), "{what}");
    }
    // Every 97th byte, and each of the last signature: a bit of it is another.
    let last = file.len() - 200;
    for at in (0..file.len()).step_by(97).chain(last..file.len()) {
        let mut other = file.clone();
        other[at] ^= 1;
        assert!(check(&other).is_err(), "byte {at} of {}", file.len());
    }
    assert_eq!((said.quorum, said.nodes.len()), (0, 2));
    forged(app, &file);
    assert!(check(&file[..file.len() - 1]).is_err());
    assert!(check(&[&file[..], b"\n"].concat()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_here_is_named() {
    let world = world().await;
    let (provider, consumer) = (Desk::new(&world, 0), Desk::new(&world, 1));
    let product = world.published("r.csv", &csv(), limited(5), &[Use::Query]).await;
    let code = consumer.created().await;
    let good = || strategy(&product, &["read"], "5");
    let with = |path: &str, value: Value| {
        let mut it = round("锅炉数据", &code, good());
        *it.pointer_mut(path).unwrap() = value;
        it
    };
    let constraint = |name: &str, value: &str| json!([{ "constraintName": name, "constraintOperator": "01", "constraintValue": value }]);
    let other = "8491310000MA0DEMQ19R3101202509010930007QX4M2ZBW";
    for (body, refusal, said) in [
        (
            with("/strategy/actions", json!(["read", "desensitize"])),
            "policy.unknown-terms",
            "tc609:desensitize",
        ),
        (with("/strategy/actions", json!(["export"])), "policy.unknown-terms", "tc609:export"),
        (with("/strategy/actions", json!(["sell"])), "policy.unknown-terms", "sell"),
        (
            with("/strategy/constraints", constraint("frequency", "5")),
            "policy.unknown-terms",
            "tc609:frequency",
        ),
        (
            with("/strategy/constraints", constraint("physicalAddress", "00:11")),
            "policy.unknown-terms",
            "systemDevice",
        ),
        (with("/contractName", json!("别的")), "tc609.differs", "contractName"),
        (with("/contractId", json!(other)), "not-found", "contract"),
        (
            with("/strategy/executionNodeInfo/providerNodeId", json!(node_code('5', 1).as_str())),
            "tc609.role",
            "providerNodeId",
        ),
        (
            with("/strategy/executionNodeInfo/providerNodeId", json!(node_code('4', 0).as_str())),
            "tc609.partner",
            "providerNodeId",
        ),
        (
            with("/strategy/subjectInfo/dataProductId", json!("691310000MA0DEMQ19R0026A7K2M9QXQ")),
            "tc609.product",
            "dataProductId",
        ),
        (with("/strategy/actions", json!([])), "message.malformed", "actions"),
    ] {
        let answer = consumer.call(Interface::Negotiate, &body).await;
        assert_eq!(answer.code.as_deref(), Some(refusal), "{answer:?}");
        assert!(!answer.done && answer.message.unwrap().contains(said), "{said}");
    }
    assert_eq!(consumer.status(&code).await, "01", "nothing was asked of anybody");
    let creation = |name: &str, value: Value| {
        let mut it = consumer.creation();
        it[name] = value;
        it
    };
    for (body, refusal) in [
        (creation("signMode", json!("02")), "tc609.mode"),
        (creation("issuerId", json!(provider.code.as_str())), "tc609.sender"),
        (creation("issuerEntityId", json!(SUBJECTS[0])), "tc609.sender"),
        (creation("endTime", json!("2020-01-01T00:00:00Z")), "message.malformed"),
        (creation("signature", json!("a.b.c")), "tc609.signature"),
    ] {
        let answer = consumer.call(Interface::Create, &body).await;
        assert_eq!((answer.done, answer.code.as_deref()), (false, Some(refusal)), "{answer:?}");
    }
    // A signature of somebody else's, or over other terms, is no yes.
    let body = round("锅炉数据", &code, good());
    let mut stolen = provider.confirmed(&body, now());
    stolen["signatureList"][0]["entityId"] = SUBJECTS[1].into();
    assert_eq!(
        consumer.call(Interface::Negotiate, &stolen).await.code.as_deref(),
        Some("tc609.signature")
    );
    let mut moved = consumer.confirmed(&body, now());
    moved["strategy"] = strategy(&product, &["read"], "4");
    assert_eq!(
        consumer.call(Interface::Negotiate, &moved).await.code.as_deref(),
        Some("tc609.signature")
    );
    // What was created and never proposed is withdrawn; then nothing begins under its code.
    let end = json!({ "contractName": "锅炉数据", "contractId": code, "issueTime": now().to_string(), "erminateType": "01",
        "activationTime": now().to_string(), "scheduledEndTime": now().to_string(), "agreedEndTime": now().to_string(),
        "issuerId": consumer.code.as_str(), "issuerEntityId": SUBJECTS[1], "terminateReason": "不再需要" });
    assert!(consumer.call(Interface::Terminate, &end).await.done);
    assert_eq!(consumer.status(&code).await, "0302");
    assert_eq!(
        consumer.call(Interface::Negotiate, &body).await.code.as_deref(),
        Some("tc609.over")
    );
    let templates = json!({ "issuerId": consumer.code.as_str(), "issuerEntityId": SUBJECTS[1] });
    let all = consumer.call(Interface::Template, &templates).await;
    assert!(all.body["template"].as_array().unwrap().len() > 5, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_repetitions() {
    let world = world().await;
    let (provider, consumer) = (Desk::new(&world, 0), Desk::new(&world, 1));
    let body = consumer.with_signature(Interface::Create, &consumer.creation()).to_string();
    // The same call again is answered as it was; the same number for another is refused.
    let first = consumer.numbered(Interface::Create, &body, "once").await;
    assert_eq!(consumer.numbered(Interface::Create, &body, "once").await, first);
    let mut another = consumer.creation();
    another["contractAbstract"] = "别的".into();
    let another = consumer.with_signature(Interface::Create, &another).to_string();
    let again = consumer.numbered(Interface::Create, &another, "once").await;
    assert_eq!(again.code.as_deref(), Some("tc609.repeated"));
    let all = consumer.call(Interface::Query, &json!({})).await;
    assert_eq!(all.body["contracts"].as_array().unwrap().len(), 1);

    let good = |body: &str| consumer.headers(Interface::Create, body, "n-x", now());
    let spoiled = |at: usize, value: &str| {
        let mut it = good(&body);
        it[at].1 = value.to_owned();
        it
    };
    let signature = |typ: &str, signer: &Desk, receiver: &NodeCode| {
        let at = now();
        let envelope = Envelope { interface: Interface::Create, at, sequence: "n-x".to_owned() };
        let mut it = consumer.headers(Interface::Create, &body, "n-x", at);
        it[4].1 = signer.sign(typ, &envelope.signed_bytes(receiver, sha256(body.as_bytes())));
        it
    };
    let mut unsigned = good(&body);
    unsigned.pop();
    for (headers, status) in [
        (unsigned, 401),
        (spoiled(4, "a.b.c"), 401),
        (spoiled(3, "n-y"), 401),
        (spoiled(2, "yesterday"), 401),
        (good(&another), 401),
        (signature(SIGNATURE_TYPE, &consumer, &consumer.node), 401),
        (signature(Envelope::TYPE, &consumer, &provider.node), 401),
        (signature(Envelope::TYPE, &provider, &consumer.node), 401),
        (signature(Envelope::TYPE, &consumer, &consumer.node), 200),
    ] {
        assert_eq!(consumer.send("contractCreate", headers, &body).await.0, status);
    }
    let old = Time::from_ms(now().ms() - 6 * 60 * 1000);
    let headers = consumer.headers(Interface::Create, &body, "n-z", old);
    let (status, bytes) = consumer.send("contractCreate", headers, &body).await;
    let refused = answer::read(Interface::Create, &bytes).unwrap();
    assert_eq!((status, refused.code.as_deref()), (200, Some("tc609.envelope")));
    assert_eq!(consumer.send("nothing", good(&body), &body).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_there_is_nothing() {
    let world = World::of(2, |_, _| String::new()).await;
    let desk = Desk::new(&world, 1);
    for interface in Interface::ALL {
        let headers = desk.headers(interface, "{}", "n", now());
        assert_eq!(desk.send(interface.path(), headers, "{}").await.0, 404);
    }
}

/// Consent that is still to be given is a condition, where nothing else is in the way; with it, the same question is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_to_come_is_a_condition_and_the_only_one() {
    let world = world().await;
    let (provider, consumer) = (Desk::new(&world, 0), Desk::new(&world, 1));
    let sentences = Sentences { consent: true, ..limited(1) };
    let product = world.published("t.csv", &csv(), sentences, &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let ask = async |desk: &Desk, at: usize, operation: &str| {
        let code = job::find(&world.nodes[at].app, &contract.id).await.unwrap().deal.code;
        let body = json!({ "contractId": code.to_string(), "context": { "operation": operation } });
        let said = desk.call(Interface::Decision, &body).await.body;
        (said["result"].as_str().unwrap_or_default().to_owned(), said["details"].clone())
    };
    let (result, details) = ask(&provider, 0, "query").await;
    assert_eq!(result, "conditional", "{details}");
    assert_eq!(details["conditions"], json!(["obtainConsent"]));
    assert_eq!(
        (&details["code"], &details["charges"]["use"]),
        (&json!("policy.denied"), &json!(1))
    );
    // With the consent nothing else would be right of these: another use, and the consumer's side, which cannot know.
    let (result, details) = ask(&provider, 0, "sealed-table").await;
    assert_eq!((result.as_str(), &details["conditions"]), ("denied", &Value::Null), "{details}");
    assert_eq!(ask(&consumer, 1, "query").await.0, "denied");
    // To suppose it gives nothing: the gate still refuses, and nobody consented.
    let sql = "SELECT count(*) AS n FROM data";
    let app = &world.consumer().app;
    assert!(query_at_provider(app, &contract.id, sql, None).await.is_err());
    let kept = world.provider().app.store.contract(&contract.id).await.unwrap().unwrap();
    assert_eq!(kept.consented, None);
    world.provider().wish(Wish::Consent { contract: contract.id.clone() }).await;
    let (result, details) = ask(&provider, 0, "query").await;
    assert_eq!((result.as_str(), &details["conditions"]), ("allowed", &Value::Null), "{details}");
    query_at_provider(app, &contract.id, sql, None).await.unwrap();
    assert_eq!(ask(&provider, 0, "query").await.0, "denied", "the only use is taken");
}

/// The consumer's node proves to the provider's what was done, once its interface answers; and to nobody else's contract.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_fulfilment_arrives_once() {
    let mut world = world().await;
    let product = world.published("t.csv", &csv(), limited(1), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let sql = "SELECT count(*) AS n FROM data";
    query_at_provider(&world.consumer().app, &contract.id, sql, None).await.unwrap();
    let over = || async {
        let it = world.consumer().app.store.contract(&contract.id).await.unwrap()?;
        (it.is_over() && it.deletion.is_some()).then_some(())
    };
    eventually("the last use ends the contract", over).await;
    // Whatever was sent by now: the provider's node is away for a while, and the consumer's is started anew.
    world.nodes[0].halt().await;
    world.restart(1).await;
    world.restart(0).await;
    let said = async |at: usize| {
        let app = &world.nodes[at].app;
        let code = job::find(app, &contract.id).await.unwrap().deal.code;
        let all = app.store.tc609_messages(&code.to_string(), 10).await.unwrap();
        all.into_iter().filter(|it| it.path == Interface::Proof.path()).collect::<Vec<_>>()
    };
    let arrived = || async { said(0).await.pop() };
    let kept = eventually("the proof at the provider", arrived).await;
    let answered = || async { said(1).await.pop() };
    let sent = eventually("its answer at the consumer", answered).await;
    assert_eq!(
        (&sent.body, sent.answer.contains("\"status\":\"0\"")),
        (&kept.body, true),
        "{}",
        sent.answer
    );
    let proof: Value = serde_json::from_str(&kept.body).unwrap();
    assert_eq!(proof["log"]["agreement"], contract.id.as_str());
    assert_eq!(
        (&proof["log"]["uses"], &proof["log"]["ended"]["why"]),
        (&json!("1"), &json!("used-up"))
    );
    assert_eq!(proof["log"]["archiveSha256"].as_str().map(str::len), Some(64));
    let payload = covered(kept.body.as_bytes(), "signature").unwrap();
    let jws = jws::Unverified::parse_within(proof["signature"].as_str().unwrap(), 10_000).unwrap();
    assert!(
        jws.verify(&world.consumer().app.identity.verifying_key()).is_ok_and(|it| it == payload)
    );
    // Once: nothing is owed any more.
    let now = world.consumer().app.clock.now().after(Duration::from_secs(365 * 24 * 3600));
    assert!(world.consumer().app.store.owed_proofs(now, 10).await.unwrap().is_empty());
    assert_eq!((said(0).await.len(), said(1).await.len()), (1, 1));
}

/// A partner that takes the call and never answers is waited for by its own proofs alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_partner_holds_up_no_other_s_proofs() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let stranger = Did::web("127.0.0.1", Some(port)).unwrap();
    let third = format!("{}={stranger}", node_code('5', 2).as_str());
    let world = World::of(2, |at, dids| {
        let other = 1 - at;
        format!(
            "[tc609]\nenabled = true\nconnector = \"{}\"\nplatform = \"{}\"\npartners = [\"{}={}\", \"{third}\"]\n",
            node_code('5', at).as_str(),
            node_code('4', at).as_str(),
            node_code('5', other).as_str(),
            dids[other],
        )
    })
    .await;
    let product = world.published("t.csv", &csv(), limited(1), &[Use::Query]).await;
    let answers = world.agreed(&product).await;
    let app = &world.consumer().app;
    let keeps_silent = Contract {
        id: Id::parse("urn:uuid:0190b6a0-0000-7000-8000-0000000000aa").unwrap(),
        peer: stranger,
        address: format!("http://127.0.0.1:{port}{DSP_PATH}"),
        ..answers.clone()
    };
    // Both are due at the same look, the silent partner's first. What is said in them does not matter here.
    let owed = [(&keeps_silent, 1), (&answers, 2)].map(|(it, at)| Owed {
        contract: it.id.clone(),
        to: Receiver::Peer,
        next: Time::from_ms(at),
        tries: 0,
        body: "{}".to_owned(),
    });
    let now = app.clock.now();
    let service = DataService { id: answers.id.clone(), endpoint: String::new(), flight: false };
    let saved = app.writer.note(move |conn| {
        let commit = Commit { contracts: vec![keeps_silent.clone()], ..Commit::default() };
        let (owed, service) = (owed.clone(), service.clone());
        Box::pin(async move {
            save(conn, &commit, now, &service).await?;
            for it in &owed {
                rows::owe(conn, &it.contract, it.to, Time::ZERO).await?;
                rows::made(conn, &it.contract, &it.body).await?;
                rows::postpone(conn, it).await?;
            }
            Ok(())
        })
    });
    saved.await.unwrap();
    let started = Instant::now();
    // The partner that answers refuses it, so it is put off; the silent one still has its call.
    let heard = || async {
        let due = app.store.owed_proofs(app.clock.now(), 10).await.unwrap();
        (!due.iter().any(|it| it.contract == answers.id)).then_some(())
    };
    eventually("the other's answer", heard).await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let silent_one = Id::parse("urn:uuid:0190b6a0-0000-7000-8000-0000000000aa").unwrap();
    let owed = app.store.owed_proof(&silent_one, Receiver::Peer).await.unwrap();
    assert!(owed.is_some(), "it is still owed");
}

/// A proof of the contract, as the partner's own connector says it.
async fn prove(from: &Node, to: &Desk, contract: &Id, id: &str) -> answer::Answer {
    let code = job::find(&from.app, contract).await.unwrap().deal.code;
    let mut said = json!({ "proofId": id, "contractId": code.to_string(),
        "strategyId": contract.as_str().trim_start_matches("urn:uuid:"), "log": { "uses": "1" },
        "timestamp": now().to_string() });
    let payload = covered(said.to_string().as_bytes(), "signature").unwrap();
    said["signature"] = from.app.identity.sign(SIGNATURE_TYPE, &payload).into();
    let (body, interface, at) = (said.to_string(), Interface::Proof, now());
    let envelope = Envelope { interface, at, sequence: format!("p{id}{}", at.ms()) };
    let signed = envelope.signed_bytes(&to.node, sha256(body.as_bytes()));
    let mut headers = to.headers(interface, &body, &envelope.sequence, at);
    headers[4].1 = from.app.identity.sign(Envelope::TYPE, &signed);
    let (status, bytes) = to.send(interface.path(), headers, &body).await;
    answer::read(interface, &bytes).unwrap_or_else(|why| panic!("{status} {why}"))
}

/// A partner's proof is kept of what is over, from the consumer, and once.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_taken_of_what_is_over_from_its_consumer_and_once() {
    let world = world().await;
    let product = world.published("t.csv", &csv(), limited(5), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (world.provider(), world.consumer());
    let (its_door, own_door) = (Desk::new(&world, 0), Desk::new(&world, 1));
    let at_provider = async |id: &str| prove(consumer, &its_door, &contract.id, id).await;
    let early = at_provider("e1").await;
    assert_eq!((early.done, early.code.as_deref()), (false, Some("unavailable")), "{early:?}");
    let wrong = prove(provider, &own_door, &contract.id, "w1").await;
    assert_eq!((wrong.done, wrong.code.as_deref()), (false, Some("tc609.role")), "{wrong:?}");
    world.revoke(&contract).await;
    let kept = async || {
        let code = job::find(&provider.app, &contract.id).await.unwrap().deal.code;
        let all = provider.app.store.tc609_messages(&code.to_string(), 10).await.unwrap();
        all.into_iter().filter(|it| it.path == Interface::Proof.path()).count()
    };
    let arrived = || async { (kept().await == 1).then_some(()) };
    eventually("the consumer's own proof", arrived).await;
    let again = at_provider("e2").await;
    assert_eq!((again.done, again.code.as_deref()), (false, Some("tc609.repeated")), "{again:?}");
    assert_eq!(kept().await, 1);
}
