//! What a caller of our DSP catalogue wants to see of it: our own filter, which DSP leaves to each connector.
//!
//! Threat model: a filter is data, never a query. One that is not understood is refused (DSP §6.2), not ignored.

use serde_json::{Map, Value};

use tidm_space::catalog::facets::Facets;
use tidm_space::catalog::search::{Filter, Most};
use tidm_space::fault::Fault;
use tidm_space::wire::dsp::catalog::{CatalogRequest, parse_dataset};
use tidm_space::wire::dsp::entry::searched;

/// What to write in one.
const KNOWN: &str = "filters known here: {\"search\": \"words\", \"format\": …, \"grade\": …, \"provider\": DID, \"maxPrice\": \"100 CNY\", \"free\": true}";

/// EDC's QuerySpec is taken and means everything.
///
/// # Errors
/// `catalog.filter` for what is not understood.
pub(super) fn read(request: &CatalogRequest) -> Result<Filter, Fault> {
    let mut out = Filter::default();
    for one in &request.filter {
        let map = one.as_object().ok_or_else(unknown)?;
        if !map.keys().all(|it| is_query_spec(it)) {
            take(map, &mut out)?;
        }
    }
    Ok(out)
}

fn unknown() -> Fault {
    Fault::incompatible("catalog.filter", KNOWN)
}

fn take(map: &Map<String, Value>, out: &mut Filter) -> Result<(), Fault> {
    for (key, value) in map {
        let text = || value.as_str().ok_or_else(unknown);
        match key.as_str() {
            "search" => out.words.extend(Filter::of_words(text()?).words),
            "format" => out.format = Some(Filter::format_of(text()?)),
            "grade" => out.grade = Some(text()?.to_owned()),
            "provider" => out.provider = Some(text()?.to_owned()),
            "maxPrice" => {
                let most = Most::parse(text()?).filter(|it| it.currency.is_some());
                out.max_price = Some(most.ok_or_else(unknown)?);
            }
            "free" => out.free = value.as_bool().ok_or_else(unknown)?,
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

fn is_query_spec(key: &str) -> bool {
    let local = key.rsplit(['/', ':', '#']).next().unwrap_or(key);
    ["@type", "@id", "@context", "offset", "limit", "filterExpression", "sortOrder", "sortField"]
        .contains(&local)
}

/// Whether an entry of `provider`'s catalogue is wanted.
pub(super) fn matches(entry: &str, provider: &str, wanted: &Filter) -> bool {
    if *wanted == Filter::default() {
        return true;
    }
    // A word that occurs nowhere in the text need not be looked for in its parts.
    let lower = entry.to_lowercase();
    if !wanted.words.iter().all(|word| lower.contains(word.as_str())) {
        return false;
    }
    let Ok(it) = parse_dataset(entry.as_bytes()) else { return false };
    wanted.takes(provider, &Facets::of(&it), &searched(&it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(it: Value) -> Result<Filter, Fault> {
        read(&CatalogRequest { filter: vec![it] })
    }

    #[test]
    fn unknown_filters_are_refused_and_query_specs_ignored() {
        assert_eq!(
            asked(json!({ "search": "Bearing 轴承" })),
            Ok(Filter {
                words: vec!["bearing".to_owned(), "轴承".to_owned()],
                ..Filter::default()
            })
        );
        let edc = json!({ "@type": "QuerySpec", "offset": 0, "limit": 50, "filterExpression": [] });
        assert_eq!(asked(edc), Ok(Filter::default()));
        let edc = json!({ "https://w3id.org/edc/v0.0.1/ns/offset": 0 });
        assert_eq!(asked(edc), Ok(Filter::default()));
        let all = json!({
            "search": "a", "format": "sealed-table", "grade": "general", "provider": "did:web:a",
            "maxPrice": "99.50 CNY", "free": true,
        });
        let all = asked(all).unwrap();
        assert!(all.has_facets() && all.free && all.words == ["a"]);
        assert_eq!(all.format.as_deref(), Some("tidm:sealed-table"));
        for bad in [
            json!("all"),
            json!({ "search": 1 }),
            json!({ "where": "1=1" }),
            json!({ "search": "a", "x": 1 }),
            json!({ "free": "yes" }),
            json!({ "maxPrice": "cheap" }),
            // Without a currency it would compare what cannot be compared.
            json!({ "maxPrice": "100" }),
            json!([]),
        ] {
            assert_eq!(asked(bad.clone()).map_err(|it| it.code()), Err("catalog.filter"), "{bad}");
        }
    }

    #[test]
    fn own_entries_are_narrowed_by_the_same_rules() {
        let pay = json!([{ "action": "compensate", "constraint": [
            { "leftOperand": "payAmount", "operator": "eq", "rightOperand": "50" },
            { "leftOperand": "tidm:currency", "operator": "eq", "rightOperand": "CNY" } ] }]);
        let entry = json!({
            "@id": "urn:d", "@type": "Dataset", "dct:title": ["Bearing", "主轴承"], "tidm:grade": "general",
            "hasPolicy": [{ "@id": "urn:o", "@type": "Offer", "permission": [{ "action": "use" }], "obligation": pay }],
            "distribution": [{ "@type": "Distribution", "format": "tidm:query", "accessService": "urn:s" }],
        })
        .to_string();
        for (filter, wanted) in [
            (json!({}), true),
            (json!({ "search": "bearing" }), true),
            (json!({ "search": "gear" }), false),
            (json!({ "search": "bear" }), false),
            (json!({ "search": "轴承 Bearings" }), true),
            (json!({ "format": "TIDM:Query" }), true),
            (json!({ "format": "query" }), true),
            (json!({ "format": "plain" }), false),
            (json!({ "grade": "general" }), true),
            (json!({ "grade": "core" }), false),
            (json!({ "provider": "did:web:a" }), true),
            (json!({ "provider": "did:web:b" }), false),
            (json!({ "maxPrice": "50 CNY" }), true),
            (json!({ "maxPrice": "49.99 CNY" }), false),
            (json!({ "maxPrice": "50 EUR" }), false),
            (json!({ "free": true }), false),
        ] {
            let it = asked(filter.clone()).unwrap();
            assert_eq!(matches(&entry, "did:web:a", &it), wanted, "{filter}");
        }
    }
}
