//! By what people narrow a search: format, grade, price and free use.
//!
//! Never guesses: what a dataset does not say is `unknown`, and a price that cannot be read is neither free nor a number.
//! Prices in two currencies are never compared.

use std::collections::BTreeSet;

use crate::limits::PRICES;
use crate::policy::cost::Cost;
use crate::policy::terms::Price;

/// What stands where a dataset says nothing.
pub const UNKNOWN: &str = "unknown";
/// What stands in place of a currency where there is only free use.
pub const NONE: &str = "none";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facets {
    /// DSP formats; one `unknown` where it names none.
    pub formats: BTreeSet<String>,
    /// general, important, core or unknown.
    pub grade: &'static str,
    /// In each currency the cheapest offer with a readable price.
    pub prices: Vec<Price>,
    /// Whether some offer costs nothing; `None` where no offer says.
    pub free: Option<bool>,
}

/// Prices in each currency, and whether something costs nothing, of all offers' costs.
pub fn costs(all: impl IntoIterator<Item = Cost>) -> (Vec<Price>, Option<bool>) {
    let mut prices: Vec<Price> = vec![];
    let (mut free, mut unclear) = (false, false);
    for one in all {
        match one {
            Cost::Free => free = true,
            Cost::Unclear => unclear = true,
            Cost::Price(price) => {
                let full = prices.len() >= PRICES;
                match prices.iter_mut().find(|it| it.currency == price.currency) {
                    Some(it) => it.micros = it.micros.min(price.micros),
                    None if full => unclear = true,
                    None => prices.push(price),
                }
            }
        }
    }
    prices.sort_by(|a, b| a.currency.cmp(&b.currency));
    let free = match (free, !prices.is_empty() || unclear) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    (prices, free)
}

impl Facets {
    /// The prices' currencies; `none` where there is only free use.
    pub fn currencies(&self) -> Vec<&str> {
        match (self.prices.as_slice(), self.free) {
            ([], Some(true)) => vec![NONE],
            ([], Some(false) | None) => vec![UNKNOWN],
            (all, _) => all.iter().map(|it| it.currency.as_str()).collect(),
        }
    }

    /// true, false or unknown.
    pub fn free_word(&self) -> &'static str {
        match self.free {
            Some(true) => "true",
            Some(false) => "false",
            None => UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_currency_has_its_cheapest_price() {
        let cny = |amount| Price::parse(amount, "CNY").unwrap();
        let euro = Price::parse("1", "EUR").unwrap();
        let price = |it: &Price| Cost::Price(it.clone());
        for (all, prices, free) in [
            (vec![], vec![], None),
            (vec![Cost::Free], vec![], Some(true)),
            (vec![Cost::Unclear], vec![], Some(false)),
            (vec![price(&cny("7")), price(&cny("5"))], vec![cny("5")], Some(false)),
            (
                vec![price(&euro), price(&cny("5")), Cost::Free],
                vec![cny("5"), euro.clone()],
                Some(true),
            ),
        ] {
            assert_eq!(costs(all.clone()), (prices, free), "{all:?}");
        }
        let many = (b'A'..=b'Z').map(|it| {
            let currency = String::from_utf8(vec![it; 3]).unwrap();
            Cost::Price(Price { micros: 1, currency })
        });
        assert_eq!(costs(many).0.len(), PRICES);
    }
}
