//! Marks in the numbers of a table, by which a leaked copy tells under which contract it was released.
//!
//! ```text
//!   mark:   row's key ──keyed hash──► chosen (one row of four)? ─► wanted parity of the last digit that may change
//!   trace:  the same choice over a found file ─► digits with the wanted parity, counted ─► binomial tail, exact
//! ```
//!
//! Every contract has a key of its own, so the pattern is the contract's code (Agrawal, Kiernan, VLDB 2002). Whoever
//! does not have the key cannot tell a chosen row from another one by its choice; columns are marked independently, so
//! each that is left speaks for itself.
//!
//! What a verdict says: were the file independent of the contract's key, at most this share of all keys would agree with
//! it as well. What it does not say: who leaked it, or when. Not protected against: rounding of every value beyond the
//! step, a changed or missing key of rows, noise on all digits, copies of several contracts merged into one.
//!
//! **Architecture invariant:** pure: no clock, no file, no randomness; the key is an argument. Knows no contract: the
//! ids are bytes that make a key.

pub mod decimal;
pub mod limits;
pub mod marker;
pub mod row;
pub mod tail;
pub mod tally;
