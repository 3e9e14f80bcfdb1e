//! Rows of sign-ins at identity providers: whose login it is, and those that have ended.
//!
//! Never a token of a provider.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use tidm_space::people::role::{self, Role};
use tidm_space::time::Time;

use crate::store::StoreError;

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

/// Notes that a sign-in has ended well, so that what its browser brought opens nothing again. `false`: it had.
pub async fn spend_login(
    conn: &mut AnyConnection,
    handle: &str,
    (now, until): (Time, Time),
) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM used_logins WHERE until <= $1")
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    let sql =
        "INSERT INTO used_logins (handle, until) VALUES ($1,$2) ON CONFLICT (handle) DO NOTHING";
    let done =
        sqlx::query(sql).bind(handle.to_owned()).bind(until.ms()).execute(&mut *conn).await?;
    Ok(done.rows_affected() == 1)
}
