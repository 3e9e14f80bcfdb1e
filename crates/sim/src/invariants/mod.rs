//! What must hold in every world, whatever happens. Each file holds one property, and each has a planted bug that
//! it must catch (`tests/planted.rs`).
//!
//! | property | clause | file |
//! |---|---|---|
//! | 1 no lease without a finalized, active contract | house §6, first | `leases_need_contracts` |
//! | 2 releases ≤ the contract's count, in every period, in time, rows and bytes, and for a legal entity; each after its debit is durable | house §6, first; decision 045 | `releases_within_count` |
//! | 3 terminal states are final | house §6, second; DSP §7.2, §9.2 | `terminal_states_final` |
//! | 4 both sides end alike, and nothing stays open by itself | house §6, second | `sides_agree` |
//! | 5 an acknowledged fact is in the log, once | house §6, third | `facts_logged` |
//! | 6 the log never forks; a head is durable before it is signed; no start behind a witnessed head | house §6, third; D15 | `log_never_forks` |
//! | 7 a revoked, expired or returned lease never opens anything | house §6, fourth | `closed_leases` |
//! | 8 a destroyed key never comes back | house §6, fourth; D13 | `destroyed_keys` |
//! | 9 agreed terms are offered terms, signatures verify on both sides | DSP §8.2; D14 | `terms_signed` |
//! | 10 a consumer's contract stands or will stand at its provider | DSP §7.2, acknowledged messages | `consumer_contracts` |
//! | 11 a data plane that was told to stop moves nothing | DPS §State Machine Definition | `flows_stop` |
//! | 12 both planes of a connector are in the same state once messages stop being lost | DPS §State Machine Definition; house §6, second | `planes_agree` |
//! | 13 nobody is heard without a credential that stood within the status age | DCP §5.4.3; Bitstring Status List §3.2 | `members_proven` |
//! | 14 a request is answered by one credential at most, and issuer and holder end alike | DCP §6.4, §6.8 | `issued_once` |
//! | 15 under a suspended contract nothing is granted, let in or released | DSP §9 has no word for it; `docs/usage-during.md` | `suspended_contracts` |
//! | 16 renewals are of leases and contracts that stand, cost no use, and last no longer than was charged | `docs/usage-during.md` | `renewals_within_grants` |
//! | 17 nothing is released, let in or renewed beyond the day by which copies have to be gone, and then the contract ends on both sides, with a receipt or the fact that none came | `docs/usage-during.md` | `copies_gone_in_time` |
//!
//! Not failure conditions: a message refused, a negotiation that ends by its deadline, a fact without a peer's
//! counterpart, a node that was set back and knows less than its peers.

mod closed_leases;
mod consumer_contracts;
mod copies_gone_in_time;
mod destroyed_keys;
mod facts_logged;
mod flows_stop;
mod issued_once;
mod leases_need_contracts;
mod log_never_forks;
mod members_proven;
mod planes_agree;
mod releases_within_count;
mod renewals_within_grants;
mod sides_agree;
mod suspended_contracts;
mod terminal_states_final;
mod terms_signed;

use std::collections::BTreeMap;

use tidm_ledger::tree::Hash;
use tidm_space::dataflow::state::Flow;
use tidm_space::engine::commit::Commit;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::state::Issuance;
use tidm_space::lease::state::Lease;

use crate::store::{Store, Table};
use crate::world::World;

/// When something is checked.
pub enum Moment<'a> {
    /// A commit became durable. `was`: the rows it touched, as they were.
    Committed { node: usize, was: &'a Was, commit: &'a Commit },
    /// A grant leaves the provider, with or without a wrapped key.
    Released { node: usize, contract: &'a Id, lease: &'a Id, key: bool },
    /// A query is let in beside the data.
    Opened { node: usize, lease: &'a Lease },
    /// The gate let a lease go on; as it stands now.
    Renewed { node: usize, lease: &'a Lease },
    /// The result of a query leaves.
    Left { node: usize, lease: &'a Lease },
    /// A data plane lets bytes of a flow out or in.
    Moved { node: usize, flow: &'a Flow },
    /// Somebody's message is heard in a space of credentials.
    Heard { node: usize, from: &'a Did },
    /// An issuer decided about a request.
    Issued { node: usize, issuance: &'a Issuance },
    /// Everything works again, and whatever is repeated has been answered; transfers still run.
    Calm,
    /// A head of the log is signed.
    Signed { node: usize, size: u64, root: Hash },
    /// A process started, or its disk was changed under it.
    Started { node: usize },
    /// Everything healed and came to rest.
    End,
}

/// States of the rows that a commit touches, before it.
#[derive(Debug, Default)]
pub struct Was {
    pub negotiations: BTreeMap<Id, &'static str>,
    pub transfers: BTreeMap<Id, &'static str>,
    pub contracts: BTreeMap<Id, &'static str>,
    pub leases: BTreeMap<Id, &'static str>,
}

impl Was {
    pub fn of(store: &Store, commit: &Commit) -> Self {
        fn states<'a>(
            table: &Table,
            ids: impl Iterator<Item = &'a Id>,
        ) -> BTreeMap<Id, &'static str> {
            ids.filter_map(|id| Some((id.clone(), table.get(id)?.state))).collect()
        }
        Self {
            negotiations: states(&store.negotiations, commit.negotiations.iter().map(|it| &it.id)),
            transfers: states(&store.transfers, commit.transfers.iter().map(|it| &it.id)),
            contracts: states(&store.contracts, commit.contracts.iter().map(|it| &it.id)),
            leases: states(&store.leases, commit.leases.iter().map(|it| &it.id)),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub property: &'static str,
    pub why: String,
}

type Check = fn(&World, &Moment<'_>) -> Result<(), String>;

const ALL: [(&str, Check); 17] = [
    ("1 no lease without a contract", leases_need_contracts::check),
    ("2 releases within the count", releases_within_count::check),
    ("3 terminal states are final", terminal_states_final::check),
    ("4 both sides end alike", sides_agree::check),
    ("5 acknowledged facts are logged", facts_logged::check),
    ("6 the log never forks", log_never_forks::check),
    ("7 closed leases open nothing", closed_leases::check),
    ("8 destroyed keys stay destroyed", destroyed_keys::check),
    ("9 agreed terms are offered and signed", terms_signed::check),
    ("10 consumer's contracts stand at the provider", consumer_contracts::check),
    ("11 stopped flows move nothing", flows_stop::check),
    ("12 both planes end alike", planes_agree::check),
    ("13 only proven members are heard", members_proven::check),
    ("14 a request is answered once", issued_once::check),
    ("15 suspended contracts open nothing", suspended_contracts::check),
    ("16 renewals within their grants", renewals_within_grants::check),
    ("17 copies are gone in time", copies_gone_in_time::check),
];

/// Every property, at this moment.
pub fn check(world: &World, moment: &Moment<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (property, check) in ALL {
        if let Err(why) = check(world, moment) {
            found.push(Violation { property, why });
        }
    }
    found
}
