//! `tidm catalog`: what other nodes offer.
//!
//! Never decides what to trust: members and their keys come from the space's signed list.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::events::Reader;
use crate::show;

/// Before connecting again.
const AGAIN: Duration = Duration::from_secs(3);
/// Tries without any event after which the node is taken for gone: five minutes.
const TRIES: u32 = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Search what was crawled; shows the hits, and how many each value of a facet would leave.
    #[command(
        after_help = "Example:\n  tidm catalog search 轴承 温度 --format query --max-price \"100 CNY\""
    )]
    Search(Search),
    /// Read the catalogues of all members now.
    #[command(after_help = "Example:\n  tidm catalog crawl")]
    Crawl,
    /// How reading stands with each member: what it offers, since when it fails and why.
    #[command(after_help = "Example:\n  tidm catalog members")]
    Members,
    /// Show new, changed and gone products as they come, one JSON object a line, until interrupted.
    #[command(after_help = "Example:\n  tidm catalog watch 轴承 --format query")]
    Watch(Watch),
    /// Have an address called when products are new, changed or gone.
    #[command(
        after_help = "Example:\n  tidm catalog subscribe https://mes.example/offers 轴承 --free"
    )]
    Subscribe(Subscribe),
    /// Who is called, and how that goes.
    #[command(after_help = "Example:\n  tidm catalog subscriptions")]
    Subscriptions,
    /// Call an address no more.
    #[command(after_help = "Example:\n  tidm catalog unsubscribe 0190b6a000007000800000000000000a")]
    Unsubscribe { id: String },
    /// One product as its provider offers it now.
    #[command(
        after_help = "Example:\n  tidm catalog show did:web:plant.example urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { provider: String, id: String },
}

/// What is wanted of others' offers.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Words that title, description or keywords hold, all of them.
    words: Vec<String>,
    /// A DSP format or a kind of use: query, sealed-table, sealed-file, plain.
    #[arg(long)]
    format: Option<String>,
    /// general, important, core or unknown.
    #[arg(long)]
    grade: Option<String>,
    /// The provider's DID.
    #[arg(long, value_name = "DID")]
    provider: Option<String>,
    /// Most that an offer may cost, for example "100 CNY".
    #[arg(long, value_name = "PRICE")]
    max_price: Option<String>,
    /// Only what some offer gives for nothing.
    #[arg(long)]
    free: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    wanted: Wanted,
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
    /// Results, 1 to 200.
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    wanted: Wanted,
    /// Go on behind this event's number; without it from now on.
    #[arg(long, value_name = "SEQ")]
    after: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Subscribe {
    /// Called with POST; the body is signed with the node's key.
    // Not `url`: that is the node's own address, and clap would take one for the other.
    #[arg(value_name = "URL")]
    address: String,
    #[command(flatten)]
    wanted: Wanted,
}

impl Wanted {
    fn said(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("search", self.words.join(" "))];
        let said = [
            ("format", &self.format),
            ("grade", &self.grade),
            ("provider", &self.provider),
            ("max_price", &self.max_price),
        ];
        all.extend(said.into_iter().filter_map(|(name, it)| Some((name, it.clone()?))));
        all
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut all = self.said();
        all.extend(self.free.then(|| ("free", "true".to_owned())));
        all
    }

    fn body(&self) -> Value {
        let mut all: Map<String, Value> =
            self.said().into_iter().map(|(name, it)| (name.to_owned(), it.into())).collect();
        all.extend(self.free.then(|| ("free".to_owned(), true.into())));
        Value::Object(all)
    }
}

impl Search {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut all = self.wanted.query();
        all.extend(self.cursor.clone().map(|it| ("cursor", it)));
        all.extend(self.limit.map(|it| ("limit", it.to_string())));
        all
    }
}

impl Catalog {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Search(it) => {
                api.json(api.request(Method::GET, "/catalog").query(&it.query())).await?
            }
            Self::Crawl => api.post("/catalog/crawl", &Value::Null).await?,
            Self::Members => api.get("/catalog/members").await?,
            Self::Watch(it) => return watch(it, api).await,
            Self::Subscribe(it) => {
                let body = json!({ "url": it.address, "wanted": it.wanted.body() });
                api.post("/catalog/subscriptions", &body).await?
            }
            Self::Subscriptions => api.get("/catalog/subscriptions").await?,
            Self::Unsubscribe { id } => {
                let path = format!("/catalog/subscriptions/{}", segment(id));
                api.json(api.request(Method::DELETE, &path)).await?
            }
            Self::Show { provider, id } => {
                api.get(&format!("/catalog/{}/{}", segment(provider), segment(id))).await?
            }
        };
        show::value(&answer, global);
        Ok(())
    }
}

/// Connects again where the connection ends, behind the last event that was shown.
async fn watch(it: &Watch, api: &Api) -> Outcome<()> {
    let mut last = it.after.map(|it| it.to_string());
    let mut tries = 0;
    loop {
        let mut request = api.request(Method::GET, "/catalog/events").query(&it.wanted.query());
        if let Some(last) = &last {
            request = request.header("last-event-id", last);
        }
        match api.send(request).await {
            Ok(mut answer) => {
                let mut reader = Reader::default();
                // An end in the middle is as good as one between two events.
                while let Ok(Some(chunk)) = answer.chunk().await {
                    for event in reader.take(&chunk) {
                        show::line(&event.data);
                        last = event.id.or(last);
                        tries = 0;
                    }
                }
            }
            Err(why) if tries >= TRIES || !why.is_passing() => return Err(why),
            Err(_) => {}
        }
        tries += 1;
        tokio::time::sleep(AGAIN).await;
    }
}
