//! Credentials, presentations and status lists as JWT, in both data models (VC 1.1 §6.3.1; VC-JOSE-COSE §3.1).
//!
//! Never verifies: what is read here is a claim. The two models are told apart by what they hold: 1.1 has a
//! `vc` or `vp` claim, 2.0 is the payload itself and says so in the header's `typ`. Where a JWT claim and a
//! property of the document state the same thing, they must agree; of two dates the stricter one counts.

use serde_json::{Map, Value, json};
use tidm_crypto::jws::Unverified;

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::credential::list::{Bits, List};
use crate::identity::credential::{Credential, Profile, Purpose, Status, Subject};
use crate::identity::did::Did;
use crate::identity::presentation::Presentation;
use crate::identity::token::date;
use crate::limits::{
    CREDENTIAL_BYTES, CREDENTIAL_PARTS, MESSAGE_BYTES, PRESENTATION_LIFE, PRESENTED, TITLE_BYTES,
};
use crate::time::Time;
use crate::wire::json::{Fields, parse};

const V1: &str = "https://www.w3.org/2018/credentials/v1";
const V2: &str = "https://www.w3.org/ns/credentials/v2";
const LIST_2021: &str = "https://w3id.org/vc/status-list/2021/v1";
/// VC-JOSE-COSE §3.2.1: an enveloped credential inside a presentation.
const ENVELOPE: &str = "data:application/vc+jwt,";

/// `typ` of a credential of that model.
pub fn credential_typ(profile: Profile) -> &'static str {
    match profile {
        Profile::Vc11 => "JWT",
        Profile::Vc20 => "vc+jwt",
    }
}

pub fn presentation_typ(profile: Profile) -> &'static str {
    match profile {
        Profile::Vc11 => "JWT",
        Profile::Vc20 => "vp+jwt",
    }
}

fn token(text: &str, most: usize) -> Result<(Unverified, Value), Fault> {
    let token = Unverified::parse_within(text, most)
        .map_err(|why| Fault::misbehaved("credential.malformed", why.to_string()))?;
    let payload = parse(token.unproven_payload())?;
    Ok((token, payload))
}

fn typ_is(token: &Unverified, wanted: &str) -> Result<(), Fault> {
    let typ = token.header.typ.as_deref().unwrap_or_default();
    if typ.strip_prefix("application/").unwrap_or(typ).eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Fault::misbehaved("credential.malformed", format!("the token's typ is not {wanted}")))
}

/// A credential, unproven.
pub fn credential(text: &str) -> Result<(Unverified, Credential), Fault> {
    let (token, payload) = token(text, CREDENTIAL_BYTES)?;
    let claims = Fields::top(&payload)?;
    let read = match claims.object_opt("vc")? {
        Some(vc) => read_credential(Profile::Vc11, &payload, &vc)?,
        None => {
            typ_is(&token, credential_typ(Profile::Vc20))?;
            read_credential(Profile::Vc20, &payload, &claims)?
        }
    };
    Ok((token, read))
}

fn read_credential(
    profile: Profile,
    payload: &Value,
    vc: &Fields<'_>,
) -> Result<Credential, Fault> {
    let claims = Fields::top(payload)?;
    let map = payload.as_object();
    let context = match profile {
        Profile::Vc11 => V1,
        Profile::Vc20 => V2,
    };
    if !vc.values("@context").iter().any(|it| it.as_str() == Some(context)) {
        return Err(vc.wrong("@context", format!("should hold {context}")));
    }
    let issuer = named(vc, "issuer")?;
    let (begin, end) = match profile {
        Profile::Vc11 => (Some(vc.time("issuanceDate")?), vc.time_opt("expirationDate")?),
        Profile::Vc20 => (vc.time_opt("validFrom")?, vc.time_opt("validUntil")?),
    };
    // VC 1.1 §6.3.1: "iss MUST represent the issuer property"; VC-JOSE-COSE §3.1.3 lets it be left out.
    let iss = match (claims.text_opt("iss")?, profile) {
        (Some(iss), _) => Some(iss),
        (None, Profile::Vc11) => return Err(claims.wrong("iss", "missing")),
        (None, Profile::Vc20) => None,
    };
    if iss.is_some_and(|it| it != issuer) {
        return Err(claims.wrong("iss", "not the credential's issuer"));
    }
    let subjects = read_subjects(&claims, vc)?;
    Ok(Credential {
        profile,
        id: match vc.text_opt("id")? {
            Some(id) => Some(short(vc, "id", id)?),
            None => claims.text_opt("jti")?.map(|id| short(&claims, "jti", id)).transpose()?,
        },
        kinds: kinds(vc)?,
        issuer: Did::parse(issuer).map_err(|why| vc.wrong("issuer", why))?,
        subjects,
        from: begin.max(instant(&claims, map, "nbf")?),
        until: sooner(end, instant(&claims, map, "exp")?),
        statuses: each(vc, "credentialStatus")?
            .iter()
            .map(read_status)
            .collect::<Result<_, _>>()?,
        schemas: each(vc, "credentialSchema")?
            .iter()
            .map(|it| Ok(Fields::at(it, "credentialSchema")?.text("id")?.to_owned()))
            .collect::<Result<_, Fault>>()?,
    })
}

/// Text, or an object with an `id`.
fn named<'a>(it: &Fields<'a>, name: &str) -> Result<&'a str, Fault> {
    match it.get(name) {
        Some(Value::Object(_)) => it.object(name)?.text("id"),
        _ => it.text(name),
    }
}

fn short(it: &Fields<'_>, name: &str, text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > TITLE_BYTES || text.chars().any(char::is_control) {
        return Err(it.wrong(name, "empty or too long"));
    }
    Ok(text.to_owned())
}

fn kinds(it: &Fields<'_>) -> Result<Vec<String>, Fault> {
    let all = each(it, "type")?;
    let text = |one: &Value| match one.as_str() {
        Some(text) => short(it, "type", text),
        None => Err(it.wrong("type", "not a text")),
    };
    let all: Vec<String> = all.iter().map(text).collect::<Result<_, _>>()?;
    if all.is_empty() { Err(it.wrong("type", "missing")) } else { Ok(all) }
}

fn each<'a>(it: &Fields<'a>, name: &str) -> Result<&'a [Value], Fault> {
    let all = it.values(name);
    if all.len() > CREDENTIAL_PARTS {
        return Err(it.wrong(name, format!("more than {CREDENTIAL_PARTS}")));
    }
    Ok(all)
}

fn instant(
    it: &Fields<'_>,
    map: Option<&Map<String, Value>>,
    name: &str,
) -> Result<Option<Time>, Fault> {
    if it.get(name).is_none() {
        return Ok(None);
    }
    match map.and_then(|map| date(map, name)) {
        Some(at) => Ok(Some(at)),
        None => Err(it.wrong(name, "not a time")),
    }
}

fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn read_subjects(claims: &Fields<'_>, vc: &Fields<'_>) -> Result<Vec<Subject>, Fault> {
    let sub = claims.text_opt("sub")?;
    let mut subjects = Vec::new();
    for value in each(vc, "credentialSubject")? {
        let it = Fields::at(value, "credentialSubject")?;
        let id = it.text_opt("id")?.or(sub);
        // VC 1.1 §6.3.1: "sub MUST represent the id property contained in the credentialSubject".
        if sub.is_some() && id != sub {
            return Err(claims.wrong("sub", "not the credential's subject"));
        }
        let claims = value.as_object().cloned().unwrap_or_default();
        subjects.push(Subject { id: id.map(str::to_owned), claims });
    }
    if subjects.is_empty() { Err(vc.wrong("credentialSubject", "missing")) } else { Ok(subjects) }
}

fn read_status(value: &Value) -> Result<Status, Fault> {
    let it = Fields::at(value, "credentialStatus")?;
    let unknown = |what: &str| {
        Fault::incompatible("status.kind", format!("a credential status: {what} is not known here"))
    };
    match it.text("type")? {
        "BitstringStatusListEntry" | "StatusList2021Entry" => {}
        _ => return Err(unknown("its type")),
    }
    if it.get("statusSize").is_some_and(|size| size.as_u64() != Some(1)) {
        return Err(unknown("a size other than one bit"));
    }
    let purpose =
        Purpose::from_word(it.text("statusPurpose")?).ok_or_else(|| unknown("its purpose"))?;
    let index = match it.get("statusListIndex") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    Ok(Status {
        list: short(&it, "statusListCredential", it.text("statusListCredential")?)?,
        index: index.ok_or_else(|| it.wrong("statusListIndex", "not a whole number"))?,
        purpose,
    })
}

/// The payload of a credential that we issue. Reads back as what was given.
pub fn write_credential(it: &Credential) -> Value {
    let context = match it.profile {
        Profile::Vc11 => json!([V1]),
        Profile::Vc20 => json!([V2]),
    };
    let subjects = it.subjects.iter().map(|it| Value::Object(it.claims.clone())).collect();
    let mut vc = Map::new();
    vc.insert("@context".to_owned(), context);
    vc.insert("type".to_owned(), it.kinds.clone().into());
    vc.insert("issuer".to_owned(), it.issuer.as_str().into());
    vc.insert("credentialSubject".to_owned(), compact(subjects));
    let (begin, end) = match it.profile {
        Profile::Vc11 => ("issuanceDate", "expirationDate"),
        Profile::Vc20 => ("validFrom", "validUntil"),
    };
    let text = |time: Option<Time>| time.map(|it| Value::String(it.to_string()));
    for (name, value) in
        [("id", it.id.clone().map(Value::String)), (begin, text(it.from)), (end, text(it.until))]
    {
        if let Some(value) = value {
            vc.insert(name.to_owned(), value);
        }
    }
    let statuses: Vec<Value> = it.statuses.iter().map(|s| write_status(it.profile, s)).collect();
    let schemas: Vec<Value> =
        it.schemas.iter().map(|it| json!({"id": it, "type": "JsonSchema"})).collect();
    for (name, all) in [("credentialStatus", statuses), ("credentialSchema", schemas)] {
        if !all.is_empty() {
            vc.insert(name.to_owned(), compact(all));
        }
    }
    match it.profile {
        Profile::Vc20 => {
            vc.insert("iss".to_owned(), it.issuer.as_str().into());
            Value::Object(vc)
        }
        Profile::Vc11 => {
            let mut claims = Map::new();
            claims.insert("iss".to_owned(), it.issuer.as_str().into());
            if let [Subject { id: Some(id), .. }] = it.subjects.as_slice() {
                claims.insert("sub".to_owned(), id.clone().into());
            }
            if let Some(id) = &it.id {
                claims.insert("jti".to_owned(), id.clone().into());
            }
            for (name, time) in [("nbf", it.from), ("exp", it.until)] {
                if let Some(time) = time {
                    claims.insert(name.to_owned(), time.seconds().into());
                }
            }
            claims.insert("vc".to_owned(), Value::Object(vc));
            Value::Object(claims)
        }
    }
}

/// One value stands for a list of one: wallets of other makers read no list there.
fn compact(mut all: Vec<Value>) -> Value {
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            all.extend(last);
            all.into()
        }
    }
}

fn write_status(profile: Profile, it: &Status) -> Value {
    let kind = match profile {
        Profile::Vc11 => "StatusList2021Entry",
        Profile::Vc20 => "BitstringStatusListEntry",
    };
    json!({
        "id": format!("{}#{}", it.list, it.index), "type": kind, "statusPurpose": it.purpose.word(),
        "statusListIndex": it.index.to_string(), "statusListCredential": it.list,
    })
}

/// A presentation, unproven.
pub fn presentation(text: &str) -> Result<(Unverified, Presentation), Fault> {
    let (token, payload) = token(text, MESSAGE_BYTES)?;
    let claims = Fields::top(&payload)?;
    let map = payload.as_object();
    let (profile, vp) = match claims.object_opt("vp")? {
        Some(vp) => (Profile::Vc11, vp),
        None => {
            typ_is(&token, presentation_typ(Profile::Vc20))?;
            (Profile::Vc20, claims.clone())
        }
    };
    if !kinds(&vp)?.iter().any(|it| it == "VerifiablePresentation") {
        return Err(vp.wrong("type", "should hold VerifiablePresentation"));
    }
    let holder = match (claims.text_opt("iss")?, vp.get("holder").is_some()) {
        (Some(iss), true) if named(&vp, "holder")? != iss => {
            return Err(claims.wrong("iss", "not the presentation's holder"));
        }
        (Some(iss), _) => iss,
        (None, true) if profile == Profile::Vc20 => named(&vp, "holder")?,
        (None, _) => return Err(claims.wrong("iss", "missing")),
    };
    if claims.text_opt("sub")?.is_some_and(|it| it != holder) {
        return Err(claims.wrong("sub", "not the presentation's holder"));
    }
    let audience = claims.values("aud").iter().map(|it| it.as_str().map(str::to_owned));
    let audience: Option<Vec<String>> = audience.collect();
    let shown = vp.values("verifiableCredential");
    if shown.len() > PRESENTED {
        return Err(vp.wrong("verifiableCredential", format!("more than {PRESENTED}")));
    }
    let it = Presentation {
        profile,
        id: claims.id_opt("jti")?,
        holder: Did::parse(holder).map_err(|why| claims.wrong("iss", why))?,
        audience: audience.ok_or_else(|| claims.wrong("aud", "not a text"))?,
        from: instant(&claims, map, "nbf")?.max(instant(&claims, map, "iat")?),
        until: instant(&claims, map, "exp")?,
        credentials: shown
            .iter()
            .map(|it| enveloped(profile, it).map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| {
                Fault::incompatible(
                    "presentation.format",
                    "a presentation holds a credential that is no JWT of its data model",
                )
            })?,
    };
    Ok((token, it))
}

fn enveloped(profile: Profile, value: &Value) -> Option<&str> {
    match profile {
        Profile::Vc11 => value.as_str(),
        Profile::Vc20 => value.get("id")?.as_str()?.strip_prefix(ENVELOPE),
    }
}

/// The payload of a presentation that we make for `audience`.
pub fn write_presentation(
    profile: Profile,
    holder: &Did,
    audience: &Did,
    jti: &Id,
    now: Time,
    credentials: &[String],
) -> Value {
    let mut claims = json!({
        "iss": holder.as_str(), "sub": holder.as_str(), "aud": audience.as_str(), "jti": jti.as_str(),
        "iat": now.seconds(), "nbf": now.seconds(), "exp": now.after(PRESENTATION_LIFE).seconds(),
    });
    let vp = match profile {
        Profile::Vc11 => json!({"vp": {
            "@context": [V1], "type": ["VerifiablePresentation"], "holder": holder.as_str(),
            "verifiableCredential": credentials,
        }}),
        Profile::Vc20 => {
            let envelope = |it: &String| json!({"@context": V2, "type": "EnvelopedVerifiableCredential", "id": format!("{ENVELOPE}{it}")});
            json!({
                "@context": [V2], "type": ["VerifiablePresentation"], "holder": holder.as_str(),
                "verifiableCredential": credentials.iter().map(envelope).collect::<Vec<_>>(),
            })
        }
    };
    if let (Some(claims), Value::Object(vp)) = (claims.as_object_mut(), vp) {
        claims.extend(vp);
    }
    claims
}

/// A status list credential, unproven: the caller verifies it with a key of its issuer.
pub fn status_list(text: &str) -> Result<(Unverified, List), Fault> {
    let (token, payload) = token(text.trim(), MESSAGE_BYTES)?;
    let claims = Fields::top(&payload)?;
    let (profile, vc) = match claims.object_opt("vc")? {
        Some(vc) => (Profile::Vc11, vc),
        None => {
            typ_is(&token, credential_typ(Profile::Vc20))?;
            (Profile::Vc20, claims)
        }
    };
    let read = read_credential(profile, &payload, &vc)?;
    let [subject] = read.subjects.as_slice() else {
        return Err(vc.wrong("credentialSubject", "not one list"));
    };
    let subject = Value::Object(subject.claims.clone());
    let it = Fields::at(&subject, "credentialSubject")?;
    match it.text("type")? {
        "BitstringStatusList" | "StatusList2021" => {}
        _ => return Err(it.wrong("type", "not a status list")),
    }
    let purpose = it.word("statusPurpose", Purpose::from_word)?;
    let bits = Bits::unpack(it.text("encodedList")?)?;
    Ok((token, List { issuer: read.issuer, purpose, until: read.until, bits }))
}

/// The payload of our own status list, published at `address`.
pub fn write_status_list(profile: Profile, address: &str, it: &List, now: Time) -> Value {
    let (kind, list, context) = match profile {
        Profile::Vc11 => ("StatusList2021Credential", "StatusList2021", Some(LIST_2021)),
        Profile::Vc20 => ("BitstringStatusListCredential", "BitstringStatusList", None),
    };
    let packed = it.bits.pack();
    // Status List 2021 §2.2 writes Base64url of gzip without a multibase prefix.
    let packed = match profile {
        Profile::Vc11 => packed.get(1..).unwrap_or_default().to_owned(),
        Profile::Vc20 => packed,
    };
    let mut claims = Map::new();
    for (name, value) in [
        ("id", format!("{address}#list")),
        ("type", list.to_owned()),
        ("statusPurpose", it.purpose.word().to_owned()),
        ("encodedList", packed),
    ] {
        claims.insert(name.to_owned(), value.into());
    }
    let mut payload = write_credential(&Credential {
        profile,
        id: Some(address.to_owned()),
        kinds: vec!["VerifiableCredential".to_owned(), kind.to_owned()],
        issuer: it.issuer.clone(),
        subjects: vec![Subject { id: Some(format!("{address}#list")), claims }],
        from: Some(now),
        until: it.until,
        statuses: Vec::new(),
        schemas: Vec::new(),
    });
    if let (Some(context), Some(all)) =
        (context, payload.pointer_mut("/vc/@context").and_then(Value::as_array_mut))
    {
        all.push(context.into());
    }
    payload
}
