//! What each side's process is told about a session over a table.

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::keys::Mapping;
use tidm_compute::table::{Answer, INDEX, Order, Query};
use tidm_crypto::hash::Digest;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::negotiation::message::Role;

use super::super::process::JAIL;
use super::super::process::Task;
use super::super::registry::Live;
use super::super::{PATIENCE, asked, folder, here, kind, results, rule, terms};
use super::{fetch, object, offered, seed, spec};
use crate::app::App;
use crate::jobs::{rest, spool};
use crate::store::matchings::{Matching, Record};
use crate::store::writer::WorkError;

/// Seconds without a byte of the peer after which a connection is lost.
const SILENCE: f64 = 20.0;

/// The table of a matching's row, where it is over one.
pub(in crate::jobs::matching) fn table_of(record: &Record) -> Result<Option<Digest>, Fault> {
    let read = |it: &String| {
        Digest::parse(it).map_err(|_| Fault::ApiMisuse("a matching whose table is no digest"))
    };
    record.table.as_ref().map(read).transpose()
}

/// What our process does; the consumer's table is here after this.
pub(in crate::jobs::matching) async fn query_or_answer(
    app: &App,
    it: &Matching,
    contract: &Contract,
    (table, list, live): (Digest, rest::List, &Live),
) -> Result<Task, WorkError> {
    let (_, key) = terms(contract)?;
    let consumers = if it.role == Role::Consumer { it.record.items } else { it.record.their_items };
    let protocol = tidm_space::psi::Protocol::Table(table);
    asked::check(contract, &asked::of(&it.record)?, (protocol, it.record.workers, consumers))?;
    let dir = folder(app, &it.id);
    let socket = Address::Unix(live.socket.clone());
    let patience = PATIENCE.as_secs_f64();
    if it.role == Role::Provider {
        offered(app, contract, table, consumers).await?;
        let id = spec(&contract.product, &key).to_string();
        let index = spool::local(app, object(&id, INDEX)?.as_str()).await.map_err(here)?;
        let order = Answer {
            job: it.id.clone(),
            key: seed(app, &contract.product, &key)?,
            digest: table.to_string(),
            index: index.path().to_owned(),
            items: consumers,
            dir,
            connect: Way::Listen(socket),
            jail: JAIL.to_vec(),
            silence: SILENCE,
            patience,
        };
        return Ok(Task::table(&Order::Answer(order), vec![index])?);
    }
    let [index, kept] = fetch::ensure(app, it, contract, (table, live)).await?;
    let rule = rule(&key);
    let columns = it.record.columns.iter().map(String::as_str);
    let mapping = Mapping::of(rule.parts.iter().map(|part| part.role.as_str()).zip(columns));
    let order = Query {
        job: it.id.clone(),
        context: spec(&contract.product, &key).to_string(),
        digest: table.to_string(),
        index: index.path().to_owned(),
        table: kept.path().to_owned(),
        items: consumers,
        rule,
        mapping,
        source: list.source(kind(&it.record.name)),
        results: results(app, it)?,
        connect: Way::Dial(socket),
        jail: JAIL.to_vec(),
        memory: app.config.limits.matching_memory_bytes,
        silence: SILENCE,
        patience,
    };
    Ok(Task::table(&Order::Query(Box::new(order)), vec![index, kept, list.into_file()])?)
}
