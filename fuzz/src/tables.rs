//! Targets in `tidm-ingest`: files as somebody publishes them.

use std::ops::ControlFlow;

use tidm_ingest::format::Format;
use tidm_ingest::options::Options;
use tidm_ingest::table;

use crate::{Parser, choose, contained};

/// A file is a table that is kept whole, or a fault that leaves nothing behind; never a panic.
pub(crate) fn sources(data: &[u8]) {
    const PARSERS: [Parser; 4] = [csv, json_lines, parquet, excel];
    choose(&PARSERS, data);
}

fn csv(data: &[u8]) {
    source(Format::Csv, data);
}

fn json_lines(data: &[u8]) {
    source(Format::JsonLines, data);
}

fn parquet(data: &[u8]) {
    contained(|| source(Format::Parquet, data));
}

fn excel(data: &[u8]) {
    contained(|| source(Format::Excel, data));
}

fn source(format: Format, data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&path, data).unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    let made = table::ingest(&path, format, &Options::default(), &out, 0, &mut go_on);
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    match made {
        Ok(table) => {
            assert_eq!(std::fs::metadata(&out).unwrap().len(), table.parquet_bytes);
            assert_eq!(table.schema.len(), table.profile.len());
            assert_eq!(left, 2, "something lies beside the table");
        }
        Err(_) => assert_eq!(left, 1, "something is left of a file that is no table"),
    }
}
