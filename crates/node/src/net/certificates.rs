//! What a client's certificate is worth: whom it names, as far as a space's authorities vouch for it now.
//!
//! The handshake proves one thing alone: who shows a certificate holds its key ([`crate::tls::Asking`]). Chain, time,
//! purpose and revocation are looked at here, at each message, and for three reasons. A connection lives longer than
//! what it began with: a certificate may end, be revoked or lose its authority while it is open, and a resumed session
//! carries the certificate of the first one. A person's browser may hold a certificate that is nothing to us and must
//! still reach `/api`. And who is refused is told why, which an alert of TLS does not do.
//!
//! Threat model: certificates of other authorities, of the wrong purpose, expired, not valid yet, revoked; forged
//! names (only what an authority signed is read); an authority of one space that vouches for a member of another
//! (each space believes its own authorities alone). A revocation list that is missing or has expired refuses, as
//! everywhere here: whoever holds the list back keeps nobody a member. Naming a member is not being one: membership
//! is asked for afterwards, by [`super::auth`]. What is not defended against: an authority that lies about its own
//! space's members, and a member whose key was stolen before anybody revoked its certificate.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName, RootCertStore};
use webpki::EndEntityCert;

use tidm_crypto::hash::sha256;
use tidm_space::fault::Fault;
use tidm_space::identity::certificate::{Names, Register};
use tidm_space::identity::did::Did;
use tidm_space::time::Time;
use tidm_space::wire::dsp::error;

use crate::config::Authorities;
use crate::tls;

/// The file of names is written by hand or by an operator's script: a line has some 100 bytes, and
/// [`tidm_space::limits::CERTIFICATE_LINES`] of them fit.
const NAMES_BYTES: u64 = 4 << 20;
/// Revocation lists of large authorities have some megabytes; they are parsed at each change of the file.
const CRL_BYTES: u64 = 16 << 20;

/// Certificates of one chain, the leaf included: a root, an authority of the space, one of a site, and one to spare. Each
/// more would let a stranger have us verify more signatures per request.
const CHAIN: usize = 5;

/// What the client of a connection showed, leaf first. It holds the leaf's key; nothing else is known.
#[derive(Debug)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// `None` where nothing was shown.
    pub fn of(shown: Option<&[CertificateDer<'static>]>) -> Option<Arc<Self>> {
        let shown = shown.filter(|it| !it.is_empty())?;
        Some(Arc::new(Self(shown.to_vec())))
    }
}

/// Those who vouch for the members of one space.
#[derive(Debug)]
pub struct Certificates {
    files: Authorities,
    /// Replaced when a file changes; the last good one stands.
    trust: RwLock<Arc<Trust>>,
}

/// Files that were read and work.
#[derive(Debug)]
pub struct Read(Arc<Trust>);

#[derive(Debug)]
struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    register: Register,
}

impl Certificates {
    pub fn open(files: &Authorities) -> anyhow::Result<Self> {
        let trust = RwLock::new(Arc::new(Trust::read(files)?));
        Ok(Self { files: files.clone(), trust })
    }

    /// What the files say now; nothing changes before it is taken.
    pub fn read(&self) -> anyhow::Result<Read> {
        Ok(Read(Arc::new(Trust::read(&self.files)?)))
    }

    pub fn take(&self, read: Read) {
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = read.0;
    }

    /// Files whose change matters.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let Authorities { ca, crls, names } = &self.files;
        std::iter::once(ca).chain(crls).chain(names).map(std::path::PathBuf::as_path)
    }

    /// What a server tells clients, so that they know whether they have something to show.
    pub fn hints(&self) -> Vec<DistinguishedName> {
        self.trust().verifier.root_hint_subjects().to_vec()
    }

    /// Whom the certificate names, if it is worth anything now.
    ///
    /// # Errors
    /// [`Fault::Denied`] `certificate.…`.
    pub fn judge(&self, shown: &Chain, now: Time) -> Result<Did, Fault> {
        let trust = self.trust();
        let Some((leaf, more)) = shown.0.split_first() else { return Err(missing()) };
        if shown.0.len() > CHAIN {
            return Err(denied(
                "certificate.invalid",
                "its chain is longer than five: show the leaf and what leads to the space's authority \
                 / 证书链超过五张:请只出示叶证书及通向空间 CA 的证书",
            ));
        }
        let now = UnixTime::since_unix_epoch(Duration::from_millis(now.ms().unsigned_abs()));
        trust.verifier.verify_client_cert(leaf, more, now).map_err(|why| refused(&why))?;
        trust.register.participant(&names(leaf)?)
    }

    fn trust(&self) -> Arc<Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Trust {
    fn read(files: &Authorities) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in tls::certificates(&files.ca)? {
            let shown = files.ca.display();
            roots.add(certificate).with_context(|| format!("{shown} holds no authority"))?;
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(roots.into(), tls::provider());
        if !files.crls.is_empty() {
            let mut crls = Vec::new();
            for path in &files.crls {
                crls.extend(revocations(path)?);
            }
            // Strict: a leaf whose authority published no list, or only one that has ended, is refused.
            builder = builder
                .with_crls(crls)
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration();
        }
        let verifier = builder.build().with_context(|| files.ca.display().to_string())?;
        let register = match &files.names {
            Some(path) => {
                let text = String::from_utf8(bounded(path, NAMES_BYTES)?);
                let text = text.with_context(|| format!("{} is no text", path.display()))?;
                Register::parse(&text).with_context(|| path.display().to_string())?
            }
            None => Register::default(),
        };
        Ok(Self { verifier, register })
    }
}

fn revocations(path: &Path) -> anyhow::Result<Vec<CertificateRevocationListDer<'static>>> {
    let bytes = bounded(path, CRL_BYTES)?;
    let found = CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.with_context(|| format!("the revocation list {}", path.display()))?;
    anyhow::ensure!(!found.is_empty(), "{} holds no revocation list (PEM)", path.display());
    Ok(found)
}

fn bounded(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let found = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    anyhow::ensure!(found <= most, "{shown} is larger than {most} bytes");
    std::fs::read(path).with_context(|| format!("cannot read {shown}"))
}

/// The alternative names of a certificate whose chain was verified.
fn names(leaf: &CertificateDer<'_>) -> Result<Names, Fault> {
    let read = EndEntityCert::try_from(leaf);
    let read =
        read.map_err(|_| denied("certificate.invalid", "it cannot be read / 证书无法解析"))?;
    Ok(Names {
        uris: read.valid_uri_names().map(str::to_owned).collect(),
        hosts: read.valid_dns_names().map(str::to_owned).collect(),
        digest: Some(sha256(leaf)),
    })
}

/// The refusal of who shows nothing.
pub fn missing() -> Fault {
    denied(
        "certificate.missing",
        "this node asks for a client certificate on this path and none was shown: connect with the one that an \
         authority of the space issued to you / 此路径需要客户端证书:请使用空间 CA 签发给贵方的证书建立连接",
    )
}

fn refused(why: &rustls::Error) -> Fault {
    use CertificateError as Why;
    let rustls::Error::InvalidCertificate(why) = why else {
        return denied("certificate.invalid", "it cannot be verified / 证书无法验证");
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open, and what is new is refused"
    )]
    let (code, reason) = match why {
        Why::Expired | Why::ExpiredContext { .. } => (
            "certificate.expired",
            "it has expired: renew it with the authority that issued it / 证书已过期:请向签发 CA 更新",
        ),
        Why::NotValidYet | Why::NotValidYetContext { .. } => (
            "certificate.early",
            "it is not valid yet: compare the clocks / 证书尚未生效:请核对双方时钟",
        ),
        Why::Revoked => (
            "certificate.revoked",
            "its authority revoked it: get a new one / 证书已被吊销:请重新申领",
        ),
        Why::UnknownRevocationStatus
        | Why::ExpiredRevocationList
        | Why::ExpiredRevocationListContext { .. } => (
            "certificate.unchecked",
            "this node has no current revocation list of its authority: its operator has to get one \
             / 本节点没有该 CA 的有效吊销列表:请本节点运营方更新",
        ),
        Why::UnknownIssuer => (
            "certificate.issuer",
            "no authority of this space issued it: show the one that you got for this space \
             / 签发者不是本空间的 CA:请使用为本空间签发的证书",
        ),
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => (
            "certificate.purpose",
            "it is not for clients: it needs the extended key usage clientAuth \
             / 证书用途不是客户端认证:扩展密钥用法须含 clientAuth",
        ),
        _ => (
            "certificate.invalid",
            "it cannot be verified: ask the authority that issued it / 证书无法验证:请联系签发 CA",
        ),
    };
    denied(code, reason)
}

/// What a peer's refusal of our own certificate is to our caller: its words, and that our operator has to act.
pub fn refused_by(peer: &Did, answer: &[u8]) -> Option<Fault> {
    let (code, reason) = error::read(answer);
    let code = code.filter(|it| it.starts_with("certificate."))?;
    let reason = reason.join("; ");
    Some(Fault::refused("peer.certificate", format!("{peer} says [{code}]: {reason}")))
}

fn denied(code: &'static str, reason: &str) -> Fault {
    Fault::denied(code, "certificate", reason)
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, SanType,
    };

    use super::*;

    const MEMBER: &str = "did:web:plant.example";

    /// An authority's file, and a certificate of that authority for [`MEMBER`].
    fn issued(dir: &Path) -> (Authorities, CertificateDer<'static>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca = dir.join("ca.crt");
        std::fs::write(&ca, issuer.pem()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(MEMBER.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (Authorities { ca, crls: Vec::new(), names: None }, leaf.der().clone())
    }

    fn now() -> Time {
        crate::clock::Clock::default().now()
    }

    /// Whatever becomes of a certificate's bytes, nobody else is named, and nothing panics.
    #[test]
    fn no_bytes_but_the_authoritys_are_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (files, good) = issued(dir.path());
        let it = Certificates::open(&files).unwrap();
        let judge = |der: Vec<u8>| it.judge(&Chain(vec![der.into()]), now());
        assert_eq!(judge(good.to_vec()).unwrap().as_str(), MEMBER);
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut der = good.to_vec();
                der[at] ^= flip;
                let told = judge(der).map_err(|it| it.code());
                assert!(told.is_err_and(|it| it.starts_with("certificate.")), "byte {at} ^ {flip}");
            }
            assert!(judge(good[..at].to_vec()).is_err(), "cut off at {at}");
        }
        let mut longer = good.to_vec();
        longer.push(0);
        for der in [longer, vec![], vec![0x30; 4096], good.repeat(2)] {
            assert!(judge(der).is_err());
        }
        assert_eq!(it.judge(&Chain(vec![]), now()).unwrap_err().code(), "certificate.missing");
        // Another authority of the same name is another.
        let other = tempfile::tempdir().unwrap();
        let (_, of_other) = issued(other.path());
        assert!(judge(of_other.to_vec()).is_err());
    }

    /// A file that cannot be used is named when the node starts, and changes nothing when it comes later.
    #[test]
    fn files_that_are_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (files, good) = issued(dir.path());
        let path = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let (nothing, line) =
            (path("nothing", "nothing"), path("names", "did:web:a plant.example\n"));
        for (wrong, told) in [
            (Authorities { ca: nothing.clone(), ..files.clone() }, "nothing"),
            (Authorities { ca: dir.path().join("none"), ..files.clone() }, "none"),
            (Authorities { crls: vec![nothing], ..files.clone() }, "nothing"),
            (Authorities { crls: vec![files.ca.clone()], ..files.clone() }, "revocation list"),
            (Authorities { names: Some(line), ..files.clone() }, "line 1"),
            (Authorities { names: Some(dir.path().join("none")), ..files.clone() }, "none"),
        ] {
            let why = format!("{:#}", Certificates::open(&wrong).unwrap_err());
            assert!(why.contains(told), "{why}");
        }
        let it = Certificates::open(&files).unwrap();
        std::fs::write(&files.ca, "nothing").unwrap();
        assert!(it.read().is_err());
        assert_eq!(it.judge(&Chain(vec![good]), now()).unwrap().as_str(), MEMBER);
    }
}
