//! Rows of people and programs that may call the API: accounts, sessions, keys, uploads, replies.
//!
//! Never a secret in the clear: passwords are Argon2id strings, tokens are digests. Written through the
//! writer's notes, like every row that no decision of the data space depends on.

use sqlx::{AnyConnection, Row as _};

use tidm_space::time::Time;

use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// An API key as its owner sees it after creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: String,
    pub account: String,
    pub title: String,
    pub digest: String,
    /// Scope words, space separated.
    pub scopes: String,
    pub created: Time,
    pub until: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    pub id: String,
    pub account: String,
    pub digest: String,
    pub created: Time,
    pub used: Time,
    /// When a code of the second factor was given in it.
    pub proven: Option<Time>,
}

/// Bytes that were sent ahead of the call which uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    pub id: String,
    pub account: String,
    pub object: String,
    /// The file's name as its owner calls it; tells the format.
    pub name: String,
    pub bytes: u64,
    pub digest: String,
    pub created: Time,
}

/// The kept reply of a call that carried an `Idempotency-Key`. Status 0: still under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRow {
    pub request: String,
    pub status: u16,
    pub kind: String,
    pub body: String,
}

fn number(it: u64) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX)
}

/// Puts a value under a name, replacing what was there.
pub async fn set(conn: &mut AnyConnection, name: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO settings (name, value) VALUES ($1,$2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name.to_owned())
        .bind(value.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Creates the first administrator if the one-time secret is still the stored one. `false`: nothing was changed.
pub async fn first_account(
    conn: &mut AnyConnection,
    setting: &str,
    name: &str,
    (secret, roles): (&str, &str),
    now: Time,
) -> Result<bool, StoreError> {
    let used = sqlx::query(
        "DELETE FROM settings WHERE name = 'setup' AND value = $1 AND NOT EXISTS (SELECT 1 FROM accounts)",
    )
    .bind(setting.to_owned())
    .execute(&mut *conn)
    .await?;
    if used.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO accounts (name, secret, role, created, roles) VALUES ($1,$2,'admin',$3,$4)",
    )
    .bind(name.to_owned())
    .bind(secret.to_owned())
    .bind(now.ms())
    .bind(roles.to_owned())
    .execute(&mut *conn)
    .await?;
    Ok(true)
}

/// Hash of the password and whether there is a second factor, of an account that is active.
pub async fn active(
    conn: &mut AnyConnection,
    name: &str,
) -> Result<Option<(String, bool)>, StoreError> {
    let sql = "SELECT secret, factor_on FROM accounts WHERE name = $1 AND state = 'active'";
    let row = sqlx::query(sql).bind(name.to_owned()).fetch_optional(&mut *conn).await?;
    Ok(row.map(|row| (row.get(0), row.get::<i64, _>(1) != 0)))
}

pub async fn save_session(conn: &mut AnyConnection, it: &SessionRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (id, account, digest, created, used, proven) VALUES ($1,$2,$3,$4,$5,$6)",
    )
    .bind(it.id.clone())
    .bind(it.account.clone())
    .bind(it.digest.clone())
    .bind(it.created.ms())
    .bind(it.used.ms())
    .bind(it.proven.map(Time::ms))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Ends the oldest sessions of an account beyond so many.
pub async fn bound_sessions(
    conn: &mut AnyConnection,
    account: &str,
    most: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM sessions WHERE account = $1 AND id NOT IN
         (SELECT id FROM sessions WHERE account = $1 ORDER BY created DESC, id DESC LIMIT $2)",
    )
    .bind(account.to_owned())
    .bind(number(most))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Whether a session or key is still there.
pub async fn stands(
    conn: &mut AnyConnection,
    session: Option<&str>,
    key: Option<&str>,
    now: Time,
) -> Result<bool, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM sessions WHERE id = $1)
               + (SELECT COUNT(*) FROM api_keys WHERE id = $2 AND (until IS NULL OR until > $3))";
    let count: i64 = sqlx::query_scalar(sql)
        .bind(session.unwrap_or_default().to_owned())
        .bind(key.unwrap_or_default().to_owned())
        .bind(now.ms())
        .fetch_one(&mut *conn)
        .await?;
    Ok(count > 0)
}

pub async fn touch_session(
    conn: &mut AnyConnection,
    id: &str,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE sessions SET used = $2 WHERE id = $1 AND used < $2")
        .bind(id.to_owned())
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_session(conn: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(id.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Forgets sessions begun before `born` or unused since `idle`, and replies whose time is over.
pub async fn sweep(
    conn: &mut AnyConnection,
    born: Time,
    idle: Time,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE created < $1 OR used < $2")
        .bind(born.ms())
        .bind(idle.ms())
        .execute(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM replies WHERE until < $1").bind(now.ms()).execute(&mut *conn).await?;
    Ok(())
}

pub async fn save_key(conn: &mut AnyConnection, it: &KeyRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO api_keys (id, account, title, digest, scopes, created, until) VALUES ($1,$2,$3,$4,$5,$6,$7)")
        .bind(it.id.clone())
        .bind(it.account.clone())
        .bind(it.title.clone())
        .bind(it.digest.clone())
        .bind(it.scopes.clone())
        .bind(it.created.ms())
        .bind(it.until.map(Time::ms))
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// How many keys an account has; those whose time is over go.
pub async fn keys_of(
    conn: &mut AnyConnection,
    account: &str,
    now: Time,
) -> Result<u64, StoreError> {
    sqlx::query("DELETE FROM api_keys WHERE account = $1 AND until <= $2")
        .bind(account.to_owned())
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    let sql = "SELECT COUNT(*) FROM api_keys WHERE account = $1";
    let count: i64 = sqlx::query_scalar(sql).bind(account.to_owned()).fetch_one(&mut *conn).await?;
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

pub async fn owner_of_key(
    conn: &mut AnyConnection,
    id: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT account FROM api_keys WHERE id = $1";
    Ok(sqlx::query_scalar(sql).bind(id.to_owned()).fetch_optional(&mut *conn).await?)
}

/// All keys of an account: whoever set its password anew may be somebody else.
pub async fn drop_keys_of(conn: &mut AnyConnection, account: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM api_keys WHERE account = $1";
    sqlx::query(sql).bind(account.to_owned()).execute(&mut *conn).await?;
    Ok(())
}

/// `false`: there is none.
pub async fn drop_key(conn: &mut AnyConnection, id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM api_keys WHERE id = $1")
        .bind(id.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn save_upload(conn: &mut AnyConnection, it: &UploadRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO uploads (id, account, object, name, bytes, digest, created) VALUES ($1,$2,$3,$4,$5,$6,$7)")
        .bind(it.id.clone())
        .bind(it.account.clone())
        .bind(it.object.clone())
        .bind(it.name.clone())
        .bind(number(it.bytes))
        .bind(it.digest.clone())
        .bind(it.created.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_upload(conn: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM uploads WHERE id = $1")
        .bind(id.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Takes the name for a call that begins now. `false`: another call has it and its time is not over.
pub async fn take_reply(
    conn: &mut AnyConnection,
    name: &str,
    request: &str,
    now: Time,
    until: Time,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO replies (name, request, status, kind, body, until) VALUES ($1,$2,0,'','',$4)
         ON CONFLICT (name) DO UPDATE SET request = excluded.request, status = 0, kind = '', body = '', until = excluded.until
         WHERE replies.until < $3",
    )
    .bind(name.to_owned())
    .bind(request.to_owned())
    .bind(now.ms())
    .bind(until.ms())
    .execute(&mut *conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn save_reply(
    conn: &mut AnyConnection,
    name: &str,
    it: &ReplyRow,
    until: Time,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE replies SET status = $2, kind = $3, body = $4, until = $5 WHERE name = $1")
        .bind(name.to_owned())
        .bind(i64::from(it.status))
        .bind(it.kind.clone())
        .bind(it.body.clone())
        .bind(until.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

pub async fn drop_reply(conn: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM replies WHERE name = $1")
        .bind(name.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

impl Store {
    /// As [`stands`], outside a transaction.
    pub async fn stands(
        &self,
        session: Option<&str>,
        key: Option<&str>,
        now: Time,
    ) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        stands(&mut conn, session, key, now).await
    }

    pub async fn has_account(&self) -> Result<bool, StoreError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM accounts").fetch_one(self.pool()).await?;
        Ok(count > 0)
    }

    /// The Argon2id string.
    pub async fn password(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT secret FROM accounts WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name.to_owned()).fetch_optional(self.pool()).await?)
    }

    pub async fn session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        let sql = "SELECT id, account, digest, created, used, proven FROM sessions WHERE id = $1";
        let row = sqlx::query(sql).bind(id.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(session))
    }

    pub async fn api_key(&self, id: &str) -> Result<Option<KeyRow>, StoreError> {
        let sql =
            "SELECT id, account, title, digest, scopes, created, until FROM api_keys WHERE id = $1";
        Ok(sqlx::query(sql)
            .bind(id.to_owned())
            .fetch_optional(self.pool())
            .await?
            .map(|row| key(&row)))
    }

    /// Newest first; of one owner, or of all.
    pub async fn api_keys(
        &self,
        owner: Option<&str>,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<KeyRow>, StoreError> {
        let sql = "SELECT id, account, title, digest, scopes, created, until FROM api_keys
                   WHERE (created < $1 OR (created = $1 AND id < $2)) AND ($4 = '' OR account = $4)
                   ORDER BY created DESC, id DESC LIMIT $3";
        let (at, id) = after.map_or((i64::MAX, ""), |it| (it.key, it.id.as_str()));
        let found = sqlx::query(sql)
            .bind(at)
            .bind(id.to_owned())
            .bind(most + 1)
            .bind(owner.unwrap_or_default().to_owned())
            .fetch_all(self.pool())
            .await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let more = found.len() > shown;
        let rows: Vec<KeyRow> = found.iter().take(shown).map(key).collect();
        let next = rows
            .last()
            .filter(|_| more)
            .map(|it| Cursor { key: it.created.ms(), id: it.id.clone() });
        Ok(Page { rows, next })
    }

    /// Oldest first.
    pub async fn oldest_uploads(&self, most: i64) -> Result<Vec<UploadRow>, StoreError> {
        let sql = "SELECT id, account, object, name, bytes, digest, created FROM uploads ORDER BY created LIMIT $1";
        let query = sqlx::query(sql).bind(most);
        let rows = query.fetch_all(self.pool()).await?;
        let one = |row: &sqlx::any::AnyRow| UploadRow {
            id: row.get(0),
            account: row.get(1),
            object: row.get(2),
            name: row.get(3),
            bytes: u64::try_from(row.get::<i64, _>(4)).unwrap_or(0),
            digest: row.get(5),
            created: Time::from_ms(row.get(6)),
        };
        Ok(rows.iter().map(one).collect())
    }

    pub async fn upload(&self, id: &str) -> Result<Option<UploadRow>, StoreError> {
        let sql = "SELECT account, object, name, bytes, digest, created FROM uploads WHERE id = $1";
        let row = sqlx::query(sql).bind(id.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| UploadRow {
            id: id.to_owned(),
            account: row.get(0),
            object: row.get(1),
            name: row.get(2),
            bytes: u64::try_from(row.get::<i64, _>(3)).unwrap_or(0),
            digest: row.get(4),
            created: Time::from_ms(row.get(5)),
        }))
    }

    pub async fn reply(&self, name: &str) -> Result<Option<ReplyRow>, StoreError> {
        let sql = "SELECT request, status, kind, body FROM replies WHERE name = $1";
        let row = sqlx::query(sql).bind(name.to_owned()).fetch_optional(self.pool()).await?;
        Ok(row.map(|row| ReplyRow {
            request: row.get(0),
            status: u16::try_from(row.get::<i64, _>(1)).unwrap_or(0),
            kind: row.get(2),
            body: row.get(3),
        }))
    }
}

pub(super) fn session(row: &sqlx::any::AnyRow) -> SessionRow {
    SessionRow {
        id: row.get(0),
        account: row.get(1),
        digest: row.get(2),
        created: Time::from_ms(row.get(3)),
        used: Time::from_ms(row.get(4)),
        proven: row.get::<Option<i64>, _>(5).map(Time::from_ms),
    }
}

fn key(row: &sqlx::any::AnyRow) -> KeyRow {
    KeyRow {
        id: row.get(0),
        account: row.get(1),
        title: row.get(2),
        digest: row.get(3),
        scopes: row.get(4),
        created: Time::from_ms(row.get(5)),
        until: row.get::<Option<i64>, _>(6).map(Time::from_ms),
    }
}
