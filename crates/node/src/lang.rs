//! The two languages a person meets here, and how a browser asks for one.
//!
//! Never a third state: what is not understood is Chinese, the language of most of our users (D11).

/// Chinese or English.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    #[default]
    Zh,
    En,
}

/// `Accept-Language` longer than this is cut: browsers send below 200 bytes.
const HEADER_BYTES: usize = 1024;
/// Language ranges looked at in one header.
const RANGES: usize = 32;

impl Lang {
    /// `zh`, `zh-CN`, `en`, `en-GB`…
    pub fn parse(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_', '.']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("zh") {
            Some(Self::Zh)
        } else if primary.eq_ignore_ascii_case("en") {
            Some(Self::En)
        } else {
            None
        }
    }

    /// Picks by weight (RFC 9110 §12.5.4); the first wins among equals; `fallback` when nothing fits.
    pub fn negotiate(header: Option<&str>, fallback: Self) -> Self {
        let Some(header) = header else { return fallback };
        let mut cut = header.len().min(HEADER_BYTES);
        while !header.is_char_boundary(cut) {
            cut -= 1;
        }
        let mut best: Option<(u16, Self)> = None;
        for range in header.get(..cut).unwrap_or_default().split(',').take(RANGES) {
            let mut parts = range.split(';').map(str::trim);
            let Some(tag) = parts.next() else { continue };
            let weight = parts.find_map(|p| p.strip_prefix("q=")).map_or(Some(1000), weight);
            let lang = if tag == "*" { Some(fallback) } else { Self::parse(tag) };
            if let (Some(lang), Some(weight)) = (lang, weight)
                && weight > 0
                && best.is_none_or(|(most, _)| weight > most)
            {
                best = Some((weight, lang));
            }
        }
        best.map_or(fallback, |(_, lang)| lang)
    }

    pub fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// One of two texts.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// `0.7` as 700; at most three decimals (RFC 9110 §12.4.2).
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_language_wins() {
        for (header, expected) in [
            (None, Lang::Zh),
            (Some(""), Lang::Zh),
            (Some("en"), Lang::En),
            (Some("en-US,en;q=0.9,zh;q=0.8"), Lang::En),
            (Some("fr, en;q=0.5, zh-CN;q=0.7"), Lang::Zh),
            (Some("fr"), Lang::Zh),
            (Some("en;q=0, zh;q=0.1"), Lang::Zh),
            (Some("en;q=0"), Lang::Zh),
            (Some("*, en;q=0.9"), Lang::Zh),
            (Some("en;q=7"), Lang::Zh),
            (Some("en;q=0.00001"), Lang::Zh),
            (Some("en ; q=1.000"), Lang::En),
        ] {
            assert_eq!(Lang::negotiate(header, Lang::Zh), expected, "{header:?}");
        }
        assert_eq!(Lang::negotiate(Some(&"ü,".repeat(5000)), Lang::En), Lang::En);
    }
}
