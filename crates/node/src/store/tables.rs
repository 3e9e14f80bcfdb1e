//! Rows of tables for matching: those that this node made, and those of peers that it keeps.
//!
//! Never an entry or a key: a table's bytes are objects, named by the row's id.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;

use super::load::bad;
use super::matchings::{State, Trouble};
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// One table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Made: of product and rule. Kept: of contract and table. Hexadecimal.
    pub id: String,
    /// Provider: made here. Consumer: a peer's, kept here.
    pub role: Role,
    pub product: Id,
    /// Under which it is kept.
    pub contract: Option<Id>,
    /// Done: every byte is here, and was compared with the index.
    pub state: State,
    pub created: Time,
    pub moved: Time,
    pub record: Record,
}

/// What only this node's own jobs read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    pub version: u64,
    pub key: String,
    pub entries: u64,
    /// Most items of a session.
    pub items: u64,
    pub index_bytes: u64,
    pub bytes: u64,
    /// Digest of the index, and the provider's statement about it (compact JWS).
    pub table: Option<String>,
    pub signed: Option<String>,
    /// Kept: how often it was fetched.
    pub fetched: u64,
    /// Made: the process's report.
    pub report: Option<serde_json::Value>,
    pub fault: Option<Trouble>,
}

const COLUMNS: &str = "id, role, product, contract, state, created, moved, record";

fn table(row: &AnyRow) -> Result<Table, StoreError> {
    let wrong = |why: &str| bad("psi_tables", why);
    let id = |text: String| Id::parse(&text).map_err(|_| wrong("an id"));
    let record: String = row.get(7);
    Ok(Table {
        id: row.get(0),
        role: Role::from_word(&row.get::<String, _>(1)).ok_or_else(|| wrong("a role"))?,
        product: id(row.get(2))?,
        contract: row.get::<Option<String>, _>(3).map(id).transpose()?,
        state: State::from_word(&row.get::<String, _>(4)).ok_or_else(|| wrong("a state"))?,
        created: Time::from_ms(row.get(5)),
        moved: Time::from_ms(row.get(6)),
        record: serde_json::from_str(&record).map_err(|why| wrong(&why.to_string()))?,
    })
}

impl Store {
    pub async fn table(&self, id: &str) -> Result<Option<Table>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM psi_tables WHERE id = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned());
        query.fetch_optional(self.pool()).await?.as_ref().map(table).transpose()
    }

    /// Kept under a contract.
    pub async fn tables_of(&self, contract: &Id) -> Result<Vec<Table>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM psi_tables WHERE contract = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(contract.to_string());
        query.fetch_all(self.pool()).await?.iter().map(table).collect()
    }

    /// Being made when the node was stopped.
    pub async fn open_tables(&self) -> Result<Vec<Table>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM psi_tables WHERE state = 'open' AND role = $1 ORDER BY created"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(Role::Provider.word());
        query.fetch_all(self.pool()).await?.iter().map(table).collect()
    }

    /// Newest first.
    pub async fn tables(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Table>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM psi_tables WHERE (created, id) < ($1, $2) ORDER BY created DESC, id DESC LIMIT $3"
        );
        let (at, id) = after.map_or((i64::MAX, String::new()), |it| (it.key, it.id.clone()));
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(at).bind(id);
        let rows = query.bind(most + 1).fetch_all(self.pool()).await?;
        let found: Result<Vec<Table>, StoreError> = rows.iter().map(table).collect();
        Ok(Page::cut(found?, most, |it| Cursor { key: it.created.ms(), id: it.id.clone() }))
    }
}

pub async fn save(conn: &mut AnyConnection, it: &Table) -> Result<(), StoreError> {
    let record =
        serde_json::to_string(&it.record).map_err(|why| bad("psi_tables", &why.to_string()))?;
    sqlx::query(
        "INSERT INTO psi_tables (id, role, product, contract, state, created, moved, record) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, moved = excluded.moved, record = excluded.record",
    )
    .bind(it.id.clone())
    .bind(it.role.word())
    .bind(it.product.to_string())
    .bind(it.contract.as_ref().map(ToString::to_string))
    .bind(it.state.word())
    .bind(it.created.ms())
    .bind(it.moved.ms())
    .bind(record)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn drop(conn: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM psi_tables WHERE id = $1")
        .bind(id.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}
