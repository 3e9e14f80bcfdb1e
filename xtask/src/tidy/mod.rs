//! The rules of the house, run: as `cargo xtask tidy`, as a stage of `cargo xtask test` and as a test of this crate.
//!
//! What is not checked is not a rule. Each rule is a function from the files of the checkout to its violations and has
//! a test that plants one.

mod files;
mod floors;
mod links;
mod purity;
mod shape;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use self::files::Tree;
use crate::place;

/// One place where a rule is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    why: String,
}

impl Violation {
    fn new(path: &str, line: usize, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, why: why.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.why)
    }
}

type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: &[Rule] = &[
    shape::short_files,
    shape::modules_say_what_they_are,
    shape::names_say_something,
    shape::small_files,
    purity::pure_crates_stay_pure,
    purity::domain_types_are_not_serialized,
    floors::arrows_point_down,
    words::no_leftovers,
    words::no_registry_hosts,
    links::links_resolve,
    links::functions_exist,
];

/// Checks the checkout at `root` against every rule.
pub(crate) fn check(root: &Path) -> Result<Vec<Violation>> {
    let tree = Tree::read(root)?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    violations.sort();
    Ok(violations)
}

/// `cargo xtask tidy`.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("`cargo xtask tidy` takes no arguments, not `{arg}`");
    }
    let violations = check(&place::root()?)?;
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} violations", violations.len());
    Ok(ExitCode::FAILURE)
}
