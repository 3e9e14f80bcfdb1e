//! `/.well-known/dspace-version`: which protocols a node speaks, and where (DSP 2025-1 §4.3).
//!
//! Unauthenticated on both ends: nothing in it is believed beyond "try there". Our own profile is announced
//! as the extra property `tidm`, which foreign readers skip.

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::limits::VERSIONS;
use crate::wire::json::{Fields, parse};

/// The path of the document, below a node's root.
pub const PATH: &str = "/.well-known/dspace-version";
/// The protocol version that we speak.
pub const DSP: &str = "2025-1";

/// What a version document says, as far as we understand it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Path of DSP 2025-1 over HTTPS below the document's root: begins with `/` or is empty, no trailing slash.
    pub path: String,
    /// The base of our own profile (`…/tidm/1`), where the node is one of ours.
    pub tidm: Option<String>,
}

/// Our own document. `path` is the DSP base below the root, `base` that base as an absolute address. `profiles` are those
/// of DCP in which callers prove their membership; none where they need not.
pub fn write(path: &str, base: &str, profiles: &[&str]) -> String {
    let path = if path.is_empty() { "/" } else { path };
    let mut entry = json!({"version": DSP, "path": path, "binding": "HTTPS"});
    if let (Some(entry), false) = (entry.as_object_mut(), profiles.is_empty()) {
        let auth = json!({"protocol": "DCP", "version": "1.0", "profile": profiles});
        entry.insert("auth".to_owned(), auth);
    }
    json!({
        "protocolVersions": [entry],
        "tidm": {"version": "1", "base": format!("{}/tidm/1", base.trim_end_matches('/'))},
    })
    .to_string()
}

/// Reads a peer's document: the first entry of ours among whatever others it lists.
///
/// # Errors
/// [`Fault::PeerIncompatible`] `version.none` where no entry is DSP 2025-1 over HTTPS.
pub fn read(body: &[u8]) -> Result<Versions, Fault> {
    read_value(&parse(body)?)
}

/// As [`read`], of a document that was parsed already.
pub fn read_value(value: &Value) -> Result<Versions, Fault> {
    let top = Fields::top(value)?;
    let mut offered = Vec::new();
    for entry in top.values("protocolVersions").iter().take(VERSIONS) {
        let Ok(entry) = Fields::at(entry, "protocolVersions") else { continue };
        let (Ok(version), Ok(path)) = (entry.text("version"), entry.text("path")) else { continue };
        // Old connectors leave the binding out; there is only one.
        let https = entry.text_opt("binding").ok().flatten().is_none_or(|it| it == "HTTPS");
        if version == DSP && https && is_path(path) {
            return Ok(Versions {
                path: path.trim_end_matches('/').to_owned(),
                tidm: read_tidm(&top),
            });
        }
        offered.push(crate::wire::json::bounded(version));
    }
    let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
    Err(Fault::incompatible(
        "version.none",
        format!("we speak DSP {DSP} over HTTPS, the peer offers {offered}"),
    ))
}

fn is_path(path: &str) -> bool {
    (path.is_empty() || path.starts_with('/'))
        && !path.starts_with("//")
        && !path.split('/').any(|it| it == "." || it == "..")
        && !path.chars().any(|c| c.is_control() || c.is_whitespace() || "?#\\".contains(c))
}

fn read_tidm(top: &Fields<'_>) -> Option<String> {
    let entry = top.object_opt("tidm").ok().flatten()?;
    let ours = matches!(entry.get("version"), Some(Value::String(version)) if version == "1");
    let base = entry.text("base").ok()?;
    (ours && (base.starts_with("https://") || base.starts_with("http://")))
        .then(|| base.trim_end_matches('/').to_owned())
}
