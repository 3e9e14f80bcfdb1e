//! Rows of people: accounts with their roles, links to set a password, second factors, rules, logins of identity
//! providers, and the chained log of what was done.
//!
//! Never decides: [`tidm_space::people`] does, inside the transaction that these rows are read and written in.

mod log;
mod login;
pub mod tries;

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::people::decide::{Person, State};
use tidm_space::people::role::{self, Role};
use tidm_space::people::rule::{Known, Rule};
use tidm_space::time::Time;

pub use log::{Said, Verified, Wanted, say};
pub use login::{has_login, login, save_login, spend_login};

use super::load::bad;
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// What an account keeps of its second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorRow {
    /// Sealed.
    pub secret: String,
    /// Confirmed by a code.
    pub on: bool,
    /// The last step that was used.
    pub step: Option<u64>,
}

const PERSON: &str = "SELECT name, state, roles, known, factor_on, (SELECT MAX(l.roles) FROM logins l WHERE l.account = accounts.name) FROM accounts";

fn person(row: &AnyRow) -> Result<Person, StoreError> {
    let mut roles = role::read(&row.get::<String, _>(2));
    // What an identity provider said at the last sign-in counts besides.
    roles.extend(role::read(&row.get::<Option<String>, _>(5).unwrap_or_default()));
    Ok(Person {
        name: row.get(0),
        state: State::from_word(&row.get::<String, _>(1)),
        roles,
        known: Known::parse(&row.get::<String, _>(3))
            .map_err(|why| bad("accounts", &why.to_string()))?,
        second_factor: row.get::<i64, _>(4) != 0,
    })
}

/// Everybody, inside a transaction.
pub async fn everyone(conn: &mut AnyConnection) -> Result<Vec<Person>, StoreError> {
    let sql = format!("{PERSON} ORDER BY name");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *conn).await?;
    rows.iter().map(person).collect()
}

/// A new account. `false`: the name is taken.
pub async fn insert(
    conn: &mut AnyConnection,
    it: &Person,
    secret: &str,
    now: Time,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO accounts (name, secret, role, created, state, roles, known) VALUES ($1,$2,'person',$3,$4,$5,$6)
               ON CONFLICT (name) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(it.name.clone())
        .bind(secret.to_owned())
        .bind(now.ms())
        .bind(it.state.word())
        .bind(role::write(&it.roles))
        .bind(it.known.to_string())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn set_state(
    conn: &mut AnyConnection,
    name: &str,
    state: State,
) -> Result<(), StoreError> {
    set(conn, "UPDATE accounts SET state = $2 WHERE name = $1", name, state.word().to_owned()).await
}

/// Open again: as somebody who is in, or, where nobody ever was, as somebody invited.
pub async fn enable(conn: &mut AnyConnection, name: &str, nobody: &str) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET state = CASE WHEN secret = $2 AND NOT EXISTS (SELECT 1 FROM logins WHERE account = $1)
               THEN 'invited' ELSE 'active' END WHERE name = $1";
    set(conn, sql, name, nobody.to_owned()).await
}

/// Whoever was invited is in.
pub async fn activate(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET state = $2 WHERE name = $1 AND state = 'invited'";
    set(conn, sql, name, State::Active.word().to_owned()).await
}

/// Those given here and those of an identity provider, which come back with its next sign-in.
pub async fn set_roles(
    conn: &mut AnyConnection,
    name: &str,
    roles: &BTreeSet<Role>,
) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET roles = $2 WHERE name = $1";
    set(conn, sql, name, role::write(roles)).await?;
    let sql = "UPDATE logins SET roles = $2 WHERE account = $1";
    set(conn, sql, name, String::new()).await
}

pub async fn set_known(
    conn: &mut AnyConnection,
    name: &str,
    known: &Known,
) -> Result<(), StoreError> {
    set(conn, "UPDATE accounts SET known = $2 WHERE name = $1", name, known.to_string()).await
}

async fn set(
    conn: &mut AnyConnection,
    sql: &'static str,
    name: &str,
    value: String,
) -> Result<(), StoreError> {
    sqlx::query(sql).bind(name.to_owned()).bind(value).execute(&mut *conn).await?;
    Ok(())
}

/// Puts another password, and keeps the one before so that it is not taken again. `false`: there is no such account, or
/// its password is another than `old` by now.
pub async fn set_password(
    conn: &mut AnyConnection,
    name: &str,
    (old, secret): (Option<&str>, &str),
    keep: i64,
    now: Time,
) -> Result<bool, StoreError> {
    let before: Option<String> = sqlx::query_scalar("SELECT secret FROM accounts WHERE name = $1")
        .bind(name.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    let Some(before) = before.filter(|it| old.is_none_or(|old| old == it)) else {
        return Ok(false);
    };
    sqlx::query("INSERT INTO old_passwords (account, at, secret) VALUES ($1,$2,$3)")
        .bind(name.to_owned())
        .bind(now.ms())
        .bind(before.clone())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM old_passwords WHERE account = $1 AND at NOT IN
         (SELECT at FROM old_passwords WHERE account = $1 ORDER BY at DESC LIMIT $2)",
    )
    .bind(name.to_owned())
    .bind(keep)
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query("UPDATE accounts SET secret = $2 WHERE name = $1 AND secret = $3")
        .bind(name.to_owned())
        .bind(secret.to_owned())
        .bind(before)
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces an earlier link of the account.
pub async fn save_link(
    conn: &mut AnyConnection,
    name: &str,
    digest: &str,
    until: Time,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO account_links (account, digest, until) VALUES ($1,$2,$3)
               ON CONFLICT (account) DO UPDATE SET digest = excluded.digest, until = excluded.until";
    sqlx::query(sql)
        .bind(name.to_owned())
        .bind(digest.to_owned())
        .bind(until.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_link(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM account_links WHERE account = $1")
        .bind(name.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// `false`: the link was used, replaced or is too old.
pub async fn use_link(
    conn: &mut AnyConnection,
    name: &str,
    digest: &str,
    now: Time,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM account_links WHERE account = $1 AND digest = $2 AND until > $3";
    let done = sqlx::query(sql)
        .bind(name.to_owned())
        .bind(digest.to_owned())
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A secret that is to be confirmed. `false`: a confirmed one is there.
pub async fn offer_factor(
    conn: &mut AnyConnection,
    name: &str,
    sealed: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE accounts SET factor = $2, factor_step = -1 WHERE name = $1 AND factor_on = 0";
    let done =
        sqlx::query(sql).bind(name.to_owned()).bind(sealed.to_owned()).execute(&mut *conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Uses a step up. `false`: it, or a later one, was used already, or the secret is another by now.
pub async fn use_step(
    conn: &mut AnyConnection,
    name: &str,
    sealed: &str,
    step: u64,
) -> Result<bool, StoreError> {
    let sql =
        "UPDATE accounts SET factor_step = $3 WHERE name = $1 AND factor = $2 AND factor_step < $3";
    let done = sqlx::query(sql)
        .bind(name.to_owned())
        .bind(sealed.to_owned())
        .bind(i64::try_from(step).unwrap_or(i64::MAX))
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The factor counts from now on; these codes stand in for it, once each.
pub async fn confirm_factor(
    conn: &mut AnyConnection,
    name: &str,
    codes: &[String],
) -> Result<(), StoreError> {
    sqlx::query("UPDATE accounts SET factor_on = 1 WHERE name = $1")
        .bind(name.to_owned())
        .execute(&mut *conn)
        .await?;
    drop_codes(conn, name).await?;
    for digest in codes {
        sqlx::query("INSERT INTO recovery_codes (account, digest) VALUES ($1,$2)")
            .bind(name.to_owned())
            .bind(digest.clone())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// `false`: there is no such code, or it was used.
pub async fn use_code(
    conn: &mut AnyConnection,
    name: &str,
    digest: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM recovery_codes WHERE account = $1 AND digest = $2")
        .bind(name.to_owned())
        .bind(digest.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn drop_codes(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM recovery_codes WHERE account = $1")
        .bind(name.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_factor(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET factor = NULL, factor_on = 0, factor_step = -1 WHERE name = $1";
    sqlx::query(sql).bind(name.to_owned()).execute(&mut *conn).await?;
    drop_codes(conn, name).await
}

/// When a code was given in a session.
pub async fn prove_session(
    conn: &mut AnyConnection,
    id: &str,
    now: Time,
) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET proven = $2 WHERE id = $1";
    sqlx::query(sql).bind(id.to_owned()).bind(now.ms()).execute(&mut *conn).await?;
    Ok(())
}

/// All sessions of an account but one.
pub async fn drop_sessions(
    conn: &mut AnyConnection,
    name: &str,
    but: &str,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM sessions WHERE account = $1 AND id <> $2";
    sqlx::query(sql).bind(name.to_owned()).bind(but.to_owned()).execute(&mut *conn).await?;
    Ok(())
}

pub async fn set_rule(
    conn: &mut AnyConnection,
    subject: &str,
    rule: Option<&Rule>,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM access_rules WHERE subject = $1")
        .bind(subject.to_owned())
        .execute(&mut *conn)
        .await?;
    if let Some(rule) = rule {
        sqlx::query("INSERT INTO access_rules (subject, rule, at) VALUES ($1,$2,$3)")
            .bind(subject.to_owned())
            .bind(rule.to_string())
            .bind(now.ms())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

impl Store {
    pub async fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let sql = format!("{PERSON} WHERE name = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name.to_owned());
        query.fetch_optional(self.pool()).await?.as_ref().map(person).transpose()
    }

    /// By name.
    pub async fn people(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Person>, StoreError> {
        let sql = format!("{PERSON} WHERE name > $1 ORDER BY name LIMIT $2");
        let after = after.map_or("", |it| it.id.as_str());
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after.to_owned()).bind(most + 1);
        let found = query.fetch_all(self.pool()).await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let rows: Vec<Person> = found.iter().take(shown).map(person).collect::<Result<_, _>>()?;
        let next = rows.last().filter(|_| found.len() > shown);
        let next = next.map(|it| Cursor { key: 0, id: it.name.clone() });
        Ok(Page { rows, next })
    }

    /// Whose link this is, while it can be used.
    pub async fn link(&self, digest: &str, now: Time) -> Result<Option<String>, StoreError> {
        let sql = "SELECT account FROM account_links WHERE digest = $1 AND until > $2";
        let query = sqlx::query_scalar(sql).bind(digest.to_owned()).bind(now.ms());
        Ok(query.fetch_optional(self.pool()).await?)
    }

    pub async fn factor(&self, name: &str) -> Result<Option<FactorRow>, StoreError> {
        let sql = "SELECT factor, factor_on, factor_step FROM accounts WHERE name = $1 AND factor IS NOT NULL";
        let row = sqlx::query(sql).bind(name.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| FactorRow {
            secret: row.get(0),
            on: row.get::<i64, _>(1) != 0,
            step: u64::try_from(row.get::<i64, _>(2)).ok(),
        }))
    }

    /// Passwords that an account had, newest first.
    pub async fn old_passwords(&self, name: &str, most: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT secret FROM old_passwords WHERE account = $1 ORDER BY at DESC LIMIT $2";
        let query = sqlx::query_scalar(sql).bind(name.to_owned()).bind(most);
        Ok(query.fetch_all(self.pool()).await?)
    }

    /// Those that were not ended; which of them are too old is the caller's to see.
    pub async fn sessions_of(
        &self,
        name: &str,
    ) -> Result<Vec<super::accounts::SessionRow>, StoreError> {
        let sql = "SELECT id, account, digest, created, used, proven FROM sessions WHERE account = $1 ORDER BY created DESC LIMIT 200";
        let rows = sqlx::query(sql).bind(name.to_owned()).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(super::accounts::session).collect())
    }

    pub async fn rule(&self, subject: &str) -> Result<Option<Rule>, StoreError> {
        let sql = "SELECT rule FROM access_rules WHERE subject = $1";
        let query = sqlx::query_scalar(sql).bind(subject.to_owned());
        let found: Option<String> = query.fetch_optional(self.pool()).await?;
        found
            .map(|it| Rule::parse(&it).map_err(|why| bad("access_rules", &why.to_string())))
            .transpose()
    }

    /// (subject, rule), by subject.
    pub async fn rules(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<(String, String)>, StoreError> {
        let sql =
            "SELECT subject, rule FROM access_rules WHERE subject > $1 ORDER BY subject LIMIT $2";
        let after = after.map_or("", |it| it.id.as_str());
        let query = sqlx::query(sql).bind(after.to_owned()).bind(most + 1);
        let found = query.fetch_all(self.pool()).await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let rows: Vec<(String, String)> =
            found.iter().take(shown).map(|row| (row.get(0), row.get(1))).collect();
        let next = rows.last().filter(|_| found.len() > shown);
        let next = next.map(|(subject, _)| Cursor { key: 0, id: subject.clone() });
        Ok(Page { rows, next })
    }
}
