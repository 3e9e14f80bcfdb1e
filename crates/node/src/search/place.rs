//! Where the index lies and what its documents are.
//!
//! Never repaired: an index that does not open or has other fields is removed and built again.

use std::path::Path;

use tantivy::directory::MmapDirectory;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STORED, STRING, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyDocument};

use tidm_crypto::hash::sha256;
use tidm_space::catalog::search::code;
use tidm_space::catalog::words;

use crate::store::remote::Indexed;

/// Of the fields and of how words are made; another one and the index is built again.
const VERSION: &str = "1";
const WORDS: &str = "words";

pub(super) const PROVIDER: &str = "provider";
pub(super) const FORMAT: &str = "format";
pub(super) const MARKS: &str = "marks";
pub(super) const PRICE: &str = "price";
pub(super) const CHANGED: &str = "changed";
pub(super) const PLACE: &str = "place";

/// general, important, core, unknown; in a document's marks by their place here.
pub(super) const GRADES: [&str; 4] = ["general", "important", "core", "unknown"];
/// Beside the grade, in steps of [`GRADES`]' length.
pub(super) const FREE: [&str; 3] = ["true", "false", "unknown"];

#[derive(Clone, Copy)]
pub(super) struct Fields {
    /// `provider id`: neither holds a space.
    pub key: Field,
    pub text: Field,
    provider: Field,
    format: Field,
    marks: Field,
    price: Field,
    changed: Field,
    place: Field,
}

/// An index that is open for searches.
pub(super) struct Open {
    pub index: Index,
    pub reader: IndexReader,
    pub fields: Fields,
}

fn schema() -> (Schema, Fields) {
    let mut all = Schema::builder();
    let text = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_index_option(IndexRecordOption::WithFreqs);
    let word = TextOptions::default().set_fast("raw");
    let number = NumericOptions::default().set_fast();
    let fields = Fields {
        key: all.add_text_field("key", STRING | STORED),
        text: all.add_text_field("text", TextOptions::default().set_indexing_options(text)),
        provider: all.add_text_field(PROVIDER, word.clone()),
        format: all.add_text_field(FORMAT, word),
        marks: all.add_u64_field(MARKS, number.clone()),
        price: all.add_u64_field(PRICE, number.clone()),
        changed: all.add_u64_field(CHANGED, number.clone()),
        place: all.add_u64_field(PLACE, number),
    };
    (all.build(), fields)
}

impl Open {
    /// The index in `dir`; a fresh one where there is none that can be used.
    pub(super) fn at(dir: &Path) -> anyhow::Result<Self> {
        match Self::existing(dir) {
            Ok(open) => Ok(open),
            Err(why) => {
                if dir.exists() {
                    tracing::warn!(%why, dir = %dir.display(), "the search index is built again");
                }
                Self::fresh(dir)
            }
        }
    }

    fn existing(dir: &Path) -> anyhow::Result<Self> {
        let (schema, fields) = schema();
        let index = Index::open(MmapDirectory::open(dir)?)?;
        anyhow::ensure!(index.schema() == schema, "it has other fields");
        Self::ready(index, fields)
    }

    pub(super) fn fresh(dir: &Path) -> anyhow::Result<Self> {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        std::fs::create_dir_all(dir)?;
        let (schema, fields) = schema();
        Self::ready(Index::create(MmapDirectory::open(dir)?, schema, Default::default())?, fields)
    }

    fn ready(index: Index, fields: Fields) -> anyhow::Result<Self> {
        index.tokenizers().register(WORDS, TextAnalyzer::from(Words));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// How far it has come; `None` where it was made by another version or never written.
    pub(super) fn progress(&self) -> anyhow::Result<Option<Progress>> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.as_deref().and_then(Progress::read))
    }
}

/// The last change of the store that the index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub seq: i64,
    /// Of that change, so that another store's is not taken for it.
    pub mark: String,
}

impl Progress {
    pub(super) fn write(&self) -> String {
        format!("{VERSION} {} {}", self.seq, self.mark)
    }

    fn read(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once(' ')?;
        let (seq, mark) = rest.split_once(' ')?;
        let seq = seq.parse().ok()?;
        (version == VERSION).then(|| Self { seq, mark: mark.to_owned() })
    }
}

pub(super) fn key(provider: &str, id: &str) -> String {
    format!("{provider} {id}")
}

impl Fields {
    pub(super) fn document(&self, it: &Indexed) -> TantivyDocument {
        let mut doc = TantivyDocument::new();
        let key = key(&it.provider, &it.id);
        let place = sha256(key.as_bytes());
        let place = place.as_bytes().first_chunk::<8>().map_or(0, |it| u64::from_be_bytes(*it));
        doc.add_text(self.key, key);
        // The title once more: words in it weigh more.
        doc.add_text(self.text, &it.title);
        doc.add_text(self.text, &it.text);
        doc.add_text(self.provider, &it.provider);
        for format in &it.facets.formats {
            doc.add_text(self.format, format);
        }
        let at =
            |all: &[&str], one: &str| all.iter().position(|it| *it == one).unwrap_or(all.len() - 1);
        let marks = at(&GRADES, it.facets.grade) + GRADES.len() * at(&FREE, it.facets.free_word());
        doc.add_u64(self.marks, marks as u64);
        for price in code::of_facets(&it.facets) {
            doc.add_u64(self.price, price);
        }
        doc.add_u64(self.changed, u64::try_from(it.changed.ms()).unwrap_or(0));
        doc.add_u64(self.place, place);
        doc
    }
}

/// Words as `tidm_space::catalog::words` makes them, in the shape the index asks for.
#[derive(Clone)]
struct Words;

struct Stream {
    words: std::vec::IntoIter<String>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream {
        Stream { words: words::of_text(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for Stream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.text = word;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
