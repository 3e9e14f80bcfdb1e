//! The chained log of what people did: appended inside the transaction that did it, read by pages.
//!
//! Never changed and never shortened.

use std::borrow::Cow;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::Digest;
use tidm_space::people::log::{Chain, Entry, LEFT, START};
use tidm_space::time::Time;

use crate::store::load::bad;
use crate::store::read::{Cursor, Page};
use crate::store::{Store, StoreError};

/// What is to be logged; the chain gives it its place.
#[derive(Clone, Debug)]
pub struct Said {
    pub at: Time,
    pub who: String,
    /// A word, or a method and the template of a route.
    pub act: Cow<'static, str>,
    pub subject: String,
    /// Why not; `None`: it was done.
    pub refused: Option<String>,
    /// Refusals that repeat themselves share an entry, and so do reads of a minute.
    pub times: u64,
    /// The caller was gone before the end: whether it was done is not known.
    pub left: bool,
}

impl Said {
    /// What was done, once.
    pub fn done(at: Time, who: &str, act: &'static str, subject: &str) -> Self {
        let (who, subject) = (who.to_owned(), subject.to_owned());
        Self { at, who, act: act.into(), subject, refused: None, times: 1, left: false }
    }
}

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub who: Option<String>,
    /// An act as it stands in the log, or a route's template whatever the method.
    pub act: Option<String>,
}

/// What reading the whole chain on found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries that follow from the ones before them.
    pub entries: u64,
    /// Of the last one that does.
    pub head: Digest,
    /// The first place that does not.
    pub broken: Option<u64>,
    /// Whether the noted entry is still what it was; `None`: none was given.
    pub noted: Option<bool>,
}

/// Entries that are held at a time while the chain is read on.
const READ: i64 = 1000;

/// Appends to the chain; the row's place is the lock that orders writers.
pub async fn say(conn: &mut AnyConnection, it: &Said) -> Result<(), StoreError> {
    let sql = "SELECT place, digest FROM people_log ORDER BY place DESC LIMIT 1";
    let last = sqlx::query(sql).fetch_optional(&mut *conn).await?;
    let (place, before) = match last {
        None => (0, START),
        Some(row) => (row.get::<i64, _>(0), digest(&row.get::<String, _>(1))?),
    };
    let entry = Entry {
        place: u64::try_from(place).unwrap_or(0).saturating_add(1),
        at: it.at,
        who: it.who.clone(),
        act: it.act.to_string(),
        subject: it.subject.clone(),
        allowed: it.refused.is_none(),
        reason: match &it.refused {
            Some(why) => why.clone(),
            None if it.left => LEFT.to_owned(),
            None => String::new(),
        },
        times: it.times,
    };
    sqlx::query("INSERT INTO people_log (place, at, who, act, subject, allowed, reason, digest, times) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)")
        .bind(place + 1)
        .bind(entry.at.ms())
        .bind(entry.who.clone())
        .bind(entry.act.clone())
        .bind(entry.subject.clone())
        .bind(i64::from(entry.allowed))
        .bind(entry.reason.clone())
        .bind(entry.digest(before).to_string())
        .bind(i64::try_from(entry.times).unwrap_or(i64::MAX))
        .execute(&mut *conn)
        .await?;
    Ok(())
}

fn digest(text: &str) -> Result<Digest, StoreError> {
    Digest::parse(text).map_err(|_| bad("people_log", "not a digest"))
}

/// What the database holds: whatever cannot be read does not follow either.
fn entry(row: &AnyRow) -> (Entry, String) {
    let it = Entry {
        place: u64::try_from(number(row, 0)).unwrap_or(0),
        at: Time::from_ms(number(row, 1)),
        who: text(row, 2),
        act: text(row, 3),
        subject: text(row, 4),
        allowed: number(row, 5) != 0,
        reason: text(row, 6),
        times: u64::try_from(number(row, 8)).unwrap_or(0),
    };
    (it, text(row, 7))
}

fn number(row: &AnyRow, column: usize) -> i64 {
    row.try_get(column).unwrap_or_default()
}

fn text(row: &AnyRow, column: usize) -> String {
    row.try_get(column).unwrap_or_default()
}

const ENTRY: &str =
    "SELECT place, at, who, act, subject, allowed, reason, digest, times FROM people_log";

impl Store {
    /// The log, newest first, each entry with its digest as it is kept.
    pub async fn people_log(
        &self,
        wanted: &Wanted,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<(Entry, String)>, StoreError> {
        let sql = format!(
            "{ENTRY} WHERE place < $1 AND ($3 = 0 OR who = $4) AND ($5 = 0 OR act IN ($6, $7, $8, $9, $10))
             ORDER BY place DESC LIMIT $2"
        );
        let after = after.map_or(i64::MAX, |it| it.key);
        let act = wanted.act.clone().unwrap_or_default();
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after)
            .bind(most + 1)
            .bind(i64::from(wanted.who.is_some()))
            .bind(wanted.who.clone().unwrap_or_default())
            .bind(i64::from(wanted.act.is_some()));
        for method in ["", "GET ", "POST ", "PUT ", "DELETE "] {
            query = query.bind(format!("{method}{act}"));
        }
        let found = query.fetch_all(self.pool()).await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let rows: Vec<_> = found.iter().take(shown).map(entry).collect();
        let next = rows.last().filter(|_| found.len() > shown).map(|(it, _)| Cursor {
            key: i64::try_from(it.place).unwrap_or(i64::MAX),
            id: String::new(),
        });
        Ok(Page { rows, next })
    }

    /// Reads the chain on from its first entry to its last, or to where it is broken. `noted`: an entry's place and the
    /// digest that somebody wrote down then.
    pub async fn verify_people_log(
        &self,
        noted: Option<(u64, Digest)>,
    ) -> Result<Verified, StoreError> {
        let sql = format!("{ENTRY} WHERE place > $1 ORDER BY place LIMIT $2");
        let (mut chain, mut after) = (Chain::default(), i64::MIN);
        let mut found = Verified {
            entries: 0,
            head: START,
            broken: None,
            noted: noted.as_ref().map(|_| false),
        };
        'read: loop {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(after).bind(READ);
            let rows = query.fetch_all(self.pool()).await?;
            let Some(last) = rows.last() else { break };
            after = last.get(0);
            for row in &rows {
                let (entry, digest) = entry(row);
                let digest = Digest::parse(&digest).unwrap_or(START);
                if let Err(place) = chain.follow(&entry, digest) {
                    found.broken = Some(place);
                    break 'read;
                }
                found.entries = chain.entries();
                if noted.as_ref().is_some_and(|it| *it == (entry.place, digest)) {
                    found.noted = Some(true);
                }
            }
        }
        found.head = chain.head();
        Ok(found)
    }
}
