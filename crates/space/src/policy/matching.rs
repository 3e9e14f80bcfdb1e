//! What a contract says about matching lists (private set intersection).
//!
//! Threats: a consumer that puts in guesses learns who is in the provider's list, one list after the other; two lists that
//! differ in one item tell about that item. So a contract says by which key is matched, how many items may be put in at a
//! time and altogether (the gate counts them before the first byte), and how small a result may be. Never says how a match is
//! computed: protocols are the engine's.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::{MATCH_COLUMN_BYTES, MATCH_PARTS};

/// Limits of a permission on matching.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matching {
    pub key: Option<Key>,
    /// Most items that the consumer puts in at a time.
    pub items: Option<u64>,
    /// Most items that the consumer puts in under the contract altogether.
    pub budget: Option<u64>,
    /// Most items that all of the consumer's legal entity puts in under all contracts about the product.
    pub group_budget: Option<u64>,
    /// Fewest matches of a result; a smaller one is not shown.
    pub least: Option<u64>,
    /// Most of the consumer's items that may match, in percent; a result above is not shown.
    pub share: Option<u64>,
    pub to: Option<To>,
    /// What may be worked out; rows alone where nothing is said.
    pub reveal: Option<BTreeSet<Reveal>>,
}

/// What of a match may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reveal {
    Rows,
    Size,
    Sum,
    AtLeast,
    Labels,
    /// Rows of the consumer that all of several providers have: no matching of two tells that.
    Common,
}

impl Reveal {
    pub const ALL: [Self; 6] =
        [Self::Rows, Self::Size, Self::Sum, Self::AtLeast, Self::Labels, Self::Common];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Size => "size",
            Self::Sum => "sum",
            Self::AtLeast => "atLeast",
            Self::Labels => "labels",
            Self::Common => "common",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Who gets the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    Consumer,
    Both,
}

impl To {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Both => "both",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Consumer, Self::Both].into_iter().find(|it| it.name() == name)
    }
}

/// The provider's columns that make a key, each in a normal form, and what rows with equal keys are.
/// Written `part_no:text,maker:credit-code;first`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub parts: Vec<Part>,
    pub equals: Equals,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub column: String,
    pub form: Form,
}

/// How values are made comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Exact,
    Text,
    /// Text whose upper and lower case are the same.
    TextAnyCase,
    Digits,
    Phone,
    Date,
    Integer,
    Decimal,
    CreditCode,
}

impl Form {
    pub const ALL: [Self; 9] = [
        Self::Exact,
        Self::Text,
        Self::TextAnyCase,
        Self::Digits,
        Self::Phone,
        Self::Date,
        Self::Integer,
        Self::Decimal,
        Self::CreditCode,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Text => "text",
            Self::TextAnyCase => "text-any-case",
            Self::Digits => "digits",
            Self::Phone => "phone",
            Self::Date => "date",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::CreditCode => "credit-code",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Rows whose keys are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Equals {
    /// A list that has some is refused, with their number.
    #[default]
    Refuse,
    /// The first counts.
    First,
    /// All of them are in the result.
    Multiply,
}

impl Equals {
    pub const ALL: [Self; 3] = [Self::Refuse, Self::First, Self::Multiply];

    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::First => "first",
            Self::Multiply => "multiply",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl Key {
    /// Reads `column:form,…;equals`; the form is `exact` and equals are refused where nothing is said.
    pub fn parse(text: &str) -> Option<Self> {
        let (columns, equals) = text.split_once(';').unwrap_or((text, "refuse"));
        let equals = Equals::from_name(equals.trim())?;
        let mut seen = BTreeSet::new();
        let part = |text: &str| {
            let (column, form) = text.rsplit_once(':').unwrap_or((text, "exact"));
            let (column, form) = (column.trim(), Form::from_name(form.trim())?);
            let fits = !column.is_empty()
                && column.len() <= MATCH_COLUMN_BYTES
                && !column.chars().any(|c| c.is_control() || matches!(c, ':' | ',' | ';'));
            fits.then(|| Part { column: column.to_owned(), form })
        };
        let parts: Option<Vec<Part>> = columns.split(',').map(part).collect();
        let parts = parts.filter(|all| all.len() <= MATCH_PARTS)?;
        parts.iter().all(|it| seen.insert(&it.column)).then_some(())?;
        Some(Self { parts, equals })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.parts.iter().map(|it| format!("{}:{}", it.column, it.form.name())).collect();
        write!(f, "{};{}", parts.join(","), self.equals.name())
    }
}

/// One limit, as one constraint says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchLimit {
    Key(Key),
    Items(u64),
    Budget(u64),
    GroupBudget(u64),
    Least(u64),
    Share(u64),
    To(To),
    Reveal(BTreeSet<Reveal>),
}

impl Matching {
    /// Both hold. Two different keys cannot, nor answers of which none is in both: `false`.
    #[must_use]
    pub(super) fn narrow(&mut self, limit: MatchLimit) -> bool {
        let least = |slot: &mut Option<u64>, n: u64| *slot = Some(slot.map_or(n, |old| old.min(n)));
        match limit {
            MatchLimit::Key(new) => {
                let same = self.key.as_ref().is_none_or(|old| *old == new);
                self.key = Some(new);
                return same;
            }
            MatchLimit::Items(n) => least(&mut self.items, n),
            MatchLimit::Budget(n) => least(&mut self.budget, n),
            MatchLimit::GroupBudget(n) => least(&mut self.group_budget, n),
            MatchLimit::Share(n) => least(&mut self.share, n),
            MatchLimit::Least(n) => self.least = Some(self.least.map_or(n, |old| old.max(n))),
            MatchLimit::Reveal(new) => {
                let both: BTreeSet<Reveal> = match &self.reveal {
                    Some(old) => old.intersection(&new).copied().collect(),
                    None => new,
                };
                let some = !both.is_empty();
                self.reveal = Some(both);
                return some;
            }
            MatchLimit::To(to) => self.to = Some(self.to.map_or(to, |old| old.min(to))),
        }
        true
    }

    pub fn result_to(&self) -> To {
        self.to.unwrap_or(To::Consumer)
    }

    /// What may be asked for.
    pub fn revealed(&self) -> Vec<Reveal> {
        self.reveal.as_ref().map_or_else(|| vec![Reveal::Rows], |all| all.iter().copied().collect())
    }

    pub fn reveals(&self, it: Reveal) -> bool {
        self.revealed().contains(&it)
    }

    /// Why a result of `matches` among `items` of the consumer may not be shown, if it may not.
    pub fn withheld(&self, matches: u64, items: u64) -> Option<&'static str> {
        if self.least.is_some_and(|least| matches < least) {
            return Some("tidm:minMatches");
        }
        let above =
            |percent: u64| u128::from(matches) * 100 > u128::from(items) * u128::from(percent);
        self.share.is_some_and(above).then_some("tidm:matchShare")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for (text, canonical) in [
            ("id", Some("id:exact;refuse")),
            (
                "part_no:text, maker:credit-code ;first",
                Some("part_no:text,maker:credit-code;first"),
            ),
            ("零件号:text;multiply", Some("零件号:text;multiply")),
            ("a:text,a:exact", None),
            ("a:words", None),
            ("a;sometimes", None),
            ("", None),
            ("a,,b", None),
            ("a:b:text", None),
            ("a\u{7}:text", None),
        ] {
            let key = Key::parse(text);
            assert_eq!(key.as_ref().map(ToString::to_string).as_deref(), canonical, "{text}");
            if let Some(key) = key {
                assert_eq!(Key::parse(&key.to_string()), Some(key));
            }
        }
        let many: Vec<String> = (0..=MATCH_PARTS).map(|i| format!("c{i}")).collect();
        assert_eq!(Key::parse(&many.join(",")), None);
        assert_eq!(Key::parse(&"c".repeat(MATCH_COLUMN_BYTES + 1)), None);
    }

    #[test]
    fn results_too_small_or_too_telling_are_withheld() {
        let it = Matching { least: Some(10), share: Some(50), ..Matching::default() };
        for (matches, items, rule) in [
            (9, 100, Some("tidm:minMatches")),
            (10, 100, None),
            (50, 100, None),
            (51, 100, Some("tidm:matchShare")),
            (u64::MAX, u64::MAX, Some("tidm:matchShare")),
        ] {
            assert_eq!(it.withheld(matches, items), rule, "{matches} of {items}");
        }
        assert_eq!(Matching::default().withheld(0, 0), None);
    }

    #[test]
    fn limits_narrow() {
        let mut it = Matching::default();
        for limit in [
            MatchLimit::Items(10),
            MatchLimit::Items(20),
            MatchLimit::Least(5),
            MatchLimit::Least(3),
            MatchLimit::To(To::Both),
            MatchLimit::To(To::Consumer),
        ] {
            assert!(it.narrow(limit));
        }
        assert_eq!((it.items, it.least, it.to), (Some(10), Some(5), Some(To::Consumer)));
        let key = |text| MatchLimit::Key(Key::parse(text).unwrap());
        assert!(it.narrow(key("a")) && it.narrow(key("a:exact")));
        assert!(!it.narrow(key("b")), "one key only");
        let reveal = |all: &[Reveal]| MatchLimit::Reveal(all.iter().copied().collect());
        assert_eq!(it.revealed(), [Reveal::Rows], "nothing is said");
        assert!(it.narrow(reveal(&[Reveal::Size, Reveal::Sum])));
        assert!(it.narrow(reveal(&[Reveal::Sum, Reveal::Rows])));
        assert!(it.reveals(Reveal::Sum) && !it.reveals(Reveal::Rows) && !it.reveals(Reveal::Size));
        assert!(!it.narrow(reveal(&[Reveal::Rows])), "nothing is left");
        for it in Reveal::ALL {
            assert_eq!(Reveal::from_name(it.name()), Some(it));
        }
    }
}
