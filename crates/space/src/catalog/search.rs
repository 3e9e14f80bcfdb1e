//! What a search of others' offers asks for, and what its facets count.
//!
//! Never compares prices of two currencies: a highest price without its currency is an answer only where all prices
//! are in one.

use super::facets::Facets;
use super::words;
use crate::fault::Fault;
use crate::limits::SEARCH_WORDS;
use crate::policy::terms::Price;
use crate::policy::usage::Use;

/// The highest price somebody wants to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Most {
    /// Millionths.
    pub micros: u64,
    /// `None`: the only one there is.
    pub currency: Option<String>,
}

impl Most {
    /// `100 CNY`, or `100`.
    pub fn parse(text: &str) -> Option<Self> {
        let (amount, currency) = match text.trim().split_once(' ') {
            Some((amount, currency)) => (amount, Some(currency.trim())),
            None => (text.trim(), None),
        };
        Self::of(amount, currency)
    }

    pub fn of(amount: &str, currency: Option<&str>) -> Option<Self> {
        // XTS is ISO 4217's code for tests: it stands in where a bare number names none.
        let it = Price::parse(amount, currency.unwrap_or("XTS")).ok()?;
        Some(Self { micros: it.micros, currency: currency.map(str::to_owned) })
    }

    /// With its currency; `there` are the currencies of all prices that it would be held against.
    pub fn settled(&self, there: &[&str]) -> Result<Self, Fault> {
        if self.currency.is_some() {
            return Ok(self.clone());
        }
        match there {
            [] => Ok(self.clone()),
            [only] => Ok(Self { currency: Some((*only).to_owned()), ..self.clone() }),
            several => Err(Fault::refused(
                "catalog.currency",
                format!("a highest price needs its currency: there are {}", several.join(", ")),
            )),
        }
    }

    /// Whether something with these prices costs no more. Without a currency only what is free does.
    pub fn covers(&self, prices: &[Price]) -> bool {
        prices
            .iter()
            .any(|it| Some(&it.currency) == self.currency.as_ref() && it.micros <= self.micros)
    }
}

/// What a search asks for; everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// As [`words::of_search`] gives them; title, description or keywords hold each.
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
    /// The words of a text alone.
    pub fn of_words(text: &str) -> Self {
        Self { words: words::of_search(text, SEARCH_WORDS), ..Self::default() }
    }

    /// A format by its name, or by the kind of use that it delivers.
    pub fn format_of(name: &str) -> String {
        Use::from_name(name).map_or_else(|| name.to_owned(), |it| it.format().to_owned())
    }

    /// Whether anything but words is asked for.
    pub fn has_facets(&self) -> bool {
        *self != Self { words: self.words.clone(), ..Self::default() }
    }

    /// Which parts of it an offer of `provider` with these facets misses; words are not looked at.
    pub fn misses(&self, provider: &str, it: &Facets) -> Misses {
        let is = |wanted: &Option<String>, had: &str| wanted.as_ref().is_none_or(|w| w == had);
        let format = self
            .format
            .as_ref()
            .is_none_or(|w| it.formats.iter().any(|had| had.to_lowercase() == w.to_lowercase()));
        let free = it.free == Some(true);
        let price = self.max_price.as_ref().is_none_or(|most| free || most.covers(&it.prices));
        Misses::none()
            .unless(Facet::Format, format)
            .unless(Facet::Grade, is(&self.grade, it.grade))
            .unless(Facet::Provider, is(&self.provider, provider))
            .unless(Facet::Price, price)
            .unless(Facet::Free, !self.free || free)
    }

    /// Whether an offer of `provider` with these facets and this text is asked for.
    pub fn takes(&self, provider: &str, facets: &Facets, text: &str) -> bool {
        if !self.misses(provider, facets).is_none() {
            return false;
        }
        if self.words.is_empty() {
            return true;
        }
        let had: std::collections::BTreeSet<String> = words::of_text(text).into_iter().collect();
        self.words.iter().all(|word| had.contains(word))
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
    pub const ALL: [Self; 5] = [Self::Format, Self::Grade, Self::Provider, Self::Price, Self::Free];
}

/// The facets whose condition does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misses(u8);

impl Misses {
    pub const fn none() -> Self {
        Self(0)
    }

    #[must_use]
    pub const fn unless(self, facet: Facet, holds: bool) -> Self {
        if holds { self } else { Self(self.0 | 1 << facet as u8) }
    }

    /// Found.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether the offer counts for a value of this facet: each facet is counted as if nothing were chosen in it.
    pub const fn counts_for(self, facet: Facet) -> bool {
        self.0 & !(1 << facet as u8) == 0
    }
}

/// How many offers each value would leave, the most frequent first.
pub type Counts = Vec<(String, u64)>;

/// The counts of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetCounts {
    pub format: Counts,
    pub grade: Counts,
    pub provider: Counts,
    /// By the prices' currencies; an offer with prices in two counts in both.
    pub price: Counts,
    pub free: Counts,
}

/// A price as one number that sorts by currency, then by amount: for indexes of numbers.
pub mod code {
    use super::super::facets::{Facets, NONE, UNKNOWN};
    use crate::policy::terms::Price;

    /// Currencies take the 15 upper bits (26³ + 2 < 2¹⁵); amounts the rest: up to 562 million units.
    const SHIFT: u32 = 49;
    const AMOUNT: u64 = (1 << SHIFT) - 1;
    const OF_NONE: u64 = 1;
    const OF_UNKNOWN: u64 = 2;
    const FIRST: u64 = 3;

    fn currency(it: &str) -> u64 {
        match it.as_bytes() {
            [a, b, c] if it.bytes().all(|it| it.is_ascii_uppercase()) => {
                let digit = |it: &u8| u64::from(it - b'A');
                FIRST + (digit(a) * 26 + digit(b)) * 26 + digit(c)
            }
            _ if it == NONE => OF_NONE,
            _ => OF_UNKNOWN,
        }
    }

    /// The currency of a number, as facets name it.
    pub fn currency_of(code: u64) -> String {
        match (code >> SHIFT).checked_sub(FIRST) {
            Some(it) => [it / 676 % 26, it / 26 % 26, it % 26]
                .map(|it| char::from(b'A' + u8::try_from(it).unwrap_or_default()))
                .iter()
                .collect(),
            None if code >> SHIFT == OF_NONE => NONE.to_owned(),
            None => UNKNOWN.to_owned(),
        }
    }

    /// Only the currency's part, for counting.
    pub fn group(code: u64) -> u64 {
        code >> SHIFT << SHIFT
    }

    pub fn of_price(it: &Price) -> u64 {
        currency(&it.currency) << SHIFT | it.micros.min(AMOUNT)
    }

    /// All prices; where there are none, one number that says why.
    pub fn of_facets(it: &Facets) -> Vec<u64> {
        if it.prices.is_empty() {
            return it.currencies().into_iter().map(|it| currency(it) << SHIFT).collect();
        }
        it.prices.iter().map(of_price).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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

    #[test]
    fn a_highest_price_is_never_held_against_another_currency() {
        let bare = Most::parse("5").unwrap();
        assert_eq!(bare.settled(&["CNY"]), Ok(Most::parse("5 CNY").unwrap()));
        assert_eq!(bare.settled(&[]), Ok(bare.clone()));
        let refused = bare.settled(&["CNY", "EUR"]).unwrap_err();
        assert_eq!(refused.code(), "catalog.currency");
        assert!(refused.to_string().contains("CNY, EUR"), "{refused}");
        let euro = Most::parse("5 EUR").unwrap();
        assert_eq!(euro.settled(&["CNY", "USD"]), Ok(euro.clone()));
        let price = |text: &str| {
            let (amount, currency) = text.split_once(' ').unwrap();
            Price::parse(amount, currency).unwrap()
        };
        for (prices, covered) in [
            (vec!["5 EUR"], true),
            (vec!["5.01 EUR"], false),
            (vec!["1 CNY"], false),
            (vec!["1 CNY", "9 EUR"], false),
            (vec!["100 CNY", "4 EUR"], true),
            (vec![], false),
        ] {
            let prices: Vec<Price> = prices.into_iter().map(price).collect();
            assert_eq!(euro.covers(&prices), covered, "{prices:?}");
            assert!(!bare.covers(&prices));
        }
    }

    #[test]
    fn prices_as_numbers_keep_currency_and_order() {
        let price = |amount: &str, currency: &str| Price::parse(amount, currency).unwrap();
        let all = ["AAA", "CNY", "EUR", "ZZZ"].map(|it| price("1", it));
        for one in &all {
            assert_eq!(code::currency_of(code::of_price(one)), one.currency);
        }
        assert!(all.map(|it| code::of_price(&it)).is_sorted());
        assert!(code::of_price(&price("1", "CNY")) < code::of_price(&price("1.000001", "CNY")));
        assert!(
            code::of_price(&price("18000000000000", "CNY")) < code::of_price(&price("0", "CNZ"))
        );
        let facets = |prices: Vec<Price>, free| Facets {
            formats: BTreeSet::new(),
            grade: "general",
            prices,
            free,
        };
        for (it, words) in [
            (facets(vec![], None), &["unknown"][..]),
            (facets(vec![], Some(true)), &["none"]),
            (facets(vec![price("1", "CNY"), price("2", "EUR")], Some(true)), &["CNY", "EUR"]),
        ] {
            let found: Vec<String> = code::of_facets(&it)
                .into_iter()
                .map(|it| code::currency_of(code::group(it)))
                .collect();
            assert_eq!(found, words);
        }
    }

    #[test]
    fn each_facet_is_counted_as_if_nothing_were_chosen_in_it() {
        let none = Misses::none();
        assert!(none.is_none() && Facet::ALL.into_iter().all(|it| none.counts_for(it)));
        let one = none.unless(Facet::Grade, false);
        for facet in Facet::ALL {
            assert_eq!(one.counts_for(facet), facet == Facet::Grade);
        }
        let two = one.unless(Facet::Free, false).unless(Facet::Price, true);
        assert!(!two.is_none() && Facet::ALL.into_iter().all(|it| !two.counts_for(it)));
    }
}
