//! What a worker says when it does not answer: one code, and at most a construct of the query.
//!
//! **Architecture invariant:** the construct comes from the query text or from our own fixed
//! words. Engine messages contain cell values ("Cannot cast string 'sensor-00031'") and never
//! pass through here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_CONSTRUCT_CHARS;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not parseable, or it does not fit the tables' columns and types.
    Malformed,
    /// Longer or more deeply nested than the sandbox accepts.
    TooComplex,
    /// Anything but one `SELECT`.
    Statement,
    /// A function outside the allow-list.
    Function,
    /// A clause or operator outside the allow-list.
    Construct,
    /// A table the job does not contain.
    UnknownTable,
    /// A column that does not exist or that the contract does not open.
    UnknownColumn,
    /// The statement would return rows of the data; only aggregates may leave.
    RawRows,
    /// An aggregate that reveals single cells, or one over an expression that can pick out a row.
    Aggregate,
    /// The entity column was used for something else than counting or joining entities.
    Entity,
    /// What has no noisy answer, where only those may leave.
    Noise,
    /// Fewer source rows (or entities) than the contract's minimum.
    SmallGroup,
    /// More result rows than the contract allows.
    TooManyRows,
    /// More result bytes than the contract allows.
    TooManyBytes,
    /// A sealed table did not open: wrong key, wrong binding, or altered ciphertext.
    Seal,
    /// A table file could not be read.
    Table,
    /// The query needs more memory than the job has.
    Memory,
    /// The engine gave up; nothing more is said.
    Failed,
}

/// One refusal, fit to be shown to the asker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of refusal.
    pub code: Code,
    /// The offending construct, named from the query text; may be empty.
    pub construct: String,
}

impl Refusal {
    /// A refusal naming `construct` (cut to a bounded length).
    pub fn new(code: Code, construct: impl AsRef<str>) -> Self {
        let construct = construct.as_ref().chars().take(MAX_CONSTRUCT_CHARS).collect();
        Self { code, construct }
    }

    pub(crate) fn bare(code: Code) -> Self {
        Self { code, construct: String::new() }
    }
}

impl Code {
    fn advice(self) -> &'static str {
        match self {
            Self::Malformed => {
                "the statement does not parse or does not fit the tables; check names and types"
            }
            Self::TooComplex => "the statement is too long or too deeply nested; split it",
            Self::Statement => "only one SELECT statement is accepted",
            Self::Function => "this function is not available in the sandbox",
            Self::Construct => "this construct is not available in the sandbox",
            Self::UnknownTable => "no such table in this contract",
            Self::UnknownColumn => "no such column, or the contract does not open it",
            Self::RawRows => {
                "the contract lets only aggregates leave; aggregate every table it protects"
            }
            Self::Aggregate => {
                "this aggregate can reveal single cells; use avg, sum, count, stddev or var over plain columns"
            }
            Self::Entity => "the entity column may only be counted (COUNT DISTINCT) or joined on",
            Self::Noise => {
                "answers under this contract are noisy: SELECT count(*), sum(column) FROM the table WHERE columns compare with constants"
            }
            Self::SmallGroup => "fewer source rows than the contract's minimum",
            Self::TooManyRows => "more result rows than the contract allows; aggregate or LIMIT",
            Self::TooManyBytes => "more result bytes than the contract allows; aggregate or LIMIT",
            Self::Seal => "a sealed table did not open",
            Self::Table => "a table could not be read",
            Self::Memory => "the query needs more memory than this job has",
            Self::Failed => "the query could not be completed",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.construct.is_empty() {
            f.write_str(self.code.advice())
        } else {
            write!(f, "{}: {}", self.construct, self.code.advice())
        }
    }
}

impl std::error::Error for Refusal {}
