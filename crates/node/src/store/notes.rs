//! Rows that jobs keep for themselves: sources, seals, copies, download grants.
//!
//! Never consulted by a decision of the data space: losing one costs work, not rights. Written through
//! the writer ([`super::writer::Writer::note`]) so that they share its group commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::Digest;
use tidm_space::catalog::product::Product;
use tidm_space::id::Id;
use tidm_space::time::Time;

use super::load::bad;
use super::writer::{WorkError, Writer};
use super::{Store, StoreError};

/// Where a product's bytes lie, and what is known of where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub product: Id,
    pub object: String,
    /// Origin record, JSON.
    pub origin: String,
    /// Column profiles, JSON.
    pub profile: Option<String>,
    /// Sample rows, JSON.
    pub preview: Option<String>,
}

/// A product sealed for one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub contract: Id,
    pub object: String,
    /// The data key under the contract's key; base64.
    pub wrapped_key: String,
    pub bytes: u64,
    pub digest: Digest,
    /// Where it was put besides: `infrastructure` DID and object there, JSON; empty when only here.
    pub elsewhere: String,
    /// The operator's share as it was signed, where the key is split; empty where it is not.
    pub deposit: String,
}

/// A consumer's copy of what was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub contract: Id,
    pub object: String,
    pub transfer: Id,
    pub bytes: u64,
    pub digest: Digest,
    /// `table`, `file` or `none`.
    pub sealed: String,
}

/// Permission to fetch one object under one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub contract: Id,
    pub transfer: Id,
    /// SHA-256 of the bearer token: the token itself is nowhere.
    pub token: Digest,
    pub object: String,
    pub until: Time,
}

pub async fn save_source(conn: &mut AnyConnection, it: &Source) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO sources (product, object, origin, profile, preview) VALUES ($1,$2,$3,$4,$5) ON CONFLICT (product) DO NOTHING")
        .bind(it.product.to_string())
        .bind(it.object.clone())
        .bind(it.origin.clone())
        .bind(it.profile.clone())
        .bind(it.preview.clone())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// The first seal of a contract stands: a second run of the job uses it.
pub async fn save_seal(conn: &mut AnyConnection, it: &Seal) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO seals (contract, object, wrapped_key, bytes, digest, record, deposit) VALUES ($1,$2,$3,$4,$5,$6,$7)
         ON CONFLICT (contract) DO NOTHING",
    )
    .bind(it.contract.to_string())
    .bind(it.object.clone())
    .bind(it.wrapped_key.clone())
    .bind(i64::try_from(it.bytes).unwrap_or(i64::MAX))
    .bind(it.digest.to_string())
    .bind(it.elsewhere.clone())
    .bind(it.deposit.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn drop_seal(conn: &mut AnyConnection, contract: &Id) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM seals WHERE contract = $1")
        .bind(contract.to_string())
        .execute(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM grants WHERE contract = $1")
        .bind(contract.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn save_copy(conn: &mut AnyConnection, it: &Copy) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO copies (contract, object, transfer, bytes, digest, record) VALUES ($1,$2,$3,$4,$5,$6)
         ON CONFLICT (contract, object) DO UPDATE SET transfer = excluded.transfer, bytes = excluded.bytes,
         digest = excluded.digest, record = excluded.record",
    )
    .bind(it.contract.to_string())
    .bind(it.object.clone())
    .bind(it.transfer.to_string())
    .bind(i64::try_from(it.bytes).unwrap_or(i64::MAX))
    .bind(it.digest.to_string())
    .bind(it.sealed.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn drop_copies(conn: &mut AnyConnection, contract: &Id) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM copies WHERE contract = $1")
        .bind(contract.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn save_grant(conn: &mut AnyConnection, it: &Grant) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO grants (contract, transfer, token_digest, object, until) VALUES ($1,$2,$3,$4,$5)
         ON CONFLICT (transfer) DO UPDATE SET token_digest = excluded.token_digest, object = excluded.object, until = excluded.until",
    )
    .bind(it.contract.to_string())
    .bind(it.transfer.to_string())
    .bind(it.token.to_string())
    .bind(it.object.clone())
    .bind(it.until.ms())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

impl Store {
    pub async fn source(&self, product: &Id) -> Result<Option<Source>, StoreError> {
        let row =
            sqlx::query("SELECT object, origin, profile, preview FROM sources WHERE product = $1")
                .bind(product.to_string())
                .fetch_optional(self.pool())
                .await?;
        Ok(row.map(|row| Source {
            product: product.clone(),
            object: row.get(0),
            origin: row.get(1),
            profile: row.get(2),
            preview: row.get(3),
        }))
    }

    pub async fn seal(&self, contract: &Id) -> Result<Option<Seal>, StoreError> {
        let row = sqlx::query(
            "SELECT object, wrapped_key, bytes, digest, record, deposit FROM seals WHERE contract = $1",
        )
        .bind(contract.to_string())
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(Seal {
                contract: contract.clone(),
                object: row.get(0),
                wrapped_key: row.get(1),
                bytes: u64::try_from(row.get::<i64, _>(2)).unwrap_or(0),
                digest: digest("seals", &row.get::<String, _>(3))?,
                elsewhere: row.get(4),
                deposit: row.get(5),
            })
        })
        .transpose()
    }

    pub async fn copies(&self, contract: &Id) -> Result<Vec<Copy>, StoreError> {
        let rows = sqlx::query("SELECT object, transfer, bytes, digest, record FROM copies WHERE contract = $1 ORDER BY object")
            .bind(contract.to_string())
            .fetch_all(self.pool())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Copy {
                    contract: contract.clone(),
                    object: row.get(0),
                    transfer: Id::parse(&row.get::<String, _>(1))
                        .map_err(|_| bad("copies", "not an id"))?,
                    bytes: u64::try_from(row.get::<i64, _>(2)).unwrap_or(0),
                    digest: digest("copies", &row.get::<String, _>(3))?,
                    sealed: row.get(4),
                })
            })
            .collect()
    }

    /// The object that a bearer may fetch under a transfer, as long as the contract is active.
    pub async fn grant(&self, transfer: &Id) -> Result<Option<Grant>, StoreError> {
        let row = sqlx::query(
            "SELECT g.contract, g.token_digest, g.object, g.until FROM grants g JOIN contracts c ON c.id = g.contract
             WHERE g.transfer = $1 AND c.active = 1",
        )
        .bind(transfer.to_string())
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(Grant {
                contract: Id::parse(&row.get::<String, _>(0))
                    .map_err(|_| bad("grants", "not an id"))?,
                transfer: transfer.clone(),
                token: digest("grants", &row.get::<String, _>(1))?,
                object: row.get(2),
                until: Time::from_ms(row.get(3)),
            })
        })
        .transpose()
    }
}

fn digest(table: &'static str, text: &str) -> Result<Digest, StoreError> {
    Digest::parse(text).map_err(|_| bad(table, "not a digest"))
}

/// Takes the one run that a query lease is for: `false` where it was taken before, by whichever replica.
pub async fn claim_run(writer: &Writer, lease: &Id, until: Time) -> Result<bool, WorkError> {
    let won = Arc::new(AtomicBool::new(false));
    let (flag, name) = (won.clone(), run_of(lease));
    writer
        .note(move |conn| {
            let (flag, name) = (flag.clone(), name.clone());
            Box::pin(async move {
                let sql = "INSERT INTO duties (name, holder, fence, until) VALUES ($1,'',1,$2) ON CONFLICT (name) DO NOTHING";
                let done = sqlx::query(sql).bind(name).bind(until.ms()).execute(&mut *conn).await?;
                // Set anew at every try: a transaction that was rolled back took nothing.
                flag.store(done.rows_affected() == 1, Ordering::SeqCst);
                Ok(())
            })
        })
        .await?;
    Ok(won.load(Ordering::SeqCst))
}

/// The run is over and its lease is closed, which refuses a second one from now on.
pub async fn forget_run(writer: &Writer, lease: &Id) -> Result<(), WorkError> {
    let name = run_of(lease);
    writer
        .note(move |conn| {
            let name = name.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM duties WHERE name = $1")
                    .bind(name)
                    .execute(&mut *conn)
                    .await?;
                Ok(())
            })
        })
        .await
}

fn run_of(lease: &Id) -> String {
    format!("run {lease}")
}

pub async fn drop_source(conn: &mut AnyConnection, product: &Id) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sources WHERE product = $1")
        .bind(product.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    /// The newest version of a product's line.
    pub async fn newest_of_line(&self, line: &Id) -> Result<Option<Product>, StoreError> {
        let record: Option<String> = sqlx::query_scalar(super::load::NEWEST_OF_LINE)
            .bind(line.to_string())
            .fetch_optional(self.pool())
            .await?;
        super::load::read("products", record.as_deref(), tidm_space::wire::record::product::decode)
    }
}
