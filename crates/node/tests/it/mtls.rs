//! Peers that prove who they are by certificates: who gets in, who is told why not, and what happens while one is
//! renewed or revoked.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use reqwest::Method;
use rustls::RootCertStore;
use serde_json::{Value, json};

use tidm_crypto::hash::sha256;
use tidm_node::jobs::use_data::query_at_provider;
use tidm_node::net::auth;
use tidm_node::tls;
use tidm_space::engine::commit::About;
use tidm_space::engine::input::{TransferWish, Wish};
use tidm_space::identity::did::Did;
use tidm_space::policy::usage::Use;

use crate::world::{Node, Plan, World, csv, eventually, fault, limited};

/// Who issues certificates in these tests; throw-away, made anew for each.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    pub(crate) file: PathBuf,
}

/// What a certificate is to say.
pub(crate) struct Wanted {
    pub(crate) uris: Vec<String>,
    pub(crate) hosts: Vec<String>,
    years: (i32, i32),
    usage: ExtendedKeyUsagePurpose,
    serial: u64,
}

impl Wanted {
    pub(crate) fn of(did: &Did) -> Self {
        Self {
            uris: vec![did.to_string()],
            hosts: Vec::new(),
            years: (2020, 2096),
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            serial: 7,
        }
    }
}

/// Certificate and key.
pub(crate) type Pair = (PathBuf, PathBuf);

impl Authority {
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = dir.join(format!("{name}.crt"));
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, dir: dir.to_owned(), file }
    }

    /// For servers and clients at 127.0.0.1, in files of this name; files that are there are replaced.
    pub(crate) fn issue(&self, name: &str, it: &Wanted) -> Pair {
        let mut params = CertificateParams::new(it.hosts.clone()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        for uri in &it.uris {
            params.subject_alt_names.push(SanType::URI(uri.clone().try_into().unwrap()));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, it.usage.clone()];
        params.serial_number = Some(SerialNumber::from(it.serial));
        params.not_before = date_time_ymd(it.years.0, 1, 1);
        params.not_after = date_time_ymd(it.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, secret] = ["crt", "key"].map(|it| self.dir.join(format!("{name}.{it}")));
        private(&secret, &key.serialize_pem());
        private(&cert, &leaf.pem());
        (cert, secret)
    }

    /// A list that revokes these serials and is good until that year.
    fn revoke(&self, file: &Path, serials: &[u64], until: i32) {
        let revoked = |it: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*it),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(serials.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        private(file, &params.signed_by(&self.issuer).unwrap().pem().unwrap());
    }
}

/// Written beside and put in place, as careful operators do.
fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text).unwrap();
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&partial, path).unwrap();
}

/// The end of the section `http` for a node that speaks TLS, and `peers` and `evidence`.
pub(crate) fn secured(plan: &Plan, at: usize, (cert, key): &Pair, ca: &Path) -> String {
    format!(
        "{}public_url = \"https://{}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\ntls_ca = \"{}\"\n\
         [peers]\nallow_private_addresses = true\n[evidence]\ncheckpoint_ms = 200\n",
        plan.node(at),
        plan.places[at],
        cert.display(),
        key.display(),
        ca.display(),
    )
}

/// The serial number of a node's first certificate: no two nodes have the same, so that each is revoked alone.
fn serial(at: usize) -> u64 {
    20 + at as u64
}

fn text(plan: &Plan, at: usize, authority: &Authority, more: &str) -> String {
    let wanted = Wanted { serial: serial(at), ..Wanted::of(&plan.dids[at]) };
    let pair = authority.issue(&format!("node{at}"), &wanted);
    format!(
        "{}[space]\nmembers = \"{}\"\noperator = \"{}\"\n[identity]\nmode = \"mtls\"\nclient_ca = \"{}\"\n{more}",
        secured(plan, at, &pair, &authority.file),
        plan.list.display(),
        plan.dids[0],
        authority.file.display(),
    )
}

/// Nodes of one space whose mode is `mtls`.
async fn world(count: usize, more: &str) -> (World, Authority) {
    let kept = tempfile::tempdir().unwrap().keep();
    let authority = Authority::new(&kept, "ca");
    let world = World::planned(count, |plan, at| text(plan, at, &authority, more)).await;
    (world, authority)
}

/// Somebody who calls nodes, with a certificate or without.
pub(crate) struct Knocker(pub(crate) reqwest::Client);

impl Knocker {
    pub(crate) fn new(ca: &Path, shown: Option<&Pair>) -> Self {
        let shown = shown.map(|(cert, key)| (cert.as_path(), key.as_path()));
        let tls = tls::client_showing(RootCertStore::empty(), Some(ca), shown).unwrap();
        let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls((*tls).clone());
        Self(http.build().unwrap())
    }

    /// The same on a connection of its own for each call, which resumes the session of the first.
    fn resuming(ca: &Path, (cert, key): &Pair) -> Self {
        let tls = tls::client_showing(RootCertStore::empty(), Some(ca), Some((cert, key))).unwrap();
        let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls((*tls).clone());
        Self(http.pool_max_idle_per_host(0).build().unwrap())
    }

    /// For nodes that speak plain HTTP.
    pub(crate) fn new_plain() -> Self {
        let tls = tls::client(tls::public_roots(), None).unwrap();
        let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls((*tls).clone());
        Self(http.build().unwrap())
    }

    async fn post(&self, url: &str, bearer: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.0.post(url).body(body.to_string());
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// A request for the catalogue: its status, and the code of a refusal.
    pub(crate) async fn knock(&self, at: &Node, bearer: Option<&str>) -> (u16, String) {
        let url = format!("{}/catalog/request", at.base());
        let (status, body) = self.post(&url, bearer, &catalog()).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn catalog() -> Value {
    json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"})
}

fn refused(code: &str) -> (u16, String) {
    (404, code.to_owned())
}

fn taken() -> (u16, String) {
    (200, String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_deal_with_each_other_by_their_certificates() {
    let (world, _) = world(2, "").await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    assert_eq!(provider.gate.name(), "mtls");
    assert_eq!(auth::speak(consumer, &world.provider().did), None, "no token is sent");
    let plain = world.ready("d.csv", &csv(), limited(5), Use::Plain).await;
    let signatures = (&plain.provider_signature, &plain.consumer_signature);
    assert!(matches!(signatures, (Some(_), Some(_))), "there, and verified: {plain:?}");
    let product = world.published("q.csv", &csv(), limited(5), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let sql = "SELECT line, count(*) AS n FROM data GROUP BY line";
    assert_eq!(query_at_provider(consumer, &contract.id, sql, None).await.unwrap().rows, 3);
    // What our own profile says of it afterwards passes the same gate.
    let audited = tidm_node::jobs::audit::audit(consumer, &contract.id).await.unwrap().unwrap();
    assert_eq!(audited.peer_error, None);
    assert!(provider.tls.as_ref().unwrap().ends().unwrap().to_string().starts_with("2096-01-01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_in_and_who_is_told_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let crl = dir.path().join("revoked.crl");
    let more = format!("client_crls = [\"{}\"]\n", crl.display());
    let authority = Authority::new(dir.path(), "ca");
    authority.revoke(&crl, &[13], 2096);
    let other = Authority::new(dir.path(), "other");
    let world = World::planned(2, |plan, at| text(plan, at, &authority, &more)).await;
    let [node, member] = &world.nodes[..] else { panic!("two nodes") };
    let stranger = Did::web("stranger.example", None).unwrap();
    let of = || Wanted::of(&member.did);
    let twice = vec![member.did.to_string(), stranger.to_string()];
    let server_only = ExtendedKeyUsagePurpose::ServerAuth;
    for (what, by, wanted, expected) in [
        ("a member's", &authority, of(), taken()),
        ("of another authority", &other, of(), refused("certificate.issuer")),
        (
            "expired",
            &authority,
            Wanted { years: (2020, 2021), ..of() },
            refused("certificate.expired"),
        ),
        (
            "not valid yet",
            &authority,
            Wanted { years: (2090, 2096), ..of() },
            refused("certificate.early"),
        ),
        ("revoked", &authority, Wanted { serial: 13, ..of() }, refused("certificate.revoked")),
        (
            "a server's",
            &authority,
            Wanted { usage: server_only, ..of() },
            refused("certificate.purpose"),
        ),
        ("a stranger's", &authority, Wanted::of(&stranger), refused("members.stranger")),
        (
            "without a name",
            &authority,
            Wanted { uris: vec![], ..of() },
            refused("certificate.nameless"),
        ),
        ("of two", &authority, Wanted { uris: twice, ..of() }, refused("certificate.names")),
    ] {
        let shown = by.issue("shown", &wanted);
        let knocker = Knocker::new(&authority.file, Some(&shown));
        assert_eq!(knocker.knock(node, None).await, expected, "{what}");
        // What is for everybody stays for everybody, whatever somebody's browser shows.
        for path in ["/.well-known/did.json", "/healthz", "/api/v1/health"] {
            let url = format!("{}{path}", node.app.identity.public_url);
            assert_eq!(knocker.0.get(url).send().await.unwrap().status(), 200, "{what} {path}");
        }
    }
    // A chain that goes nowhere costs us nothing, one that is needlessly complete is taken.
    for (roots, expected) in [(1, taken()), (9, refused("certificate.invalid"))] {
        let (cert, key) = authority.issue("long", &of());
        let root = std::fs::read_to_string(&authority.file).unwrap();
        let chain = std::fs::read_to_string(&cert).unwrap() + &root.repeat(roots);
        private(&cert, &chain);
        let long = Knocker::new(&authority.file, Some(&(cert, key)));
        assert_eq!(long.knock(node, None).await, expected, "{roots}");
    }
    let nobody = Knocker::new(&authority.file, None);
    assert_eq!(nobody.knock(node, None).await, refused("certificate.missing"));
    // A token that would open a node of the mode `did` opens nothing here.
    let bearer = auth::bearer(&member.app.identity, &node.did, &member.app.clock);
    assert_eq!(nobody.knock(node, Some(&bearer)).await, refused("certificate.missing"));
    // Every door of the protocols and of our own profile, with an error in the form of that door.
    for (path, kind) in [
        ("/catalog/request", "CatalogError"),
        ("/negotiations/request", "ContractNegotiationError"),
        ("/transfers/request", "TransferError"),
        ("/tidm/1/leases/returned", "Error"),
        ("/tidm/1/contracts/ended", "Error"),
    ] {
        let (status, error) =
            nobody.post(&format!("{}{path}", node.base()), None, &catalog()).await;
        assert_eq!((status, &error["@type"]), (404, &kind.into()), "{path}: {error}");
        assert_eq!(error["code"], "certificate.missing", "{path}");
        let reason = error["reason"][0].as_str().unwrap();
        assert!(reason.contains("authority of the space") && reason.contains("证书"), "{reason}");
    }
    let lease = format!("{}/tidm/1/leases/request", node.base());
    let (status, error) = nobody.post(&lease, None, &json!({})).await;
    assert!(status == 404 && error.to_string().contains("certificate.missing"), "{error}");
}

/// The authority of one space is nobody to another, and whoever shows two faces has none.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_another() {
    let (world, authority) = world(3, "").await;
    let [provider, consumer, third] = &world.nodes[..] else { panic!("three nodes") };
    let product = world.published("d.csv", &csv(), limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let shown = authority.issue("third", &Wanted::of(&third.did));
    let knocker = Knocker::new(&authority.file, Some(&shown));
    // The pids are right, the contract is real, and the sender is who it is.
    let page = provider.app.store.negotiations(None, 10).await.unwrap();
    let negotiation = page.rows.into_iter().find(|it| it.peer == consumer.did).unwrap();
    let url = format!("{}/negotiations/{}/termination", provider.base(), negotiation.id);
    let termination = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "ContractNegotiationTerminationMessage", "@id": "urn:uuid:0190b6a0-0000-7000-8000-000000000001",
        "providerPid": negotiation.id.as_str(), "consumerPid": negotiation.peer_pid.as_ref().unwrap().as_str(),
        "code": "1", "reason": ["in the name of another"],
    });
    assert_eq!(knocker.post(&url, None, &termination).await.0, 404);
    let own = format!("{}/negotiations/{}", provider.base(), negotiation.id);
    assert_eq!(knocker.0.get(own).send().await.unwrap().status(), 404);
    let ended = json!({
        "@type": "ContractEnded", "@id": "urn:uuid:0190b6a0-0000-7000-8000-000000000002",
        "contract": contract.id.as_str(), "why": "agreed", "reason": "in the name of another",
    });
    let url = format!("{}/tidm/1/contracts/ended", provider.base());
    let (status, _) = knocker.post(&url, None, &ended).await;
    assert!((400..500).contains(&status), "{status}");
    let kept = provider.app.store.contract(&contract.id).await.unwrap().unwrap();
    assert!(kept.is_active(), "{kept:?}");
    // A token beside the certificate is nothing to a node that asks for certificates alone.
    let bearer = auth::bearer(&consumer.app.identity, &provider.did, &consumer.app.clock);
    assert_eq!(knocker.knock(provider, Some(&bearer)).await, taken());
}

/// A connector of others, whose certificate does not carry its DID, is known by what the operator wrote down.
#[tokio::test(flavor = "multi_thread")]
async fn operators_write_down_whose_certificate_is_whose() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, names) = (Authority::new(dir.path(), "ca"), dir.path().join("names"));
    let foreign = Did::named("CONNECTOR").unwrap();
    let wanted =
        || Wanted { uris: vec![], hosts: vec!["edge.example".to_owned()], ..Wanted::of(&foreign) };
    let shown = authority.issue("foreign", &wanted());
    let other =
        authority.issue("other", &Wanted { hosts: vec!["other.example".to_owned()], ..wanted() });
    let pinned = authority.issue("pinned", &Wanted { hosts: vec![], ..wanted() });
    let der = {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_file(&pinned.0).unwrap()
    };
    std::fs::write(&names, format!("CONNECTOR dns:edge.example\nSECOND sha256:{}\n", sha256(&der)))
        .unwrap();
    let more = format!("client_names = \"{}\"\n", names.display());
    let world = World::planned(1, |plan, at| {
        // The second is registered and no member.
        let list = plan.list("own.jws", &[&plan.dids[0], &foreign], 0);
        text(plan, at, &authority, &more)
            .replace(&plan.list.display().to_string(), &list.display().to_string())
    })
    .await;
    let node = world.provider();
    let knock =
        async |pair: &Pair| Knocker::new(&authority.file, Some(pair)).knock(node, None).await;
    assert_eq!(knock(&shown).await, taken());
    assert_eq!(knock(&other).await, refused("certificate.nameless"));
    assert_eq!(knock(&pinned).await, refused("members.stranger"));
}

/// Both sides go on while one of them changes its certificate, and the old one is worth nothing from then on, also on
/// connections that are open.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let crl = dir.path().join("revoked.crl");
    let more = format!("client_crls = [\"{}\"]\n", crl.display());
    let authority = Authority::new(dir.path(), "ca");
    authority.revoke(&crl, &[], 2096);
    let world = World::planned(2, |plan, at| text(plan, at, &authority, &more)).await;
    let [provider, consumer] = &world.nodes[..] else { panic!("two nodes") };
    let product = world.published("d.csv", &csv(), limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    // Somebody holds a copy of the old certificate and its key, and a connection that is open.
    let stolen =
        authority.issue("stolen", &Wanted { serial: serial(1), ..Wanted::of(&consumer.did) });
    let thief = Knocker::new(&authority.file, Some(&stolen));
    assert_eq!(thief.knock(provider, None).await, taken());
    let resuming = Knocker::resuming(&authority.file, &stolen);
    for _ in 0..2 {
        assert_eq!(
            resuming.knock(provider, None).await,
            taken(),
            "a resumed session names its client, too"
        );
    }

    let renewed = Wanted { serial: 8, years: (2020, 2095), ..Wanted::of(&consumer.did) };
    authority.issue("node1", &renewed);
    let ends = || async {
        let ends = consumer.app.tls.as_ref().unwrap().ends().unwrap().to_string();
        ends.starts_with("2095").then_some(())
    };
    eventually("the renewed certificate in use", ends).await;
    authority.revoke(&crl, &[serial(1), 99], 2096);
    let refused_now = || async {
        (thief.knock(provider, None).await == refused("certificate.revoked")).then_some(())
    };
    eventually("the old certificate refused on its open connection", refused_now).await;
    assert_eq!(resuming.knock(provider, None).await, refused("certificate.revoked"));
    world.delivered(&contract, Use::Plain).await;
    let (url, asked) = (format!("{}/catalog/request", provider.base()), catalog().to_string());
    let answer = consumer.app.client.call(Method::POST, &url, None, Some(asked)).await;
    assert_eq!(answer.unwrap().status, 200);

    // Half a change is none: a key that is not the certificate's, a list that cannot be read.
    std::fs::write(&crl, "nothing").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(4500)).await;
    assert_eq!(
        thief.knock(provider, None).await,
        refused("certificate.revoked"),
        "the last good list stands"
    );
    // A list that has ended refuses everybody whom it is about.
    authority.revoke(&crl, &[serial(1)], 2025);
    let unchecked = || async {
        (thief.knock(provider, None).await == refused("certificate.unchecked")).then_some(())
    };
    eventually("a list that has ended", unchecked).await;
}

/// Whose own certificate is refused is told by whom and why, and that it is its own operator who has to act.
#[tokio::test(flavor = "multi_thread")]
async fn whose_certificate_is_refused_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, other) =
        (Authority::new(dir.path(), "ca"), Authority::new(dir.path(), "other"));
    let world = World::planned(2, |plan, at| {
        let (cert, key) = authority.issue(&format!("client{at}"), &Wanted::of(&plan.dids[at]));
        let (cert, key) = (cert.display(), key.display());
        text(plan, at, &authority, &format!("client_cert = \"{cert}\"\nclient_key = \"{key}\"\n"))
    })
    .await;
    let [provider, consumer] = &world.nodes[..] else { panic!("two nodes") };
    let product = world.published("q.csv", &csv(), limited(5), &[Use::Query, Use::Plain]).await;
    let contract = world.agreed(&product).await;
    other.issue("client1", &Wanted { years: (2020, 2095), ..Wanted::of(&consumer.did) });
    let ends = || async {
        let ends = consumer.app.tls.as_ref().unwrap().ends().unwrap().to_string();
        ends.starts_with("2095").then_some(())
    };
    eventually("another certificate in use", ends).await;
    let sql = "SELECT line, count(*) AS n FROM data GROUP BY line";
    let refused = fault(query_at_provider(&consumer.app, &contract.id, sql, None).await);
    let told = refused.to_string();
    assert_eq!(refused.code(), "peer.certificate", "{told}");
    assert!(told.contains(provider.did.as_str()) && told.contains("certificate.issuer"), "{told}");
    // The journal of a transfer says it at the first try, while it is still tried again.
    let format = Use::Plain.format().to_owned();
    let wish = TransferWish {
        id: None,
        contract: contract.id.clone(),
        address: None,
        format,
        push_to: None,
    };
    consumer.wish(Wish::Fetch(Box::new(wish))).await;
    let journal = || async {
        let page = consumer.app.store.transfers(None, 10).await.unwrap();
        let about =
            About::Transfer(page.rows.into_iter().find(|it| it.contract == contract.id)?.id);
        let said = consumer.app.store.messages(&about, 10).await.unwrap();
        said.into_iter().find(|it| it.reason.contains("certificate.issuer"))
    };
    assert_eq!(eventually("the reason in the journal", journal).await.status, Some(404));
}
