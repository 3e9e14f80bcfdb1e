//! Keys that only an attested environment gets. The environment is simulated, and its root made by this test: it asks
//! the provider's gate in the consumer's name, as a guest of the consumer's would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use tidm_attest::handshake::Ask;
use tidm_attest::simulated::{Machine, SimulatedRoot};
use tidm_crypto::domain;
use tidm_crypto::kem::{KemSecret, Wrapped};
use tidm_node::attest;
use tidm_node::jobs::release::associated_data;
use tidm_node::jobs::use_data::query_sealed;
use tidm_node::net::auth;
use tidm_space::contract::Contract;
use tidm_space::evidence::fact::What;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::{Level, Use};
use tidm_space::time::Time;
use tidm_space::wire::tidm::lease;

use crate::world::{World, csv, fault, limited};

pub(crate) const ROOT: u8 = 3;
pub(crate) const CHIP: [u8; 32] = [7; 32];

pub(crate) fn machine() -> Machine {
    Machine::new(ROOT, CHIP)
}

/// Demands of the provider: this measurement, this chip.
pub(crate) fn demands() -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let chips = [hex(&CHIP)];
    json!({ "measurements": [hex(&[0x5A; 48])], "chips": chips, "least": {} }).to_string()
}

pub(crate) fn in_a_tee() -> Sentences {
    Sentences { level: Some(Level::E3), ..limited(2) }
}

/// A consumer's environment that asks the provider's gate.
pub(crate) struct Guest<'a> {
    pub(crate) world: &'a World,
    pub(crate) contract: &'a Contract,
}

impl Guest<'_> {
    pub(crate) async fn post(&self, path: &str, body: String) -> (u16, Vec<u8>) {
        let (provider, consumer) = (self.world.provider(), self.world.consumer());
        let bearer = auth::mint(&consumer.app.identity, &provider.did, &consumer.app.clock);
        let url = format!("{}{path}", provider.base());
        let method = reqwest::Method::POST;
        let answer = consumer.app.client.call(method, &url, Some(&bearer), Some(body)).await;
        let answer = answer.unwrap();
        (answer.status.as_u16(), answer.body.to_vec())
    }

    pub(crate) async fn challenge(&self) -> [u8; 32] {
        let posting = lease::write_challenge_request(&fresh(), &self.contract.id);
        let (status, body) = self.post(&posting.path, posting.body).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        lease::read_challenge(&body).unwrap().0
    }

    fn request(&self, nonce: u8, key: &KemSecret) -> Request {
        Request {
            contract: self.contract.id.clone(),
            kind: Use::SealedTable,
            nonce: [nonce; 16],
            key: key.public().to_bytes(),
            purpose: None,
            query: None,
            items: None,
            epsilon: None,
            span: Duration::from_secs(600),
        }
    }

    /// What the environment must bind for this request.
    fn bound(&self, challenge: [u8; 32], it: &Request) -> [u8; 32] {
        let who = self.world.consumer().did.to_string();
        let request = it.attested().0;
        Ask { who: &who, nonce: challenge, key: it.key, request }.bound()
    }

    /// Asks with this evidence: the wrapped key, or the refusal's code and reason.
    async fn ask(
        &self,
        request: &Request,
        challenge: [u8; 32],
        report: &[u8],
    ) -> Result<(Id, Wrapped), (String, String)> {
        let nonce: String = challenge.iter().map(|byte| format!("{byte:02x}")).collect();
        let evidence =
            json!({ "format": "simulated", "report": STANDARD.encode(report), "nonce": nonce });
        let posting = lease::write_attested(&fresh(), request, evidence.to_string().as_bytes());
        let (status, body) = self.post(&posting.path, posting.body).await;
        if status == 200 {
            let (grant, wrapped) = lease::read_grant(&body).unwrap();
            return Ok((grant.lease, Wrapped::from_bytes(&wrapped.unwrap()).unwrap()));
        }
        let said = lease::read_refusal(&body).unwrap();
        Err((said.code, said.reason))
    }
}

pub(crate) fn fresh() -> Id {
    Id::from(uuid::Uuid::now_v7())
}

fn secret(number: u8) -> KemSecret {
    KemSecret::from_secret_bytes(&[number; 32]).unwrap()
}

/// A world whose provider judges evidence; simulated one counts once its node is told so.
async fn world() -> World {
    judging(World::two().await).await
}

/// The same of this world.
pub(crate) async fn judging(mut world: World) -> World {
    let path = attest::policy_file(&world.provider().app.config.node.data);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, demands()).unwrap();
    world.restart(0).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_nobody_can_prove_are_not_offered() {
    let world = World::two().await;
    let file = world.path().join("t.csv");
    std::fs::write(&file, csv()).unwrap();
    let mut request = tidm_node::jobs::publish::PublishRequest::new(file, "t.csv");
    request.offers = vec![tidm_node::jobs::publish::OfferRequest {
        policy: None,
        sentences: in_a_tee(),
        approval: tidm_space::catalog::product::Approval::Auto,
        deliveries: vec![Use::SealedTable],
        rules: tidm_space::approval::Rules::default(),
    }];
    let no = fault(crate::world::publishing(world.provider(), request).await);
    assert_eq!(no.code(), "attest.not-configured", "{no:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_an_attested_environment_only() {
    let world = world().await;
    let contract = world.ready("t.csv", &csv(), in_a_tee(), Use::SealedTable).await;
    let guest = Guest { world: &world, contract: &contract };
    let provider = &world.provider().app;

    // The consumer's own node is none, and says so before it asks; without evidence the gate says no.
    let no = fault(query_sealed(&world.consumer().app, &contract.id, "SELECT 1", None).await);
    assert_eq!(no.code(), "attest.no-maker");
    assert!(no.to_string().contains(provider.identity.did.as_str()), "{no}");
    let key = secret(1);
    let plain = lease::write_request(&fresh(), &guest.request(1, &key));
    assert_eq!(guest.post(&plain.path, plain.body).await.0, 403);

    // Until this test names its root, simulated evidence is nobody's.
    let challenge = guest.challenge().await;
    let request = guest.request(2, &key);
    let report = machine().evidence(guest.bound(challenge, &request));
    let no = guest.ask(&request, challenge, &report).await.unwrap_err();
    assert_eq!(no, ("attest.refused".to_owned(), "unknown-root".to_owned()));
    provider.attest.simulate(SimulatedRoot::new(ROOT), 7);

    let machines = [
        (Machine { debug: true, ..machine() }, "debug"),
        (Machine { firmware: 6, ..machine() }, "tcb-below-floor"),
        (Machine { measurement: [1; 48], ..machine() }, "unknown-measurement"),
        (Machine::new(ROOT, [8; 32]), "unknown-chip"),
        (Machine::new(ROOT + 1, CHIP), "broken-chain"),
    ];
    for (number, (machine, code)) in (10..).zip(machines) {
        let (challenge, request) = (guest.challenge().await, guest.request(number, &key));
        let report = machine.evidence(guest.bound(challenge, &request));
        let no = guest.ask(&request, challenge, &report).await.unwrap_err();
        assert_eq!(no, ("attest.refused".to_owned(), code.to_owned()));
    }

    // A nonce that the gate did not draw; evidence of another request; evidence relayed with another key.
    let request = guest.request(20, &key);
    let report = machine().evidence(guest.bound([9; 32], &request));
    let no = guest.ask(&request, [9; 32], &report).await.unwrap_err();
    assert_eq!(no.1, "stale-nonce");
    let challenge = guest.challenge().await;
    let report = machine().evidence(guest.bound(challenge, &guest.request(21, &key)));
    let no = guest.ask(&request, challenge, &report).await.unwrap_err();
    assert_eq!(no.1, "other-report-data");
    let challenge = guest.challenge().await;
    let relayed = guest.request(22, &secret(2));
    let report = machine().evidence(guest.bound(challenge, &guest.request(22, &key)));
    let no = guest.ask(&relayed, challenge, &report).await.unwrap_err();
    assert_eq!(no.1, "other-report-data");
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 0);

    // The right evidence: the key, wrapped to the one-time key inside.
    let (challenge, request) = (guest.challenge().await, guest.request(30, &key));
    let report = machine().evidence(guest.bound(challenge, &request));
    let (id, wrapped) = guest.ask(&request, challenge, &report).await.unwrap();
    let aad = associated_data(&id, &contract.id);
    let opened = key.open(&wrapped, domain::LEASE_KEY.as_bytes(), &aad).unwrap();
    assert_eq!(opened.expose().len(), 32);
    assert!(secret(2).open(&wrapped, domain::LEASE_KEY.as_bytes(), &aad).is_err());

    // The answer was lost: the same again. The same evidence for another use: no.
    let (again, _) = guest.ask(&request, challenge, &report).await.unwrap();
    assert_eq!(again, id);
    let replayed = guest.request(31, &key);
    let no = guest.ask(&replayed, challenge, &report).await.unwrap_err();
    assert_eq!(no.1, "used-nonce");
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 1);

    // Why a key was released stands in the log.
    let facts = provider.store.contract_facts(&contract.id).await.unwrap();
    let levels: Vec<_> = facts
        .iter()
        .filter_map(|it| match &it.what {
            What::Appraised { level, refused, format, .. } => {
                assert_eq!(format, "simulated");
                Some((*level, refused.as_str()))
            }
            _ => None,
        })
        .collect();
    assert!(levels.contains(&(Some(Level::E3), "")), "{levels:?}");
    assert!(levels.contains(&(None, "debug")) && levels.contains(&(None, "used-nonce")));
}

/// Evidence of one machine, a key for another: what was bound decides.
#[tokio::test(flavor = "multi_thread")]
async fn a13_evidence_of_one_machine_brings_no_key_to_another() {
    let world = world().await;
    let contract = world.ready("t.csv", &csv(), in_a_tee(), Use::SealedTable).await;
    let guest = Guest { world: &world, contract: &contract };
    let provider = &world.provider().app;
    provider.attest.simulate(SimulatedRoot::new(ROOT), 7);
    let (attested, elsewhere) = (secret(1), secret(2));
    // The evidence of A, relayed by B with a one-time key of its own.
    let challenge = guest.challenge().await;
    let report = machine().evidence(guest.bound(challenge, &guest.request(1, &attested)));
    let no = guest.ask(&guest.request(1, &elsewhere), challenge, &report).await.unwrap_err();
    assert_eq!(no.1, "other-report-data");
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 0);
    // What A gets opens at A alone, whoever carries it.
    let challenge = guest.challenge().await;
    let request = guest.request(2, &attested);
    let report = machine().evidence(guest.bound(challenge, &request));
    let (id, wrapped) = guest.ask(&request, challenge, &report).await.unwrap();
    let aad = associated_data(&id, &contract.id);
    assert!(elsewhere.open(&wrapped, domain::LEASE_KEY.as_bytes(), &aad).is_err());
    assert!(attested.open(&wrapped, domain::LEASE_KEY.as_bytes(), &aad).is_ok());
}

/// A limit: who opens the machine signs what it likes with the chip's key, and is believed at E3, which says so. Taking
/// the chip from the list ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a14_an_opened_machine_is_believed_until_its_chip_is_off_the_list() {
    let mut world = world().await;
    let contract = world.ready("t.csv", &csv(), in_a_tee(), Use::SealedTable).await;
    let key = secret(1);
    let asked = async |world: &World, nonce: u8| {
        world.provider().app.attest.simulate(SimulatedRoot::new(ROOT), 7);
        let guest = Guest { world, contract: &contract };
        let (challenge, request) = (guest.challenge().await, guest.request(nonce, &key));
        // No machine at all: the key that was in the chip, and the measurement that is wanted.
        let report = machine().evidence(guest.bound(challenge, &request));
        guest.ask(&request, challenge, &report).await.map(|it| it.0)
    };
    asked(&world, 1).await.unwrap();
    let facts = world.provider().app.store.contract_facts(&contract.id).await.unwrap();
    let said = facts.iter().find(|it| matches!(it.what, What::Appraised { .. })).unwrap();
    let said = tidm_space::evidence::encode::summary(said, tidm_space::lang::Lang::En);
    // What is told: a level that is not proof against the machine's owner, and of what kind the evidence was.
    assert!(said.contains("E3") && said.contains("(simulated)"), "{said}");
    let words = Level::E3.words(tidm_space::lang::Lang::En);
    assert!(words.contains("at the consumer"), "{words}");
    let path = attest::policy_file(&world.provider().app.config.node.data);
    std::fs::write(&path, demands().replace("0707", "0808")).unwrap();
    world.restart(0).await;
    assert_eq!(asked(&world, 2).await.unwrap_err().1, "unknown-chip");
}

/// A published SGX quote and its set, from the kit `attestation`.
fn published() -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let beside = || {
        let start = Path::new(env!("CARGO_MANIFEST_DIR"));
        start.ancestors().map(|up| up.join("shared/conformance")).find(|it| it.is_dir())
    };
    let root = std::env::var_os("TIDM_CONFORMANCE").map(PathBuf::from).or_else(beside);
    let kit = root.map(|it| it.join("attestation/sgx-tdx")).filter(|it| it.is_dir());
    let kit =
        kit.ok_or("SKIPPED: published evidence: no shared/conformance/attestation/sgx-tdx")?;
    let read = |name: &str| std::fs::read(kit.join(name)).unwrap();
    Ok((read("sgx_quote"), read("sgx_quote_collateral.json")))
}

/// What the operator imported is kept as it came, listed with its end, and counts at the gate before what a peer sends.
#[test]
fn imported_sets_are_kept_listed_and_used_before_what_is_sent() {
    let (quote, set) = match published() {
        Ok(it) => it,
        Err(why) => return println!("{why}"),
    };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let (now, from, until) = (1_750_400_000, 1_750_330_571, 1_752_919_278);
    assert!(attest::listed(data, now).unwrap().is_empty());
    // Nothing is kept that does not hold: too early, too late, altered, no set at all.
    let altered = String::from_utf8(set.clone()).unwrap().replacen("UpToDate", "OutOfDate", 1);
    for (json, at) in
        [(&set[..], from - 1), (&set, until + 1), (altered.as_bytes(), now), (b"{}", now)]
    {
        let no = attest::import(data, json, at).unwrap_err();
        assert!(no.to_string().starts_with("this collateral is not accepted"), "{no}");
    }
    assert!(attest::listed(data, now).unwrap().is_empty());
    // The second time in the place of the first.
    for _ in 0..2 {
        let it = attest::import(data, &set, now).unwrap();
        assert_eq!((it.environment.as_str(), it.from, it.until), ("SGX", from, until));
    }
    let folder = data.join("attest/collateral");
    let names: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["sgx-00a067110000.json"]);
    assert_eq!(std::fs::read(folder.join(&names[0])).unwrap(), set);
    let listed = |at| attest::listed(data, at).unwrap().remove(0);
    let (name, found) = listed(until);
    assert_eq!((name.as_str(), found.unwrap().until), ("sgx-00a067110000", until));
    assert!(listed(until + 1).1.unwrap_err().ends_with("out-of-date"));

    // At the gate: with a set of ours it does not matter what came beside the quote; without one, only that counts.
    std::fs::write(attest::policy_file(data), demands()).unwrap();
    let refused = |collateral: &str| {
        let gate = attest::Attest::open(data, None).unwrap();
        let (at, key) = (Time::from_ms(i64::try_from(now).unwrap() * 1000), secret(1));
        let (nonce, _) = gate.challenge("did:web:asker.example", at).unwrap();
        let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let report = STANDARD.encode(&quote);
        let evidence = format!(
            r#"{{"format": "intel", "report": "{report}", "nonce": "{nonce}", "collateral": {collateral}}}"#
        );
        let request = Request {
            contract: fresh(),
            kind: Use::SealedTable,
            nonce: [1; 16],
            key: key.public().to_bytes(),
            purpose: None,
            query: None,
            items: None,
            epsilon: None,
            span: Duration::from_secs(60),
        };
        let asked = (request.key, request.attested().0);
        let it = gate.appraise("did:web:asker.example", asked, evidence.as_bytes(), at).unwrap();
        assert_eq!((it.format, it.level), ("intel", None));
        it.refused
    };
    // The quote is genuine, and nobody made it for this request: all that is refused is what the gate demands.
    let genuine = "other-report-data,unknown-measurement,no-tcb-floor,unknown-chip";
    let theirs = String::from_utf8(set).unwrap();
    assert_eq!(refused("{}"), genuine);
    assert_eq!(refused(&theirs), genuine);
    std::fs::remove_file(folder.join(&names[0])).unwrap();
    assert_eq!(refused("{}"), "bad-collateral");
    assert_eq!(refused(&theirs), genuine);
    // One of ours that does not hold is no reason to believe the peer's instead.
    std::fs::write(folder.join(&names[0]), altered).unwrap();
    assert_eq!(refused(&theirs), "not-proven");
}
