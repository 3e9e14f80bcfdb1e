//! What was reached, so that "0 violations" cannot mean that nothing happened.
//!
//! Never judges a single world: many together must reach everything.

use std::collections::BTreeMap;

use tidm_space::dataflow::state::Name as FlowName;
use tidm_space::identity::issuance::state::Name as Issuance;
use tidm_space::transfer::state::Name as TransferName;

use crate::happening::Happening;

#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub seeds: u64,
    pub happenings: BTreeMap<&'static str, u64>,
    /// Ends of negotiations: FINALIZED, or TERMINATED with its code.
    pub ends: BTreeMap<String, u64>,
    pub transfers: BTreeMap<&'static str, u64>,
    pub contracts_ended: BTreeMap<&'static str, u64>,
    pub contracts: u64,
    pub leases: u64,
    /// Leases under terms that count more than uses, by what was charged, and what came back.
    pub charged: BTreeMap<String, u64>,
    pub openings: u64,
    /// Leases that were let go on.
    pub renewed: u64,
    pub crashes: u64,
    pub refused_starts: u64,
    /// Ends of flows at data planes of their own.
    pub flows: BTreeMap<&'static str, u64>,
    /// Bytes served or taken by data planes, tokens renewed for them, flows reported as beyond repair.
    pub moved: u64,
    pub renewals: u64,
    pub errored: u64,
    /// Flows that a data plane was told to rest, and to go on with.
    pub rested: u64,
    pub resumed: u64,
    /// Where credential requests came to stand.
    pub issuances: BTreeMap<&'static str, u64>,
    pub memberships_revoked: u64,
    /// Wallets asked, status lists fetched, and hearings refused, by why.
    pub exchanges: u64,
    pub lists: u64,
    pub denied: BTreeMap<&'static str, u64>,
}

/// Ways in which negotiations end; each must occur.
pub const ENDS: [&str; 5] = [
    "FINALIZED",
    "TERMINATED operator",
    "TERMINATED deadline",
    "TERMINATED offer.refused",
    "TERMINATED signature",
];

/// Why somebody is not heard; each must occur.
pub const DENIALS: [&str; 2] = ["presentation.empty", "credential.revoked"];

/// What leases are charged beside being uses, and what their ends give back; each must occur. `period` and `entity` are
/// uses under terms that count those.
pub const CHARGED: [&str; 8] =
    ["seconds", "seconds-back", "rows", "rows-back", "bytes", "bytes-back", "period", "entity"];

impl Coverage {
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        sum(&mut self.happenings, &other.happenings);
        sum(&mut self.ends, &other.ends);
        sum(&mut self.transfers, &other.transfers);
        sum(&mut self.contracts_ended, &other.contracts_ended);
        self.contracts += other.contracts;
        self.leases += other.leases;
        sum(&mut self.charged, &other.charged);
        self.openings += other.openings;
        self.renewed += other.renewed;
        self.crashes += other.crashes;
        self.refused_starts += other.refused_starts;
        sum(&mut self.flows, &other.flows);
        self.moved += other.moved;
        self.renewals += other.renewals;
        self.errored += other.errored;
        self.rested += other.rested;
        self.resumed += other.resumed;
        sum(&mut self.issuances, &other.issuances);
        self.memberships_revoked += other.memberships_revoked;
        self.exchanges += other.exchanges;
        self.lists += other.lists;
        sum(&mut self.denied, &other.denied);
    }

    pub fn happened(&self) -> u64 {
        self.happenings.values().sum()
    }

    /// What was never reached.
    pub fn missing(&self) -> Vec<String> {
        let mut out: Vec<String> = Happening::NAMES
            .iter()
            .filter(|it| !self.happenings.contains_key(*it))
            .map(|it| format!("happening {it}"))
            .collect();
        out.extend(
            ENDS.iter()
                .filter(|it| !self.ends.contains_key(**it))
                .map(|it| format!("end of a negotiation {it}")),
        );
        let ends = [TransferName::Completed, TransferName::Terminated].map(TransferName::token);
        out.extend(
            ends.iter()
                .filter(|it| !self.transfers.contains_key(*it))
                .map(|it| format!("end of a transfer {it}")),
        );
        let ends = tidm_space::contract::End::ALL.map(tidm_space::contract::End::word);
        out.extend(
            ends.iter()
                .filter(|it| !self.contracts_ended.contains_key(*it))
                .map(|it| format!("end of a contract {it}")),
        );
        let ends = [FlowName::Completed, FlowName::Terminated].map(FlowName::token);
        out.extend(
            ends.iter()
                .filter(|it| !self.flows.contains_key(*it))
                .map(|it| format!("end of a data flow {it}")),
        );
        let ends = [Issuance::Issued, Issuance::Rejected].map(Issuance::word);
        out.extend(
            ends.iter()
                .filter(|it| !self.issuances.contains_key(*it))
                .map(|it| format!("end of a credential request {it}")),
        );
        out.extend(
            DENIALS
                .iter()
                .filter(|it| !self.denied.contains_key(**it))
                .map(|it| format!("hearing refused for {it}")),
        );
        out.extend(
            CHARGED
                .iter()
                .filter(|it| !self.charged.contains_key(**it))
                .map(|it| format!("charge of {it}")),
        );
        for (what, count) in [
            ("bytes of a data flow", self.moved),
            ("renewed token", self.renewals),
            ("flow beyond repair", self.errored),
            ("flow that rested", self.rested),
            ("flow that went on", self.resumed),
            ("revoked membership", self.memberships_revoked),
            ("wallet asked", self.exchanges),
            ("status list fetched", self.lists),
            ("lease", self.leases),
            ("opening", self.openings),
            ("renewed lease", self.renewed),
            ("crash", self.crashes),
            ("refused start", self.refused_starts),
        ] {
            if count == 0 {
                out.push(what.to_owned());
            }
        }
        out
    }
}

fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}
