//! Encoding one bin: peel, then fill in backwards; what does not peel goes through the dense places.
//!
//! Never gives a wrong store: either every key decodes to its value or the encoding fails.

use super::{Rows, Shape};
use crate::field::Gf;

/// More keys were left over than there are dense places. Improbable below 2^-40 with sizes from [`Shape::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapTooLarge;

/// Encoder with memory that is used again from bin to bin.
#[derive(Debug, Default)]
pub struct Solver {
    /// Per sparse place: how many unpeeled keys name it, and the exclusive or of their numbers.
    degrees: Vec<u32>,
    mixed: Vec<u32>,
    alive: Vec<bool>,
    ready: Vec<u32>,
    /// Keys with the place each is solved at, in the order of peeling.
    order: Vec<(u32, u32)>,
    gap: Vec<u32>,
}

impl Solver {
    /// Writes the store of one bin, all [`Shape::bin_places`] of it, so that each row decodes to its value.
    pub fn encode(
        &mut self,
        shape: &Shape,
        rows: &Rows,
        store: &mut [Gf],
    ) -> Result<(), GapTooLarge> {
        store.fill(Gf::ZERO);
        self.peel(shape, rows)?;
        let (sparse, dense) = store.split_at_mut(shape.sparse());
        if self.gap.is_empty() {
            for (row, place) in self.order.iter().rev() {
                let [a, b, c] = rows.columns[*row as usize];
                // The place itself is still zero.
                let known = sparse[a as usize] ^ sparse[b as usize] ^ sparse[c as usize];
                sparse[*place as usize] = known ^ rows.values[*row as usize];
            }
            return Ok(());
        }
        self.fill_through_gap(rows, sparse, dense)
    }

    /// How many rows were left over in the last encoding.
    pub fn gap(&self) -> usize {
        self.gap.len()
    }

    fn peel(&mut self, shape: &Shape, rows: &Rows) -> Result<(), GapTooLarge> {
        self.degrees.clear();
        self.degrees.resize(shape.sparse(), 0);
        self.mixed.clear();
        self.mixed.resize(shape.sparse(), 0);
        self.alive.clear();
        self.alive.resize(rows.columns.len(), true);
        self.order.clear();
        self.gap.clear();
        for (row, columns) in (0u32..).zip(&rows.columns) {
            for column in columns {
                self.degrees[*column as usize] += 1;
                self.mixed[*column as usize] ^= row;
            }
        }
        self.ready.clear();
        let singles = (0u32..).zip(&self.degrees).filter(|(_, degree)| **degree == 1);
        self.ready.extend(singles.map(|(column, _)| column));
        let mut next = 0u32;
        loop {
            while let Some(column) = self.ready.pop() {
                if self.degrees[column as usize] == 1 {
                    let row = self.mixed[column as usize];
                    self.order.push((row, column));
                    self.remove(row, rows);
                }
            }
            while self.alive.get(next as usize) == Some(&false) {
                next += 1;
            }
            if next as usize >= rows.columns.len() {
                return Ok(());
            }
            self.gap.push(next);
            if self.gap.len() > shape.dense() {
                return Err(GapTooLarge);
            }
            self.remove(next, rows);
        }
    }

    fn remove(&mut self, row: u32, rows: &Rows) {
        self.alive[row as usize] = false;
        for column in rows.columns[row as usize] {
            let degree = &mut self.degrees[column as usize];
            *degree -= 1;
            self.mixed[column as usize] ^= row;
            if *degree == 1 {
                self.ready.push(column);
            }
        }
    }

    /// Each sparse place as a constant plus multiples of the dense places; the gap's rows are the equations for those.
    fn fill_through_gap(
        &self,
        rows: &Rows,
        sparse: &mut [Gf],
        dense: &mut [Gf],
    ) -> Result<(), GapTooLarge> {
        let width = dense.len() + 1;
        let mut forms = vec![Gf::ZERO; sparse.len() * width];
        for (row, place) in self.order.iter().rev() {
            let form = form_of(rows, *row, &forms, width);
            let at = *place as usize * width;
            forms[at..at + width].copy_from_slice(&form);
        }
        let equations = self.gap.iter().map(|row| form_of(rows, *row, &forms, width)).collect();
        solve_dense(equations, dense)?;
        for (place, form) in sparse.iter_mut().zip(forms.chunks_exact(width)) {
            let multiples = form[1..].iter().zip(&*dense);
            *place = multiples.fold(form[0], |sum, (factor, dense)| sum ^ factor.times(*dense));
        }
        Ok(())
    }
}

/// The row's value, minus its places, minus its powers: as a constant and the factors of the dense places.
fn form_of(rows: &Rows, row: u32, forms: &[Gf], width: usize) -> Vec<Gf> {
    let row = row as usize;
    let mut form = vec![rows.values[row]];
    let mut power = Gf::ONE;
    for _ in 1..width {
        power = power.times(rows.points[row]);
        form.push(power);
    }
    for column in rows.columns[row] {
        let at = column as usize * width;
        for (sum, other) in form.iter_mut().zip(&forms[at..at + width]) {
            *sum ^= *other;
        }
    }
    form
}

/// Gauss and Jordan over GF(2^128): `Σ factor_k · dense_k = constant` per equation. Unknowns without a pivot stay zero.
fn solve_dense(mut equations: Vec<Vec<Gf>>, dense: &mut [Gf]) -> Result<(), GapTooLarge> {
    let mut pivots = Vec::with_capacity(equations.len());
    for current in 0..equations.len() {
        // Singular with probability about 2^-120, unless two keys are the same.
        let pivot =
            (1..=dense.len()).find(|k| equations[current][*k] != Gf::ZERO).ok_or(GapTooLarge)?;
        let inverse = equations[current][pivot].inverse();
        for factor in &mut equations[current] {
            *factor = factor.times(inverse);
        }
        let settled = equations[current].clone();
        for (index, other) in
            equations.iter_mut().enumerate().filter(|(index, _)| *index != current)
        {
            debug_assert_ne!(index, current);
            let times = other[pivot];
            for (factor, of_settled) in other.iter_mut().zip(&settled) {
                *factor ^= of_settled.times(times);
            }
        }
        pivots.push(pivot);
    }
    for (equation, pivot) in equations.iter().zip(pivots) {
        dense[pivot - 1] = equation[0];
    }
    Ok(())
}
