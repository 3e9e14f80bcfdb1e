//! `tidm psi local`: both lists are here.
//!
//! Never through a node: the two processes that a node would start, without one.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Local {
    /// The list of the party that learns: CSV, TSV, Parquet or Arrow by its ending.
    #[arg(long, value_name = "FILE")]
    mine: PathBuf,
    /// The other list.
    #[arg(long, value_name = "FILE")]
    theirs: PathBuf,
    /// A further list, of one more party: the rows of mine that all have. May be repeated.
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// Columns of the key in mine, and in theirs where nothing else is said.
    #[arg(long, value_name = "A,B")]
    key: String,
    /// Columns of the key in theirs and in all further lists.
    #[arg(long, value_name = "A,B")]
    their_key: Option<String>,
    /// Normal form of the columns: exact, text, digits, phone, date, integer, decimal, credit-code.
    #[arg(long, default_value = "text")]
    form: String,
    /// What rows with equal keys are: refuse, first, multiply.
    #[arg(long, default_value = "first")]
    equals: String,
    /// semi-honest, semi-honest-low (fewest bytes), malicious or ecdh (semi-honest, for small lists).
    #[arg(long, visible_alias = "protocol", default_value = "semi-honest")]
    security: String,
    /// receiver or both.
    #[arg(long, default_value = "receiver")]
    learns: String,
    /// Memory of each party.
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// Processes of each party.
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// Where to write the rows of mine that both have.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where to write which rows of mine both have: a bit for each row, the first in the lowest bit.
    #[arg(long, value_name = "FILE")]
    bitmap: Option<PathBuf>,
}

impl Local {
    /// As the computing program takes it.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = |it: &PathBuf| it.display().to_string();
        let mut all =
            vec!["local".to_owned(), path(&self.mine), path(&self.theirs), self.key.clone()];
        let mut put = |name: &str, value: Option<String>| {
            all.extend(value.map(|it| format!("{name}={it}")));
        };
        put("their-columns", self.their_key.clone());
        put("form", Some(self.form.clone()));
        put("equals", Some(self.equals.clone()));
        put("security", Some(self.security.clone()));
        put("learns", Some(self.learns.clone()));
        put("memory-mib", self.memory.map(|it| it.to_string()));
        put("workers", Some(self.workers.to_string()));
        put("out", self.out.as_ref().map(path));
        put("bitmap", self.bitmap.as_ref().map(path));
        self.also.iter().for_each(|it| put("also", Some(path(it))));
        all
    }
}
