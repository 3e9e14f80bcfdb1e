//! `tidm people`: accounts, roles, one's own password, second factor and sessions, and the log of what people did.
//!
//! Never takes a password as an argument: it comes from a file or the terminal's input. A code may be one: it works once.

use std::io::BufRead as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use tidm_node::people::here;

use super::Paging;
use crate::cli::Global;
use crate::client::{Api, Outcome, config, keep, segment};
use crate::show;

/// People of this node: accounts, roles, groups, rules, one's own account, the log.
#[derive(Debug, Args)]
pub(crate) struct People {
    /// The code that the authenticator app shows now, or a recovery code.
    #[arg(long, global = true)]
    code: Option<String>,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Everybody, by name.
    #[command(after_help = "Example:\n  tidm people list")]
    List(Paging),
    /// One person.
    #[command(after_help = "Example:\n  tidm people show li.na")]
    Show { name: String },
    /// Make an account without rights; prints the one-time link for its person.
    #[command(after_help = "Example:\n  tidm people add li.na")]
    Add { name: String },
    /// A fresh one-time link, for whoever forgot their password.
    #[command(after_help = "Example:\n  tidm people invite li.na")]
    Invite { name: String },
    /// Set all roles of an account; none takes them away.
    #[command(after_help = "Example:\n  tidm people role li.na analyst --code 123456")]
    Role { name: String, roles: Vec<String> },
    /// Set all groups and attributes of a person.
    #[command(
        after_help = "Example:\n  tidm people group li.na \"group=line-3;department=quality;clearance=2\""
    )]
    Group { name: String, groups: String },
    /// Nobody signs in to it any more.
    #[command(after_help = "Example:\n  tidm people disable li.na")]
    Disable { name: String },
    /// Open a disabled account again.
    #[command(after_help = "Example:\n  tidm people enable li.na")]
    Enable { name: String },
    /// Forget failed sign-ins.
    #[command(
        after_help = "Example:\n  tidm people unlock li.na\n  tidm --dir /srv/tidm people unlock admin --here"
    )]
    Unlock {
        name: String,
        /// In the database on this machine, without signing in: for whoever is locked out alone.
        #[arg(long)]
        here: bool,
    },
    /// Remove the second factor of somebody who lost it.
    #[command(after_help = "Example:\n  tidm people reset-factor li.na --code 123456")]
    ResetFactor { name: String },
    /// Rules on who uses contracts and products here.
    #[command(after_help = "Example:\n  tidm people rules")]
    Rules(Paging),
    /// Set the rule of a contract or product; without one, remove it.
    #[command(
        after_help = "Example:\n  tidm people rule urn:uuid:0190b6a0-0000-7000-8000-000000000000 \"department=quality|design; clearance>=2\""
    )]
    Rule { subject: String, rule: Option<String> },
    /// Set one's password by a one-time link.
    #[command(
        after_help = "Example:\n  tidm --url https://node.example.com people join --token TOKEN"
    )]
    Join {
        #[arg(long)]
        token: String,
        /// A file whose first line is the password; standard input when absent.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Sign in; the session's token is kept for this command line.
    #[command(after_help = "Example:\n  tidm people sign-in li.na --code 123456")]
    SignIn {
        name: String,
        /// A file whose first line is the password; standard input when absent.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// End the session of this command line.
    #[command(after_help = "Example:\n  tidm people sign-out")]
    SignOut,
    /// Who one is here, and what one may do.
    #[command(after_help = "Example:\n  tidm people me")]
    Me,
    /// Change one's password: the old one and the new one, a line each.
    #[command(after_help = "Example:\n  tidm people password")]
    Password {
        /// A file whose first two lines are the old and the new password; standard input when absent.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Enrol a second factor: prints the address for the app, then asks for a code.
    #[command(after_help = "Example:\n  tidm people factor")]
    Factor {
        /// A file whose first line is the password; standard input when absent.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Remove one's own second factor (with --code).
    #[command(after_help = "Example:\n  tidm people drop-factor --code 123456")]
    DropFactor,
    /// One's sessions.
    #[command(after_help = "Example:\n  tidm people sessions")]
    Sessions,
    /// End one of one's sessions.
    #[command(after_help = "Example:\n  tidm people end-session 0190b6a0000070008000000000000000")]
    EndSession { id: String },
    /// API keys: one's own, or everybody's for who grants rights.
    #[command(after_help = "Example:\n  tidm people keys")]
    Keys(Paging),
    /// Make an API key; it never opens more than its owner may at the time.
    #[command(
        after_help = "Example:\n  tidm people key \"nightly report\" read use --until 2027-01-01T00:00:00Z"
    )]
    Key {
        title: String,
        #[arg(required = true)]
        scopes: Vec<String>,
        /// RFC 3339 with a zone.
        #[arg(long)]
        until: Option<String>,
    },
    /// Revoke an API key.
    #[command(after_help = "Example:\n  tidm people revoke-key 0190b6a0000070008000000000000000")]
    RevokeKey { id: String },
    /// What people did and what was refused, newest first.
    #[command(
        after_help = "Example:\n  tidm people log --account li.na --route \"/contracts/{id}/revoke\"\n  tidm people log --verify --noted 1042:sha256:…"
    )]
    Log {
        /// Of this account alone.
        #[arg(long)]
        account: Option<String>,
        /// Of this act or route alone.
        #[arg(long)]
        route: Option<String>,
        /// Read the chain on from its first entry instead, and say where it is broken.
        #[arg(long, conflicts_with_all = ["account", "route"])]
        verify: bool,
        /// PLACE:DIGEST of an entry that was written down earlier.
        #[arg(long, requires = "verify")]
        noted: Option<String>,
        #[command(flatten)]
        page: Paging,
    },
}

/// Lines of a file or of the terminal's input.
fn lines<const N: usize>(
    file: Option<&PathBuf>,
    what: [&'static str; N],
) -> anyhow::Result<[String; N]> {
    let mut out = [const { String::new() }; N];
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for (to, line) in out.iter_mut().zip(text.lines()) {
            line.clone_into(to);
        }
        return Ok(out);
    }
    for (to, what) in out.iter_mut().zip(what) {
        show::note(&format!("{what}:"));
        std::io::stdin().lock().read_line(to).context("standard input")?;
        to.truncate(to.trim_end_matches(['\r', '\n']).len());
    }
    Ok(out)
}

impl People {
    pub(crate) async fn run(&self, global: &Global, api: Api) -> Outcome<()> {
        let answer = match &self.act {
            Act::SignIn { name, password_file } => {
                let [password] = lines(password_file.as_ref(), ["Password"])?;
                let mut body = json!({ "name": name, "password": password });
                if let (Some(code), Some(all)) = (&self.code, body.as_object_mut()) {
                    all.insert("code".to_owned(), code.as_str().into());
                }
                let session = api.post("/session", &body).await?;
                let token = session.get("token").and_then(Value::as_str);
                let path = keep(&global.dir, token.context("a session without a token")?)?;
                json!({ "name": name, "until": session.get("until"), "kept": path.display().to_string() })
            }
            Act::Unlock { name, here: true } => {
                here::unlock(&config(global)?, name).await?;
                json!({ "unlocked": name })
            }
            Act::Log { verify: true, noted, .. } => {
                return verify(global, &api, noted.as_deref()).await;
            }
            Act::Factor { password_file } => {
                return self.enrol(global, &api, password_file.as_ref()).await;
            }
            Act::Join { token, password_file } => {
                let [password] = lines(password_file.as_ref(), ["Password"])?;
                api.post("/join", &json!({ "token": token.trim(), "password": password })).await?
            }
            Act::Password { file } => {
                let [old, new] = lines(file.as_ref(), ["Old password", "New password"])?;
                let body = json!({ "old": old, "new": new });
                self.call(&api, Method::PUT, "/me/password", Some(body)).await?
            }
            act @ (Act::List(_)
            | Act::Show { .. }
            | Act::Add { .. }
            | Act::Invite { .. }
            | Act::Role { .. }
            | Act::Group { .. }
            | Act::Disable { .. }
            | Act::Enable { .. }
            | Act::Unlock { .. }
            | Act::ResetFactor { .. }
            | Act::Rules(_)
            | Act::Rule { .. }
            | Act::SignOut
            | Act::Me
            | Act::DropFactor
            | Act::Sessions
            | Act::EndSession { .. }
            | Act::Keys(_)
            | Act::Key { .. }
            | Act::RevokeKey { .. }
            | Act::Log { .. }) => {
                let (method, path, body) = plain(act, self.code.as_deref());
                self.call(&api, method, &path, body).await?
            }
        };
        show::value(&answer, global);
        Ok(())
    }

    async fn call(
        &self,
        api: &Api,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Outcome<Value> {
        let mut request = api.request(method, path);
        // Removing the factor spends the code itself.
        if let Some(code) = self.code.as_ref().filter(|_| !matches!(self.act, Act::DropFactor)) {
            request = request.header("tidm-code", code);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        api.json(request).await
    }

    async fn enrol(&self, global: &Global, api: &Api, file: Option<&PathBuf>) -> Outcome<()> {
        let [password] = lines(file, ["Password"])?;
        let begun = api.post("/me/second-factor", &json!({ "password": password })).await?;
        show::note(begun.get("uri").and_then(Value::as_str).unwrap_or_default());
        let [code] = lines(None, ["Code"])?;
        let done = api.post("/me/second-factor/confirm", &json!({ "code": code.trim() })).await?;
        show::value(&done, global);
        Ok(())
    }
}

/// Fails where the chain is broken, or the noted entry is not in it.
async fn verify(global: &Global, api: &Api, noted: Option<&str>) -> Outcome<()> {
    let query = match noted.map(|it| it.split_once(':')) {
        None => String::new(),
        Some(Some((place, digest))) => {
            format!("?place={}&digest={}", segment(place), segment(digest))
        }
        Some(None) => return Err(anyhow::anyhow!("--noted: PLACE:DIGEST").into()),
    };
    let answer = api.get(&format!("/people-log/verification{query}")).await?;
    show::value(&answer, global);
    if answer.get("holds").and_then(Value::as_bool) != Some(true) {
        let says = answer.get("says").and_then(Value::as_str).unwrap_or("?");
        return Err(anyhow::anyhow!("{says}").into());
    }
    Ok(())
}

/// Acts that are one call.
fn plain(act: &Act, code: Option<&str>) -> (Method, String, Option<Value>) {
    let of = |name: &str, what: &str| format!("/people/{}/{what}", segment(name));
    let paged = |path: &str, it: &Paging| {
        let query: Vec<String> =
            it.query().iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        (Method::GET, format!("{path}?{}", query.join("&")), None)
    };
    match act {
        Act::List(it) => paged("/people", it),
        Act::Rules(it) => paged("/access-rules", it),
        Act::Keys(it) => paged("/keys", it),
        Act::Log { account, route, page, .. } => {
            let (method, mut path, body) = paged("/people-log", page);
            for (name, value) in [("account", account), ("route", route)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={}", segment(value)));
                }
            }
            (method, path, body)
        }
        Act::Show { name } => (Method::GET, format!("/people/{}", segment(name)), None),
        Act::Add { name } => (Method::POST, "/people".to_owned(), Some(json!({ "name": name }))),
        Act::Invite { name } => (Method::POST, of(name, "link"), None),
        Act::Role { name, roles } => {
            (Method::PUT, of(name, "roles"), Some(json!({ "roles": roles })))
        }
        Act::Group { name, groups } => {
            (Method::PUT, of(name, "groups"), Some(json!({ "groups": groups })))
        }
        Act::Disable { name } => (Method::POST, of(name, "disable"), None),
        Act::Enable { name } => (Method::POST, of(name, "enable"), None),
        Act::Unlock { name, .. } => (Method::POST, of(name, "unlock"), None),
        Act::ResetFactor { name } => (Method::DELETE, of(name, "second-factor"), None),
        Act::Rule { subject, rule: Some(rule) } => {
            let path = format!("/access-rules/{}", segment(subject));
            (Method::PUT, path, Some(json!({ "rule": rule })))
        }
        Act::Rule { subject, rule: None } => {
            (Method::DELETE, format!("/access-rules/{}", segment(subject)), None)
        }
        Act::SignOut => (Method::DELETE, "/session".to_owned(), None),
        Act::DropFactor => {
            let body = json!({ "code": code.unwrap_or_default() });
            (Method::POST, "/me/second-factor/remove".to_owned(), Some(body))
        }
        Act::Sessions => (Method::GET, "/me/sessions".to_owned(), None),
        Act::EndSession { id } => (Method::DELETE, format!("/me/sessions/{}", segment(id)), None),
        Act::Key { title, scopes, until } => {
            let mut body = json!({ "title": title, "scopes": scopes });
            if let (Some(until), Some(all)) = (until, body.as_object_mut()) {
                all.insert("until".to_owned(), until.as_str().into());
            }
            (Method::POST, "/keys".to_owned(), Some(body))
        }
        Act::RevokeKey { id } => (Method::DELETE, format!("/keys/{}", segment(id)), None),
        // The rest takes more than one call or a secret; handled before.
        Act::Me
        | Act::Join { .. }
        | Act::SignIn { .. }
        | Act::Password { .. }
        | Act::Factor { .. } => (Method::GET, "/me".to_owned(), None),
    }
}
