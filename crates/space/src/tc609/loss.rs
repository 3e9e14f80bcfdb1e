//! What a translation between TC609 and ODRL could not say the same way.
//!
//! Never left out: a term that changes on its way has an entry here, or the translation is the same both ways.

use crate::lang::Lang;

/// How a term fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Said with the nearest word of the other side.
    Near,
    /// No word on the other side: kept in an extension or under its own name, and comes back as it was. Who does not
    /// know it must refuse it.
    Carried,
    /// Not said on the other side at all.
    Dropped,
}

/// One term, where it stands, and why it is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    /// For example `permission[0]`; empty: the contract itself.
    pub place: String,
    pub term: String,
    pub kind: Kind,
    zh: &'static str,
    en: &'static str,
}

impl Loss {
    pub(crate) fn new(
        place: &str,
        term: impl Into<String>,
        kind: Kind,
        (zh, en): (&'static str, &'static str),
    ) -> Self {
        Self { place: place.to_owned(), term: term.into(), kind, zh, en }
    }

    /// A contract whose terms name no end: the document has to.
    pub fn without_end() -> Self {
        let why = (
            "合约未规定期限，文档以可书写的最后时刻代替",
            "the contract has no end; the document says the last moment that can be written",
        );
        Self::new("", "indate", Kind::Near, why)
    }

    pub fn why(&self, lang: Lang) -> &'static str {
        lang.pick(self.zh, self.en)
    }
}
