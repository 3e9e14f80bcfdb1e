//! Lists of all formats on either side, by keys of several columns that each side has in its own way: as processes in their jail.

use std::fmt::Write as _;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidm_compute::job::order::{Kind, Learns, List, Results};
use tidm_compute::keys::{Equals, Form, Mapping, Part, Rule};

use crate::parties::{Pair, run};

/// The 1st of January 2024, in days since 1970.
const DAY: i32 = 19_723;

fn numbers(people: Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(people))
}

/// The same people in a list of each kind: number, phone, birthday in January 2024, and a note.
fn write(path: &Path, kind: Kind, people: Range<i64>) {
    let birthday = |person: i64| i32::try_from(person % 28).unwrap();
    let tables = |phones: ArrayRef, days: ArrayRef| {
        let notes = StringArray::from_iter(people.clone().map(|it| (it % 3 > 0).then_some("a, b")));
        let columns: [(&str, ArrayRef); 4] = [
            ("n", numbers(people.clone())),
            ("Tel", phones),
            ("day", days),
            ("note", Arc::new(notes)),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        // In two pieces, as large ones come.
        (rows.schema(), [rows.slice(0, 25), rows.slice(25, rows.num_rows() - 25)])
    };
    let create = || File::create(path).unwrap();
    let text = |delimiter: char, line: &dyn Fn(i64) -> [String; 2]| {
        let mut text = ["n", "手机", "born", "note"].join(&delimiter.to_string()) + "\n";
        for person in people.clone() {
            let [phone, day] = line(person);
            let d = delimiter;
            writeln!(text, "{person}{d}{phone}{d}{day}{d}\"ab\"").unwrap();
        }
        std::fs::write(path, text).unwrap();
    };
    match kind {
        Kind::Csv => text(',', &|it| {
            [format!("+86 138 0000 {it:04}"), format!("2024-01-{:02}", 1 + birthday(it))]
        }),
        Kind::CsvSemicolon => {
            text(';', &|it| [format!("138-0000-{it:04}"), format!("2024/1/{}", 1 + birthday(it))]);
        }
        Kind::CsvTab => text('\t', &|it| {
            [format!("008613800{it:06}"), format!("202401{:02}", 1 + birthday(it))]
        }),
        Kind::Parquet => {
            let phones = people.clone().map(|it| 13_800_000_000 + it);
            let days = people.clone().map(|it| DAY + birthday(it));
            let (phones, days) =
                (Int64Array::from_iter_values(phones), Date32Array::from_iter_values(days));
            let (schema, pieces) = tables(Arc::new(phones), Arc::new(days));
            let mut out = ArrowWriter::try_new(create(), schema, None).unwrap();
            pieces.iter().for_each(|it| out.write(it).unwrap());
            out.close().unwrap();
        }
        Kind::ArrowFile => {
            let phones = people.clone().map(|it| format!("+86 (138) 0000-{it:04}"));
            let noon = |it: i64| (i64::from(DAY + birthday(it)) * 24 + 12) * 3_600_000;
            let days = TimestampMillisecondArray::from_iter_values(people.clone().map(noon));
            let phones = StringArray::from_iter_values(phones);
            let (schema, pieces) = tables(Arc::new(phones), Arc::new(days));
            let mut out = FileWriter::try_new(create(), &schema).unwrap();
            pieces.iter().for_each(|it| out.write(it).unwrap());
            out.finish().unwrap();
        }
        Kind::ArrowStream => {
            let phones = people.clone().map(|it| format!("１３８０００{it:05}"));
            let days = people.clone().map(|it| format!("2024年1月{}日", 1 + birthday(it)));
            let (phones, days) =
                (LargeStringArray::from_iter_values(phones), StringArray::from_iter_values(days));
            let (schema, pieces) = tables(Arc::new(phones), Arc::new(days));
            let mut out = StreamWriter::try_new(create(), &schema).unwrap();
            pieces.iter().for_each(|it| out.write(it).unwrap());
            out.finish().unwrap();
        }
    }
}

/// What stands in a list, by other readers than the product's: its columns, of tables with their types, and its rows.
fn read(path: &Path, kind: Kind) -> (Vec<String>, Vec<Vec<String>>) {
    let open = || File::open(path).unwrap();
    let table = |all: &mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>| {
        let (mut header, mut rows) = (vec![], vec![]);
        for batch in all.map(Result::unwrap) {
            let column =
                |it: &Arc<arrow::datatypes::Field>| format!("{} {}", it.name(), it.data_type());
            header = batch.schema().fields().iter().map(column).collect();
            for row in 0..batch.num_rows() {
                let cell = |it: &ArrayRef| array_value_to_string(it, row).unwrap();
                rows.push(batch.columns().iter().map(cell).collect());
            }
        }
        (header, rows)
    };
    let text = |delimiter: char| {
        let text = std::fs::read_to_string(path).unwrap();
        let fields = |line: &str| line.split(delimiter).map(str::to_owned).collect();
        let mut lines = text.lines().map(fields);
        (lines.next().unwrap(), lines.collect())
    };
    match kind {
        Kind::Csv => text(','),
        Kind::CsvSemicolon => text(';'),
        Kind::CsvTab => text('\t'),
        Kind::Parquet => {
            table(&mut ParquetRecordBatchReaderBuilder::try_new(open()).unwrap().build().unwrap())
        }
        Kind::ArrowFile => table(&mut FileReader::try_new(open(), None).unwrap()),
        Kind::ArrowStream => table(&mut StreamReader::try_new(open(), None).unwrap()),
    }
}

fn part(role: &str, form: Form) -> Part {
    Part { role: role.to_owned(), form, ignore_case: false }
}

fn mapping(kind: Kind) -> Mapping {
    match kind {
        Kind::Csv | Kind::CsvSemicolon | Kind::CsvTab => {
            Mapping::of([("phone", "手机"), ("born", "born")])
        }
        Kind::Parquet | Kind::ArrowFile | Kind::ArrowStream => {
            Mapping::of([("phone", "Tel"), ("born", "day")])
        }
    }
}

/// Every format with every other at either side: each gets its own rows back, in its own format.
#[test]
fn lists_of_all_formats_match_by_two_columns() {
    let kinds = [
        Kind::Csv,
        Kind::CsvSemicolon,
        Kind::CsvTab,
        Kind::Parquet,
        Kind::ArrowFile,
        Kind::ArrowStream,
    ];
    for (at, receiver) in kinds.into_iter().enumerate() {
        for step in [1, 2, 3] {
            let sides = [receiver, kinds[(at + step) % kinds.len()]];
            let pair = Pair::new(60);
            let [list, out] = [["a", "b"], ["out-a", "out-b"]].map(|it| it.map(|it| pair.path(it)));
            let mut orders = pair.orders(|order| {
                order.rule.parts = vec![part("phone", Form::Phone), part("born", Form::Date)];
                order.terms.learns = Learns::Both;
            });
            // 30 to 59 are on both lists: the last of one, the first of the other.
            let people = [0..60, 30..90];
            for (side, order) in orders.iter_mut().enumerate() {
                write(&list[side], sides[side], people[side].clone());
                order.source = List::new(list[side].clone(), sides[side]);
                order.mapping = mapping(sides[side]);
                let columns = (side == 1).then(|| vec!["note".to_owned(), "n".to_owned()]);
                order.results =
                    Results { rows: Some(out[side].clone()), columns, ..Results::default() };
            }
            let (received, sent) = run(&orders);
            for (side, (told, rows)) in [(received, 30..60), (sent, 0..30)].into_iter().enumerate()
            {
                let report = told.unwrap();
                assert_eq!((report.items, report.matched), (60, Some(30)), "{sides:?}");
                let jail = report.jail.unwrap();
                assert!(jail.lacks().len() < jail.layers.len(), "{jail:?}");
                let (mut header, all) = read(&list[side], sides[side]);
                let mut all = all[rows].to_vec();
                if side == 1 {
                    // The columns that it wants, in its order.
                    for row in all.iter_mut().chain([&mut header]) {
                        *row = vec![row.pop().unwrap(), row.swap_remove(0)];
                    }
                }
                assert_eq!(read(&out[side], sides[side]), (header, all), "{sides:?} {side}");
            }
        }
    }
}

/// Codes, decimals and whole numbers, one side as text and the other as numbers.
#[test]
fn codes_and_numbers_match_however_they_are_written() {
    let pair = Pair::new(41);
    let mut text = String::from("maker,size,no\n");
    for row in 0..40 {
        let quarter = row % 8;
        writeln!(text, " 91350100m000100y43 ,0{}.{:02}0,{row:05}", quarter / 4, quarter % 4 * 25)
            .unwrap();
    }
    // A wrong check character is no code, and no row of it matches.
    text += "91350100M000100Y44,0.25,1\n";
    std::fs::write(pair.path("codes.csv"), text).unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("code", Arc::new(StringArray::from(vec!["91350100M000100Y43"; 41]))),
        ("width", {
            let sizes = (20..61).map(|row| i128::from(row % 8 * 250));
            Arc::new(
                Decimal128Array::from_iter_values(sizes).with_precision_and_scale(9, 3).unwrap(),
            )
        }),
        ("no", Arc::new(Int32Array::from_iter_values(20..61))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(pair.path("codes.parquet")).unwrap();
    let mut out = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    out.write(&rows).unwrap();
    out.close().unwrap();

    let mut orders = pair.orders(|order| {
        order.rule = Rule {
            parts: vec![
                part("maker", Form::CreditCode),
                part("size", Form::Decimal),
                part("no", Form::Integer),
            ],
            equals: Equals::Refuse,
        };
    });
    orders[0].source = List::new(pair.path("codes.csv"), Kind::Csv);
    orders[0].mapping = Mapping::same(&orders[0].rule);
    orders[1].source = List::new(pair.path("codes.parquet"), Kind::Parquet);
    orders[1].mapping = Mapping::of([("maker", "code"), ("size", "width"), ("no", "no")]);
    let (received, sent) = run(&orders);
    let report = received.unwrap();
    assert_eq!((report.items, report.malformed, report.matched), (40, 1, Some(20)));
    assert_eq!(sent.unwrap().items, 41);
    let (_, all) = read(&pair.path("codes.csv"), Kind::Csv);
    assert_eq!(read(&pair.path("out.csv"), Kind::Csv).1, all[20..40]);
}
