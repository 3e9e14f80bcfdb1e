//! What of a product one contract lets out: the rows that name such copies.
//!
//! Never consulted by a decision of the data space: losing one costs work, not rights. A row outlives its object, since
//! it says that what was released was marked.

use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::{Digest, sha256};
use tidm_space::contract::Contract;
use tidm_space::id::Id;
use tidm_space::wire::record;

use super::load::{bad, read};
use super::{Store, StoreError};

/// A copy of a contract's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    pub contract: Id,
    /// Empty once the contract ended.
    pub object: String,
    pub bytes: u64,
    pub digest: Digest,
    pub rows: u64,
    /// Values changed by the watermark; `None`: the terms ask for none.
    pub marked: Option<u64>,
}

/// The first excerpt of a contract stands: a second run of the job uses it.
pub async fn save(conn: &mut AnyConnection, it: &Excerpt) -> Result<(), StoreError> {
    let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO excerpts (contract, object, bytes, digest, rows, marked) VALUES ($1,$2,$3,$4,$5,$6)
         ON CONFLICT (contract) DO NOTHING",
    )
    .bind(it.contract.to_string())
    .bind(it.object.clone())
    .bind(number(it.bytes))
    .bind(it.digest.to_string())
    .bind(number(it.rows))
    .bind(it.marked.map(number))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// No copy may stand any more, not even one that is being made: where there is no row yet, one without object comes first.
pub async fn bury(conn: &mut AnyConnection, contract: &Id) -> Result<(), StoreError> {
    let none = Excerpt {
        contract: contract.clone(),
        object: String::new(),
        bytes: 0,
        digest: sha256(b""),
        rows: 0,
        marked: None,
    };
    save(conn, &none).await
}

/// The object is gone; that there was one stays known.
pub async fn forget_object(conn: &mut AnyConnection, contract: &Id) -> Result<(), StoreError> {
    sqlx::query("UPDATE excerpts SET object = '' WHERE contract = $1")
        .bind(contract.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    pub async fn excerpt(&self, contract: &Id) -> Result<Option<Excerpt>, StoreError> {
        let row = sqlx::query(
            "SELECT object, bytes, digest, rows, marked FROM excerpts WHERE contract = $1",
        )
        .bind(contract.to_string())
        .fetch_optional(self.pool())
        .await?;
        let count = |it: i64| u64::try_from(it).unwrap_or(0);
        row.map(|row| {
            Ok(Excerpt {
                contract: contract.clone(),
                object: row.get(0),
                bytes: count(row.get(1)),
                digest: Digest::parse(&row.get::<String, _>(2))
                    .map_err(|_| bad("excerpts", "not a digest"))?,
                rows: count(row.get(3)),
                marked: row.get::<Option<i64>, _>(4).map(count),
            })
        })
        .transpose()
    }

    /// Whether anything was ever released with a mark.
    pub async fn any_marked(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM excerpts WHERE marked IS NOT NULL LIMIT 1";
        Ok(sqlx::query(sql).fetch_optional(self.pool()).await?.is_some())
    }

    /// Contracts of ours over a product, ended ones too, at most `most` of them.
    pub async fn provided(&self, product: &Id, most: i64) -> Result<Vec<Contract>, StoreError> {
        let records: Vec<String> = sqlx::query_scalar(
            "SELECT record FROM contracts WHERE product = $1 AND role = 'provider' ORDER BY signed_at, id LIMIT $2",
        )
        .bind(product.to_string())
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        let one = |it: &String| read("contracts", Some(it), record::contract::decode);
        Ok(records.iter().map(one).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
