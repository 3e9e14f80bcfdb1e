//! Worlds without bugs keep every property; worlds with a planted bug break the one that is there to catch it.

#![expect(
    clippy::unwrap_used,
    reason = "outside `#[test]` functions, in the helper of these tests"
)]

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tidm_sim::bug::Bug;
use tidm_sim::coverage::Coverage;
use tidm_sim::world::{Found, Setup, World};

const STEPS: usize = 70;

fn run(seed: u64, bug: Option<Bug>, coverage: &mut Coverage) -> Option<Found> {
    let mut world = World::new(Setup { seed, steps: STEPS, bug, keep_log: false }).unwrap();
    let found = world.run(STEPS);
    coverage.add(&world.coverage);
    found
}

#[test]
fn every_property_holds() {
    let mut coverage = Coverage::default();
    for seed in 1..=150 {
        if let Some(found) = run(seed, None, &mut coverage) {
            panic!("cargo run -p tidm-sim -- replay {seed}: {found:?}");
        }
    }
    assert!(coverage.contracts > 500 && coverage.leases > 300, "too little happened: {coverage:?}");
}

/// A property that cannot fail proves nothing: each must report the bug that breaks it.
#[test]
fn each_planted_bug_is_caught_by_its_property() {
    let planted = [
        (Bug::BlindGate, &["1 no lease without a contract"][..], 100),
        (Bug::DeafGate, &["15 suspended contracts open nothing"], 100),
        (Bug::SkipDebit, &["2 releases within the count"], 50),
        (Bug::AnswerBeforeDurable, &["2 releases within the count"], 600),
        (Bug::Resurrect, &["3 terminal states are final"], 50),
        (Bug::LoseOutbox, &["4 both sides end alike", "12 both planes end alike"], 300),
        (
            Bug::TornCommit,
            &[
                "5 acknowledged facts are logged",
                "4 both sides end alike",
                "10 consumer's contracts stand at the provider",
                "12 both planes end alike",
                "rows can be read",
                // A lease that was kept without the timer that ends it.
                "7 closed leases open nothing",
            ],
            300,
        ),
        (Bug::MarkUnlogged, &["5 acknowledged facts are logged"], 50),
        (Bug::DoubleAppend, &["5 acknowledged facts are logged"], 50),
        (Bug::SignBeforeDurable, &["6 the log never forks"], 50),
        (Bug::IgnoreWitness, &["6 the log never forks"], 900),
        (Bug::OpenClosedLease, &["7 closed leases open nothing"], 50),
        (Bug::KeyFromBackup, &["8 destroyed keys stay destroyed"], 600),
        (Bug::OtherTerms, &["9 agreed terms are offered and signed"], 50),
        (
            Bug::GiveUpFinalize,
            &[
                "10 consumer's contracts stand at the provider",
                "3 terminal states are final",
                "4 both sides end alike",
            ],
            300,
        ),
        (Bug::FlowRunsOn, &["11 stopped flows move nothing"], 300),
        (Bug::OrderOnce, &["12 both planes end alike"], 100),
        (Bug::HearAnybody, &["13 only proven members are heard"], 50),
        (Bug::StaleStatus, &["13 only proven members are heard"], 300),
        (Bug::TellOnce, &["14 a request is answered once"], 100),
        (Bug::IssueTwice, &["14 a request is answered once"], 300),
        (Bug::ForgetStarts, &["2 releases within the count"], 300),
        (Bug::FreeTime, &["2 releases within the count"], 300),
        (Bug::FreeAmounts, &["2 releases within the count"], 300),
        (Bug::GiveBackAll, &["2 releases within the count"], 300),
        (Bug::CountAccounts, &["2 releases within the count"], 300),
        (
            Bug::GateWithoutDate,
            // The row may be saved again with the terms that this gate was shown.
            &["17 copies are gone in time", "9 agreed terms are offered and signed"],
            300,
        ),
        (Bug::NoLastDay, &["17 copies are gone in time"], 100),
        (
            Bug::RenewBlindly,
            &["16 renewals within their grants", "2 releases within the count"],
            2000,
        ),
        (
            Bug::RenewTheDead,
            &["16 renewals within their grants", "3 terminal states are final"],
            100,
        ),
    ];
    let next = AtomicUsize::new(0);
    // What a worker missed; each takes the next bug that nobody has.
    let looked = || {
        let mut missed = Vec::new();
        while let Some((bug, properties, within)) =
            planted.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let mut unused = Coverage::default();
            let found = (1..=*within).find_map(|seed| run(seed, Some(*bug), &mut unused));
            match found {
                Some(found) if properties.contains(&found.violation.property) => {}
                other => missed.push(format!(
                    "{bug:?}: expected {properties:?} within {within} seeds, found {other:?}"
                )),
            }
        }
        missed
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let missed: Vec<String> = thread::scope(|scope| {
        let all: Vec<_> = (0..cores).map(|_| scope.spawn(looked)).collect();
        all.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

#[test]
fn a_seed_is_one_world() {
    let lines = |seed| {
        let mut world =
            World::new(Setup { seed, steps: STEPS, bug: None, keep_log: true }).unwrap();
        assert!(world.run(STEPS).is_none());
        world.log.lines
    };
    for seed in [1, 2, 49] {
        let first = lines(seed);
        assert!(first.len() > STEPS, "the log tells what happened");
        assert_eq!(first, lines(seed));
    }
}
