//! TLS between nodes: version 1.3 only, certificates from PEM files, one extra CA beside the public roots.
//!
//! Threat model: the network is hostile. Nothing older than TLS 1.3 is spoken, a private key that others
//! on this machine can read is refused, and a client never accepts an unverified certificate: there is no
//! switch for it. Resumption is on (tickets of one hour rotated by rustls' ticketer, 0-RTT off: a replayed
//! request must not be possible). A server that asks for certificates takes any whose key the client holds, or none:
//! [`crate::net::certificates`] says at each message what it is worth.
//!
//! [`demo_ca`] makes throw-away certificates for `localhost`; its CA key is dropped, so nobody can
//! issue a second set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage};

use tidm_space::time::Time;

/// Sessions a client remembers: one per peer, and spaces have hundreds of members.
const CLIENT_SESSIONS: usize = 1024;

/// Why TLS cannot be set up; always the operator's files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {why}; check that the file exists and is PEM", path = .0.display(), why = .1)]
    Unreadable(PathBuf, String),
    #[error("{path} holds no certificate; put the chain there, leaf first", path = .0.display())]
    Empty(PathBuf),
    #[error("{path} can be read by others on this machine; run chmod 600", path = .0.display())]
    Exposed(PathBuf),
    #[error("certificate and key do not work: {0}; make sure that they belong together")]
    Rejected(#[from] rustls::Error),
    #[error("cannot make demo certificates: {0}")]
    Demo(String),
}

/// The one provider of this program, given explicitly so that no global default decides.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The public web's roots, for nodes with public certificates.
pub fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// For listening. `alpn` such as `http/1.1`, best first.
pub fn server(cert: &Path, key: &Path, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    listening(cert, key, alpn, None)
}

/// The same, which asks clients for a certificate of an authority named in `hints`.
pub fn server_asking(
    cert: &Path,
    key: &Path,
    alpn: &[&str],
    hints: Vec<DistinguishedName>,
) -> Result<Arc<ServerConfig>, TlsError> {
    listening(cert, key, alpn, Some(Asking { hints, provider: provider() }))
}

fn listening(
    cert: &Path,
    key: &Path,
    alpn: &[&str],
    asking: Option<Asking>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(cert)?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let config = match asking {
        Some(asking) => config.with_client_cert_verifier(Arc::new(asking)),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, private_key(key)?)?;
    config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Asks for a certificate, takes any whose key the client proves to hold, and lets who has none pass.
#[derive(Debug)]
struct Asking {
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    /// RFC 8446 §4.4.3: over the whole handshake, so that it is good for this connection alone.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What we listen with at this moment; connections that are open keep what they began with.
#[derive(Debug)]
pub struct Listening(RwLock<Arc<ServerConfig>>);

impl Listening {
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(RwLock::new(config))
    }

    pub fn now(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// When the certificate in this file ends.
pub fn ends(path: &Path) -> Result<Time, TlsError> {
    let unreadable = |why: String| TlsError::Unreadable(path.to_owned(), why);
    let chain = certificates(path)?;
    let leaf = chain.first().ok_or_else(|| TlsError::Empty(path.to_owned()))?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|why| unreadable(why.to_string()))?;
    // Its time is looked at before anything else, and at the end of all times it is over.
    let never = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::MAX >> 8));
    let found = leaf.verify_for_usage(&[], &[], &[], never, KeyUsage::client_auth(), None, None);
    match found {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            let ms = i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
            Ok(Time::from_ms(ms))
        }
        Err(why) => Err(unreadable(why.to_string())),
        Ok(_) => Err(unreadable("it never ends".to_owned())),
    }
}

/// For calling others: `roots` (public ones, from whoever calls) and the certificates of `ca`.
pub fn client(roots: RootCertStore, ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    client_showing(roots, ca, None)
}

/// The same, which shows the certificate (chain, key) to servers that ask for one.
pub fn client_showing(
    roots: RootCertStore,
    ca: Option<&Path>,
    certificate: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = roots;
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots.add(certificate)?;
        }
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let mut config = match certificate {
        Some((cert, key)) => {
            config.with_client_auth_cert(certificates(cert)?, private_key(key)?)?
        }
        None => config.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::in_memory_sessions(CLIENT_SESSIONS);
    Ok(Arc::new(config))
}

pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why: String| TlsError::Unreadable(path.to_owned(), why);
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|e| unreadable(e.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|e| unreadable(e.to_string()))?;
    if chain.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path)
        .map_err(|e| TlsError::Unreadable(path.to_owned(), e.to_string()))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(TlsError::Exposed(path.to_owned()));
    }
    PrivateKeyDer::from_pem_file(path)
        .map_err(|e| TlsError::Unreadable(path.to_owned(), e.to_string()))
}

/// Where [`demo_ca`] put its files.
#[derive(Clone, Debug)]
pub struct DemoFiles {
    pub ca: PathBuf,
    /// One `(certificate, key)` per name asked for, in that order.
    pub leaves: Vec<(PathBuf, PathBuf)>,
}

/// A fresh CA and one leaf per name, all for `localhost`, `127.0.0.1` and `::1`. Existing files are replaced.
pub fn demo_ca(dir: &Path, names: &[&str]) -> Result<DemoFiles, TlsError> {
    let demo = |e: rcgen::Error| TlsError::Demo(e.to_string());
    let write = |name: String, text: &str| {
        write_private(&dir.join(name), text).map_err(|e| TlsError::Demo(e.to_string()))
    };
    std::fs::create_dir_all(dir).map_err(|e| TlsError::Demo(e.to_string()))?;

    let mut params = CertificateParams::new(Vec::new()).map_err(demo)?;
    params.distinguished_name.push(DnType::CommonName, "tidm demo CA (throw away)");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca =
        CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(demo)?).map_err(demo)?;

    let mut leaves = Vec::new();
    for name in names {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(hosts).map_err(demo)?;
        params.distinguished_name.push(DnType::CommonName, *name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(demo)?;
        let leaf = params.signed_by(&key, &ca).map_err(demo)?;
        leaves.push((
            write(format!("{name}.crt"), &leaf.pem())?,
            write(format!("{name}.key"), &key.serialize_pem())?,
        ));
    }
    Ok(DemoFiles { ca: write("ca.crt".into(), &ca.pem())?, leaves })
}

fn write_private(path: &Path, text: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let partial = path.with_extension("partial");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn talk(
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
    ) -> std::io::Result<rustls::HandshakeKind> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let serve = async {
            let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(far).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        };
        let call = async {
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = tokio_rustls::TlsConnector::from(client).connect(name, near).await?;
            let mut said = String::new();
            stream.read_to_string(&mut said).await?;
            assert_eq!(said, "hello");
            assert_eq!(
                stream.get_ref().1.protocol_version(),
                Some(rustls::ProtocolVersion::TLSv1_3)
            );
            Ok(stream.get_ref().1.handshake_kind().unwrap())
        };
        let (served, called) = tokio::join!(serve, call);
        called.and_then(|it| served.map(|()| it))
    }

    #[tokio::test]
    async fn demo_certificates_work_resume_and_others_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let files = demo_ca(&dir.path().join("a"), &["provider", "consumer"]).unwrap();
        let other = demo_ca(&dir.path().join("b"), &["provider"]).unwrap();
        let (cert, key) = &files.leaves[1];
        let listening = server(cert, key, &["http/1.1"]).unwrap();
        let caller = client(RootCertStore::empty(), Some(&files.ca)).unwrap();
        assert_eq!(
            talk(listening.clone(), caller.clone()).await.unwrap(),
            rustls::HandshakeKind::Full
        );
        assert_eq!(talk(listening.clone(), caller).await.unwrap(), rustls::HandshakeKind::Resumed);
        let stranger = client(RootCertStore::empty(), Some(&other.ca)).unwrap();
        assert!(talk(listening, stranger).await.is_err());
        assert!(matches!(server(cert, &other.leaves[0].1, &[]), Err(TlsError::Rejected(_))));
    }

    #[test]
    fn exposed_and_missing_files_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let files = demo_ca(dir.path(), &["n"]).unwrap();
        let (cert, key) = &files.leaves[0];
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(server(cert, key, &[]), Err(TlsError::Exposed(_))));
        assert!(matches!(server(Path::new("/none"), key, &[]), Err(TlsError::Unreadable(..))));
        std::fs::write(dir.path().join("empty"), "no pem here").unwrap();
        assert!(matches!(server(&dir.path().join("empty"), key, &[]), Err(TlsError::Empty(_))));
    }
}
