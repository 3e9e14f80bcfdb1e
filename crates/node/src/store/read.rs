//! Reading for handlers and people: single rows and pages. Every list is paged by a cursor.
//!
//! Never used by decisions: those read inside their own transaction ([`super::load`]).

use sqlx::Row as _;

use tidm_space::catalog::product::Product;
use tidm_space::contract::Contract;
use tidm_space::engine::node::Groups;
use tidm_space::id::Id;
use tidm_space::lease::machine::Spent;
use tidm_space::lease::state::Lease;
use tidm_space::negotiation::state::Negotiation;
use tidm_space::transfer::state::Transfer;
use tidm_space::wire::record;

use super::load::{self, read};
use super::{Store, StoreError};

/// A page: rows, and the cursor after the last one if there are more.
#[derive(Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Of one row more than are shown, if there are so many.
    pub(super) fn cut(mut rows: Vec<T>, most: i64, at: impl Fn(&T) -> Cursor) -> Self {
        let most = usize::try_from(most).unwrap_or(0);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| more).map(at);
        Self { rows, next }
    }
}

/// Where the next page begins: the sort key and id of the last row shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub key: i64,
    pub id: String,
}

impl Cursor {
    /// As it travels in URLs.
    pub fn write(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{} {}", self.key, self.id))
    }

    pub fn parse(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (key, id) = text.split_once(' ')?;
        Some(Self { key: key.parse().ok()?, id: id.to_owned() })
    }
}

impl Store {
    pub async fn negotiation(&self, id: &Id) -> Result<Option<Negotiation>, StoreError> {
        let record = self.one("SELECT record FROM negotiations WHERE id = $1", id).await?;
        read("negotiations", record.as_deref(), record::negotiation::decode)
    }

    pub async fn transfer(&self, id: &Id) -> Result<Option<Transfer>, StoreError> {
        let record = self.one("SELECT record FROM transfers WHERE id = $1", id).await?;
        read("transfers", record.as_deref(), record::transfer::decode)
    }

    pub async fn contract(&self, id: &Id) -> Result<Option<Contract>, StoreError> {
        let record = self.one("SELECT record FROM contracts WHERE id = $1", id).await?;
        read("contracts", record.as_deref(), record::contract::decode)
    }

    pub async fn lease(&self, id: &Id) -> Result<Option<Lease>, StoreError> {
        let record = self.one("SELECT record FROM leases WHERE id = $1", id).await?;
        read("leases", record.as_deref(), record::lease::decode)
    }

    pub async fn product(&self, id: &Id) -> Result<Option<Product>, StoreError> {
        let record = self.one("SELECT record FROM products WHERE id = $1", id).await?;
        read("products", record.as_deref(), record::product::decode)
    }

    /// What was debited under a contract.
    pub async fn spent(&self, contract: &Id) -> Result<Spent, StoreError> {
        let mut conn = self.pool().acquire().await?;
        load::spent(&mut conn, contract).await
    }

    /// What of ε the consumer's legal entity has spent on the product of a contract of ours, in millionths, as the gate counts
    /// it: whom that is on record for, `groups` say.
    pub async fn epsilon_spent(
        &self,
        groups: &dyn Groups,
        it: &Contract,
    ) -> Result<u64, StoreError> {
        let on_record = groups.on_record(it);
        let mut conn = self.pool().acquire().await?;
        let own = load::spent(&mut conn, &it.id).await?.epsilon;
        let all = load::spent_by(&mut conn, &on_record, &it.product).await?;
        Ok(all.map_or(own, |all| all.epsilon.max(own)))
    }

    /// The latest time that any fact of ours bears: our clock never goes behind it (usage-control A7).
    pub async fn latest_fact(&self) -> Result<tidm_space::time::Time, StoreError> {
        let at: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(at), 0) FROM facts")
            .fetch_one(self.pool())
            .await?;
        Ok(tidm_space::time::Time::from_ms(at))
    }

    /// (row, entry) of a contract's facts after a row.
    pub async fn facts_of_contract(
        &self,
        contract: &Id,
        after: i64,
        most: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, entry FROM facts WHERE contract = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(contract.as_str().to_owned())
        .bind(after)
        .bind(most)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The same, of what was done as an operator; rows of before facts had a kind are among them, whatever they are.
    pub async fn share_facts_of(
        &self,
        contract: &Id,
        after: i64,
        most: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let sql = "SELECT seq, entry FROM facts WHERE contract = $1 AND kind IN ('share', '') AND seq > $2 ORDER BY seq LIMIT $3";
        let query = sqlx::query(sql).bind(contract.as_str().to_owned()).bind(after).bind(most);
        let rows = query.fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Newest first.
    pub async fn negotiations(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Negotiation>, StoreError> {
        let sql = "SELECT moved, id, record FROM negotiations WHERE (moved, id) < ($1, $2) ORDER BY moved DESC, id DESC LIMIT $3";
        self.page(sql, "negotiations", after, most, record::negotiation::decode).await
    }

    /// Those that wait for a person of ours, newest first.
    pub async fn inbox(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Negotiation>, StoreError> {
        let sql = "SELECT moved, id, record FROM negotiations WHERE awaits_approval = 1 AND (moved, id) < ($1, $2) ORDER BY moved DESC, id DESC LIMIT $3";
        self.page(sql, "negotiations", after, most, record::negotiation::decode).await
    }

    pub async fn transfers(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Transfer>, StoreError> {
        let sql = "SELECT moved, id, record FROM transfers WHERE (moved, id) < ($1, $2) ORDER BY moved DESC, id DESC LIMIT $3";
        self.page(sql, "transfers", after, most, record::transfer::decode).await
    }

    pub async fn contracts(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Contract>, StoreError> {
        let sql = "SELECT signed_at, id, record FROM contracts WHERE (signed_at, id) < ($1, $2) ORDER BY signed_at DESC, id DESC LIMIT $3";
        self.page(sql, "contracts", after, most, record::contract::decode).await
    }

    pub async fn products(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Product>, StoreError> {
        let sql = "SELECT published, id, record FROM products WHERE listed >= 1 AND (published, id) < ($1, $2) ORDER BY published DESC, id DESC LIMIT $3";
        self.page(sql, "products", after, most, record::product::decode).await
    }

    /// Wire forms of listed products, newest first: a catalogue page is a concatenation of these.
    pub async fn datasets(
        &self,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<String>, StoreError> {
        let sql = "SELECT published, id, dataset FROM products WHERE listed >= 1 AND (published, id) < ($1, $2) ORDER BY published DESC, id DESC LIMIT $3";
        self.page(sql, "products", after, most, |text| {
            Ok::<_, std::convert::Infallible>(text.to_owned())
        })
        .await
    }

    async fn page<T, E: std::fmt::Display>(
        &self,
        sql: &'static str,
        table: &'static str,
        after: Option<&Cursor>,
        most: i64,
        decode: fn(&str) -> Result<T, E>,
    ) -> Result<Page<T>, StoreError> {
        let (key, id) = after.map_or((i64::MAX, ""), |it| (it.key, it.id.as_str()));
        let found = sqlx::query(sql)
            .bind(key)
            .bind(id.to_owned())
            .bind(most + 1)
            .fetch_all(self.pool())
            .await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let more = found.len() > shown;
        let mut rows = Vec::with_capacity(found.len().min(shown));
        let mut next = None;
        for row in found.iter().take(shown) {
            let text: String = row.get(2);
            rows.extend(read(table, Some(&text), decode)?);
            next = Some(Cursor { key: row.get(0), id: row.get(1) });
        }
        Ok(Page { rows, next: next.filter(|_| more) })
    }

    async fn one(&self, sql: &'static str, id: &Id) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar(sql).bind(id.as_str().to_owned()).fetch_optional(self.pool()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_travel() {
        let it = Cursor { key: 17, id: "urn:uuid:x".to_owned() };
        assert_eq!(Cursor::parse(&it.write()), Some(it));
        for bad in ["", "!", "MTc", "eCB5"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
