//! Rows of digital contracts: which code names which negotiation, and what was said about it at TC609's interfaces.
//!
//! Never changes a code once it is given, and never a message once it is answered.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_space::id::Id;
use tidm_space::tc609::code::ContractCode;
use tidm_space::tc609::message::{Instance, Interface};
use tidm_space::time::Time;

use super::load::bad;
use super::{Store, StoreError};

/// A contract's code and what of the contract only TC609 knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    pub code: ContractCode,
    /// `None`: created, and nothing was proposed to anybody.
    pub negotiation: Option<Id>,
    pub made: Time,
    pub record: Record,
}

/// Empty for a deal that did not begin at these interfaces. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    pub name: Option<String>,
    pub summary: Option<String>,
    pub issued: Option<i64>,
    pub from: Option<i64>,
    pub until: Option<i64>,
    pub filed: Option<Filed>,
    /// Why it ended before anything was proposed.
    pub withdrawn: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    pub at: i64,
    pub hash: String,
}

/// A message and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The interface.
    pub path: String,
    /// What the standard, or the call, knows it by.
    pub id: String,
    /// The contract's code; empty where there was none yet.
    pub code: String,
    pub at: Time,
    /// SHA-256 of the body.
    pub digest: String,
    pub body: String,
    pub answer: String,
}

/// To whom a proof is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Receiver {
    /// The other party of the contract.
    Peer,
    /// The platform in whose name contracts get their codes.
    Platform,
}

impl Receiver {
    const ALL: [Self; 2] = [Self::Peer, Self::Platform];

    pub fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Platform => "platform",
        }
    }
}

/// A proof that this node owes; empty until it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    pub contract: Id,
    pub to: Receiver,
    pub next: Time,
    pub tries: u32,
    pub body: String,
}

/// When a proof is due that was answered, or given up.
const NEVER: i64 = i64::MAX;

const DEAL: &str = "code, negotiation, made, record";
const SAID: &str = "path, id, code, at, digest, body, answer";

fn deal(row: &AnyRow) -> Result<Deal, StoreError> {
    let wrong = |why: &str| bad("tc609_contracts", why);
    let negotiation: Option<String> = row.get(1);
    let negotiation = negotiation.map(|it| Id::parse(&it).map_err(|_| wrong("an id")));
    Ok(Deal {
        code: ContractCode::parse(&row.get::<String, _>(0)).map_err(|_| wrong("a code"))?,
        negotiation: negotiation.transpose()?,
        made: Time::from_ms(row.get(2)),
        record: serde_json::from_str(&row.get::<String, _>(3))
            .map_err(|why| wrong(&why.to_string()))?,
    })
}

fn said(row: &AnyRow) -> Said {
    Said {
        path: row.get(0),
        id: row.get(1),
        code: row.get(2),
        at: Time::from_ms(row.get(3)),
        digest: row.get(4),
        body: row.get(5),
        answer: row.get(6),
    }
}

impl Store {
    pub async fn deal(&self, code: &ContractCode) -> Result<Option<Deal>, StoreError> {
        let sql = format!("SELECT {DEAL} FROM tc609_contracts WHERE code = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(code.as_str().to_owned());
        query.fetch_optional(self.pool()).await?.as_ref().map(deal).transpose()
    }

    pub async fn deal_of(&self, negotiation: &Id) -> Result<Option<Deal>, StoreError> {
        let sql = format!("SELECT {DEAL} FROM tc609_contracts WHERE negotiation = $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(negotiation.to_string());
        query.fetch_optional(self.pool()).await?.as_ref().map(deal).transpose()
    }

    /// Newest first.
    pub async fn deals(&self, most: i64) -> Result<Vec<Deal>, StoreError> {
        let sql =
            format!("SELECT {DEAL} FROM tc609_contracts ORDER BY made DESC, code DESC LIMIT $1");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(most);
        query.fetch_all(self.pool()).await?.iter().map(deal).collect()
    }

    pub async fn tc609_message(&self, path: &str, id: &str) -> Result<Option<Said>, StoreError> {
        let sql = format!("SELECT {SAID} FROM tc609_messages WHERE path = $1 AND id = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(path.to_owned());
        let found = query.bind(id.to_owned()).fetch_optional(self.pool()).await?;
        Ok(found.as_ref().map(said))
    }

    /// What was said about a contract, oldest first.
    pub async fn tc609_messages(&self, code: &str, most: i64) -> Result<Vec<Said>, StoreError> {
        let sql = format!(
            "SELECT {SAID} FROM tc609_messages WHERE code = $1 ORDER BY at, path, id LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(code.to_owned()).bind(most);
        Ok(query.fetch_all(self.pool()).await?.iter().map(said).collect())
    }

    /// Whether this policy instance was sent for its contract.
    pub async fn tc609_instance(&self, of: &Instance) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM tc609_messages
            WHERE code = $1 AND path = $2 AND substr(id, 1, length($3)) = $3 LIMIT 1";
        let query = sqlx::query(sql).bind(of.contract.to_string());
        let query = query.bind(Interface::Strategy.path().to_owned()).bind(of.prefix());
        Ok(query.fetch_optional(self.pool()).await?.is_some())
    }

    /// Whether a lease was ever granted or held under a contract.
    pub async fn was_used(&self, contract: &Id) -> Result<bool, StoreError> {
        let sql = "SELECT COUNT(*) FROM leases WHERE contract = $1";
        let found: i64 =
            sqlx::query_scalar(sql).bind(contract.to_string()).fetch_one(self.pool()).await?;
        Ok(found > 0)
    }

    /// Proofs that are to be sent by now.
    pub async fn owed_proofs(&self, now: Time, most: i64) -> Result<Vec<Owed>, StoreError> {
        let sql = "SELECT contract, receiver, next, tries, body FROM proofs_owed WHERE next <= $1 ORDER BY next LIMIT $2";
        let rows = sqlx::query(sql).bind(now.ms()).bind(most).fetch_all(self.pool()).await?;
        let read = |row: &AnyRow| {
            let wrong = |why: &str| bad("owed_proofs", why);
            let contract: String = row.get(0);
            let (to, tries): (String, i64) = (row.get(1), row.get(3));
            let to = Receiver::ALL.into_iter().find(|it| it.name() == to);
            Ok(Owed {
                contract: Id::parse(&contract).map_err(|_| wrong("an id"))?,
                to: to.ok_or_else(|| wrong("a receiver"))?,
                next: Time::from_ms(row.get(2)),
                tries: u32::try_from(tries).map_err(|_| wrong("a number of tries"))?,
                body: row.get(4),
            })
        };
        rows.iter().map(read).collect()
    }

    /// What is still to be sent for this contract to that receiver; empty before it is made.
    pub async fn owed_proof(
        &self,
        contract: &Id,
        to: Receiver,
    ) -> Result<Option<String>, StoreError> {
        let sql =
            "SELECT body FROM proofs_owed WHERE contract = $1 AND receiver = $2 AND next < $3";
        let query = sqlx::query_scalar(sql).bind(contract.to_string()).bind(to.name()).bind(NEVER);
        Ok(query.fetch_optional(self.pool()).await?)
    }

    /// Whether a proof under this contract's code is kept.
    pub async fn has_proof(&self, code: &ContractCode) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM tc609_messages WHERE code = $1 AND path = $2 LIMIT 1";
        let query = sqlx::query(sql).bind(code.to_string());
        let query = query.bind(Interface::Proof.path().to_owned());
        Ok(query.fetch_optional(self.pool()).await?.is_some())
    }

    /// Terms that were on the table in a negotiation, oldest first: when, their digest, and the policy as JSON.
    pub async fn offered_terms(
        &self,
        negotiation: &Id,
    ) -> Result<Vec<(Time, String, String)>, StoreError> {
        let sql = "SELECT at, digest, policy FROM offered_terms WHERE negotiation = $1 ORDER BY at, digest";
        let rows = sqlx::query(sql).bind(negotiation.to_string()).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(|it| (Time::from_ms(it.get(0)), it.get(1), it.get(2))).collect())
    }
}

/// Gives a code, unless the code or the negotiation has its like already.
pub async fn insert(conn: &mut AnyConnection, it: &Deal) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tc609_contracts (code, negotiation, made, record) VALUES ($1,$2,$3,$4) ON CONFLICT DO NOTHING",
    )
    .bind(it.code.as_str().to_owned())
    .bind(it.negotiation.as_ref().map(ToString::to_string))
    .bind(it.made.ms())
    .bind(record(&it.record)?)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// Saves what changed; a code keeps the negotiation that it got first.
pub async fn update(conn: &mut AnyConnection, it: &Deal) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE tc609_contracts SET negotiation = COALESCE(negotiation, $2), record = $3 WHERE code = $1",
    )
    .bind(it.code.as_str().to_owned())
    .bind(it.negotiation.as_ref().map(ToString::to_string))
    .bind(record(&it.record)?)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

fn record(it: &Record) -> Result<String, StoreError> {
    serde_json::to_string(it).map_err(|why| bad("tc609_contracts", &why.to_string()))
}

/// Keeps a message with its answer; the first of its kind stays.
pub async fn keep(conn: &mut AnyConnection, it: &Said) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tc609_messages (path, id, code, at, digest, body, answer) VALUES ($1,$2,$3,$4,$5,$6,$7)
         ON CONFLICT (path, id) DO NOTHING",
    )
    .bind(it.path.clone())
    .bind(it.id.clone())
    .bind(it.code.clone())
    .bind(it.at.ms())
    .bind(it.digest.clone())
    .bind(it.body.clone())
    .bind(it.answer.clone())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// A proof is owed from now on; once for each contract and receiver, and with the body that another receiver got.
pub async fn owe(
    conn: &mut AnyConnection,
    contract: &Id,
    to: Receiver,
    now: Time,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO proofs_owed (contract, receiver, next, tries, body)
         VALUES ($1, $2, $3, 0, COALESCE((SELECT MAX(body) FROM proofs_owed WHERE contract = $4), ''))
         ON CONFLICT (contract, receiver) DO NOTHING",
    )
    .bind(contract.to_string())
    .bind(to.name())
    .bind(now.ms())
    .bind(contract.to_string())
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// What is sent, to all receivers: the first body that was made stays.
pub async fn made(conn: &mut AnyConnection, contract: &Id, body: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE proofs_owed SET body = $2 WHERE contract = $1 AND body = ''")
        .bind(contract.to_string())
        .bind(body.to_owned())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// When it is sent next. One that was answered meanwhile is owed no more.
pub async fn postpone(conn: &mut AnyConnection, it: &Owed) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE proofs_owed SET next = $3, tries = $4 WHERE contract = $1 AND receiver = $2 AND next < $5",
    )
    .bind(it.contract.to_string())
    .bind(it.to.name())
    .bind(it.next.ms())
    .bind(i64::from(it.tries))
    .bind(NEVER)
    .execute(&mut *conn)
    .await?;
    Ok(())
}

/// It is owed no more; what was answered is kept.
pub async fn answered(
    conn: &mut AnyConnection,
    contract: &Id,
    to: Receiver,
    said: Option<&Said>,
) -> Result<(), StoreError> {
    if let Some(said) = said {
        keep(conn, said).await?;
    }
    // The row stays, so that the same contract never owes its receiver another: never due.
    sqlx::query("UPDATE proofs_owed SET next = $3 WHERE contract = $1 AND receiver = $2")
        .bind(contract.to_string())
        .bind(to.name())
        .bind(NEVER)
        .execute(&mut *conn)
        .await?;
    Ok(())
}
