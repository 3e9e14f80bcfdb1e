//! Noisy answers: what one unit may add to a sum, and noise by which nobody can tell whether it was there.
//!
//! ```text
//!   rows of a unit ─► whole steps (fixed) ─► its part, cut to the bounds of the terms (unit)
//!   parts of all units, added exactly ─► + discrete Laplace noise, scale = bound · parts / ε (release) ─► leaves
//! ```
//!
//! Promise: two tables that differ in all rows of one unit give any answer with chances that differ by a factor of e^ε at
//! most (pure ε-differential privacy), over all parts of one answer together. It rests on three things, each with a test
//! that fails without it: a unit adds no more than the bound that its noise is made for; sums are exact, so that
//! their order tells nothing; noise is drawn in whole numbers by the exact algorithm of Canonne, Kamath and Steinke
//! (2020), so that no bit of a floating-point number tells what it was added to (Mironov 2012).
//!
//! Not protected against: how long an answer took (also the drawing of noise takes longer where it is larger), a
//! generator whose numbers somebody else knows, and what other answers say of the same units: whoever counts ε does that.
//!
//! **Architecture invariant:** pure: no clock, no file, no randomness of its own; the generator is an argument. Knows
//! no contract and no table.

pub mod fixed;
pub mod laplace;
pub mod limits;
pub mod release;
pub mod unit;

#[cfg(test)]
mod dice;
