//! Executes a [`Commit`] inside a transaction: rows in, nothing decided.
//!
//! Never partial: the caller commits or rolls back.

use sqlx::AnyConnection;

use tidm_space::engine::commit::{About, Commit, Send, Timer};
use tidm_space::engine::refusal::Tally;
use tidm_space::evidence;
use tidm_space::evidence::fact::Fact;
use tidm_space::identity::member::Group;
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::{DataService, dataset_to_json};
use tidm_space::wire::terms::digest;
use tidm_space::wire::{odrl, record};

use super::StoreError;
use super::rows::{hex, product_kind};

/// New outbox rows and due timers are claimed by this process at once; another may take them after this.
pub const CLAIM_MS: i64 = 30_000;

/// Saves every row of the commit.
pub async fn save(
    conn: &mut AnyConnection,
    commit: &Commit,
    now: Time,
    service: &DataService,
) -> Result<(), StoreError> {
    save_negotiations(conn, commit).await?;
    save_transfers(conn, commit).await?;
    save_flows(conn, commit).await?;
    save_contracts(conn, commit).await?;
    save_leases(conn, commit).await?;
    save_refusals(conn, commit).await?;
    save_products(conn, commit, service).await?;
    save_facts(conn, commit).await?;
    save_queue(conn, commit, now).await
}

async fn save_negotiations(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.negotiations {
        sqlx::query(
            "INSERT INTO negotiations (id, peer, peer_pid, role, product, contract, state, open, awaits_approval, created, moved, record)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)
             ON CONFLICT (id) DO UPDATE SET peer_pid = excluded.peer_pid, contract = excluded.contract, state = excluded.state,
             open = excluded.open, awaits_approval = excluded.awaits_approval, moved = excluded.moved, record = excluded.record",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.peer.as_str().to_owned())
        .bind(it.peer_pid.as_ref().map(ToString::to_string))
        .bind(it.role.word())
        .bind(it.product.as_str().to_owned())
        .bind(it.state.agreement().map(|agreement| agreement.id.to_string()))
        .bind(it.state.name().token())
        .bind(i64::from(it.is_open()))
        .bind(i64::from(it.awaits_approval))
        .bind(it.created.ms())
        .bind(it.moved.ms())
        .bind(record::negotiation::encode(it))
        .execute(&mut *conn)
        .await?;
        // Each terms that were on the table, for the archive: facts name them by this digest.
        let Some(terms) = it.state.offer() else { continue };
        sqlx::query(
            "INSERT INTO offered_terms (negotiation, digest, at, policy) VALUES ($1,$2,$3,$4) ON CONFLICT (negotiation, digest) DO NOTHING",
        )
        .bind(it.id.as_str().to_owned())
        .bind(digest(terms).to_string())
        .bind(it.moved.ms())
        .bind(odrl::to_json(terms).to_string())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_transfers(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.transfers {
        sqlx::query(
            "INSERT INTO transfers (id, peer, peer_pid, role, contract, state, open, created, moved, record)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
             ON CONFLICT (id) DO UPDATE SET peer_pid = excluded.peer_pid, state = excluded.state, open = excluded.open,
             moved = excluded.moved, record = excluded.record",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.peer.as_str().to_owned())
        .bind(it.peer_pid.as_ref().map(ToString::to_string))
        .bind(it.role.word())
        .bind(it.contract.as_str().to_owned())
        .bind(it.state.name().token())
        .bind(i64::from(it.is_open()))
        .bind(it.created.ms())
        .bind(it.moved.ms())
        .bind(record::transfer::encode(it))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_flows(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.flows {
        sqlx::query(
            "INSERT INTO flows (id, plane, partner, process, role, state, open, created, moved, record)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, open = excluded.open, moved = excluded.moved,
             record = excluded.record",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.plane.word())
        .bind(it.partner.as_str().to_owned())
        .bind(it.terms.process.as_str().to_owned())
        .bind(it.role.word())
        .bind(it.state.name().token())
        .bind(i64::from(it.is_open()))
        .bind(it.created.ms())
        .bind(it.moved.ms())
        .bind(record::flow::encode(it))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_contracts(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.contracts {
        // A tombstone stays one, whatever an older replica of this row says (house D13).
        sqlx::query(
            "INSERT INTO contracts (id, peer, role, product, negotiation, active, signed_at, grp, record)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)
             ON CONFLICT (id) DO UPDATE SET active = excluded.active, grp = excluded.grp, record = excluded.record
             WHERE contracts.active >= excluded.active",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.peer.as_str().to_owned())
        .bind(it.role.word())
        .bind(it.product.as_str().to_owned())
        .bind(it.negotiation.as_str().to_owned())
        .bind(i64::from(!it.is_over()))
        .bind(it.signed_at.ms())
        .bind(it.group.as_ref().map_or(it.peer.as_str(), Group::as_str).to_owned())
        .bind(record::contract::encode(it))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_leases(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.leases {
        let open = it.state.name() == tidm_space::lease::state::Name::Granted;
        sqlx::query(
            "INSERT INTO leases (id, contract, nonce, role, open, granted, record) VALUES ($1,$2,$3,$4,$5,$6,$7)
             ON CONFLICT (id) DO UPDATE SET open = excluded.open, record = excluded.record",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.request.contract.as_str().to_owned())
        .bind(hex(&it.request.nonce))
        .bind(it.role.word())
        .bind(i64::from(open))
        .bind(it.granted.ms())
        .bind(record::lease::encode(it))
        .execute(&mut *conn)
        .await?;
    }
    for it in &commit.debits {
        let amount = i64::try_from(it.amount).unwrap_or(i64::MAX);
        sqlx::query("INSERT INTO debits (lease, kind, contract, grp, amount, at) VALUES ($1,$2,$3,$4,$5,$6)")
            .bind(it.lease.as_str().to_owned())
            .bind(it.word())
            .bind(it.contract.as_str().to_owned())
            .bind(it.group.as_str().to_owned())
            .bind(amount)
            .bind(it.at.ms())
            .execute(&mut *conn)
            .await?;
        sqlx::query(
            "INSERT INTO spent (contract, kind, amount) VALUES ($1,$2,$3)
             ON CONFLICT (contract, kind) DO UPDATE SET amount = CASE
                 WHEN spent.amount > 0 AND excluded.amount > 9223372036854775807 - spent.amount
                 THEN 9223372036854775807 ELSE spent.amount + excluded.amount END",
        )
        .bind(it.contract.as_str().to_owned())
        .bind(it.kind.word())
        .bind(if it.back { -amount } else { amount })
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_refusals(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.refusals {
        save_tally(conn, it).await?;
    }
    Ok(())
}

pub(super) async fn save_tally(conn: &mut AnyConnection, it: &Tally) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refusals (contract, code, minute, more) VALUES ($1,$2,$3,$4)
         ON CONFLICT (contract, code) DO UPDATE SET minute = excluded.minute, more = excluded.more",
    )
    .bind(it.contract.to_string())
    .bind(it.code.clone())
    .bind(it.minute)
    .bind(i64::try_from(it.more).unwrap_or(i64::MAX))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

async fn save_products(
    conn: &mut AnyConnection,
    commit: &Commit,
    service: &DataService,
) -> Result<(), StoreError> {
    for it in &commit.products {
        let revision = super::catalogue::next_own(conn).await?;
        sqlx::query(
            "INSERT INTO products (id, line, title, kind, listed, published, dataset, record, revision) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)",
        )
        .bind(it.id.as_str().to_owned())
        .bind(it.line.as_str().to_owned())
        .bind(it.title.clone())
        .bind(product_kind(it))
        // Without an offer a product is kept but not listed (DSP's dataset needs at least one).
        .bind(super::catalogue::listed(it))
        .bind(it.published_at.ms())
        // The wire form is made once, at publishing: a catalogue page is then a concatenation of rows.
        .bind(dataset_to_json(it, service).map(|it| it.to_string()).unwrap_or_default())
        .bind(record::product::encode(it))
        .bind(revision)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn save_facts(conn: &mut AnyConnection, commit: &Commit) -> Result<(), StoreError> {
    for it in &commit.facts {
        save_fact(conn, it).await?;
    }
    Ok(())
}

/// One fact, in the transaction of what it tells.
pub async fn save_fact(conn: &mut AnyConnection, it: &Fact) -> Result<(), StoreError> {
    let links = &it.links;
    sqlx::query(
        "INSERT INTO facts (id, at, peer, product, negotiation, contract, transfer, lease, entry, kind)
             VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
    )
    .bind(it.id.as_str().to_owned())
    .bind(it.at.ms())
    .bind(links.peer.as_ref().map(ToString::to_string))
    .bind(links.product.as_ref().map(ToString::to_string))
    .bind(links.negotiation.as_ref().map(ToString::to_string))
    .bind(links.contract.as_ref().map(ToString::to_string))
    .bind(links.transfer.as_ref().map(ToString::to_string))
    .bind(links.lease.as_ref().map(ToString::to_string))
    .bind(evidence::encode::encode(it))
    .bind(evidence::encode::kind(&it.what))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

async fn save_queue(
    conn: &mut AnyConnection,
    commit: &Commit,
    now: Time,
) -> Result<(), StoreError> {
    for about in &commit.withdrawn {
        sqlx::query("DELETE FROM outbox WHERE about = $1")
            .bind(subject(about))
            .execute(&mut *conn)
            .await?;
    }
    for id in &commit.unsends {
        sqlx::query("DELETE FROM outbox WHERE id = $1")
            .bind(id.as_str().to_owned())
            .execute(&mut *conn)
            .await?;
    }
    for it in &commit.sends {
        save_send(conn, it, now).await?;
    }
    for key in &commit.untimers {
        sqlx::query("DELETE FROM timers WHERE name = $1")
            .bind(key.clone())
            .execute(&mut *conn)
            .await?;
    }
    for it in &commit.timers {
        save_timer(conn, it, now).await?;
    }
    if let Some(it) = &commit.seen {
        sqlx::query("INSERT INTO seen (peer, id, digest, at) VALUES ($1,$2,$3,$4) ON CONFLICT (peer, id) DO NOTHING")
            .bind(it.peer.as_str().to_owned())
            .bind(it.id.as_str().to_owned())
            .bind(it.digest.to_string())
            .bind(it.at.ms())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

async fn save_send(conn: &mut AnyConnection, it: &Send, now: Time) -> Result<(), StoreError> {
    let claimed = if it.next <= now { now.ms() + CLAIM_MS } else { 0 };
    sqlx::query(
        "INSERT INTO outbox (id, peer, about, next, claimed, record) VALUES ($1,$2,$3,$4,$5,$6)
         ON CONFLICT (id) DO UPDATE SET next = excluded.next, claimed = excluded.claimed, record = excluded.record",
    )
    .bind(it.id.as_str().to_owned())
    .bind(it.to.as_str().to_owned())
    .bind(subject(&it.about))
    .bind(it.next.ms())
    .bind(claimed)
    .bind(record::send::encode(it))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

async fn save_timer(conn: &mut AnyConnection, it: &Timer, now: Time) -> Result<(), StoreError> {
    let claimed = if it.at <= now { now.ms() + CLAIM_MS } else { 0 };
    sqlx::query(
        "INSERT INTO timers (name, at, claimed, record) VALUES ($1,$2,$3,$4)
         ON CONFLICT (name) DO UPDATE SET at = excluded.at, claimed = excluded.claimed, record = excluded.record",
    )
    .bind(it.key.clone())
    .bind(it.at.ms())
    .bind(claimed)
    .bind(record::timer::encode(it))
    .execute(&mut *conn)
    .await?;
    Ok(())
}

pub(super) fn subject(about: &About) -> String {
    match about {
        About::Negotiation(id) => format!("negotiation {id}"),
        About::Transfer(id) => format!("transfer {id}"),
        About::Notice { contract } => format!("notice {contract}"),
        About::Flow(id) => format!("flow {id}"),
    }
}
