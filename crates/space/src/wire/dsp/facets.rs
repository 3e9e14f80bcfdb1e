//! What a dataset of whatever connector says for narrowing searches: read from its JSON.
//!
//! Never decides who may see an offer.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::catalog::facets::{Facets, UNKNOWN, costs};
use crate::catalog::product::Grade;
use crate::policy::cost;

use super::catalog::Dataset;

/// Formats of one dataset: every kind of use and as many foreign ones.
const FORMATS: usize = 16;
/// Bytes of a format's name: an IRI of the IANA registry has half of it.
const FORMAT_BYTES: usize = 120;

impl Facets {
    pub fn of(it: &Dataset) -> Self {
        let mut formats: BTreeSet<String> = it
            .distributions
            .iter()
            .map(|it| it.format.trim())
            .filter(|it| !it.is_empty() && it.len() <= FORMAT_BYTES && !it.contains(['|', '\n']))
            .map(str::to_owned)
            .take(FORMATS)
            .collect();
        if formats.is_empty() {
            formats.insert(UNKNOWN.to_owned());
        }
        let said = it.original.get("tidm:grade").and_then(Json::as_str).and_then(Grade::from_name);
        let (prices, free) = costs(it.offers.iter().map(|offer| cost::of(&offer.model)));
        Self { formats, grade: said.map_or(UNKNOWN, Grade::name), prices, free }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::terms::Price;
    use crate::wire::dsp::catalog::parse_dataset;

    fn offer(price: Option<(&str, &str)>) -> Json {
        let mut it =
            json!({ "@id": "urn:o", "@type": "Offer", "permission": [{ "action": "use" }] });
        if let (Some((amount, currency)), Some(map)) = (price, it.as_object_mut()) {
            let one = |left: &str, right: &str| json!({ "leftOperand": left, "operator": "eq", "rightOperand": right });
            let all = [one("payAmount", amount), one("tidm:currency", currency)];
            map.insert(
                "obligation".to_owned(),
                json!([{ "action": "compensate", "constraint": all }]),
            );
        }
        it
    }

    fn facets(grade: Option<&str>, formats: &[&str], offers: &[Json]) -> Facets {
        let all = formats
            .iter()
            .map(|it| json!({ "@type": "Distribution", "format": it, "accessService": "urn:s" }));
        let mut it = json!({
            "@id": "urn:d", "@type": "Dataset", "hasPolicy": offers,
            "distribution": all.collect::<Vec<_>>(),
        });
        if let (Some(grade), Some(map)) = (grade, it.as_object_mut()) {
            map.insert("tidm:grade".to_owned(), json!(grade));
        }
        Facets::of(&parse_dataset(it.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn what_is_said_is_read_and_what_is_not_is_unknown() {
        let (cheap, dear) = (offer(Some(("5", "CNY"))), offer(Some(("7.50", "CNY"))));
        let (odd, euro) = (offer(Some(("much", "CNY"))), offer(Some(("1", "EUR"))));
        let cny = |amount| Price::parse(amount, "CNY").unwrap();
        let one_euro = Price::parse("1", "EUR").unwrap();
        for (offers, prices, free) in [
            (vec![], vec![], "unknown"),
            (vec![offer(None)], vec![], "true"),
            (vec![dear.clone(), cheap], vec![cny("5")], "false"),
            (vec![dear.clone(), offer(None)], vec![cny("7.50")], "true"),
            (vec![odd.clone()], vec![], "false"),
            (vec![odd, offer(None)], vec![], "true"),
            (vec![dear, euro], vec![cny("7.50"), one_euro], "false"),
        ] {
            let it = facets(Some("important"), &["HttpData-PULL"], &offers);
            assert_eq!((&it.prices, it.free_word(), it.grade), (&prices, free, "important"));
        }
        let long = "x".repeat(FORMAT_BYTES + 1);
        for (grade, formats, shown, found) in [
            (None, vec![], "unknown", vec!["unknown"]),
            (Some("secret"), vec!["a|b", "", long.as_str()], "unknown", vec!["unknown"]),
            (Some("core"), vec!["b", "a", "b"], "core", vec!["a", "b"]),
        ] {
            let it = facets(grade, &formats, &[]);
            assert_eq!(it.grade, shown);
            assert_eq!(it.formats.iter().map(String::as_str).collect::<Vec<_>>(), found);
        }
    }
}
