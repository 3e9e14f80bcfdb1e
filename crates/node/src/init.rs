//! `tidm init`: a directory, keys, a commented configuration and the node's DID document.
//!
//! Threat model: the directory is made for its owner alone (0700) and keys come from the operating
//! system's randomness. Nothing that exists is ever overwritten: a second run completes what a crash
//! left and changes nothing else, since replacing an identity key would orphan every contract.
//!
//! Never a default password: the administrator is made by the one-time link at first start.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidm_crypto::secret::Secret;
use tidm_crypto::sign::{KeyKind, VerifyingKey};
use tidm_ledger::note::{self, VerifierKey};
use tidm_space::identity::did::Did;
use tidm_space::people::decide::SecondFactor;
use tidm_space::wire::dcp::CONTEXT;

use crate::config::{self, Config, ConfigError, template};
use crate::keys::{KeyError, Keys, directory::Directory};

/// Directory of keys inside the node's.
pub const KEYS: &str = "keys";
/// The DID document's file.
pub const DID_DOCUMENT: &str = "did.json";
/// Verifier keys for others: the log's, and the witness's for nodes whose log this one watches.
pub const LOG_VKEY: &str = "log.vkey";
pub const WITNESS_VKEY: &str = "witness.vkey";
/// Path of the Dataspace Protocol's 2025-1 endpoints below the public address.
pub const DSP_PATH: &str = "/dsp/2025-1";
/// Paths of DCP 1.0's services below the public address: our wallet and our issuer.
pub const WALLET_PATH: &str = "/dcp/1.0/wallet";
pub const ISSUER_PATH: &str = "/dcp/1.0/issuer";
/// Where the version document is (DSP §Exposure of Versions).
pub const VERSION_PATH: &str = "/.well-known/dspace-version";

/// What to set up.
pub struct Init<'a> {
    pub org: &'a str,
    pub credit_code: Option<&'a str>,
    pub dir: &'a Path,
    /// Name or address under which others reach the node.
    pub host: &'a str,
    pub port: u16,
    /// Seals the keys when given.
    pub passphrase: Option<&'a Secret<String>>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Files made now; empty at a second run.
    pub made: Vec<PathBuf>,
    /// Files that were there and stay as they are.
    pub kept: Vec<PathBuf>,
    pub did: String,
    pub public_url: String,
    /// Verifier key of the evidence log, for custodians.
    pub log_vkey: String,
    /// The file names another organisation than this call; the file wins.
    pub org_differs: bool,
    /// Others can reach the node, and its people are less guarded than they could be, as these settings say.
    pub unguarded: Vec<&'static str>,
}

#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, io::Error),
    #[error("the evidence log's name does not fit a verifier key: {0}; set evidence.origin")]
    Origin(#[from] note::NoteError),
}

/// Sets the node up, or completes what an earlier run began.
pub fn init(it: &Init<'_>) -> Result<Report, InitError> {
    let io_error = |path: &Path| {
        let path = path.to_owned();
        move |e| InitError::Io(path, e)
    };
    let path = it.dir.join(config::FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => configuration(it),
        Err(e) => return Err(InitError::Io(path, e)),
    };
    // Checked before anything is written: a wrong credit code leaves no trace.
    let config = Config::parse(it.dir, &text, &Default::default(), &[])?;

    fs::DirBuilder::new().recursive(true).mode(0o700).create(it.dir).map_err(io_error(it.dir))?;
    let keys_dir = it.dir.join(KEYS);
    let mut report = Report {
        made: Directory::create(&keys_dir, it.passphrase)?.files,
        kept: Vec::new(),
        did: config.node.did.to_string(),
        public_url: config.http.public_url.clone(),
        log_vkey: String::new(),
        org_differs: config.node.org != it.org.trim(),
        unguarded: unguarded(&config),
    };
    let keys = Directory::open(&keys_dir, it.passphrase)?;
    report.log_vkey = log_vkey(&config, &keys)?.to_string();
    let document =
        did_document(&config.node.did, &config.http.public_url, &keys.identity().verifying_key());
    let files = [
        (path, text),
        (it.dir.join(DID_DOCUMENT), format!("{document:#}\n")),
        (it.dir.join(LOG_VKEY), format!("{}\n", report.log_vkey)),
        (it.dir.join(WITNESS_VKEY), format!("{}\n", witness_vkey(&config, &keys)?)),
    ];
    for (path, text) in files {
        let made = create(&path, text.as_bytes()).map_err(io_error(&path))?;
        if made { report.made.push(path) } else { report.kept.push(path) }
    }
    Ok(report)
}

/// Protections of people that are off, where more than this machine reaches the node.
fn unguarded(config: &Config) -> Vec<&'static str> {
    let people = config.people.settings;
    let off = [
        (!people.separation, "people.separation"),
        (people.second_factor == SecondFactor::Off, "people.second_factor"),
    ];
    if config.http.listen.ip().is_loopback() {
        return Vec::new();
    }
    off.into_iter().filter_map(|(off, name)| off.then_some(name)).collect()
}

/// The log's verifier key; its name is the origin (C2SP tlog-checkpoint).
pub fn log_vkey(config: &Config, keys: &dyn Keys) -> Result<VerifierKey, note::NoteError> {
    verifier(&config.evidence.origin, note::KeyKind::Ed25519, &keys.log().verifying_key())
}

/// The witness's verifier key, published with type 0x04.
pub fn witness_vkey(config: &Config, keys: &dyn Keys) -> Result<VerifierKey, note::NoteError> {
    let name = witness_name(config);
    verifier(&name, note::KeyKind::Cosignature, &keys.witness().verifying_key())
}

/// Name of this node's witness in cosignatures: where it is, without scheme.
pub fn witness_name(config: &Config) -> String {
    let host = config
        .http
        .public_url
        .split_once("://")
        .map_or(config.http.public_url.as_str(), |(_, it)| it);
    format!("{host}/witness")
}

/// Signs cosignatures of others' checkpoints.
pub fn witness_signer(
    config: &Config,
    keys: &dyn Keys,
) -> Result<note::NoteSigner, note::NoteError> {
    note::NoteSigner::cosigner(&witness_name(config), keys.witness().to_secret_bytes().expose())
}

fn verifier(
    name: &str,
    kind: note::KeyKind,
    key: &VerifyingKey,
) -> Result<VerifierKey, note::NoteError> {
    debug_assert_eq!(key.kind(), KeyKind::Ed25519);
    let bytes = key.to_bytes().try_into().map_err(|_| note::NoteError::Misuse)?;
    VerifierKey::new(name, kind, &bytes)
}

/// Id of the verification method: the key's thumbprint, so that a new key gets a new id.
pub fn key_id(did: &Did, key: &VerifyingKey) -> String {
    let print: String =
        key.thumbprint().as_bytes().iter().take(8).map(|it| format!("{it:02x}")).collect();
    format!("{did}#{print}")
}

/// The node's DID document (DID Core 1.0, JsonWebKey2020, service entries of DSP 2025-1 and DCP 1.0).
pub fn did_document(did: &Did, public_url: &str, key: &VerifyingKey) -> Value {
    let id = key_id(did, key);
    let mut jwk = key.to_jwk();
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".to_owned(), id.clone().into());
    }
    json!({
        "@context": [
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/suites/jws-2020/v1",
            "https://w3id.org/dspace/2025/1/context.jsonld",
            CONTEXT
        ],
        "id": did.as_str(),
        "verificationMethod": [{ "id": id, "type": "JsonWebKey2020", "controller": did.as_str(), "publicKeyJwk": jwk }],
        "authentication": [id],
        "assertionMethod": [id],
        "capabilityInvocation": [id],
        "service": [
            { "id": format!("{did}#catalog"), "type": "CatalogService", "serviceEndpoint": format!("{public_url}{DSP_PATH}") },
            { "id": format!("{did}#dsp"), "type": "DataService", "serviceEndpoint": format!("{public_url}{VERSION_PATH}") },
            { "id": format!("{did}#wallet"), "type": "CredentialService", "serviceEndpoint": format!("{public_url}{WALLET_PATH}") },
            { "id": format!("{did}#issuer"), "type": "IssuerService", "serviceEndpoint": format!("{public_url}{ISSUER_PATH}") }
        ]
    })
}

/// The file's text for a fresh node. On loopback it speaks plain HTTP; elsewhere it names where TLS files go.
fn configuration(it: &Init<'_>) -> String {
    let address: Option<std::net::IpAddr> = it.host.trim_matches(['[', ']']).parse().ok();
    let loopback = it.host == "localhost" || address.is_some_and(|it| it.is_loopback());
    let listen = match address {
        Some(address) => std::net::SocketAddr::new(address, it.port).to_string(),
        None if loopback => format!("127.0.0.1:{}", it.port),
        None => format!("0.0.0.0:{}", it.port),
    };
    let host = match address {
        Some(std::net::IpAddr::V6(v6)) => format!("[{v6}]"),
        Some(std::net::IpAddr::V4(_)) | None => it.host.to_owned(),
    };
    let quoted = template::quoted;
    let mut set = vec![("node.org", quoted(it.org.trim())), ("http.listen", quoted(&listen))];
    if let Some(code) = it.credit_code {
        set.push(("node.credit_code", quoted(code)));
    }
    if loopback {
        set.push(("http.public_url", quoted(&format!("http://{host}:{}", it.port))));
        set.push(("http.insecure_http", "true".to_owned()));
    } else {
        let port = if it.port == 443 { String::new() } else { format!(":{}", it.port) };
        set.push(("http.public_url", quoted(&format!("https://{host}{port}"))));
        set.push(("http.tls_cert", quoted("tls/node.crt")));
        set.push(("http.tls_key", quoted("tls/node.key")));
    }
    template::render(&set)
}

/// Makes a file that is not there, durable and whole; `false` if it was there.
fn create(path: &Path, text: &[u8]) -> io::Result<bool> {
    if path.try_exists()? {
        return Ok(false);
    }
    let partial = path.with_extension("partial");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn example(dir: &Path) -> Init<'_> {
        Init {
            org: "某某公司",
            credit_code: Some("91350100M000100Y43"),
            dir,
            host: "localhost",
            port: 9000,
            passphrase: None,
        }
    }

    fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                all.extend(snapshot(&path));
            } else {
                drop(all.insert(path.clone(), fs::read(&path).unwrap()));
            }
        }
        all
    }

    #[test]
    fn a_second_run_changes_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("node");
        let first = init(&example(&dir)).unwrap();
        assert_eq!((first.made.len(), first.kept.len()), (7, 0), "{first:?}");
        assert!(first.unguarded.is_empty(), "a trial on one machine");
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(
            (first.did.as_str(), first.public_url.as_str()),
            ("did:web:localhost%3A9000", "http://localhost:9000")
        );
        let before = snapshot(&dir);
        let other = Init { org: "Another", ..example(&dir) };
        let second = init(&other).unwrap();
        assert!(second.made.is_empty() && second.org_differs && !first.org_differs);
        assert_eq!(second.log_vkey, first.log_vkey);
        assert_eq!(snapshot(&dir), before);
        let config = Config::load(&dir, [], &[]).unwrap();
        assert_eq!(config.node.org, "某某公司");
    }

    #[test]
    fn who_can_be_reached_by_others_is_told_what_is_off() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("node");
        let asked = Init { host: "node.example.com", ..example(&dir) };
        let names = ["people.separation", "people.second_factor"];
        assert_eq!(init(&asked).unwrap().unguarded, names);
        let path = dir.join(config::FILE);
        let text = fs::read_to_string(&path).unwrap();
        let (off, on) = ("#second_factor = \"off\"", "second_factor = \"everybody\"");
        assert!(text.contains(off));
        fs::write(&path, text.replace(off, on)).unwrap();
        assert_eq!(init(&asked).unwrap().unguarded, names[..1]);
    }

    #[test]
    fn leftovers_are_completed_at_every_point() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole");
        init(&example(&whole)).unwrap();
        for missing in snapshot(&whole).keys() {
            let bytes = fs::read(missing).unwrap();
            fs::remove_file(missing).unwrap();
            let report = init(&example(&whole)).unwrap();
            assert_eq!(report.made, std::slice::from_ref(missing));
            // All but fresh keys come back the same.
            if missing.extension().is_none_or(|it| it != "key") {
                assert_eq!(fs::read(missing).unwrap(), bytes, "{missing:?}");
            } else {
                fs::write(missing, bytes).unwrap();
            }
        }
    }

    #[test]
    fn a_wrong_setting_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("node");
        for bad in [
            Init { credit_code: Some("1"), ..example(&dir) },
            Init { org: " ", ..example(&dir) },
            Init { host: "a b", ..example(&dir) },
        ] {
            assert!(matches!(init(&bad), Err(InitError::Config(_))));
            assert!(!dir.exists());
        }
    }

    #[test]
    fn beyond_loopback_tls_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        for (host, port, url, listen) in [
            ("node.example.com", 443, "https://node.example.com", "0.0.0.0:443"),
            ("10.0.0.7", 8443, "https://10.0.0.7:8443", "10.0.0.7:8443"),
            ("::1", 8443, "http://[::1]:8443", "[::1]:8443"),
        ] {
            let dir = dir.path().join(host);
            // A DID with an IPv6 literal is outside did:web's grammar: such a node names its DID itself.
            let done = init(&Init { host, port, ..example(&dir) });
            if host == "::1" {
                assert!(matches!(done, Err(InitError::Config(e)) if e.key == "node.did"));
                continue;
            }
            assert_eq!(done.unwrap().public_url, url);
            let config = Config::load(&dir, [], &[]).unwrap();
            assert_eq!(config.http.listen.to_string(), listen);
            assert!(matches!(config.http.security, config::Security::Tls { .. }));
        }
    }

    #[test]
    fn the_did_document_names_key_and_services() {
        let keys = crate::keys::memory::Memory::new().unwrap();
        let did = Did::parse("did:web:a.example").unwrap();
        let it = did_document(&did, "https://a.example", &keys.identity().verifying_key());
        let method = &it["verificationMethod"][0];
        assert_eq!(method["publicKeyJwk"]["crv"], "P-256");
        assert!(method["publicKeyJwk"].get("d").is_none());
        for use_ in ["authentication", "assertionMethod", "capabilityInvocation"] {
            assert_eq!(it[use_][0], method["id"]);
        }
        assert_eq!(
            it["service"][1]["serviceEndpoint"],
            "https://a.example/.well-known/dspace-version"
        );
        assert_eq!(
            VerifyingKey::from_jwk(&method["publicKeyJwk"]).unwrap().to_bytes(),
            keys.identity().verifying_key().to_bytes()
        );
    }
}
