//! Publishing: what a file becomes, and what bad input leaves behind (nothing).

use futures::StreamExt as _;

use tidm_node::jobs::publish::{OfferRequest, PublishRequest, publish};
use tidm_node::objects::Key;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::{Approval, Grade, Kind};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::world::{Node, World, csv, fault, limited, publishing};

async fn objects(node: &Node) -> usize {
    node.app.objects.list(&Key::parse("products").unwrap()).count().await
}

fn left_over(node: &Node) -> usize {
    let work = node.app.config.node.data.join("work");
    std::fs::read_dir(work).map_or(0, Iterator::count)
}

fn offer(sentences: Sentences, deliveries: &[Use]) -> OfferRequest {
    OfferRequest {
        policy: None,
        sentences,
        approval: Approval::Auto,
        deliveries: deliveries.to_vec(),
        rules: Rules::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_its_next_version() {
    let world = World::of(1, |_, _| String::new()).await;
    let node = world.provider();
    let spooled = world.path().join("0190-upload");
    std::fs::write(&spooled, csv()).unwrap();
    let mut request = PublishRequest::new(&spooled, "Temperatures");
    request.name = Some("line temperatures.csv".to_owned());
    request.offers = vec![offer(limited(3), &[])];
    let first = publishing(node, request.clone()).await.unwrap().product;
    assert_eq!(
        (first.kind, first.version, first.rows, first.columns.len()),
        (Kind::Table, 1, Some(201), 3)
    );
    assert_eq!(first.offers[0].deliveries(), [Use::Query, Use::SealedTable]);
    let said = &first.offers[0].terms().summary.kinds;
    assert_eq!(
        said.as_deref(),
        Some(&[Use::Query, Use::SealedTable][..]),
        "what is signed says it"
    );
    let source = node.app.store.source(&first.id).await.unwrap().unwrap();
    assert!(
        source.origin.contains("line temperatures.csv") && !source.origin.contains("0190-upload")
    );
    assert!(source.preview.unwrap().contains("\"columns\":[\"sensor\",\"line\",\"temp\"]"));
    let kept = node.app.objects.head(&Key::parse(&source.object).unwrap()).await.unwrap();
    assert_eq!(Some(kept.bytes), first.bytes);

    request.line = Some(first.line.clone());
    let second = publishing(node, request.clone()).await.unwrap().product;
    assert_eq!((second.version, &second.line), (2, &first.line));
    assert_ne!(second.id, first.id);
    request.line = Some(Id::parse("urn:uuid:nobody").unwrap());
    assert!(matches!(fault(publishing(node, request).await), Fault::NotFound { .. }));
    assert_eq!((objects(node).await, left_over(node)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_table_is_kept_as_it_is() {
    let world = World::of(1, |_, _| String::new()).await;
    let bytes = b"\x00\x01drawing".repeat(1000);
    let product = world.published("part.dwg", &bytes, limited(3), &[]).await;
    assert_eq!((product.kind, product.bytes), (Kind::File, Some(bytes.len() as u64)));
    assert_eq!(product.content, Some(tidm_crypto::hash::sha256(&bytes)));
    assert_eq!(product.offers[0].deliveries(), [Use::SealedFile]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_and_leaves_nothing() {
    let world = World::of(1, |_, _| String::new()).await;
    let node = world.provider();
    let file = |name: &str, bytes: &[u8]| {
        let path = world.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        PublishRequest::new(path, "T")
    };
    let good = || file("good.csv", &csv());
    let with = |it: OfferRequest| PublishRequest { offers: vec![it], ..good() };
    let columns = Sentences { columns: vec!["nothing".to_owned()], ..limited(1) };
    for (what, request, code) in [
        ("empty", file("empty.csv", b""), "publish.empty"),
        ("missing", PublishRequest::new(world.path().join("gone.csv"), "T"), "publish.file"),
        ("ragged", file("ragged.csv", b"a,b\n1,2\n3,4,5,6\n"), "publish.row"),
        ("no workbook", file("x.xlsx", b"PK\x03\x04 xl/ but nothing else"), "publish.broken"),
        ("no parquet", file("x.parquet", b"PAR1 no parquet PAR1"), "publish.broken"),
        ("no title", PublishRequest { title: " ".to_owned(), ..good() }, "publish.texts"),
        ("zero uses", with(offer(limited(0), &[Use::Query])), "publish.terms"),
        (
            "no file use of a table with limits",
            with(offer(Sentences { min_group: Some(3), ..limited(1) }, &[Use::Plain])),
            "publish.delivery",
        ),
        ("unknown column", with(offer(columns, &[Use::Query])), "publish.column"),
        (
            "core",
            PublishRequest { grade: Grade::Core, ..with(offer(limited(1), &[Use::Query])) },
            "publish.grade",
        ),
    ] {
        let no = fault(publishing(node, request).await);
        assert_eq!(no.code(), code, "{what}: {no:?}");
        assert!(!no.to_string().contains(world.path().to_str().unwrap()), "{what}: {no}");
    }
    let stopped = publish(&node.app, good(), |_| std::ops::ControlFlow::Break(())).await;
    assert_eq!(fault(stopped).code(), "publish.cancelled");
    assert_eq!((objects(node).await, left_over(node)), (0, 0));
    assert!(node.app.store.products(None, 10).await.unwrap().rows.is_empty());
}
