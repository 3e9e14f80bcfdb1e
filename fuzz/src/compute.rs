//! Targets in `tidm-compute`: people's own lists, orders, and what a party with spu sends.

use bytes::Bytes;
use tidm_compute::job::many;
use tidm_compute::job::order::{Kind, Order};
use tidm_compute::keys::{self, Equals, Form, Mapping, Part, Rule};
use tidm_compute::spu::wire;
use tidm_compute::table;

use crate::{Parser, choose, contained};

/// A list gives one answer per row, in as many rows as were announced at most, or a fault; never a panic.
pub(crate) fn lists(data: &[u8]) {
    const PARSERS: [Parser; 5] = [comma, semicolon, parquet, arrow_file, arrow_stream];
    choose(&PARSERS, data);
}

fn comma(data: &[u8]) {
    list(Kind::Csv, data);
}

fn semicolon(data: &[u8]) {
    list(Kind::CsvSemicolon, data);
}

fn parquet(data: &[u8]) {
    contained(|| list(Kind::Parquet, data));
}

fn arrow_file(data: &[u8]) {
    contained(|| list(Kind::ArrowFile, data));
}

fn arrow_stream(data: &[u8]) {
    contained(|| list(Kind::ArrowStream, data));
}

fn list(kind: Kind, data: &[u8]) {
    let part = |role: &str, form| Part { role: role.to_owned(), form, ignore_case: false };
    let parts = vec![part("id", Form::Text), part("day", Form::Date)];
    let rule = Rule { parts, equals: Equals::First };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data).unwrap();
    let format = kind.format();
    let Ok(mut source) = keys::open(file.path(), format, &rule, &Mapping::same(&rule), b"fuzz")
    else {
        return;
    };
    let (mut batch, mut rows) = (Vec::new(), 0);
    while let Ok(true) = source.next(&mut batch) {
        rows += batch.len() as u64;
    }
    assert!(source.counts().items() <= source.counts().rows);
    if let Ok(most) = keys::rows_at_most(file.path(), format) {
        assert!(rows <= most, "{rows} rows, at most {most} announced");
    }
}

/// Orders; frames and batches of spu's link; what a peer gives with a match.
pub(crate) fn messages(data: &[u8]) {
    const PARSERS: [Parser; 6] = [orders, pushes, batches, labels, table_orders, orders_of_many];
    choose(&PARSERS, data);
}

fn orders(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(order) = Order::of_json(text) {
        assert!(order.check().is_ok());
    }
}

fn orders_of_many(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(order) = many::Order::of_json(text) {
        assert!(order.check().is_ok());
    }
}

fn pushes(data: &[u8]) {
    let frame = Bytes::copy_from_slice(data);
    let Some(push) = wire::unframed::<wire::PushRequest>(frame) else { return };
    assert_eq!(wire::unframed(wire::framed(&push)), Some(push));
}

fn batches(data: &[u8]) {
    let message = Bytes::copy_from_slice(data);
    let Ok(items) = wire::Batch::items::<{ wire::POINT_BYTES }>(message, "enc", 0) else { return };
    let again = wire::Batch::of("enc", 0, items.len(), items.concat());
    let again = wire::Batch::items::<{ wire::POINT_BYTES }>(again.into(), "enc", 0);
    assert_eq!(again, Ok(items));
}

fn labels(data: &[u8]) {
    let Some((columns, label)) = data.split_first() else { return };
    let Some(texts) = keys::split_label(label, usize::from(*columns)) else { return };
    let said: usize = texts.iter().map(|text| 2 + text.len()).sum();
    assert!(texts.len() == usize::from(*columns) && said <= label.len());
}

/// Orders about tables, and what an index says of itself.
fn table_orders(data: &[u8]) {
    if let Ok(facts) = table::facts(data) {
        assert!(facts.entries <= 1 << 32);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(order) = table::Order::of_json(text) {
        assert!(order.check().is_ok());
    }
}
