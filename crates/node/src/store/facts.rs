//! Facts by what they are about: for receipts, reconciliation and lineage.
//!
//! Never a fact of another node: the store holds our own alone.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use tidm_space::evidence::encode::{self, decode};
use tidm_space::evidence::fact::Fact;
use tidm_space::id::Id;

use super::load::bad;
use super::{Store, StoreError};

/// Facts that one report or graph takes at most: a contract with a use a minute has half a million in a year. More is an
/// error, never a shorter report.
pub const FACTS_AT_ONCE: usize = 500_000;

/// Rows that are read at a time.
const PAGE: i64 = 1000;

const CONTRACT: &str =
    "SELECT seq, entry FROM facts WHERE contract = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// A fact's bytes and its place in the log, where it has one already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: Option<u64>,
    pub bytes: Vec<u8>,
}

impl Store {
    /// One fact as it is logged.
    pub async fn fact_entry(&self, id: &Id) -> Result<Option<Entry>, StoreError> {
        let row = sqlx::query("SELECT log_index, entry FROM facts WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            let index: Option<i64> = row.get(0);
            let index = index
                .map(u64::try_from)
                .transpose()
                .map_err(|_| bad("facts", "a negative place"))?;
            Ok(Entry { index, bytes: row.get(1) })
        })
        .transpose()
    }

    /// All our facts about a contract, oldest first.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] above [`FACTS_AT_ONCE`]: a report never leaves the rest out without a word.
    pub async fn contract_facts(&self, contract: &Id) -> Result<Vec<Fact>, StoreError> {
        self.facts_where(CONTRACT, contract, FACTS_AT_ONCE).await
    }

    /// Those of our facts about a contract that are of these kinds, oldest first. Other kinds, however many there are,
    /// neither take their place nor any memory.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] above [`FACTS_AT_ONCE`].
    pub async fn contract_facts_of(
        &self,
        contract: &Id,
        kinds: &[&str],
    ) -> Result<Vec<Fact>, StoreError> {
        self.facts_of(contract, kinds, FACTS_AT_ONCE).await
    }

    async fn facts_of(
        &self,
        contract: &Id,
        kinds: &[&str],
        most: usize,
    ) -> Result<Vec<Fact>, StoreError> {
        let mut found: Vec<(i64, Fact)> = Vec::new();
        // A row of before facts had a kind is looked into.
        for kind in kinds.iter().chain(&[""]) {
            let mut after = 0;
            loop {
                let sql = "SELECT seq, entry FROM facts WHERE contract = $1 AND kind = $2 AND seq > $3 ORDER BY seq LIMIT $4";
                let rows = sqlx::query(sql)
                    .bind(contract.to_string())
                    .bind((*kind).to_owned())
                    .bind(after)
                    .bind(PAGE)
                    .fetch_all(self.pool())
                    .await?;
                let Some(last) = rows.last() else { break };
                after = last.get(0);
                for row in &rows {
                    let fact = read(row)?;
                    if kinds.contains(&encode::kind(&fact.what)) {
                        found.push((row.get(0), fact));
                    }
                }
                bounded(found.len(), most)?;
            }
        }
        found.sort_by_key(|it| it.0);
        Ok(found.into_iter().map(|it| it.1).collect())
    }

    /// Our facts that name this id as product, negotiation, contract or transfer.
    pub async fn facts_about(&self, id: &Id) -> Result<Vec<Fact>, StoreError> {
        let mut all = Vec::new();
        for sql in [
            "SELECT seq, entry FROM facts WHERE product = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            "SELECT seq, entry FROM facts WHERE negotiation = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            CONTRACT,
            "SELECT seq, entry FROM facts WHERE transfer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        ] {
            all.extend(self.facts_where(sql, id, FACTS_AT_ONCE).await?);
        }
        Ok(all)
    }

    /// How a product version came to be.
    pub async fn publication_facts(&self, product: &Id) -> Result<Vec<Fact>, StoreError> {
        let sql = "SELECT seq, entry FROM facts WHERE product = $1 AND contract IS NULL AND seq > $2 ORDER BY seq LIMIT $3";
        self.facts_where(sql, product, FACTS_AT_ONCE).await
    }

    /// Page by page, so that rows and facts are never there twice, up to the most that are taken.
    async fn facts_where(
        &self,
        sql: &'static str,
        id: &Id,
        most: usize,
    ) -> Result<Vec<Fact>, StoreError> {
        let (mut facts, mut after) = (Vec::new(), 0_i64);
        loop {
            let page = sqlx::query(sql).bind(id.to_string()).bind(after).bind(PAGE);
            let rows = page.fetch_all(self.pool()).await?;
            let Some(last) = rows.last() else { return Ok(facts) };
            after = last.get(0);
            for row in &rows {
                facts.push(read(row)?);
            }
            bounded(facts.len(), most)?;
        }
    }
}

fn read(row: &AnyRow) -> Result<Fact, StoreError> {
    let entry: Vec<u8> = row.get(1);
    decode(&entry).map_err(|it| bad("facts", &it.to_string()))
}

fn bounded(found: usize, most: usize) -> Result<(), StoreError> {
    if found > most { Err(StoreError::TooMany { what: "facts", most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use tidm_space::contract::End;
    use tidm_space::engine::commit::Commit;
    use tidm_space::evidence::fact::{Links, What};
    use tidm_space::negotiation::message::Role;
    use tidm_space::policy::usage::Use;

    use super::*;
    use crate::store::tests::world::{at, did, each, id, put, run_on};

    fn fact(number: i64, what: What) -> Fact {
        let links = Links { contract: Some(id("urn:agreement:1")), ..Links::default() };
        Fact {
            id: id(&format!("urn:fact:{number}")),
            at: at(number),
            by: did("did:web:me"),
            links,
            what,
        }
    }

    #[tokio::test]
    async fn a_flood_of_one_kind_hides_no_other_and_what_is_too_much_is_said() {
        each(async |place| {
            let store = place.store().await;
            let refused = |number| {
                let (code, rule) = ("policy.denied".to_owned(), "odrl:purpose".to_owned());
                fact(number, What::LeaseRefused { kind: Use::Query, code, rule, more: 0 })
            };
            let mut facts: Vec<Fact> = (0..2500).map(refused).collect();
            let reason = "over".to_owned();
            facts.push(fact(
                2500,
                What::ContractEnded { why: End::Revoked, by: Role::Provider, reason },
            ));
            facts.push(fact(2501, What::GaveUp { code: "peer.unreachable".to_owned() }));
            put(&store, &Commit { facts: facts.clone(), ..Commit::default() }).await;
            let contract = id("urn:agreement:1");
            let kinds = ["gave-up", "contract-ended"];
            assert_eq!(store.facts_of(&contract, &kinds, 2).await.unwrap(), facts[2500..]);
            // Also of rows that were written before a row had its kind.
            run_on(&place.url, "UPDATE facts SET kind = ''".to_owned()).await;
            assert_eq!(store.facts_of(&contract, &kinds, 2).await.unwrap(), facts[2500..]);
            assert_eq!(store.contract_facts(&contract).await.unwrap(), facts);
            let cut = store.facts_where(CONTRACT, &contract, 2501).await;
            assert!(matches!(cut, Err(StoreError::TooMany { most: 2501, .. })), "{cut:?}");
            let cut = store.facts_of(&contract, &kinds, 1).await;
            assert!(matches!(cut, Err(StoreError::TooMany { most: 1, .. })), "{cut:?}");
        })
        .await;
    }
}
