//! Example values for tests: one of each thing that is written somewhere.

use std::time::Duration;

use tidm_crypto::hash::{Digest, sha256};

use crate::approval::Rules;
use crate::contract::{Contract, Deletion, End, State as ContractState};
use crate::dataflow::message::{Body as Flowing, Message as Said, Plane, Profile, Terms};
use crate::dataflow::registration::{Authorization, Registration};
use crate::dataflow::state::{Flow, State as FlowState};
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease::charge::Reserved;
use crate::lease::message::{Outcome, Request};
use crate::lease::state::{Lease, State as LeaseState};
use crate::negotiation::message::{Agreement, Body, Message, Role, Signature};
use crate::negotiation::state::{Negotiation, State};
use crate::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use crate::policy::usage::Use;
use crate::time::Time;
use crate::transfer::message as moved;
use crate::transfer::state::{State as TransferState, Transfer};

pub(crate) fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

pub(crate) fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_ms(1_780_000_000_000 + seconds * 1000)
}

pub(crate) fn digest(text: &str) -> Digest {
    sha256(text.as_bytes())
}

pub(crate) fn constraint(left: Operand, op: Operator, right: &str) -> Constraint {
    Constraint::Atomic(Atomic::new(left, op, Value::text(right)))
}

/// Use, at most `uses` times.
pub(crate) fn counted(uses: u64) -> Policy {
    let mut it = Policy::new(id("urn:offer:1"), Kind::Offer);
    it.target = Some(id("urn:product:1"));
    it.permissions = vec![Rule::new(
        Action::Use,
        vec![constraint(Operand::Count, Operator::Lteq, &uses.to_string())],
    )];
    it
}

pub(crate) fn offer() -> Policy {
    counted(3)
}

pub(crate) fn agreement(signed: bool) -> Agreement {
    let mut policy = offer();
    policy.kind = Kind::Agreement;
    policy.id = id("urn:agreement:1");
    policy.assigner = Some(id("did:web:provider.example"));
    policy.assignee = Some(id("did:web:consumer.example"));
    Agreement {
        id: policy.id.clone(),
        policy,
        at: at(5),
        signature: signed.then(|| Signature("a.b.c".to_owned())),
    }
}

pub(crate) fn negotiation(role: Role, state: State, pending: Option<Body>) -> Negotiation {
    Negotiation {
        id: id("urn:mine:1"),
        role,
        peer: did("did:web:peer.example"),
        peer_pid: Some(id("urn:theirs:1")),
        address: "https://peer.example/dsp".to_owned(),
        product: id("urn:product:1"),
        state,
        pending: pending.map(|body| Message { id: Some(id("urn:message:1")), body }),
        rounds: 2,
        awaits_approval: false,
        proposed: None,
        rules: Rules::default(),
        created: at(0),
        moved: at(1),
    }
}

fn why() -> (Option<String>, Vec<String>) {
    (Some("99".to_owned()), vec!["价格不合适".to_owned(), String::new()])
}

pub(crate) fn states() -> Vec<State> {
    let (code, reason) = why();
    let signature = Some(Signature("d.e.f".to_owned()));
    vec![
        State::Initial,
        State::Requested { offer: offer() },
        State::Offered { offer: odd() },
        State::Accepted { offer: offer() },
        State::Agreed { agreement: agreement(true) },
        State::Verified { agreement: agreement(false), consumer_signature: None },
        State::Finalized { agreement: agreement(true), consumer_signature: signature },
        State::Terminated { by: Role::Provider, code, reason },
    ]
}

/// Terms that are not understood stay not understood.
pub(crate) fn odd() -> Policy {
    let mut it = offer();
    it.extra = vec!["note".to_owned()];
    it.unsupported = vec!["inheritFrom".to_owned()];
    let mut inner =
        Atomic::new(Operand::Unknown("weather".to_owned()), Operator::Eq, Value::text("fine"));
    inner.unsupported = vec!["status".to_owned()];
    let mut rule = Rule::new(
        Action::Unknown("dance".to_owned()),
        vec![Constraint::Or(vec![Constraint::Atomic(inner)])],
    );
    rule.unsupported = vec!["output".to_owned()];
    rule.duties = vec![Rule::new(Action::Compensate, vec![])];
    it.permissions.push(rule);
    it
}

pub(crate) fn bodies() -> Vec<Body> {
    let (code, reason) = why();
    vec![
        Body::Request { offer: offer() },
        Body::Offer { offer: offer() },
        Body::Accept,
        Body::Agree { agreement: agreement(true) },
        Body::Verify { signature: Some(Signature("d.e.f".to_owned())) },
        Body::Finalize,
        Body::Terminate { code, reason },
    ]
}

pub(crate) fn address() -> moved::DataAddress {
    moved::DataAddress {
        endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".to_owned(),
        endpoint: Some("https://peer.example/data".to_owned()),
        properties: vec![
            ("zz".to_owned(), "1".to_owned()),
            ("authorization".to_owned(), "TOKEN".to_owned()),
        ],
    }
}

pub(crate) fn transfer(role: Role, state: TransferState, pending: Option<moved::Body>) -> Transfer {
    Transfer {
        id: id("urn:mine:2"),
        role,
        peer: did("did:web:peer.example"),
        peer_pid: Some(id("urn:theirs:2")),
        address: "https://peer.example/dsp".to_owned(),
        contract: id("urn:agreement:1"),
        format: "HttpData-PULL".to_owned(),
        push_to: None,
        state,
        pending: pending.map(|body| moved::Message { id: Some(id("urn:message:2")), body }),
        starts: 0,
        created: at(0),
        moved: at(1),
    }
}

pub(crate) fn transfer_states() -> Vec<TransferState> {
    let (code, reason) = why();
    vec![
        TransferState::Initial,
        TransferState::Requested,
        TransferState::Started { address: Some(address()) },
        TransferState::Suspended { by: Role::Consumer, reason: reason.clone(), address: None },
        TransferState::Completed { by: Role::Provider },
        TransferState::Terminated { by: Role::Consumer, code, reason },
    ]
}

pub(crate) fn transfer_bodies() -> Vec<moved::Body> {
    let (code, reason) = why();
    vec![
        moved::Body::Request {
            contract: id("urn:agreement:1"),
            format: "HttpData-PUSH".to_owned(),
            address: Some(address()),
        },
        moved::Body::Start { address: Some(address()) },
        moved::Body::Start { address: None },
        moved::Body::Complete,
        moved::Body::Suspend { code: code.clone(), reason: reason.clone() },
        moved::Body::Terminate { code, reason },
    ]
}

pub(crate) fn contract(policy: Policy) -> Contract {
    Contract {
        id: id("urn:agreement:1"),
        role: Role::Provider,
        peer: did("did:web:consumer.example"),
        address: "https://consumer.example/dsp".to_owned(),
        negotiation: id("urn:mine:1"),
        product: id("urn:product:1"),
        policy,
        digest: digest("signed"),
        provider_signature: Some(Signature("a.b.c".to_owned())),
        consumer_signature: None,
        signed_at: at(5),
        first_use: None,
        group: None,
        state: ContractState::Active,
        changes: 0,
        deletion: None,
        consented: None,
        missed: None,
        rules: Rules::default(),
    }
}

pub(crate) fn deletion() -> Deletion {
    Deletion {
        at: at(9),
        files: vec![digest("a"), digest("b")],
        receipt: Signature("g.h.i".to_owned()),
    }
}

pub(crate) fn contracts() -> Vec<Contract> {
    let mut used = contract(agreement(false).policy);
    used.first_use = Some(at(6));
    let mut out = vec![used.clone()];
    for why in End::ALL {
        let mut it = used.clone();
        it.state =
            ContractState::Ended { why, by: Role::Consumer, at: at(8), reason: "完".to_owned() };
        it.deletion = Some(deletion());
        out.push(it);
    }
    out
}

pub(crate) fn request(nonce: u8) -> Request {
    Request {
        contract: id("urn:agreement:1"),
        kind: Use::Query,
        nonce: [nonce; 16],
        key: [7; 32],
        purpose: Some("quality".to_owned()),
        query: Some(digest("select 1")),
        items: None,
        epsilon: None,
        span: Duration::from_secs(60),
    }
}

pub(crate) fn outcome() -> Outcome {
    Outcome { done: true, rows: 10, bytes: u64::MAX, result: Some(digest("result")) }
}

pub(crate) fn leases() -> Vec<Lease> {
    let mut out = Vec::new();
    for state in [
        LeaseState::Granted,
        LeaseState::Returned { at: at(7), outcome: outcome(), receipt: None },
        LeaseState::Expired { at: at(7) },
        LeaseState::Revoked { at: at(7) },
    ] {
        out.push(Lease {
            id: id("urn:lease:1"),
            role: Role::Provider,
            peer: did("did:web:consumer.example"),
            request: request(1),
            granted: at(6),
            until: at(66),
            renewals: 0,
            renewed: None,
            uses_left: Some(2),
            epsilon_left: None,
            level: None,
            reserved: Reserved::default(),
            state,
        });
    }
    out
}

pub(crate) fn flow(plane: Plane, role: Role, state: FlowState) -> Flow {
    Flow {
        id: id("urn:flow:1"),
        plane,
        role,
        partner: id("plane-1"),
        address: "https://plane.example/signaling".to_owned(),
        theirs: None,
        opened_by: id("urn:message:3"),
        terms: Terms {
            participant: id("did:web:me.example"),
            counterparty: id("did:web:peer.example"),
            context: "default".to_owned(),
            process: id("urn:process:1"),
            agreement: id("urn:agreement:1"),
            dataset: id("urn:product:1"),
            profile: Profile::new(Profile::HTTP_PULL),
        },
        state,
        owed: Vec::new(),
        error: None,
        created: at(0),
        moved: at(1),
    }
}

pub(crate) fn flows() -> Vec<Flow> {
    let reason = || Some("维护 / maintenance".to_owned());
    let address = || Some(address());
    let states = [
        FlowState::Initialized,
        FlowState::Preparing,
        FlowState::Prepared { address: address() },
        FlowState::Starting { address: address() },
        FlowState::Started { address: None },
        FlowState::Suspended { reason: reason(), address: address() },
        FlowState::Completed { by: Plane::Data },
        FlowState::Terminated { by: Plane::Control, reason: reason() },
    ];
    let mut out: Vec<Flow> =
        states.into_iter().map(|it| flow(Plane::Data, Role::Provider, it)).collect();
    let owed = [
        Flowing::Prepare,
        Flowing::Prepared { address: address() },
        Flowing::Start { address: address() },
        Flowing::Started { address: None },
        Flowing::Suspend { reason: reason() },
        Flowing::Resume { address: address() },
        Flowing::Terminate { reason: None },
        Flowing::Completed,
        Flowing::Errored { reason: "x".to_owned() },
    ];
    let mut busy = flow(Plane::Control, Role::Consumer, FlowState::Initialized);
    busy.theirs = Some(id("theirs-1"));
    busy.error = reason();
    busy.owed = owed.map(|body| Said { id: Some(id("urn:message:4")), body }).into();
    out.push(busy);
    out
}

pub(crate) fn registration(plane: Plane) -> Registration {
    let data = plane == Plane::Data;
    let some = |it: bool, text: &str| if it { vec![text.to_owned()] } else { vec![] };
    Registration {
        id: id("plane-1"),
        plane,
        endpoint: "https://plane.example/signaling".to_owned(),
        profiles: some(data, Profile::HTTP_PULL),
        labels: some(data, "gold"),
        datasets: some(!data, "urn:product:1"),
        authorization: Authorization::Bearer {
            present: "a-secret-that-we-present-there".to_owned(),
            accept: "a-secret-that-they-present-here".to_owned(),
        },
    }
}
