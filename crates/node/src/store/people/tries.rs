//! Rows of tries of passwords and codes: by name and address, and by name alone (an empty address).
//!
//! A row says when its last try is forgotten (each try puts that off by as much), until when no try is heard, and when
//! somebody last got it right from there. Never what was tried.

use sqlx::{AnyConnection, Executor as _, Row as _};

use tidm_space::time::Time;

use super::{Said, say};
use crate::store::{Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    pub forgotten: Time,
    pub until: Time,
    pub proven: Time,
}

const NONE: Tries = Tries { forgotten: Time::ZERO, until: Time::ZERO, proven: Time::ZERO };

pub async fn tries(
    conn: &mut AnyConnection,
    name: &str,
    address: &str,
) -> Result<Tries, StoreError> {
    let sql = "SELECT forgotten, until, proven FROM tries WHERE name = $1 AND address = $2";
    let query = sqlx::query(sql).bind(name.to_owned()).bind(address.to_owned());
    let row = query.fetch_optional(&mut *conn).await?;
    Ok(row.map_or(NONE, |row| Tries {
        forgotten: Time::from_ms(row.get(0)),
        until: Time::from_ms(row.get(1)),
        proven: Time::from_ms(row.get(2)),
    }))
}

pub async fn save_tries(
    conn: &mut AnyConnection,
    name: &str,
    address: &str,
    it: &Tries,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tries (name, address, forgotten, until, proven) VALUES ($1,$2,$3,$4,$5)
         ON CONFLICT (name, address) DO UPDATE
         SET forgotten = excluded.forgotten, until = excluded.until, proven = excluded.proven",
    )
    .bind(name.to_owned())
    .bind(address.to_owned())
    .bind(it.forgotten.ms())
    .bind(it.until.ms())
    .bind(it.proven.ms())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// It was right from here: nothing is held against this address any more.
pub async fn prove_tries(
    conn: &mut AnyConnection,
    name: &str,
    address: &str,
    now: Time,
) -> Result<(), StoreError> {
    save_tries(conn, name, address, &Tries { proven: now, ..NONE }).await
}

/// From wherever they came.
pub async fn drop_tries(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tries WHERE name = $1")
        .bind(name.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Rows that say nothing any more: forgotten by now, and right last before `proven`.
pub async fn sweep_tries(
    conn: &mut AnyConnection,
    now: Time,
    proven: Time,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tries WHERE forgotten <= $1 AND until <= $1 AND proven <= $2")
        .bind(now.ms())
        .bind(proven.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    /// Forgets all tries of these names and logs it, in a transaction of its own, beside a node that runs.
    pub(crate) async fn unlock(&self, names: &[&str], said: &Said) -> Result<(), StoreError> {
        let mut conn = self.connect().await?;
        conn.execute(self.dialect().begin()).await?;
        for name in names {
            drop_tries(&mut conn, name).await?;
        }
        say(&mut conn, said).await?;
        conn.execute("COMMIT").await?;
        Ok(())
    }
}
