//! Searching what was crawled: facets, their counts, and pages.

use serde_json::{Value, json};

use tidm_node::store::catalogue::{Found, Remote, save_remote};
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::parse_dataset;
use tidm_space::wire::dsp::facets::Facets;

use super::{Node, node};

/// A dataset as a catalogue lists it; without grade it is a foreign connector's.
fn dataset(id: &str, grade: Option<&str>, format: &str, prices: &[Option<&str>]) -> Value {
    let one = |left: &str, right: &str| json!({ "leftOperand": left, "operator": "eq", "rightOperand": right });
    let offer = |price: &Option<&str>| {
        let pay = price.and_then(|it| it.split_once(' ')).map(|(amount, currency)| {
            json!({ "action": "compensate", "constraint": [one("payAmount", amount), one("tidm:currency", currency)] })
        });
        json!({
            "@id": "urn:o", "@type": "Offer", "permission": [{ "action": "use" }],
            "obligation": pay.into_iter().collect::<Vec<_>>(),
        })
    };
    let mut it = json!({
        "@id": id, "@type": "Dataset", "hasPolicy": prices.iter().map(offer).collect::<Vec<_>>(),
        "distribution": [{ "@type": "Distribution", "format": format, "accessService": "urn:s" }],
    });
    if let (Some(grade), Some(map)) = (grade, it.as_object_mut()) {
        map.insert("tidm:grade".to_owned(), json!(grade));
    }
    it
}

async fn keep(node: &Node, rows: Vec<(&str, &str, Value)>) {
    let row = |(provider, words, it): (&str, &str, Value)| {
        let read = parse_dataset(it.to_string().as_bytes()).unwrap();
        let found = Found {
            provider: provider.to_owned(),
            id: read.id.to_string(),
            address: "https://a.example/dsp".to_owned(),
            title: words.to_owned(),
            search: words.to_owned(),
            seen: Time::from_ms(1),
            dataset: it.to_string(),
        };
        Remote { found, facets: Facets::of(&read) }
    };
    let rows: Vec<Remote> = rows.into_iter().map(row).collect();
    let write = node.app.writer.note(move |conn| {
        let rows = rows.clone();
        Box::pin(async move { save_remote(conn, &rows).await })
    });
    write.await.unwrap();
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

fn counts(page: &Value, facet: &str) -> Vec<(String, u64)> {
    let all = page["facets"][facet].as_array().unwrap_or_else(|| panic!("{facet}: {page}"));
    let one =
        |it: &Value| (it["value"].as_str().unwrap().to_owned(), it["count"].as_u64().unwrap());
    all.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn facets_narrow_a_search_and_are_counted_without_themselves() {
    let node = node().await;
    let admin = node.admin().await;
    let (a, b) = ("did:web:a.example", "did:web:b.example");
    let (query, plain) = ("tidm:query", "HttpData-PULL");
    keep(
        &node,
        vec![
            (a, "bearing one", dataset("urn:1", Some("general"), query, &[Some("50 CNY")])),
            (a, "bearing two", dataset("urn:2", Some("important"), query, &[None])),
            (b, "bearing three", dataset("urn:3", Some("general"), plain, &[Some("80 CNY"), None])),
            (b, "gear", dataset("urn:4", None, plain, &[Some("5 EUR")])),
            (b, "100% pure", dataset("urn:5", None, "Foreign-PUSH", &[])),
        ],
    )
    .await;
    let cases: [(&str, &[&str]); 16] = [
        ("", &["urn:1", "urn:2", "urn:3", "urn:4", "urn:5"]),
        ("search=bearing", &["urn:1", "urn:2", "urn:3"]),
        ("search=100%25", &["urn:5"]),
        ("format=query", &["urn:1", "urn:2"]),
        ("format=httpdata-pull", &["urn:3", "urn:4"]),
        ("format=data", &[]),
        ("grade=general", &["urn:1", "urn:3"]),
        ("grade=unknown", &["urn:4", "urn:5"]),
        ("provider=did:web:b.example", &["urn:3", "urn:4", "urn:5"]),
        ("max_price=50%20CNY", &["urn:1", "urn:2", "urn:3"]),
        ("max_price=49.99%20CNY", &["urn:2", "urn:3"]),
        ("max_price=5", &["urn:2", "urn:3", "urn:4"]),
        ("free=true", &["urn:2", "urn:3"]),
        ("free=false&format=&grade=", &["urn:1", "urn:2", "urn:3", "urn:4", "urn:5"]),
        ("search=bearing&grade=general&free=true", &["urn:3"]),
        ("provider=did:web:a.example&free=true&max_price=1&format=plain", &[]),
    ];
    for (asked, found) in cases {
        let page = node.get(&format!("/catalog?{asked}"), &admin).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(ids(&page.body), found, "{asked}");
    }
    let page = node.get("/catalog?search=bearing&grade=general", &admin).await.body;
    let pairs = |all: &[(&str, u64)]| -> Vec<(String, u64)> {
        all.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
    };
    // The grade is counted as if none were chosen; the others within the chosen one.
    assert_eq!(counts(&page, "grade"), pairs(&[("general", 2), ("important", 1)]));
    assert_eq!(counts(&page, "format"), pairs(&[(plain, 1), (query, 1)]));
    assert_eq!(counts(&page, "provider"), pairs(&[(a, 1), (b, 1)]));
    assert_eq!(counts(&page, "price"), pairs(&[("CNY", 2)]));
    assert_eq!(counts(&page, "free"), pairs(&[("false", 1), ("true", 1)]));
    let all = node.get("/catalog", &admin).await.body;
    assert_eq!(
        counts(&all, "price"),
        pairs(&[("CNY", 2), ("EUR", 1), ("none", 1), ("unknown", 1)])
    );
    assert_eq!(counts(&all, "free"), pairs(&[("false", 2), ("true", 2), ("unknown", 1)]));
    for bad in ["max_price=cheap", "free=perhaps", "cursor=!"] {
        assert_eq!(node.get(&format!("/catalog?{bad}"), &admin).await.status, 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_keep_the_filter_and_count_once() {
    let node = node().await;
    let admin = node.admin().await;
    let names: Vec<String> = (0..120).map(|it| format!("urn:p:{it:03}")).collect();
    let grade = |at: usize| if at.is_multiple_of(2) { "general" } else { "important" };
    let row = |(at, id): (usize, &String)| {
        ("did:web:a.example", "x", dataset(id, Some(grade(at)), "tidm:query", &[None]))
    };
    keep(&node, names.iter().enumerate().map(row).collect()).await;
    let (mut seen, mut path, mut pages) = (Vec::new(), "/catalog?grade=general".to_owned(), 0);
    loop {
        let page = node.get(&path, &admin).await.body;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        assert_eq!(page["facets"].is_object(), pages == 0);
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/catalog?grade=general&cursor={next}");
    }
    let wanted: Vec<String> = names.iter().step_by(2).cloned().collect();
    assert_eq!((seen, pages), (wanted, 2));
}
