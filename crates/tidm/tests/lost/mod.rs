//! The gate's process dies between what it decided and who asked: the same request, asked again, is the same lease.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use tidm_crypto::domain;
use tidm_crypto::kem::{KemSecret, Wrapped};
use tidm_node::clock::Clock;
use tidm_node::identity::Identity;
use tidm_node::init;
use tidm_node::jobs::release::associated_data;
use tidm_node::keys::directory::Directory;
use tidm_node::net::auth;
use tidm_node::random::os;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Request;
use tidm_space::policy::usage::Use;
use tidm_space::wire::tidm::lease;

use crate::two::{LOOK, PATIENCE, Two};
use crate::{USES, agree, fetch, publish, rounds};

/// A program that speaks with the provider's gate in the consumer's name.
struct Asker {
    identity: Identity,
    provider: Did,
    place: String,
}

impl Asker {
    fn of(two: &Two) -> Self {
        let keys = Directory::open(&two.consumer.dir.join(init::KEYS), None).unwrap();
        let did = Did::parse(&two.consumer.did).unwrap();
        Self {
            identity: Identity::new(did, &two.consumer.url, Arc::new(keys)),
            provider: Did::parse(&two.provider.did).unwrap(),
            place: two.provider.url.trim_start_matches("http://").to_owned(),
        }
    }

    /// The whole request is out, on a connection from which nothing was read.
    async fn sent(&self, request: &Request) -> TcpStream {
        let posting = lease::write_request(&Id::from(uuid::Uuid::now_v7()), request);
        let bearer = auth::bearer(&self.identity, &self.provider, &Clock::default());
        let (base, path, body) = (init::DSP_PATH, posting.path, posting.body);
        let head = format!(
            "POST {base}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: {bearer}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.place,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.place).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        stream
    }

    /// The lease that this request gets, and what the gate wrapped for its one-time key.
    async fn granted(&self, request: &Request) -> (Id, Vec<u8>) {
        let mut answer = Vec::new();
        self.sent(request).await.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let (grant, wrapped) = lease::read_grant(body.as_bytes()).unwrap();
        (grant.lease, wrapped.unwrap())
    }
}

/// Leases that the provider's gate granted under a contract, by its own facts.
async fn leases(two: &Two, contract: &str) -> Vec<String> {
    let it = two.provider.get(&format!("/audit/{contract}")).await;
    let all = it["report"]["providerAccount"]["leases"].as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(_, it)| !it["opened"].is_null()).map(|(id, _)| id).collect()
}

async fn uses_left(two: &Two, contract: &str) -> u64 {
    let it: Value = two.provider.get(&format!("/contracts/{contract}")).await;
    it["usesLeft"].as_u64().unwrap()
}

/// Killed once the use is counted and nobody has read the answer, then at random moments around that.
#[tokio::test(flavor = "multi_thread")]
async fn a02_an_answer_that_is_lost_in_a_crash_is_the_same_lease_again() {
    let (mut random, _) = rounds();
    println!("crash: TIDM_SEED={}", random.0);
    let two = Two::start().await;
    let product = publish(&two).await;
    let contract = agree(&two, &product).await;
    fetch(&two.consumer, &contract).await;
    let asker = Asker::of(&two);
    for round in 1..USES {
        let secret = KemSecret::generate(&mut os());
        let request = Request {
            contract: Id::parse(&contract).unwrap(),
            kind: Use::SealedTable,
            nonce: [u8::try_from(round).unwrap(); 16],
            key: secret.public().to_bytes(),
            purpose: None,
            query: None,
            items: None,
            epsilon: None,
            span: Duration::from_secs(60),
        };
        let before = leases(&two, &contract).await;
        let unread = asker.sent(&request).await;
        let mut committed = None;
        if round <= 2 {
            let begun = std::time::Instant::now();
            while uses_left(&two, &contract).await != USES - round {
                assert!(begun.elapsed() < PATIENCE, "never counted\n{}", two.provider.log());
                tokio::time::sleep(LOOK).await;
            }
            let now = leases(&two, &contract).await;
            committed = now.into_iter().find(|it| !before.contains(it));
            assert!(committed.is_some(), "a use without a lease");
        } else {
            tokio::time::sleep(Duration::from_millis(random.next() % 25)).await;
        }
        two.provider.kill();
        drop(unread);
        two.provider.start();
        two.provider.ready().await;
        let (lease, wrapped) = asker.granted(&request).await;
        assert!(committed.is_none_or(|it| it == lease.as_str()), "another lease than before");
        let (again, _) = asker.granted(&request).await;
        assert_eq!(again, lease);
        // What was lost is worth something: the key is for this request's one-time key.
        let aad = associated_data(&lease, &request.contract);
        let wrapped = Wrapped::from_bytes(&wrapped).unwrap();
        let key = secret.open(&wrapped, domain::LEASE_KEY.as_bytes(), &aad).unwrap();
        assert_eq!(key.expose().len(), 32);
        // One use, one lease.
        assert_eq!(uses_left(&two, &contract).await, USES - round);
        let now = leases(&two, &contract).await;
        assert!(now.iter().any(|it| it == lease.as_str()), "{now:?}");
        assert_eq!(now.len(), before.len() + 1, "{before:?} {now:?}");
    }
}
