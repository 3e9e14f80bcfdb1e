//! What others offer, as their catalogues said; and the numbered list of what changed in it.
//!
//! Never a change without its number: entry and change are written together, and readers of the list (searches' index,
//! events, subscriptions) go on where they were. Which changes there are is decided by `tidm_space::catalog::merge`.
//!
//! Threat model: everything here was written by strangers. It is bound, never part of a statement.

use std::collections::BTreeMap;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::Digest;
use tidm_space::catalog::entry::{Entry, Provenance};
use tidm_space::catalog::facets::{Facets, UNKNOWN};
use tidm_space::catalog::merge::Known;
use tidm_space::catalog::product::Grade;
use tidm_space::identity::did::Did;
use tidm_space::policy::terms::Price;
use tidm_space::time::Time;

use super::catalogue::{OTHERS, advance};
use super::load::bad;
use super::{Store, StoreError};

/// Rows of one statement: sixteen values each stay below every database's bound.
const ROWS: usize = 50;
/// Changes that are kept for those who ask what they missed.
pub const CHANGES_KEPT: i64 = 200_000;

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    New,
    Changed,
    Gone,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::New, Self::Changed, Self::Gone].into_iter().find(|it| it.word() == word)
    }
}

/// An entry to be kept.
#[derive(Clone, Debug)]
pub struct Kept {
    pub entry: Entry,
    pub from: Provenance,
    /// The provider's DSP base.
    pub address: String,
    /// `None`: kept in silence.
    pub announce: Option<Kind>,
}

/// An entry as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub provider: String,
    pub id: String,
    /// The provider's DSP base.
    pub address: String,
    pub title: String,
    /// When it was first read as it is.
    pub changed: Time,
    /// The dataset as received, JSON.
    pub dataset: String,
    /// Whose catalogue said so.
    pub via: String,
    /// The address that was asked.
    pub request: String,
    pub digest: String,
}

/// What a search needs to know of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    pub provider: String,
    pub id: String,
    pub title: String,
    pub text: String,
    pub changed: Time,
    pub facets: Facets,
}

/// A change, and the entry as it is now where it still is.
#[derive(Clone, Debug)]
pub struct Change {
    pub seq: i64,
    pub at: Time,
    pub kind: Kind,
    pub provider: String,
    pub id: String,
    pub title: String,
    pub entry: Option<Indexed>,
}

const FOUND: &str = "provider, id, address, title, seen, dataset, via, request, digest";
const INDEXED: &str =
    "r.provider, r.id, r.title, r.search, r.seen, r.formats, r.grade, r.prices, r.free";

fn found(row: &AnyRow) -> Found {
    Found {
        provider: row.get(0),
        id: row.get(1),
        address: row.get(2),
        title: row.get(3),
        changed: Time::from_ms(row.get(4)),
        dataset: row.get(5),
        via: row.get(6),
        request: row.get(7),
        digest: row.get(8),
    }
}

fn indexed(row: &AnyRow, from: usize) -> Indexed {
    let (grade, free): (String, String) = (row.get(from + 6), row.get(from + 8));
    let (formats, prices): (String, String) = (row.get(from + 5), row.get(from + 7));
    let facets = Facets {
        formats: formats.split('|').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        grade: Grade::from_name(&grade).map_or(UNKNOWN, Grade::name),
        prices: prices.split('|').filter_map(read_price).collect(),
        free: match free.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
    };
    Indexed {
        provider: row.get(from),
        id: row.get(from + 1),
        title: row.get(from + 2),
        text: row.get(from + 3),
        changed: Time::from_ms(row.get(from + 4)),
        facets,
    }
}

fn read_price(text: &str) -> Option<Price> {
    let (currency, micros) = text.split_once(' ')?;
    Some(Price { micros: micros.parse().ok()?, currency: currency.to_owned() })
}

fn written(prices: &[Price]) -> String {
    prices.iter().map(|it| format!("{} {}", it.currency, it.micros)).collect::<Vec<_>>().join("|")
}

/// Formats as a column holds them.
fn joined<'a>(formats: impl IntoIterator<Item = &'a String>) -> String {
    formats.into_iter().fold(String::from("|"), |out, one| out + one + "|")
}

/// `($1,$2),($3,$4)` for two rows of two values.
fn places(rows: usize, values: usize, first: usize) -> String {
    let row = |row: usize| {
        let all = (0..values).map(|value| format!("${}", first + row * values + value));
        format!("({})", all.collect::<Vec<_>>().join(","))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

impl Store {
    /// What is known of some of a provider's entries.
    pub async fn known(
        &self,
        provider: &Did,
        ids: &[&str],
    ) -> Result<BTreeMap<String, Known>, StoreError> {
        let mut all = BTreeMap::new();
        for ids in ids.chunks(200) {
            let list = (2..ids.len() + 2).map(|it| format!("${it}")).collect::<Vec<_>>().join(",");
            let sql = format!(
                "SELECT id, digest, via FROM remote_products WHERE provider = $1 AND id IN ({list})"
            );
            // The text holds placeholders only; what others wrote is bound.
            let mut query =
                sqlx::query(sqlx::AssertSqlSafe(sql)).bind(provider.as_str().to_owned());
            for id in ids {
                query = query.bind((*id).to_owned());
            }
            for row in query.fetch_all(self.pool()).await? {
                let (digest, via): (String, String) = (row.get(1), row.get(2));
                let digest = Digest::parse(&digest).ok();
                all.insert(row.get(0), Known { digest, direct: via == provider.as_str() });
            }
        }
        Ok(all)
    }

    /// Entries that a reading of `via`'s catalogue can find gone: its own, and those known from it, by provider and id.
    pub async fn traced(
        &self,
        via: &Did,
        after: Option<&(String, String)>,
        most: i64,
    ) -> Result<Vec<(String, String, String)>, StoreError> {
        let (provider, id) = after.cloned().unwrap_or_default();
        let sql = "SELECT provider, id, via FROM (
                     SELECT provider, id, via FROM remote_products WHERE via = $1
                     UNION SELECT provider, id, via FROM remote_products WHERE provider = $1) AS traced
                   WHERE (provider, id) > ($2, $3) ORDER BY provider, id LIMIT $4";
        let query =
            sqlx::query(sql).bind(via.as_str().to_owned()).bind(provider).bind(id).bind(most);
        let rows = query.fetch_all(self.pool()).await?;
        Ok(rows.iter().map(|it| (it.get(0), it.get(1), it.get(2))).collect())
    }

    /// How many entries are known from a catalogue.
    pub async fn entries_via(&self, via: &Did) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM remote_products WHERE via = $1";
        let many = sqlx::query_scalar(sql).bind(via.as_str().to_owned());
        let many: i64 = many.fetch_one(self.pool()).await?;
        Ok(u64::try_from(many).unwrap_or(0))
    }

    /// What others offer, by provider and id, after `(provider, id)`.
    pub async fn remote(
        &self,
        after: Option<&(String, String)>,
        most: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let (provider, id) = after.cloned().unwrap_or_default();
        let sql = format!(
            "SELECT {FOUND} FROM remote_products WHERE (provider, id) > ($1, $2) ORDER BY provider, id LIMIT $3"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(provider).bind(id).bind(most);
        Ok(query.fetch_all(self.pool()).await?.iter().map(found).collect())
    }

    /// These entries, in their order; those that are gone are left out.
    pub async fn remote_of(&self, keys: &[(String, String)]) -> Result<Vec<Found>, StoreError> {
        let mut rows: BTreeMap<(String, String), Found> = BTreeMap::new();
        for keys in keys.chunks(200) {
            let sql = format!(
                "SELECT {FOUND} FROM remote_products WHERE (provider, id) IN (VALUES {})",
                places(keys.len(), 2, 1)
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for (provider, id) in keys {
                query = query.bind(provider.clone()).bind(id.clone());
            }
            let all = query.fetch_all(self.pool()).await?;
            rows.extend(all.iter().map(found).map(|it| ((it.provider.clone(), it.id.clone()), it)));
        }
        Ok(keys.iter().filter_map(|key| rows.remove(key)).collect())
    }

    /// One product of another node; with several providers of that id, the first.
    pub async fn remote_product(&self, id: &str) -> Result<Option<Found>, StoreError> {
        let sql =
            format!("SELECT {FOUND} FROM remote_products WHERE id = $1 ORDER BY provider LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.to_owned());
        Ok(row.fetch_optional(self.pool()).await?.as_ref().map(found))
    }

    /// What searches need of every entry, by provider and id.
    pub async fn indexed(
        &self,
        after: Option<&(String, String)>,
        most: i64,
    ) -> Result<Vec<Indexed>, StoreError> {
        let (provider, id) = after.cloned().unwrap_or_default();
        let sql = format!(
            "SELECT {INDEXED} FROM remote_products r WHERE (r.provider, r.id) > ($1, $2) ORDER BY r.provider, r.id LIMIT $3"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(provider).bind(id).bind(most);
        Ok(query.fetch_all(self.pool()).await?.iter().map(|it| indexed(it, 0)).collect())
    }

    /// Changes after a number, in order, each with its entry as it is now.
    pub async fn changes(&self, after: i64, most: i64) -> Result<Vec<Change>, StoreError> {
        let sql = format!(
            "SELECT c.seq, c.at, c.kind, c.provider, c.id, c.title, {INDEXED} FROM catalog_changes c
             LEFT JOIN remote_products r ON r.provider = c.provider AND r.id = c.id
             WHERE c.seq > $1 ORDER BY c.seq LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after).bind(most);
        let mut all = Vec::new();
        for row in query.fetch_all(self.pool()).await? {
            let kind: String = row.get(2);
            let kind =
                Kind::from_word(&kind).ok_or_else(|| bad("catalog_changes", "an unknown kind"))?;
            let there: Option<String> = row.get(6);
            all.push(Change {
                seq: row.get(0),
                at: Time::from_ms(row.get(1)),
                kind,
                provider: row.get(3),
                id: row.get(4),
                title: row.get(5),
                entry: there.map(|_| indexed(&row, 6)),
            });
        }
        Ok(all)
    }

    /// The first and last number of the changes that are kept.
    pub async fn changes_kept(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = "SELECT MIN(seq), MAX(seq) FROM catalog_changes";
        let row = sqlx::query(sql).fetch_one(self.pool()).await?;
        let (first, last): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        Ok(first.zip(last))
    }

    /// What distinguishes a change from another store's of the same number.
    pub async fn change_mark(&self, seq: i64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT at, provider, id FROM catalog_changes WHERE seq = $1";
        let row = sqlx::query(sql).bind(seq).fetch_optional(self.pool()).await?;
        Ok(row.map(|it| {
            format!("{} {} {}", it.get::<i64, _>(0), it.get::<String, _>(1), it.get::<String, _>(2))
        }))
    }
}

type Asked<'q> = Query<'q, sqlx::Any, AnyArguments>;

const COLUMNS: usize = 14;

fn bind<'q>(query: Asked<'q>, it: &Kept) -> Asked<'q> {
    let Kept { entry, from, address, .. } = it;
    query
        .bind(entry.id.to_string())
        .bind(from.provider.to_string())
        .bind(address.clone())
        .bind(entry.title.clone())
        .bind(entry.text.clone())
        .bind(from.changed.ms())
        .bind(entry.dataset.clone())
        .bind(joined(&entry.facets.formats))
        .bind(entry.facets.grade)
        .bind(written(&entry.facets.prices))
        .bind(entry.facets.free_word())
        .bind(from.via.to_string())
        .bind(from.request.clone())
        .bind(entry.digest.to_string())
}

/// Keeps entries, each of a provider at most once, and numbers what is to be announced.
pub async fn save_entries(
    conn: &mut AnyConnection,
    rows: &[Kept],
    at: Time,
) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO remote_products (id, provider, address, title, search, seen, dataset, formats, grade, prices, free, via, request, digest)
             VALUES {}
             ON CONFLICT (provider, id) DO UPDATE SET address = excluded.address, title = excluded.title,
             search = excluded.search, seen = excluded.seen, dataset = excluded.dataset, formats = excluded.formats,
             grade = excluded.grade, prices = excluded.prices, free = excluded.free, via = excluded.via,
             request = excluded.request, digest = excluded.digest",
            places(rows.len(), COLUMNS, 1)
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for it in rows {
            query = bind(query, it);
        }
        query.execute(&mut *conn).await?;
    }
    let told = rows.iter().filter_map(|it| {
        let (provider, id) = (it.from.provider.to_string(), it.entry.id.to_string());
        Some((it.announce?, provider, id, it.entry.title.clone()))
    });
    announce(conn, &told.collect::<Vec<_>>(), at).await
}

/// Removes entries that are gone.
pub async fn remove_entries(
    conn: &mut AnyConnection,
    keys: &[(String, String)],
    at: Time,
) -> Result<(), StoreError> {
    let mut told = Vec::new();
    for (provider, id) in keys {
        let sql = "DELETE FROM remote_products WHERE provider = $1 AND id = $2 RETURNING title";
        let title: Option<String> = sqlx::query_scalar(sql)
            .bind(provider.clone())
            .bind(id.clone())
            .fetch_optional(&mut *conn)
            .await?;
        told.extend(title.map(|it| (Kind::Gone, provider.clone(), id.clone(), it)));
    }
    announce(conn, &told, at).await
}

async fn announce(
    conn: &mut AnyConnection,
    told: &[(Kind, String, String, String)],
    at: Time,
) -> Result<(), StoreError> {
    let many = i64::try_from(told.len()).unwrap_or(i64::MAX);
    if many == 0 {
        return Ok(());
    }
    let mut seq = advance(conn, OTHERS, many).await? - many;
    for told in told.chunks(ROWS) {
        let sql = format!(
            "INSERT INTO catalog_changes (seq, at, kind, provider, id, title) VALUES {}",
            places(told.len(), 6, 1)
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for (kind, provider, id, title) in told {
            seq += 1;
            query = query.bind(seq).bind(at.ms()).bind(kind.word());
            query = query.bind(provider.clone()).bind(id.clone()).bind(title.clone());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Forgets changes up to a number.
pub async fn forget_changes(conn: &mut AnyConnection, up_to: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM catalog_changes WHERE seq <= $1";
    sqlx::query(sql).bind(up_to).execute(&mut *conn).await?;
    Ok(())
}
