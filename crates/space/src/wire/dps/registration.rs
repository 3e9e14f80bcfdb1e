//! Registrations: `DataPlaneRegistrationMessage` and `ControlPlaneRegistrationMessage`.
//!
//! Never registers what it cannot speak to: an authorization profile that is not ours is refused, not ignored.

use serde_json::{Map, Value, json};

use crate::dataflow::message::Plane;
use crate::dataflow::registration::{Authorization, Registration};
use crate::fault::Fault;
use crate::limits::{PLANE_NAMES, PLANE_SECRET};
use crate::wire::dsp::{put, segment};
use crate::wire::json::{Fields, parse};

/// Our authorization profile: one secret in each direction. Both properties name the direction as the
/// registering side sees it.
pub const BEARER: &str = "tidm:bearer";
/// No proof at all; refused outside of tests.
pub const NETWORK: &str = "tidm:network";
/// Which data sets a control plane may have moved: ours, since the protocol leaves it open.
const DATASETS: &str = "tidm:datasets";

/// Reads a registration.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`; [`Fault::PeerIncompatible`] `plane.authorization` for a
/// profile that is not spoken here.
pub fn read(plane: Plane, body: &[u8]) -> Result<Registration, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    let id = top.id(id_name(plane))?;
    segment(&id)?;
    let (profiles, labels, datasets) = match plane {
        Plane::Data => (names(&top, "profiles")?, names(&top, "labels")?, Vec::new()),
        Plane::Control => (Vec::new(), Vec::new(), names(&top, DATASETS)?),
    };
    if plane == Plane::Data && profiles.is_empty() {
        return Err(top.wrong("profiles", "missing or empty"));
    }
    Ok(Registration {
        id,
        plane,
        endpoint: endpoint(&top)?,
        profiles,
        labels,
        datasets,
        authorization: authorization(&top.object("authorization")?)?,
    })
}

fn id_name(plane: Plane) -> &'static str {
    match plane {
        Plane::Data => "dataplaneId",
        Plane::Control => "controlplaneId",
    }
}

fn endpoint(top: &Fields<'_>) -> Result<String, Fault> {
    let text = top.short_text("endpoint")?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let whole = host.is_some_and(|it| !it.is_empty() && !it.starts_with('/'));
    if !whole || text.chars().any(|c| c.is_control() || c.is_whitespace() || "?#\\".contains(c)) {
        let why = "not an absolute http or https address without query and fragment";
        return Err(top.wrong("endpoint", why));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn names(top: &Fields<'_>, name: &str) -> Result<Vec<String>, Fault> {
    if top.get(name).is_none() {
        return Ok(Vec::new());
    }
    let all = top.texts(name)?;
    let short = all.iter().all(|it| (1..=crate::limits::ID_BYTES).contains(&it.len()));
    if all.len() > PLANE_NAMES || !short {
        return Err(top.wrong(name, format!("more than {PLANE_NAMES} names, or one too long")));
    }
    Ok(all)
}

fn authorization(of: &Fields<'_>) -> Result<Authorization, Fault> {
    let secret = |name: &str| {
        let text = of.text(name)?;
        let printable = text.bytes().all(|it| it.is_ascii_graphic());
        if printable && PLANE_SECRET.contains(&text.len()) {
            return Ok(text.to_owned());
        }
        let (least, most) = (PLANE_SECRET.start(), PLANE_SECRET.end());
        Err(of.wrong(name, format!("not {least} to {most} printable characters")))
    };
    match of.text("type")? {
        BEARER => {
            Ok(Authorization::Bearer { present: secret("present")?, accept: secret("accept")? })
        }
        NETWORK => Ok(Authorization::Network),
        other => Err(Fault::incompatible(
            "plane.authorization",
            format!(
                "the authorization profile {:?} is not spoken here; use {BEARER} with the secrets present and accept",
                crate::wire::json::bounded(other)
            ),
        )),
    }
}

/// As it is stored: complete, with its secrets.
pub fn write(it: &Registration) -> String {
    let mut doc = shown(it);
    let authorization = match &it.authorization {
        Authorization::Bearer { present, accept } => {
            json!({"type": BEARER, "present": present, "accept": accept})
        }
        Authorization::Network => json!({"type": NETWORK}),
    };
    doc.insert("authorization".to_owned(), authorization);
    Value::Object(doc).to_string()
}

/// As people see it: without its secrets.
pub fn shown(it: &Registration) -> Map<String, Value> {
    let mut doc = Map::new();
    put(&mut doc, id_name(it.plane), Some(it.id.as_str()));
    put(&mut doc, "endpoint", Some(it.endpoint.as_str()));
    let kind = match it.authorization {
        Authorization::Bearer { .. } => BEARER,
        Authorization::Network => NETWORK,
    };
    doc.insert("authorization".to_owned(), json!({"type": kind}));
    for (name, values) in
        [("profiles", &it.profiles), ("labels", &it.labels), (DATASETS, &it.datasets)]
    {
        if !values.is_empty() {
            doc.insert(name.to_owned(), json!(values));
        }
    }
    doc
}
