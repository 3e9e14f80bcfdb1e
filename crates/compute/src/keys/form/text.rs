//! Texts: names, ids of any kind. ASCII takes a short way; both ways give the same (a test compares them).

use unicode_normalization::UnicodeNormalization as _;

use super::Why;

/// Whether visible ASCII only, so that nothing is to be done.
#[inline]
pub(super) fn is_normal(ignore_case: bool, raw: &[u8]) -> bool {
    let mut normal = true;
    for &byte in raw {
        normal &= byte.wrapping_sub(0x21) < 0x5e;
        normal &= !(ignore_case & byte.is_ascii_uppercase());
    }
    normal
}

pub(super) fn rewrite(ignore_case: bool, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    if raw.is_ascii() {
        let letters = raw.iter().map(|byte| char::from(*byte));
        return match ignore_case {
            true => collapse(letters.map(|letter| letter.to_ascii_lowercase()), out),
            false => collapse(letters, out),
        };
    }
    let text = std::str::from_utf8(raw).map_err(|_| Why::Encoding)?;
    match ignore_case {
        true => collapse(text.nfkc().flat_map(char::to_lowercase).nfkc(), out),
        false => collapse(text.nfkc(), out),
    }
}

/// White space to one space, none at the ends; marks that cannot be seen dropped; control characters are in no key.
fn collapse(letters: impl Iterator<Item = char>, out: &mut Vec<u8>) -> Result<(), Why> {
    let mut space = false;
    for letter in letters {
        if letter.is_whitespace() {
            space = !out.is_empty();
        } else if letter.is_control() {
            return Err(Why::Malformed);
        } else if !matches!(letter, '\u{200b}' | '\u{2060}' | '\u{feff}') {
            if std::mem::take(&mut space) {
                out.push(b' ');
            }
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) fn long_way(text: &str) -> Result<Vec<u8>, Why> {
    let mut out = Vec::new();
    collapse(text.nfkc().flat_map(char::to_lowercase).nfkc(), &mut out)?;
    Ok(out)
}
