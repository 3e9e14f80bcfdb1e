//! `tidm setup`: make the administrator with the one-time token, and a key for this command line.
//!
//! Never takes a password as an argument: it comes from a file or the terminal's input.

use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::client::{Api, Outcome, keep};
use crate::show;

/// Make the administrator, once, and keep an API key for this command line.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm --dir /srv/tidm setup --token-file setup-token --name admin --password-file password"
)]
pub(crate) struct Setup {
    /// The token of the link that the first start printed.
    #[arg(long, required_unless_present = "token_file")]
    token: Option<String>,
    /// A file with the token (`tidm serve --setup-token-file`).
    #[arg(long, conflicts_with = "token")]
    token_file: Option<PathBuf>,
    #[arg(long, default_value = "admin")]
    name: String,
    /// A file whose first line is the password; standard input when absent.
    #[arg(long)]
    password_file: Option<PathBuf>,
}

impl Setup {
    pub(crate) async fn run(&self, global: &Global, api: Api) -> Outcome<()> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| path.display().to_string())
        };
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => read(path)?,
            (None, None) => String::new(),
        };
        let password = match &self.password_file {
            Some(path) => read(path)?.lines().next().unwrap_or_default().to_owned(),
            None => {
                show::note("Password:");
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).context("standard input")?;
                line.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        let made = api
            .post(
                "/setup",
                &json!({ "token": token.trim(), "name": self.name, "password": password }),
            )
            .await?;
        let session =
            api.post("/session", &json!({ "name": self.name, "password": password })).await?;
        let bearer = session
            .get("token")
            .and_then(Value::as_str)
            .context("a session without a token")?
            .to_owned();
        // Shown before anything else can fail: they are given once.
        if let Some(invitations) = made.get("invitations") {
            show::value(&json!({ "invitations": invitations }), global);
        }
        let api = api.with_token(bearer);
        let key = api
            .post("/keys", &json!({ "title": "tidm command line", "scopes": ["admin"] }))
            .await?;
        let text = key.get("token").and_then(Value::as_str).context("a key without its token")?;
        let path = keep(&global.dir, text)?;
        show::value(
            &json!({ "administrator": self.name, "key": path.display().to_string() }),
            global,
        );
        Ok(())
    }
}
