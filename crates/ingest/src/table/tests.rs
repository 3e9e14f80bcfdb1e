//! Sources in, tables out: oddities, faults, memory.

use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::format::detect;
use crate::options::{ColumnType, Encoding, Header};

fn go(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn ingest(&self, path: &Path, options: &Options) -> Result<Table, Fault> {
        let head = std::fs::read(path).unwrap();
        let out = self.dir.path().join("out.parquet");
        let before = self.files();
        let made = ingest(path, detect(path, &head), options, &out, 42, &mut go);
        if made.is_err() {
            assert_eq!(self.files(), before, "a failure leaves nothing behind");
        }
        made
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.dir.path()).unwrap().count()
    }
}

fn read(name: &str, bytes: &[u8]) -> Result<Table, Fault> {
    let world = World::new();
    let path = world.put(name, bytes);
    world.ingest(&path, &Options::default())
}

/// `name:type?` per column (`?` nullable), then rows as `a|b`.
fn show(table: &Table) -> String {
    let columns = table
        .schema
        .iter()
        .map(|c| format!("{}:{}{}", c.name, c.kind, if c.nullable { "?" } else { "" }));
    let rows = table.preview.iter().map(|row| row.join("|"));
    std::iter::once(columns.collect::<Vec<_>>().join(" "))
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn csv_oddities() {
    let gbk = encoding_rs::GB18030.encode("设备,温度\n一号泵,3.5\n二号阀,4\n").0.into_owned();
    let utf16 = std::iter::once(0xFEFF)
        .chain("a,b\n泵,1\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect::<Vec<_>>();
    let table: &[(&[u8], &str)] = &[
        (b"a,b\n1,x\n2,y\n", "a:Int64 b:Utf8\n1|x\n2|y"),
        (b"a,b\r\n1,x\r\n2,y", "a:Int64 b:Utf8\n1|x\n2|y"),
        (b"a;b\n1,5;x\n", "a:Utf8 b:Utf8\n1,5|x"),
        (b"a\tb\n1\tx\n", "a:Int64 b:Utf8\n1|x"),
        (b"a,b\n\"x,y\",\"say \"\"hi\"\"\"\n", "a:Utf8 b:Utf8\nx,y|say \"hi\""),
        (b"a,b\n\"line1\nline2\",2\n", "a:Utf8 b:Int64\nline1 line2|2"),
        (b"\xEF\xBB\xBFa,b\n1,2\n", "a:Int64 b:Int64\n1|2"),
        (b"a,b\n", "a:Utf8? b:Utf8?"),
        (b"a,a,,a_2\n1,2,3,4\n", "a:Int64 a_2:Int64 column_3:Int64 a_2_2:Int64\n1|2|3|4"),
        (b"1,x\n2,y\n", "column_1:Int64 column_2:Utf8\n1|x\n2|y"),
        (b"n,t\n1,NULL\nNA,NA\n,-\n", "n:Int64? t:Utf8?\n1|\n|NA\n|-"),
        (b"v\n1\n2\n3.5\n", "v:Float64\n1.0\n2.0\n3.5"),
        (b"v\n1\nx\n", "v:Utf8\n1\nx"),
        (
            b"id,z\n110101199003070011,007\n110101199003070022,010\n",
            "id:Utf8 z:Utf8\n110101199003070011|007\n110101199003070022|010",
        ),
        (
            "统一社会信用代码,名称\n91110000802100433B,甲\n".as_bytes(),
            "统一社会信用代码:Utf8 名称:Utf8\n91110000802100433B|甲",
        ),
        (
            b"d,t\n2024-01-05,2024-01-05 08:00:00\n2024/2/1,2024-01-06\n",
            "d:Date32 t:Timestamp(µs)\n2024-01-05|2024-01-05T08:00:00\n2024-02-01|2024-01-06T00:00:00",
        ),
        (b"t\n2024-01-05T08:00:00+08:00\n", "t:Timestamp(µs, \"UTC\")\n2024-01-05T00:00:00Z"),
        (
            b"t\n2024-01-05T08:00:00+08:00\n2024-01-05 08:00\n",
            "t:Utf8\n2024-01-05T08:00:00+08:00\n2024-01-05 08:00",
        ),
        (b"ok\ntrue\nFALSE\n", "ok:Boolean\ntrue\nfalse"),
        (&gbk, "设备:Utf8 温度:Float64\n一号泵|3.5\n二号阀|4.0"),
        (&utf16, "a:Utf8 b:Int64\n泵|1"),
    ];
    for (bytes, expected) in table {
        let made = read("a.csv", bytes)
            .unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(bytes)));
        assert_eq!(show(&made), *expected, "{}", String::from_utf8_lossy(bytes));
        assert_eq!(made.rows, made.preview.len() as u64);
    }
}

#[test]
fn faults_name_row_and_column_and_never_dump() {
    let long = format!("a,b\n1,{}\n1,2,3\n", "x".repeat(5_000));
    let table: &[(&str, &[u8], &str)] = &[
        ("a.csv", b"", "the file is empty: nothing to publish"),
        ("a.csv", b"\n\n", "the file is empty: nothing to publish"),
        (
            "a.csv",
            b"a,b\n1,2\n3\n",
            "row 2 (line 3): 1 fields where 2 are expected (check delimiter and quotes)",
        ),
        (
            "a.csv",
            long.as_bytes(),
            "row 2 (line 3): 3 fields where 2 are expected (check delimiter and quotes)",
        ),
        (
            "a.csv",
            b"a,b\n1,\"open\n2,3\n",
            "this is not a readable CSV file: the row at line 2 ends inside a quote: a quote is probably not closed there",
        ),
        (
            "a.jsonl",
            b"{\"a\":1}\n{\"a\":\n",
            "row 2 (line 2): not a JSON object on one line: EOF while parsing a value at line 2 column 0",
        ),
        ("a.jsonl", b"{\"a\":1,\"a\":2}\n", "row 1 (line 1): the key \"a\" stands twice"),
        (
            "a.jsonl",
            b"[1]\n",
            "row 1 (line 1): not a JSON object on one line: invalid type: sequence, expected an object at line 1 column 0",
        ),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(read(name, bytes).unwrap_err().to_string(), *expected);
    }
    for (name, bytes) in [
        ("a.parquet", &b"PAR1 broken PAR1"[..]),
        ("a.xlsx", b"PK\x03\x04 xl/ broken"),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 broken"),
    ] {
        assert!(matches!(read(name, bytes), Err(Fault::Broken { .. })), "{name}");
    }
}

#[test]
fn types_set_by_hand_and_lenient_reading() {
    let world = World::new();
    let path = world.put("a.csv", b"a,b\n1,2\nx,3\n4\n\xFF\xFE,5\n6,7\n");
    let mut options = Options { encoding: Some(Encoding::Utf8), ..Options::default() };
    let _previous = options.types.insert("a".to_owned(), ColumnType::Integer);
    let fault = world.ingest(&path, &options).unwrap_err().to_string();
    assert!(fault.starts_with("row 3 (line 4)"), "{fault}");
    options.broken_rows_allowed = 3;
    let table = world.ingest(&path, &options).unwrap();
    assert_eq!((table.rows, table.skipped.rows), (2, 3));
    assert_eq!(
        table.skipped.shown[0],
        "row 2 (line 3), column \"a\": \"x\" does not fit the type Integer"
    );
    options.broken_rows_allowed = 2;
    std::fs::remove_file(world.dir.path().join("out.parquet")).unwrap();
    assert!(matches!(world.ingest(&path, &options), Err(Fault::TooManyBroken { skipped: 3, .. })));
    let _previous = options.types.insert("nope".to_owned(), ColumnType::Text);
    options.broken_rows_allowed = 9;
    assert!(matches!(world.ingest(&path, &options), Err(Fault::NoColumn(_))));
}

#[test]
fn json_lines() {
    let table: &[(&str, &str)] = &[
        (
            "{\"a\":1,\"b\":\"x\"}\n\n{\"b\":\"y\",\"c\":true}\n",
            "a:Int64? b:Utf8 c:Boolean?\n1|x|\n|y|true",
        ),
        ("{\"a\":{\"k\":[1,2]}}\n{\"a\":null}\n", "a:Utf8?\n{\"k\":[1,2]}\n"),
        ("{\"a\":1}\n{\"a\":2.5}\n", "a:Float64\n1.0\n2.5"),
        ("{\"a\":1}\n{\"a\":\"x\"}\n", "a:Utf8\n1\nx"),
        ("{\"id\":110101199003070011,\"s\":\"007\"}\n", "id:Int64 s:Utf8\n110101199003070011|007"),
        ("{\"id\":110101199003070011}\n{\"id\":0.5}\n", "id:Utf8\n110101199003070011\n0.5"),
        (
            "{\"t\":\"2024-01-05T00:00:00Z\",\"u\":\"\\u6cf5\\n\"}\n",
            "t:Timestamp(µs, \"UTC\") u:Utf8\n2024-01-05T00:00:00Z|泵 ",
        ),
        ("{\"é\":\"\"}\n", "é:Utf8\n"),
    ];
    for (text, expected) in table {
        assert_eq!(show(&read("a.jsonl", text.as_bytes()).unwrap()), *expected, "{text}");
    }
}

#[test]
fn excel() {
    use rust_xlsxwriter::{Format as Style, Workbook};
    let mut book = Workbook::new();
    let day = Style::new().set_num_format("yyyy-mm-dd");
    let moment = Style::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let sheet = book.add_worksheet().set_name("读数").unwrap();
    for (column, name) in (0u16..).zip(["编号", "温度", "日期", "时刻", "ok"]) {
        let _cell = sheet.write(0, column, name).unwrap();
    }
    for row in 1..=3u32 {
        let _cell = sheet.write(row, 0, format!("00{row}")).unwrap();
        let _cell = sheet.write(row, 1, f64::from(row) * 1.5).unwrap();
        let _cell = sheet.write_with_format(row, 2, 45_296.0 + f64::from(row), &day).unwrap();
        let _cell = sheet.write_with_format(row, 3, 45_296.25 + f64::from(row), &moment).unwrap();
    }
    let _cell = sheet.write(1, 4, true).unwrap();
    let _sheet = book.add_worksheet().set_name("other").unwrap().write(2, 1, 5).unwrap();
    let world = World::new();
    let path = world.put("a.xlsx", &book.save_to_buffer().unwrap());
    let table = world.ingest(&path, &Options::default()).unwrap();
    assert_eq!(
        show(&table),
        "编号:Utf8 温度:Float64 日期:Date32 时刻:Timestamp(µs) ok:Boolean?\n\
         001|1.5|2024-01-06|2024-01-06T06:00:00|true\n002|3.0|2024-01-07|2024-01-07T06:00:00|\n003|4.5|2024-01-08|2024-01-08T06:00:00|"
    );
    let other = Options { sheet: Some("other".into()), ..Options::default() };
    assert_eq!(show(&world.ingest(&path, &other).unwrap()), "column_1:Utf8? column_2:Int64\n|5");
    std::fs::remove_file(world.dir.path().join("out.parquet")).unwrap();
    let missing = Options { sheet: Some("nope".into()), ..Options::default() };
    assert_eq!(
        world.ingest(&path, &missing).unwrap_err().to_string(),
        "there is no sheet \"nope\"; the workbook has: 读数, other"
    );
    let small = Options { excel_bytes: 100, ..Options::default() };
    assert!(
        world
            .ingest(&path, &small)
            .unwrap_err()
            .to_string()
            .ends_with("save the sheet as CSV (UTF-8) and publish that")
    );
}

#[test]
fn formats_are_told_apart() {
    let table: &[(&str, &[u8], Format)] = &[
        ("a.csv", b"a,b\n1,2\n", Format::Csv),
        ("a.CSV", b"PAR1....", Format::Parquet),
        ("a.parquet", b"PARE....", Format::Binary),
        ("a.txt", b"a,b\n1,2\n", Format::Csv),
        ("a.txt", b"Hello, world\nthis is prose\n", Format::Binary),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", Format::Binary),
        ("a.step", b"ISO-10303-21;\nHEADER;\n", Format::Binary),
        ("a.json", b"{\"a\":1}\n{\"a\":2}\n", Format::JsonLines),
        ("a.json", b"{\n \"a\": 1\n}\n", Format::Binary),
        ("a.ndjson", b"{}", Format::JsonLines),
        ("a.xlsx", b"PK\x03\x04....", Format::Excel),
        ("a.csv", b"PK\x03\x04..xl/workbook.xml", Format::Excel),
        ("a.docx", b"PK\x03\x04....", Format::Binary),
        ("a.bin", b"", Format::Binary),
        ("a.csv", b"", Format::Csv),
    ];
    for (name, head, expected) in table {
        assert_eq!(
            detect(Path::new(name), head),
            *expected,
            "{name} {}",
            String::from_utf8_lossy(head)
        );
    }
}

#[test]
fn nasty_bytes_never_panic() {
    let world = World::new();
    let path = world.dir.path().join("n.csv");
    let out = world.dir.path().join("out");
    let seeds: &[&[u8]] = &[
        b"\"",
        b"\"\"\"",
        b",,,,\n\"\n\"",
        b"\0",
        b"\xFF\xFE",
        b"\xFE\xFFa",
        b"{\"a\":\"\\ud800\"}",
        b"{",
        b"a\r\r\r\nb",
        b"\xEF\xBB\xBF",
        b"PAR1",
        b"PK\x05\x06",
        b"\x81",
    ];
    for bytes in seeds {
        std::fs::write(&path, bytes).unwrap();
        for format in [Format::Csv, Format::JsonLines, Format::Parquet, Format::Excel] {
            let _either = ingest(&path, format, &Options::default(), &out, 0, &mut go);
        }
    }
}

#[test]
fn parquet_and_binary_sources_keep_their_content() {
    let world = World::new();
    let csv = world.put("a.csv", b"a,b\n1,x\n2,\n");
    let first =
        world.ingest(&csv, &Options { by: "did:web:a".into(), ..Options::default() }).unwrap();
    assert_eq!(
        (first.origin.by.as_str(), first.origin.read_at_ms, first.origin.bytes),
        ("did:web:a", 42, 11)
    );
    let parquet = world.dir.path().join("in.parquet");
    std::fs::rename(world.dir.path().join("out.parquet"), &parquet).unwrap();
    let second = world.ingest(&parquet, &Options::default()).unwrap();
    assert_eq!((show(&second), &second.profile), (show(&first), &first.profile));
    assert_eq!(second.origin.sha256, first.parquet_sha256);
    let copy = world.dir.path().join("copy");
    let origin = crate::binary::ingest(&csv, &copy, "did:web:a", 42, &mut go).unwrap();
    assert_eq!(
        (std::fs::read(&copy).unwrap(), origin),
        (std::fs::read(&csv).unwrap(), first.origin)
    );
}

#[test]
fn cancelling_at_every_report_leaves_nothing() {
    let world = World::new();
    let body = (0..40_000).fold("a,b\n".to_owned(), |s, i| s + &format!("{i},x\n"));
    let path = world.put("a.csv", body.as_bytes());
    let out = world.dir.path().join("out.parquet");
    for stop in 0..5 {
        let mut left = stop;
        let made = ingest(&path, Format::Csv, &Options::default(), &out, 0, &mut |_| {
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(made, Err(Fault::Cancelled)), "{stop}");
        assert_eq!(world.files(), 1);
    }
}

#[test]
fn a_late_value_widens_and_damage_is_not_another_encoding() {
    let mut body = "a,t\n".to_owned() + &"1,温度\n".repeat(30_000);
    body += "1.5,温度\n";
    let table = read("a.csv", body.as_bytes()).unwrap();
    assert_eq!((table.schema[0].kind.as_str(), table.rows), ("Float64", 30_001));
    let mut damaged = body.into_bytes();
    damaged.extend_from_slice(b"2,\xE6\xB8\n");
    assert_eq!(
        read("a.csv", &damaged).unwrap_err().to_string(),
        "row 30002 (line 30003), column \"t\": the text is not valid UTF-8"
    );
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Also says how fast it is: MB of CSV a second, all passes and the profile included.
#[test]
fn memory_stays_bounded_on_200_mb() {
    let world = World::new();
    let path = world.dir.path().join("big.csv");
    let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
    writeln!(file, "time,tag,value,quality,count,note").unwrap();
    let mut i = 0u64;
    let mut written = 0;
    while written < 200_000_000 {
        let s = i % 86_400;
        let line = format!(
            "2024-01-{:02}T{:02}:{:02}:{:02}Z,TAG-{:04},{}.{:04},good,{},振动 {}\n",
            i / 86_400 % 28 + 1,
            s / 3600,
            s / 60 % 60,
            s % 60,
            i % 997,
            i % 137,
            i * 7919 % 10_000,
            i,
            i * 31 % 100_003
        );
        written += line.len();
        file.write_all(line.as_bytes()).unwrap();
        i += 1;
    }
    file.flush().unwrap();
    drop(file);
    let before = resident();
    let mut peak = 0;
    let started = std::time::Instant::now();
    let table = ingest(
        &path,
        Format::Csv,
        &Options::default(),
        &world.dir.path().join("o"),
        0,
        &mut |_| {
            peak = peak.max(resident());
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    let took = started.elapsed().as_secs_f64();
    let grown = peak.saturating_sub(before) / 1_000_000;
    println!(
        "{} MB, {} rows: {:.0} MB/s, memory grew by {grown} MB",
        written / 1_000_000,
        table.rows,
        written as f64 / 1e6 / took
    );
    assert_eq!(table.rows, i);
    assert!(grown < 150, "memory grew by {grown} MB");
    let started = std::time::Instant::now();
    let sealed = crate::seal::seal_table(
        &world.dir.path().join("o"),
        &world.dir.path().join("s"),
        &[1; 32],
        b"aad",
    )
    .unwrap();
    let grown = resident().saturating_sub(before) / 1_000_000;
    println!(
        "sealed {} MB in {:.1} s, memory now {grown} MB above",
        sealed.bytes / 1_000_000,
        started.elapsed().as_secs_f64()
    );
    assert!(grown < 150, "memory grew by {grown} MB while sealing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any text survives CSV → Parquet → text, but for the words that mean null.
    #[test]
    fn csv_round_trip(rows in proptest::collection::vec(proptest::collection::vec("[a-z\",;\n\t泵 é]{1,12}", 3), 1..30)) {
        let quote = |s: &String| format!("\"{}\"", s.replace('"', "\"\""));
        let mut text = "c1,c2,c3\n".to_owned();
        for row in &rows {
            text += &(row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n");
        }
        let world = World::new();
        let path = world.put("a.csv", text.as_bytes());
        let options = Options { header: Header::Present, delimiter: Some(b','), types: ["c1", "c2", "c3"].map(|c| (c.to_owned(), ColumnType::Text)).into(), ..Options::default() };
        let _table = world.ingest(&path, &options).unwrap();
        let file = File::open(world.dir.path().join("out.parquet")).unwrap();
        let mut back = Vec::new();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            for r in 0..batch.num_rows() {
                back.push((0..3).map(|c| arrow::array::AsArray::as_string::<i32>(batch.column(c)).value(r).to_owned()).collect::<Vec<_>>());
            }
        }
        // "null" alone would be null; the alphabet above can spell it, chance cannot.
        prop_assert_eq!(back, rows);
    }

    #[test]
    fn numbers_round_trip(values in proptest::collection::vec(-1.0e15f64..1.0e15, 1..50)) {
        let text = values.iter().fold("v\n".to_owned(), |s, v| s + &format!("{v}\n"));
        let world = World::new();
        let path = world.put("a.csv", text.as_bytes());
        let table = world.ingest(&path, &Options::default()).unwrap();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        prop_assert_eq!(table.profile[0].min.as_ref().unwrap().parse::<f64>().unwrap(), least);
    }
}
