//! From [`Needs`] to [`View`]: what a decision looks at, in the transaction that saves it.
//!
//! Never a list without a bound: everything is by primary key or unique index, save the open leases and
//! transfers of one contract, which the contract's own limits bound.

use sqlx::{AnyConnection, Row as _};

use tidm_crypto::hash::Digest;
use tidm_space::engine::commit::Seen;
use tidm_space::engine::refusal::{MISSED, MISSED_TOLD, MISSED_UNTOLD, Tally, missed};
use tidm_space::engine::view::{More, Needs, View};
use tidm_space::id::Id;
use tidm_space::identity::member::Group;
use tidm_space::lease::machine::{DebitKind, Spent};
use tidm_space::limits::OPEN_NEGOTIATIONS;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::wire::record;

use super::StoreError;

/// What is published gets its time in the transaction that saves it, so the latest is the newest.
pub(super) const NEWEST_OF_LINE: &str =
    "SELECT record FROM products WHERE line = $1 ORDER BY published DESC, id DESC LIMIT 1";

/// A few rows for each contract of the legal entity about the line; they are summed up already.
const SPENT_OF_GROUP: &str = "SELECT spent.kind, CAST(SUM(spent.amount) AS BIGINT) FROM contracts
  JOIN products ON products.id = contracts.product JOIN spent ON spent.contract = contracts.id
  WHERE contracts.grp = $1 AND contracts.role = 'provider' AND products.line = $2 GROUP BY spent.kind";

const STARTS_OF_GROUP: &str = "SELECT debits.at FROM contracts
  JOIN products ON products.id = contracts.product
  JOIN debits ON debits.contract = contracts.id AND debits.kind = 'use'
  WHERE contracts.grp = $1 AND contracts.role = 'provider' AND products.line = $2 AND debits.at > $3
  ORDER BY debits.at DESC LIMIT $4";

/// Loads all that is asked for.
pub async fn load(conn: &mut AnyConnection, needs: &Needs) -> Result<View, StoreError> {
    let mut view = View::default();
    if let Some((peer, id)) = &needs.message {
        let row = sqlx::query("SELECT digest, at FROM seen WHERE peer = $1 AND id = $2")
            .bind(peer.as_str())
            .bind(id.as_str())
            .fetch_optional(&mut *conn)
            .await?;
        if let Some(row) = row {
            let digest: String = row.get(0);
            let digest = Digest::parse(&digest).map_err(|_| bad("seen", "not a digest"))?;
            view.seen = Some(Seen {
                peer: peer.clone(),
                id: id.clone(),
                digest,
                at: Time::from_ms(row.get(1)),
            });
        }
    }
    if let Some(id) = &needs.negotiation {
        let record =
            one(conn, "SELECT record FROM negotiations WHERE id = $1", &[id.as_str()]).await?;
        view.negotiation = read("negotiations", record.as_deref(), record::negotiation::decode)?;
    }
    if let Some((peer, pid)) = &needs.negotiation_of {
        let sql = "SELECT record FROM negotiations WHERE peer = $1 AND peer_pid = $2";
        let record = one(conn, sql, &[peer.as_str(), pid.as_str()]).await?;
        view.negotiation = read("negotiations", record.as_deref(), record::negotiation::decode)?;
    }
    if let Some(peer) = &needs.open_with {
        // Counted up to the limit that is asked about, however many there are.
        let sql = "SELECT COUNT(*) FROM (SELECT id FROM negotiations WHERE peer = $1 AND open = 1 LIMIT $2) AS counted";
        let open: i64 = sqlx::query_scalar(sql)
            .bind(peer.as_str())
            .bind(i64::from(OPEN_NEGOTIATIONS))
            .fetch_one(&mut *conn)
            .await?;
        view.open_negotiations = u32::try_from(open).unwrap_or(u32::MAX);
    }
    load_product(conn, needs, &mut view).await?;
    load_transfer(conn, needs, &mut view).await?;
    load_lease(conn, needs, &mut view).await?;
    super::planes::load(conn, needs, &mut view).await?;
    if let Some(id) = contract_wanted(needs, &view) {
        let record =
            one(conn, "SELECT record FROM contracts WHERE id = $1", &[id.as_str()]).await?;
        view.contract = read("contracts", record.as_deref(), record::contract::decode)?;
        if needs.refusals {
            view.refusals = refusals(conn, id).await?;
        } else if let Some(lease) = &needs.missed {
            for code in [&*missed(lease), MISSED_TOLD, MISSED_UNTOLD] {
                view.refusals.extend(tally(conn, &id, code).await?);
            }
        }
    }
    Ok(view)
}

/// One row for each code, of which there are few; without those of single leases.
async fn refusals(conn: &mut AnyConnection, contract: Id) -> Result<Vec<Tally>, StoreError> {
    let sql = "SELECT code, minute, more FROM refusals WHERE contract = $1 AND code NOT LIKE $2";
    let query = sqlx::query(sql).bind(contract.to_string()).bind(format!("{MISSED}%"));
    let rows = query.fetch_all(&mut *conn).await?;
    rows.iter().map(|row| tally_of(row, &contract)).collect()
}

/// The one of this code.
pub(super) async fn tally(
    conn: &mut AnyConnection,
    contract: &Id,
    code: &str,
) -> Result<Option<Tally>, StoreError> {
    let sql = "SELECT code, minute, more FROM refusals WHERE contract = $1 AND code = $2";
    let query = sqlx::query(sql).bind(contract.to_string()).bind(code.to_owned());
    let row = query.fetch_optional(&mut *conn).await?;
    row.map(|row| tally_of(&row, contract)).transpose()
}

fn tally_of(row: &sqlx::any::AnyRow, contract: &Id) -> Result<Tally, StoreError> {
    let more: i64 = row.get(2);
    let more = u64::try_from(more).map_err(|_| bad("refusals", "a negative count"))?;
    Ok(Tally { contract: contract.clone(), code: row.get(0), minute: row.get(1), more })
}

async fn load_product(
    conn: &mut AnyConnection,
    needs: &Needs,
    view: &mut View,
) -> Result<(), StoreError> {
    let of = view.negotiation.as_ref().filter(|_| needs.negotiation_product);
    let id = needs.product.as_ref().or_else(|| of.map(|it| &it.product));
    if let Some(id) = id {
        let record = one(conn, "SELECT record FROM products WHERE id = $1", &[id.as_str()]).await?;
        view.product = read("products", record.as_deref(), record::product::decode)?;
    }
    if let Some(line) = &needs.line {
        let record = one(conn, NEWEST_OF_LINE, &[line.as_str()]).await?;
        view.newest = read("products", record.as_deref(), record::product::decode)?;
    }
    Ok(())
}

fn contract_wanted(needs: &Needs, view: &View) -> Option<Id> {
    if let Some(id) = &needs.contract {
        return Some(id.clone());
    }
    if (needs.transfer_contract || needs.flow.is_some())
        && let Some(it) = &view.transfer
    {
        return Some(it.contract.clone());
    }
    if needs.lease_contract
        && let Some(it) = &view.lease
    {
        return Some(it.request.contract.clone());
    }
    None
}

async fn load_transfer(
    conn: &mut AnyConnection,
    needs: &Needs,
    view: &mut View,
) -> Result<(), StoreError> {
    if let Some(id) = &needs.transfer {
        let record =
            one(conn, "SELECT record FROM transfers WHERE id = $1", &[id.as_str()]).await?;
        view.transfer = read("transfers", record.as_deref(), record::transfer::decode)?;
    }
    if let Some((peer, pid)) = &needs.transfer_of {
        let sql = "SELECT record FROM transfers WHERE peer = $1 AND peer_pid = $2";
        let record = one(conn, sql, &[peer.as_str(), pid.as_str()]).await?;
        view.transfer = read("transfers", record.as_deref(), record::transfer::decode)?;
    }
    Ok(())
}

async fn load_lease(
    conn: &mut AnyConnection,
    needs: &Needs,
    view: &mut View,
) -> Result<(), StoreError> {
    if let Some(id) = &needs.lease {
        let record = one(conn, "SELECT record FROM leases WHERE id = $1", &[id.as_str()]).await?;
        view.lease = read("leases", record.as_deref(), record::lease::decode)?;
    }
    if let Some((contract, nonce)) = &needs.lease_of {
        let nonce = super::rows::hex(nonce);
        let sql = "SELECT record FROM leases WHERE contract = $1 AND nonce = $2";
        let record = one(conn, sql, &[contract.as_str(), &nonce]).await?;
        view.lease = read("leases", record.as_deref(), record::lease::decode)?;
    }
    let of_lease =
        view.lease.as_ref().filter(|_| needs.lease_contract).map(|it| it.request.contract.clone());
    if let Some(contract) = needs.spent.as_ref().or(of_lease.as_ref()) {
        view.spent = spent(conn, contract).await?;
    }
    let mut open = Vec::new();
    if let Some(contract) = &needs.open_under {
        let sql = "SELECT record FROM leases WHERE contract = $1 AND open = 1";
        open = all(conn, sql, contract.as_str()).await?;
    } else if let (Some(contract), Some(it)) = (&of_lease, &view.lease) {
        // Is it the last one? One other says no; a contract may have thousands.
        let sql = "SELECT record FROM leases WHERE contract = $1 AND open = 1 AND role = 'provider' AND id <> $2 LIMIT 1";
        open.extend(one(conn, sql, &[contract.as_str(), it.id.as_str()]).await?);
        if it.request.kind == Use::Psi {
            // The lease that we hold in the session of this one: matchings of one contract are few.
            let sql =
                "SELECT record FROM leases WHERE contract = $1 AND open = 1 AND role = 'consumer'";
            open.extend(all(conn, sql, contract.as_str()).await?);
        }
    }
    for record in open {
        view.open_leases.extend(read("leases", Some(&record), record::lease::decode)?);
    }
    if let Some(contract) = needs.open_under.as_ref().or(of_lease.as_ref()) {
        let sql = "SELECT record FROM transfers WHERE contract = $1 AND open = 1";
        for record in all(conn, sql, contract.as_str()).await? {
            view.open_transfers.extend(read("transfers", Some(&record), record::transfer::decode)?);
        }
    }
    Ok(())
}

/// Loads what some contracts' terms ask for besides.
pub async fn load_more(
    conn: &mut AnyConnection,
    more: &More,
    view: &mut View,
    now: Time,
) -> Result<(), StoreError> {
    if let Some((contract, newest)) = &more.starts {
        let sql = "SELECT at FROM debits WHERE contract = $1 AND kind = 'use' AND at > $2
             ORDER BY at DESC LIMIT $3";
        let starts: Vec<i64> = sqlx::query_scalar(sql)
            .bind(contract.as_str())
            .bind(newest.since(now).ms())
            .bind(i64::try_from(newest.most).unwrap_or(i64::MAX))
            .fetch_all(&mut *conn)
            .await?;
        view.starts = Some(starts.into_iter().map(Time::from_ms).collect());
    }
    if let Some(id) = &more.product {
        let record = one(conn, "SELECT record FROM products WHERE id = $1", &[id.as_str()]).await?;
        view.product = read("products", record.as_deref(), record::product::decode)?;
    }
    for id in &more.sources {
        let record =
            one(conn, "SELECT record FROM contracts WHERE id = $1", &[id.as_str()]).await?;
        view.sources.extend(read("contracts", record.as_deref(), record::contract::decode)?);
    }
    if let Some((groups, product)) = &more.group {
        view.group = spent_by(conn, groups, product).await?;
    }
    if let Some((groups, product, newest)) = &more.group_starts
        && let Some(line) = line_of(conn, product).await?
    {
        let mut all = Vec::new();
        for group in groups {
            let starts: Vec<i64> = sqlx::query_scalar(STARTS_OF_GROUP)
                .bind(group.as_str())
                .bind(line.clone())
                .bind(newest.since(now).ms())
                .bind(i64::try_from(newest.most).unwrap_or(i64::MAX))
                .fetch_all(&mut *conn)
                .await?;
            all.extend(starts.into_iter().map(Time::from_ms));
        }
        view.group_starts = Some(newest.of(all, now));
    }
    Ok(())
}

/// Of a product that is not here nobody knows what else is of its line: that stays unknown, and denies.
async fn line_of(conn: &mut AnyConnection, product: &Id) -> Result<Option<String>, StoreError> {
    one(conn, "SELECT line FROM products WHERE id = $1", &[product.as_str()]).await
}

/// What a legal entity, on record for any of these, was debited for a product's line, under all contracts that this node provides.
pub async fn spent_by(
    conn: &mut AnyConnection,
    groups: &[Group],
    product: &Id,
) -> Result<Option<Spent>, StoreError> {
    let Some(line) = line_of(conn, product).await? else { return Ok(None) };
    let mut all = Spent::default();
    for group in groups {
        let query = sqlx::query(SPENT_OF_GROUP).bind(group.as_str()).bind(line.clone());
        all = all.and(summed(&query.fetch_all(&mut *conn).await?)?);
    }
    Ok(Some(all))
}

/// What was debited so far under one contract.
pub async fn spent(conn: &mut AnyConnection, contract: &Id) -> Result<Spent, StoreError> {
    let sql = "SELECT kind, amount FROM spent WHERE contract = $1";
    summed(&sqlx::query(sql).bind(contract.as_str()).fetch_all(&mut *conn).await?)
}

fn summed(rows: &[sqlx::any::AnyRow]) -> Result<Spent, StoreError> {
    let mut spent = Spent::default();
    for row in rows {
        let kind: String = row.try_get(0)?;
        // A sum that no whole number holds is an error, not a panic.
        let amount: i64 = row.try_get(1)?;
        let amount = u64::try_from(amount).map_err(|_| bad("debits", "a negative sum"))?;
        let kind = DebitKind::from_word(&kind).ok_or_else(|| bad("debits", "an unknown kind"))?;
        spent = spent.with(kind, amount);
    }
    Ok(spent)
}

pub(super) async fn one(
    conn: &mut AnyConnection,
    sql: &'static str,
    keys: &[&str],
) -> Result<Option<String>, StoreError> {
    let mut query = sqlx::query_scalar(sql);
    for key in keys {
        query = query.bind((*key).to_owned());
    }
    Ok(query.fetch_optional(&mut *conn).await?)
}

async fn all(
    conn: &mut AnyConnection,
    sql: &'static str,
    key: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(sql).bind(key.to_owned()).fetch_all(&mut *conn).await?)
}

/// Decodes one record; `None` stays `None`.
pub(super) fn read<T, E: std::fmt::Display>(
    table: &'static str,
    record: Option<&str>,
    decode: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    record.map(|it| decode(it).map_err(|why| bad(table, &why.to_string()))).transpose()
}

pub(super) fn bad(table: &'static str, why: &str) -> StoreError {
    StoreError::Row { table, why: why.to_owned() }
}
