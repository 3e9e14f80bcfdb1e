//! The node's store: SQLite by default, PostgreSQL when several replicas share a node; the same SQL on both.
//!
//! Never decides: [`tidm_space::engine`] does. [`Store::run`] loads what an input needs, lets the engine
//! decide and executes the commit, all in one transaction ([`writer`]). What differs between the two
//! databases is in [`dialect`] and nowhere else.
//!
//! Threat model: whoever can write this database owns the node's state but not its keys (they lie in
//! `keys/`) and not its evidence (the log is witnessed): a rolled-back database is found at start.

pub mod accounts;
pub mod catalogue;
pub mod checkpoint;
pub mod dialect;
pub mod excerpts;
pub mod facts;
pub mod issuer;
pub mod load;
pub mod matchings;
pub mod messages;
pub mod notes;
pub mod people;
pub mod planes;
pub mod queue;
pub mod read;
pub mod remote;
pub mod rows;
pub mod save;
mod schema;
pub mod shares;
pub mod standing;
pub mod subscriptions;
pub mod tables;
pub mod tc609;
pub mod timeline;
pub mod wallet;
pub mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Connection as _, Executor as _};
use tokio::sync::{Mutex, OwnedMutexGuard};

use dialect::Dialect;

/// Readers beside the writer. SQLite allows many; two cores need no more.
const READERS: u32 = 4;
/// How often the write-ahead log is written back: little each time.
const WRITE_BACK: Duration = Duration::from_millis(250);
/// How long a connection waits for a lock of another process before it says so.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A handle to the node's database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    url: Arc<str>,
    line: Arc<Mutex<()>>,
}

/// Held while writing; see [`Store::turn`].
pub(crate) type Turn = Option<OwnedMutexGuard<()>>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database answered with an error: full disk, lost connection, lock.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database address {0:?} is neither sqlite: nor postgres:")]
    Address(String),
    /// A row of ours cannot be read: written by a newer version, or damaged.
    #[error("a row of {table} cannot be read: {why}")]
    Row { table: &'static str, why: String },
    #[error(
        "the database was written by a newer tidm (schema {found}, this one knows {known}): upgrade tidm"
    )]
    Newer { found: i64, known: i64 },
    /// A report would have to leave something out.
    #[error("more than {most} {what}: too many for one report")]
    TooMany { what: &'static str, most: usize },
}

impl Store {
    /// Opens, creates where absent, and migrates forward. `url`: `sqlite:PATH` or `postgres://…`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of(url)?;
        let options: AnyConnectOptions = dialect.address(url).parse()?;
        let pool = AnyPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(LOCK_WAIT)
            .after_connect(move |conn, _| Box::pin(async move { dialect.prepare(conn).await }))
            .connect_with(options)
            .await?;
        let store = Self { pool, dialect, url: url.into(), line: Arc::default() };
        store.migrate().await?;
        Ok(store)
    }

    /// The usual place in a node's directory.
    pub fn sqlite_url(dir: &Path) -> String {
        format!("sqlite:{}", dir.join("node.db").display())
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A connection of its own, for a writer.
    pub(crate) async fn connect(&self) -> Result<sqlx::AnyConnection, StoreError> {
        let options: AnyConnectOptions = self.dialect.address(&self.url).parse()?;
        let mut conn = sqlx::AnyConnection::connect_with(&options).await?;
        self.dialect.prepare(&mut conn).await?;
        Ok(conn)
    }

    /// Our turn to write. SQLite has one writer at a time, and a connection that finds it busy sleeps up to 100 ms before
    /// it looks again; in line, the next one begins when the last has ended. PostgreSQL orders its writers itself.
    pub(crate) async fn turn(&self) -> Turn {
        match self.dialect {
            Dialect::Sqlite => Some(self.line.clone().lock_owned().await),
            Dialect::Postgres => None,
        }
    }

    /// Keeps the write-ahead log short, where the database leaves that to us; runs until it is dropped.
    pub async fn write_back(&self) {
        let Some(sql) = self.dialect.write_back() else { return };
        let mut conn = None;
        loop {
            tokio::time::sleep(WRITE_BACK).await;
            if conn.is_none() {
                conn = self.connect().await.ok();
            }
            let Some(open) = &mut conn else { continue };
            if let Err(error) = open.execute(sql).await {
                tracing::warn!(%error, "the write-ahead log was not written back; trying again");
                conn = None;
            }
        }
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut conn = self.connect().await?;
        self.dialect.lock_schema(&mut conn).await?;
        // After an error the connection is dropped, and its lock with it.
        self.migrate_locked(&mut conn).await?;
        self.dialect.unlock_schema(&mut conn).await?;
        Ok(())
    }

    async fn migrate_locked(&self, conn: &mut sqlx::AnyConnection) -> Result<(), StoreError> {
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, at BIGINT NOT NULL)")
            .execute(&mut *conn)
            .await?;
        let known = i64::try_from(schema::MIGRATIONS.len()).unwrap_or(i64::MAX);
        for (version, statements) in (1_i64..).zip(schema::MIGRATIONS) {
            conn.execute(self.dialect.begin_locked()).await?;
            // Asked under the lock: another process may be opening the same file.
            let found: i64 =
                sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM schema_version")
                    .fetch_one(&mut *conn)
                    .await?;
            if found > known {
                return Err(StoreError::Newer { found, known });
            }
            if version > found {
                self.apply(conn, version, statements).await?;
            }
            conn.execute("COMMIT").await?;
        }
        Ok(())
    }

    async fn apply(
        &self,
        conn: &mut sqlx::AnyConnection,
        version: i64,
        statements: &str,
    ) -> Result<(), StoreError> {
        for statement in statements.split(';').map(str::trim).filter(|it| !it.is_empty()) {
            sqlx::query(sqlx::AssertSqlSafe(self.dialect.ddl(statement)))
                .execute(&mut *conn)
                .await?;
        }
        sqlx::query("INSERT INTO schema_version (version, at) VALUES ($1, 0)")
            .bind(version)
            .execute(&mut *conn)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
