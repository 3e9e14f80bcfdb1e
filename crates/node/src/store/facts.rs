//! Facts by what they are about: for receipts, reconciliation and lineage.
//!
//! Never a fact of another node: the store holds our own alone.

use sqlx::Row as _;

use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::Fact;
use tidm_space::id::Id;

use super::load::bad;
use super::{Store, StoreError};

/// Facts that one report or graph takes at most: a contract with a use a minute has half a million in a year.
pub const FACTS_AT_ONCE: i64 = 500_000;

/// A fact's bytes and its place in the log, where it has one already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: Option<u64>,
    pub bytes: Vec<u8>,
}

impl Store {
    /// One fact as it is logged.
    pub async fn fact_entry(&self, id: &Id) -> Result<Option<Entry>, StoreError> {
        let row = sqlx::query("SELECT log_index, entry FROM facts WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            let index: Option<i64> = row.get(0);
            let index = index
                .map(u64::try_from)
                .transpose()
                .map_err(|_| bad("facts", "a negative place"))?;
            Ok(Entry { index, bytes: row.get(1) })
        })
        .transpose()
    }

    /// All our facts about a contract, oldest first, at most [`FACTS_AT_ONCE`].
    pub async fn contract_facts(&self, contract: &Id) -> Result<Vec<Fact>, StoreError> {
        self.facts_where(
            "SELECT entry FROM facts WHERE contract = $1 ORDER BY seq LIMIT $2",
            contract,
        )
        .await
    }

    /// Our facts that name this id as product, negotiation, contract or transfer.
    pub async fn facts_about(&self, id: &Id) -> Result<Vec<Fact>, StoreError> {
        let mut all = Vec::new();
        for sql in [
            "SELECT entry FROM facts WHERE product = $1 ORDER BY seq LIMIT $2",
            "SELECT entry FROM facts WHERE negotiation = $1 ORDER BY seq LIMIT $2",
            "SELECT entry FROM facts WHERE contract = $1 ORDER BY seq LIMIT $2",
            "SELECT entry FROM facts WHERE transfer = $1 ORDER BY seq LIMIT $2",
        ] {
            all.extend(self.facts_where(sql, id).await?);
        }
        Ok(all)
    }

    /// How a product version came to be.
    pub async fn publication_facts(&self, product: &Id) -> Result<Vec<Fact>, StoreError> {
        let sql =
            "SELECT entry FROM facts WHERE product = $1 AND contract IS NULL ORDER BY seq LIMIT $2";
        self.facts_where(sql, product).await
    }

    async fn facts_where(&self, sql: &'static str, id: &Id) -> Result<Vec<Fact>, StoreError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(sql)
            .bind(id.to_string())
            .bind(FACTS_AT_ONCE)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|it| decode(it).map_err(|why| bad("facts", &why.to_string()))).collect()
    }
}
