//! Two control planes and a data plane of another program each: four programs, with real paths and bytes between
//! them. Index 0 and 1 are provider and consumer, 2 and 3 their data planes.

#![expect(clippy::wildcard_enum_match_arm, reason = "any other outcome fails the test")]

use super::side::{Side, agreed, received};
use crate::dataflow::message::{Body, Kind, Message, Plane};
use crate::dataflow::registration::{Authorization, Registration};
use crate::dataflow::state::{Flow, Name as Flowing};
use crate::engine::commit::{About, Answer, Due, Job, Reply, Send, Timer};
use crate::engine::input::{
    FlowAnswer, FlowOrder, FlowReport, Heard, Input, Outcome, TransferWish, Wish,
};
use crate::evidence::fact::What;
use crate::fault::Fault;
use crate::id::Id;
use crate::time::Time;
use crate::transfer::message::{Body as Said, DataAddress};
use crate::transfer::state::Name;
use crate::wire::dps;
use crate::wire::dsp::transfer::{self, Endpoint};
use crate::wire::samples::{address, at, digest, id};

const PROVIDER: usize = 0;
const CONSUMER: usize = 1;
const PROVIDING: usize = 2;
const CONSUMING: usize = 3;

struct World {
    sides: [Side; 4],
    background: bool,
    now: Time,
}

fn world(background: bool) -> World {
    let (mut provider, mut consumer) = agreed(None);
    let registered = |name: &str| Registration {
        id: id(name),
        plane: Plane::Data,
        endpoint: format!("https://{name}.example/dataplane"),
        profiles: vec![],
        labels: vec![],
        datasets: vec![],
        authorization: Authorization::Network,
    };
    provider.data_plane = Some(registered("providing"));
    consumer.data_plane = Some(registered("consuming"));
    let plane = |name: &str, secret| {
        let mut side = Side::new(name, secret);
        side.address = format!("https://{name}.example/dataplane");
        side
    };
    let sides = [provider, consumer, plane("providing", 3), plane("consuming", 4)];
    World { sides, background, now: at(100) }
}

impl World {
    fn fetch(&mut self, format: &str) -> Id {
        let contract = self.sides[CONSUMER].contract().id;
        let wish = TransferWish {
            contract,
            address: None,
            format: format.to_owned(),
            push_to: None,
            id: None,
        };
        let now = self.now;
        match self.sides[CONSUMER].wish(Wish::Fetch(Box::new(wish)), now).unwrap() {
            Reply::Transfer { it, .. } => it.id,
            other => panic!("{other:?}"),
        }
    }

    /// Delivers one message of this side, or loses it or its answer.
    fn post(&mut self, from: usize, lost: (bool, bool)) -> bool {
        let now = self.now;
        let due = self.sides[from].outbox.values().find(|it| it.next <= now).cloned();
        let Some(send) = due else { return false };
        let unreachable = || Outcome::Unreachable { reason: "lost".to_owned() };
        let outcome = if lost.0 {
            unreachable()
        } else {
            let outcome = self.deliver(from, &send);
            if lost.1 { unreachable() } else { outcome }
        };
        let input = Input::Delivered { send: Box::new(send), outcome };
        self.sides[from].run(input, now).unwrap();
        true
    }

    fn deliver(&mut self, from: usize, send: &Send) -> Outcome {
        let (to, path) = self.find(&send.url);
        let refused = |fault: Fault| Outcome::Refused {
            not_found: matches!(fault, Fault::NotFound { .. }),
            code: Some(fault.code().to_owned()),
            reason: vec![fault.to_string()],
        };
        match (&send.about, to) {
            (About::Transfer(_), _) => match self.dsp(from, to, &path, send) {
                Ok(Reply::Transfer { it, .. }) => Outcome::Accepted { pid: Some(it.id) },
                Ok(_) => Outcome::Accepted { pid: None },
                Err(fault) => refused(fault),
            },
            (_, PROVIDING | CONSUMING) => match self.order(from, to, &path, send) {
                Ok(body) => {
                    let status = dps::read_status(body.as_bytes()).unwrap();
                    Outcome::Answered(Box::new(FlowAnswer {
                        theirs: status.flow,
                        state: status.state,
                        address: status.address,
                        error: status.error,
                    }))
                }
                Err(fault) => refused(fault),
            },
            (_, _) => match self.report(from, to, &path, send) {
                Ok(_) => Outcome::Accepted { pid: None },
                Err(fault) => refused(fault),
            },
        }
    }

    fn find(&self, url: &str) -> (usize, String) {
        for (at, name) in ["provider", "consumer", "providing", "consuming"].into_iter().enumerate()
        {
            for base in ["dsp", "signaling", "dataplane"] {
                if let Some(path) = url.strip_prefix(&format!("https://{name}.example/{base}")) {
                    return (at, path.to_owned());
                }
            }
        }
        panic!("{url}");
    }

    fn dsp(&mut self, from: usize, to: usize, path: &str, send: &Send) -> Answer {
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        let (endpoint, mine) = match parts.as_slice() {
            ["request"] => (Endpoint::Request, None),
            [mine, "start"] => (Endpoint::Start, Some(id(mine))),
            [mine, "completion"] => (Endpoint::Completion, Some(id(mine))),
            [mine, "suspension"] => (Endpoint::Suspension, Some(id(mine))),
            [mine, "termination"] => (Endpoint::Termination, Some(id(mine))),
            other => panic!("{other:?}"),
        };
        let (message, spoken) = transfer::read(endpoint, mine.as_ref(), send.body.as_bytes())?;
        let what = Heard::Transfer(Box::new(spoken));
        let input = received(&self.sides[from], message, send.body.as_bytes(), what);
        let now = self.now;
        self.sides[to].run(input, now)
    }

    fn order(&mut self, from: usize, to: usize, path: &str, send: &Send) -> Result<String, Fault> {
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        let (kind, mine) = match parts.as_slice() {
            [kind] => (*kind, None),
            [mine, kind] => (*kind, Some(id(mine))),
            other => panic!("{other:?}"),
        };
        let kind = Kind::from_word(kind).unwrap();
        let it = dps::read(kind, send.body.as_bytes())?;
        let order = FlowOrder {
            from: id("control"),
            address: format!("https://{}.example/signaling", ["provider", "consumer"][from]),
            mine,
            id: it.id,
            terms: it.terms,
            body: it.body,
            background: self.background,
        };
        let now = self.now;
        let Reply::Flow { it, .. } = self.sides[to].run(Input::Ordered(Box::new(order)), now)?
        else {
            panic!("an order about a flow is answered by one")
        };
        let body = match it.state.name() {
            Flowing::Prepared => Body::Prepared { address: own_address(&it) },
            Flowing::Started => Body::Started { address: own_address(&it) },
            _ => Body::Completed,
        };
        if it.state.name() == Flowing::Completed || !matches!(body, Body::Completed) {
            Ok(dps::status(&it, &Message { id: Some(id("urn:answer")), body }))
        } else {
            Ok(dps::status_response(&it))
        }
    }

    fn report(&mut self, from: usize, to: usize, path: &str, send: &Send) -> Answer {
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        let [flow, "dataflow", kind] = parts.as_slice() else { panic!("{path}") };
        let kind = Kind::from_word(kind).unwrap();
        let (status, body) = dps::read_callback(kind, send.body.as_bytes())?;
        let from = id(["", "", "providing", "consuming"][from]);
        let report = FlowReport { from, flow: id(flow), theirs: status.flow, body };
        let now = self.now;
        self.sides[to].run(Input::Reported(Box::new(report)), now)
    }

    /// What the data planes do by themselves: they get ready in the background.
    fn work(&mut self) {
        let now = self.now;
        for at in [PROVIDING, CONSUMING] {
            let flows: Vec<_> = self.sides[at].flows.values().cloned().collect();
            for flow in flows {
                if matches!(flow.state.name(), Flowing::Preparing | Flowing::Starting) {
                    let address = own_address(&flow);
                    self.sides[at].wish(Wish::FlowReady { flow: flow.id, address }, now).unwrap();
                }
            }
        }
    }

    fn quiet(&mut self) {
        for _ in 0..200 {
            self.work();
            if !(0..4).any(|from| self.post(from, (false, false))) {
                return;
            }
        }
        panic!("the four programs talk without end");
    }

    /// What nobody goes on with has come to its deadline: an opening that its sender gave up is known to one side.
    fn give_up(&mut self) {
        for at in [PROVIDER, CONSUMER] {
            let open =
                self.sides[at].transfers.values().any(|it| it.state.name() == Name::Requested);
            if open && self.sides[at].has_timer("transfer-idle") {
                self.sides[at].fire("transfer-idle", self.now).unwrap();
            }
        }
        self.quiet();
    }

    fn transfers(&self) -> [Name; 2] {
        [PROVIDER, CONSUMER]
            .map(|at| self.sides[at].transfers.values().next().unwrap().state.name())
    }

    /// As the control planes see the flows, and as the data planes do.
    fn flows(&self) -> [Flowing; 4] {
        [0, 1, 2, 3].map(|at| self.sides[at].flows.values().next().unwrap().state.name())
    }

    fn say(&mut self, at: usize, body: Said) {
        let transfer = self.sides[at].transfers.keys().next().unwrap().clone();
        let now = self.now;
        self.sides[at].wish(Wish::SayTransfer { transfer, body }, now).unwrap();
    }

    fn finish(&mut self, at: usize) {
        let flow = self.sides[at].flows.keys().next().unwrap().clone();
        let now = self.now;
        let wish = Wish::FlowDone { flow, bytes: 7, content: digest("content") };
        self.sides[at].wish(wish, now).unwrap();
    }
}

fn own_address(flow: &Flow) -> Option<DataAddress> {
    use crate::dataflow::message::Direction::{Pull, Push};
    use crate::negotiation::message::Role::{Consumer, Provider};
    match (flow.role, flow.direction()) {
        (Provider, Some(Pull)) | (Consumer, Some(Push)) => Some(address()),
        _ => None,
    }
}

fn suspend() -> Said {
    Said::Suspend { code: None, reason: vec!["maintenance".to_owned()] }
}

#[test]
fn a_transfer_runs_on_the_data_planes_of_other_programs() {
    for background in [false, true] {
        for (format, finisher) in [("x-pull", CONSUMING), ("x-push", PROVIDING)] {
            let case = format!("{format}, background {background}");
            let mut it = world(background);
            it.fetch(format);
            it.quiet();
            assert_eq!(it.transfers(), [Name::Started; 2], "{case}");
            assert_eq!(it.flows(), [Flowing::Started; 4], "{case}");
            // The address went all the way to who opens the connection, and its maker forgot it.
            let (knows, made) = if format == "x-pull" { (3, 2) } else { (2, 3) };
            let at = |side: usize| it.sides[side].flows.values().next().unwrap().clone();
            assert_eq!(at(knows).state.address(), Some(&address()), "{case}");
            assert_eq!(at(made).state.address(), None, "{case}");
            for (stopper, resumer) in [(CONSUMER, CONSUMER), (PROVIDER, PROVIDER)] {
                it.say(stopper, suspend());
                it.quiet();
                assert_eq!(it.transfers(), [Name::Suspended; 2], "{case}");
                assert_eq!(it.flows(), [Flowing::Suspended; 4], "{case}");
                it.say(resumer, Said::Start { address: None });
                it.quiet();
                assert_eq!(it.flows(), [Flowing::Started; 4], "{case}");
            }
            it.finish(finisher);
            it.quiet();
            assert_eq!(it.transfers(), [Name::Completed; 2], "{case}");
            assert_eq!(it.flows(), [Flowing::Completed; 4], "{case}");
            assert!(it.sides.iter().all(|side| side.outbox.is_empty()), "{case}");
            assert!(!it.sides[finisher].has_timer("flow"), "{case}");
        }
    }
}

/// An operator's suspension stops the bytes at once, whether or not the peer answers.
#[test]
fn stopping_does_not_wait_for_the_peer() {
    for body in [suspend(), Said::Terminate { code: None, reason: vec![] }] {
        let mut it = world(false);
        it.fetch("x-pull");
        it.quiet();
        it.say(PROVIDER, body.clone());
        let about = |send: &Send| matches!(send.about, About::Flow(_));
        let now = it.now;
        let send = it.sides[PROVIDER].outbox.values().find(|it| about(it)).cloned().unwrap();
        let outcome = it.deliver(PROVIDER, &send);
        it.sides[PROVIDER].run(Input::Delivered { send: Box::new(send), outcome }, now).unwrap();
        assert_ne!(it.flows()[PROVIDING], Flowing::Started, "{body:?}");
        assert_eq!(it.transfers()[CONSUMER], Name::Started, "the peer has heard nothing yet");
        it.quiet();
        assert_eq!(it.flows()[CONSUMING], it.flows()[PROVIDING]);
    }
}

#[test]
fn a_data_plane_that_refuses_ends_the_transfer_and_one_that_errs_does_not() {
    let mut it = world(false);
    let transfer = it.fetch("x-pull");
    let now = it.now;
    let send = it.sides[CONSUMER].waiting();
    assert!(send.url.ends_with("/dataflows/prepare"), "{}", send.url);
    let outcome = Outcome::Refused { not_found: false, code: None, reason: vec!["no".to_owned()] };
    it.sides[CONSUMER].run(Input::Delivered { send: Box::new(send), outcome }, now).unwrap();
    assert_eq!(it.sides[CONSUMER].transfers[&transfer].state.name(), Name::Terminated);
    assert!(it.sides[CONSUMER].outbox.is_empty(), "the provider never heard of it");

    let mut it = world(false);
    it.fetch("x-push");
    it.quiet();
    let flow = it.sides[PROVIDING].flows.keys().next().unwrap().clone();
    let failed = Wish::FlowFailed { flow, reason: "connection reset".to_owned() };
    it.sides[PROVIDING].wish(failed, now).unwrap();
    it.quiet();
    // "The control plane MUST NOT propagate this event to the counterparty."
    assert_eq!(it.transfers(), [Name::Started; 2]);
    let seen = it.sides[PROVIDER].flows.values().next().unwrap();
    assert_eq!(seen.error.as_deref(), Some("connection reset"));
    let errored = |it: &What| matches!(it, What::GaveUp { code } if code == "dataplane.errored");
    assert_eq!(it.sides[PROVIDER].count(errored), 1);
}

#[test]
fn one_plane_cannot_touch_the_flow_of_another() {
    let mut it = world(false);
    it.fetch("x-pull");
    it.quiet();
    let now = it.now;
    let flow = it.sides[PROVIDING].flows.keys().next().unwrap().clone();
    let order = FlowOrder {
        from: id("stranger"),
        address: "https://stranger.example".to_owned(),
        mine: Some(flow),
        id: Some(id("urn:message:7")),
        terms: None,
        body: Body::Terminate { reason: None },
        background: false,
    };
    let refused = it.sides[PROVIDING].run(Input::Ordered(Box::new(order)), now).unwrap_err();
    assert_eq!(refused, Fault::NotFound { what: "data flow" });
    let transfer = it.sides[PROVIDER].transfers.keys().next().unwrap().clone();
    for (from, theirs) in [("stranger", None), ("providing", Some(id("urn:another:1")))] {
        let report =
            FlowReport { from: id(from), flow: transfer.clone(), theirs, body: Body::Completed };
        let refused = it.sides[PROVIDER].run(Input::Reported(Box::new(report)), now).unwrap_err();
        assert_eq!(refused, Fault::NotFound { what: "transfer" });
    }
    assert_eq!(it.flows(), [Flowing::Started; 4]);
}

/// The same process twice: the same message is answered again, another one is refused.
#[test]
fn a_process_has_one_flow() {
    let mut it = world(false);
    it.fetch("x-pull");
    let send = it.sides[CONSUMER].waiting();
    let first = it.order(CONSUMER, CONSUMING, "/dataflows/prepare", &send).unwrap();
    assert_eq!(it.order(CONSUMER, CONSUMING, "/dataflows/prepare", &send), Ok(first));
    let mut other = send.clone();
    other.body = other.body.replace(send.id.as_str(), "urn:another:1");
    let refused = it.order(CONSUMER, CONSUMING, "/dataflows/prepare", &other).unwrap_err();
    assert_eq!(refused.code(), "dataflow.exists");
    assert_eq!(it.sides[CONSUMING].flows.len(), 1);
}

/// An order that comes again, late or because its answer was lost, is acknowledged and changes nothing.
#[test]
fn a_repeated_order_does_not_undo_what_came_after_it() {
    let mut it = world(false);
    it.fetch("x-pull");
    it.quiet();
    let flow = it.sides[PROVIDING].flows.keys().next().unwrap().clone();
    let mut said = |number: u32, body: Body| {
        let order = FlowOrder {
            from: id("control"),
            address: "https://provider.example/signaling".to_owned(),
            mine: Some(flow.clone()),
            id: Some(id(&format!("urn:order:{number}"))),
            terms: None,
            body,
            background: false,
        };
        let now = it.now;
        let reply = it.sides[PROVIDING].run(Input::Ordered(Box::new(order)), now).unwrap();
        let Reply::Flow { it, .. } = reply else { panic!("{reply:?}") };
        it.state.name()
    };
    let rest = |why: &str| Body::Suspend { reason: Some(why.to_owned()) };
    for (number, body, state) in [
        (1, rest("a"), Flowing::Suspended),
        (2, Body::Resume { address: None }, Flowing::Started),
        (1, rest("a"), Flowing::Started),
        // The same id on another order is no repetition.
        (1, rest("b"), Flowing::Suspended),
        (2, Body::Resume { address: None }, Flowing::Suspended),
        (3, Body::Resume { address: None }, Flowing::Started),
        (4, Body::Completed, Flowing::Completed),
        (3, Body::Resume { address: None }, Flowing::Completed),
        (1, rest("a"), Flowing::Completed),
    ] {
        assert_eq!(said(number, body.clone()), state, "{number} {body:?}");
    }
}

/// A data plane that cannot be reached for a day may run what it was told: it is told that it is over, for as long as
/// that takes, and by the process where its own id never arrived.
#[test]
fn a_data_plane_that_was_given_up_is_told_so_without_end() {
    let mut it = world(false);
    let transfer = it.fetch("x-pull");
    let opening = it.sides[CONSUMER].waiting();
    it.order(CONSUMER, CONSUMING, "/dataflows/prepare", &opening).unwrap();
    let nobody = || Outcome::Unreachable { reason: "timeout".to_owned() };
    let delivered =
        |send: &Send, outcome| Input::Delivered { send: Box::new(send.clone()), outcome };
    let late = it.now.after(crate::limits::RETRY_GIVE_UP);
    it.sides[CONSUMER].run(delivered(&opening, nobody()), late).unwrap();
    assert_eq!(it.sides[CONSUMER].transfers[&transfer].state.name(), Name::Terminated);
    let farewell = it.sides[CONSUMER].waiting();
    let path = format!("/dataflows/{transfer}/terminate");
    assert!(farewell.url.ends_with(&path), "{}", farewell.url);
    for days in [1_u32, 3, 90] {
        let late = late.after(crate::limits::RETRY_GIVE_UP * days);
        it.sides[CONSUMER].run(delivered(&farewell, nobody()), late).unwrap();
        assert_eq!(it.sides[CONSUMER].waiting().id, farewell.id);
    }
    it.order(CONSUMER, CONSUMING, &path, &farewell).unwrap();
    let open = it.sides[CONSUMING].flows.values().any(Flow::is_open);
    assert!(!open, "nothing is moved for a transfer that is over");
    it.sides[CONSUMER].run(delivered(&farewell, Outcome::Accepted { pid: None }), late).unwrap();
    assert!(it.sides[CONSUMER].outbox.is_empty());
}

/// Which message carries an address is not for a control plane to choose.
#[test]
fn a_wrong_address_is_refused_at_the_door() {
    let mut it = world(false);
    it.fetch("x-pull");
    it.quiet();
    let template = it.sides[CONSUMING].flows.values().next().unwrap().terms.clone();
    let mut number = 0;
    let mut open = |profile: &str, body: Body| {
        number += 1;
        let mut terms = template.clone();
        terms.process = id(&format!("urn:process:{number}"));
        terms.profile = crate::dataflow::message::Profile::new(profile);
        let order = FlowOrder {
            from: id("control"),
            address: "https://consumer.example/signaling".to_owned(),
            mine: None,
            id: Some(id(&format!("urn:opening:{number}"))),
            terms: Some(terms),
            body,
            background: false,
        };
        it.sides[CONSUMING].run(Input::Ordered(Box::new(order)), at(101))
    };
    let here = || Some(address());
    for (profile, body, code) in [
        ("x-pull", Body::Start { address: here() }, "dataflow.address"),
        ("x-push", Body::Start { address: None }, "dataflow.address"),
        ("x", Body::Prepare, "dataflow.profile"),
        (
            "https://w3id.org/dspace-sig/profile/http-push",
            Body::Start { address: here() },
            "dataflow.address",
        ),
    ] {
        assert_eq!(open(profile, body).unwrap_err().code(), code, "{profile}");
    }
    assert!(open("x-push", Body::Start { address: here() }).is_ok());
}

/// Whatever is lost and repeated, all four end in the same state once nothing is lost any more.
#[test]
fn the_four_agree_over_lossy_links() {
    let mut ends = [0_u32; 2];
    for seed in 1..300_u64 {
        let mut rng = Rng(seed);
        let mut it = world(rng.below(2) == 0);
        it.fetch(if rng.below(2) == 0 { "x-pull" } else { "x-push" });
        for _ in 0..60 {
            it.now = it.now.after(std::time::Duration::from_secs(5));
            let from = rng.below(4);
            it.post(from, (rng.below(4) == 0, rng.below(4) == 0));
            if rng.below(3) == 0 {
                it.work();
            }
            random_wish(&mut it, &mut rng);
        }
        for _ in 0..40 {
            it.now = it.now.after(std::time::Duration::from_secs(60));
            it.quiet();
        }
        it.give_up();
        let transfer = it.sides[CONSUMER].transfers.values().next().unwrap().state.name();
        for side in [PROVIDER, CONSUMER] {
            let Some(other) = it.sides[side].transfers.values().next() else { continue };
            assert_eq!(other.state.name(), transfer, "seed {seed}");
        }
        for (at, side) in it.sides.iter().enumerate() {
            assert!(side.outbox.is_empty(), "seed {seed}: side {at} still owes something");
            let Some(flow) = side.flows.values().next() else { continue };
            let flowing = flow.state.name();
            match transfer {
                Name::Started => assert_eq!(flowing, Flowing::Started, "seed {seed}, side {at}"),
                // Who finished just before the suspension completes the transfer when it is resumed.
                Name::Suspended => assert!(
                    matches!(flowing, Flowing::Suspended | Flowing::Completed),
                    "seed {seed}, side {at}: {flowing:?}"
                ),
                // Who finished just before the end has finished.
                _ => assert!(flowing.is_terminal(), "seed {seed}, side {at}: {flowing:?}"),
            }
        }
        ends[usize::from(transfer.is_terminal())] += 1;
    }
    assert!(ends.iter().all(|it| *it > 20), "the workload must reach both: {ends:?}");
}

fn random_wish(it: &mut World, rng: &mut Rng) {
    let now = it.now;
    let at = rng.below(2);
    let Some(transfer) = it.sides[at].transfers.keys().next().cloned() else { return };
    let body = match rng.below(40) {
        0..4 => suspend(),
        4..8 => Said::Start { address: None },
        8 => Said::Terminate { code: None, reason: vec![] },
        9 => {
            let side = PROVIDING + rng.below(2);
            if it.sides[side].flows.values().next().is_some() {
                it.finish(side);
            }
            return;
        }
        _ => return,
    };
    // Not everything can be said in every state.
    drop(it.sides[at].wish(Wish::SayTransfer { transfer, body }, now));
}

#[test]
fn a_job_that_rests_is_not_run_again_and_one_that_is_due_is_not_lost() {
    let mut it = world(false);
    it.fetch("x-pull");
    it.quiet();
    let now = it.now;
    let flow = it.sides[CONSUMING].flows.values().next().unwrap().clone();
    let job = Timer::new(now, Due::Job(Job::Flow { flow: flow.id.clone() }));
    assert!(it.sides[CONSUMING].timers.contains_key(&job.key));
    let rests = |seen| Wish::FlowRests { flow: flow.id.clone(), seen };
    it.sides[CONSUMING].wish(rests(at(1)), now).unwrap();
    assert!(it.sides[CONSUMING].timers.contains_key(&job.key), "it moved since that run began");
    it.sides[CONSUMING].wish(rests(flow.moved), now).unwrap();
    assert!(!it.sides[CONSUMING].timers.contains_key(&job.key));
}

/// Seeded, so that a failing seed is a bug report.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
