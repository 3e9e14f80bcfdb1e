//! Facts of one contract, page by page, so that both sides can compare what they recorded.
//!
//! Never re-encodes: a fact travels as its canonical bytes, so that its digest can be looked up in the log.
//!
//! | who serves | method path | out |
//! |---|---|---|
//! | both | GET `/tidm/1/contracts/:id/facts?after=<cursor>` | 200 `FactsPage` |

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::evidence::encode::decode;
use crate::evidence::fact::Fact;
use crate::fault::Fault;
use crate::id::Id;
use crate::limits::{FACT_BYTES, FACTS_PAGE_BYTES};
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url, parse};

use super::envelope;

/// One page. `next` is where the following one begins; none after the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub contract: Id,
    pub facts: Vec<Fact>,
    pub next: Option<String>,
}

/// `FactsPage` of as many `entries` (cursor, canonical bytes) as fit [`FACTS_PAGE_BYTES`], at least one.
/// The page's `next` is the cursor of its last entry, if entries were left over; else where the store says that it holds
/// `more`, which may be past entries that this reader does not get.
pub fn write_page(contract: &Id, entries: &[(String, Vec<u8>)], more: Option<&str>) -> String {
    let (mut facts, mut bytes, mut last) = (Vec::new(), 0_usize, None);
    for (cursor, entry) in entries {
        bytes = bytes.saturating_add(entry.len());
        if bytes > FACTS_PAGE_BYTES && last.is_some() {
            break;
        }
        facts.push(base64url(entry));
        last = Some(cursor.as_str());
    }
    let next = if facts.len() < entries.len() { last } else { more };
    let mut doc = envelope("FactsPage", None);
    put(&mut doc, "contract", Some(contract.as_str()));
    doc.insert("facts".to_owned(), json!(facts));
    put(&mut doc, "next", next);
    Value::Object(doc).to_string()
}

/// Reads a `FactsPage`; one fact that does not decode spoils the page.
pub fn read_page(body: &[u8]) -> Result<Page, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("FactsPage")?;
    let mut facts = Vec::new();
    for item in top.array("facts")? {
        let bytes = item.as_str().and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        let bytes = bytes
            .filter(|it| it.len() <= FACT_BYTES)
            .ok_or_else(|| top.wrong("facts", "not base64url of a fact"))?;
        facts.push(decode(&bytes).map_err(|why| top.wrong("facts", why))?);
    }
    let next = top.get("next").map(|_| top.short_text("next")).transpose()?.map(str::to_owned);
    Ok(Page { contract: top.id("contract")?, facts, next })
}
