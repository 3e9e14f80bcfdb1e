//! `tidm doctor`: what is wrong here, one line each.
//!
//! Never changes anything.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use tidm_node::init;
use tidm_node::keys::directory::Directory;
use tidm_node::store::Store;

use super::init::passphrase;
use crate::cli::Global;
use crate::client::{self, Api, Outcome, Trouble};
use crate::show;

/// Check configuration, keys, store, clock and the running node.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm --dir /srv/tidm doctor -o json")]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) async fn run(&self, global: &Global) -> Outcome<ExitCode> {
        let mut checks: Vec<(&str, Result<String, String>)> = Vec::new();
        let config = client::config(global);
        checks.push((
            "config",
            config.as_ref().map(|it| it.node.did.to_string()).map_err(|why| format!("{why:#}")),
        ));
        let keys = passphrase()
            .and_then(|it| Ok(Directory::open(&global.dir.join(init::KEYS), it.as_ref())?));
        checks
            .push(("keys", keys.map(|_| "readable".to_owned()).map_err(|why| format!("{why:#}"))));
        checks.push(("store", store(global).await));
        match Api::new(global) {
            Err(error) => checks.push(("node", Err(format!("{error:#}")))),
            Ok(api) => {
                checks.push(("node", said(api.get("/health").await, "status")));
                checks.push(("clock", clock(api.get("/info").await)));
                checks.push(("certificate", certificate(api.get("/info").await)));
                checks.push(("people", people(api.get("/info").await)));
                checks.push((
                    "peers",
                    said(api.get("/info").await, "members").map(|it| format!("{it} members")),
                ));
            }
        }
        let failed = checks.iter().any(|(_, it)| it.is_err());
        let rows: Vec<Value> = checks
            .into_iter()
            .map(|(check, found)| match found {
                Ok(text) => json!({ "check": check, "ok": true, "found": text }),
                Err(text) => json!({ "check": check, "ok": false, "found": text }),
            })
            .collect();
        show::value(&json!({ "items": rows }), global);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

async fn store(global: &Global) -> Result<String, String> {
    use tidm_node::config::Store as Kind;
    let config = client::config(global).map_err(|why| format!("{why:#}"))?;
    let url = match &config.store {
        Kind::Sqlite(path) if !path.exists() => {
            return Ok("not there yet: the first start makes it".to_owned());
        }
        Kind::Sqlite(path) => format!("sqlite:{}", path.display()),
        Kind::Postgres(url) => url.clone(),
    };
    let store = Store::open(&url).await.map_err(|why| why.to_string())?;
    let latest = store.latest_fact().await.map_err(|why| why.to_string())?;
    Ok(format!("latest fact {latest}"))
}

fn said(answer: Outcome<Value>, field: &str) -> Result<String, String> {
    match answer {
        Ok(it) => Ok(it
            .get(field)
            .map(|it| it.to_string().trim_matches('"').to_owned())
            .unwrap_or_default()),
        Err(Trouble::Problem(it)) => {
            Err(it.get("title").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        Err(Trouble::NoAnswer(why)) => Err(why),
        Err(Trouble::Here(error)) => Err(format!("{error:#}")),
    }
}

/// When the node's certificates end; that is trouble while there still is time to renew them.
fn certificate(answer: Outcome<Value>) -> Result<String, String> {
    let ends = said(answer, "certificateEnds")?;
    if ends.is_empty() {
        return Ok("none: plain HTTP".to_owned());
    }
    let ends = tidm_space::time::Time::parse(&ends).map_err(|why| why.to_string())?;
    let now = tidm_node::clock::Clock::starting_at(tidm_space::time::Time::ZERO).now();
    let left = ends.since(now);
    if left < tidm_node::net::renewal::NEAR {
        return Err(format!("ends at {ends}: renew it, the node takes it while it runs"));
    }
    Ok(format!("until {ends}"))
}

/// Whether one administrator may be all: a choice, said plainly.
fn people(answer: Outcome<Value>) -> Result<String, String> {
    let separation = answer.as_ref().ok().and_then(|it| it.get("separation")?.as_bool());
    let factor = said(answer, "secondFactor")?;
    let apart = match separation {
        Some(true) => "on: administrators are separated",
        Some(false) | None => "off: one administrator may hold every role",
    };
    Ok(format!("people.separation {apart}; second factor: {factor}"))
}

/// The node's clock against ours.
fn clock(answer: Outcome<Value>) -> Result<String, String> {
    let theirs = said(answer, "time")?;
    let theirs = tidm_space::time::Time::parse(&theirs).map_err(|why| why.to_string())?;
    let ours = tidm_node::clock::Clock::starting_at(tidm_space::time::Time::ZERO).now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    if apart > tidm_space::limits::CLOCK_SKEW {
        return Err(format!("{} s apart", apart.as_secs()));
    }
    Ok(format!("{} ms apart", apart.as_millis()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whoever asks learns it while there is time, and not only when nobody can connect any more.
    #[test]
    fn a_certificate_is_trouble_before_it_ends() {
        let now = tidm_node::clock::Clock::starting_at(tidm_space::time::Time::ZERO).now();
        let found = |days: u64| {
            let ends = now.after(Duration::from_secs(days * 86_400)).to_string();
            certificate(Ok(json!({ "certificateEnds": ends })))
        };
        assert!(found(15).is_ok_and(|it| it.starts_with("until ")));
        assert!(found(13).is_err_and(|it| it.contains("renew")));
        assert!(found(0).is_err());
        assert_eq!(certificate(Ok(json!({}))).as_deref(), Ok("none: plain HTTP"));
        assert!(certificate(Ok(json!({"certificateEnds": "soon"}))).is_err());
        assert!(certificate(Err(Trouble::NoAnswer("down".to_owned()))).is_err());
    }
}
