//! OpenTDF's key access service: a published client opens a file that our node sealed; everybody else is refused.

use std::path::PathBuf;
use std::process::Command as Process;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use tidm_crypto::hash::sha256;
use tidm_crypto::secret::Secret;
use tidm_crypto::suite::Suite;
use tidm_crypto::tdf::rewrap::KasKey;
use tidm_crypto::tdf::{Container, policy_binding};
use tidm_node::jobs::use_data::{ProgramFile, program, program_copy};
use tidm_space::contract::Contract;
use tidm_space::policy::sentence::{Export, Sentences};
use tidm_space::policy::usage::Use;

use crate::world::{World, fault, limited};

fn open(uses: u64) -> Sentences {
    Sentences { export: Export::Permitted, ..limited(uses) }
}

fn drawing() -> Vec<u8> {
    (0..2_500_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}

async fn token(world: &World, contract: &Contract, purpose: Option<&str>) -> ProgramFile {
    let app = &world.consumer().app;
    program(app, &contract.id, purpose.map(str::to_owned), None).await.unwrap()
}

async fn sealed(world: &World, contract: &Contract) -> Vec<u8> {
    use futures::StreamExt as _;
    let copy = program_copy(&world.consumer().app, &contract.id).await.unwrap();
    let pieces: Vec<_> = copy.stream.map(|it| it.unwrap()).collect().await;
    pieces.concat()
}

async fn spent(world: &World, contract: &Contract) -> u64 {
    world.provider().app.store.spent(&contract.id).await.unwrap().uses
}

/// A client written from the protocol: an elliptic key, the objects of a manifest, one signed request.
struct Client {
    key: KasKey,
    http: reqwest::Client,
}

impl Client {
    fn new() -> Self {
        let key = KasKey::from_seed(&Secret::new([5; 32])).unwrap();
        Self { key, http: reqwest::Client::new() }
    }

    fn request(&self, objects: &[Value], policy: &str) -> String {
        let objects: Vec<Value> = objects
            .iter()
            .enumerate()
            .map(|(at, it)| json!({ "keyAccessObjectId": format!("kao-{at}"), "keyAccessObject": it }))
            .collect();
        let body = json!({
            "clientPublicKey": self.key.public_pem().unwrap(),
            "requests": [{ "policy": { "id": "p", "body": policy }, "keyAccessObjects": objects }],
        });
        let claims = json!({ "requestBody": body.to_string(), "iat": 0, "exp": 4_000_000_000_u64 });
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        format!("{}.{}.c2lnbmVk", part(&json!({ "alg": "RS256" })), part(&claims))
    }

    async fn ask(&self, it: &ProgramFile, request: &str) -> (u16, Value) {
        let url = format!("{}/v2/rewrap", it.service);
        let body = json!({ "signedRequestToken": request });
        let answer = self.http.post(url).bearer_auth(&it.token).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The key of the only object, or its refusal.
    fn key(&self, answer: &Value) -> Result<Secret<[u8; 32]>, Value> {
        let result = &answer["responses"][0]["results"][0];
        let Some(wrapped) = result["kasWrappedKey"].as_str() else { return Err(result.clone()) };
        let session = answer["sessionPublicKey"].as_str().unwrap();
        Ok(self.key.unwrap(session, &STANDARD.decode(wrapped).unwrap()).unwrap())
    }
}

/// Key access objects and policy of a container.
fn manifest(file: &[u8]) -> (Vec<Value>, String) {
    let start = file.windows(19).rposition(|it| it == br#"{"schemaVersion":"4"#).unwrap();
    let mut texts = serde_json::Deserializer::from_slice(&file[start..]).into_iter::<Value>();
    let it = texts.next().unwrap().unwrap();
    let encryption = &it["encryptionInformation"];
    let objects = encryption["keyAccess"].as_array().unwrap().clone();
    (objects, encryption["policy"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_decides_over_its_own_contract() {
    let world = World::two().await;
    let sentences = Sentences { purposes: vec!["quality".to_owned()], ..open(2) };
    let contract = world.ready("part.bin", &drawing(), sentences, Use::SealedFile).await;
    let file = sealed(&world, &contract).await;
    let (objects, policy) = manifest(&file);
    let client = Client::new();
    // Without its purpose: refused, with what would help; nothing is counted.
    let silent = token(&world, &contract, None).await;
    let (status, answer) = client.ask(&silent, &client.request(&objects, &policy)).await;
    let no = client.key(&answer).unwrap_err();
    assert_eq!((status, &no["status"]), (200, &json!("fail")), "{answer}");
    let owed = &no["metadata"]["X-Required-Obligations"];
    assert_eq!(owed, &json!([format!("{}/obl/purpose/value/quality", silent.service)]));
    assert_eq!(spent(&world, &contract).await, 0);
    // With it: the key opens the file. The same request again is the same use.
    let stated = token(&world, &contract, Some("quality")).await;
    let request = client.request(&objects, &policy);
    let mut opened = Vec::new();
    for _ in 0..2 {
        let (_, answer) = client.ask(&stated, &request).await;
        let key = client.key(&answer).unwrap();
        opened.clear();
        let mut container = Container::open(std::io::Cursor::new(&file)).unwrap();
        container.decrypt_to(&key, &mut opened).unwrap();
        assert_eq!(spent(&world, &contract).await, 1);
        // A17: who has the key binds a policy without terms; the stored contract still decides.
        let bare = json!({ "uuid": "x", "body": { "dataAttributes": [], "dissem": [] } });
        let bare = STANDARD.encode(bare.to_string());
        let mut rebound = objects.clone();
        rebound[0]["policyBinding"]["hash"] =
            json!(policy_binding(Suite::International, &key, &bare).unwrap());
        let (_, answer) = client.ask(&stated, &client.request(&rebound, &bare)).await;
        let no = client.key(&answer).unwrap_err();
        assert!(no["error"].as_str().unwrap().starts_with("kas.policy"), "{no}");
        let mut named: Value = serde_json::from_slice(&STANDARD.decode(&policy).unwrap()).unwrap();
        named["body"]["dissem"] = json!([]);
        let named = STANDARD.encode(named.to_string());
        rebound[0]["policyBinding"]["hash"] =
            json!(policy_binding(Suite::International, &key, &named).unwrap());
        let (_, answer) = client.ask(&silent, &client.request(&rebound, &named)).await;
        let no = client.key(&answer).unwrap_err();
        assert!(no["error"].as_str().unwrap().starts_with("policy."), "{no}");
    }
    assert_eq!(sha256(&opened), sha256(&drawing()));
    // A manifest whose policy was changed by somebody without the key.
    let (_, answer) = client.ask(&stated, &client.request(&objects, &format!("{policy} "))).await;
    assert!(client.key(&answer).is_err());
    let mut swapped = objects.clone();
    swapped[0]["policyBinding"]["hash"] = json!("AAAA");
    let (_, answer) = client.ask(&stated, &client.request(&swapped, &policy)).await;
    assert!(client.key(&answer).unwrap_err()["error"].as_str().unwrap().starts_with("kas.binding"));
    assert_eq!(spent(&world, &contract).await, 1);
    // One bad object beside a good one: a result for each, and the second use is the last.
    let mixed = [swapped[0].clone(), objects[0].clone()];
    let (_, answer) = client.ask(&stated, &client.request(&mixed, &policy)).await;
    let results = answer["responses"][0]["results"].as_array().unwrap();
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!("fail"), &json!("permit")));
    assert_eq!(spent(&world, &contract).await, 2);
    let mut third = objects.clone();
    third[0]["sid"] = json!("again");
    let (_, answer) = client.ask(&stated, &client.request(&third, &policy)).await;
    let no = client.key(&answer).unwrap_err();
    let owed = &no["metadata"]["X-Required-Obligations"];
    assert_eq!(owed, &json!([format!("{}/obl/agree/value/contract", stated.service)]), "{no}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_wrong_tokens_and_closed_contracts_get_nothing() {
    let world = World::two().await;
    let contract = world.ready("a.bin", b"a drawing", open(5), Use::SealedFile).await;
    let other = world.ready("b.bin", b"another one", open(5), Use::SealedFile).await;
    let closed = world.ready("c.bin", b"closed", limited(5), Use::SealedFile).await;
    let no = program(&world.consumer().app, &closed.id, None, None).await;
    assert_eq!(fault(no).code(), "policy.export");
    let (objects, policy) = manifest(&sealed(&world, &contract).await);
    let client = Client::new();
    let good = token(&world, &contract, None).await;
    let request = client.request(&objects, &policy);
    let mut forged = good.clone();
    forged.token.push('A');
    let dsp = tidm_node::net::auth::mint(
        &world.consumer().app.identity,
        &world.provider().did,
        &world.consumer().app.clock,
    );
    for token in [forged.token, dsp, "none".to_owned()] {
        let (status, answer) = client.ask(&ProgramFile { token, ..good.clone() }, &request).await;
        assert_eq!((status, &answer["code"]), (401, &json!("unauthenticated")), "{answer}");
    }
    // A token of another contract, whose key is another.
    let wrong = token(&world, &other, None).await;
    let (_, answer) = client.ask(&wrong, &request).await;
    assert!(
        client.key(&answer).unwrap_err()["error"].as_str().unwrap().starts_with("kas.contract")
    );
    // A request that has to be signed by a key, and is not.
    let pem =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kas-signer.pem"));
    let app = &world.consumer().app;
    let bound = program(app, &contract.id, None, Some(pem.unwrap())).await.unwrap();
    let (status, _) = client.ask(&bound, &request).await;
    assert_eq!(status, 401);
    assert_eq!(spent(&world, &contract).await, 0);
    // After its end the contract's key opens nothing.
    world.revoke(&contract).await;
    let (_, answer) = client.ask(&good, &request).await;
    let no = client.key(&answer).unwrap_err();
    assert_eq!(no["metadata"]["X-Required-Obligations"].as_array().unwrap().len(), 1, "{no}");
}

/// Python with OpenTDF's library: the test command names one that it made; elsewhere whatever is there, if it can.
fn python() -> Result<PathBuf, String> {
    let named = std::env::var_os("TIDM_PYTHON");
    let python = PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    let probe = Process::new(&python).args(["-c", "import otdf_python"]).output();
    if probe.is_ok_and(|it| it.status.success()) {
        return Ok(python);
    }
    assert!(named.is_none(), "TIDM_PYTHON={} cannot import otdf_python", python.display());
    Err("SKIPPED: python3 cannot import otdf_python (pip install otdf-python, or set TIDM_PYTHON)"
        .to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_python_client_opens_a_file_that_we_sealed() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return println!("{why}"),
    };
    let world = World::two().await;
    let contract = world.ready("part.bin", &drawing(), open(4), Use::SealedFile).await;
    let path = world.path().join("part.tdf");
    std::fs::write(&path, sealed(&world, &contract).await).unwrap();
    let run = |all: &[&str]| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/kas.py").to_owned();
        let mut call = Process::new(&python);
        call.arg(script).args(all);
        let ran = tokio::task::spawn_blocking(move || call.output());
        async move {
            let ran = ran.await.unwrap().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).unwrap()
        }
    };
    let file = path.display().to_string();
    let read = |said: String| serde_json::from_str::<Value>(&said).unwrap();
    let free = token(&world, &contract, None).await;
    let said = read(run(&[&file, &free.token, "-"]).await);
    assert_eq!(said["sha256"], sha256(&drawing()).to_string(), "{said}");
    assert_eq!(spent(&world, &contract).await, 1);
    // A token that names the key of the signer: another key's request is refused, its own is answered.
    let (own, other) = (world.path().join("own.pem"), world.path().join("other.pem"));
    let (own, other) = (own.display().to_string(), other.display().to_string());
    let public = run(&["new", &own]).await;
    run(&["new", &other]).await;
    let bound = program(&world.consumer().app, &contract.id, None, Some(public)).await.unwrap();
    let said = read(run(&[&file, &bound.token, &other]).await);
    assert!(said["refused"].as_str().is_some(), "{said}");
    assert_eq!(spent(&world, &contract).await, 1);
    let said = read(run(&[&file, &bound.token, &own]).await);
    assert_eq!(said["sha256"], sha256(&drawing()).to_string(), "{said}");
    // With another key, or an altered file, the library shows nothing; the key was released, and the use is counted.
    for (spoiled, uses) in [("altered", 3), ("key", 4)] {
        let said = read(run(&[&file, &free.token, "-", spoiled]).await);
        assert!(said["refused"].as_str().is_some(), "{spoiled}: {said}");
        assert!(said["sha256"].is_null(), "{spoiled}: {said}");
        assert_eq!(spent(&world, &contract).await, uses, "{spoiled}: {said}");
    }
    // All uses are used.
    let said = read(run(&[&file, &free.token, "-"]).await);
    assert!(said["refused"].as_str().is_some(), "{said}");
    assert_eq!(spent(&world, &contract).await, 4);
}

/// A file under SM4 opens with our own programs, and at the key service for clients with an SM2 key only.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_under_sm4_is_no_opentdf_and_opens_all_the_same() {
    let world = World::of(2, |_, _| "[sealed]\nsuite = \"guomi\"\n".to_owned()).await;
    let contract = world.ready("sm.bin", &drawing(), open(3), Use::SealedFile).await;
    let file = sealed(&world, &contract).await;
    let container = Container::open(std::io::Cursor::new(&file)).unwrap();
    assert_eq!(container.manifest().suite, Suite::Guomi);
    assert_eq!(container.manifest().schema_version.as_deref(), Some("4.3.0+tidm.sm4"));
    let out = world.path().join("seen");
    let program = format!("cat \"$1\" > {}", out.display());
    crate::files::opened(world.consumer(), &contract, &program).await.unwrap();
    assert_eq!(sha256(&std::fs::read(&out).unwrap()), sha256(&drawing()));
    let (objects, policy) = manifest(&file);
    let client = Client::new();
    let (_, answer) =
        client.ask(&token(&world, &contract, None).await, &client.request(&objects, &policy)).await;
    assert!(client.key(&answer).unwrap_err()["error"].as_str().unwrap().starts_with("kas.suite"));
    assert_eq!(spent(&world, &contract).await, 1);
}
