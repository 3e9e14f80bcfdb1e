//! What differs between SQLite and PostgreSQL, and nothing else.
//!
//! Never a query of the data space: those are the same on both.

use std::time::Duration;

use sqlx::{AnyConnection, Executor as _};

use super::StoreError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// The change takes a millisecond; one second of others doing it first is no accident any more.
const WAL_TRIES: u32 = 100;
/// Any numbers that no other program is likely to lock on.
const SCHEMA_LOCK: &str = "7201360942";
const RETRY_LOCK: &str = "7201360943";

impl Dialect {
    pub fn of(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres)
        } else {
            Err(StoreError::Address(url.split(':').next().unwrap_or_default().to_owned()))
        }
    }

    /// SQLite creates the file only when asked to.
    pub(super) fn address(self, url: &str) -> String {
        match self {
            Self::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            Self::Sqlite | Self::Postgres => url.to_owned(),
        }
    }

    /// Per connection: durable commits, foreign writers waited for.
    pub(super) async fn prepare(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite => {
                conn.execute("PRAGMA busy_timeout = 10000").await?;
                self.use_wal(conn).await?;
                // WAL with full sync: a commit is on the disk when it returns.
                for pragma in [
                    "PRAGMA synchronous = FULL",
                    "PRAGMA foreign_keys = ON",
                    "PRAGMA wal_autocheckpoint = 16000",
                    "PRAGMA cache_size = -8000",
                ] {
                    conn.execute(pragma).await?;
                }
            }
            // Decisions ask for their isolation themselves ([`Self::begin`]). What runs outside of them is
            // one statement at a time, right as "read committed" and no false conflict for the deciders.
            Self::Postgres => {}
        }
        Ok(())
    }

    /// The timeout does not hold for this change: of processes that open a fresh file at once, some are
    /// told at once that it is locked.
    async fn use_wal(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let mut tries = 0;
        loop {
            match conn.execute("PRAGMA journal_mode = WAL").await {
                Ok(_) => return Ok(()),
                Err(error) if tries < WAL_TRIES && self.is_conflict(&error) => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What brings the write-ahead log into the database beside the writers: left to a commit, one in many hundreds would wait
    /// for thousands of pages. The limit above is for a node that has no time for this.
    pub(super) fn write_back(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA wal_checkpoint(PASSIVE)"),
            Self::Postgres => None,
        }
    }

    pub(super) fn begin(self) -> &'static str {
        match self {
            // Takes the write lock at once: no upgrade from a stale read later.
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }

    /// For work whose first statement takes the lock that orders it: a compare-and-set of one row.
    pub(super) fn begin_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// How many units of work may share one transaction. PostgreSQL groups commits by itself and
    /// would lose the whole batch to one conflict.
    pub(super) fn batch(self) -> usize {
        match self {
            Self::Sqlite => 128,
            Self::Postgres => 1,
        }
    }

    /// How many writers run side by side.
    pub(super) fn writers(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 8,
        }
    }

    /// Ends a `SELECT` of rows to be changed: what another replica is changing is not waited for.
    pub(super) fn skip_locked(self) -> &'static str {
        match self {
            // One transaction writes at a time.
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Before deciding again after a conflict: those who lost go one after the other, or they would
    /// make each other lose again. Ends with [`Self::step_aside`] or the connection.
    pub(super) async fn queue_up(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if self == Self::Postgres {
            conn.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_lock({RETRY_LOCK})")))
                .await?;
        }
        Ok(())
    }

    pub(super) async fn step_aside(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if self == Self::Postgres {
            conn.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_unlock({RETRY_LOCK})")))
                .await?;
        }
        Ok(())
    }

    /// Another replica decided at the same time: load and decide again.
    pub(super) fn is_conflict(self, error: &sqlx::Error) -> bool {
        let Some(code) = error.as_database_error().and_then(|it| it.code()) else { return false };
        match self {
            // SQLITE_BUSY and its extended codes.
            Self::Sqlite => code == "5" || code == "261" || code == "517",
            // serialization_failure, deadlock_detected, unique_violation of a concurrent insert.
            Self::Postgres => code == "40001" || code == "40P01" || code == "23505",
        }
    }

    /// The types that the two spell differently.
    pub(super) fn ddl(self, statement: &str) -> String {
        match self {
            Self::Sqlite => statement
                .replace("SEQUENCE_KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
                .replace("BYTEA", "BLOB"),
            Self::Postgres => statement.replace("SEQUENCE_KEY", "BIGSERIAL PRIMARY KEY"),
        }
    }

    pub(super) async fn lock_schema(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if self == Self::Postgres {
            conn.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_lock({SCHEMA_LOCK})")))
                .await?;
        }
        Ok(())
    }

    pub(super) async fn unlock_schema(self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if self == Self::Postgres {
            conn.execute(sqlx::AssertSqlSafe(format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})")))
                .await?;
        }
        Ok(())
    }
}
