use super::*;
use crate::keys::limits::{MAX_RECORD_BYTES, READ_BYTES};

/// Gives a few bytes at a time, as a pipe may.
struct Dribble<'b>(&'b [u8], usize);

impl std::io::Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        out[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

fn rows(text: &[u8], delimiter: u8, step: usize) -> Result<Vec<Vec<Vec<u8>>>, Fault> {
    let (mut records, header) = Records::new(Dribble(text, step), "list.csv", delimiter)?;
    let fields = |line: &[u8]| {
        let decoded = raw_fields(line, delimiter).map(|field| {
            let mut value = Vec::new();
            unquoted(field, &mut value);
            value
        });
        decoded.collect::<Vec<_>>()
    };
    let mut rows = vec![fields(&header.line)];
    while let Some(record) = records.next()? {
        assert_eq!(record.quotes, record.line.contains(&b'"'));
        rows.push(fields(record.line));
    }
    Ok(rows)
}

/// What the crate `csv-core` makes of it. It ends a record at a lone carriage return too, so texts here have none.
fn reference(text: &[u8], delimiter: u8) -> Vec<Vec<Vec<u8>>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let (mut out, mut ends) = (vec![0; text.len() + 16], vec![0; text.len() + 16]);
    let (mut rest, mut rows) = (text, Vec::new());
    let (mut written, mut fields) = (0, 0);
    loop {
        let (result, read, more, ended) =
            reader.read_record(rest, &mut out[written..], &mut ends[fields..]);
        rest = &rest[read..];
        written += more;
        fields += ended;
        match result {
            // Asked again with nothing, which it takes for the end.
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::Record => {
                let mut begin = 0;
                let values = ends[..fields].iter().map(|&end| {
                    let value = out[begin..end].to_vec();
                    begin = end;
                    value
                });
                rows.push(values.collect());
                (written, fields) = (0, 0);
            }
            csv_core::ReadRecordResult::End => return rows,
            csv_core::ReadRecordResult::OutputFull | csv_core::ReadRecordResult::OutputEndsFull => {
                panic!("there is space for all of it")
            }
        }
    }
}

#[test]
fn quotes_are_read_as_others_read_them() {
    let cases: &[&[u8]] = &[
        b"a,b\n1,2\n",
        b"a,b\r\n1,2\r\n",
        b"a,b\n1,2",
        b"\xef\xbb\xbfa,b\n1,2\n",
        b"\xef\xbb\xbf\"a\",b\n1,2\n",
        b"a,b\n\n\n1,2\n\r\n3,4\n\n",
        b"a,b\n\"1\",\"2\"\n",
        b"a,b\n\"x,y\",2\n",
        b"a,b\n\"x\ny\",2\n3,4\n",
        b"a,b\n\"x\r\ny\",2\r\n3,4\r\n",
        b"a,b\n\"he said \"\"no\"\"\",2\n",
        b"a,b\n\"\"\"\",\"\"\n",
        b"a,b\n\"\",\"\"\"\"\"\"\n",
        b"a,b\nx\"y,2\"\n3,4\n",
        b"a,b\n\"x\"y,2\n",
        b"a,b\n\"x\"y\"z,2\n",
        b"a,b\n\"x\" ,2\n",
        b"a,b\n \"x\",2\n",
        b"a,b\n,\n,,\n\"\"\n",
        b"a\n1\n\"\"\n2\n",
        b"a,b\n1,\"2\"",
        b"a,b\n1,",
        b"a;b\n1;2\n",
        b"\n\na,b\n1,2\n",
    ];
    for text in cases {
        for delimiter in [b',', b';', b'\t'] {
            for step in [1, 3, usize::MAX] {
                let found = rows(text, delimiter, step).unwrap();
                let text_shown = String::from_utf8_lossy(text);
                assert_eq!(found, reference(text, delimiter), "{text_shown:?} by {step}");
            }
        }
    }
}

#[test]
fn hostile_lists_end_in_a_fault() {
    let code = |text: &[u8]| rows(text, b',', usize::MAX).unwrap_err().code();
    assert_eq!(code(b""), "keys.no-header");
    assert_eq!(code(b"\n\r\n\n"), "keys.no-header");
    assert_eq!(code(b"\xef\xbb\xbf"), "keys.no-header");
    assert_eq!(code(b"\xff\xfea\0,\0b\0\n\0"), "keys.encoding");
    assert_eq!(code(b"a\0,\0b\0\n\0"), "keys.encoding");
    assert_eq!(code(b"\xd0\xd5\xc3\xfb,b\n1,2\n"), "keys.encoding");
    let fault = rows(b"a,b\n1,2\n3,\"4\n5,6\n", b',', usize::MAX).unwrap_err();
    assert_eq!(fault, Fault::OpenQuote { file: "list.csv".into(), row: 2 });
}

#[test]
fn a_record_without_end_is_bounded() {
    use std::io::Read as _;
    for begin in ["a,b\n1,2\nx", "a,b\n1,2\n\"x\n"] {
        // A gigabyte that is never held.
        let endless = begin.as_bytes().chain(std::io::repeat(b'x').take(1 << 30));
        let (mut records, _) = Records::new(endless, "list.csv", b',').unwrap();
        assert!(records.next().unwrap().is_some());
        let most = MAX_RECORD_BYTES;
        let fault = records.next().map(|_| ()).unwrap_err();
        assert_eq!(fault, Fault::RowTooLong { file: "list.csv".into(), row: 2, most });
    }
}

#[test]
fn records_longer_than_the_buffer_come_whole() {
    for quoted in [false, true] {
        let value = vec![b'y'; 3 * READ_BYTES + 7];
        let mut text = b"a,b\n1,".to_vec();
        text.extend_from_slice(if quoted { b"\"" } else { b"" });
        text.extend_from_slice(&value);
        text.extend_from_slice(if quoted { b"\"\n3,4" } else { b"\n3,4" });
        let rows = rows(&text, b',', 100_000).unwrap();
        assert_eq!(rows[1], [b"1".to_vec(), value]);
        assert_eq!(rows[2], [b"3".to_vec(), b"4".to_vec()]);
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_as_others_read_it(
        text in proptest::collection::vec(proptest::sample::select(b"ab,;\"\n\"\n1".to_vec()), 1..60),
        step in 1usize..5,
    ) {
        match rows(&text, b',', step) {
            Ok(found) => proptest::prop_assert_eq!(found, reference(&text, b',')),
            // The reference closes an open quote silently.
            Err(fault) => proptest::prop_assert!(matches!(fault.code(), "keys.open-quote" | "keys.no-header")),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(text: Vec<u8>, step in 1usize..9) {
        for delimiter in [b',', b';', b'\t'] {
            drop(rows(&text, delimiter, step));
        }
    }
}
