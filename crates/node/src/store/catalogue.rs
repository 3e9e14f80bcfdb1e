//! Catalogue rows: our own products in their wire form, and what crawling found at others.
//!
//! Never decides who may see an offer: rows whose offers name recipients are marked (`listed` = 2) and
//! come with their record, so that the handler filters those and only those.

use sqlx::{AnyConnection, Row as _};

use tidm_space::catalog::product::Product;
use tidm_space::time::Time;
use tidm_space::wire::dsp::facets::Facets;
use tidm_space::wire::record;

use super::filter::{self, Filter};
use super::load::read;
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// `products.listed`: kept, but in no catalogue.
pub const UNLISTED: i64 = 0;
/// Every member may see every offer.
pub const OPEN: i64 = 1;
/// Some offer names its recipients.
pub const RESTRICTED: i64 = 2;

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

/// A product of another node, as its catalogue said when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub found: Found,
    /// Computed when it was crawled, for searches.
    pub facets: Facets,
}

/// Its row as searches show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub provider: String,
    pub id: String,
    /// The provider's DSP base.
    pub address: String,
    pub title: String,
    /// Lower-case text that searches look at.
    pub search: String,
    pub seen: Time,
    /// The dataset as received, JSON.
    pub dataset: String,
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

    /// What others offer, by provider and id, after `(provider, id)`.
    pub async fn remote(
        &self,
        after: Option<&(String, String)>,
        wanted: &Filter,
        most: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let (provider, id) = after.cloned().unwrap_or_default();
        let (clauses, values) = filter::clauses(wanted, None, 4);
        let sql = format!(
            "SELECT provider, id, address, title, search, seen, dataset FROM remote_products
             WHERE (provider, id) > ($1, $2){clauses} ORDER BY provider, id LIMIT $3"
        );
        // The text holds placeholders only; what others wrote is bound.
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(provider).bind(id).bind(most);
        let query = filter::bind(query, values);
        Ok(query.fetch_all(self.pool()).await?.iter().map(remote).collect())
    }

    /// One product of another node; with several providers of that id, the first.
    pub async fn remote_product(&self, id: &str) -> Result<Option<Found>, StoreError> {
        let sql = "SELECT provider, id, address, title, search, seen, dataset FROM remote_products WHERE id = $1 ORDER BY provider LIMIT 1";
        let row = sqlx::query(sql).bind(id.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(remote))
    }

    /// A setting of the node's own.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name.to_owned()).fetch_optional(self.pool()).await?)
    }
}

fn remote(row: &sqlx::any::AnyRow) -> Found {
    Found {
        provider: row.get(0),
        id: row.get(1),
        address: row.get(2),
        title: row.get(3),
        search: row.get(4),
        seen: Time::from_ms(row.get(5)),
        dataset: row.get(6),
    }
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

pub async fn save_remote(conn: &mut AnyConnection, rows: &[Remote]) -> Result<(), StoreError> {
    for Remote { found: it, facets } in rows {
        let price = facets.price.as_ref();
        sqlx::query(
            "INSERT INTO remote_products (id, provider, address, title, search, seen, dataset, formats, grade, price, currency, free)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)
             ON CONFLICT (provider, id) DO UPDATE SET address = excluded.address, title = excluded.title,
             search = excluded.search, seen = excluded.seen, dataset = excluded.dataset, formats = excluded.formats,
             grade = excluded.grade, price = excluded.price, currency = excluded.currency, free = excluded.free",
        )
        .bind(it.id.clone())
        .bind(it.provider.clone())
        .bind(it.address.clone())
        .bind(it.title.clone())
        .bind(it.search.clone())
        .bind(it.seen.ms())
        .bind(it.dataset.clone())
        .bind(filter::joined(&facets.formats))
        .bind(facets.grade)
        .bind(price.map_or(-1, |it| i64::try_from(it.micros).unwrap_or(i64::MAX)))
        .bind(facets.currency_word().to_owned())
        .bind(facets.free_word())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Removes what a provider's catalogue, read whole since `since`, no longer shows.
pub async fn drop_gone(
    conn: &mut AnyConnection,
    provider: &str,
    since: Time,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM remote_products WHERE provider = $1 AND seen < $2")
        .bind(provider.to_owned())
        .bind(since.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}
