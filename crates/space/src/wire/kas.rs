//! OpenTDF's key access service (`kas.AccessService`, v2): what a client asks in its signed request token, and
//! what it is answered for each key access object, as JSON and as protobuf.
//!
//! Never decides. Threat model: the request is a stranger's; lists and texts are bounded, names must not occur
//! twice. The policy in it is what the client says and is believed by nobody: it only names a contract.
//!
//! | method path | in | out |
//! |---|---|---|
//! | POST `/kas/v2/rewrap` | `{"signedRequestToken": …}` | 200 with a result for each object |
//! | GET `/kas/v2/kas_public_key` | `?algorithm=ec:secp256r1` | `{"publicKey": …, "kid": …}` |
//! | POST `/kas.AccessService/Rewrap`, `…/PublicKey` | the same in protobuf (Connect) | the same |
//!
//! Deviations from the published protocol: NanoTDF headers are not served; RSA keys are not offered for
//! wrapping to this service, `ec:secp256r1` is.

pub mod proto;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::token::date;
use crate::lease::rewrap::Obligation;
use crate::limits::{KAS_OBJECTS, KAS_POLICIES, KAS_REQUEST_BYTES};
use crate::time::Time;
use crate::wire::json::{Fields, bounded, malformed};

/// In the policy of a file of ours: `urn:tidm:contract:` and the contract's id.
pub const CONTRACT_ATTRIBUTE: &str = "urn:tidm:contract:";
/// Metadata of a refused object: what would help.
const OBLIGATIONS: &str = "X-Required-Obligations";

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// PEM of the key that shares are to be wrapped to.
    pub client_key: String,
    pub policies: Vec<PolicyAsk>,
    /// One object in the older shape: its key stands at the top of the answer, too.
    pub legacy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAsk {
    pub id: String,
    /// Base64, as the manifest spells it: this text is bound.
    pub body: String,
    pub objects: Vec<ObjectAsk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectAsk {
    pub id: String,
    /// `wrapped` or `ec-wrapped`.
    pub kind: String,
    pub wrapped_key: Vec<u8>,
    /// Base64 of the policy binding.
    pub binding: String,
    /// PEM, with `ec-wrapped`.
    pub ephemeral: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// PEM of our one-time key, where the client's is elliptic.
    pub session_key: Option<String>,
    pub legacy: bool,
    pub policies: Vec<(String, Vec<(String, Outcome)>)>,
}

/// The share, wrapped to the client's key, or why not.
pub type Outcome = Result<Vec<u8>, Refusal>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Our code and reason.
    pub error: String,
    /// Names of obligations, as the protocol writes them.
    pub obligations: Vec<String>,
}

/// Reads `{"signedRequestToken": …}`.
pub fn read_body(body: &[u8]) -> Result<String, Fault> {
    let value = document(body)?;
    Ok(Fields::top(&value)?.text("signedRequestToken")?.to_owned())
}

/// Reads the payload of a signed request token that holds `now`.
pub fn read_token(payload: &[u8], now: Time) -> Result<Ask, Fault> {
    let value = document(payload)?;
    let exp = value.as_object().and_then(|it| date(it, "exp"));
    if exp.is_none_or(|it| it <= now) {
        return Err(malformed("a signed request that ended, or says not when it ends"));
    }
    let inner = document(Fields::top(&value)?.text("requestBody")?.as_bytes())?;
    let top = Fields::top(&inner)?;
    let client_key = top.text("clientPublicKey")?.to_owned();
    if let Some(access) = top.object_opt("keyAccess")? {
        let objects = vec![object("0", &access)?];
        let body = top.text("policy")?.to_owned();
        let policies = vec![PolicyAsk { id: "policy".to_owned(), body, objects }];
        return Ok(Ask { client_key, policies, legacy: true });
    }
    let all = top.array("requests")?;
    if all.is_empty() || all.len() > KAS_POLICIES {
        return Err(top.wrong("requests", format!("1 to {KAS_POLICIES} are taken")));
    }
    let policies = all.iter().map(policy).collect::<Result<_, _>>()?;
    Ok(Ask { client_key, policies, legacy: false })
}

fn document(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.len() > KAS_REQUEST_BYTES {
        return Err(malformed("a request for keys that is too long"));
    }
    crate::wire::json::parse(bytes)
}

fn policy(value: &Value) -> Result<PolicyAsk, Fault> {
    let it = Fields::at(value, "requests")?;
    let policy = it.object("policy")?;
    let all = it.array("keyAccessObjects")?;
    if all.is_empty() || all.len() > KAS_OBJECTS {
        return Err(it.wrong("keyAccessObjects", format!("1 to {KAS_OBJECTS} are taken")));
    }
    let objects = all.iter().map(|value| {
        let it = Fields::at(value, "keyAccessObjects")?;
        object(it.short_text("keyAccessObjectId")?, &it.object("keyAccessObject")?)
    });
    Ok(PolicyAsk {
        id: policy.short_text("id")?.to_owned(),
        body: policy.text("body")?.to_owned(),
        objects: objects.collect::<Result<_, _>>()?,
    })
}

fn object(id: &str, it: &Fields<'_>) -> Result<ObjectAsk, Fault> {
    let wrapped = STANDARD.decode(it.text("wrappedKey")?);
    // The binding is its hash, or an object that holds it.
    let binding = match it.get("policyBinding") {
        Some(Value::Object(_)) => it.object("policyBinding")?.text("hash")?.to_owned(),
        Some(_) | None => it.text("policyBinding")?.to_owned(),
    };
    Ok(ObjectAsk {
        id: id.to_owned(),
        kind: it.text_opt("type")?.or(it.text_opt("keyType")?).unwrap_or("wrapped").to_owned(),
        wrapped_key: wrapped.map_err(|_| it.wrong("wrappedKey", "not base64"))?,
        binding,
        ephemeral: it.text_opt("ephemeralPublicKey")?.map(str::to_owned),
    })
}

/// The contract that a policy of ours names; it is looked up, never believed.
pub fn contract_of(body: &str) -> Result<Id, Fault> {
    let unknown = || Fault::refused("kas.policy", "the policy names no contract of this service");
    let text = STANDARD.decode(body).map_err(|_| unknown())?;
    let value = document(&text)?;
    let attributes = value.pointer("/body/dataAttributes").and_then(Value::as_array);
    let mut named = attributes.into_iter().flatten().filter_map(|it| {
        it.get("attribute").and_then(Value::as_str)?.strip_prefix(CONTRACT_ATTRIBUTE)
    });
    match (named.next(), named.next()) {
        (Some(one), None) => Id::parse(one).map_err(|_| unknown()),
        (_, _) => Err(unknown()),
    }
}

/// The policy document of a file sealed under `contract` for `recipient`.
pub fn policy_document(contract: &Id, recipient: &str) -> String {
    json!({
        "uuid": contract.as_str(),
        "body": {
            "dataAttributes": [{ "attribute": format!("{CONTRACT_ATTRIBUTE}{contract}") }],
            "dissem": [recipient],
        },
    })
    .to_string()
}

/// Why an object is refused. `base` is the service's address: obligations are named below it, and no answer of a
/// client fulfils them: the purpose comes with the access token, the rest is done elsewhere.
pub fn refusal(fault: &Fault, owed: &[Obligation], base: &str) -> Refusal {
    let name = |it: &Obligation| match it {
        Obligation::Purpose(word) => format!("{base}/obl/purpose/value/{word}"),
        Obligation::Node => format!("{base}/obl/open-with/value/node"),
        Obligation::Contract => format!("{base}/obl/agree/value/contract"),
    };
    Refusal {
        error: bounded(&format!("{}: {fault}", fault.code())),
        obligations: owed.iter().map(name).collect(),
    }
}

/// The answer as JSON.
pub fn write(it: &Answer) -> String {
    let mut doc = Map::new();
    if let Some(key) = &it.session_key {
        doc.insert("sessionPublicKey".to_owned(), json!(key));
    }
    if let Some(key) = it.entity_key() {
        doc.insert("entityWrappedKey".to_owned(), json!(STANDARD.encode(key)));
    }
    let policies = it.policies.iter().map(|(id, results)| {
        let results: Vec<Value> = results.iter().map(|(id, it)| result(id, it)).collect();
        json!({ "policyId": id, "results": results })
    });
    doc.insert("responses".to_owned(), policies.collect());
    Value::Object(doc).to_string()
}

fn result(id: &str, it: &Outcome) -> Value {
    match it {
        Ok(key) => json!({
            "keyAccessObjectId": id, "status": "permit", "kasWrappedKey": STANDARD.encode(key),
        }),
        Err(no) if no.obligations.is_empty() => json!({
            "keyAccessObjectId": id, "status": "fail", "error": no.error,
        }),
        Err(no) => json!({
            "keyAccessObjectId": id, "status": "fail", "error": no.error,
            "metadata": { OBLIGATIONS: no.obligations },
        }),
    }
}

impl Answer {
    /// The key of the only object, where the request had the older shape.
    fn entity_key(&self) -> Option<&[u8]> {
        let (_, results) = self.policies.first().filter(|_| self.legacy)?;
        results.first()?.1.as_deref().ok()
    }
}

/// The public key as JSON.
pub fn write_public_key(pem: &str, kid: &str) -> String {
    json!({ "publicKey": pem, "kid": kid }).to_string()
}

/// An error of the whole request, as Connect writes it. `status` is the HTTP status that goes with it.
pub fn write_error(status: u16, fault: &Fault) -> String {
    let code = match status {
        400 => "invalid_argument",
        401 => "unauthenticated",
        403 => "permission_denied",
        404 => "not_found",
        503 => "unavailable",
        _ => "internal",
    };
    json!({ "code": code, "message": bounded(&format!("{}: {fault}", fault.code())) }).to_string()
}

#[cfg(test)]
mod tests;
