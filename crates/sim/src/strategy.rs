//! What happens next, drawn from the seed and from what the world holds.
//!
//! Never looks at more than people and operators could: open negotiations, contracts, leases. Prefers what leads
//! somewhere; the rest of the probability belongs to trouble.

use std::time::Duration;

use tidm_space::approval::{self, Rules, Then, When};
use tidm_space::catalog::delivery::Use;
use tidm_space::catalog::product::{Approval, BadProduct, Draft, Kind, Offer, Product};
use tidm_space::dataflow::message::Profile;
use tidm_space::id::{Id, Ids as _};
use tidm_space::lease::message::Request;
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::Name;
use tidm_space::policy::model::{Action, Atomic, Operand, Operator, Policy, Rule, Value};
use tidm_space::policy::sentence::{Counted, Sentences, build};
use tidm_space::policy::span::Span;
use tidm_space::time::Time;
use tidm_space::transfer::state::Name as Phase;

use crate::happening::Happening;
use crate::net::{FAIR, Weather};
use crate::node::CrashPoint;
use crate::serve::{BYTES, ROWS};
use crate::world::World;

/// Milliseconds until the next happening.
pub fn pause(world: &mut World) -> i64 {
    match world.dice.below(10) {
        0 => world.dice.between(5_000, 60_000),
        1..=4 => world.dice.between(200, 2_000),
        _ => world.dice.between(0, 100),
    }
}

pub fn next(world: &mut World, step: usize) -> Happening {
    if step < world.providers
        && let Some(it) = publish(world, step)
    {
        return it;
    }
    for _ in 0..8 {
        let roll = world.dice.below(100);
        let drawn = match roll {
            0..=21 => request(world),
            22..=38 => talk(world),
            39..=51 => transfer(world),
            52..=71 => use_it(world),
            72..=76 => end(world),
            77..=79 => membership(world),
            80..=82 => sequence(world),
            _ => Some(trouble(world)),
        };
        if let Some(it) = drawn {
            return it;
        }
    }
    Happening::Pass { ms: 1_000 }
}

/// A participant.
fn any(world: &mut World) -> usize {
    let count = world.members;
    world.dice.below(count)
}

/// Any program: participants and data planes.
fn any_program(world: &mut World) -> usize {
    let count = world.nodes.len();
    world.dice.below(count)
}

/// An operator's and its members' dealings.
fn membership(world: &mut World) -> Option<Happening> {
    let operator = world.space.as_ref()?.operator;
    let drawn = any(world);
    let store = &world.nodes[operator].store.credentials;
    // Who has an invitation in hand is likely to take it up.
    let waiting =
        (0..world.members).find(|it| store.invitations.get(&world.nodes[*it].did) == Some(&false));
    let holder = if world.dice.chance(50) { waiting.unwrap_or(drawn) } else { drawn };
    let did = world.nodes[holder].did.clone();
    let store = &world.nodes[operator].store.credentials;
    let filed = store.requests.iter().filter(|(_, it)| it.state == "received");
    let filed: Vec<String> = filed.map(|(id, _)| id.clone()).collect();
    let held = store.places.iter().any(|it| it.holder == did && !it.revoked);
    let invited = store.invitations.get(&did) == Some(&false);
    if let Some(request) = world.dice.pick(&filed).cloned() {
        return Some(Happening::Decide { operator, request, approves: world.dice.chance(80) });
    }
    if held {
        // The operator has no reason to cut itself off.
        let cuts = holder != operator && world.dice.chance(35);
        return cuts.then_some(Happening::RevokeMember { operator, holder });
    }
    Some(if invited {
        Happening::Join { node: holder }
    } else {
        Happening::Invite { operator, holder }
    })
}

fn publish(world: &mut World, node: usize) -> Option<Happening> {
    let now = world.nodes[node].now(world.ms);
    let id = world.nodes[node].ids.fresh();
    let product = product(world, id, now).ok()?;
    Some(Happening::Publish { node, product: Box::new(product) })
}

fn product(world: &mut World, id: Id, now: Time) -> Result<Product, BadProduct> {
    let digest = tidm_crypto::hash::sha256(id.as_str().as_bytes());
    let mut draft = Draft::new(id.clone(), id.clone(), "Welding currents", Kind::Table, now);
    draft.content = Some(digest);
    draft.origin = Some(digest);
    draft.bytes = Some(BYTES);
    draft.rows = Some(ROWS);
    let soon =
        now.after(Duration::from_secs(600 + u64::try_from(world.dice.below(7200)).unwrap_or(0)));
    let listed = [
        (Approval::Auto, Sentences { uses: Some(2), ..Sentences::default() }),
        (Approval::Auto, Sentences::default()),
        (Approval::Manual, Sentences { uses: Some(3), ..Sentences::default() }),
        (Approval::Counter, Sentences { uses: Some(1), ..Sentences::default() }),
        (Approval::Auto, Sentences { until: Some(soon), ..Sentences::default() }),
        (Approval::Auto, counted(Counted { frequency: period(1, "PT2M"), ..Counted::default() })),
        (Approval::Auto, counted(Counted { metered: span("PT70S"), ..Counted::default() })),
        (
            Approval::Auto,
            counted(Counted { rows: Some(12), bytes: Some(1500), ..Counted::default() }),
        ),
        (Approval::Auto, counted(Counted { entity_uses: Some(2), ..Counted::default() })),
        (
            Approval::Auto,
            counted(Counted {
                entity_frequency: period(2, "PT5M"),
                entity_metered: span("PT2M"),
                entity_bytes: Some(1500),
                entity_rows: Some(12),
                ..Counted::default()
            }),
        ),
        (Approval::Auto, Sentences { delete_by: Some(soon), ..Sentences::default() }),
        (Approval::Auto, Sentences::default()),
    ];
    for (number, (approval, sentences)) in listed.into_iter().enumerate() {
        let offer =
            Id::parse(&format!("{id}:offer:{number}")).map_err(|_| BadProduct::Text("the id"))?;
        let mut policy =
            build(offer, None, &sentences).map_err(|_| BadProduct::Text("the offer"))?;
        if number == LAST {
            policy.obligations.push(gone_within("PT90S"));
        }
        let offer = Offer::new(policy, approval, vec![Use::Query, Use::SealedTable])?;
        // One of them answers by rules, so that timers come due among crashes and lost messages.
        let rules = if number == RULED { rules() } else { Rules::default() };
        draft.offers.push(offer.with_rules(rules));
    }
    Product::new(draft)
}

fn counted(counted: Counted) -> Sentences {
    Sentences { counted, ..Sentences::default() }
}

fn span(text: &str) -> Option<Span> {
    Span::parse(text).ok()
}

fn period(uses: u64, text: &str) -> Option<(u64, Span)> {
    Some((uses, span(text)?))
}

/// All copies are deleted so long after the first use: the offer that no sentence says.
fn gone_within(text: &str) -> Rule {
    let within = Atomic::new(Operand::ElapsedTime, Operator::Lteq, Value::text(text));
    Rule::new(Action::Delete, vec![within.into()])
}

const LAST: usize = 11;

/// The offer with rules: its contracts end while their timers wait.
const RULED: usize = 4;

/// Agreement, finalization and a break in each transfer, none of them at once.
fn rules() -> Rules {
    let rule = |when, round, then, seconds| approval::Rule {
        when,
        round,
        then,
        after: Duration::from_secs(seconds),
    };
    let all = vec![
        rule(When::Negotiation(Name::Requested), None, Then::Agree, 3),
        rule(When::Negotiation(Name::Verified), None, Then::Finalize, 1),
        rule(When::Transfer(Phase::Started), Some(1), Then::Suspend, 0),
        rule(When::Transfer(Phase::Suspended), None, Then::Start, 5),
    ];
    // Checked by this very list's use in every run: a provider may do all of them.
    Rules::new(Role::Provider, all).unwrap_or_default()
}

fn other_terms(id: Id, uses: u64) -> Option<Policy> {
    build(id, None, &Sentences { uses: Some(uses), ..Sentences::default() }).ok()
}

fn request(world: &mut World) -> Option<Happening> {
    let consumer = any(world);
    let provider = world.dice.below(world.providers);
    let id = world.nodes[provider].store.products.keys().next()?.clone();
    if consumer == provider {
        return None;
    }
    let row = world.nodes[provider].store.products.get(&id)?;
    let product = tidm_space::wire::record::product::decode(&row.record).ok()?;
    let listed = world.dice.pick(&product.offers)?.policy().clone();
    let other = world.dice.chance(20);
    let mut offer = if other { other_terms(listed.id, 7)? } else { listed };
    if world.dice.chance(4) {
        offer.id = Id::parse("urn:offer:unheard-of").ok()?;
    }
    offer.target = Some(id.clone());
    let offer = Box::new(offer);
    Some(if other {
        Happening::RequestOther { consumer, provider, product: id, offer }
    } else {
        Happening::RequestListed { consumer, provider, product: id, offer }
    })
}

fn pick_id(world: &mut World, ids: &[Id]) -> Option<Id> {
    world.dice.pick(ids).cloned()
}

/// A person looks at open negotiations.
fn talk(world: &mut World) -> Option<Happening> {
    let node = any(world);
    let open: Vec<Id> = world.nodes[node]
        .store
        .negotiations
        .iter()
        .filter(|(_, it)| it.open)
        .map(|(id, _)| id.clone())
        .collect();
    let negotiation = pick_id(world, &open)?;
    let it = world.nodes[node].store.negotiation(&negotiation).ok().flatten()?;
    match world.dice.below(10) {
        0 => Some(Happening::Terminate { node, negotiation }),
        1 | 2 => {
            let had = it.state.offer().map_or_else(|| negotiation.clone(), |it| it.id.clone());
            let uses = 2 + u64::try_from(world.dice.below(5)).unwrap_or(0);
            let mut offer = other_terms(had, uses)?;
            offer.target = Some(it.product);
            Some(Happening::Counter { node, negotiation, offer: Box::new(offer) })
        }
        _ if it.awaits_approval || it.state.name() == Name::Offered => {
            Some(Happening::Approve { node, negotiation })
        }
        _ => None,
    }
}

fn contracts(world: &World, node: usize, role: Option<Role>) -> Vec<Id> {
    let store = &world.nodes[node].store;
    let fits = |it: &crate::store::Row| role.is_none() || it.role == role;
    store.contracts.iter().filter(|(_, it)| fits(it)).map(|(id, _)| id.clone()).collect()
}

fn transfer(world: &mut World) -> Option<Happening> {
    let node = any(world);
    let open: Vec<(Id, &'static str)> = world.nodes[node]
        .store
        .transfers
        .iter()
        .filter(|(_, it)| it.open)
        .map(|(id, it)| (id.clone(), it.state))
        .collect();
    if !open.is_empty() && world.dice.chance(50) {
        let (transfer, state) = world.dice.pick(&open)?.clone();
        return Some(match (world.dice.below(6), state) {
            (0, _) => Happening::EndTransfer { node, transfer },
            (_, "SUSPENDED") => Happening::Resume { node, transfer },
            (_, _) => Happening::Suspend { node, transfer },
        });
    }
    let held = contracts(world, node, Some(Role::Consumer));
    let contract = pick_id(world, &held)?;
    let format = format(world, node, &contract)?;
    Some(Happening::Transfer { node, contract, format })
}

/// How it is delivered: a push needs a data plane on both sides, a pull one at least.
fn format(world: &mut World, consumer: usize, contract: &Id) -> Option<&'static str> {
    let peer = world.nodes[consumer].store.contract(contract).ok()??.peer;
    let provider = world.node_of(&peer)?;
    let has = |at: usize| !world.nodes[at].store.planes.is_empty();
    let (theirs, ours) = (has(provider), has(consumer));
    Some(match (theirs, ours, world.dice.below(10)) {
        (true, true, 0..=3) => Profile::HTTP_PUSH,
        (true, _, 0..=7) | (false, true, 0..=4) => Profile::HTTP_PULL,
        (_, _, _) => "tidm:sealed-table",
    })
}

fn use_it(world: &mut World) -> Option<Happening> {
    let node = any(world);
    let leases: Vec<Id> = world.nodes[node].store.leases.keys().cloned().collect();
    if !leases.is_empty() && world.dice.chance(40) {
        let lease = pick_id(world, &leases)?;
        let held = world.nodes[node]
            .store
            .lease(&lease)
            .ok()
            .flatten()
            .filter(|it| it.role == Role::Consumer)?;
        return Some(match world.dice.below(4) {
            0 => Happening::AskAgain { node, request: Box::new(held.request) },
            1 => Happening::Query { node, lease },
            2 => Happening::Renew { node, lease },
            _ => Happening::Return { node, lease },
        });
    }
    let held = contracts(world, node, Some(Role::Consumer));
    let contract = pick_id(world, &held)?;
    Some(Happening::Ask { node, request: Box::new(ask(world, contract)) })
}

/// A fresh request for a use.
pub(crate) fn ask(world: &mut World, contract: Id) -> Request {
    let kind = if world.dice.chance(60) { Use::Query } else { Use::SealedTable };
    let span = Duration::from_secs(u64::try_from(world.dice.below(4)).unwrap_or(0) * 20);
    Request {
        contract,
        kind,
        nonce: world.dice.bytes(),
        key: world.dice.bytes(),
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span,
    }
}

fn end(world: &mut World) -> Option<Happening> {
    let node = any(world);
    if world.dice.chance(60) {
        let granted = contracts(world, node, Some(Role::Provider));
        let contract = pick_id(world, &granted)?;
        let state = world.nodes[node].store.contracts.get(&contract).map(|it| it.state);
        return Some(match state {
            Some("suspended") => Happening::ResumeContract { node, contract },
            Some("active") if world.dice.chance(50) => {
                Happening::SuspendContract { node, contract }
            }
            _ => Happening::Revoke { node, contract },
        });
    }
    let all = contracts(world, node, None);
    let contract = pick_id(world, &all)?;
    Some(Happening::End { node, contract })
}

fn sequence(world: &mut World) -> Option<Happening> {
    let node = any_program(world);
    if world.dice.chance(10) {
        return Some(Happening::StaleSequencer { node });
    }
    let crash_after = if world.dice.chance(35) { Some(world.dice.below(12)) } else { None };
    Some(Happening::Sequence { node, crash_after })
}

fn trouble(world: &mut World) -> Happening {
    let node = any_program(world);
    if let Some(traitor) = world.traitor.as_ref().map(|it| (it.node, it.kind))
        && world.dice.chance(40)
    {
        return Happening::Betray { node: traitor.0, kind: traitor.1 };
    }
    match world.dice.below(20) {
        0..=4 => {
            let points = [CrashPoint::InCommit, CrashPoint::AfterCommit, CrashPoint::AfterDelivery];
            Happening::Crash { node, point: points[world.dice.below(points.len())] }
        }
        5 | 6 => {
            let bad = Weather {
                lost: world.dice.below(40),
                repeated: world.dice.below(40),
                late: world.dice.below(30),
            };
            Happening::Weather { weather: if world.dice.chance(70) { bad } else { FAIR } }
        }
        7 | 8 => Happening::Cut { a: node, b: any_program(world) },
        9..=11 => Happening::Mend,
        12 => Happening::ClockJump { node, ms: world.dice.between(-600_000, 600_000) },
        13 | 14 => {
            match world
                .nodes
                .iter()
                .take(world.members)
                .skip(world.providers)
                .position(|it| it.backup.is_some())
            {
                Some(at) if world.dice.chance(40) => {
                    Happening::Restore { node: world.providers + at }
                }
                // Only participants are ever set back.
                _ => Happening::Backup { node: any(world) },
            }
        }
        15 => match world.nodes.iter().take(world.providers).position(|it| it.backup.is_some()) {
            Some(node) => Happening::RestoreKeys { node },
            None => Happening::Backup { node: world.dice.below(world.providers) },
        },
        16 if world.dice.chance(8) => Happening::Pass { ms: 25 * 3_600_000 },
        16 | 17 => Happening::Pass { ms: world.dice.between(60_000, 900_000) },
        _ => Happening::Pass { ms: world.dice.between(1_000, 15_000) },
    }
}
