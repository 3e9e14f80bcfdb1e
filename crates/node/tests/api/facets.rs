//! Searching what was crawled: facets, their counts, and pages.

use serde_json::{Value, json};

use tidm_node::search;
use tidm_node::store::remote::{Kept, Kind, save_entries};
use tidm_space::catalog::entry::{Entry, Provenance};
use tidm_space::identity::did::Did;
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::parse_dataset;

use super::{Node, node};

/// A dataset as a catalogue lists it; without grade it is a foreign connector's.
pub(super) fn dataset(
    id: &str,
    grade: Option<&str>,
    format: &str,
    prices: &[Option<&str>],
) -> Value {
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

pub(super) fn kept(provider: &str, words: &str, it: &Value, announce: Kind, at: i64) -> Kept {
    let read = parse_dataset(it.to_string().as_bytes()).unwrap();
    let did = Did::parse(provider).unwrap();
    let entry = Entry { title: words.to_owned(), text: words.to_owned(), ..Entry::of(&read) };
    let request = "https://a.example/dsp/catalog/request".to_owned();
    let from = Provenance { provider: did.clone(), via: did, changed: Time::from_ms(at), request };
    Kept { entry, from, address: "https://a.example/dsp".to_owned(), announce: Some(announce) }
}

/// Writes what a crawl would, each a second older than the one before, and lets searches see it.
pub(super) async fn write(node: &Node, rows: Vec<Kept>) {
    let note = node.app.writer.note(move |conn| {
        let rows = rows.clone();
        Box::pin(async move { save_entries(conn, &rows, Time::from_ms(7)).await })
    });
    note.await.unwrap();
    node.app.changed.send_replace(());
    search::catch_up(&node.app).await.unwrap();
}

async fn keep(node: &Node, rows: Vec<(&str, &str, Value)>) {
    let row = |(at, (provider, words, it)): (i64, (&str, &str, Value))| {
        kept(provider, words, &it, Kind::New, 1_000_000 - at * 1000)
    };
    write(node, (0..).zip(rows).map(row).collect()).await;
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
            (b, "gear 齿轮箱", dataset("urn:4", None, plain, &[Some("5 EUR"), Some("200 CNY")])),
            (b, "100% pure", dataset("urn:5", None, "Foreign-PUSH", &[])),
        ],
    )
    .await;
    let cases: [(&str, &[&str]); 24] = [
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
        // Five euros are not five yuan: a price counts in its own currency only.
        ("max_price=5%20EUR", &["urn:2", "urn:3", "urn:4"]),
        ("max_price=5%20CNY", &["urn:2", "urn:3"]),
        ("max_price=199&currency=CNY", &["urn:1", "urn:2", "urn:3"]),
        ("max_price=200&currency=CNY", &["urn:1", "urn:2", "urn:3", "urn:4"]),
        ("max_price=9&currency=USD", &["urn:2", "urn:3"]),
        // Among bearings there is one currency only.
        ("search=bearing&max_price=50", &["urn:1", "urn:2", "urn:3"]),
        ("search=%E9%BD%BF%E8%BD%AE", &["urn:4"]),
        ("search=Gears%20%E9%BD%BF%E8%BD%AE%E7%AE%B1", &["urn:4"]),
        ("search=%E8%BD%AE%E9%BD%BF", &[]),
        ("free=true", &["urn:2", "urn:3"]),
        ("free=false&format=&grade=", &["urn:1", "urn:2", "urn:3", "urn:4", "urn:5"]),
        ("search=bearing&grade=general&free=true", &["urn:3"]),
        ("provider=did:web:a.example&free=true&max_price=1%20CNY&format=plain", &[]),
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
        pairs(&[("CNY", 3), ("EUR", 1), ("none", 1), ("unknown", 1)])
    );
    assert_eq!(counts(&all, "free"), pairs(&[("false", 2), ("true", 2), ("unknown", 1)]));
    let refused = node.get("/catalog?max_price=5", &admin).await;
    assert_eq!(
        (refused.status.as_u16(), refused.body["code"].as_str()),
        (422, Some("catalog.currency"))
    );
    for bad in [
        "max_price=cheap",
        "max_price=5&currency=yuan",
        "currency=CNY",
        "limit=0",
        "free=perhaps",
        "cursor=!",
    ] {
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

/// The index is a cache: what is lost, damaged or of another store is built again from the store's rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_built_again() {
    let node = node().await;
    let admin = node.admin().await;
    let (a, query) = ("did:web:a.example", "tidm:query");
    let row = |id: &str| (a, "bearing", dataset(id, None, query, &[None]));
    keep(&node, vec![row("urn:1"), row("urn:2")]).await;
    let found = async || ids(&node.get("/catalog?search=bearing", &admin).await.body).len();
    assert_eq!(found().await, 2);
    // Another process of the same store, with a directory of its own.
    let mut config = node.app.config.clone();
    config.node.data = node._dir.path().join("replica");
    let dir = config.node.data.join("search");
    let again = async |break_it: fn(&std::path::Path)| {
        break_it(&dir);
        let keys = super::Directory::open(&node._dir.path().join(super::init::KEYS), None).unwrap();
        let keys = std::sync::Arc::new(keys);
        let built = tidm_node::serve::build(config.clone(), keys, super::metrics()).await.unwrap();
        let wanted = tidm_space::catalog::search::Filter::of_words("bearing");
        search::search(&built.app, &wanted, None, 10).await.unwrap().rows.len()
    };
    assert_eq!(again(|_| {}).await, 2, "none yet");
    assert_eq!(again(|_| {}).await, 2, "as it was");
    assert_eq!(again(|dir| std::fs::remove_dir_all(dir).unwrap()).await, 2, "lost");
    let damage = |dir: &std::path::Path| std::fs::write(dir.join("meta.json"), "{").unwrap();
    assert_eq!(again(damage).await, 2, "damaged");
    let half = |dir: &std::path::Path| {
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|it| it == "term") {
                std::fs::write(path, "x").unwrap();
            }
        }
    };
    assert_eq!(again(half).await, 2, "half of it is damaged");
    // Another store's changes have other marks, though their numbers are the same.
    let forget = node.app.writer.note(|conn| {
        Box::pin(async move { tidm_node::store::remote::forget_changes(conn, i64::MAX).await })
    });
    forget.await.unwrap();
    keep(&node, vec![row("urn:3")]).await;
    assert_eq!(found().await, 3);
}
