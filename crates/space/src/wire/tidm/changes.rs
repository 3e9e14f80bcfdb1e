//! What changed in a provider's catalogue since a revision, so that reading it again costs what changed.
//!
//! Threat model: a page may claim anything; it is bounded, its datasets are read as those of a catalogue, and what
//! cannot be read is left out and counted. Never says of an offer to anybody what its catalogue would not.
//!
//! | who serves | method path | out |
//! |---|---|---|
//! | provider | GET `/tidm/1/catalog/changes?since=<revision>` | 200 `CatalogChanges`, 304 where `If-None-Match` names the revision, 409 where it was never reached |

use serde_json::{Value, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::limits::{CATALOG_DATASETS, CHANGES_PAGE_BYTES};
use crate::wire::dsp::catalog::{Dataset, dataset};
use crate::wire::json::{Fields, parse};

use super::envelope;

/// Where they lie below the profile's base.
pub const PATH: &str = "/catalog/changes";

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Up to here; ask for what came after.
    pub revision: u64,
    /// More came after; ask at once.
    pub more: bool,
    pub datasets: Vec<Dataset>,
    /// Not offered any more.
    pub gone: Vec<Id>,
    /// Datasets that could not be read.
    pub unreadable: usize,
}

/// How one row of a page is said.
pub enum Said {
    /// Its wire form, as a catalogue shows it.
    Offered(String),
    Gone(Id),
    /// Nothing that this caller may know.
    Hidden,
}

/// `CatalogChanges` of as many `rows` (revision, what is said) as fit [`CHANGES_PAGE_BYTES`], at least one. `head` is
/// the catalogue's revision, `more` whether rows beyond these are stored.
pub fn write_page(rows: &[(u64, Said)], head: u64, more: bool) -> String {
    let (mut datasets, mut gone, mut bytes, mut last) = (Vec::new(), Vec::new(), 0_usize, None);
    let mut taken = 0;
    for (revision, said) in rows {
        let size = if let Said::Offered(text) = said { text.len() } else { 64 };
        if last.is_some() && bytes + size > CHANGES_PAGE_BYTES {
            break;
        }
        bytes += size;
        match said {
            Said::Offered(text) => datasets.push(text.as_str()),
            Said::Gone(id) => gone.push(id.as_str()),
            Said::Hidden => {}
        }
        last = Some(*revision);
        taken += 1;
    }
    let more = more || taken < rows.len();
    let revision = if more { last.unwrap_or(head) } else { head.max(last.unwrap_or(0)) };
    let mut doc = envelope("CatalogChanges", None);
    // As text: counts beyond 2^53 survive every JSON reader.
    doc.insert("revision".to_owned(), json!(revision.to_string()));
    doc.insert("more".to_owned(), json!(more));
    doc.insert("gone".to_owned(), json!(gone));
    // Stored forms are inserted as they are: a page costs no parsing.
    let mut out = Value::Object(doc).to_string();
    out.pop();
    out.push_str(",\"dataset\":[");
    out.push_str(&datasets.join(","));
    out.push_str("]}");
    out
}

/// Reads a `CatalogChanges`.
pub fn read_page(body: &[u8]) -> Result<Changes, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("CatalogChanges")?;
    let revision = top.text("revision")?;
    let revision = revision.parse().map_err(|_| top.wrong("revision", "not a number"))?;
    let entries = top.array("dataset")?;
    let ids = top.array("gone")?;
    if entries.len() + ids.len() > CATALOG_DATASETS {
        return Err(top.wrong("dataset", format!("more than {CATALOG_DATASETS}")));
    }
    let mut gone = Vec::with_capacity(ids.len());
    for it in ids {
        let id = it.as_str().and_then(|it| Id::parse(it).ok());
        gone.push(id.ok_or_else(|| top.wrong("gone", "not an id"))?);
    }
    let datasets: Vec<Dataset> = entries.iter().filter_map(|it| dataset(it).ok()).collect();
    let more = top.get("more").and_then(Value::as_bool).unwrap_or(false);
    let unreadable = entries.len() - datasets.len();
    Ok(Changes { revision, more, datasets, gone, unreadable })
}

/// The revision as an `ETag` (RFC 9110 §8.8.3).
pub fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(id: &str, bytes: usize) -> Said {
        let it = json!({ "@id": id, "@type": "Dataset", "x": "y".repeat(bytes), "hasPolicy": [],
            "distribution": [{ "@type": "Distribution", "format": "a", "accessService": "urn:s" }] });
        Said::Offered(it.to_string())
    }

    #[test]
    fn pages_are_cut_by_bytes_and_lead_on() {
        let rows: Vec<(u64, Said)> = (1..=4)
            .map(|it| (it, offered(&format!("urn:{it}"), CHANGES_PAGE_BYTES / 2 - 1000)))
            .collect();
        let page = read_page(write_page(&rows, 9, false).as_bytes()).unwrap();
        assert_eq!((page.revision, page.more, page.datasets.len()), (2, true, 2));
        let page = read_page(write_page(&rows[..2], 9, true).as_bytes()).unwrap();
        assert_eq!((page.revision, page.more), (2, true));
        let page = read_page(write_page(&rows[..2], 9, false).as_bytes()).unwrap();
        assert_eq!((page.revision, page.more), (9, false));
        let page = read_page(write_page(&[], 9, false).as_bytes()).unwrap();
        assert_eq!((page.revision, page.more, page.datasets.len()), (9, false, 0));
        let one = [(7, offered("urn:x", CHANGES_PAGE_BYTES)), (8, Said::Hidden)];
        let page = read_page(write_page(&one, 9, false).as_bytes()).unwrap();
        assert_eq!((page.revision, page.more, page.datasets.len()), (7, true, 1));
        let rest = [(8, Said::Hidden), (9, Said::Gone(Id::parse("urn:g").unwrap()))];
        let page = read_page(write_page(&rest, 9, false).as_bytes()).unwrap();
        assert_eq!((page.revision, page.gone.len(), page.datasets.len()), (9, 1, 0));
    }

    #[test]
    fn hostile_pages_are_refused_or_read_in_part() {
        let page = |revision: Value, dataset: Value, gone: Value| {
            json!({ "@type": "CatalogChanges", "revision": revision, "more": "perhaps", "dataset": dataset, "gone": gone })
                .to_string()
        };
        for (text, ok) in [
            (page(json!("1"), json!([]), json!([])), true),
            (page(json!("-1"), json!([]), json!([])), false),
            (page(json!("99999999999999999999"), json!([]), json!([])), false),
            (page(json!(1), json!([]), json!([])), false),
            (page(json!("1"), json!({}), json!([])), false),
            (page(json!("1"), json!([]), json!([7])), false),
            (page(json!("1"), json!([]), json!(["no id"])), false),
            (page(json!("1"), json!([]), json!(vec!["urn:x"; CATALOG_DATASETS + 1])), false),
            ("{}".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(read_page(text.as_bytes()).is_ok(), ok, "{text:.80}");
        }
        let broken =
            read_page(page(json!("1"), json!([{}, null, 7]), json!([])).as_bytes()).unwrap();
        assert_eq!((broken.unreadable, broken.datasets.len(), broken.more), (3, 0, false));
    }
}
