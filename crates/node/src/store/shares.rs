//! Operator: what was answered for each nonce, and what nothing is released for.
//!
//! Never decides: `tidm_space::share::decide` does, inside the transaction that keeps its answer and fact. Answers are kept
//! as long as their leases may be shown again; they are under keys that the operator does not have.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::{Digest, sha256};
use tidm_space::engine::refusal::Tally;
use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::{Fact, Links, ShareAct, What};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::limits::{CLOCK_SKEW, HOLDS, SHARE_FRESH, SHARES_A_MINUTE};
use tidm_space::share::{Answered, Asked, Deposit, Hold, Shown, Verdict, decide};
use tidm_space::time::Time;

use super::load::{bad, tally};
use super::save::{save_fact, save_tally};
use super::writer::{WorkError, Writer};
use super::{Store, StoreError};

/// Facts that are looked at to know a consumer again: the newest, of which at most one a minute and code is a refusal.
const RECENT: i64 = 100;

/// A share that is asked for, with the answer if there is to be one.
#[derive(Clone, Debug)]
pub struct Question {
    pub me: Did,
    pub from: Did,
    pub deposit: Deposit,
    pub shown: Shown,
    pub answer: Vec<u8>,
}

impl Question {
    fn fact(&self, id: Id, act: ShareAct, detail: String, at: Time) -> Fact {
        let it = &self.shown;
        let links = Links {
            peer: Some(self.from.clone()),
            product: Some(self.deposit.product.clone()),
            contract: Some(it.contract.clone()),
            lease: Some(it.lease.clone()),
            ..Links::default()
        };
        let what = What::Share {
            act,
            provider: it.provider.to_string(),
            detail,
            key: Some(sha256(&it.key)),
        };
        Fact { id, at, by: self.me.clone(), links, what }
    }

    /// As rows name it.
    fn nonce(&self) -> String {
        sha256(&self.shown.nonce).to_string()
    }
}

type Outcome = Result<Vec<u8>, Fault>;

/// Decides, keeps answer and fact, and gives the one answer of this nonce.
pub async fn answer(writer: &Writer, it: Question, now: Time) -> Result<Vec<u8>, WorkError> {
    let outcome: Arc<Mutex<Option<Outcome>>> = Arc::default();
    let id = Id::from(uuid::Uuid::now_v7());
    let (it, slot) = (Arc::new(it), outcome.clone());
    writer
        .note(move |conn| {
            let (it, slot, id) = (it.clone(), slot.clone(), id.clone());
            Box::pin(async move {
                let done = decided(conn, &it, id, now).await?;
                // Set anew at every try: a transaction that was rolled back answered nothing.
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                Ok(())
            })
        })
        .await?;
    let done = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(done.ok_or(Fault::ApiMisuse("a question about a share without an answer"))??)
}

async fn decided(
    conn: &mut AnyConnection,
    it: &Question,
    id: Id,
    now: Time,
) -> Result<Outcome, StoreError> {
    let asked = Asked { me: &it.me, from: &it.from, deposit: &it.deposit, shown: &it.shown };
    let holds = holds_on(conn, asked.subjects()).await?;
    let earlier = earlier(conn, &it.shown.provider, &it.nonce()).await?;
    match decide(asked, &holds, earlier.as_ref(), now) {
        Ok(Verdict::Again(answer)) => Ok(Ok(answer)),
        _ if too_many(conn, &it.shown.provider, now).await? => Ok(Err(busy(&it.shown.provider))),
        Ok(Verdict::Fresh) => {
            save_answer(conn, it, now).await?;
            save_fact(conn, &it.fact(id, ShareAct::Released, String::new(), now)).await?;
            Ok(Ok(it.answer.clone()))
        }
        Err(fault) => {
            let contract = &it.shown.contract;
            let counted_as = format!("share {}", fault.code());
            let found = tally(conn, contract, &counted_as).await?;
            let (told, now_counted) = Tally::next(found, (contract, &counted_as), now);
            save_tally(conn, &now_counted).await?;
            if let Some(more) = told {
                let mut detail = fault.code().to_owned();
                if more > 0 {
                    detail = format!("{detail}; {more} more before, each as this one");
                }
                save_fact(conn, &it.fact(id, ShareAct::Refused, detail, now)).await?;
            }
            Ok(Err(fault))
        }
    }
}

/// Counts what is asked for under a provider's leases, by the minute, and says whether it is more than is answered.
async fn too_many(conn: &mut AnyConnection, provider: &Did, now: Time) -> Result<bool, StoreError> {
    let whose = Id::parse(provider.as_str()).map_err(|_| bad("refusals", "a DID is no id"))?;
    let code = "share asked";
    let found = tally(conn, &whose, code).await?;
    let (_, counted) = Tally::next(found, (&whose, code), now);
    if counted.more >= SHARES_A_MINUTE {
        return Ok(true);
    }
    save_tally(conn, &counted).await?;
    Ok(false)
}

fn busy(provider: &Did) -> Fault {
    let reason =
        format!("too many shares were asked for under leases of {provider} in this minute");
    Fault::Unavailable { reason, retry_after: Duration::from_secs(60) }
}

async fn earlier(
    conn: &mut AnyConnection,
    provider: &Did,
    nonce: &str,
) -> Result<Option<Answered>, StoreError> {
    let sql =
        "SELECT one_time, lease, answer FROM share_answers WHERE provider = $1 AND nonce = $2";
    let row = sqlx::query(sql)
        .bind(provider.to_string())
        .bind(nonce.to_owned())
        .fetch_optional(&mut *conn)
        .await?;
    row.map(|row| {
        let damaged = |why: &str| bad("share_answers", why);
        Ok(Answered {
            key: Digest::parse(&row.get::<String, _>(0)).map_err(|_| damaged("not a digest"))?,
            lease: Id::parse(&row.get::<String, _>(1)).map_err(|_| damaged("not an id"))?,
            answer: row.get(2),
        })
    })
    .transpose()
}

async fn save_answer(conn: &mut AnyConnection, it: &Question, now: Time) -> Result<(), StoreError> {
    // What is older is shown by no lease that `decide` takes, whatever the clocks.
    let old = SHARE_FRESH.saturating_add(CLOCK_SKEW).saturating_mul(4);
    let old = now.ms().saturating_sub(i64::try_from(old.as_millis()).unwrap_or(i64::MAX));
    sqlx::query("DELETE FROM share_answers WHERE at < $1").bind(old).execute(&mut *conn).await?;
    let sql = "INSERT INTO share_answers (provider, nonce, one_time, lease, answer, at) VALUES ($1,$2,$3,$4,$5,$6)";
    sqlx::query(sql)
        .bind(it.shown.provider.to_string())
        .bind(it.nonce())
        .bind(sha256(&it.shown.key).to_string())
        .bind(it.shown.lease.to_string())
        .bind(it.answer.clone())
        .bind(now.ms())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

fn hold(row: &AnyRow) -> Hold {
    Hold { subject: row.get(0), reason: row.get(1), at: Time::from_ms(row.get(2)) }
}

async fn holds_on(conn: &mut AnyConnection, subjects: [&str; 3]) -> Result<Vec<Hold>, StoreError> {
    let sql =
        "SELECT subject, reason, at FROM share_holds WHERE subject IN ($1,$2,$3) ORDER BY subject";
    let mut query = sqlx::query(sql);
    for it in subjects {
        query = query.bind(it.to_owned());
    }
    Ok(query.fetch_all(&mut *conn).await?.iter().map(hold).collect())
}

impl Store {
    /// What is held of these.
    pub async fn hold_on(&self, subjects: [&str; 3]) -> Result<Vec<Hold>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        holds_on(&mut conn, subjects).await
    }

    /// Whether a share of this contract and provider was released to this consumer: both were proven then.
    pub async fn released_to(
        &self,
        contract: &Id,
        (provider, consumer): (&Did, &Did),
    ) -> Result<bool, StoreError> {
        let sql = "SELECT entry FROM facts WHERE contract = $1 AND kind = 'share' AND peer = $2 ORDER BY seq DESC LIMIT $3";
        let rows = sqlx::query(sql)
            .bind(contract.to_string())
            .bind(consumer.to_string())
            .bind(RECENT)
            .fetch_all(self.pool())
            .await?;
        for row in rows {
            let entry: Vec<u8> = row.get(0);
            let fact = decode(&entry).map_err(|why| bad("facts", &why.to_string()))?;
            if let What::Share { act: ShareAct::Released, provider: of, .. } = &fact.what
                && *of == provider.as_str()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All that is held, the newest first.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let sql = "SELECT subject, reason, at FROM share_holds ORDER BY at DESC, subject LIMIT $1";
        let rows = sqlx::query(sql).bind(HOLDS).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(hold).collect())
    }
}

/// Puts a hold on a contract or participant, or takes it away (`reason` is none), with its fact.
pub async fn set_hold(
    writer: &Writer,
    me: &Did,
    subject: &Id,
    reason: Option<String>,
    now: Time,
) -> Result<(), WorkError> {
    let act = if reason.is_some() { ShareAct::Held } else { ShareAct::Freed };
    let is_contract = Did::parse(subject.as_str()).is_err();
    let links = Links { contract: is_contract.then(|| subject.clone()), ..Links::default() };
    let detail =
        reason.as_ref().map_or_else(|| subject.to_string(), |it| format!("{subject}: {it}"));
    let what = What::Share { act, provider: me.to_string(), detail, key: None };
    let fact = Fact { id: Id::from(uuid::Uuid::now_v7()), at: now, by: me.clone(), links, what };
    let subject = subject.to_string();
    writer
        .note(move |conn| {
            let (subject, reason, fact) = (subject.clone(), reason.clone(), fact.clone());
            Box::pin(async move { hold_one(conn, subject, reason, now, &fact).await })
        })
        .await
}

async fn hold_one(
    conn: &mut AnyConnection,
    subject: String,
    reason: Option<String>,
    now: Time,
    fact: &Fact,
) -> Result<(), StoreError> {
    let done = match reason {
        Some(reason) => {
            let sql = "INSERT INTO share_holds (subject, reason, at) VALUES ($1,$2,$3)
             ON CONFLICT (subject) DO UPDATE SET reason = excluded.reason, at = excluded.at";
            sqlx::query(sql).bind(subject).bind(reason).bind(now.ms()).execute(&mut *conn).await?
        }
        None => {
            let sql = "DELETE FROM share_holds WHERE subject = $1";
            sqlx::query(sql).bind(subject).execute(&mut *conn).await?
        }
    };
    // Taking away what is not there is no fact.
    if done.rows_affected() > 0 {
        save_fact(conn, fact).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::world::{Node, at, did, each, id, number};

    fn question(n: u64, from: &str) -> Question {
        let did = |it: &str| did(&format!("did:web:{it}.example"));
        let deposit = Deposit {
            contract: id("urn:contract:1"),
            product: id("urn:product:1"),
            provider: did("p"),
            consumer: did("c"),
            operator: did("o"),
            policy: sha256(b"signed"),
            wrapped: vec![7; 80],
        };
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&n.to_be_bytes());
        let shown = Shown {
            lease: id(&format!("urn:lease:{n}")),
            contract: deposit.contract.clone(),
            provider: did("p"),
            consumer: did("c"),
            operator: did("o"),
            nonce,
            key: [2; 32],
            granted: at(0),
            until: at(600),
        };
        Question { me: did("o"), from: did(from), deposit, shown, answer: vec![9] }
    }

    /// Whoever is refused again and again, or signs leases without end, fills no log; the next minute it is heard again.
    #[tokio::test]
    async fn refusals_share_a_fact_and_answers_have_a_bound() {
        each(async |place| {
            let node = Node::start(&place, "o").await;
            let facts = async || {
                number(&node.store, "SELECT COUNT(*) FROM facts WHERE kind = 'share'").await
            };
            for n in 0..20 {
                let refused = answer(&node.writer, question(n, "stranger"), at(1)).await;
                assert!(matches!(refused, Err(WorkError::Fault(Fault::Denied { .. }))));
            }
            assert_eq!(facts().await, 1);
            for n in 20..SHARES_A_MINUTE {
                assert!(answer(&node.writer, question(n, "c"), at(1)).await.is_ok(), "{n}");
            }
            let told = facts().await;
            for n in SHARES_A_MINUTE..SHARES_A_MINUTE + 5 {
                let busy = answer(&node.writer, question(n, "c"), at(1)).await;
                assert!(matches!(busy, Err(WorkError::Fault(Fault::Unavailable { .. }))), "{n}");
            }
            assert_eq!(facts().await, told);
            // What was answered is answered again, whatever the number.
            assert!(answer(&node.writer, question(30, "c"), at(1)).await.is_ok());
            assert!(answer(&node.writer, question(700, "c"), at(61)).await.is_ok());
        })
        .await;
    }
}
