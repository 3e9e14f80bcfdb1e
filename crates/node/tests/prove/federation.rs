//! Members of every kind are read: foreign and our own, good, bad and slow; and filters through an intermediary.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidm_node::app::App;
use tidm_node::jobs::crawl;
use tidm_node::net::auth;
use tidm_node::net::client::Ask;
use tidm_node::store::remote::Kind;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::time::Time;

use super::member::{Foreign, Manner, dataset};
use super::{Place, find, introduce, product, publish, start};

pub(super) fn know(app: &App, members: Vec<Member>) {
    app.directory.set_members(MemberList {
        space: Id::parse("urn:space:test").unwrap(),
        operator: app.identity.did.clone(),
        version: 1,
        issued: Time::ZERO,
        expires: Time::from_ms(i64::MAX),
        members,
    });
}

async fn titles(app: &Arc<App>, text: &str) -> Vec<String> {
    let mut all: Vec<String> =
        find(app, text, None).await.rows.into_iter().map(|it| it.0.title).collect();
    all.sort();
    all
}

async fn changes(app: &App, after: i64) -> Vec<(Kind, String)> {
    let all = app.store.changes(after, 100).await.unwrap();
    let mut all: Vec<_> = all.into_iter().map(|it| (it.kind, it.id)).collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_written_and_what_is_gone_disappears() {
    let (app, _stop, _dir) = start(Place::new().await, "\"intermediary\"", "").await;
    let pages = |all: &[(&str, &str)]| Manner::Pages {
        datasets: all.iter().map(|(id, title)| dataset(id, title)).collect(),
        page: 2,
    };
    let first = [("urn:1", "轴承 one"), ("urn:2", "轴承 two"), ("urn:3", "轴承 three")];
    let foreign = Foreign::start("foreign", pages(&first)).await;
    know(&app, vec![foreign.member()]);
    let round = crawl::crawl_once(&app).await.unwrap();
    assert_eq!((round.failed.len(), round.entries, round.unchanged), (0, 3, 0), "{round:?}");
    assert_eq!(foreign.asked(), (2, 0));
    assert_eq!(titles(&app, "轴承").await, ["轴承 one", "轴承 three", "轴承 two"]);
    let found = &find(&app, "three", None).await.rows[0].0;
    // Which request of which member said so: the second page.
    assert!(found.request.ends_with("/protocol/catalog/request?page=1"), "{}", found.request);
    assert_eq!((found.via.as_str(), found.digest.len()), (foreign.did.as_str(), 64));

    // Unchanged: one conditional request, and nothing is written.
    let head = app.store.heads().await.unwrap().others;
    let round = crawl::crawl_once(&app).await.unwrap();
    assert_eq!((round.unchanged, round.entries, foreign.asked()), (1, 3, (1, 1)));
    assert_eq!(app.store.heads().await.unwrap().others, head);

    foreign.set(pages(&[("urn:1", "轴承 uno"), ("urn:3", "轴承 three"), ("urn:4", "齿轮 four")]));
    let round = crawl::crawl_once(&app).await.unwrap();
    assert_eq!((round.unchanged, round.entries), (0, 3));
    let wanted = [(Kind::Changed, "urn:1"), (Kind::Gone, "urn:2"), (Kind::New, "urn:4")];
    assert_eq!(changes(&app, head).await, wanted.map(|(kind, id)| (kind, id.to_owned())));
    assert_eq!(titles(&app, "轴承").await, ["轴承 three", "轴承 uno"]);
    assert!(titles(&app, "two").await.is_empty() && titles(&app, "one").await.is_empty());

    // Half a reading takes nothing away.
    foreign.set(Manner::Circle);
    let round = crawl::crawl_once(&app).await.unwrap();
    assert!(round.failed[0].1.contains("circle"), "{round:?}");
    assert_eq!(titles(&app, "轴承").await.len(), 2);
    // Who is no member any more offers nothing here: seen by the loop that looks who is due.
    know(&app, vec![]);
    let began = Instant::now();
    while !titles(&app, "").await.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "a stranger's offers are still shown");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_hostile_members_are_marked_and_hold_nobody_up() {
    let (app, _stop, _dir) = start(Place::new().await, "\"intermediary\"", "").await;
    let mut all = Vec::new();
    for at in 0..8 {
        all.push(Foreign::start(&format!("silent{at}"), Manner::Silent).await);
    }
    let bad = [
        (Manner::Circle, "circle"),
        (Manner::Elsewhere, "elsewhere"),
        (Manner::Text("{"), "not a JSON object"),
        (Manner::Text("{\"@type\":\"Catalog\"}"), "no @id"),
        (Manner::NotPacked, "damaged"),
        (Manner::Down, "503"),
    ];
    for (at, (manner, _)) in bad.iter().enumerate() {
        all.push(Foreign::start(&format!("bad{at}"), manner.clone()).await);
    }
    let good = Manner::Pages { datasets: vec![dataset("urn:1", "good bearing")], page: 1 };
    all.push(Foreign::start("good", good).await);
    know(&app, all.iter().map(|it| it.member()).collect());
    let began = Instant::now();
    let round = crawl::crawl_once(&app).await.unwrap();
    // Eight silent ones in a lane of six: two calls of ten seconds one after the other.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!((round.members, round.failed.len(), round.entries), (15, 14, 1), "{round:?}");
    for (at, (_, why)) in bad.iter().enumerate() {
        let did = Did::parse(&format!("did:web:bad{at}.invalid")).unwrap();
        let standing = app.store.standing(&did).await.unwrap();
        assert!(standing.error.as_ref().is_some_and(|it| it.contains(why)), "{standing:?}");
        assert!(standing.failing_since.is_some() && standing.next > standing.failing_since);
    }
    // Now they are known to fail: the good one does not wait for them.
    let slow = tokio::spawn({
        let app = app.clone();
        async move { crawl::crawl_once(&app).await.unwrap() }
    });
    let good = all.last().unwrap();
    good.asked();
    let began = Instant::now();
    while good.asked().1 == 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "the good one waits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!slow.is_finished());
    slow.abort();
    assert_eq!(titles(&app, "bearing").await, ["good bearing"]);
}

/// One page of a DSP catalogue: status, document and next address.
async fn page(
    from: &App,
    to: &App,
    url: &str,
    filter: Option<Value>,
) -> (u16, Value, Option<String>) {
    let mut body = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage",
    });
    if let Some(filter) = filter {
        body["filter"] = filter;
    }
    let value = auth::bearer(&from.identity, &to.identity.did, &from.clock);
    let ask = Ask { authorization: Some(&value), json: Some(body.to_string()), ..Ask::default() };
    let answer = from.client.ask(reqwest::Method::POST, url, ask).await.unwrap();
    let next = answer.link.as_deref().and_then(|it| {
        let (url, rest) = it.strip_prefix('<')?.split_once('>')?;
        rest.contains("next").then(|| url.to_owned())
    });
    let document = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status.as_u16(), document, next)
}

fn ids(document: &Value) -> Vec<String> {
    let of = |it: &Value| -> Vec<String> {
        let all = it["dataset"].as_array().cloned().unwrap_or_default();
        all.iter().map(|it| it["@id"].as_str().unwrap().to_owned()).collect()
    };
    let nested = document["catalog"].as_array().cloned().unwrap_or_default();
    let mut all = of(document);
    all.extend(nested.iter().flat_map(of));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_go_through_an_intermediary() {
    let (provider, _s1, _d1) = start(Place::new().await, "\"provider\"", "").await;
    let (between, _s2, _d2) = start(Place::new().await, "\"intermediary\"", "").await;
    let (consumer, _s3, _d3) = start(Place::new().await, "\"consumer\"", "").await;
    introduce(&[
        (&provider, vec![Role::Provider]),
        (&between, vec![Role::Intermediary]),
        (&consumer, vec![Role::Consumer]),
    ]);
    let now = provider.clock.now();
    publish(&provider, (0..30).map(|it| product(it, vec![], now)).collect()).await;
    let round = crawl::crawl_once(&between).await.unwrap();
    assert_eq!((round.failed.len(), round.entries), (0, 30), "{round:?}");
    let base = format!("{}/catalog/request", between.identity.dsp_base());

    let one = json!([{ "search": "风机 turbine 17" }]);
    let (status, document, next) = page(&consumer, &between, &base, Some(one)).await;
    assert_eq!((status, ids(&document), next), (200, vec!["urn:test:product:17".to_owned()], None));
    assert_eq!(document["catalog"][0]["participantId"], provider.identity.did.as_str());
    assert_eq!(document["catalog"][0]["service"][0]["endpointURL"], provider.identity.dsp_base());

    // Page by page, with and without a filter: everything once.
    for (filter, wanted) in [
        (None, 30),
        (Some(json!([{ "search": "风机", "free": true }])), 30),
        (Some(json!([{ "format": "query", "provider": provider.identity.did.as_str() }])), 30),
        (Some(json!([{ "format": "plain" }])), 0),
        (Some(json!([{ "maxPrice": "1 CNY" }])), 30),
        // EDC's own language is taken and means everything.
        (
            Some(json!({ "@type": "QuerySpec", "offset": 0, "limit": 50, "filterExpression": [] })),
            30,
        ),
    ] {
        let (mut url, mut found, mut pages) = (Some(format!("{base}?limit=7")), Vec::new(), 0);
        while let Some(at) = url {
            let (status, document, next) = page(&consumer, &between, &at, filter.clone()).await;
            assert_eq!(status, 200, "{document}");
            let some = ids(&document);
            assert!(some.len() <= 7);
            found.extend(some);
            url = next;
            pages += 1;
        }
        found.sort();
        found.dedup();
        assert_eq!((found.len(), pages), (wanted, if wanted == 30 { 5 } else { 1 }), "{filter:?}");
    }
    for bad in [json!([{ "where": "1=1" }]), json!(["all"]), json!([{ "maxPrice": "5" }])] {
        let (status, document, _) = page(&consumer, &between, &base, Some(bad)).await;
        assert_eq!((status, document["@type"].as_str()), (400, Some("CatalogError")), "{document}");
    }
    packed_and_conditional(&consumer, &between, &base).await;
}

/// Compressed for those who take it, and not sent again to those who hold it.
async fn packed_and_conditional(consumer: &App, between: &App, base: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage",
    })
    .to_string();
    let ask = |headers: &[(&str, &str)]| {
        let bearer = auth::mint(&consumer.identity, &between.identity.did, &consumer.clock);
        let mut request = http.post(base).bearer_auth(bearer).body(body.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send()
    };
    let plain = ask(&[]).await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
    let plain = plain.bytes().await.unwrap();
    let packed = ask(&[("accept-encoding", "gzip")]).await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().await.unwrap().len() < plain.len() / 4);
    assert_eq!(ask(&[("if-none-match", &tag)]).await.unwrap().status(), 412);
    assert_eq!(ask(&[("if-none-match", "\"other\"")]).await.unwrap().status(), 200);
}
