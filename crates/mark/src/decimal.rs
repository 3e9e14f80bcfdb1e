//! Numbers as people write them: digits and a point, so that a step of 0.1 is exactly that.
//!
//! Threat: texts come from found files. What is longer than [`DIGITS`], has an exponent or is no number is `None`;
//! arithmetic is checked. Never through binary fractions: `0.2 + 0.1` would show by its digits that it was changed.

use std::fmt;

use crate::limits::{DIGITS, STEPS};

/// `units · 10^-scale`, without trailing zeros behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    pub fn parse(text: &str) -> Option<Self> {
        let (minus, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + fraction.len();
        let plain = whole.bytes().chain(fraction.bytes()).all(|it| it.is_ascii_digit());
        if whole.is_empty() || count > DIGITS || !plain {
            return None;
        }
        let units: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = u32::try_from(fraction.len()).ok()?;
        Some(Self { units: if minus { -units } else { units }, scale }.short())
    }

    pub fn whole(units: i128) -> Option<Self> {
        let fits = units.unsigned_abs() < 10_u128.pow(30);
        fits.then_some(Self { units, scale: 0 })
    }

    /// As it is shown shortest.
    pub fn of(value: f64) -> Option<Self> {
        Self::parse(&value.to_string())
    }

    /// `units · 10^-scale` of a fixed-point column.
    pub fn fixed(units: i128, scale: u32) -> Option<Self> {
        let fits = units.unsigned_abs() < 10_u128.pow(30) && scale as usize <= DIGITS;
        fits.then_some(Self { units, scale }.short())
    }

    fn short(mut self) -> Self {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }

    /// How many steps of `10^step` it is, rounded (half away from zero).
    fn steps(self, step: i8) -> Option<i128> {
        if !STEPS.contains(&step) {
            return None;
        }
        let shift = i32::try_from(self.scale).ok()? + i32::from(step);
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift <= 0 {
            return self.units.checked_mul(power);
        }
        let half = power / 2 * self.units.signum();
        self.units.checked_add(half).map(|it| it / power)
    }

    /// Whether the digit of this step is odd.
    pub fn odd(self, step: i8) -> Option<bool> {
        self.steps(step).map(|it| it % 2 != 0)
    }

    /// One step away; towards zero only where it does not get there, so that no number changes its sign.
    pub fn nudged(self, step: i8, up: bool) -> Option<Self> {
        if !STEPS.contains(&step) {
            return None;
        }
        let places = u32::from(step.min(0).unsigned_abs());
        let scale = self.scale.max(places);
        let units = self.units.checked_mul(10_i128.checked_pow(scale - self.scale)?)?;
        let exponent = i32::try_from(scale).ok()? + i32::from(step);
        let one = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
        let negative = units < 0;
        let small = units.unsigned_abs() < one.unsigned_abs();
        let up = if small { !negative } else { up };
        let units = if up { units.checked_add(one)? } else { units.checked_sub(one)? };
        Some(Self { units, scale }.short())
    }

    /// The whole number it is.
    pub fn as_whole(self) -> Option<i128> {
        (self.scale == 0).then_some(self.units)
    }

    /// Units of a fixed-point column of this scale.
    pub fn as_fixed(self, scale: u32) -> Option<i128> {
        let more = scale.checked_sub(self.scale)?;
        self.units.checked_mul(10_i128.checked_pow(more)?)
    }

    /// The double that is shown as exactly this.
    pub fn as_double(self) -> Option<f64> {
        let value: f64 = self.to_string().parse().ok()?;
        (Self::of(value) == Some(self)).then_some(value)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let digits = self.units.unsigned_abs().to_string();
        let places = self.scale as usize;
        if places == 0 {
            return write!(f, "{sign}{digits}");
        }
        let digits = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_or_refused() {
        for (text, shown) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("+1.50", Some("1.5")),
            ("007", Some("7")),
            ("-0.05", Some("-0.05")),
            ("12.", Some("12")),
            ("", None),
            (".5", None),
            ("-", None),
            ("1e5", None),
            ("1.2.3", None),
            ("１", None),
            ("NaN", None),
            ("inf", None),
            ("1234567890123456789012345678901", None),
        ] {
            let it = Decimal::parse(text).map(|it| it.to_string());
            assert_eq!(it.as_deref(), shown, "{text}");
        }
        assert_eq!(Decimal::of(f64::NAN), None);
        assert_eq!(Decimal::of(1e300), None);
        assert_eq!(Decimal::of(0.1 + 0.2).unwrap().to_string(), "0.30000000000000004");
    }

    #[test]
    fn parity_is_that_of_the_rounded_digit_and_one_step_changes_it() {
        for (text, step, odd, up, down) in [
            ("20.5", -1, true, "20.6", "20.4"),
            ("20.5", 0, true, "21.5", "19.5"),
            ("20.44", -1, false, "20.54", "20.34"),
            // Noise below the step does not flip it.
            ("0.28999999", -2, true, "0.29999999", "0.27999999"),
            ("0.29000001", -2, true, "0.30000001", "0.28000001"),
            ("137", 1, false, "147", "127"),
            // No number changes its sign, and none becomes zero from the other side.
            ("0", -1, false, "0.1", "0.1"),
            ("-0.04", -1, false, "-0.14", "-0.14"),
            ("0.5", 0, true, "1.5", "1.5"),
            ("-3", 0, true, "-2", "-4"),
        ] {
            let it = Decimal::parse(text).unwrap();
            assert_eq!(it.odd(step), Some(odd), "{text}");
            assert_eq!(it.nudged(step, true).unwrap().to_string(), up, "{text} up");
            assert_eq!(it.nudged(step, false).unwrap().to_string(), down, "{text} down");
        }
        let it = Decimal::parse("1").unwrap();
        assert_eq!((it.odd(-10), it.odd(7), it.nudged(i8::MIN, true)), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_step_flips_the_parity_and_keeps_the_sign(
            units in -1_000_000_000_000_i64..1_000_000_000_000, scale in 0_u32..12, step in -9_i8..=6, up: bool,
        ) {
            let it = Decimal::fixed(i128::from(units), scale).unwrap();
            let other = it.nudged(step, up).unwrap();
            prop_assert_eq!(it.odd(step).map(|odd| !odd), other.odd(step));
            prop_assert!(it.units.signum() * other.units.signum() >= 0);
            prop_assert_eq!(Decimal::parse(&other.to_string()), Some(other));
        }

        #[test]
        fn any_text_is_answered(text in "[-+0-9.eE ]{0,40}") {
            if let Some(it) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(&it.to_string()), Some(it));
            }
        }
    }
}
