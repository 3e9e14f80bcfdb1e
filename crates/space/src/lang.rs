//! The two languages people read here. Never chosen by the core: the caller says which.

/// Language of a text for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    #[default]
    Zh,
    En,
}

impl Lang {
    /// The one of two texts that is in this language.
    pub fn pick<'a>(self, zh: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// From the first language tag of an `Accept-Language` header or a setting; anything not Chinese reads English.
    pub fn from_tag(tag: &str) -> Self {
        if tag.trim_start().get(..2).is_some_and(|t| t.eq_ignore_ascii_case("zh")) {
            Self::Zh
        } else {
            Self::En
        }
    }
}
