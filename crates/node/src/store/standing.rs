//! How reading stands with each member, as rows.
//!
//! Never decides when to ask: that is `tidm_space::catalog::reading`.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::catalog::reading::{Mark, Standing};
use tidm_space::identity::did::Did;
use tidm_space::time::Time;

use super::{Store, StoreError};

const COLUMNS: &str = "member, next, failures, failing_since, ok, whole, mark, entries, error";

fn standing(row: &AnyRow) -> Standing {
    let time = |at: usize| row.get::<Option<i64>, _>(at).map(Time::from_ms);
    let mark: String = row.get(6);
    let mark = match mark.split_at_checked(1) {
        Some(("r", revision)) => revision.parse().ok().map(Mark::Revision),
        Some(("t", tag)) => Some(Mark::Tag(tag.to_owned())),
        _ => None,
    };
    Standing {
        next: Some(Time::from_ms(row.get(1))),
        failures: u32::try_from(row.get::<i64, _>(2)).unwrap_or(0),
        failing_since: time(3),
        ok: time(4),
        whole: time(5),
        mark,
        entries: u64::try_from(row.get::<i64, _>(7)).unwrap_or(0),
        error: row.get(8),
    }
}

impl Store {
    /// How reading stands with one member.
    pub async fn standing(&self, member: &Did) -> Result<Standing, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM crawl_members WHERE member = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(member.as_str().to_owned());
        let row = query.fetch_optional(self.pool()).await?;
        Ok(row.as_ref().map(standing).unwrap_or_default())
    }

    /// How it stands with all that were ever asked.
    pub async fn standings(&self) -> Result<BTreeMap<String, Standing>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM crawl_members ORDER BY member");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(|row| (row.get(0), standing(row))).collect())
    }
}

pub async fn save_standing(
    conn: &mut AnyConnection,
    member: &Did,
    it: &Standing,
) -> Result<(), StoreError> {
    let mark = match &it.mark {
        None => String::new(),
        Some(Mark::Revision(revision)) => format!("r{revision}"),
        Some(Mark::Tag(tag)) => format!("t{tag}"),
    };
    sqlx::query(
        "INSERT INTO crawl_members (member, next, failures, failing_since, ok, whole, mark, entries, error)
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)
         ON CONFLICT (member) DO UPDATE SET next = excluded.next, failures = excluded.failures,
         failing_since = excluded.failing_since, ok = excluded.ok, whole = excluded.whole, mark = excluded.mark,
         entries = excluded.entries, error = excluded.error",
    )
    .bind(member.as_str().to_owned())
    .bind(it.next.unwrap_or(Time::ZERO).ms())
    .bind(i64::from(it.failures))
    .bind(it.failing_since.map(Time::ms))
    .bind(it.ok.map(Time::ms))
    .bind(it.whole.map(Time::ms))
    .bind(mark)
    .bind(i64::try_from(it.entries).unwrap_or(i64::MAX))
    .bind(it.error.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub async fn forget(conn: &mut AnyConnection, member: &Did) -> Result<(), StoreError> {
    let sql = "DELETE FROM crawl_members WHERE member = $1";
    sqlx::query(sql).bind(member.as_str().to_owned()).execute(&mut *conn).await?;
    Ok(())
}
