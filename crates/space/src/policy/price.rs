//! An amount of money, as terms and their sentences say it.
//!
//! Threat: an amount that two readers take for two numbers. Never a floating-point number, never one without its currency.

use std::fmt;

/// An amount in millionths of the currency's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub micros: u64,
    /// ISO 4217, three capitals.
    pub currency: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrice {
    #[error("not an amount such as 100 or 99.50 (at most six decimals)")]
    Amount,
    #[error("not a currency such as CNY (ISO 4217)")]
    Currency,
}

impl Price {
    pub fn parse(amount: &str, currency: &str) -> Result<Self, BadPrice> {
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(BadPrice::Currency);
        }
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(BadPrice::Amount);
        }
        let whole: u64 = whole.parse().map_err(|_| BadPrice::Amount)?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| BadPrice::Amount)?;
        let micros = whole
            .checked_mul(1_000_000)
            .and_then(|n| n.checked_add(fraction))
            .ok_or(BadPrice::Amount)?;
        Ok(Self { micros, currency: currency.to_owned() })
    }

    /// With two to six decimals, for example `99.50`.
    pub fn amount(&self) -> String {
        let mut text = format!("{}.{:06}", self.micros / 1_000_000, self.micros % 1_000_000);
        while text.ends_with('0') && text.rsplit('.').next().is_some_and(|f| f.len() > 2) {
            text.pop();
        }
        text
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}
