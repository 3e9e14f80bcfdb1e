//! 统一社会信用代码: the check character.
//!
//! Never looks a code up: whether somebody has it is a question for the register.

/// GB 32100-2015: 17 characters of an alphabet of 31 and a check character modulo 31.
pub(super) fn credit_code_holds(code: &str) -> bool {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let digits: Option<Vec<usize>> =
        code.bytes().map(|c| ALPHABET.iter().position(|it| *it == c)).collect();
    let Some(digits) = digits.filter(|it| it.len() == 18) else { return false };
    let mut weight = 1;
    let mut sum = 0;
    for digit in digits.iter().take(17) {
        sum += digit * weight;
        weight = weight * 3 % 31;
    }
    digits.last() == Some(&((31 - sum % 31) % 31))
}
