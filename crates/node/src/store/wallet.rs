//! Rows of the wallet: our credentials, offers of issuers, and what we asked for.
//!
//! Never a key and never unproven: what lies here was verified when it came. Written through the writer's
//! notes, like every row that no decision of the data space depends on.

use sqlx::{AnyConnection, Row as _};

use tidm_space::identity::did::Did;
pub use tidm_space::identity::issuance::wallet::Answered;
use tidm_space::limits::{OFFERS_KEPT, WALLET};
use tidm_space::time::Time;

use super::{Store, StoreError};

/// A credential of ours as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub holder: Did,
    pub issuer: Did,
    /// The credential's own id, or its digest.
    pub id: String,
    pub until: Option<Time>,
    /// Compact JWS.
    pub credential: String,
}

/// A request of ours to an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `holderPid`.
    pub id: String,
    pub issuer: String,
    pub space: String,
    pub state: String,
    pub reason: String,
}

/// `false`: the wallet is full.
pub async fn hold(conn: &mut AnyConnection, it: &Held, now: Time) -> Result<bool, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM wallet WHERE holder = $1")
        .bind(it.holder.as_str().to_owned())
        .fetch_one(&mut *conn)
        .await?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= WALLET {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO wallet (holder, issuer, id, stored, until, credential) VALUES ($1,$2,$3,$4,$5,$6)
         ON CONFLICT (holder, issuer, id) DO UPDATE SET stored = excluded.stored, until = excluded.until,
         credential = excluded.credential",
    )
    .bind(it.holder.as_str().to_owned())
    .bind(it.issuer.as_str().to_owned())
    .bind(it.id.clone())
    .bind(now.ms())
    .bind(it.until.map_or(i64::MAX, Time::ms))
    .bind(it.credential.clone())
    .execute(&mut *conn)
    .await?;
    Ok(true)
}

/// Ended credentials prove nothing and only fill the wallet.
pub async fn drop_ended(conn: &mut AnyConnection, now: Time) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM wallet WHERE until <= $1").bind(now.ms()).execute(&mut *conn).await?;
    Ok(())
}

/// Keeps an offer; the oldest ones make room.
pub async fn keep_offer(
    conn: &mut AnyConnection,
    id: &str,
    (holder, issuer): (&Did, &Did),
    record: &str,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO offers (id, holder, issuer, at, record) VALUES ($1,$2,$3,$4,$5) ON CONFLICT (id) DO NOTHING")
        .bind(id.to_owned())
        .bind(holder.as_str().to_owned())
        .bind(issuer.as_str().to_owned())
        .bind(now.ms())
        .bind(record.to_owned())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM offers WHERE holder = $1 AND id NOT IN (
         SELECT id FROM offers WHERE holder = $1 ORDER BY at DESC, id DESC LIMIT $2)",
    )
    .bind(holder.as_str().to_owned())
    .bind(i64::try_from(OFFERS_KEPT).unwrap_or(i64::MAX))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn ask(
    conn: &mut AnyConnection,
    id: &str,
    (issuer, space): (&Did, &str),
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO asked (id, issuer, space, state, reason, at) VALUES ($1,$2,$3,'open','',$4)",
    )
    .bind(id.to_owned())
    .bind(issuer.as_str().to_owned())
    .bind(space.to_owned())
    .bind(now.ms())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// The issuer's answer to a request of ours; an answer to none changes nothing.
pub async fn answered(
    conn: &mut AnyConnection,
    id: &str,
    issuer: &Did,
    (state, reason): (Answered, &str),
) -> Result<(), StoreError> {
    sqlx::query("UPDATE asked SET state = $3, reason = $4 WHERE id = $1 AND issuer = $2")
        .bind(id.to_owned())
        .bind(issuer.as_str().to_owned())
        .bind(state.word())
        .bind(reason.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    /// Credentials of a holder, newest first.
    pub async fn wallet(&self, holder: &Did) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT credential FROM wallet WHERE holder = $1 ORDER BY stored DESC, id",
        )
        .bind(holder.as_str().to_owned())
        .fetch_all(self.pool())
        .await?)
    }

    pub async fn asked(&self, id: &str) -> Result<Option<Asked>, StoreError> {
        let row = sqlx::query("SELECT id, issuer, space, state, reason FROM asked WHERE id = $1")
            .bind(id.to_owned())
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            Ok(Asked {
                id: row.try_get(0)?,
                issuer: row.try_get(1)?,
                space: row.try_get(2)?,
                state: row.try_get(3)?,
                reason: row.try_get(4)?,
            })
        })
        .transpose()
    }

    /// Issuers that made us a member, and the spaces.
    pub async fn joined(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT issuer, space FROM asked WHERE state = 'issued'")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Offers in the inbox of a holder, newest first: issuer and what it offers, JSON.
    pub async fn offers(&self, holder: &Did) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT issuer, record FROM offers WHERE holder = $1 ORDER BY at DESC, id DESC",
        )
        .bind(holder.as_str().to_owned())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}
