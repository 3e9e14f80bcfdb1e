//! JSON lines: one object a line.
//!
//! Columns are the keys in order of first appearance over the whole file; a missing key is null.
//! Nested objects and arrays are kept as their JSON text in a text column: their shape may differ
//! from line to line, and nothing is lost. Blank lines are no rows; a key twice in one object is
//! a broken row. The parser's own recursion limit bounds the depth.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::csv::reading;
use super::{Cell, Outcome, Visit};
use crate::fault::{BrokenRow, Fault};
use crate::limits;
use crate::options::Encoding;
use crate::text::Decode;

/// How one JSON lines file is to be read. `names` grows during the first pass.
#[derive(Debug)]
pub(crate) struct Json {
    encoding: Encoding,
    pub(crate) names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Json {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self { encoding, names: Vec::new(), index: HashMap::new() }
    }

    pub(crate) fn pass(&mut self, path: &Path, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let file = File::open(path).map_err(Fault::file("open", path))?;
        let decode = Decode::new(file, self.encoding).map_err(Fault::file("read", path))?;
        let mut reader = BufReader::with_capacity(limits::READ_BYTES / 4, decode);
        let (mut line, mut row) = (0u64, 0u64);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let limit = limits::ROW_BYTES as u64 + 1;
            let read = reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
            let done = reader.get_ref().position();
            if read.map_err(|e| reading(path, self.encoding, done, e))? == 0 {
                return Ok(());
            }
            line += 1;
            if bytes.len() > limits::ROW_BYTES {
                return Err(Fault::Limit {
                    what: "a line's length in bytes",
                    value: bytes.len() as u64,
                    limit: limits::ROW_BYTES as u64,
                    advice: "JSON lines hold one object per line",
                });
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            row += 1;
            let flow = match self.visit_line(&bytes, row, line, done, visit)? {
                Ok(flow) => flow,
                Err(reason) => {
                    visit(Outcome::Broken(BrokenRow { row, line, column: None, reason }), done)?
                }
            };
            if flow.is_break() {
                return Err(Fault::Cancelled);
            }
        }
    }

    fn visit_line(
        &mut self,
        bytes: &[u8],
        row: u64,
        line: u64,
        done: u64,
        visit: &mut Visit<'_>,
    ) -> Result<Result<std::ops::ControlFlow<()>, String>, Fault> {
        let object = match parse(bytes) {
            Ok(object) => object,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut strings = Vec::with_capacity(object.0.len());
        for (key, raw) in &object.0 {
            let column = self.column(key)?;
            match unquoted(raw) {
                Ok(text) => strings.push((column, raw.get(), text)),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let mut cells = vec![Cell::Null; self.names.len()];
        for (column, raw, text) in &strings {
            if raw.len() > limits::CELL_BYTES {
                return Ok(Err(format!(
                    "a cell is {} bytes, the limit is {}",
                    raw.len(),
                    limits::CELL_BYTES
                )));
            }
            if let Some(cell) = cells.get_mut(*column) {
                *cell = cell_of(raw, text.as_deref());
            }
        }
        visit(Outcome::Row { row, line, cells: &cells }, done).map(Ok)
    }

    fn column(&mut self, key: &str) -> Result<usize, Fault> {
        if let Some(&at) = self.index.get(key) {
            return Ok(at);
        }
        let at = self.names.len();
        if at >= limits::COLUMNS {
            return Err(Fault::Limit {
                what: "the number of different keys",
                value: at as u64 + 1,
                limit: limits::COLUMNS as u64,
                advice: "keep varying keys inside a nested object",
            });
        }
        self.names.push(key.to_owned());
        let _none = self.index.insert(key.to_owned(), at);
        Ok(at)
    }
}

fn cell_of<'a>(raw: &'a str, text: Option<&'a str>) -> Cell<'a> {
    match (raw.as_bytes().first(), text) {
        (Some(b'"'), Some(text)) => Cell::Quoted(text),
        (Some(b't'), _) => Cell::Bool(true),
        (Some(b'f'), _) => Cell::Bool(false),
        (Some(b'{' | b'['), _) => Cell::Json(raw),
        (Some(b'0'..=b'9' | b'-'), _) => Cell::Number(raw),
        (_, _) => Cell::Null,
    }
}

fn unquoted(raw: &RawValue) -> Result<Option<Cow<'_, str>>, String> {
    let text = raw.get();
    if !text.starts_with('"') {
        return Ok(None);
    }
    if !text.contains('\\') {
        return Ok(text.get(1..text.len().saturating_sub(1)).map(Cow::Borrowed));
    }
    // A lone surrogate passes the first parse and fails here.
    let text = serde_json::from_str::<String>(text)
        .map_err(|_| "a string has a broken escape".to_owned())?;
    Ok(Some(Cow::Owned(text)))
}

/// One object, keys in order. Suitable for fuzzing.
pub(crate) fn parse(bytes: &[u8]) -> Result<Object<'_>, String> {
    // The parser's message may quote a key, never a value; the position is what helps.
    let object: Object<'_> = serde_json::from_slice(bytes).map_err(|e| {
        format!("not a JSON object on one line: {}", crate::fault::excerpt(&e.to_string()))
    })?;
    let mut seen = std::collections::HashSet::with_capacity(object.0.len());
    match object.0.iter().find(|(key, _)| !seen.insert(key.as_ref())) {
        Some((key, _)) => Err(format!("the key {:?} stands twice", crate::fault::excerpt(key))),
        None => Ok(object),
    }
}

#[derive(Debug)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
