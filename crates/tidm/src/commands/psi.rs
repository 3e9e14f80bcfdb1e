//! `tidm psi`: match lists under a contract, or two lists on this machine.
//!
//! Never computes here, but for `local`: the nodes' own processes do.

pub(crate) mod local;
pub(super) mod spu;
mod table;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Paging, publish};
use crate::cli::{Global, Output};
use crate::client::{Api, Outcome, Trouble, segment};
use crate::database;
use crate::show;
use crate::whole::Whole;

#[derive(Debug, Subcommand)]
pub(crate) enum Psi {
    /// Match a list of ours with the product of a contract; shows progress, then what came of it.
    #[command(
        after_help = "Examples:\n  tidm psi run urn:uuid:0190b6a0-0000-7000-8000-000000000000 --mine suppliers.csv --key part_no --out common.csv\n  tidm psi run urn:uuid:0190b6a0-0000-7000-8000-000000000000 --mine urn:uuid:0190b6a1-0000-7000-8000-000000000000 --theirs urn:uuid:0190b6a2-0000-7000-8000-000000000000 --key 零件号,制造商 --protocol rr22-malicious\n  tidm psi run urn:uuid:0190b6a0-0000-7000-8000-000000000000 --mine postgres://analyst@127.0.0.1/erp --sql 'SELECT part_no, maker FROM parts' --columns part_no\n  tidm psi run urn:uuid:0190b6a0-0000-7000-8000-000000000000 --mine small.csv --key no --table --out common.csv\n\nWith several providers, one contract each (published with --match-reveal common): the rows that all have, and nothing of fewer\n  tidm psi run urn:uuid:0190b6a0-0000-7000-8000-000000000000 urn:uuid:0190b6a3-0000-7000-8000-000000000000 --mine parts.csv --key no --out common.csv"
    )]
    Run {
        #[arg(required = true)]
        contract: Vec<String>,
        /// A file (CSV, TSV, Parquet, Arrow), the id of a table of this node, or a database (postgres://…, sqlite:…) with --sql.
        #[arg(long, value_name = "SOURCE")]
        mine: String,
        /// What to take from the database; a password goes into PGPASSWORD or ~/.pgpass.
        #[arg(long, value_name = "STATEMENT")]
        sql: Option<String>,
        /// The product that is meant; checked against the contract's.
        #[arg(long, value_name = "PRODUCT")]
        theirs: Option<String>,
        /// Our columns, in the order of the contract's key; absent: they are called alike.
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        key: Vec<String>,
        /// Columns of ours that the result is to have, in this order; absent: all.
        #[arg(long, value_delimiter = ',', value_name = "A,B")]
        columns: Vec<String>,
        /// The result is one bit for each row of ours instead of rows (the API's document has the format).
        #[arg(long, conflicts_with = "columns")]
        bitmap: bool,
        /// rr22 (fast; what is taken where nothing is said), rr22-low (fewest bytes), rr22-malicious, or ecdh (rows of small lists).
        #[arg(long)]
        protocol: Option<String>,
        /// Over the table that the provider prepared, for a list that is much smaller; fetched once per contract, then kept.
        /// Rows alone, and a provider that does anything may answer at random.
        #[arg(long)]
        table: bool,
        #[arg(long)]
        purpose: Option<String>,
        /// Processes of each side; where nothing is said two for rows of 2^20 items and more, else one.
        #[arg(long, value_name = "N")]
        workers: Option<u32>,
        /// Where to write the rows of ours that matched, or the bits.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// What of the match is to be known: rows, size, sum:COLUMN, at-least:K or labels:A,B (columns of the provider).
        #[arg(long, default_value = "rows", value_name = "KIND")]
        reveal: String,
        /// Decimals of a sum that count; values with more are refused.
        #[arg(long, default_value_t = 2)]
        decimals: u32,
        /// Bytes of labels for each row.
        #[arg(long, default_value_t = 256)]
        label_bytes: u32,
        /// Where to write what the provider gave with each row.
        #[arg(long, value_name = "FILE", conflicts_with = "detach")]
        labels_out: Option<PathBuf>,
        /// Begin it and come back at once.
        #[arg(long, conflicts_with = "out")]
        detach: bool,
    },
    /// Matchings, newest first.
    #[command(after_help = "Example:\n  tidm psi list")]
    List(Paging),
    /// One matching: how far it is, what left this node, what came of it.
    #[command(after_help = "Example:\n  tidm psi show 5f0c…")]
    Show {
        id: String,
        /// Seconds to wait for its end.
        #[arg(long, default_value_t = 0)]
        wait: u64,
    },
    /// Write the rows of ours that matched.
    #[command(after_help = "Example:\n  tidm psi rows 5f0c… --out common.csv")]
    Rows {
        id: String,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write what the provider gave with each row that matched.
    #[command(after_help = "Example:\n  tidm psi labels 5f0c… --out theirs.csv")]
    Labels {
        id: String,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Stop one that runs.
    #[command(after_help = "Example:\n  tidm psi stop 5f0c…")]
    Stop { id: String },
    /// Delete what the node keeps of a result, rows and labels; that the matching was stays on record.
    #[command(after_help = "Example:\n  tidm psi forget 5f0c…")]
    Forget { id: String },
    /// Tables for matching, ours and those kept of peers: a large list is hashed once, small ones are asked about often.
    #[command(subcommand)]
    Table(table::Table),
    /// Match with a party that runs SecretFlow's spu 0.9.5 (ECDH over its own link, without TLS): only on explicit wish.
    #[command(
        after_help = "Example:\n  tidm psi spu --role receiver --listen 127.0.0.1:9401 --peer 127.0.0.1:9402 --file a.csv --key id --out common.csv"
    )]
    Spu(Box<spu::Spu>),
    /// All parties on this machine, each a process: for tests and benches.
    #[command(
        after_help = "Example:\n  tidm psi local --mine a.csv --theirs b.csv --key id --out common.csv\n  tidm psi local --mine a.csv --theirs b.csv --also c.csv --also d.csv --key id --out common.csv"
    )]
    Local(local::Local),
}

/// Seconds of one look while a matching runs.
const LOOK: u64 = 2;

impl Psi {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Run { .. } => return self.matched(global, api).await,
            Self::Table(it) => return it.run(global, api).await,
            Self::Rows { id, out } => return fetch(api, id, "rows", out).await,
            Self::Labels { id, out } => return fetch(api, id, "labels", out).await,
            Self::List(page) => {
                api.json(api.request(Method::GET, "/matchings").query(&page.query())).await?
            }
            Self::Show { id, wait } => look(api, id, *wait).await?,
            Self::Forget { id } => {
                let path = format!("/matchings/{}/rows", segment(id));
                api.send(api.request(Method::DELETE, &path)).await?;
                return Ok(());
            }
            Self::Stop { id } => {
                api.send(api.request(Method::DELETE, &format!("/matchings/{}", segment(id))))
                    .await?;
                return Ok(());
            }
            // Need no node, and run without one.
            Self::Spu(_) | Self::Local(_) => return Ok(()),
        };
        show::value(&answer, global);
        Ok(())
    }

    async fn matched(&self, global: &Global, api: &Api) -> Outcome<()> {
        let Self::Run { contract, mine, sql, theirs, key, columns, .. } = self else {
            return Ok(());
        };
        let Self::Run { protocol, purpose, workers, out, labels_out, detach, .. } = self else {
            return Ok(());
        };
        let Self::Run { reveal: kind, decimals, label_bytes, table, bitmap, .. } = self else {
            return Ok(());
        };
        let Some((contract, also)) = contract.split_first() else { return Ok(()) };
        if let Some(theirs) = theirs {
            same_product(api, contract, theirs).await?;
        }
        let list = list(api, mine, sql.as_deref()).await?;
        let reveal = reveal(kind, *decimals, *label_bytes)?;
        let mut body = json!({
            "contract": contract, "mine": list, "columns": key, "shown": columns, "protocol": protocol,
            "bitmap": bitmap, "table": table, "purpose": purpose, "workers": workers,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(reveal.map(|it| ("reveal".to_owned(), it)));
            if !also.is_empty() {
                with_others(body, also)?;
            }
        }
        let begun = api.post("/matchings", &body).await?;
        let (id, it) = watched(global, api, "/matchings", begun, *detach).await?;
        for (out, what) in [(out, "rows"), (labels_out, "labels")] {
            if let Some(out) = out.as_ref().filter(|_| it.get("withheld").is_none()) {
                fetch(api, &id, what, out).await?;
            }
        }
        Ok(())
    }
}

/// With further contracts there is one protocol and one process; the node is told nothing of the usual ones.
fn with_others(body: &mut Map<String, Value>, also: &[String]) -> Outcome<()> {
    let usual = [("protocol", json!("rr22")), ("workers", json!(1))];
    for (name, value) in usual {
        if body.remove(name).is_some_and(|it| !it.is_null() && it != value) {
            let why = format!("several contracts: --{name} stays as it is");
            return Err(Trouble::Here(anyhow::anyhow!("{why}")));
        }
    }
    body.insert("also".to_owned(), json!(also));
    Ok(())
}

/// Shows how far it is until it is over, then what came of it; only what it is like now, where it is left alone.
async fn watched(
    global: &Global,
    api: &Api,
    path: &str,
    begun: Value,
    detach: bool,
) -> Outcome<(String, Value)> {
    let mut it = begun;
    let id = it.get("id").and_then(Value::as_str).context("an answer without an id")?.to_owned();
    let mut said = String::new();
    while !detach && it.get("state").and_then(Value::as_str) == Some("open") {
        it = api.get(&format!("{path}/{}?wait={LOOK}", segment(&id))).await?;
        let now = progress(&it);
        if global.output == Output::Table && !now.is_empty() && now != said {
            show::note(&now);
            said = now;
        }
    }
    show::value(&it, global);
    if let Some(fault) = it.get("fault").filter(|it| !it.is_null()) {
        let text = fault.get("text").and_then(Value::as_str).unwrap_or("it failed");
        return Err(Trouble::Here(anyhow::anyhow!("{text}")));
    }
    Ok((id, it))
}

async fn look(api: &Api, id: &str, wait: u64) -> Outcome<Value> {
    api.get(&format!("/matchings/{}?wait={wait}", segment(id))).await
}

/// Our list as the node takes it: sent ahead, but for a table of its own.
async fn list(api: &Api, mine: &str, sql: Option<&str>) -> Outcome<Value> {
    const LIST: &str = "/matchings/list";
    let path = Path::new(mine);
    let upload = match (database::is_address(mine), sql) {
        (true, Some(sql)) => {
            let rows = database::rows(mine, sql).await?;
            publish::sent(api, LIST, "rows.csv", |it| it.body(reqwest::Body::wrap_stream(rows)))
                .await?
        }
        (true, None) => {
            return Err(Trouble::Here(anyhow::anyhow!(
                "a database needs --sql: what to take from it"
            )));
        }
        (false, Some(_)) => {
            return Err(Trouble::Here(anyhow::anyhow!(
                "--sql goes with a database: --mine postgres://… or sqlite:…"
            )));
        }
        (false, None) if path.is_file() => publish::upload(api, LIST, path).await?,
        (false, None) => return Ok(json!({ "product": mine })),
    };
    Ok(json!({ "upload": upload }))
}

async fn same_product(api: &Api, contract: &str, theirs: &str) -> Outcome<()> {
    let it = api.get(&format!("/contracts/{}", segment(contract))).await?;
    let product = it.get("product").and_then(Value::as_str).unwrap_or_default();
    if product == theirs {
        return Ok(());
    }
    Err(Trouble::Here(anyhow::anyhow!("the contract is about the product {product}, not {theirs}")))
}

/// As the API takes it; nothing for rows.
fn reveal(text: &str, decimals: u32, bytes: u32) -> Outcome<Option<Value>> {
    let wrong = || {
        Trouble::Here(anyhow::anyhow!(
            "{text} is none of rows, size, sum:COLUMN, at-least:K, labels:A,B"
        ))
    };
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok(match (kind, rest.is_empty()) {
        ("rows", true) => None,
        ("size", true) => Some(json!({ "kind": "size" })),
        ("sum", false) => Some(json!({ "kind": "sum", "column": rest, "decimals": decimals })),
        ("at-least", false) => {
            let least: u64 = rest.parse().map_err(|_| wrong())?;
            Some(json!({ "kind": "atLeast", "least": least }))
        }
        ("labels", false) => {
            let columns: Vec<&str> = rest.split(',').collect();
            Some(json!({ "kind": "labels", "columns": columns, "bytes": bytes }))
        }
        (_, _) => return Err(wrong()),
    })
}

async fn fetch(api: &Api, id: &str, what: &str, out: &Path) -> Outcome<()> {
    let request = api.request(Method::GET, &format!("/matchings/{}/{what}", segment(id)));
    let mut answer = api.send(request).await?;
    let mut file = Whole::new(out)?;
    while let Some(piece) =
        answer.chunk().await.map_err(|why| Trouble::NoAnswer(why.to_string()))?
    {
        file.write(&piece).with_context(|| out.display().to_string())?;
    }
    Ok(file.keep()?)
}

/// How far it is, in a line.
fn progress(it: &Value) -> String {
    let Some(told) = it.get("progress").filter(|it| it.is_object()) else { return String::new() };
    let number = |name: &str| told.get(name).and_then(Value::as_f64);
    let mut line = told.get("phase").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let (Some(done), Some(of)) = (number("done"), number("of")) {
        line += &format!(" {done:.0}/{of:.0}");
    }
    if let (Some(sent), Some(received)) = (number("sent"), number("received")) {
        line += &format!(", {:.1} MB out, {:.1} MB in", sent / 1e6, received / 1e6);
    }
    if let Some(left) = number("seconds_left") {
        line += &format!(", {left:.0} s left");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_a_kind_and_what_belongs_to_it() {
        for (text, expected) in [
            ("rows", Some(Value::Null)),
            ("size", Some(json!({ "kind": "size" }))),
            ("sum:a:b", Some(json!({ "kind": "sum", "column": "a:b", "decimals": 3 }))),
            ("at-least:10", Some(json!({ "kind": "atLeast", "least": 10 }))),
            ("labels:a,b", Some(json!({ "kind": "labels", "columns": ["a", "b"], "bytes": 9 }))),
            ("size:1", None),
            ("sum", None),
            ("at-least:few", None),
            ("labels:", None),
            ("all", None),
        ] {
            let found = reveal(text, 3, 9).ok().map(|it| it.unwrap_or(Value::Null));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn several_contracts_leave_the_usual_choices() {
        for (protocol, workers, fits) in [
            (None, 1, true),
            (Some("rr22"), 1, true),
            (Some("rr22-low"), 1, false),
            (None, 2, false),
        ] {
            let mut body = json!({ "contract": "urn:a", "protocol": protocol, "workers": workers });
            let done = with_others(body.as_object_mut().unwrap(), &["urn:b".to_owned()]);
            assert_eq!(done.is_ok(), fits, "{protocol:?} {workers}");
            let sent = body == json!({ "contract": "urn:a", "also": ["urn:b"] });
            assert_eq!(sent, fits, "{body}");
        }
    }

    #[test]
    fn progress_is_one_line() {
        let told = json!({ "progress": { "phase": "running", "done": 3, "of": 8, "sent": 2_500_000, "received": 0, "seconds_left": 4.4 } });
        assert_eq!(progress(&told), "running 3/8, 2.5 MB out, 0.0 MB in, 4 s left");
        assert_eq!(progress(&json!({})), "");
        assert_eq!(progress(&json!({ "progress": { "phase": "greeting" } })), "greeting");
    }
}
