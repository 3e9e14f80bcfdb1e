//! A dataset of whatever connector as an entry of a federated catalogue: its searchable text and its fingerprint.
//!
//! Never believes more than it reads: what is no text is left out. Titles in several languages are all searched.

use serde_json::Value as Json;
use tidm_crypto::hash::{Digest, sha256};

use super::catalog::Dataset;
use crate::catalog::entry::Entry;
use crate::catalog::facets::Facets;
use crate::limits::{DESCRIPTION_BYTES, KEYWORDS, TITLE_BYTES};
use crate::wire::odrl::{many, text};

/// Titles, or descriptions, of one dataset: one per language of a big company.
const LANGUAGES: usize = 16;

impl Entry {
    pub fn of(it: &Dataset) -> Self {
        Self {
            id: it.id.clone(),
            title: it.title.clone().unwrap_or_else(|| it.id.to_string()),
            text: searched(it),
            facets: Facets::of(it),
            digest: fingerprint(&it.original),
            dataset: it.original.to_string(),
        }
    }
}

/// Title, description and keywords in all languages, the title first.
pub fn searched(it: &Dataset) -> String {
    let mut out: Vec<&str> = vec![];
    out.extend(it.title.as_deref());
    let map = it.original.as_object();
    let names = [("title", TITLE_BYTES), ("name", TITLE_BYTES), ("description", DESCRIPTION_BYTES)];
    for (name, most) in names {
        let all = map.into_iter().flatten().filter(|(key, _)| local(key) == name);
        let all = all.flat_map(|(_, value)| values(value)).take(LANGUAGES);
        out.extend(all.filter(|it| it.len() <= most));
    }
    let keywords = it.keywords.iter().take(KEYWORDS).filter(|it| it.len() <= TITLE_BYTES);
    out.extend(keywords.map(String::as_str));
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|it| seen.insert(*it));
    out.join("\n")
}

/// Texts of a property: one, several, with a language each, or as a map of languages (JSON-LD 1.1 §4.6.2).
fn values(it: &Json) -> impl Iterator<Item = &str> {
    let of_map = it.as_object().filter(|map| !map.keys().any(|key| key.starts_with('@')));
    let languages = of_map.into_iter().flatten().flat_map(|(_, it)| many(it)).filter_map(text);
    many(it).filter_map(text).chain(languages)
}

fn local(key: &str) -> &str {
    key.rsplit(['/', ':', '#']).next().unwrap_or(key)
}

/// Of two readings that say the same, the same. Connectors of the EDC family write a fresh random part into the id of
/// every offer at every request (`definition:asset:random`, each in base64): that part is left out.
fn fingerprint(original: &Json) -> Digest {
    let mut it = original.clone();
    still(&mut it, 0);
    // Members of an object are in order, whatever order they came in.
    sha256(it.to_string().as_bytes())
}

fn still(it: &mut Json, depth: usize) {
    // Offers stand in datasets and their distributions.
    if depth > 4 {
        return;
    }
    match it {
        Json::Array(all) => all.iter_mut().for_each(|it| still(it, depth + 1)),
        Json::Object(map) => {
            let policies = |key: &str| local(key) == "hasPolicy";
            for (key, value) in map.iter_mut() {
                if policies(key) {
                    one_or_many(value).iter_mut().for_each(name_still);
                } else {
                    still(value, depth + 1);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn one_or_many(it: &mut Json) -> &mut [Json] {
    if it.is_array() {
        it.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default()
    } else {
        std::slice::from_mut(it)
    }
}

fn name_still(policy: &mut Json) {
    let Some(Json::String(id)) = policy.get_mut("@id") else { return };
    let parts: Vec<&str> = id.split(':').collect();
    let encoded = |it: &&str| {
        it.len() >= 4 && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(&b))
    };
    // A 36-character UUID in base64 has 48.
    if let [definition, asset, random] = parts.as_slice()
        && parts.iter().all(encoded)
        && random.len() == 48
    {
        *id = format!("{definition}:{asset}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::dsp::catalog::parse_dataset;

    fn entry(it: &Json) -> Entry {
        Entry::of(&parse_dataset(it.to_string().as_bytes()).unwrap())
    }

    fn with_title(title: Json) -> Json {
        json!({ "@id": "urn:d", "@type": "Dataset", "dct:title": title, "hasPolicy": [],
            "distribution": [{ "@type": "Distribution", "format": "a", "accessService": "urn:s" }] })
    }

    #[test]
    fn all_languages_are_searched() {
        for (title, text) in [
            (json!("轴承"), "轴承"),
            (json!(["轴承", "bearing"]), "轴承\nbearing"),
            (
                json!([{ "@value": "轴承", "@language": "zh" }, { "@value": "bearing", "@language": "en" }]),
                "轴承\nbearing",
            ),
            (json!({ "zh": "轴承", "en": ["bearing", "roller"] }), "bearing\nroller\n轴承"),
            (json!({ "@value": "bearing" }), "bearing"),
            (json!([7, null, { "x": 1 }]), ""),
        ] {
            assert_eq!(entry(&with_title(title.clone())).text, text, "{title}");
        }
        let mut it = with_title(json!("t"));
        it["dcat:keyword"] = json!(["k", "t"]);
        it["http://purl.org/dc/terms/description"] =
            json!(["d", "x".repeat(DESCRIPTION_BYTES + 1)]);
        assert_eq!(entry(&it).text, "t\nd\nk");
        assert_eq!(entry(&it).title, "t");
    }

    #[test]
    fn the_same_offer_has_the_same_fingerprint() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let random = |it: u8| encode(&format!("0190b6a0-0000-7000-8000-0000000000{it:02}"));
        let offer = |id: String| json!({ "@id": id, "@type": "Offer", "permission": [{ "action": "use" }] });
        let edc = |asset: &str, it: u8| {
            let mut all = with_title(json!("x"));
            all["hasPolicy"] = offer(format!("{}:{}:{}", encode("def"), encode(asset), random(it)));
            entry(&all).digest
        };
        assert_eq!(edc("asset", 1), edc("asset", 2));
        assert_ne!(edc("asset", 1), edc("other", 1));
        let ours = |id: &str| {
            let mut all = with_title(json!("x"));
            all["odrl:hasPolicy"] = json!([offer(id.to_owned())]);
            entry(&all).digest
        };
        assert_ne!(
            ours("urn:uuid:0190b6a0-0000-7000-8000-000000000001"),
            ours("urn:uuid:0190b6a0-0000-7000-8000-000000000002")
        );
        assert_ne!(ours("a:b:c"), ours("a:b:d"));
        let (one, other): (Json, Json) = (
            serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap(),
            serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap(),
        );
        assert_eq!(fingerprint(&one), fingerprint(&other));
    }
}
