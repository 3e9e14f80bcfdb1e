//! How many rows a list has at most, without reading its keys: what a party says of its list before a job.
//!
//! Never less than there are: a line of a CSV file may be a part of a quoted field, a row is never more than one line.

use std::io::Read;

use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::fault::Fault;
use super::ipc;
use super::place::Place;
use super::source::Format;

/// Bytes that are looked at together.
const PIECE: usize = 1 << 20;

/// At least the number of the list's rows.
pub fn rows_at_most<'p>(place: impl Into<Place<'p>>, format: Format) -> Result<u64, Fault> {
    let place = place.into();
    let (path, file) = (place.path, place.open()?);
    let broken = |reason: String| Fault::Table {
        file: path.display().to_string(),
        format: format.name(),
        row: 0,
        reason,
    };
    match format {
        Format::Csv(_) => lines(file).map_err(Fault::io("read", path)),
        Format::Parquet => {
            let reader = SerializedFileReader::new(file).map_err(|why| broken(why.to_string()))?;
            Ok(u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0))
        }
        Format::ArrowFile => {
            let reader = ipc::file(file, Some(vec![]));
            let mut reader = reader.map_err(|why| broken(why.to_string()))?;
            reader
                .try_fold(0, |sum, batch| batch.map(|it| sum + it.num_rows() as u64))
                .map_err(|why| broken(why.to_string()))
        }
        Format::ArrowStream => {
            let length = file.length();
            let reader = ipc::stream(file, length, Some(vec![]));
            let mut reader = reader.map_err(|why| broken(why.to_string()))?;
            reader
                .try_fold(0, |sum, batch| batch.map(|it| sum + it.num_rows() as u64))
                .map_err(|why| broken(why.to_string()))
        }
    }
}

/// Line feeds, and a last line without one; less the header. A carriage return alone ends no record (`keys/csv`).
fn lines(mut file: impl Read) -> std::io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let (mut feeds, mut last) = (0u64, b'\n');
    loop {
        let read = file.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|it| !it.is_empty()) else { break };
        feeds += memchr::memchr_iter(b'\n', bytes).count() as u64;
        last = bytes.last().copied().unwrap_or(last);
    }
    Ok((feeds + u64::from(last != b'\n')).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::super::source::Delimiter;
    use super::*;

    #[test]
    fn lines_bound_rows() {
        for (text, rows) in [
            ("", 0),
            ("id", 0),
            ("id\n", 0),
            ("id\n1", 1),
            ("id\n1\n2\n", 2),
            ("id\r\n1\r\n2\r\n", 2),
            ("id\n\"a\nb\"\n", 2),
            ("id\n1\n2\r", 2),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let format = Format::Csv(Delimiter::Comma);
            assert_eq!(rows_at_most(file.path(), format).unwrap(), rows, "{text:?}");
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"no table").unwrap();
        for format in [Format::Parquet, Format::ArrowFile, Format::ArrowStream] {
            assert_eq!(rows_at_most(file.path(), format).unwrap_err().code(), "keys.table");
        }
        assert_eq!(
            rows_at_most(Path::new("/nowhere"), Format::Parquet).unwrap_err().code(),
            "keys.io"
        );
    }
}
