//! Intel's collateral: two signed JSON texts (TCB info, identity of the quoting enclave) and two revocation lists.
//!
//! The signatures cover the texts byte by byte, so each is checked over the string as it stands in the set, and read
//! only afterwards. Each has its time. Lists cover Intel's root and the authority above the platform's key.
//!
//! Threat model: a set may be the prover's. What counts is the signature of "Intel SGX TCB Signing", issued by the pinned
//! root and not revoked. Unknown members are passed over (Intel adds some); a doubled known member refuses.

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pck;
use crate::appraisal::Reason;
use crate::x509::{Certificate, Revocations, Window};
use crate::{pem, time};

const SIGNER: &str = "Intel SGX TCB Signing";

/// A set, as outside tools write it.
#[derive(Deserialize)]
pub(super) struct Set {
    #[serde(with = "hexadecimal")]
    pub(super) root_ca_crl: Vec<u8>,
    #[serde(with = "hexadecimal")]
    pub(super) pck_crl: Vec<u8>,
    pub(super) pck_crl_issuer_chain: String,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    #[serde(with = "hexadecimal")]
    tcb_info_signature: Vec<u8>,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    #[serde(with = "hexadecimal")]
    qe_identity_signature: Vec<u8>,
}

/// The set's signed texts.
pub(super) struct Signed {
    pub(super) levels: TcbInfo,
    pub(super) quoter: Identity,
    /// When both hold.
    pub(super) window: Window,
}

impl Set {
    pub(super) fn parse(json: &[u8]) -> Result<Self, Reason> {
        serde_json::from_slice(json).map_err(|_| Reason::BadCollateral)
    }

    /// Checks the signatures over the texts at `now`; what else the lists revoke is for the caller.
    pub(super) fn read(&self, revoked: &Revocations<'_>, now: u64) -> Result<Signed, Reason> {
        let [levels, quoter] = [
            (&self.tcb_info, &self.tcb_info_signature, &self.tcb_info_issuer_chain),
            (&self.qe_identity, &self.qe_identity_signature, &self.qe_identity_issuer_chain),
        ];
        check(levels, revoked, now)?;
        // The same certificate signs both; checking it once is enough.
        if quoter.2 == levels.2 {
            signed_by(quoter.0, quoter.1, &pem::chain::<2>(quoter.2.as_bytes())?)?;
        } else {
            check(quoter, revoked, now)?;
        }
        let levels: TcbInfo = read(levels.0)?;
        let quoter: Identity = read(quoter.0)?;
        let windows = [
            span(&levels.issue_date, &levels.next_update)?,
            span(&quoter.issue_date, &quoter.next_update)?,
        ];
        if windows.iter().any(|it| !it.holds(now)) {
            return Err(Reason::CollateralOutOfDate);
        }
        let [a, b] = windows;
        let window = Window { from: a.from.max(b.from), until: a.until.min(b.until) };
        Ok(Signed { levels, quoter, window })
    }
}

type Text<'a> = (&'a String, &'a Vec<u8>, &'a String);

fn check(
    (text, signature, chain): Text<'_>,
    revoked: &Revocations<'_>,
    now: u64,
) -> Result<(), Reason> {
    let chain = pem::chain::<2>(chain.as_bytes())?;
    let [signer, root] = &chain;
    let (signer, root) = (Certificate::parse(signer)?, pck::root(root)?);
    revoked.is_issued_by(&root, now)?;
    signer.is_issued_by(&root, now)?;
    revoked.admit(&signer)?;
    if signer.common_name() != Some(SIGNER) || signer.is_authority() {
        return Err(Reason::OtherKeyKind);
    }
    signed_by(text, signature, &chain)
}

fn signed_by(text: &str, signature: &[u8], [signer, _]: &[Vec<u8>; 2]) -> Result<(), Reason> {
    let signer = Certificate::parse(signer)?;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.key());
    key.verify(text.as_bytes(), signature).map_err(|_| Reason::NotProven)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Reason> {
    serde_json::from_str(text).map_err(|_| Reason::BadCollateral)
}

fn span(from: &str, until: &str) -> Result<Window, Reason> {
    let instant = |text| time::of_text(text).ok_or(Reason::BadCollateral);
    Ok(Window { from: instant(from)?, until: instant(until)? })
}

/// The levels of one family of platforms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TcbInfo {
    pub(super) id: String,
    pub(super) version: u8,
    issue_date: String,
    next_update: String,
    #[serde(with = "exactly")]
    pub(super) fmspc: [u8; 6],
    #[serde(with = "exactly")]
    pub(super) pce_id: [u8; 2],
    pub(super) tcb_type: u8,
    pub(super) tcb_levels: Vec<TcbLevel>,
    pub(super) tdx_module: Option<Module>,
    #[serde(default)]
    pub(super) tdx_module_identities: Vec<ModuleVersion>,
}

#[derive(Deserialize)]
pub(super) struct TcbLevel {
    pub(super) tcb: Components,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
}

/// What Intel says of a level.
#[derive(Clone, Deserialize)]
pub(super) struct Verdict {
    #[serde(rename = "tcbDate")]
    pub(super) date: String,
    #[serde(rename = "tcbStatus")]
    pub(super) status: String,
    #[serde(rename = "advisoryIDs", default)]
    pub(super) advisories: Vec<String>,
}

/// The least versions of a level.
#[derive(Deserialize)]
pub(super) struct Components {
    #[serde(rename = "sgxtcbcomponents")]
    pub(super) sgx: [Component; 16],
    #[serde(rename = "tdxtcbcomponents")]
    pub(super) tdx: Option<[Component; 16]>,
    pub(super) pcesvn: u16,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Component {
    pub(super) svn: u8,
}

/// Who may have signed the TDX module, and its attributes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Module {
    #[serde(with = "exactly")]
    pub(super) mrsigner: [u8; 48],
    #[serde(with = "exactly")]
    pub(super) attributes: [u8; 8],
    #[serde(with = "exactly")]
    pub(super) attributes_mask: [u8; 8],
}

/// The same for one major version of the module, with the levels of its minor ones.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleVersion {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) module: Module,
    pub(super) tcb_levels: Vec<EnclaveLevel>,
}

/// Who the quoting enclave must be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) version: u8,
    issue_date: String,
    next_update: String,
    #[serde(with = "exactly")]
    pub(super) miscselect: [u8; 4],
    #[serde(with = "exactly")]
    pub(super) miscselect_mask: [u8; 4],
    #[serde(with = "exactly")]
    pub(super) attributes: [u8; 16],
    #[serde(with = "exactly")]
    pub(super) attributes_mask: [u8; 16],
    #[serde(with = "exactly")]
    pub(super) mrsigner: [u8; 32],
    pub(super) isvprodid: u16,
    pub(super) tcb_levels: Vec<EnclaveLevel>,
}

/// A level that one version number decides.
#[derive(Deserialize)]
pub(super) struct EnclaveLevel {
    pub(super) tcb: EnclaveVersion,
    #[serde(flatten)]
    pub(super) verdict: Verdict,
}

#[derive(Deserialize)]
pub(super) struct EnclaveVersion {
    pub(super) isvsvn: u16,
}

/// Bytes as hexadecimal text.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(D::Error::custom("an odd number of digits"));
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.ok_or_else(|| D::Error::custom("no hexadecimal digit"))
    }
}

/// A fixed number of bytes as hexadecimal text.
mod exactly {
    use serde::Deserializer;
    use serde::de::Error as _;

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        let bytes = super::hexadecimal::deserialize(from)?;
        bytes.try_into().map_err(|_| D::Error::custom("another length"))
    }
}
