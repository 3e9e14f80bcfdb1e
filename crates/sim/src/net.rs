//! The network between nodes: it loses, repeats, delays and reorders, and may be cut.
//!
//! Never changes a message: who alters bytes is a traitor, not the weather.

use std::collections::BTreeSet;

use crate::dice::Dice;

/// How bad it is, in percent of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    pub lost: usize,
    pub repeated: usize,
    /// Delivered seconds later, after what was sent since.
    pub late: usize,
}

pub const FAIR: Weather = Weather { lost: 0, repeated: 0, late: 0 };

/// Links that are cut, both ways.
#[derive(Clone, Debug)]
pub struct Net {
    pub weather: Weather,
    cut: BTreeSet<(usize, usize)>,
}

impl Net {
    pub fn new() -> Self {
        Self { weather: FAIR, cut: BTreeSet::new() }
    }

    pub fn cut(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    pub fn mend(&mut self) {
        self.cut.clear();
    }

    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// After how many milliseconds each copy arrives; empty: lost.
    pub fn fate(&self, dice: &mut Dice, from: usize, to: usize) -> Vec<i64> {
        if self.is_cut(from, to) || dice.chance(self.weather.lost) {
            return vec![];
        }
        let copies = if dice.chance(self.weather.repeated) { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                if dice.chance(self.weather.late) {
                    dice.between(1_000, 40_000)
                } else {
                    dice.between(1, 80)
                }
            })
            .collect()
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}
