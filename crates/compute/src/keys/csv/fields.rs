//! Takes records apart: which bytes are the fields that make the key.

use memchr::{memchr, memchr_iter};

use super::records::Record;

/// Finds the wanted fields of each record and checks that there are as many fields as in the header.
pub(in crate::keys) struct Fields {
    delimiter: u8,
    columns: usize,
    /// Places of the wanted columns in the order of the rule's parts.
    wanted: Vec<usize>,
    last: usize,
    /// Where the fields of this record up to the last wanted one lie.
    bounds: Vec<(usize, usize)>,
    /// Where the values of the wanted fields lie, without quotes around them; none for those that had to be rewritten.
    plain: Vec<Option<(usize, usize)>>,
    /// Those that had quotes inside.
    rewritten: Vec<Vec<u8>>,
}

impl Fields {
    pub(in crate::keys) fn new(delimiter: u8, columns: usize, wanted: Vec<usize>) -> Self {
        let last = wanted.iter().copied().max().unwrap_or(0);
        let (plain, rewritten) = (vec![None; wanted.len()], vec![Vec::new(); wanted.len()]);
        Self { delimiter, columns, wanted, last, bounds: Vec::new(), plain, rewritten }
    }

    /// The only wanted field of a record without quotes; none if the record is ragged.
    #[inline]
    pub(in crate::keys) fn single<'b>(&self, line: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = line;
        for _ in 0..self.last {
            rest = rest.get(memchr(self.delimiter, rest)? + 1..)?;
        }
        let behind = self.columns - 1 - self.last;
        match memchr(self.delimiter, rest) {
            None => (behind == 0).then_some(rest),
            Some(at) => {
                let (field, rest) = rest.split_at_checked(at)?;
                (memchr_iter(self.delimiter, rest).count() == behind).then_some(field)
            }
        }
    }

    pub(in crate::keys) fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Finds the wanted fields; says whether the record has as many fields as it must.
    pub(in crate::keys) fn locate(&mut self, record: Record<'_>) -> bool {
        let mut count = 0;
        self.bounds.clear();
        for field in raw_fields(record.line, self.delimiter) {
            if count <= self.last {
                // Fields follow one another with one delimiter between.
                let begin = self.bounds.last().map_or(0, |(_, end)| end + 1);
                self.bounds.push((begin, begin + field.len()));
            }
            count += 1;
        }
        if count != self.columns {
            return false;
        }
        let wanted = self.wanted.iter().zip(&mut self.plain).zip(&mut self.rewritten);
        for ((place, plain), rewritten) in wanted {
            let field = field_of(record.line, &self.bounds, *place);
            let bounds = self.bounds.get(*place).copied();
            *plain = match field {
                [b'"', inside @ .., b'"'] if memchr(b'"', inside).is_none() => {
                    bounds.map(|(begin, end)| (begin + 1, end - 1))
                }
                [b'"', ..] => {
                    rewritten.clear();
                    unquoted(field, rewritten);
                    None
                }
                _ => bounds,
            };
        }
        true
    }

    /// The wanted fields of the record that was located last, in the order of the rule's parts.
    pub(in crate::keys) fn parts<'f>(
        &'f self,
        line: &'f [u8],
    ) -> impl ExactSizeIterator<Item = &'f [u8]> {
        self.plain.iter().zip(&self.rewritten).map(move |(plain, rewritten)| match plain {
            Some((begin, end)) => line.get(*begin..*end).unwrap_or_default(),
            None => rewritten,
        })
    }

    /// The wanted fields as they are written, quotes and all.
    pub(in crate::keys) fn raw_parts<'f>(
        &'f self,
        line: &'f [u8],
    ) -> impl ExactSizeIterator<Item = &'f [u8]> {
        self.wanted.iter().map(move |place| field_of(line, &self.bounds, *place))
    }
}

fn field_of<'b>(line: &'b [u8], bounds: &[(usize, usize)], place: usize) -> &'b [u8] {
    bounds.get(place).and_then(|&(begin, end)| line.get(begin..end)).unwrap_or_default()
}

/// The fields of a line as they are written. There is always at least one.
pub(in crate::keys) fn raw_fields(line: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let length = field_length(line, delimiter);
        rest = line.get(length + 1..);
        line.get(..length)
    })
}

fn field_length(line: &[u8], delimiter: u8) -> usize {
    let mut closed = 0;
    if line.first() == Some(&b'"') {
        closed = 1;
        while let Some(at) = memchr(b'"', line.get(closed..).unwrap_or_default()) {
            closed += at + 1;
            if line.get(closed) != Some(&b'"') {
                break;
            }
            closed += 1;
        }
    }
    let rest = line.get(closed..).unwrap_or_default();
    closed + memchr(delimiter, rest).unwrap_or(rest.len())
}

/// The value of a field: what is in the quotes, doubled quotes as one, and what stands behind the closing one.
pub(in crate::keys) fn unquoted(field: &[u8], out: &mut Vec<u8>) {
    let Some(mut inside) = field.strip_prefix(b"\"") else {
        out.extend_from_slice(field);
        return;
    };
    while let Some(at) = memchr(b'"', inside) {
        let (part, behind) = inside.split_at_checked(at + 1).unwrap_or((inside, b""));
        match behind.strip_prefix(b"\"") {
            Some(more) => {
                out.extend_from_slice(part);
                inside = more;
            }
            None => {
                out.extend_from_slice(part.strip_suffix(b"\"").unwrap_or(part));
                inside = behind;
                break;
            }
        }
    }
    out.extend_from_slice(inside);
}
