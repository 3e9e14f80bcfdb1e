//! By what people narrow a search: format, grade, price and free use, read from a dataset of whatever connector.
//!
//! Never guesses: what a dataset does not say is `unknown`, and a price that cannot be read is neither free nor
//! a number. Never decides who may see an offer.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::catalog::product::Grade;
use crate::policy::cost::{self, Cost};
use crate::policy::terms::Price;

use super::catalog::Dataset;

/// What stands where a dataset says nothing.
pub const UNKNOWN: &str = "unknown";
/// Formats of one dataset: every kind of use and as many foreign ones.
const FORMATS: usize = 16;
/// Bytes of a format's name: an IRI of the IANA registry has half of it.
const FORMAT_BYTES: usize = 120;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facets {
    /// DSP formats; one `unknown` where it names none.
    pub formats: BTreeSet<String>,
    /// general, important, core or unknown.
    pub grade: &'static str,
    /// Of the cheapest offer with a readable price, in the currency named first.
    pub price: Option<Price>,
    /// Whether some offer costs nothing; `None` where no offer says.
    pub free: Option<bool>,
}

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
        let mut prices: Vec<Price> = vec![];
        let (mut free, mut unclear) = (false, false);
        for offer in &it.offers {
            match cost::of(&offer.model) {
                Cost::Free => free = true,
                Cost::Price(price) => prices.push(price),
                Cost::Unclear => unclear = true,
            }
        }
        let currency = prices.first().map(|it| it.currency.clone());
        let price = prices
            .into_iter()
            .filter(|it| Some(&it.currency) == currency.as_ref())
            .min_by_key(|it| it.micros);
        let free = match (free, price.is_some() || unclear) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        Self { formats, grade: said.map_or(UNKNOWN, Grade::name), price, free }
    }

    /// The price's currency; `none` where there is only free use.
    pub fn currency_word(&self) -> &str {
        match (&self.price, self.free) {
            (Some(price), _) => &price.currency,
            (None, Some(true)) => "none",
            (None, Some(false) | None) => UNKNOWN,
        }
    }

    /// true, false or unknown.
    pub fn free_word(&self) -> &'static str {
        match self.free {
            Some(true) => "true",
            Some(false) => "false",
            None => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
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
        let cny = |amount| Some(Price::parse(amount, "CNY").unwrap());
        for (offers, price, free) in [
            (vec![], None, "unknown"),
            (vec![offer(None)], None, "true"),
            (vec![dear.clone(), cheap], cny("5"), "false"),
            (vec![dear.clone(), offer(None)], cny("7.50"), "true"),
            (vec![odd.clone()], None, "false"),
            (vec![odd, offer(None)], None, "true"),
            (vec![dear, euro], cny("7.50"), "false"),
        ] {
            let it = facets(Some("important"), &["HttpData-PULL"], &offers);
            assert_eq!((&it.price, it.free_word(), it.grade), (&price, free, "important"));
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
