//! How fast rows become items and results become files: rows and bytes per second of processor time, one thread.
//!
//! `cargo bench -p tidm-compute --bench keys -- [ROWS]`. Processor time is the kernel's for the main thread: other programs on
//! the machine count less than with a clock.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measure prints and may fail")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use tidm_compute::keys::{
    Bitmap, Delimiter, Equals, Form, Format, Mapping, Rule, open, write_rows,
};
use tidm_mpc::psi::Item;

const CSV: Format = Format::Csv(Delimiter::Comma);

fn main() {
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let rows: u64 = rows.unwrap_or(2_000_000);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    // 18 characters, as identity cards have them.
    let id = |row: u64| {
        format!("{:018}", row.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_000_000_000_000)
    };
    let narrow = write(&path("narrow.csv"), "id", rows, |row, line| line.push_str(&id(row)));
    let wide = write(&path("wide.csv"), "n,name,id,city,amount,note", rows, |row, line| {
        write!(line, "{row},张三,{},Hangzhou,{}.25,\"a \"\"note\"\"\"", id(row), row % 999)
            .unwrap();
    });
    let plain = write(&path("plain.csv"), "n,id,a,b,c,d", rows, |row, line| {
        write!(line, "{row},{},aaaaaaaa,bbbbbb,ccccc,{}", id(row), row % 7).unwrap();
    });
    let quoted = write(&path("quoted.csv"), "id,name", rows, |row, line| {
        write!(line, "\"{}\",\"Ann Lee\"", id(row)).unwrap();
    });
    let phones = write(&path("phones.csv"), "id", rows, |row, line| {
        write!(line, "+86 13{} {:04}", row % 10, row % 10_000).unwrap();
        write!(line, " {:04}", row / 10_000 % 10_000).unwrap();
    });
    let parquet = path("list.parquet");
    write_parquet(&parquet, rows, id);

    for (name, file, format, form) in [
        ("CSV of one column, exact", &narrow, CSV, Form::Exact),
        ("CSV of one column, text", &narrow, CSV, Form::Text),
        ("CSV of one column, integer", &narrow, CSV, Form::Integer),
        ("CSV of one column, phone", &phones, CSV, Form::Phone),
        ("CSV of six columns, text", &plain, CSV, Form::Text),
        ("CSV of six columns with quotes, text", &wide, CSV, Form::Text),
        ("CSV of two columns, all in quotes, text", &quoted, CSV, Form::Text),
        ("Parquet, text", &parquet, Format::Parquet, Form::Text),
    ] {
        let rule = Rule::single("id", form, Equals::Refuse).unwrap();
        let mapping = Mapping::same(&rule);
        report(name, rows, size(file), || {
            let mut source = open(file, format, &rule, &mapping, b"bench").unwrap();
            let mut out = Vec::new();
            while source.next(&mut out).unwrap() {}
            assert_eq!(source.counts().items(), rows);
        });
    }

    let blocks: Vec<[u8; 64]> =
        (0..rows.min(1 << 12)).map(|row| [row.to_le_bytes()[0]; 64]).collect();
    let rounds = rows / blocks.len() as u64;
    let hashed = rounds * blocks.len() as u64;
    report("keyed BLAKE3, a block at a time", hashed, 64 * hashed, || {
        for _ in 0..rounds {
            black_box(blocks.iter().map(|block| Item::of(&[7; 32], block)).collect::<Vec<_>>());
        }
    });
    report("keyed BLAKE3, blocks side by side", hashed, 64 * hashed, || {
        for _ in 0..rounds {
            let mut items = Vec::new();
            Item::of_blocks(&[7; 32], black_box(&blocks), &mut items);
            black_box(items);
        }
    });

    let mut half = Bitmap::new(rows).unwrap();
    (0..rows).filter(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1).for_each(|row| {
        half.set(row);
    });
    let out = path("out");
    for (name, file, format, to) in [
        ("half of the rows, CSV of one column", &narrow, CSV, CSV),
        ("half of the rows, CSV of six columns", &plain, CSV, CSV),
        ("half of the rows, CSV of six columns with quotes", &wide, CSV, CSV),
        ("half of the rows, Parquet to Parquet", &parquet, Format::Parquet, Format::Parquet),
        ("half of the rows, Parquet to CSV", &parquet, Format::Parquet, CSV),
    ] {
        report(name, rows, size(file), || {
            write_rows((file, format), &half, (&out, to), None).unwrap();
        });
    }
}

fn write(
    path: &Path,
    header: &str,
    rows: u64,
    line: impl Fn(u64, &mut String),
) -> std::path::PathBuf {
    let mut text = format!("{header}\n");
    for row in 0..rows {
        line(row, &mut text);
        text.push('\n');
    }
    std::fs::write(path, text).unwrap();
    path.to_path_buf()
}

fn write_parquet(path: &Path, rows: u64, id: impl Fn(u64) -> String) {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(id)));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

/// The best of three runs.
fn report(name: &str, rows: u64, bytes: u64, run: impl Fn()) {
    let seconds = (0..3).map(|_| {
        let begin = processor_seconds();
        run();
        processor_seconds() - begin
    });
    let seconds = seconds.fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (rows, bytes) = (rows as f64, bytes as f64);
    println!("{name}: {:.1} M rows/s, {:.2} GB/s", rows / seconds / 1e6, bytes / seconds / 1e9);
}

fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
