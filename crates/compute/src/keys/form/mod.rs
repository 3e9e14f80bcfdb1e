//! Normal forms: many ways to write a key become one, and what is no such key is said to be none. A form never guesses: what it
//! cannot read is malformed, since a wrong key matches a wrong person.

mod code;
mod date;
mod number;
mod phone;
mod text;

use serde::{Deserialize, Serialize};

use super::limits::MAX_KEY_BYTES;

/// What a part of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The bytes as they are, in UTF-8.
    Exact,
    /// NFKC (full-width becomes half-width), trimmed, white space to one space each; lower case if the part says so.
    Text,
    /// The digits alone, full-width ones too; everything else is dropped.
    Digits,
    /// E.164 with `+`. Numbers without a country are mainland Chinese.
    Phone,
    /// YYYY-MM-DD.
    Date,
    /// Decimal digits without leading zeros, with `-` if negative.
    Integer,
    /// As integer, with a fraction without trailing zeros if there is one.
    Decimal,
    /// 统一社会信用代码 of GB 32100-2015, with a right check character.
    CreditCode,
}

/// Why a row has no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Null, or nothing but white space (for `exact`: nothing at all).
    Empty,
    /// The key is not UTF-8.
    Encoding,
    /// The key is not of its form.
    Malformed,
    /// The key is longer than [`MAX_KEY_BYTES`].
    Long,
    /// The row has more or fewer fields than the header.
    Ragged,
}

impl Why {
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::Encoding, Self::Malformed, Self::Long, Self::Ragged];
}

impl Form {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Text => "text",
            Self::Digits => "digits",
            Self::Phone => "phone",
            Self::Date => "date",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::CreditCode => "credit-code",
        }
    }

    /// The normal form of `raw`: itself where it is one already, else what was put into `space`.
    #[inline]
    pub fn normal<'k>(
        self,
        ignore_case: bool,
        raw: &'k [u8],
        space: &'k mut Vec<u8>,
    ) -> Result<&'k [u8], Why> {
        if raw.is_empty() {
            return Err(Why::Empty);
        }
        if raw.len() > MAX_KEY_BYTES {
            return Err(Why::Long);
        }
        if self == Self::Exact {
            let text = raw.is_ascii() || std::str::from_utf8(raw).is_ok();
            return text.then_some(raw).ok_or(Why::Encoding);
        }
        if self == Self::Text && text::is_normal(ignore_case, raw) {
            return Ok(raw);
        }
        space.clear();
        self.rewrite(ignore_case, raw, space)?;
        match space.len() {
            0 => Err(Why::Empty),
            length if length > MAX_KEY_BYTES => Err(Why::Long),
            _ => Ok(space),
        }
    }

    fn rewrite(self, ignore_case: bool, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
        match self {
            Self::Exact => out.extend_from_slice(raw),
            Self::Text => return text::rewrite(ignore_case, raw, out),
            Self::Digits => {
                narrow(raw, out)?;
                if trimmed(out).is_empty() {
                    return Err(Why::Empty);
                }
                out.retain(u8::is_ascii_digit);
                if out.is_empty() {
                    return Err(Why::Malformed);
                }
            }
            Self::Phone => return by(phone::normal, raw, out),
            Self::Date => return by(date::normal, raw, out),
            Self::Integer => return by(number::integer, raw, out),
            Self::Decimal => return by(number::decimal, raw, out),
            Self::CreditCode => return by(code::normal, raw, out),
        }
        Ok(())
    }
}

/// Forms of ASCII: `raw` made narrow and trimmed, rewritten by `normal`, which says none for what is not of the form.
fn by(
    normal: impl Fn(&[u8], &mut Vec<u8>) -> Option<()>,
    raw: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Why> {
    let plain = raw.is_ascii();
    let narrowed = if plain {
        Vec::new()
    } else {
        let mut narrowed = Vec::with_capacity(raw.len());
        narrow(raw, &mut narrowed)?;
        narrowed
    };
    let key = trimmed(if plain { raw } else { &narrowed });
    if key.is_empty() {
        return Err(Why::Empty);
    }
    normal(key, out).ok_or(Why::Malformed)
}

/// What [`narrow`] puts for the three signs of a Chinese date, and for everything that is not ASCII in any width.
const YEAR: u8 = 0x80;
const MONTH: u8 = 0x81;
const DAY: u8 = 0x82;
const FOREIGN: u8 = 0xff;

/// Full-width letters, digits and signs, white space and dashes as ASCII.
fn narrow(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Why> {
    let text = std::str::from_utf8(raw).map_err(|_| Why::Encoding)?;
    out.extend(text.chars().map(|letter| match letter {
        '\u{ff01}'..='\u{ff5e}' => u8::try_from(u32::from(letter) - 0xfee0).unwrap_or(FOREIGN),
        '年' => YEAR,
        '月' => MONTH,
        '日' => DAY,
        '\u{2010}'..='\u{2015}' | '\u{2212}' => b'-',
        letter if letter.is_whitespace() => b' ',
        letter => u8::try_from(letter).ok().filter(u8::is_ascii).unwrap_or(FOREIGN),
    }));
    Ok(())
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

#[cfg(test)]
mod tests;
