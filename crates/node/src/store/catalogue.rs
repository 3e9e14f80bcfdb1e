//! Our own catalogue's rows: products in their wire form, and the revisions by which others ask what changed.
//!
//! Never decides who may see an offer: rows whose offers name recipients are marked (`listed` = 2) and
//! come with their record, so that the handler filters those and only those.

use sqlx::{AnyConnection, Row as _};

use tidm_space::catalog::product::Product;
use tidm_space::id::Id;
use tidm_space::wire::record;

use super::load::{bad, read};
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// `products.listed`: kept, but in no catalogue.
pub const UNLISTED: i64 = 0;
/// Every member may see every offer.
pub const OPEN: i64 = 1;
/// Some offer names its recipients.
pub const RESTRICTED: i64 = 2;

/// `catalog_heads.name`: our own catalogue's revision.
pub(super) const OWN: &str = "own";
/// The number of the last change in what we know of others.
pub(super) const OTHERS: &str = "others";

/// How a product is listed.
pub fn listed(it: &Product) -> i64 {
    if it.offers.is_empty() {
        UNLISTED
    } else if it.offers.iter().any(|offer| offer.terms().summary.recipients.is_some()) {
        RESTRICTED
    } else {
        OPEN
    }
}

/// One of our own products, as a catalogue shows it.
#[derive(Clone, Debug)]
pub enum Listed {
    /// The stored wire form, the same for everybody.
    Open(String),
    Restricted(Box<Product>),
}

/// A row of our own catalogue that changed after a revision.
#[derive(Clone, Debug)]
pub struct Revised {
    pub revision: i64,
    pub id: Id,
    pub listed: i64,
    /// The stored wire form.
    pub dataset: String,
    /// Where offers name recipients, or nothing is offered any more.
    pub product: Option<Product>,
}

/// How far catalogues have come: ours, and what we know of others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    pub own: i64,
    pub others: i64,
}

impl Store {
    /// Our listed products, newest first, each with the cursor behind it.
    pub async fn listed(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<(Cursor, Listed)>, StoreError> {
        let sql = "SELECT published, id, listed, dataset, CASE WHEN listed = 2 THEN record ELSE '' END FROM products
                   WHERE listed >= 1 AND (published, id) < ($1, $2) ORDER BY published DESC, id DESC LIMIT $3";
        let (key, id) = after.map_or((i64::MAX, ""), |it| (it.key, it.id.as_str()));
        let found = sqlx::query(sql)
            .bind(key)
            .bind(id.to_owned())
            .bind(most + 1)
            .fetch_all(self.pool())
            .await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let more = found.len() > shown;
        let mut rows = Vec::with_capacity(found.len().min(shown));
        for row in found.iter().take(shown) {
            let cursor = Cursor { key: row.get(0), id: row.get(1) };
            let product = match row.get::<i64, _>(2) {
                RESTRICTED => {
                    let text: String = row.get(4);
                    let product = read("products", Some(&text), record::product::decode)?;
                    product.map(|it| Listed::Restricted(Box::new(it)))
                }
                _ => Some(Listed::Open(row.get(3))),
            };
            rows.extend(product.map(|it| (cursor, it)));
        }
        let next = rows.last().map(|(cursor, _)| cursor.clone()).filter(|_| more);
        Ok(Page { rows, next })
    }

    /// What changed in our own catalogue after a revision, in order.
    pub async fn revised(&self, after: i64, most: i64) -> Result<Vec<Revised>, StoreError> {
        let sql = "SELECT revision, id, listed, dataset, CASE WHEN listed = 1 THEN '' ELSE record END FROM products
                   WHERE revision > $1 ORDER BY revision LIMIT $2";
        let found = sqlx::query(sql).bind(after).bind(most).fetch_all(self.pool()).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in found {
            let (listed, record): (i64, String) = (row.get(2), row.get(4));
            let product = match listed {
                OPEN => None,
                _ => read("products", Some(&record), record::product::decode)?,
            };
            let id: String = row.get(1);
            let id = Id::parse(&id).map_err(|_| bad("products", "not an id"))?;
            rows.push(Revised { revision: row.get(0), id, listed, dataset: row.get(3), product });
        }
        Ok(rows)
    }

    pub async fn heads(&self) -> Result<Heads, StoreError> {
        let rows =
            sqlx::query("SELECT name, revision FROM catalog_heads").fetch_all(self.pool()).await?;
        let mut heads = Heads::default();
        for row in rows {
            let (name, revision): (String, i64) = (row.get(0), row.get(1));
            match name.as_str() {
                OWN => heads.own = revision,
                OTHERS => heads.others = revision,
                _ => return Err(bad("catalog_heads", "an unknown name")),
            }
        }
        Ok(heads)
    }

    /// A setting of the node's own.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name.to_owned()).fetch_optional(self.pool()).await?)
    }
}

/// The revision of a change of our own catalogue; others wait until it is committed.
pub async fn next_own(conn: &mut AnyConnection) -> Result<i64, StoreError> {
    advance(conn, OWN, 1).await
}

/// Counts a head on by so many, and says where it then stands.
pub(super) async fn advance(
    conn: &mut AnyConnection,
    name: &'static str,
    by: i64,
) -> Result<i64, StoreError> {
    let sql =
        "UPDATE catalog_heads SET revision = revision + $1 WHERE name = $2 RETURNING revision";
    Ok(sqlx::query_scalar(sql).bind(by).bind(name).fetch_one(&mut *conn).await?)
}

pub async fn save_setting(
    conn: &mut AnyConnection,
    name: &str,
    value: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1,$2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name.to_owned())
        .bind(value.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}
