//! Who calls: a system that the configuration names, by a signature over this very call (`signValue`).
//!
//! Decision: the standard leaves authentication to NDI-TR-2025-03 8.2, whose headers are all demanded here, and names no
//! form of signature: it is a compact JWS with `kid`, of the algorithm of its key. Never a default yes, and a stranger
//! learns nothing but that it is one.

use axum::http::HeaderMap;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws::Unverified;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::limits::TC609_SIGNATURE_CHARS;
use tidm_space::tc609::code::NodeCode;
use tidm_space::tc609::message::{Envelope, Interface, SIGNATURE_TYPE};
use tidm_space::wire::json;
use tidm_space::wire::tc609::message::covered;

use super::Call;
use crate::app::App;
use crate::jobs::tc609::connector;

/// Milliseconds that a call may be old, or ahead (T13 7.4: replays are found by time and number).
const WINDOW_MS: i64 = 5 * 60 * 1000;

/// A system of ours, or the connector of a partner.
pub(super) struct Caller {
    pub(super) code: NodeCode,
    pub(super) did: Did,
    key: VerifyingKey,
}

pub(super) async fn enter(
    app: &App,
    interface: Interface,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Caller, Envelope), Fault> {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let value = header("signValue").ok_or_else(|| stranger("no signValue"))?;
    let parsed = Unverified::parse(value).map_err(|_| stranger("signValue is no JWS"))?;
    let kid = parsed.header.kid.clone().ok_or_else(|| stranger("signValue names no key"))?;
    let did = kid.split('#').next().and_then(|it| Did::parse(it).ok());
    let tc609 = &app.config.tc609;
    // A proof comes from the other side's connector; nothing else does.
    let partners = if interface == Interface::Proof { tc609.partners.as_slice() } else { &[] };
    let known = did.and_then(|did| tc609.callers.iter().chain(partners).find(|(_, it)| *it == did));
    let (code, did) = known.ok_or_else(|| stranger("not one of tc609.callers"))?;
    let key = match app.directory.key(did, Some(&kid)).await {
        Ok(key) => key,
        Err(why) if why.code() == "unavailable" => return Err(why),
        Err(_) => return Err(stranger("its key is not known")),
    };
    let names = ["msgcode", "msgversion", "timestamp", "sequenceNum"];
    // An envelope that cannot be read was not signed by anybody.
    let envelope =
        Envelope::read(interface, names.map(header)).map_err(|why| stranger(&why.to_string()))?;
    let expected = connector(app).map(|me| envelope.signed_bytes(me, sha256(body)));
    if !expected.is_ok_and(|it| signs(&parsed, Envelope::TYPE, &key, &it)) {
        return Err(stranger("signValue is not over this call"));
    }
    if (app.clock.now().ms() - envelope.at.ms()).abs() > WINDOW_MS {
        let why = "header timestamp: more than five minutes from this node's clock";
        return Err(Fault::misbehaved("tc609.envelope", why));
    }
    Ok((Caller { code: code.clone(), did: did.clone(), key }, envelope))
}

fn signs(jws: &Unverified, typ: &str, key: &VerifyingKey, payload: &[u8]) -> bool {
    jws.header.typ.as_deref() == Some(typ) && jws.verify(key).is_ok_and(|it| it == payload)
}

/// The member `signature` of the body, over the rest of it.
pub(super) fn check_member(call: &Call<'_>) -> Result<(), Fault> {
    let body = json::parse(call.body)?;
    let said = body.get("signature").and_then(|it| it.as_str()).unwrap_or_default();
    let payload = covered(call.body, "signature")?;
    call.caller.signed(said, &payload)
}

impl Caller {
    /// Whether this signature under a contract or a message is the caller's, over these bytes.
    pub(super) fn signed(&self, jws: &str, payload: &[u8]) -> Result<(), Fault> {
        let parsed = Unverified::parse_within(jws, TC609_SIGNATURE_CHARS);
        if parsed.is_ok_and(|it| signs(&it, SIGNATURE_TYPE, &self.key, payload)) {
            return Ok(());
        }
        let why = "signature: not a compact JWS (typ tc609-contract+jws) of yours over what it stands under";
        Err(Fault::misbehaved("tc609.signature", why))
    }
}

fn stranger(why: &str) -> Fault {
    Fault::denied("tc609.caller", "tc609.callers", why)
}
