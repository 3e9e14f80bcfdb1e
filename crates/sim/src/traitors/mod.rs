//! Participants that break the rules on purpose. Each file opens with what its traitor does.
//!
//! A traitor is authenticated as itself: it cannot speak as another, and it cannot break signatures. It may know
//! every id and every message. Never part of what must agree at the end; the others must not suffer.

pub mod forger;
pub mod over_asker;
pub mod replayer;

use std::rc::Rc;

use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Replayer,
    Forger,
    OverAsker,
}

/// What a traitor overheard.
#[derive(Clone, Debug)]
pub struct Overheard {
    pub from: usize,
    pub to: usize,
    pub path: String,
    pub body: Rc<str>,
}

#[derive(Clone, Debug)]
pub struct Traitor {
    pub kind: Kind,
    pub node: usize,
    pub heard: Vec<Overheard>,
}

/// Older messages are forgotten: memory of a world stays small.
const MEMORY: usize = 400;

impl Traitor {
    pub fn new(kind: Kind, node: usize) -> Self {
        Self { kind, node, heard: Vec::new() }
    }

    pub fn overhear(&mut self, from: usize, to: usize, path: &str, body: &Rc<str>) {
        if self.heard.len() < MEMORY {
            self.heard.push(Overheard { from, to, path: path.to_owned(), body: body.clone() });
        }
    }
}

/// One deed.
pub fn act(world: &mut World, node: usize, kind: Kind) {
    match kind {
        Kind::Replayer => replayer::act(world, node),
        Kind::Forger => forger::act(world, node),
        Kind::OverAsker => over_asker::act(world, node),
    }
}

/// A message that fits, picked by chance.
fn recall(world: &mut World, fits: impl Fn(&Overheard) -> bool) -> Option<Overheard> {
    let heard: Vec<Overheard> =
        world.traitor.as_ref()?.heard.iter().filter(|it| fits(it)).cloned().collect();
    world.dice.pick(&heard).cloned()
}
