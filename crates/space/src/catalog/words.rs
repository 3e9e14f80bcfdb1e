//! Words of a text, as searches see them: Latin words whole, Chinese by single characters and pairs.
//!
//! Chinese has no spaces, and a dictionary of words would be wrong for the names of machines: pairs of neighbours find
//! whatever somebody types, in a text of any mixture. Never decides what a word means: no synonyms, no translation.

use crate::limits::{WORD_CHARS, WORDS_OF_ENTRY};

/// Every word under which a text is found: of `风机SCADA` it is 风, 机, 风机 and scada.
pub fn of_text(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    runs(text, |run| match run {
        Run::Word(word) => out.push(word),
        Run::Script(chars) => {
            out.extend(chars.iter().map(char::to_string));
            out.extend(pairs(chars));
        }
    });
    out.truncate(WORDS_OF_ENTRY);
    out
}

/// The words that a text must all hold to be found: pairs of a Chinese word, or its only character.
pub fn of_search(text: &str, most: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    runs(text, |run| match run {
        Run::Word(word) => out.push(word),
        Run::Script([one]) => out.push(one.to_string()),
        Run::Script(chars) => out.extend(pairs(chars)),
    });
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|it| seen.insert(it.clone()));
    out.truncate(most);
    out
}

fn pairs(chars: &[char]) -> impl Iterator<Item = String> {
    chars.array_windows().map(|[a, b]| [*a, *b].iter().collect())
}

enum Run<'a> {
    Word(String),
    /// Characters of a script without spaces.
    Script(&'a [char]),
}

fn runs(text: &str, mut give: impl FnMut(Run<'_>)) {
    let (mut word, mut script) = (String::new(), Vec::new());
    let mut left = WORDS_OF_ENTRY;
    // One more than the text has, so that the last run ends as the others do.
    for c in text.chars().map(narrow).chain([' ']) {
        let (letter, wide) = (c.is_alphanumeric() && !is_script(c), is_script(c));
        if !letter && !word.is_empty() {
            give(Run::Word(singular(std::mem::take(&mut word))));
            left -= 1;
        }
        if !wide && !script.is_empty() {
            give(Run::Script(&script));
            left = left.saturating_sub(script.len());
            script.clear();
        }
        if left == 0 {
            return;
        }
        if letter && word.chars().count() < WORD_CHARS {
            word.extend(c.to_lowercase());
        }
        if wide && script.len() < WORDS_OF_ENTRY {
            script.push(c);
        }
    }
}

/// Full-width forms, as Chinese keyboards write Latin letters and digits.
fn narrow(c: char) -> char {
    match u32::from(c) {
        it @ 0xFF01..=0xFF5E => char::from_u32(it - 0xFEE0).unwrap_or(c),
        0x3000 => ' ',
        _ => c,
    }
}

/// Chinese, Japanese and Korean: written without spaces between words, or found by parts of them.
fn is_script(c: char) -> bool {
    matches!(u32::from(c),
        0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0x20000..=0x2FA1F)
}

/// `bearings` as `bearing`; the same on both sides, so that a word that only looks like a plural is found all the same.
fn singular(mut word: String) -> String {
    let plain = word.len() >= 4 && word.bytes().all(|it| it.is_ascii_lowercase());
    if plain && word.ends_with('s') && !["ss", "us", "is"].iter().any(|it| word.ends_with(it)) {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_both_languages() {
        for (text, words) in [
            ("", &[][..]),
            (" ,。!-", &[]),
            ("Bearing temperatures, 2024", &["bearing", "temperature", "2024"]),
            ("风机SCADA数据", &["风", "机", "风机", "scada", "数", "据", "数据"]),
            ("ＳＣＡＤＡ　２", &["scada", "2"]),
            ("轴", &["轴"]),
            ("Größe ÅNGSTRÖM", &["größe", "ångström"]),
            ("glass status axis was", &["glass", "status", "axis", "was"]),
        ] {
            assert_eq!(of_text(text), words, "{text}");
        }
    }

    #[test]
    fn whatever_stands_in_a_text_is_found_by_it() {
        let text = "1号线 主轴承温度 Main bearing temperatures (°C), 风机WTG-07";
        let known = of_text(text);
        for asked in
            ["轴承", "主轴承", "承", "Bearings", "wtg 07", "风机ＷＴＧ", "温度 temperature", "1号"]
        {
            assert!(of_search(asked, 16).iter().all(|it| known.contains(it)), "{asked}");
        }
        for asked in ["承轴", "ear", "电机", "wtg08"] {
            assert!(!of_search(asked, 16).iter().all(|it| known.contains(it)), "{asked}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(of_text(&"轴".repeat(100_000)).len(), WORDS_OF_ENTRY);
        assert_eq!(of_text(&"a ".repeat(100_000)).len(), WORDS_OF_ENTRY);
        assert_eq!(of_text(&"x".repeat(100_000))[0].len(), WORD_CHARS);
        assert_eq!(of_search(&"a b ".repeat(100), 8), ["a", "b"]);
        assert_eq!(of_search("一二三四五六", 3), ["一二", "二三", "三四"]);
    }
}
