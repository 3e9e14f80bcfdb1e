//! Rows of matchings: what was agreed, how it stands, what came of it.
//!
//! Never an item, a key or a matched row: results are objects, named here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;

use super::load::bad;
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// One session that this node takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// The session's identifier in hexadecimal.
    pub id: String,
    pub contract: Id,
    /// Ours in the contract.
    pub role: Role,
    pub state: State,
    /// Of the provider's gate.
    pub lease: Option<Id>,
    pub created: Time,
    pub moved: Time,
    pub record: Record,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Agreed, under way or to be gone on with.
    Open,
    Done,
    Failed,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Done, Self::Failed].into_iter().find(|it| it.word() == word)
    }
}

/// What only this node's own jobs read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    pub protocol: String,
    /// Digest of the table that it is over.
    pub table: Option<String>,
    pub purpose: Option<String>,
    /// Upper bounds on the items of both sides.
    pub items: u64,
    pub their_items: u64,
    /// The object with our list, the ending that tells its format, and our columns in the order of the contract's key.
    pub object: String,
    pub name: String,
    pub columns: Vec<String>,
    /// Columns of ours that the result has; empty: all.
    pub shown: Vec<String>,
    /// The result is a bit for each row of ours instead.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bitmap: bool,
    /// The object is gone with the matching.
    pub temporary: bool,
    /// Of the lease asked for at the peer's gate, and of ours that joins: hexadecimal.
    pub nonce: String,
    pub key: String,
    /// The lease of the consumer's gate.
    pub join: Option<String>,
    pub workers: u32,
    /// How long a lease is asked for at a time.
    pub span_ms: Option<u64>,
    pub attempts: u32,
    /// Of attempts that ended without a report.
    pub broken_off: Bytes,
    /// The same by kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub broken_kinds: BTreeMap<String, Bytes>,
    /// Attempts up to this one are in the two above.
    pub tallied: u32,
    /// In one of them this node was killed: it may have moved more than was written down.
    pub broken_unsure: bool,
    /// The process's report, as it said it.
    pub report: Option<serde_json::Value>,
    /// Rows of ours that matched, or the bits that say which: an object, where we are to know them.
    pub rows: Option<String>,
    pub matched: Option<u64>,
    /// What is asked for, as it travels; absent: rows.
    pub asked: Option<serde_json::Value>,
    /// A size, a sum or a bit, where we are to know it.
    pub answer: Option<serde_json::Value>,
    /// What the provider gave with our rows: an object.
    pub labels: Option<String>,
    /// The term that withholds the result.
    pub withheld: Option<String>,
    pub fault: Option<Trouble>,
    /// Of more than two parties: what all agreed on, as it travels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub many: Option<serde_json::Value>,
    /// The leader's members, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
}

/// A member, as its leader knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Party {
    pub contract: String,
    /// Of its gate, and of ours.
    pub lease: Option<String>,
    pub join: Option<String>,
    pub items: u64,
}

impl Record {
    /// Whether it has more than two parties.
    pub fn is_many(&self) -> bool {
        self.many.is_some() || !self.parties.is_empty()
    }
}

/// Bytes that left and came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub sent: u64,
    pub received: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub code: String,
    pub text: String,
}

const COLUMNS: &str = "id, contract, role, state, lease, created, moved, record";

fn matching(row: &AnyRow) -> Result<Matching, StoreError> {
    let wrong = |why: &str| bad("matchings", why);
    let id = |text: String| Id::parse(&text).map_err(|_| wrong("an id"));
    let record: String = row.get(7);
    Ok(Matching {
        id: row.get(0),
        contract: id(row.get(1))?,
        role: Role::from_word(&row.get::<String, _>(2)).ok_or_else(|| wrong("a role"))?,
        state: State::from_word(&row.get::<String, _>(3)).ok_or_else(|| wrong("a state"))?,
        lease: row.get::<Option<String>, _>(4).map(id).transpose()?,
        created: Time::from_ms(row.get(5)),
        moved: Time::from_ms(row.get(6)),
        record: serde_json::from_str(&record).map_err(|why| wrong(&why.to_string()))?,
    })
}

impl Store {
    pub async fn matching(&self, id: &str) -> Result<Option<Matching>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM matchings WHERE id = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned());
        query.fetch_optional(self.pool()).await?.as_ref().map(matching).transpose()
    }

    /// The one that runs under a lease of the provider's gate.
    pub async fn matching_of(&self, lease: &Id) -> Result<Option<Matching>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM matchings WHERE lease = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(lease.to_string());
        query.fetch_optional(self.pool()).await?.as_ref().map(matching).transpose()
    }

    /// Those to go on with after a start.
    pub async fn open_matchings(&self, most: u32) -> Result<Vec<Matching>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM matchings WHERE state = 'open' ORDER BY created LIMIT $1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(i64::from(most));
        query.fetch_all(self.pool()).await?.iter().map(matching).collect()
    }

    /// Newest first.
    pub async fn matchings(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Matching>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM matchings WHERE (created, id) < ($1, $2) ORDER BY created DESC, id DESC LIMIT $3"
        );
        let (at, id) = after.map_or((i64::MAX, String::new()), |it| (it.key, it.id.clone()));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(at).bind(id);
        let rows = query.bind(most + 1).fetch_all(self.pool()).await?;
        let found: Result<Vec<Matching>, StoreError> = rows.iter().map(matching).collect();
        Ok(Page::cut(found?, most, |it| Cursor { key: it.created.ms(), id: it.id.clone() }))
    }
}

/// Writes a row that is open, or is not there yet; one that is over stays as it is.
pub async fn save(conn: &mut AnyConnection, it: &Matching) -> Result<(), StoreError> {
    let record =
        serde_json::to_string(&it.record).map_err(|why| bad("matchings", &why.to_string()))?;
    sqlx::query(
        "INSERT INTO matchings (id, contract, role, state, lease, created, moved, record) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, lease = excluded.lease, moved = excluded.moved, record = excluded.record
         WHERE matchings.state = 'open'",
    )
    .bind(it.id.clone())
    .bind(it.contract.to_string())
    .bind(it.role.word())
    .bind(it.state.word())
    .bind(it.lease.as_ref().map(ToString::to_string))
    .bind(it.created.ms())
    .bind(it.moved.ms())
    .bind(record)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// The record of one that is over, without its result.
pub async fn strip(conn: &mut AnyConnection, it: &Matching) -> Result<(), StoreError> {
    let record =
        serde_json::to_string(&it.record).map_err(|why| bad("matchings", &why.to_string()))?;
    sqlx::query("UPDATE matchings SET record = $1 WHERE id = $2 AND state <> 'open'")
        .bind(record)
        .bind(it.id.clone())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Writes an open row that no lease joined before; whether it was the first to do so.
pub async fn claim(conn: &mut AnyConnection, it: &Matching) -> Result<bool, StoreError> {
    let record =
        serde_json::to_string(&it.record).map_err(|why| bad("matchings", &why.to_string()))?;
    let done = sqlx::query(
        "UPDATE matchings SET record = $1 WHERE id = $2 AND state = 'open' AND record NOT LIKE '%\"join\":\"%'",
    )
    .bind(record)
    .bind(it.id.clone())
    .execute(&mut *conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
