//! Cells as whole steps: each by itself, before anything is added up.
//!
//! Never sums a floating-point number: the sum of some depends on their order, which depends on other units' rows, and
//! with it the last digit of everybody's (Casacuberta et al. 2022).

use crate::limits::VALUE;

/// The nearest whole number of steps of `10^exponent`; `None` for what is no number, which counts as missing.
pub fn of_float(value: f64, exponent: i8) -> Option<i64> {
    if value.is_nan() {
        return None;
    }
    let power = 10_f64.powi(i32::from(exponent.unsigned_abs()));
    let steps = if exponent < 0 { value * power } else { value / power };
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and is cut below")]
    let steps = steps.round() as i64;
    Some(steps.clamp(-VALUE, VALUE))
}

/// The same for `value · 10^-scale`, exactly; halves go away from zero.
pub fn of_decimal(value: i128, scale: i8, exponent: i8) -> i64 {
    let shift = -i32::from(scale) - i32::from(exponent);
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    let steps = match power {
        Some(power) if shift >= 0 => value.saturating_mul(power),
        Some(power) => {
            let (whole, rest) = (value / power, value % power);
            let up = rest.unsigned_abs() >= power.unsigned_abs().div_ceil(2);
            if up && power > 1 { whole.saturating_add(value.signum()) } else { whole }
        }
        // More digits than there are: nothing, or more than any bound.
        None if shift >= 0 => value.signum().saturating_mul(i128::MAX),
        None => 0,
    };
    let most = i128::from(VALUE);
    i64::try_from(steps.clamp(-most, most)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_the_nearest_steps() {
        for (value, exponent, steps) in [
            (20.5, -1, Some(205)),
            (0.04, -1, Some(0)),
            (-0.05, -1, Some(-1)),
            (149.0, 2, Some(1)),
            (f64::NAN, 0, None),
            (f64::INFINITY, 0, Some(VALUE)),
            (f64::NEG_INFINITY, -9, Some(-VALUE)),
            (1e300, -9, Some(VALUE)),
            (-0.0, 0, Some(0)),
        ] {
            assert_eq!(of_float(value, exponent), steps, "{value} {exponent}");
        }
        for (value, scale, exponent, steps) in [
            (205, 1, -1, 205),
            (2049, 2, -1, 205),
            (2045, 2, -1, 205),
            (-2045, 2, -1, -205),
            (2044, 2, -1, 204),
            (7, 0, 0, 7),
            (7, 0, -3, 7000),
            (149, 0, 2, 1),
            (150, 0, 2, 2),
            (7, -2, 0, 700),
            (i128::MAX, 0, -9, VALUE),
            (i128::MIN, 0, 0, -VALUE),
            (1, i8::MAX, 6, 0),
            (1, i8::MIN, -9, VALUE),
            (-1, i8::MIN, -9, -VALUE),
            (0, i8::MIN, -9, 0),
        ] {
            assert_eq!(of_decimal(value, scale, exponent), steps, "{value} {scale} {exponent}");
        }
    }
}
