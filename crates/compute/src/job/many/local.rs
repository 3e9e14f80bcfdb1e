//! All parties on one machine, each a process: for trying out, tests and measurements.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::super::connect::{Address, Connector, Way};
use super::super::failure::Failure;
use super::super::local::{Local, finish, kind, rows, start, ways};
use super::super::order::{List, Report, Results, hex};
use super::super::visit::random;
use super::super::workers::Host;
use super::order::{KeySeed, Member, Order, Side};
use crate::keys::{Mapping, Rule};

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct All {
    pub seconds: f64,
    pub leader: Report,
    pub members: Vec<Report>,
}

/// Runs the party whose list is mine as leader, and theirs and all of `also` as members.
pub fn run(local: &Local, also: &[PathBuf], host: &Host) -> Result<All, Failure> {
    let began = Instant::now();
    let failed = |why| Failure::directory("listening")(why);
    let lists: Vec<&PathBuf> = std::iter::once(&local.theirs).chain(also).collect();
    let (mut members, mut seeds) = (Vec::new(), Vec::new());
    for list in &lists {
        let seed = KeySeed::new(random()?);
        members.push(Member { key: seed.public(), items: rows(list)? });
        seeds.push(seed);
    }
    let (job, leader_items) = (hex(&random()?), rows(&local.mine)?);
    let order = |side, list: &Path| -> Result<Order, Failure> {
        let (rule, mapping) = rule(local, matches!(side, Side::Leader { .. }))?;
        Ok(Order {
            side,
            job: job.clone(),
            leader_items,
            members: members.clone(),
            rule,
            mapping,
            source: List::new(list.to_owned(), kind(list)),
            memory: local.memory,
            jail: Vec::new(),
            silence: super::super::limits::SILENCE.as_secs_f64(),
            patience: 60.0,
        })
    };
    let (mut children, mut dials) = (Vec::new(), Vec::new());
    for (number, (list, seed)) in lists.into_iter().zip(seeds).enumerate() {
        let any = Way::Listen(Address::Tcp("127.0.0.1:0".to_owned()));
        let connector = Connector::open(&any).map_err(failed)?;
        let (connect, dial) = ways(&connector).map_err(failed)?;
        dials.push(dial);
        let order = order(Side::Member { number, seed, connect }, list)?;
        children.push(start(host, "many", &order)?);
    }
    let (rows, bitmap) = (local.out.clone(), local.bitmap.clone());
    let results = Results { rows, bitmap, ..Results::default() };
    let leader = order(Side::Leader { results, connect: dials }, &local.mine)?;
    let leader = start(host, "many", &leader)?;
    let others: Vec<_> =
        children.into_iter().map(|it| std::thread::spawn(move || finish(it))).collect();
    let leader = finish(leader);
    let lost = |_| Err(Failure::WorkersKilled(1));
    let members: Vec<_> = others.into_iter().map(|it| it.join().unwrap_or_else(lost)).collect();
    let own_reason =
        |it: &&Failure| !["mpc.peer-stopped", "mpc.connection-lost"].contains(&it.code());
    // Who only heard that it is over does not know why.
    let mut reasons = members.iter().filter_map(|it| it.as_ref().err());
    if leader.is_err()
        && let Some(reason) = reasons.find(own_reason)
    {
        return Err(Failure::Told(reason.report()));
    }
    let leader = leader?;
    let members = members.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(All { seconds: began.elapsed().as_secs_f64(), leader, members })
}

fn rule(local: &Local, leads: bool) -> Result<(Rule, Mapping), Failure> {
    let theirs = if local.their_columns.is_empty() { &local.columns } else { &local.their_columns };
    let columns = if leads { &local.columns } else { theirs };
    local.rule_of(columns)
}
