//! Rows of sign-ins at identity providers: whose login it is, and those that have begun.
//!
//! Never a token of a provider.

use std::collections::BTreeSet;

use sqlx::{AnyConnection, Row as _};

use tidm_space::people::role::{self, Role};
use tidm_space::time::Time;

use crate::store::StoreError;

/// A sign-in at an identity provider that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

/// The login at a provider, if this subject was here before.
pub async fn login(
    conn: &mut AnyConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT account FROM logins WHERE issuer = $1 AND subject = $2";
    let query = sqlx::query_scalar(sql).bind(issuer.to_owned()).bind(subject.to_owned());
    Ok(query.fetch_optional(&mut *conn).await?)
}

/// Whether an identity provider opens this account.
pub async fn has_login(conn: &mut AnyConnection, name: &str) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM logins WHERE account = $1";
    let count: i64 = sqlx::query_scalar(sql).bind(name.to_owned()).fetch_one(&mut *conn).await?;
    Ok(count > 0)
}

pub async fn save_login(
    conn: &mut AnyConnection,
    (issuer, subject): (&str, &str),
    account: &str,
    roles: &BTreeSet<Role>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO logins (issuer, subject, account, roles) VALUES ($1,$2,$3,$4)
               ON CONFLICT (issuer, subject) DO UPDATE SET roles = excluded.roles";
    sqlx::query(sql)
        .bind(issuer.to_owned())
        .bind(subject.to_owned())
        .bind(account.to_owned())
        .bind(role::write(roles))
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Keeps what a sign-in that begins will be held against. `false`: too many are under way.
pub async fn begin_login(
    conn: &mut AnyConnection,
    handle: &str,
    it: &StateRow,
    (now, until, most): (Time, Time, i64),
) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM login_states WHERE until <= $1")
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    let open: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM login_states").fetch_one(&mut *conn).await?;
    if open >= most {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO login_states (handle, state, nonce, verifier, until) VALUES ($1,$2,$3,$4,$5)",
    )
    .bind(handle.to_owned())
    .bind(it.state.clone())
    .bind(it.nonce.clone())
    .bind(it.verifier.clone())
    .bind(until.ms())
    .execute(&mut *conn)
    .await?;
    Ok(true)
}

/// Takes it, so that it is used once.
pub async fn take_login(
    conn: &mut AnyConnection,
    handle: &str,
    now: Time,
) -> Result<Option<StateRow>, StoreError> {
    let sql = "DELETE FROM login_states WHERE handle = $1 AND until > $2 RETURNING state, nonce, verifier";
    let row =
        sqlx::query(sql).bind(handle.to_owned()).bind(now.ms()).fetch_optional(&mut *conn).await?;
    Ok(row.map(|row| StateRow { state: row.get(0), nonce: row.get(1), verifier: row.get(2) }))
}
