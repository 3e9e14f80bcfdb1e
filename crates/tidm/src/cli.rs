//! The command line: what may be said, with an example for everything.
//!
//! Never a secret as an argument: those are read from the environment, a file or the terminal.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    attest, audit, catalog, completion, contract, dataplane, demo, doctor, evidence, init, lineage,
    operator, people, policy, product, psi, publish, serve, setup, space, transfer, r#use,
    watermark,
};

const CODES: &str = "Exit codes: 0 done; 1 failed here; 2 wrong usage; 3 a rule said no; 4 not found; 5 not signed in or not allowed; 6 a peer or the node is not available; 7 the request cannot be done now; 8 the node failed.";

#[derive(Debug, Parser)]
#[command(name = "tidm", version, about = "可信工业数据空间节点 · Trusted industrial data space node", after_help = CODES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The node's directory.
    #[arg(long, global = true, env = "TIDM_DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The node's address; from the directory's configuration when absent.
    #[arg(long, global = true)]
    pub(crate) url: Option<String>,
    /// Language of answers.
    #[arg(long, global = true, value_enum, default_value = "zh")]
    pub(crate) lang: Lang,
    /// How answers are printed.
    #[arg(short = 'o', long = "output", global = true, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    Zh,
    En,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Serve(serve::Serve),
    /// The jailed process in which uses run.
    #[command(hide = true)]
    Worker,
    /// The process in which lists are matched.
    #[command(hide = true)]
    Compute {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    Setup(setup::Setup),
    Publish(Box<publish::Publish>),
    /// Products of this node.
    #[command(subcommand)]
    Product(product::Product),
    /// Products of other nodes.
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    /// Contracts and their negotiation.
    #[command(subcommand)]
    Contract(contract::Contract),
    /// Delivery of a contract's data.
    #[command(subcommand)]
    Transfer(transfer::Transfer),
    /// Data planes and control planes of other programs.
    #[command(subcommand, name = "dataplane")]
    DataPlane(dataplane::DataPlane),
    /// Uses of data under a contract.
    #[command(subcommand)]
    Use(r#use::Use),
    /// Terms: what they say, what is wrong with them, what they would answer.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Matching of lists without showing them (private set intersection).
    #[command(subcommand)]
    Psi(psi::Psi),
    /// Evidence of trusted execution environments.
    #[command(subcommand)]
    Attest(attest::Attest),
    /// Receipts and keys for outsiders.
    #[command(subcommand)]
    Evidence(evidence::Evidence),
    Audit(audit::Audit),
    Lineage(lineage::Lineage),
    /// Marks in copies: whose copy a found file comes from.
    #[command(subcommand)]
    Watermark(watermark::Watermark),
    /// Shares of split keys that this node releases: hold them back.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Spaces: run one, invite, join, revoke.
    #[command(subcommand)]
    Space(space::Space),
    People(people::People),
    Doctor(doctor::Doctor),
    Completion(completion::Completion),
    Demo(demo::Demo),
}
