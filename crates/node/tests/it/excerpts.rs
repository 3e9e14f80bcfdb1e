//! What a contract lets out of a product: only its rows, before any engine; and a mark that tells whose copy leaked.

use std::fmt::Write as _;

use futures::StreamExt as _;

use tidm_ingest::cells::Cell;
use tidm_ingest::excerpt::rows;
use tidm_node::jobs::excerpt;
use tidm_node::jobs::trace::{Trace, trace};
use tidm_node::jobs::use_data::{query_at_provider, query_sealed};
use tidm_node::objects::Key;
use tidm_node::store::writer::WorkError;
use tidm_space::contract::Contract;
use tidm_space::policy::filter::Filter;
use tidm_space::policy::mark::Mark;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::world::{Node, World, fault, publishing, table};

const HIDDEN: &str = "hidden-line";

/// Readings of two lines; some without a temperature, one of them not to be divided by.
fn readings() -> Vec<(String, &'static str, String)> {
    let one = |i: u32| {
        let line = if i.is_multiple_of(3) { HIDDEN } else { "A" };
        let temp = if i.is_multiple_of(7) {
            String::new()
        } else {
            format!("{}", 15.0 + f64::from(i % 20) / 2.0)
        };
        (format!("s{i}"), line, temp)
    };
    (0..300).map(one).collect()
}

fn csv(rows: &[(String, &str, String)]) -> Vec<u8> {
    let mut text = "sensor,line,temp\n".to_owned();
    for (sensor, line, temp) in rows {
        writeln!(text, "{sensor},{line},{temp}").unwrap();
    }
    text.into_bytes()
}

fn some_rows(condition: &str) -> Sentences {
    Sentences { rows: Some(Filter::parse(condition).unwrap()), ..Sentences::default() }
}

/// Statements of a consumer who wants to learn of rows that the contract does not permit.
const STATEMENTS: &[&str] = &[
    "SELECT * FROM data ORDER BY sensor",
    "SELECT count(*) FROM data",
    "SELECT count(*) AS n, min(temp), max(temp), sum(temp), min(line), max(line) FROM data",
    "SELECT d.line, count(*) FROM data AS d GROUP BY d.line ORDER BY 1",
    "SELECT count(*) FROM data a JOIN data b ON a.sensor = b.sensor",
    "SELECT count(*) FROM data a LEFT JOIN data b ON a.line <> b.line",
    "SELECT count(*) FROM data WHERE line <> 'A' OR 1 = 1",
    "SELECT count(*) FROM data WHERE line = 'hidden-line'",
    "SELECT count(*) FROM data WHERE temp IS NULL",
    "SELECT count(*) FROM data WHERE NOT (temp > 20)",
    "SELECT * FROM (SELECT sensor, line FROM data UNION ALL SELECT sensor, line FROM data) u ORDER BY 1, 2",
    "WITH v AS (SELECT * FROM data) SELECT count(*) FROM v WHERE sensor = 's0'",
    "SELECT count(*) FROM data WHERE 1 / (CASE WHEN line = 'hidden-line' THEN 0 ELSE 1 END) = 1",
    "SELECT sum(1 / (CASE WHEN sensor = 's0' THEN 0 ELSE 1 END)) FROM data",
    "SELECT CAST(CASE WHEN line = 'hidden-line' THEN sensor ELSE '1' END AS BIGINT) FROM data ORDER BY 1",
    "SELECT count(*) FROM data WHERE sensor IN (SELECT sensor FROM data WHERE line = 'hidden-line')",
    "SELECT EXISTS (SELECT 1 FROM data WHERE line = 'hidden-line')",
    "SELECT line, count(*) FROM data GROUP BY line HAVING count(*) > 0 ORDER BY 1",
    "SELECT DISTINCT line FROM data ORDER BY 1",
    "SELECT sensor FROM data ORDER BY sensor LIMIT 5 OFFSET 190",
    "EXPLAIN SELECT * FROM data",
    "EXPLAIN ANALYZE SELECT count(*) FROM data WHERE line = 'hidden-line'",
    "DESCRIBE data",
    "SHOW TABLES",
];

/// Rows, or the code of what was said instead.
async fn told(
    node: &Node,
    contract: &Contract,
    sql: &str,
    at_provider: bool,
) -> Result<Vec<Vec<String>>, &'static str> {
    let done = if at_provider {
        query_at_provider(&node.app, &contract.id, sql, None).await
    } else {
        query_sealed(&node.app, &contract.id, sql, None).await
    };
    match done {
        Ok(it) => Ok(table(&it.ipc)),
        Err(WorkError::Fault(why)) => {
            assert!(!why.to_string().contains(HIDDEN) || sql.contains(HIDDEN), "{sql}: {why}");
            Err(why.code())
        }
        Err(other) => panic!("{sql}: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_see_exactly_what_a_filtered_table_would_show() {
    let world = World::two().await;
    let all = readings();
    let kept: Vec<_> = all
        .iter()
        .filter(|(_, line, temp)| *line == "A" && temp.parse::<f64>().is_ok_and(|it| it >= 17.5))
        .cloned()
        .collect();
    assert!(kept.len() > 100 && kept.len() < all.len() / 2 + 50);
    let kinds = [Use::Query, Use::SealedTable];
    let part = world
        .published("all.csv", &csv(&all), some_rows("line = 'A' and temp >= 17.5"), &kinds)
        .await;
    // The same, cut by hand before it was published.
    let cut = world.published("cut.csv", &csv(&kept), Sentences::default(), &kinds).await;
    let (part, cut) = (world.agreed(&part).await, world.agreed(&cut).await);
    for contract in [&part, &cut] {
        world.delivered(contract, Use::SealedTable).await;
    }
    let consumer = world.consumer();
    // The sealed copy is the same file, so some statements over it will do.
    let mut answered = 0;
    let sealed = STATEMENTS.iter().step_by(6).map(|sql| (sql, false));
    for (sql, at_provider) in STATEMENTS.iter().map(|sql| (sql, true)).chain(sealed) {
        let seen = told(consumer, &part, sql, at_provider).await;
        answered += i32::from(seen.is_ok());
        assert_eq!(seen, told(consumer, &cut, sql, at_provider).await, "{sql}");
    }
    assert!(answered > 15, "{answered}");
    let counted = told(consumer, &part, "SELECT count(*) FROM data", true).await.unwrap();
    assert_eq!(counted, [[kept.len().to_string()]]);

    // The copy goes with the contract; that there was one stays known.
    let provider = &world.provider().app;
    let copy = provider.store.excerpt(&part.id).await.unwrap().unwrap();
    assert_eq!((copy.rows, copy.marked), (kept.len() as u64, None));
    world.revoke(&part).await;
    let gone = || async {
        let it = provider.store.excerpt(&part.id).await.unwrap().unwrap();
        it.object.is_empty().then_some(())
    };
    crate::world::eventually("the copy is erased", gone).await;
    assert!(provider.objects.head(&Key::parse(&copy.object).unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_outlives_a_contract_that_ends_while_it_is_made() {
    let world = World::two().await;
    let product =
        world.published("e.csv", &csv(&readings()), some_rows("line = 'A'"), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let app = &world.provider().app;
    let (made, erased) =
        tokio::join!(excerpt::of(app, &contract, Use::Query), excerpt::erase(app, &contract.id));
    erased.unwrap();
    // Whoever came first, nothing is left, and nothing is made again.
    drop(made);
    assert_eq!(app.store.excerpt(&contract.id).await.unwrap().unwrap().object, "");
    assert_eq!(app.objects.list(&Key::parse("excerpts").unwrap()).count().await, 0);
    assert!(excerpt::of(app, &contract, Use::Query).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_delivery_brings_only_permitted_rows_and_columns() {
    let world = World::two().await;
    let terms = Sentences {
        columns: vec!["sensor".to_owned(), "temp".to_owned()],
        ..some_rows("line != 'hidden-line'")
    };
    let contract = world.ready("p.csv", &csv(&readings()), terms, Use::Plain).await;
    let bytes = copy(world.consumer(), &contract).await;
    // The published table read the same way has all that the copy has not.
    let source = world.provider().app.store.source(&contract.product).await.unwrap().unwrap();
    let source = Key::parse(&source.object).unwrap();
    let objects = &world.provider().app.objects;
    let length = objects.head(&source).await.unwrap().bytes;
    let published = objects.get_range(&source, 0..length).await.unwrap();
    let (whole, copied) = (texts(&world, &published), texts(&world, &bytes));
    let text = |it: &str| Some(it.to_owned());
    let of_line = |line: &'static str| readings().into_iter().filter(move |it| it.1 == line);
    assert!(of_line(HIDDEN).count() > 0 && whole.len() == 300);
    for (sensor, line, _) in of_line(HIDDEN) {
        assert!(whole.contains(&(text(&sensor), text(line))), "{sensor}");
    }
    let permitted: Vec<_> = of_line("A").map(|it| (Some(it.0), None)).collect();
    assert_eq!(copied, permitted);
    let excerpt = world.provider().app.store.excerpt(&contract.id).await.unwrap().unwrap();
    assert_eq!((excerpt.rows, excerpt.bytes), (200, bytes.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_fit_no_column_are_not_offered() {
    let world = World::of(1, |_, _| String::new()).await;
    let bytes = csv(&readings());
    let mark = |how: &str| Sentences { mark: Mark::parse(how), ..Sentences::default() };
    for (terms, kind, code) in [
        (some_rows("nothing = 1"), Use::Query, "publish.column"),
        (some_rows("temp = 'warm'"), Use::Query, "publish.terms"),
        (some_rows("line > 3"), Use::Query, "publish.terms"),
        (some_rows("line = 'A'"), Use::Psi, "publish.delivery"),
        (mark("temp:0.1;sensor"), Use::Query, "publish.delivery"),
        (mark("line:0.1;sensor"), Use::Plain, "publish.terms"),
        (mark("temp:0.1;gone"), Use::Plain, "publish.column"),
    ] {
        let file = world.path().join("c.csv");
        std::fs::write(&file, &bytes).unwrap();
        let mut request = tidm_node::jobs::publish::PublishRequest::new(file, "c");
        request.offers = vec![tidm_node::jobs::publish::OfferRequest {
            policy: None,
            sentences: terms.clone(),
            approval: tidm_space::catalog::product::Approval::Auto,
            deliveries: vec![kind],
            rules: tidm_space::approval::Rules::default(),
        }];
        assert_eq!(fault(publishing(world.provider(), request).await).code(), code, "{terms:?}");
    }
}

/// Sensor and line of each row of a Parquet file; nothing where it has no such column.
fn texts(world: &World, parquet: &[u8]) -> Vec<(Option<String>, Option<String>)> {
    let file = world.path().join("read.parquet");
    std::fs::write(&file, parquet).unwrap();
    let mut all = Vec::new();
    let columns = ["sensor", "line"].map(str::to_owned);
    rows(&file, &columns, &mut |row| {
        let text = |column: &str| match row.cell(column) {
            Cell::Text(it) => Some(it.to_owned()),
            _ => None,
        };
        all.push((text("sensor"), text("line")));
    })
    .unwrap();
    all
}

async fn copy(node: &Node, contract: &Contract) -> Vec<u8> {
    let it = node.app.store.copies(&contract.id).await.unwrap().remove(0);
    node.app
        .objects
        .get_range(&Key::parse(&it.object).unwrap(), 0..it.bytes)
        .await
        .unwrap()
        .to_vec()
}

async fn traced(
    world: &World,
    contract: &Contract,
    name: &str,
    bytes: &[u8],
) -> Result<Trace, WorkError> {
    let file = world.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    trace(&world.provider().app, &contract.product, &file, name).await
}

fn named(it: &Trace) -> Vec<String> {
    it.suspects.iter().filter(|it| it.named).map(|it| it.contract.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_names_the_contract_it_was_released_under_and_no_other() {
    let world = World::of(3, |_, _| String::new()).await;
    let temp = |i: u64| 18.0 + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as f64 / 10.0;
    let rows: Vec<_> =
        (0..2_000_u64).map(|i| (format!("s{i}"), "A", format!("{}", temp(i)))).collect();
    let original = csv(&rows);
    let terms = Sentences { mark: Mark::parse("temp:0.1;sensor"), ..Sentences::default() };
    let product = world.published("m.csv", &original, terms, &[Use::Plain, Use::SealedTable]).await;
    let (plain, sealed) = (world.agreed_by(&product, 1).await, world.agreed_by(&product, 2).await);
    world.delivered_to(&plain, Use::Plain, 1).await;
    world.delivered_to(&sealed, Use::SealedTable, 2).await;

    // The first consumer's Parquet file, as it came.
    let leak = copy(&world.nodes[1], &plain).await;
    let found = traced(&world, &plain, "leak.parquet", &leak).await.unwrap();
    assert_eq!((found.rows, found.suspects.len()), (2_000, 2));
    assert_eq!(named(&found), [plain.id.to_string()]);
    let changed = found.suspects[0].released.unwrap().1;
    assert!((180..320).contains(&changed), "{changed}");

    // What the second one's queries showed: one row in six, in another order, without the column `line`, as CSV.
    let shown =
        query_sealed(&world.nodes[2].app, &sealed.id, "SELECT sensor, temp FROM data", None)
            .await
            .unwrap();
    let mut text = "temp,sensor\n".to_owned();
    for row in table(&shown.ipc).iter().rev().step_by(6) {
        writeln!(text, "{},{}", row[1], row[0]).unwrap();
    }
    let found = traced(&world, &sealed, "leak.csv", text.as_bytes()).await.unwrap();
    assert_eq!(named(&found), [sealed.id.to_string()]);

    // The provider's own file blames nobody.
    assert_eq!(named(&traced(&world, &plain, "own.csv", &original).await.unwrap()), [""; 0]);
    // Nor is a file without what tells rows apart held against anybody.
    let no = fault(traced(&world, &plain, "other.csv", b"a,b\n1,2\n").await);
    assert_eq!(no.code(), "watermark.columns");
    assert_eq!(fault(traced(&world, &plain, "empty.csv", b"").await).code(), "publish.empty");

    // After the contract's end its key and its copy are gone; its mark is still known.
    world.revoke(&plain).await;
    let provider = &world.provider().app;
    let gone = || async {
        provider.store.excerpt(&plain.id).await.unwrap().unwrap().object.is_empty().then_some(())
    };
    crate::world::eventually("the copy is erased", gone).await;
    let found = traced(&world, &plain, "late.parquet", &leak).await.unwrap();
    assert_eq!(named(&found), [plain.id.to_string()]);
    assert_eq!(found.suspects[0].released.unwrap().1, changed);
}
