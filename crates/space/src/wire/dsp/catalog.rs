//! DSP 2025-1 catalogues (catalog/*-schema.json): requests, catalogues, datasets, errors.
//!
//! Writes what the schemas ask for; reads what other connectors send: one object where an array belongs, services as
//! text or object, datasets without offers, unknown properties. A dataset that cannot be read is left out and counted,
//! so that one broken entry does not hide a catalogue. Never fetches anything, never resolves a context.

use serde_json::{Map, Value as Json, json};

use crate::catalog::delivery::{Delivery, FLIGHT_SQL_PULL, Use};
use crate::catalog::product::{Kind, Product};
use crate::fault::Fault;
use crate::id::Id;
use crate::limits::{
    CATALOG_DATASETS, CATALOG_DEPTH, DESCRIPTION_BYTES, KEYWORDS, MESSAGE_BYTES, TITLE_BYTES,
};
use crate::wire::odrl::{OdrlPolicy, many, text, to_json};

/// The context that every message of the release names.
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// `POST /catalog/request`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogRequest {
    /// Verbatim; what it means is each connector's matter. Empty: everything.
    pub filter: Vec<Json>,
}

/// A connector's endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataService {
    pub id: Id,
    pub endpoint: String,
    /// Ours: what may be queried here may also be asked over Arrow Flight SQL. Each dataset's distributions say so.
    pub flight: bool,
}

/// A catalogue as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    pub id: Id,
    /// Missing in catalogues inside catalogues.
    pub participant: Option<String>,
    pub services: Vec<DataService>,
    pub datasets: Vec<Dataset>,
    pub catalogs: Vec<Self>,
    pub distributions: Vec<Distribution>,
    /// Entries that could not be read.
    pub unreadable: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub id: Id,
    pub title: Option<String>,
    pub description: Option<String>,
    pub keywords: Vec<String>,
    pub version: Option<String>,
    /// Offers of the dataset and of its distributions.
    pub offers: Vec<OdrlPolicy>,
    pub distributions: Vec<Distribution>,
    /// As received: what a person may want to see of it.
    pub original: Json,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    pub format: String,
    pub service: ServiceRef,
}

impl Distribution {
    /// The kind of use, where the format is one of ours.
    pub fn kind(&self) -> Option<Use> {
        Delivery::of(&self.format, None).map(|it| it.kind)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRef {
    /// Of a service that the catalogue lists.
    Id(String),
    Service(DataService),
}

fn malformed(why: impl Into<String>) -> Fault {
    Fault::misbehaved("catalog.malformed", why)
}

fn document(bytes: &[u8]) -> Result<Map<String, Json>, Fault> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(malformed(format!("longer than {MESSAGE_BYTES} bytes: ask page by page")));
    }
    match tidm_crypto::jcs::parse(bytes) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) | Err(_) => Err(malformed("not a JSON object")),
    }
}

fn typed(map: &Map<String, Json>, name: &str) -> Result<(), Fault> {
    match map.get("@type").and_then(|t| many(t).find_map(text)).map(local) {
        Some(it) if it == name => Ok(()),
        _ => Err(malformed(format!("@type is not {name}"))),
    }
}

/// A property's or type's name without prefix or namespace: DCAT, Dublin Core and DSP terms do not collide here.
fn local(name: &str) -> &str {
    let known = [
        "dcat:",
        "dct:",
        "dspace:",
        "odrl:",
        "http://www.w3.org/ns/dcat#",
        "https://w3id.org/dspace/2025/1/",
    ];
    let more = ["http://purl.org/dc/terms/", "http://www.w3.org/ns/odrl/2/"];
    known.into_iter().chain(more).find_map(|p| name.strip_prefix(p)).unwrap_or(name)
}

fn get<'a>(map: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    map.get(name).or_else(|| map.iter().find(|(k, _)| local(k) == name).map(|(_, v)| v))
}

fn all<'a>(map: &'a Map<String, Json>, name: &str) -> impl Iterator<Item = &'a Json> {
    get(map, name).into_iter().flat_map(many)
}

fn id(map: &Map<String, Json>) -> Result<Id, Fault> {
    let id =
        map.get("@id").and_then(Json::as_str).ok_or_else(|| malformed("an entry has no @id"))?;
    Id::parse(id).map_err(|why| malformed(why.to_string()))
}

impl CatalogRequest {
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let map = document(bytes)?;
        typed(&map, "CatalogRequestMessage")?;
        // EDC sends one QuerySpec object where the schema has an array.
        Ok(Self { filter: all(&map, "filter").filter(|f| !f.is_null()).cloned().collect() })
    }

    pub fn to_json(&self) -> Json {
        let mut json = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage" });
        if let (false, Some(map)) = (self.filter.is_empty(), json.as_object_mut()) {
            map.insert("filter".into(), self.filter.clone().into());
        }
        json
    }
}

/// Reads a catalogue from outside bytes.
pub fn parse_catalog(bytes: &[u8]) -> Result<Catalog, Fault> {
    let map = document(bytes)?;
    let mut left = CATALOG_DATASETS;
    let catalog = catalog(&map, CATALOG_DEPTH, &mut left)?;
    if catalog.participant.is_none() {
        return Err(malformed("the catalogue has no participantId"));
    }
    Ok(catalog)
}

/// Reads one dataset from outside bytes (`GET /catalog/datasets/:id`).
pub fn parse_dataset(bytes: &[u8]) -> Result<Dataset, Fault> {
    dataset(&Json::Object(document(bytes)?))
}

fn catalog(map: &Map<String, Json>, depth: usize, left: &mut usize) -> Result<Catalog, Fault> {
    typed(map, "Catalog")?;
    let depth = depth.checked_sub(1).ok_or_else(|| malformed("catalogues nest too deep"))?;
    let mut unreadable = 0;
    let mut datasets = vec![];
    for entry in all(map, "dataset") {
        *left = left
            .checked_sub(1)
            .ok_or_else(|| malformed(format!("more than {CATALOG_DATASETS} datasets")))?;
        match dataset(entry) {
            Ok(it) => datasets.push(it),
            Err(_) => unreadable += 1,
        }
    }
    let mut catalogs = vec![];
    for entry in all(map, "catalog").filter_map(Json::as_object) {
        catalogs.push(catalog(entry, depth, left)?);
    }
    Ok(Catalog {
        id: id(map)?,
        participant: get(map, "participantId").and_then(text).map(str::to_owned),
        services: all(map, "service").filter_map(|s| service(s).ok()).collect(),
        datasets,
        catalogs,
        distributions: all(map, "distribution").filter_map(|d| distribution(d).ok()).collect(),
        unreadable,
    })
}

pub(crate) fn dataset(it: &Json) -> Result<Dataset, Fault> {
    let map = it.as_object().ok_or_else(|| malformed("a dataset is no JSON object"))?;
    let said = |name: &str, limit: usize| {
        all(map, name)
            .find_map(text)
            .filter(|t| !t.is_empty() && t.len() <= limit)
            .map(str::to_owned)
    };
    let offers = |map| all(map, "hasPolicy").map(|p| OdrlPolicy::parse(p.clone()));
    let inner = all(map, "distribution").filter_map(Json::as_object).flat_map(offers);
    let offers: Result<Vec<OdrlPolicy>, _> = offers(map).chain(inner).collect();
    Ok(Dataset {
        id: id(map)?,
        title: said("title", TITLE_BYTES).or_else(|| said("name", TITLE_BYTES)),
        description: said("description", DESCRIPTION_BYTES),
        keywords: all(map, "keyword").filter_map(text).map(str::to_owned).take(KEYWORDS).collect(),
        version: said("version", TITLE_BYTES),
        offers: offers.map_err(|why| malformed(why.to_string()))?,
        distributions: all(map, "distribution").map(distribution).collect::<Result<_, _>>()?,
        original: it.clone(),
    })
}

fn distribution(it: &Json) -> Result<Distribution, Fault> {
    let map = it.as_object().ok_or_else(|| malformed("a distribution is no JSON object"))?;
    let format = get(map, "format")
        .and_then(text)
        .ok_or_else(|| malformed("a distribution has no format"))?;
    let access = all(map, "accessService")
        .next()
        .ok_or_else(|| malformed("a distribution has no accessService"))?;
    let service = match service(access) {
        Ok(it) => ServiceRef::Service(it),
        Err(_) => ServiceRef::Id(
            text(access).ok_or_else(|| malformed("an accessService has no id"))?.to_owned(),
        ),
    };
    Ok(Distribution { format: local(format).to_owned(), service })
}

fn service(it: &Json) -> Result<DataService, Fault> {
    let map = it.as_object().ok_or_else(|| malformed("a service is no JSON object"))?;
    let endpoint = get(map, "endpointURL")
        .and_then(text)
        .ok_or_else(|| malformed("a service has no endpointURL"))?;
    Ok(DataService { id: id(map)?, endpoint: endpoint.to_owned(), flight: false })
}

impl DataService {
    pub fn to_json(&self) -> Json {
        json!({ "@id": self.id.as_str(), "@type": "DataService", "endpointURL": self.endpoint })
    }
}

/// A product as an entry of a catalogue that lists `service`; offers without target (DSP `Offer`).
///
/// `None` for a product without offers: DSP's dataset needs at least one.
pub fn dataset_to_json(it: &Product, service: &DataService) -> Option<Json> {
    entry(it, &service.id.as_str().into(), service.flight)
}

/// A product as an answer of its own, with context and the whole service.
pub fn root_dataset_to_json(it: &Product, service: &DataService) -> Option<Json> {
    let mut json = entry(it, &service.to_json(), service.flight)?;
    json.as_object_mut()?.insert("@context".into(), json!([CONTEXT]));
    Some(json)
}

fn entry(it: &Product, access: &Json, flight: bool) -> Option<Json> {
    if it.offers.is_empty() {
        return None;
    }
    let offers: Vec<Json> = it.offers.iter().map(|offer| to_json(offer.policy())).collect();
    let distributions: Vec<Json> = it
        .deliveries()
        .into_iter()
        .flat_map(|kind| {
            let open = flight && kind == Use::Query && it.kind == Kind::Table;
            let formats = kind.formats().into_iter().chain(open.then_some(FLIGHT_SQL_PULL));
            formats.map(move |format| (kind, format)).collect::<Vec<_>>()
        })
        .map(|(kind, format)| {
            json!({
                "@type": "Distribution",
                "format": format,
                "accessService": access,
                "tidm:enforcementLevel": kind.level().name(),
            })
        })
        .collect();
    let mut json = json!({
        "@id": it.id.as_str(),
        "@type": "Dataset",
        "dct:title": it.title,
        "dct:issued": it.published_at.to_string(),
        "dcat:version": it.version.to_string(),
        "dct:isVersionOf": it.line.as_str(),
        "tidm:kind": it.kind.name(),
        "tidm:grade": it.grade.name(),
        "tidm:preview": it.preview,
        "hasPolicy": offers,
        "distribution": distributions,
    });
    let map = json.as_object_mut()?;
    if !it.description.is_empty() {
        map.insert("dct:description".into(), it.description.as_str().into());
    }
    if !it.keywords.is_empty() {
        map.insert("dcat:keyword".into(), it.keywords.clone().into());
    }
    if !it.columns.is_empty() {
        let columns = it.columns.iter().map(|c| {
            let mut column = json!({ "name": c.name, "type": c.data_type });
            for (key, value) in [("unit", &c.unit), ("title", &c.title)] {
                if let (Some(value), Some(map)) = (value, column.as_object_mut()) {
                    map.insert(key.into(), value.as_str().into());
                }
            }
            column
        });
        map.insert("tidm:columns".into(), columns.collect());
    }
    for (key, value) in [("tidm:rows", it.rows), ("dcat:byteSize", it.bytes)] {
        if let Some(value) = value {
            // As text: counts beyond 2^53 survive every JSON reader.
            map.insert(key.into(), value.to_string().into());
        }
    }
    for (key, digest) in [("tidm:contentDigest", &it.content), ("tidm:originDigest", &it.origin)] {
        if let Some(digest) = digest {
            map.insert(key.into(), digest.to_string().into());
        }
    }
    Some(json)
}

/// The catalogue's frame around entries of [`dataset_to_json`]; no `dataset` at all when there are none (`minItems`).
pub fn catalog_to_json(
    id: &Id,
    participant: &str,
    service: &DataService,
    datasets: Vec<Json>,
) -> Json {
    let mut json = json!({
        "@context": [CONTEXT],
        "@id": id.as_str(),
        "@type": "Catalog",
        "participantId": participant,
        "service": [service.to_json()],
    });
    if let (false, Some(map)) = (datasets.is_empty(), json.as_object_mut()) {
        map.insert("dataset".into(), datasets.into());
    }
    json
}

/// What the catalogue service answers instead.
pub fn error_to_json(code: &str, reasons: &[&str]) -> Json {
    json!({ "@context": [CONTEXT], "@type": "CatalogError", "code": code, "reason": reasons })
}

/// A peer's catalogue error: its code and reasons, cut to a bounded length.
pub fn parse_error(bytes: &[u8]) -> Result<(Option<String>, Vec<String>), Fault> {
    let map = document(bytes)?;
    typed(&map, "CatalogError")?;
    let short = |t: &str| t.chars().take(crate::limits::REASON_CHARS).collect::<String>();
    let code = get(&map, "code").and_then(text).map(short);
    let reasons = all(&map, "reason")
        .take(KEYWORDS)
        .map(|r| short(&text(r).map_or_else(|| r.to_string(), str::to_owned)));
    Ok((code, reasons.collect()))
}

#[cfg(test)]
mod tests;
