//! Facts for readers: by what they are about, newest first, page by page.
//!
//! Never written here: facts are saved with the decision that made them ([`super::save`]).

use sqlx::Row as _;

use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::Fact;
use tidm_space::id::Id;
use tidm_space::lease::state::Lease;
use tidm_space::wire::record;

use super::load::{self, bad};
use super::read::{Cursor, Page};
use super::{Store, StoreError};

/// What facts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    Everything,
    Contract(Id),
    Product(Id),
    Negotiation(Id),
    Transfer(Id),
}

/// A fact and its place in the log, once it has one.
#[derive(Clone, Debug)]
pub struct Logged {
    pub fact: Fact,
    pub index: Option<u64>,
}

impl Store {
    /// Newest first.
    pub async fn facts(
        &self,
        about: &About,
        after: Option<&Cursor>,
        most: i64,
    ) -> Result<Page<Logged>, StoreError> {
        let (sql, id) = match about {
            About::Everything => (
                "SELECT seq, entry, log_index FROM facts WHERE seq < $1 AND $2 = '' ORDER BY seq DESC LIMIT $3",
                "",
            ),
            About::Contract(id) => (
                "SELECT seq, entry, log_index FROM facts WHERE seq < $1 AND contract = $2 ORDER BY seq DESC LIMIT $3",
                id.as_str(),
            ),
            About::Product(id) => (
                "SELECT seq, entry, log_index FROM facts WHERE seq < $1 AND product = $2 ORDER BY seq DESC LIMIT $3",
                id.as_str(),
            ),
            About::Negotiation(id) => (
                "SELECT seq, entry, log_index FROM facts WHERE seq < $1 AND negotiation = $2 ORDER BY seq DESC LIMIT $3",
                id.as_str(),
            ),
            About::Transfer(id) => (
                "SELECT seq, entry, log_index FROM facts WHERE seq < $1 AND transfer = $2 ORDER BY seq DESC LIMIT $3",
                id.as_str(),
            ),
        };
        let before = after.map_or(i64::MAX, |it| it.key);
        let found = sqlx::query(sql)
            .bind(before)
            .bind(id.to_owned())
            .bind(most + 1)
            .fetch_all(self.pool())
            .await?;
        let shown = usize::try_from(most).unwrap_or(usize::MAX);
        let more = found.len() > shown;
        let mut rows = Vec::with_capacity(found.len().min(shown));
        let mut last = 0;
        for row in found.iter().take(shown) {
            last = row.get(0);
            let fact =
                decode(&row.get::<Vec<u8>, _>(1)).map_err(|why| bad("facts", &why.to_string()))?;
            let index = row.get::<Option<i64>, _>(2).and_then(|it| u64::try_from(it).ok());
            rows.push(Logged { fact, index });
        }
        let next = more.then(|| Cursor { key: last, id: String::new() });
        Ok(Page { rows, next })
    }

    /// What the newest lease under a contract left over, where this node holds leases.
    pub async fn uses_left(&self, contract: &Id) -> Result<Option<u64>, StoreError> {
        Ok(self.newest_lease(contract).await?.and_then(|it| it.uses_left))
    }

    /// The same of ε, in millionths.
    pub async fn epsilon_left(&self, contract: &Id) -> Result<Option<u64>, StoreError> {
        Ok(self.newest_lease(contract).await?.and_then(|it| it.epsilon_left))
    }

    async fn newest_lease(&self, contract: &Id) -> Result<Option<Lease>, StoreError> {
        let sql =
            "SELECT record FROM leases WHERE contract = $1 ORDER BY granted DESC, id DESC LIMIT 1";
        let record: Option<String> =
            sqlx::query_scalar(sql).bind(contract.to_string()).fetch_optional(self.pool()).await?;
        load::read("leases", record.as_deref(), record::lease::decode)
    }
}
