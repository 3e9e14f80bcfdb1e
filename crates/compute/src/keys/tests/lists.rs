//! The same keys in CSV, Parquet and Arrow.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Date64Array, Decimal128Array, DictionaryArray,
    Float64Array, Int32Array, Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;

use super::*;

/// Items of the column `id` of a table, the same from all formats that carry it.
fn of_table(column: &ArrayRef, rule: &Rule) -> Result<Vec<Option<Item>>, Fault> {
    let other: ArrayRef = Arc::new(NullArray::new(column.len()));
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("x", other, true),
        ("id", Arc::clone(column), true),
    ])
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut file = FileWriter::try_new(File::create(path("f")).unwrap(), &rows.schema()).unwrap();
    let mut stream =
        StreamWriter::try_new(File::create(path("s")).unwrap(), &rows.schema()).unwrap();
    file.write(&rows).unwrap();
    stream.write(&rows).unwrap();
    file.finish().unwrap();
    stream.finish().unwrap();
    let mut parquet =
        ArrowWriter::try_new(File::create(path("p")).unwrap(), rows.schema(), None).unwrap();
    parquet.write(&rows).unwrap();
    parquet.close().unwrap();

    let mapping = Mapping::same(rule);
    let all = [("f", Format::ArrowFile), ("s", Format::ArrowStream), ("p", Format::Parquet)];
    let found = all.map(|(name, format)| {
        let source = open(&path(name), format, rule, &mapping, b"contract 7")?;
        Ok(drain(source)?.0)
    });
    if found.iter().all(Result::is_ok) {
        assert!(found.iter().all(|items| *items == found[0]));
    }
    found.into_iter().next().unwrap()
}

fn of_texts(keys: &[&str], rule: &Rule) -> Vec<Option<Item>> {
    let lines = keys.iter().map(|key| format!("\"{}\",\n", key.replace('"', "\"\"")));
    let text = ["id,x\n".to_owned()].into_iter().chain(lines).collect::<String>();
    csv(text.as_bytes(), rule, &Mapping::same(rule)).unwrap().0
}

fn form(form: &str) -> Rule {
    rule(&format!(r#"{{"parts":[{{"role":"id","form":"{form}"}}]}}"#))
}

#[test]
fn a_key_has_one_item_whatever_type_its_column_has() {
    let day = 19_724; // 2024-01-02
    let at = |hour: i64| (day * 86_400 + hour * 3600) * 1_000_000;
    let dictionary: DictionaryArray<Int32Type> = vec!["b", "a", "b"].into_iter().collect();
    let numbers = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let cases: Vec<(&str, ArrayRef, &[&str])> = vec![
        (
            "text",
            Arc::new(StringArray::from(vec![Some("Ａ"), None, Some(" b  c ")])),
            &["A", "", "b c"],
        ),
        ("text", Arc::new(LargeStringArray::from(vec!["张三", ""])), &["张三", ""]),
        (
            "exact",
            Arc::new(StringViewArray::from(vec![" a\n", "a long text that no view holds inline"])),
            &[" a\n", "a long text that no view holds inline"],
        ),
        ("text", Arc::new(BinaryArray::from(vec![&b"key"[..], b"\""])), &["key", "\""]),
        ("text", Arc::new(dictionary), &["b", "a", "b"]),
        ("text", numbers([330_106, -7]), &["330106", "-7"]),
        ("integer", numbers([0, i64::MIN]), &["000", "-9223372036854775808"]),
        ("integer", Arc::new(UInt64Array::from(vec![u64::MAX])), &["18446744073709551615"]),
        ("phone", numbers([13_812_345_678, 5]), &["+86 138 1234 5678", "5"]),
        ("date", Arc::new(Int32Array::from(vec![20_240_102])), &["2024/1/2"]),
        (
            "date",
            Arc::new(Date32Array::from(vec![Some(19_724), None, Some(-719_162)])),
            &["2024-01-02", "", "00010101"],
        ),
        ("date", Arc::new(Date64Array::from(vec![19_724 * 86_400_000 + 5])), &["2024-01-02"]),
        (
            "date",
            Arc::new(TimestampMicrosecondArray::from(vec![at(23), at(0) - 1])),
            &["2024-01-02", "2024-01-01"],
        ),
        (
            "date",
            Arc::new(TimestampMicrosecondArray::from(vec![at(23)]).with_timezone("+08:00")),
            &["2024-01-03"],
        ),
        (
            "date",
            Arc::new(TimestampMicrosecondArray::from(vec![at(3)]).with_timezone("-05:30")),
            &["2024-01-01"],
        ),
        ("date", Arc::new(TimestampSecondArray::from(vec![i64::MAX, i64::MIN])), &["x", "x"]),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![150, -5]).with_precision_and_scale(10, 2).unwrap()),
            &["1.5", "-0.05"],
        ),
        (
            "integer",
            Arc::new(Decimal128Array::from(vec![700]).with_precision_and_scale(20, 2).unwrap()),
            &["7"],
        ),
        ("text", Arc::new(NullArray::new(2)), &["", ""]),
    ];
    for (name, column, texts) in cases {
        let rule = form(name);
        let kind = column.data_type().clone();
        let items = of_table(&column, &rule).unwrap_or_else(|fault| panic!("{kind}: {fault}"));
        assert_eq!(items, of_texts(texts, &rule), "{name} of {kind}");
    }
}

#[test]
fn keys_of_several_columns_are_the_same_in_all_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let born: ArrayRef = Arc::new(Date32Array::from(vec![Some(19_724), Some(19_724), None]));
    let other: ArrayRef = Arc::new(Float64Array::from(vec![0.5; 3]));
    let phone: ArrayRef = Arc::new(Int64Array::from(vec![13_812_345_678, 5, 13_812_345_678]));
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("born", born, true),
        ("other", other, false),
        ("tel", phone, false),
    ]);
    let rows = rows.unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let rule = rule(
        r#"{"parts":[{"role":"phone","form":"phone"},{"role":"date","form":"date"},{"role":"again","form":"text"}]}"#,
    );
    let mapping = Mapping::of([("phone", "tel"), ("date", "born"), ("again", "tel")]);
    let table =
        drain(open(&path, Format::Parquet, &rule, &mapping, b"contract 7").unwrap()).unwrap();
    let text = "电话,\"born\"\n13812345678,2024年1月2日\n\"5\",20240102\n13812345678,\"\"\n";
    let mapping = Mapping::of([("phone", "电话"), ("date", "born"), ("again", "电话")]);
    let text = csv(text.as_bytes(), &rule, &mapping).unwrap();
    assert_eq!(table, text);
    assert_eq!(table.0.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn columns_that_cannot_be_keys_are_refused_with_their_type() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let named: ArrayRef =
        Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("Asia/Shanghai"));
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0]));
    for (name, column) in [("text", floats), ("date", named), ("phone", dates)] {
        let fault = of_table(&column, &form(name)).unwrap_err();
        assert_eq!(fault.code(), "keys.column-type", "{fault}");
        assert!(fault.to_string().contains("\"id\""));
    }
}

#[test]
fn broken_tables_end_in_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    let rule = form("text");
    for bytes in [&b""[..], b"PAR1", b"ARROW1\0\0", b"id\n1\n", b"PAR1\xff\xff\xff\x7fPAR1"] {
        std::fs::write(&path, bytes).unwrap();
        for format in [Format::Parquet, Format::ArrowFile] {
            let found = open(&path, format, &rule, &Mapping::same(&rule), b"");
            assert_eq!(found.err().map(|fault| fault.code()), Some("keys.table"), "{bytes:?}");
        }
    }
    let missing =
        open(&folder.path().join("none"), Format::Parquet, &rule, &Mapping::same(&rule), b"");
    assert_eq!(missing.err().map(|fault| fault.code()), Some("keys.io"));
}

#[test]
fn tables_longer_than_a_batch_come_in_order() {
    let count = 3 * limits::BATCH_ROWS + 11;
    let keys: Vec<String> = (0..count).map(|row| format!("key{row}")).collect();
    let rule = form("text");
    let items = of_table(&(Arc::new(StringArray::from(keys.clone())) as ArrayRef), &rule).unwrap();
    let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(items, of_texts(&texts, &rule));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(40))]
    #[test]
    fn any_texts_give_the_same_items_in_all_formats(
        keys in proptest::collection::vec("[ -~\\n张三０９年\u{3000}éÅ]{0,70}", 1..40),
    ) {
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        for name in ["exact", "text", "digits", "phone", "date", "integer", "decimal", "credit-code"] {
            let rule = form(name);
            let column: ArrayRef = Arc::new(StringArray::from(texts.clone()));
            proptest::prop_assert_eq!(of_table(&column, &rule).unwrap(), of_texts(&texts, &rule));
        }
    }
}
