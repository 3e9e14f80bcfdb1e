//! What a caller wants to see of others' offers: the same words for searches, events and subscriptions.
//!
//! Never a query language: each field is a value, and a price without its currency is refused where it could be held
//! against several.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use tidm_space::catalog::search::{Filter, Most};

use super::answer::{Answer, Fail};

/// Longest text of one field: more words than anybody reads results for.
const FIELD_BYTES: usize = 1024;

#[derive(Clone, Debug, Default, Deserialize, Serialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Words that title, description or keywords hold, all of them; everything when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<String>,
    /// A DSP format or a kind of use (query, sealed-table, sealed-file, plain); `unknown` where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    /// general, important, core or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    grade: Option<String>,
    /// The provider's DID.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Most that an offer may cost: `100 CNY`, or `100` with `currency`. What is free costs less. Without a currency
    /// all prices must be in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_price: Option<String>,
    /// Of `max_price`, for example CNY.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// true: some offer costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<bool>,
}

impl Wanted {
    pub(super) fn filter(&self) -> Answer<Filter> {
        let said = |it: &Option<String>| it.clone().filter(|it| !it.is_empty());
        let facets = [
            &self.search,
            &self.format,
            &self.grade,
            &self.provider,
            &self.max_price,
            &self.currency,
        ];
        if facets.into_iter().flatten().any(|it| it.len() > FIELD_BYTES) {
            return Err(Fail::field("search", format!("at most {FIELD_BYTES} bytes")));
        }
        let currency = said(&self.currency);
        let most = |it: String| {
            let wrong = || Fail::field("max_price", "an amount, for example 100 CNY");
            match &currency {
                Some(currency) => Most::of(it.trim(), Some(currency)).ok_or_else(wrong),
                None => Most::parse(&it).ok_or_else(wrong),
            }
        };
        let max_price = said(&self.max_price).map(most).transpose()?;
        if currency.is_some() && max_price.is_none() {
            return Err(Fail::field("currency", "it is that of max_price, which is missing"));
        }
        let words = Filter::of_words(self.search.as_deref().unwrap_or_default());
        Ok(Filter {
            format: said(&self.format).map(|it| Filter::format_of(&it)),
            grade: said(&self.grade),
            provider: said(&self.provider),
            max_price,
            free: self.free.unwrap_or(false),
            ..words
        })
    }

    /// For what comes one by one: there is no set of prices that could tell the currency.
    pub(super) fn filter_of_one(&self) -> Answer<Filter> {
        let it = self.filter()?;
        match &it.max_price {
            Some(most) if most.currency.is_none() => {
                Err(Fail::field("max_price", "it needs its currency, for example 100 CNY"))
            }
            Some(_) | None => Ok(it),
        }
    }
}

/// The filter of what was checked and kept by us; one that an older version wrote in another way wants everything.
pub(crate) fn kept(text: &str) -> Filter {
    let wanted = serde_json::from_str::<Wanted>(text).ok();
    wanted.and_then(|it| it.filter_of_one().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_one_currency() {
        let wanted = |max_price: Option<&str>, currency: Option<&str>| Wanted {
            max_price: max_price.map(str::to_owned),
            currency: currency.map(str::to_owned),
            ..Wanted::default()
        };
        for (price, currency, whole, one) in [
            (None, None, true, true),
            (Some("100 CNY"), None, true, true),
            (Some("100"), Some("CNY"), true, true),
            (Some("100"), None, true, false),
            (Some("100 CNY"), Some("EUR"), false, false),
            (Some("100"), Some("yuan"), false, false),
            (None, Some("CNY"), false, false),
            (Some("cheap"), None, false, false),
        ] {
            let it = wanted(price, currency);
            assert_eq!(it.filter().is_ok(), whole, "{price:?} {currency:?}");
            assert_eq!(it.filter_of_one().is_ok(), one, "{price:?} {currency:?}");
        }
    }
}
