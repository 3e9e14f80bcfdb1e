//! Rows of a batch on their way to items: normal forms joined to keys, keys that fit one block of the hash collected and hashed
//! many at a time.
//!
//! A key of up to 63 bytes is filled up with zeros to 64 with its length as the last byte; a longer one gets a byte 0xff at its end
//! and so has 65 or more. No two keys become the same bytes. Keys of several parts are joined with the length (32 bits,
//! little-endian) before each part.

use tidm_mpc::psi::Item;

use super::form::{Form, Why};
use super::rule::Rule;
use super::source::Counts;

const BLOCK: usize = 64;
/// Blocks hashed at a time: 8 KB, which stay in the first-level cache.
const BLOCKS: usize = 128;

pub(super) struct Batch {
    context: [u8; 32],
    parts: Vec<(Form, bool)>,
    blocks: Vec<[u8; BLOCK]>,
    /// Where in the output each block's item goes.
    slots: Vec<usize>,
    items: Vec<Item>,
    /// Space for one normal form, and for a key of several.
    space: Vec<u8>,
    joined: Vec<u8>,
    counts: Counts,
}

impl Batch {
    pub(super) fn new(rule: &Rule, caller: &[u8]) -> Self {
        Self {
            context: rule.context(caller),
            parts: rule.parts.iter().map(|part| (part.form, part.ignore_case)).collect(),
            blocks: Vec::with_capacity(BLOCKS),
            slots: Vec::with_capacity(BLOCKS),
            items: Vec::with_capacity(BLOCKS),
            space: Vec::new(),
            joined: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The next row, by its only part.
    #[inline]
    pub(super) fn one(&mut self, raw: &[u8], out: &mut Vec<Option<Item>>) {
        let Some(&(form, ignore_case)) = self.parts.first() else { return };
        out.push(None);
        match form.normal(ignore_case, raw, &mut self.space) {
            Ok(key) => put(key, &self.context, &mut self.blocks, &mut self.slots, out),
            Err(why) => self.counts.left_out(why),
        }
        self.counted(out);
    }

    /// The next row, by its parts in the order of the rule, which are more than one.
    pub(super) fn row<'r>(
        &mut self,
        parts: impl ExactSizeIterator<Item = &'r [u8]>,
        out: &mut Vec<Option<Item>>,
    ) {
        out.push(None);
        self.joined.clear();
        let mut whole = Ok(());
        for ((form, ignore_case), raw) in self.parts.iter().zip(parts) {
            match form.normal(*ignore_case, raw, &mut self.space) {
                Ok(part) => {
                    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
                    self.joined.extend_from_slice(&length.to_le_bytes());
                    self.joined.extend_from_slice(part);
                }
                Err(why) => {
                    whole = Err(why);
                    break;
                }
            }
        }
        match whole {
            Ok(()) => put(&self.joined, &self.context, &mut self.blocks, &mut self.slots, out),
            Err(why) => self.counts.left_out(why),
        }
        self.counted(out);
    }

    /// The next row, which has no key.
    pub(super) fn none(&mut self, why: Why, out: &mut Vec<Option<Item>>) {
        out.push(None);
        self.counts.left_out(why);
        self.counts.rows += 1;
    }

    #[inline]
    fn counted(&mut self, out: &mut [Option<Item>]) {
        self.counts.rows += 1;
        if self.blocks.len() == BLOCKS {
            self.flush(out);
        }
    }

    /// Hashes what was collected. Every batch ends with this.
    pub(super) fn flush(&mut self, out: &mut [Option<Item>]) {
        self.items.clear();
        Item::of_blocks(&self.context, &self.blocks, &mut self.items);
        for (slot, item) in self.slots.drain(..).zip(&self.items) {
            if let Some(place) = out.get_mut(slot) {
                *place = Some(*item);
            }
        }
        self.blocks.clear();
    }
}

#[inline]
fn put(
    key: &[u8],
    context: &[u8; 32],
    blocks: &mut Vec<[u8; BLOCK]>,
    slots: &mut Vec<usize>,
    out: &mut [Option<Item>],
) {
    let mut block = [0; BLOCK];
    match (block.get_mut(..key.len()), u8::try_from(key.len())) {
        (Some(space), Ok(length)) if key.len() < BLOCK => {
            space.copy_from_slice(key);
            block[BLOCK - 1] = length;
            blocks.push(block);
            slots.push(out.len() - 1);
        }
        _ => {
            let mut long = Vec::with_capacity(key.len() + 1);
            long.extend_from_slice(key);
            long.push(0xff);
            if let Some(place) = out.last_mut() {
                *place = Some(Item::of(context, &long));
            }
        }
    }
}
