//! Chains of certificates in PEM. One form: markers on lines of their own, base64 between them, nothing else but one
//! zero at the very end, which quotes have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::appraisal::Reason;
use crate::limits;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----\n";
const END: &str = "-----END CERTIFICATE-----";

/// Exactly `N` certificates in DER.
pub(crate) fn chain<const N: usize>(pem: &[u8]) -> Result<[Vec<u8>; N], Reason> {
    let text = std::str::from_utf8(pem).map_err(|_| Reason::BadCertificate)?;
    let mut rest = text.strip_suffix('\0').unwrap_or(text);
    let mut out = Vec::new();
    while !rest.is_empty() {
        let body = rest.strip_prefix(BEGIN).ok_or(Reason::BadCertificate)?;
        let (body, after) = body.split_once(END).ok_or(Reason::BadCertificate)?;
        if body.len() > limits::CERTIFICATE * 3 / 2 || out.len() == N {
            return Err(Reason::BadCertificate);
        }
        let der = STANDARD.decode(body.replace('\n', "")).map_err(|_| Reason::BadCertificate)?;
        out.push(der);
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.try_into().map_err(|_| Reason::BadCertificate)
}
