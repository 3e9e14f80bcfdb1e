//! What tells a row from the others, the same in the table that was released and in a file that was found.
//!
//! Files change their form on the way: `7` comes back as `7.0`, a date as a moment. So values are compared by what
//! they mean. Never by the place of a row: rows are left out and put in another order.

use crate::decimal::Decimal;

/// One value of a row's key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Number(Decimal),
    /// Microseconds since 1970, whatever the zone was called; days begin at midnight.
    Moment(i64),
    Text(&'a str),
}

/// The values of a row's key columns, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowKey(Vec<u8>);

impl RowKey {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn push(&mut self, cell: Cell<'_>) {
        let (kind, said) = match cell {
            Cell::Null => (b'-', String::new()),
            Cell::Number(it) => (b'n', it.to_string()),
            Cell::Moment(it) => (b't', it.to_string()),
            Cell::Text(text) => match Decimal::parse(text.trim()) {
                Some(it) => (b'n', it.to_string()),
                None => (b'x', text.trim().to_owned()),
            },
        };
        self.0.push(kind);
        self.0.extend_from_slice(&(said.len() as u64).to_be_bytes());
        self.0.extend_from_slice(said.as_bytes());
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> FromIterator<Cell<'a>> for RowKey {
    fn from_iter<I: IntoIterator<Item = Cell<'a>>>(cells: I) -> Self {
        let mut it = Self::default();
        cells.into_iter().for_each(|cell| it.push(cell));
        it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_in_every_form_and_borders_count() {
        let key = |cells: &[Cell<'_>]| cells.iter().copied().collect::<RowKey>();
        let number = |text| Cell::Number(Decimal::parse(text).unwrap());
        assert_eq!(key(&[Cell::Text(" 007 ")]), key(&[number("7.0")]));
        assert_ne!(
            key(&[Cell::Text("ab"), Cell::Text("c")]),
            key(&[Cell::Text("a"), Cell::Text("bc")])
        );
        assert_ne!(key(&[Cell::Null]), key(&[Cell::Text("")]));
        assert_ne!(key(&[Cell::Moment(7)]), key(&[number("7")]));
    }
}
