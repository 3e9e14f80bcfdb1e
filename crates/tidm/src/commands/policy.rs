//! `tidm policy`: what terms say, what is wrong with them, and what they would answer; from a file, without a node.
//!
//! Never decides anything: a gate does that, by the same rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use tidm_node::clock::Clock;
use tidm_space::lang::Lang;
use tidm_space::policy::check::{Severity, check};
use tidm_space::policy::eval::Request;
use tidm_space::policy::model::Policy as Model;
use tidm_space::policy::render::{Sentence, render};
use tidm_space::policy::scene;
use tidm_space::policy::sentence::template::{Template, templates};
use tidm_space::policy::trial::try_out;
use tidm_space::policy::truth::Truth;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::wire::odrl;

use crate::cli::{self, Global};
use crate::client::Outcome;
use crate::show;

mod told;

use told::Told;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// What a policy says, sentence by sentence, with who keeps each term.
    #[command(
        after_help = "Examples:\n  tidm policy explain offer.json\n  tidm policy explain offer.json --as query --lang en"
    )]
    Explain {
        /// ODRL as JSON.
        file: PathBuf,
        /// Kinds of use: query, sealed-table, sealed-file, plain, psi; all that the policy permits when absent.
        #[arg(long = "as", value_delimiter = ',')]
        kinds: Vec<String>,
    },
    /// What is wrong with a policy: conflicts, windows that never open, terms nobody here keeps. Exit code 1 for errors.
    #[command(after_help = "Example:\n  tidm policy check offer.json --as query,sealed-table")]
    Check {
        file: PathBuf,
        /// Kinds of use that are meant; all when absent.
        #[arg(long = "as", value_delimiter = ',')]
        kinds: Vec<String>,
    },
    /// What the gate would answer, and why. Exit code 3 where it would say no.
    #[command(
        disable_version_flag = true,
        after_help = "Examples:\n  tidm policy try offer.json --subject did:web:firm.example --as query --purpose 质检 --uses 3\n  tidm policy try offer.json --subject did:web:firm.example --role consumer --region CN-32 --address 10.1.2.3 --version 2\n  tidm policy try offer.json --subject did:web:firm.example --fact tidm:application=urn:app:7 --event urn:event:recall@2026-06-30T00:00:00Z\n  tidm policy try offer.json --subject did:web:firm.example --done 'permission[0].duty[0]' --infringed 'prohibition[0]'"
    )]
    Try(Box<Try>),
    /// Templates of offers, or one filled in: ODRL on the output.
    #[command(
        after_help = "Examples:\n  tidm policy template\n  tidm policy template trial uses=5"
    )]
    Template {
        name: Option<String>,
        /// NAME=VALUE for each parameter.
        values: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Try {
    file: PathBuf,
    /// Who asks: a DID.
    #[arg(long)]
    subject: String,
    #[arg(long = "as", default_value = "query")]
    kind: String,
    /// When (RFC 3339); now when absent.
    #[arg(long)]
    time: Option<String>,
    #[arg(long)]
    purpose: Option<String>,
    /// Uses before this one.
    #[arg(long, default_value_t = 0)]
    uses: u64,
    /// When the contract was made.
    #[arg(long)]
    agreed: Option<String>,
    /// When it was first used.
    #[arg(long)]
    first_use: Option<String>,
    #[command(flatten)]
    told: Told,
}

fn read(file: &Path) -> anyhow::Result<Model> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    Ok(odrl::parse(&bytes).with_context(|| file.display().to_string())?.model)
}

fn kind(name: &str) -> anyhow::Result<Use> {
    Use::from_name(name).with_context(|| {
        format!("{name} is not one of query, sealed-table, sealed-file, plain, psi")
    })
}

fn time(text: Option<&String>) -> anyhow::Result<Option<Time>> {
    text.map(|it| Time::parse(it).map_err(|why| anyhow::anyhow!("{it}: {why}"))).transpose()
}

impl Policy {
    pub(crate) fn run(&self, global: &Global) -> Outcome<ExitCode> {
        let lang = match global.lang {
            cli::Lang::Zh => Lang::Zh,
            cli::Lang::En => Lang::En,
        };
        Ok(match self {
            Self::Explain { file, kinds } => explained(&read(file)?, kinds, lang, global)?,
            Self::Check { file, kinds } => checked(&read(file)?, kinds, lang, global)?,
            Self::Try(it) => it.run(lang, global)?,
            Self::Template { name: None, .. } => {
                let rows: Vec<Value> = templates().iter().map(|it| listed(it, lang)).collect();
                show::value(&json!({ "items": rows }), global);
                ExitCode::SUCCESS
            }
            Self::Template { name: Some(name), values } => {
                show::json(&odrl::to_json(&filled(name, values, lang)?));
                ExitCode::SUCCESS
            }
        })
    }
}

fn explained(
    policy: &Model,
    names: &[String],
    lang: Lang,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let kinds: Vec<Use> = match names {
        [] => scene::kinds(policy),
        some => some.iter().map(|it| kind(it)).collect::<anyhow::Result<_>>()?,
    };
    let row = |kind: Use, it: &Sentence| {
        let level = it.level.unproven();
        let mut row = json!({ "kind": kind.name(), "level": level.name(), "text": it.text, "enforced": it.level.kept_by(lang) });
        if let Some(more) = it.level.on_evidence() {
            row["attested"] = more.name().into();
        }
        row
    };
    let said = kinds.iter().flat_map(|kind| {
        let all = render(policy, lang, *kind);
        all.iter().map(|it| row(*kind, it)).collect::<Vec<Value>>()
    });
    show::value(&json!({ "items": said.collect::<Vec<Value>>() }), global);
    if kinds.is_empty() {
        show::note(lang.pick(
            "没有任何使用方式能够履行此策略；--as 指明一种即可查看",
            "in no kind of use can this policy be kept; name one with --as to see it",
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn checked(
    policy: &Model,
    kinds: &[String],
    lang: Lang,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let kinds: Vec<Use> = match kinds {
        [] => Use::ALL.to_vec(),
        some => some.iter().map(|it| kind(it)).collect::<anyhow::Result<_>>()?,
    };
    let remarks = check(policy, Clock::default().now(), &kinds);
    let rows: Vec<Value> = remarks
        .iter()
        .map(|it| json!({ "severity": it.severity.words(lang), "place": it.place, "code": it.code, "text": it.text(lang) }))
        .collect();
    show::value(&json!({ "items": rows }), global);
    let wrong = remarks.iter().any(|it| it.severity == Severity::Error);
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// As the exit codes of `tidm` say it: a rule said no.
const DENIED: u8 = 3;

impl Try {
    fn run(&self, lang: Lang, global: &Global) -> anyhow::Result<ExitCode> {
        let policy = read(&self.file)?;
        let now = time(self.time.as_ref())?.unwrap_or_else(|| Clock::default().now());
        let known = self.told.read(now)?;
        let lists = known.lists();
        let topics: Vec<_> = lists.iter().map(|(topic, all)| (*topic, all.as_slice())).collect();
        let request = Request {
            more: known.facts(&topics),
            paid: self.told.paid,
            purpose: self.purpose.as_deref(),
            uses_so_far: self.uses,
            agreed_at: time(self.agreed.as_ref())?,
            first_use_at: time(self.first_use.as_ref())?,
            ..Request::new(now, kind(&self.kind)?, &self.subject)
        };
        let trial = try_out(&policy, &request, lang).map_err(|why| {
            let all: Vec<String> = why.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the policy is not understood: {}", all.join("; "))
        })?;
        match global.output {
            cli::Output::Table => show::line(trial.to_string().trim_end()),
            cli::Output::Json => show::json(&json!({
                "permitted": trial.verdict == Truth::Yes, "headline": trial.headline, "limits": trial.limits,
                "steps": trial.lines.iter().map(|it| json!({ "depth": it.depth, "place": it.place, "text": it.text, "decided": it.decided })).collect::<Vec<_>>(),
            })),
        }
        for it in &trial.refused {
            show::note(&format!("{}: {it}", lang.pick("此处不签署", "not signed here")));
        }
        Ok(if trial.verdict == Truth::Yes { ExitCode::SUCCESS } else { ExitCode::from(DENIED) })
    }
}

fn listed(it: &Template, lang: Lang) -> Value {
    let parameters: Vec<String> =
        it.parameters.iter().map(|one| format!("{}={}", one.name, one.example())).collect();
    json!({ "name": it.name, "title": it.title(lang), "parameters": parameters.join(" "), "about": it.about(lang) })
}

fn filled(name: &str, values: &[String], lang: Lang) -> anyhow::Result<Model> {
    let template = Template::by_name(name).with_context(|| {
        format!("there is no template {name}: `tidm policy template` lists them")
    })?;
    let split = |it: &String| {
        let (name, value) =
            it.split_once('=').with_context(|| format!("{it} is not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let given: BTreeMap<String, String> =
        values.iter().map(split).collect::<anyhow::Result<_>>()?;
    template.build(&given).map_err(|why| anyhow::anyhow!("{}", why.words(lang)))
}
