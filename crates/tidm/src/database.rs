//! Lists out of databases: the rows of a statement as CSV, straight from the connection to whoever reads.
//!
//! Threat: a password on a command line is read by every user of the machine, and a connection without encryption by
//! everybody on its way. Never takes the first; takes the second only to this machine, or where the address says so
//! (`sslmode=disable`). Never changes the database: the session is read-only. Never a row on a disk of its own: the node
//! that gets them keeps them until they are used, or for a day.

use std::str::FromStr as _;

use anyhow::{Context as _, anyhow, bail};
use futures::{Stream, TryStreamExt as _};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Row as _, ValueRef as _};
use tokio::sync::mpsc;

/// What is sent on at a time.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const PIECES: usize = 16;

/// Whether a source is a database's address.
pub(crate) fn is_address(source: &str) -> bool {
    ["postgres://", "postgresql://", "sqlite:"].iter().any(|it| source.starts_with(it))
}

enum Connection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// The rows of a statement, as CSV with a header.
pub(crate) async fn rows(
    address: &str,
    sql: &str,
) -> anyhow::Result<impl Stream<Item = anyhow::Result<Vec<u8>>> + use<>> {
    let connection = connect(address).await?;
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let sql = sql.to_owned();
    tokio::spawn(async move {
        let mut out = Csv { sender, line: Vec::new(), rows: 0 };
        let done = match connection {
            Connection::Postgres(it) => out.postgres(it, sql).await,
            Connection::Sqlite(it) => out.sqlite(it, sql).await,
        };
        let last = match done {
            Ok(()) if out.rows == 0 => Err(anyhow!("the statement has no rows")),
            Ok(()) => Ok(std::mem::take(&mut out.line)),
            Err(why) => Err(why),
        };
        // Nobody reads any more: then nobody needs to know.
        drop(out.sender.send(last).await);
    });
    Ok(futures::stream::poll_fn(move |context| receiver.poll_recv(context)))
}

async fn connect(address: &str) -> anyhow::Result<Connection> {
    if address.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(address).context("the database's address")?;
        let connected = options.read_only(true).connect().await;
        return Ok(Connection::Sqlite(connected.with_context(|| address.to_owned())?));
    }
    let (_, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || rest.contains("password=") {
        bail!(
            "a password on a command line is seen by others: put it into PGPASSWORD or ~/.pgpass"
        );
    }
    let options = PgConnectOptions::from_str(address).context("the database's address")?;
    let host = options.get_host().to_owned();
    let near =
        matches!(&*host, "localhost" | "127.0.0.1" | "::1" | "[::1]") || host.starts_with('/');
    if !near && !rest.contains("sslmode=disable") {
        bail!(
            "{host} would be spoken to without encryption: use a tunnel to this machine, or say sslmode=disable"
        );
    }
    let options = options.options([("default_transaction_read_only", "on")]);
    Ok(Connection::Postgres(options.connect().await.context(host)?))
}

/// Rows on their way.
struct Csv {
    sender: mpsc::Sender<anyhow::Result<Vec<u8>>>,
    line: Vec<u8>,
    rows: u64,
}

impl Csv {
    /// In PostgreSQL's simple protocol every value is text, whatever its type.
    async fn postgres(&mut self, mut from: PgConnection, sql: String) -> anyhow::Result<()> {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut from);
        while let Some(row) = rows.try_next().await? {
            let value = |row: &PgRow, place| -> anyhow::Result<Option<String>> {
                let raw = row.try_get_raw(place)?;
                let text = (!raw.is_null()).then(|| raw.as_str().map(str::to_owned)).transpose();
                text.map_err(|why| anyhow!("column {place}: {why}"))
            };
            self.row(&row, value).await?;
        }
        Ok(())
    }

    /// SQLite makes text of any value that is asked for as text.
    async fn sqlite(&mut self, mut from: SqliteConnection, sql: String) -> anyhow::Result<()> {
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut from);
        while let Some(row) = rows.try_next().await? {
            let value = |row: &SqliteRow, place| Ok(row.try_get_unchecked(place)?);
            self.row(&row, value).await?;
        }
        Ok(())
    }

    async fn row<R: sqlx::Row>(
        &mut self,
        row: &R,
        value: impl Fn(&R, usize) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        if self.rows == 0 {
            let names = row.columns().iter().map(|it| it.name().to_owned());
            put(&mut self.line, names);
        }
        self.rows += 1;
        let values: anyhow::Result<Vec<String>> =
            (0..row.len()).map(|place| Ok(value(row, place)?.unwrap_or_default())).collect();
        put(&mut self.line, values?.into_iter());
        if self.line.len() >= PIECE {
            let piece = std::mem::take(&mut self.line);
            self.sender.send(Ok(piece)).await.map_err(|_| anyhow!("nobody reads any more"))?;
        }
        Ok(())
    }
}

/// One record (RFC 4180).
fn put(line: &mut Vec<u8>, fields: impl Iterator<Item = String>) {
    for (place, field) in fields.enumerate() {
        if place > 0 {
            line.push(b',');
        }
        // An empty record of one column would be no record.
        if field.is_empty() || field.contains([',', '"', '\n', '\r']) {
            line.extend(format!("\"{}\"", field.replace('"', "\"\"")).bytes());
        } else {
            line.extend(field.bytes());
        }
    }
    line.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(address: &str, sql: &str) -> anyhow::Result<String> {
        let pieces: Vec<Vec<u8>> = rows(address, sql).await?.try_collect().await?;
        Ok(String::from_utf8(pieces.concat())?)
    }

    #[tokio::test]
    async fn a_statement_becomes_csv_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", dir.path().join("erp.db").display());
        let options = SqliteConnectOptions::from_str(&address).unwrap().create_if_missing(true);
        let mut conn = options.connect().await.unwrap();
        let made = "CREATE TABLE parts (no TEXT, price REAL, at INTEGER);
            INSERT INTO parts VALUES ('P-1', 1.5, 7), ('a \"b\", c', NULL, -1), ('零件', 2.0, NULL)";
        sqlx::raw_sql(made).execute(&mut conn).await.unwrap();
        let found = text(&address, "SELECT no AS \"part,no\", price, at FROM parts").await.unwrap();
        let expected =
            "\"part,no\",price,at\r\nP-1,1.5,7\r\n\"a \"\"b\"\", c\",\"\",-1\r\n零件,2.0,\"\"\r\n";
        assert_eq!(found, expected);
        // More than one piece.
        let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000) SELECT i FROM n";
        assert_eq!(text(&address, many).await.unwrap().lines().count(), 40_001);
        for wrong in ["SELECT no FROM parts WHERE 1 = 0", "DELETE FROM parts", "SELECT nothing"] {
            text(&address, wrong).await.unwrap_err();
        }
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM parts").fetch_one(&mut conn).await.unwrap();
        assert_eq!(left, 3);
    }

    #[tokio::test]
    async fn every_type_in_a_servers_store_becomes_text() {
        let Ok(server) = std::env::var("TIDM_TEST_POSTGRES") else {
            println!("SKIPPED: TIDM_TEST_POSTGRES names no server");
            return;
        };
        let sql = "SELECT 7 AS n, date '2026-01-02' AS at, 1.50::numeric AS price, NULL AS none, '零件'::text AS t
            FROM generate_series(1, 20000)";
        let found = text(&server, sql).await.unwrap();
        assert_eq!(found.lines().nth(20_000), Some("7,2026-01-02,1.50,\"\",零件"));
        let why = text(&server, "CREATE TABLE t (i INT)").await.unwrap_err().to_string();
        assert!(why.contains("read-only"), "{why}");
    }

    #[tokio::test]
    async fn passwords_and_open_lines_are_refused() {
        for (address, word) in [
            ("postgres://me:secret@127.0.0.1:1/db", "PGPASSWORD"),
            ("postgres://me@127.0.0.1:1/db?password=secret", "PGPASSWORD"),
            ("postgresql://me@db.example/erp", "sslmode"),
        ] {
            let why = text(address, "SELECT 1").await.unwrap_err().to_string();
            assert!(why.contains(word) && !why.contains("secret"), "{why}");
        }
    }
}
