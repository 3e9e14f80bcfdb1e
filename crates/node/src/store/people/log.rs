//! The chained log of what people did: appended inside the transaction that did it, read by pages.
//!
//! Never changed and never shortened.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::Digest;
use tidm_space::people::log::{Entry, START};
use tidm_space::time::Time;

use crate::store::load::bad;
use crate::store::read::{Cursor, Page};
use crate::store::{Store, StoreError};

/// What is to be logged; the chain gives it its place.
#[derive(Clone, Debug)]
pub struct Said {
    pub at: Time,
    pub who: String,
    pub act: &'static str,
    pub subject: String,
    /// Why not; `None`: it was done.
    pub refused: Option<String>,
}

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
        act: it.act.to_owned(),
        subject: it.subject.clone(),
        allowed: it.refused.is_none(),
        reason: it.refused.clone().unwrap_or_default(),
    };
    sqlx::query("INSERT INTO people_log (place, at, who, act, subject, allowed, reason, digest) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)")
        .bind(place + 1)
        .bind(entry.at.ms())
        .bind(entry.who.clone())
        .bind(entry.act.clone())
        .bind(entry.subject.clone())
        .bind(i64::from(entry.allowed))
        .bind(entry.reason.clone())
        .bind(entry.digest(before).to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

fn digest(text: &str) -> Result<Digest, StoreError> {
    Digest::parse(text).map_err(|_| bad("people_log", "not a digest"))
}

fn entry(row: &AnyRow) -> Result<(Entry, Digest), StoreError> {
    let it = Entry {
        place: u64::try_from(row.get::<i64, _>(0)).unwrap_or(0),
        at: Time::from_ms(row.get(1)),
        who: row.get(2),
        act: row.get(3),
        subject: row.get(4),
        allowed: row.get::<i64, _>(5) != 0,
        reason: row.get(6),
    };
    Ok((it, digest(&row.get::<String, _>(7))?))
}

impl Store {
    /// The log, newest first.
    pub async fn people_log(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<(Entry, Digest)>, StoreError> {
        let sql = "SELECT place, at, who, act, subject, allowed, reason, digest FROM people_log
                   WHERE place < $1 ORDER BY place DESC LIMIT $2";
        let after = after.map_or(i64::MAX, |it| it.key);
        let found = sqlx::query(sql).bind(after).bind(most + 1).fetch_all(self.pool()).await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let rows: Vec<_> = found.iter().take(shown).map(entry).collect::<Result<_, _>>()?;
        let next = rows.last().filter(|_| found.len() > shown).map(|(it, _)| Cursor {
            key: i64::try_from(it.place).unwrap_or(i64::MAX),
            id: String::new(),
        });
        Ok(Page { rows, next })
    }
}
