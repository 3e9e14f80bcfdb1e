//! `tidm use`: query a table, or open a sealed file in a program.
//!
//! Never keeps plaintext on a disk: `open` shows it to one program from memory, until it or the lease ends.

mod flight;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use tidm_crypto::kem::KemSecret;
use tidm_crypto::suite::Suite;
use tidm_crypto::tdf::Container;
use tidm_node::jobs::open_program::standing::{self, Question, Standing, Until};
use tidm_node::jobs::open_program::{self, Opening};
use tidm_space::id::Id;

use crate::cli::{Global, Output};
use crate::client::{Api, Outcome, Trouble, segment};
use crate::show;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In the provider's sandbox.
    Provider,
    /// In this node's sandbox over the sealed table.
    Here,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Use {
    /// Run one SELECT under a contract; the table is called `data`.
    #[command(
        after_help = "Example:\n  tidm use query urn:uuid:0190b6a0-0000-7000-8000-000000000000 'SELECT machine, avg(temp) FROM data GROUP BY machine' --purpose 质检"
    )]
    Query {
        contract: String,
        sql: String,
        #[arg(long)]
        purpose: Option<String>,
        #[arg(long = "where", value_enum, default_value = "provider")]
        place: Place,
        /// What a noisy answer may cost of the contract's privacy budget: 0.1.
        #[arg(long)]
        epsilon: Option<String>,
    },
    /// Let tools such as pyarrow or ADBC ask at the provider: shows address, token and how to connect.
    #[command(
        after_help = "Example:\n  tidm use flight urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Flight {
        contract: String,
        /// Seconds to wait for the provider.
        #[arg(long, default_value_t = 30)]
        wait: u64,
    },
    /// Let a program that speaks OpenTDF open the sealed file: writes it, and shows key service and access token.
    #[command(
        after_help = "Example:\n  tidm use program urn:uuid:0190b6a0-0000-7000-8000-000000000000 --out part.tdf"
    )]
    Program {
        contract: String,
        /// Where the sealed file is written to; never overwrites.
        #[arg(long)]
        out: PathBuf,
        #[arg(long)]
        purpose: Option<String>,
        /// PEM of the RSA public key with which the program signs its requests.
        #[arg(long)]
        signer: Option<PathBuf>,
    },
    /// Open a sealed file in a program; `{}` stands for its path.
    #[command(
        after_help = "Example:\n  tidm use open urn:uuid:0190b6a0-0000-7000-8000-000000000000 --name part.step --exec 'FreeCAD {}'"
    )]
    Open {
        contract: String,
        #[arg(long)]
        purpose: Option<String>,
        /// The program and its arguments.
        #[arg(long, required_unless_present = "export")]
        exec: Option<String>,
        /// Write the content to a new file instead; only where the contract permits handing on.
        #[arg(long, conflicts_with = "exec")]
        export: Option<PathBuf>,
        /// The file's name as the program sees it.
        #[arg(long)]
        name: Option<String>,
        /// How long the program may run.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
}

impl Use {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<ExitCode> {
        match self {
            Self::Query { contract, sql, purpose, place, epsilon } => {
                let place = match place {
                    Place::Provider => "provider",
                    Place::Here => "here",
                };
                let body = json!({ "contract": contract, "sql": sql, "purpose": purpose, "where": place, "epsilon": epsilon });
                let answer = api.post("/uses/query", &body).await?;
                match (global.output, answer.get("data").and_then(Value::as_array)) {
                    (Output::Table, Some(rows)) => {
                        show::table(rows);
                        if let Some(left) = answer.get("usesLeft") {
                            show::note(&format!("uses left: {left}"));
                        }
                        if let Some(left) = answer.get("epsilonLeft").and_then(Value::as_str) {
                            show::note(&format!("ε left: {left}"));
                        }
                    }
                    (_, _) => show::value(&answer, global),
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Flight { contract, wait } => {
                let body = json!({ "contract": contract, "wait": wait });
                let answer = api.post("/uses/flight", &body).await?;
                match global.output {
                    Output::Json => show::json(&answer),
                    Output::Table => show::line(&flight::python(&answer, global)?),
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Program { contract, out, purpose, signer } => {
                let signer = signer.as_ref().map(std::fs::read_to_string).transpose();
                let signer = signer.context("--signer")?;
                let body = json!({ "contract": contract, "purpose": purpose, "signer": signer });
                let answer = api.post("/uses/programs", &body).await?;
                let file = std::fs::File::create_new(out).context("--out")?;
                let path = format!("/uses/programs/{}/copy", segment(contract));
                fetched(api, &path, tokio::fs::File::from_std(file)).await?;
                show::value(&answer, global);
                Ok(ExitCode::SUCCESS)
            }
            Self::Open { contract, purpose, exec, export, name, seconds } => {
                let asked = json!({ "contract": contract, "purpose": purpose, "seconds": seconds, "export": export.is_some() });
                open(api, asked, exec.as_deref(), export.clone(), name.clone()).await
            }
        }
    }
}

async fn open(
    api: &Api,
    mut asked: Value,
    exec: Option<&str>,
    export: Option<PathBuf>,
    name: Option<String>,
) -> Outcome<ExitCode> {
    let command = exec.map(open_program::words).transpose().context("--exec")?;
    let secret = KemSecret::generate(&mut tidm_node::random::os());
    if let Some(body) = asked.as_object_mut() {
        body.insert("key".to_owned(), json!(STANDARD.encode(secret.public().to_bytes())));
    }
    let granted = api.post("/uses/open", &asked).await?;
    let text = |field: &str| {
        granted
            .get(field)
            .and_then(Value::as_str)
            .with_context(|| format!("the node's answer has no {field}"))
    };
    let lease = text("lease")?.to_owned();
    let opening = Opening {
        lease: Id::parse(&lease).context("the lease's id")?,
        contract: Id::parse(text("contract")?).context("the contract's id")?,
        life: Duration::from_millis(granted.get("lifeMs").and_then(Value::as_u64).unwrap_or(0)),
        wrapped_key: STANDARD.decode(text("wrappedKey")?).context("the wrapped key")?,
        wrapped_share: granted
            .get("wrappedShare")
            .and_then(Value::as_str)
            .map(|it| STANDARD.decode(it).context("the operator's share"))
            .transpose()?,
        may_export: granted.get("mayExport").and_then(Value::as_bool).unwrap_or(false),
        name,
    };
    let wanted = asked.get("seconds").and_then(Value::as_u64).unwrap_or(0);
    let wanted = Duration::from_secs(wanted);
    let done = shown(api, &lease, opening, secret, (command, wanted), export).await;
    let (ended, bytes) = match &done {
        Ok((_, bytes)) => (true, *bytes),
        Err(_) => (false, 0),
    };
    api.post(
        &format!("/uses/{}/close", segment(&lease)),
        &json!({ "done": ended, "bytes": bytes }),
    )
    .await?;
    done.map(|(code, _)| code)
}

/// Fetches the sealed bytes into a nameless file (ciphertext) and opens them.
async fn shown(
    api: &Api,
    lease: &str,
    opening: Opening,
    secret: KemSecret,
    (command, wanted): (Option<Vec<std::ffi::OsString>>, Duration),
    export: Option<PathBuf>,
) -> Outcome<(ExitCode, u64)> {
    let until = Until::after(opening.life);
    let following = standing::follow(&until, wanted, async |it| asked(api, lease, it).await);
    tokio::pin!(following);
    let path = std::env::temp_dir().join(format!("tidm-{}.sealed", std::process::id()));
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .context("a temporary file")?;
    std::fs::remove_file(&path).context("a temporary file")?;
    let out = tokio::fs::File::from_std(file.try_clone().context("a temporary file")?);
    fetched(api, &format!("/uses/{}/copy", segment(lease)), out).await?;
    if let Ok(Suite::Guomi) = Container::open(&file).map(|it| it.manifest().suite) {
        show::note("sealed with SM4-GCM and HMAC-SM3 (guomi): outside of the OpenTDF standard");
    }
    let end = until.clone();
    let opened = tokio::task::spawn_blocking(move || match (command, export) {
        (Some(command), _) => {
            open_program::run_until(file, &opening, &secret, &command, &end).map(|it| {
                if it.stopped {
                    show::note("the lease ended: the program was stopped");
                }
                (
                    it.status
                        .code()
                        .and_then(|it| u8::try_from(it).ok())
                        .map_or(ExitCode::FAILURE, ExitCode::from),
                    it.bytes,
                )
            })
        }
        (None, Some(path)) => open_program::export(file, &opening, &secret, &path)
            .map(|bytes| (ExitCode::SUCCESS, bytes)),
        (None, None) => Err(open_program::OpenError::Command),
    });
    tokio::pin!(opened);
    // Whoever asks is done when the lease is over; the program is when it has ended.
    let opened = tokio::select! {
        opened = &mut opened => opened,
        () = &mut following => opened.await,
    };
    let opened = opened.context("opening the file")?;
    Ok(opened.context("opening the file")?)
}

/// What the node says of the lease; what it refuses is over.
async fn asked(api: &Api, lease: &str, question: Question) -> Standing {
    let path = format!("/uses/{}", segment(lease));
    let answer = match question {
        Question::Stands => api.get(&path).await,
        Question::Renew => api.post(&format!("{path}/renew"), &json!({})).await,
    };
    match answer {
        Ok(it) if it.get("state").and_then(Value::as_str) == Some("granted") => {
            let life = it.get("lifeMs").and_then(Value::as_u64).unwrap_or(0);
            Standing::Granted(Duration::from_millis(life))
        }
        Err(trouble) if trouble.is_passing() => Standing::Silent,
        Ok(_) | Err(_) => Standing::Over,
    }
}

/// Writes an answer to a file.
async fn fetched(api: &Api, path: &str, mut out: tokio::fs::File) -> Outcome<()> {
    let mut answer = api.send(api.request(Method::GET, path)).await?;
    while let Some(piece) =
        answer.chunk().await.map_err(|why| Trouble::NoAnswer(why.to_string()))?
    {
        out.write_all(&piece).await.context("writing the sealed file")?;
    }
    out.flush().await.context("writing the sealed file")?;
    Ok(())
}
