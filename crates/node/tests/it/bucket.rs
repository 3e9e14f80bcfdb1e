//! Deliveries into and out of buckets, against a real S3 server where one is given (`TIDM_TEST_S3_ENDPOINT`, with
//! `_BUCKET`, `_KEY_ID` and `_SECRET` beside it).

#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::os::unix::fs::PermissionsExt as _;

use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use tidm_crypto::hash::sha256;
use tidm_node::jobs::order::{Bucket, To, shown};
use tidm_node::jobs::secrets;
use tidm_node::store::timeline::About;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::state::{Name, State as Stage};

use crate::delivery::noise;
use crate::transfers::{both, copy, side};
use crate::world::{World, csv, eventually, limited};

/// What opens the server's bucket.
#[derive(Clone)]
struct Server {
    endpoint: String,
    bucket: String,
    key_id: String,
    secret: String,
}

impl Server {
    fn given(test: &str) -> Option<Self> {
        let var = |name: &str| std::env::var(format!("TIDM_TEST_S3_{name}"));
        let Ok(endpoint) = var("ENDPOINT") else {
            println!("SKIPPED: {test}: TIDM_TEST_S3_ENDPOINT is not set");
            return None;
        };
        let [bucket, key_id, secret] = ["BUCKET", "KEY_ID", "SECRET"].map(|it| var(it).unwrap());
        Some(Self { endpoint, bucket, key_id, secret })
    }

    fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_region("us-east-1")
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(&self.secret)
            .with_allow_http(true)
            .build()
            .unwrap()
    }

    /// As a consumer names it.
    fn bucket(&self, prefix: &str, secret: &str) -> To {
        To::Bucket(Bucket {
            endpoint: self.endpoint.clone(),
            region: Some("us-east-1".to_owned()),
            name: self.bucket.clone(),
            prefix: prefix.to_owned(),
            key_id: self.key_id.clone(),
            secret: secret.to_owned(),
            session: None,
        })
    }
}

/// Whether these bytes lie in any file of a node's own directory.
fn lies(dir: &std::path::Path, what: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|it| {
        let path = it.unwrap().path();
        if path.is_dir() {
            return lies(&path, what);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(what.len()).any(|it| it == what)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_put_into_the_consumers_bucket_and_its_keys_are_kept_nowhere_in_clear() {
    let Some(server) = Server::given("pushes into a bucket") else { return };
    let world = World::two().await;
    let store = server.store();
    // Three parts of a multipart upload, and a sealed table that fits one request.
    let all = noise(20 << 20);
    for (kind, bytes) in [(Use::Plain, all), (Use::SealedTable, csv())] {
        let name = format!("{}.csv", kind.name());
        let product = world.published(&name, &bytes, limited(5), &[kind]).await;
        let contract = world.agreed(&product).await;
        let prefix = format!("in/{}/", uuid::Uuid::now_v7());
        world.ordered(&contract, kind, server.bucket(&prefix, &server.secret)).await;
        both(&world, &contract, Name::Completed).await;
        let place = shown(&side(world.consumer(), &contract).await).unwrap();
        let path = place.split_once(&format!("/{}/", server.bucket)).unwrap().1;
        let put = store.get(&Path::parse(path).unwrap()).await.unwrap().bytes().await.unwrap();
        if kind == Use::Plain {
            assert!(put == bytes);
        } else {
            let seal = world.provider().app.store.seal(&contract.id).await.unwrap().unwrap();
            assert_eq!(sha256(&put), seal.digest);
        }
        let alone: Vec<_> =
            store.list(Some(&Path::from(prefix.as_str()))).try_collect().await.unwrap();
        assert_eq!(alone.len(), 1, "one object and nothing else");
        let data = &world.provider().app.config.node.data;
        assert!(lies(data, contract.id.as_str().as_bytes()));
        assert!(!lies(data, server.secret.as_bytes()), "a key lies in the clear");
        let told = side(world.consumer(), &contract).await.push_to.unwrap();
        assert!(
            told.property("secretAccessKey").is_none() && told.property("bucketName").is_some()
        );
        let it = side(world.provider(), &contract).await;
        let facts = world.provider().app.store.facts(&About::Transfer(it.id), None, 100).await;
        assert!(!format!("{:?}", facts.unwrap()).contains(&server.secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_the_keys_gets_no_object_and_the_transfer_ends() {
    let Some(server) = Server::given("wrong keys of a bucket") else { return };
    let world = World::two().await;
    let product = world.published("p.bin", b"bytes", limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    world.ordered(&contract, Use::Plain, server.bucket("in/", "another-secret")).await;
    let ended = eventually("an ended transfer", || async {
        let page = world.provider().app.store.transfers(None, 10).await.unwrap();
        page.rows.into_iter().find(|it| !it.is_open())
    })
    .await;
    let Stage::Terminated { reason, .. } = &ended.state else { panic!("{:?}", ended.state) };
    let reason = reason.join("; ");
    assert!(reason.contains("refuses the keys") && !reason.contains("another-secret"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_fetched_from_the_providers_bucket_by_a_signed_address() {
    let Some(server) = Server::given("signed addresses of a bucket") else { return };
    let dir = tempfile::tempdir().unwrap();
    let secret_file = dir.path().join("secret");
    std::fs::write(&secret_file, &server.secret).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let objects = |at: usize, _: &[_]| match at {
        0 => format!(
            "[objects]\nbucket = \"{}\"\nendpoint = \"{}\"\nkey_id = \"{}\"\nsecret_file = \"{}\"\nsigned_seconds = 60\n",
            server.bucket,
            server.endpoint,
            server.key_id,
            secret_file.display(),
        ),
        _ => String::new(),
    };
    let world = World::of(2, objects).await;
    let all = noise(20 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    world.ordered(&contract, Use::Plain, To::Pull).await;
    both(&world, &contract, Name::Completed).await;
    assert!(copy(world.consumer(), &contract).await == all);
    // The bytes did not pass through the provider: no token of it was given out.
    let it = side(world.provider(), &contract).await;
    assert!(world.provider().app.store.grant(&it.id).await.unwrap().is_none());
}

/// Without any server: what the provider keeps of the request, while it tries in vain.
#[tokio::test(flavor = "multi_thread")]
async fn keys_for_an_object_in_a_bucket_are_wrapped_at_rest() {
    let world = World::two().await;
    let product = world.published("p.bin", b"bytes", limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let nowhere = Server {
        endpoint: "https://127.0.0.1:9".to_owned(),
        bucket: "landing".to_owned(),
        key_id: "an-access-key-of-this-test".to_owned(),
        secret: "a-secret-key-of-this-test".to_owned(),
    };
    world.ordered(&contract, Use::Plain, nowhere.bucket("in/", &nowhere.secret)).await;
    both(&world, &contract, Name::Started).await;
    let provider = &world.provider().app;
    let kept = side(world.provider(), &contract).await.push_to.unwrap();
    for name in ["accessKeyId", "secretAccessKey"] {
        assert!(kept.property(name).unwrap().starts_with("tidm:wrapped:"), "{name}");
    }
    let data = &provider.config.node.data;
    assert!(lies(data, b"landing"));
    for secret in [&nowhere.key_id, &nowhere.secret] {
        assert!(!lies(data, secret.as_bytes()), "a key lies in the clear");
    }
    let open = secrets::unwrap(provider, &contract.id, &kept).unwrap();
    assert_eq!(open.property("secretAccessKey"), Some(nowhere.secret.as_str()));
    // They die with the contract's key.
    world.revoke(&contract).await;
    eventually("destroyed keys", || async {
        secrets::unwrap(provider, &contract.id, &kept).is_err().then_some(())
    })
    .await;
}
