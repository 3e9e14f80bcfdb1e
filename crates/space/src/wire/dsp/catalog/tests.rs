//! What we write is what the schemas ask for and what we read; what others write is read too.

use super::*;
use crate::catalog::product::{Approval, Column, Draft, Kind, Offer};
use crate::policy::sentence::{Sentences, build};
use crate::time::Time;
use crate::wire::odrl::tests::examples;

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn service() -> DataService {
    DataService {
        id: id("urn:service"),
        endpoint: "https://p.example/dsp".to_owned(),
        flight: false,
    }
}

fn product(offers: usize) -> Product {
    let offer = |i: usize| {
        let it = Sentences { uses: Some(5), ..Sentences::default() };
        let policy = build(id(&format!("urn:o:{i}")), Some(id("did:web:p")), &it).unwrap();
        Offer::new(policy, Approval::Auto, vec![Use::Query, Use::Plain]).unwrap()
    };
    let column = Column {
        name: "t".into(),
        data_type: "Float64".into(),
        unit: Some("Cel".into()),
        title: None,
    };
    Product::new(Draft {
        description: "十分钟数据".into(),
        keywords: vec!["wind".into(), "scada".into()],
        columns: vec![column],
        rows: Some(u64::MAX),
        offers: (0..offers).map(offer).collect(),
        ..Draft::new(id("urn:p:1"), id("urn:p"), "风机 SCADA", Kind::Table, Time::ZERO)
    })
    .unwrap()
}

#[test]
fn our_catalogue_reads_back() {
    let entries: Vec<Json> =
        (0..3).filter_map(|n| dataset_to_json(&product(n), &service())).collect();
    assert_eq!(entries.len(), 2, "a product without offers is no dataset");
    let bytes = catalog_to_json(&id("urn:c"), "did:web:p", &service(), entries).to_string();
    let it = parse_catalog(bytes.as_bytes()).unwrap();
    assert_eq!(
        (it.participant.as_deref(), it.unreadable, it.services),
        (Some("did:web:p"), 0, vec![service()])
    );
    let dataset = &it.datasets[1];
    assert_eq!(
        (dataset.title.as_deref(), dataset.description.as_deref()),
        (Some("风机 SCADA"), Some("十分钟数据"))
    );
    assert_eq!((dataset.keywords.len(), dataset.version.as_deref()), (2, Some("1")));
    assert_eq!(
        dataset.distributions.iter().map(Distribution::kind).collect::<Vec<_>>(),
        [Some(Use::Query), Some(Use::Plain), Some(Use::Plain), Some(Use::Plain)]
    );
    let offered = product(2);
    for (read, ours) in dataset.offers.iter().zip(&offered.offers) {
        assert_eq!(&read.model, ours.policy());
        assert!(read.original.get("target").is_none());
    }
    let root = root_dataset_to_json(&offered, &service()).unwrap();
    let alone = parse_dataset(root.to_string().as_bytes()).unwrap();
    assert_eq!(alone.distributions[0].service, ServiceRef::Service(service()));
    assert_eq!(alone.offers, dataset.offers);
}

/// What may be queried may be asked by tools where the service says so, and nothing else may.
#[test]
fn tools_are_named_where_they_may_ask() {
    let formats = |it: &Product, flight: bool| -> Vec<String> {
        let json = dataset_to_json(it, &DataService { flight, ..service() }).unwrap();
        let all = json["distribution"].as_array().unwrap().iter();
        all.map(|it| it["format"].as_str().unwrap().to_owned()).collect()
    };
    let table = product(1);
    let plain = ["HttpData-PULL", "HttpData-PUSH", "AmazonS3-PUSH"];
    assert_eq!(formats(&table, false), [&["tidm:query"], &plain[..]].concat());
    assert_eq!(formats(&table, true), [&["tidm:query", FLIGHT_SQL_PULL], &plain[..]].concat());
    let mut open = Draft::clone(&table);
    open.offers = vec![
        Offer::new(table.offers[0].policy().clone(), Approval::Auto, vec![Use::Plain]).unwrap(),
    ];
    assert_eq!(formats(&Product::new(open).unwrap(), true), plain);
}

#[test]
fn foreign_catalogues_are_read_with_patience() {
    let offer = json!({"@id": "o", "@type": "odrl:Offer", "odrl:permission": {"odrl:action": {"@id": "odrl:use"}}});
    let catalog = json!({
        "@context": {"edc": "https://w3id.org/edc/v0.0.1/ns/"}, "@id": "c", "@type": "dcat:Catalog",
        "dspace:participantId": {"@id": "BPNL1"}, "edc:unknown": true,
        "dcat:service": {"@id": "s", "@type": "dcat:DataService", "dcat:endpointURL": "https://e.example", "x": 1},
        "dcat:dataset": [
            {"@id": "d1", "@type": "dcat:Dataset", "odrl:hasPolicy": offer, "name": "eins",
             "dcat:distribution": {"@type": "dcat:Distribution", "dct:format": {"@id": "HttpData-PULL"}, "dcat:accessService": {"@id": "s"}}},
            {"@type": "dcat:Dataset"},
            {"@id": "d2", "hasPolicy": [{"@id": "o", "permission": "nonsense"}], "distribution": []},
        ],
    });
    let it = parse_catalog(catalog.to_string().as_bytes()).unwrap();
    assert_eq!(
        (it.participant.as_deref(), it.datasets.len(), it.unreadable),
        (Some("BPNL1"), 1, 2)
    );
    let dataset = &it.datasets[0];
    assert_eq!((dataset.title.as_deref(), dataset.offers.len()), (Some("eins"), 1));
    let distribution = &dataset.distributions[0];
    assert_eq!(
        (distribution.kind(), &distribution.service),
        (Some(Use::Plain), &ServiceRef::Id("s".to_owned()))
    );
}

#[test]
fn requests_and_errors() {
    for (filter, count) in [
        (json!([]), 0),
        (json!([{"a": 1}, "b"]), 2),
        (json!({"@type": "QuerySpec"}), 1),
        (json!(null), 0),
    ] {
        let request =
            json!({"@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": filter});
        let it = CatalogRequest::parse(request.to_string().as_bytes()).unwrap();
        assert_eq!(it.filter.len(), count, "{filter}");
        assert_eq!(CatalogRequest::parse(it.to_json().to_string().as_bytes()), Ok(it));
    }
    let error = error_to_json("404", &["no such dataset"]);
    let read = parse_error(error.to_string().as_bytes());
    assert_eq!(read, Ok((Some("404".to_owned()), vec!["no such dataset".to_owned()])));
}

#[test]
fn nasty_documents_are_refused_not_fatal() {
    let nested = |n: usize| {
        let inner = json!({"@id": "c", "@type": "Catalog"});
        let mut it = (0..n)
            .fold(inner, |inner, _| json!({"@id": "c", "@type": "Catalog", "catalog": [inner]}));
        it["participantId"] = json!("p");
        it.to_string()
    };
    assert!(parse_catalog(nested(CATALOG_DEPTH - 1).as_bytes()).is_ok());
    let crowd = json!({"@id": "c", "@type": "Catalog", "participantId": "p", "dataset": vec![0; CATALOG_DATASETS + 1]});
    for nasty in [
        nested(CATALOG_DEPTH),
        crowd.to_string(),
        "[".repeat(99_999),
        " ".repeat(MESSAGE_BYTES + 1),
        "{}".into(),
        "7".into(),
        r#"{"@id":"c","@type":"Catalog"}"#.into(),
        r#"{"@type":"Catalog","participantId":"p"}"#.into(),
    ] {
        let bytes = nasty.as_bytes();
        assert_eq!(parse_catalog(bytes).unwrap_err().code(), "catalog.malformed");
        assert!(parse_dataset(bytes).is_err() || nasty.contains("@id"));
        assert!(CatalogRequest::parse(bytes).is_err() && parse_error(bytes).is_err());
    }
}

#[test]
fn the_protocols_examples_parse() {
    let Some(all) = examples("catalog") else {
        println!(
            "SKIPPED: the DSP examples are not beside the project (shared/conformance/dsp/catalog/example)"
        );
        return;
    };
    let mut seen = 0;
    for (file, json) in all {
        let bytes = json.to_string();
        let ok = match json["@type"].as_str() {
            Some("Catalog") => parse_catalog(bytes.as_bytes()).is_ok_and(|it| it.unreadable == 0),
            Some("Dataset") => parse_dataset(bytes.as_bytes()).is_ok_and(|it| it.offers.len() == 1),
            Some("CatalogError") => {
                parse_error(bytes.as_bytes()).is_ok_and(|(code, _)| code.is_some())
            }
            Some("CatalogRequestMessage") => CatalogRequest::parse(bytes.as_bytes()).is_ok(),
            // Asked by path in the HTTPS binding; the message has no schema use here.
            Some("DatasetRequestMessage") => continue,
            other => panic!("{file}: unknown type {other:?}"),
        };
        assert!(ok, "{file}");
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} examples");
}
