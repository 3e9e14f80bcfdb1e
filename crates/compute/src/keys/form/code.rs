//! 统一社会信用代码, the unified social credit identifier of GB 32100-2015: 17 characters and one that checks them.

/// The 31 characters of the standard, each with its place as its value: no I, O, S, V, Z.
const LETTERS: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

pub(super) fn normal(key: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let code: &[u8; 18] = key.try_into().ok()?;
    // Weights are 3^0, 3^1, … modulo 31; the check character brings the sum to a multiple of 31.
    let mut weight = 1;
    let mut sum = 0;
    for (place, byte) in code.iter().enumerate() {
        let letter = byte.to_ascii_uppercase();
        let value = LETTERS.iter().position(|known| *known == letter)?;
        sum += value * if place == 17 { 1 } else { weight };
        weight = weight * 3 % 31;
        out.push(letter);
    }
    sum.is_multiple_of(31).then_some(())
}
