//! A label: the texts of some columns in a record of agreed length, and the file that records become.
//!
//! Each text behind its length (16 bits, little-endian), zeros behind the last. What a peer sent is hostile: every length in it is
//! checked, and what is none is written as empty
//! texts: a failure would tell the peer that the row matched to which it gave such a label.

use std::io::Write as _;

use super::fault::Fault;
use super::place::Place;
use super::rows::Output;

/// Appends a record; how long it would have been, where it does not fit.
pub(super) fn put_label(fields: &[&[u8]], bytes: usize, out: &mut Vec<u8>) -> Result<(), usize> {
    let length = fields.iter().map(|field| 2 + field.len()).sum();
    if length > bytes || length > usize::from(u16::MAX) {
        return Err(length);
    }
    let end = out.len() + bytes;
    for field in fields {
        out.extend_from_slice(&u16::try_from(field.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(field);
    }
    out.resize(end, 0);
    Ok(())
}

/// The texts of a record; none if it is none.
pub fn split_label(label: &[u8], columns: usize) -> Option<Vec<&str>> {
    let mut rest = label;
    let mut texts = Vec::new();
    for _ in 0..columns {
        let (length, behind) = rest.split_first_chunk()?;
        let (text, behind) = behind.split_at_checked(u16::from_le_bytes(*length).into())?;
        texts.push(std::str::from_utf8(text).ok()?);
        rest = behind;
    }
    rest.iter().all(|byte| *byte == 0).then_some(texts)
}

/// Writes a CSV file: the number of the row of one's own list, from 1, and the texts that the peer gave with it. Returns how many
/// records were none, which nobody else may learn.
pub fn write_labels<'l>(
    target: impl Into<Place<'l>>,
    columns: &[String],
    all: impl Iterator<Item = (u64, &'l [u8])>,
) -> Result<u64, Fault> {
    let target = target.into();
    let output = Output::beside(target)?;
    let mut out = std::io::BufWriter::new(output.writer()?);
    let failed = |error| Fault::io("write", target.path)(error);
    let mut line = String::from("row");
    for column in columns {
        line.push(',');
        quoted(column, &mut line);
    }
    let mut bad = 0;
    for (row, label) in all {
        line.push('\n');
        out.write_all(line.as_bytes()).map_err(failed)?;
        line.clear();
        let texts = split_label(label, columns.len()).unwrap_or_else(|| {
            bad += 1;
            vec![""; columns.len()]
        });
        line.push_str(&row.to_string());
        for text in texts {
            line.push(',');
            quoted(text, &mut line);
        }
    }
    line.push('\n');
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
    drop(out);
    output.publish()?;
    Ok(bad)
}

fn quoted(text: &str, out: &mut String) {
    if !text.contains([',', '"', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_none_are_refused() {
        let mut label = Vec::new();
        put_label(&[b"ab", b""], 10, &mut label).unwrap();
        assert_eq!(split_label(&label, 2).unwrap(), ["ab", ""]);
        for (place, byte) in [(0, 9), (0, 0), (1, 1), (2, 0xff), (9, 1)] {
            let mut other = label.clone();
            other[place] = byte;
            // A shorter first text makes the rest something behind the last one.
            assert_eq!(split_label(&other, 2), None, "{place}");
        }
        assert_eq!(split_label(&[], 1), None);
        assert_eq!(put_label(&[&[0; 70_000]], 100_000, &mut Vec::new()), Err(70_002));
    }

    #[test]
    fn the_file_has_a_line_for_each() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        let mut label = Vec::new();
        put_label(&["a \"b\"".as_bytes(), b"x,y"], 20, &mut label).unwrap();
        let columns = ["name".to_owned(), "no,te".to_owned()];
        let all = [(3, label.as_slice())];
        assert_eq!(write_labels(&path, &columns, all.into_iter()).unwrap(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "row,name,\"no,te\"\n3,\"a \"\"b\"\"\",\"x,y\"\n");
        // What is none ends nothing.
        let all = [(1, &[1u8][..]), (2, &[0xff; 20]), all[0]];
        assert_eq!(write_labels(&path, &columns, all.into_iter()).unwrap(), 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "row,name,\"no,te\"\n1,,\n2,,\n3,\"a \"\"b\"\"\",\"x,y\"\n");
    }
}
