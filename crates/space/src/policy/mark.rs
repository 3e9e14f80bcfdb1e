//! Watermarks: which numbers of a table the provider may change before release, by how much, and what tells rows apart.
//!
//! Threat: a consumer who signs must know how far the numbers are from what was measured, so the bound stands in the
//! terms and is shown. Never says whose copy it is: that is in the marks themselves, under a key of the provider's.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::{MATCH_COLUMN_BYTES, MATCH_PARTS};

/// Written `temp:0.1,power:1;sensor,ts`: columns with the step by which a value may change, then the key of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub columns: Vec<Marked>,
    pub key: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    pub column: String,
    pub step: Step,
}

/// A power of ten, by its exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(i8);

impl Step {
    /// From `0.000000001` to `1000000`.
    pub fn parse(text: &str) -> Option<Self> {
        (-9..=6).map(Self).find(|it| it.to_string() == text)
    }

    pub fn exponent(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeros = usize::from(self.0.unsigned_abs());
        if self.0 < 0 { write!(f, "0.{:0>zeros$}", 1) } else { write!(f, "1{}", "0".repeat(zeros)) }
    }
}

impl Mark {
    pub fn parse(text: &str) -> Option<Self> {
        let (columns, key) = text.split_once(';')?;
        let mut seen = BTreeSet::new();
        let mut name = |text: &str| {
            let name = text.trim();
            let fits = !name.is_empty()
                && name.len() <= MATCH_COLUMN_BYTES
                && !name.chars().any(|c| c.is_control() || matches!(c, ':' | ',' | ';'));
            // A column stands once: what tells rows apart must not change.
            (fits && seen.insert(name.to_owned())).then(|| name.to_owned())
        };
        let marked = |text: &str, name: &mut dyn FnMut(&str) -> Option<String>| {
            let (column, step) = text.rsplit_once(':')?;
            Some(Marked { column: name(column)?, step: Step::parse(step.trim())? })
        };
        let columns: Option<Vec<Marked>> =
            columns.split(',').map(|it| marked(it, &mut name)).collect();
        let key: Option<Vec<String>> = key.split(',').map(name).collect();
        let it = Self { columns: columns?, key: key? };
        (it.columns.len() <= MATCH_PARTS && it.key.len() <= MATCH_PARTS).then_some(it)
    }

    /// All columns it speaks of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|it| &*it.column).chain(self.key.iter().map(|it| &**it))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> =
            self.columns.iter().map(|it| format!("{}:{}", it.column, it.step)).collect();
        write!(f, "{};{}", columns.join(","), self.key.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_read_whole_or_not() {
        let it = Mark::parse(" temp : 0.1, 功率:1 ; sensor,ts").unwrap();
        assert_eq!(it.to_string(), "temp:0.1,功率:1;sensor,ts");
        assert_eq!(it.columns[0].step.exponent(), -1);
        for exponent in -9..=6 {
            assert_eq!(Step::parse(&Step(exponent).to_string()), Some(Step(exponent)));
        }
        let many = (0..=MATCH_PARTS).map(|i| format!("c{i}:1")).collect::<Vec<_>>().join(",");
        let long = "x".repeat(MATCH_COLUMN_BYTES + 1);
        for bad in [
            "",
            "temp:0.1",
            "temp:0.1;",
            ";sensor",
            "temp;sensor",
            "temp:0.2;sensor",
            "temp:10000000;sensor",
            "temp:-1;sensor",
            "temp:0.1;temp",
            "a:1,a:1;b",
            "a:1;b,b",
            "a:1;b;c",
            "a:1:1;b",
            &format!("{many};k"),
            &format!("{long}:1;k"),
        ] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[ab:;,0-9. ]{0,30}") {
            if let Some(it) = Mark::parse(&text) {
                prop_assert_eq!(Mark::parse(&it.to_string()), Some(it));
            }
        }
    }
}
