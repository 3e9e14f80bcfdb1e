//! Narrowing a search of others' products: words and facets as conditions, and how many each value would leave.
//!
//! Threat model: what is asked for comes from other nodes too. It is bound, never part of a statement; values
//! of crawled rows are counted in bounded numbers.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

use tidm_space::policy::terms::Price;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::facets::Facets;

use super::{Store, StoreError};

/// Values of one facet that are shown: more than anybody chooses from.
const VALUES: usize = 50;
/// Groups of one facet that are read: a hostile catalogue may name a format of its own in each entry.
const GROUPS: i64 = 2000;

/// The highest price somebody wants to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    /// Millionths.
    pub micros: u64,
    /// `None`: whatever the currency.
    pub currency: Option<String>,
}

impl Most {
    /// `100`, or `100 CNY`.
    pub fn parse(text: &str) -> Option<Self> {
        let (amount, currency) = match text.trim().split_once(' ') {
            Some((amount, currency)) => (amount, Some(currency.trim())),
            None => (text.trim(), None),
        };
        // XTS is ISO 4217's code for tests: it stands in where a bare number names none.
        let it = Price::parse(amount, currency.unwrap_or("XTS")).ok()?;
        Some(Self { micros: it.micros, currency: currency.map(str::to_owned) })
    }
}

/// What a search asks for; everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Lower case; each occurs in title, description or keywords.
    pub words: Vec<String>,
    /// A DSP format, in any case, or `unknown`.
    pub format: Option<String>,
    pub grade: Option<String>,
    pub provider: Option<String>,
    /// What costs nothing costs less than anything.
    pub max_price: Option<Most>,
    /// Some offer costs nothing.
    pub free: bool,
}

impl Filter {
    /// Words alone.
    pub fn of_words(words: Vec<String>) -> Self {
        Self { words, ..Self::default() }
    }

    /// A format by its name, or by the kind of use that it delivers.
    pub fn format_of(name: &str) -> String {
        Use::from_name(name).map_or_else(|| name.to_owned(), |it| it.format().to_owned())
    }

    /// Whether anything but words is asked for.
    pub fn has_facets(&self) -> bool {
        *self != Self::of_words(self.words.clone())
    }

    /// Whether a dataset of `provider` with these facets is asked for; words are not looked at.
    pub fn takes(&self, provider: &str, it: &Facets) -> bool {
        let is = |wanted: &Option<String>, had: &str| wanted.as_ref().is_none_or(|w| w == had);
        let format = self
            .format
            .as_ref()
            .is_none_or(|w| it.formats.iter().any(|had| had.to_lowercase() == w.to_lowercase()));
        let is_free = it.free == Some(true);
        let price = self.max_price.as_ref().is_none_or(|most| {
            is_free
                || it.price.as_ref().is_some_and(|price| {
                    price.micros <= most.micros && is(&most.currency, &price.currency)
                })
        });
        format
            && is(&self.grade, it.grade)
            && is(&self.provider, provider)
            && price
            && (!self.free || is_free)
    }
}

/// A facet that values are counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    Format,
    Grade,
    Provider,
    Price,
    Free,
}

impl Facet {
    fn column(self) -> &'static str {
        match self {
            Self::Format => "formats",
            Self::Grade => "grade",
            Self::Provider => "provider",
            Self::Price => "currency",
            Self::Free => "free",
        }
    }
}

/// How many products each value would leave, the most frequent first.
pub type Counts = Vec<(String, u64)>;

/// The counts of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetCounts {
    pub format: Counts,
    pub grade: Counts,
    pub provider: Counts,
    /// By the price's currency.
    pub price: Counts,
    pub free: Counts,
}

/// What a placeholder stands for.
pub(super) enum Bound {
    Text(String),
    Number(i64),
}

/// Conditions for every part of the filter but `without`, each with `AND` before it; placeholders from `first` on.
pub(super) fn clauses(it: &Filter, without: Option<Facet>, first: usize) -> (String, Vec<Bound>) {
    let mut sql = String::new();
    let mut all = Vec::new();
    let next = |all: &Vec<Bound>| first + all.len();
    for word in &it.words {
        sql.push_str(&format!(" AND search LIKE ${} ESCAPE '!'", next(&all)));
        all.push(Bound::Text(like(word)));
    }
    let wants = |facet: Facet| without != Some(facet);
    if let Some(format) = it.format.as_ref().filter(|_| wants(Facet::Format)) {
        // Lower case on both sides: the databases differ in how LIKE treats case.
        sql.push_str(&format!(" AND LOWER(formats) LIKE ${} ESCAPE '!'", next(&all)));
        all.push(Bound::Text(like(&format!("|{}|", format.to_lowercase()))));
    }
    for (facet, value) in [(Facet::Grade, &it.grade), (Facet::Provider, &it.provider)] {
        if let Some(value) = value.as_ref().filter(|_| wants(facet)) {
            sql.push_str(&format!(" AND {} = ${}", facet.column(), next(&all)));
            all.push(Bound::Text(value.clone()));
        }
    }
    if let Some(most) = it.max_price.as_ref().filter(|_| wants(Facet::Price)) {
        sql.push_str(&format!(" AND (free = 'true' OR (price >= 0 AND price <= ${}", next(&all)));
        all.push(Bound::Number(i64::try_from(most.micros).unwrap_or(i64::MAX)));
        if let Some(currency) = &most.currency {
            sql.push_str(&format!(" AND currency = ${}", next(&all)));
            all.push(Bound::Text(currency.clone()));
        }
        sql.push_str("))");
    }
    if it.free && wants(Facet::Free) {
        sql.push_str(" AND free = 'true'");
    }
    (sql, all)
}

pub(super) type Asked<'q> = Query<'q, sqlx::Any, AnyArguments>;

pub(super) fn bind(mut query: Asked<'_>, all: Vec<Bound>) -> Asked<'_> {
    for one in all {
        query = match one {
            Bound::Text(text) => query.bind(text),
            Bound::Number(number) => query.bind(number),
        };
    }
    query
}

/// Formats as a column holds them: each between bars, so that none is found inside another.
pub(super) fn joined<'a>(formats: impl IntoIterator<Item = &'a String>) -> String {
    let mut out = String::from("|");
    for one in formats {
        out.push_str(one);
        out.push('|');
    }
    out
}

impl Store {
    /// For each facet how many of others' products each value would leave, the filter's other parts applied.
    pub async fn facets(&self, wanted: &Filter) -> Result<FacetCounts, StoreError> {
        Ok(FacetCounts {
            format: self.counts(wanted, Facet::Format).await?,
            grade: self.counts(wanted, Facet::Grade).await?,
            provider: self.counts(wanted, Facet::Provider).await?,
            price: self.counts(wanted, Facet::Price).await?,
            free: self.counts(wanted, Facet::Free).await?,
        })
    }

    async fn counts(&self, wanted: &Filter, facet: Facet) -> Result<Counts, StoreError> {
        let (clauses, values) = clauses(wanted, Some(facet), 2);
        let column = facet.column();
        let sql = format!(
            "SELECT {column}, COUNT(*) AS many FROM remote_products WHERE 1 = 1{clauses}
             GROUP BY {column} ORDER BY many DESC, {column} LIMIT $1"
        );
        // The text holds placeholders and names of ours only.
        let query = bind(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(GROUPS), values);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for row in query.fetch_all(self.pool()).await? {
            let (value, many): (String, i64) = (row.get(0), row.get(1));
            let many = u64::try_from(many).unwrap_or(0);
            let values: Vec<&str> = match facet {
                Facet::Format => value.split('|').filter(|it| !it.is_empty()).collect(),
                Facet::Grade | Facet::Provider | Facet::Price | Facet::Free => vec![&value],
            };
            for one in values {
                let count = counts.entry(one.to_owned()).or_default();
                *count = count.saturating_add(many);
            }
        }
        let mut counts: Counts = counts.into_iter().collect();
        counts.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        counts.truncate(VALUES);
        Ok(counts)
    }
}

/// A word as a pattern of LIKE that stands for itself.
pub(super) fn like(word: &str) -> String {
    let mut out = String::from("%");
    for c in word.chars() {
        if "%_!".contains(c) {
            out.push('!');
        }
        out.push(c);
    }
    out.push('%');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_themselves() {
        for (word, pattern) in
            [("a", "%a%"), ("100%", "%100!%%"), ("a_b!", "%a!_b!!%"), ("轴承", "%轴承%")]
        {
            assert_eq!(like(word), pattern);
        }
    }

    #[test]
    fn prices_with_and_without_a_currency() {
        for (text, most) in [
            ("100", Some((100_000_000, None))),
            (" 99.50 CNY ", Some((99_500_000, Some("CNY")))),
            ("cheap", None),
            ("1 cny", None),
            ("-1", None),
            ("", None),
        ] {
            let most = most.map(|(micros, currency): (u64, Option<&str>)| Most {
                micros,
                currency: currency.map(str::to_owned),
            });
            assert_eq!(Most::parse(text), most, "{text}");
        }
    }
}
