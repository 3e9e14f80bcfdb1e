//! `tidm completion`: the shell's completion script.
//!
//! Never writes a file: the shell's own place for it differs.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

/// Print the completion script of a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm completion bash > /etc/bash_completion.d/tidm")]
pub(crate) struct Completion {
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) {
        clap_complete::generate(
            self.shell,
            &mut crate::cli::Cli::command(),
            "tidm",
            &mut std::io::stdout(),
        );
    }
}
