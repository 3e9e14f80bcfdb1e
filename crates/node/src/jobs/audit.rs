//! Auditing one contract: our facts and the peer's, reconciled, as signed JSON and as text for people.
//!
//! Never changes anything, and never takes the peer's facts for more than the peer's word.

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use tidm_crypto::jcs;
use tidm_space::contract::Contract;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::audit::{Report, Subject, check, markdown};
use tidm_space::evidence::fact::Fact;
use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::tidm::audit::{TYP, to_json};
use tidm_space::wire::tidm::facts::read_page;

use crate::app::App;
use crate::net::auth;
use crate::store::facts::FACTS_AT_ONCE;

/// Pages of a peer's facts: [`FACTS_AT_ONCE`] of 500 each.
const PAGES: usize = 1000;

/// A report, and its forms.
#[derive(Clone, Debug)]
pub struct Audited {
    pub report: Report,
    /// RFC 8785 JSON under our signature, compact JWS of `typ` [`TYP`].
    pub signed: String,
    /// Why the peer's facts are missing, if they are.
    pub peer_error: Option<String>,
}

impl Audited {
    /// For people.
    pub fn markdown(&self, lang: Lang) -> String {
        markdown(&self.report, lang)
    }
}

/// Audits a contract of ours; `None` if there is none of that id.
pub async fn audit(app: &App, contract: &Id) -> anyhow::Result<Option<Audited>> {
    let Some(contract) = app.store.contract(contract).await? else { return Ok(None) };
    let theirs = peer_facts(app, &contract).await;
    // Ours after theirs: a fact that the peer's implies is then there, too.
    let ours = app.store.contract_facts(&contract.id).await?;
    let (theirs, peer_error) = match theirs {
        Ok(facts) => (Some(facts), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let (provider, consumer) = match contract.role {
        Role::Provider => (Some(ours.as_slice()), theirs.as_deref()),
        Role::Consumer => (theirs.as_deref(), Some(ours.as_slice())),
    };
    let subject = Subject::of(&contract, &app.identity.did);
    let report = check(&subject, provider, consumer, app.clock.now());
    let payload =
        jcs::canonical(&to_json(&report)).context("a report that is no canonical JSON")?;
    let signed = app.identity.sign(TYP, &payload);
    Ok(Some(Audited { report, signed, peer_error }))
}

/// The peer's facts about a contract, all pages.
async fn peer_facts(app: &App, contract: &Contract) -> anyhow::Result<Vec<Fact>> {
    let id = utf8_percent_encode(contract.id.as_str(), NON_ALPHANUMERIC);
    let base = format!("{}/tidm/1/contracts/{id}/facts", contract.address);
    let mut facts: Vec<Fact> = Vec::new();
    let mut after: Option<String> = None;
    let most = FACTS_AT_ONCE;
    for _ in 0..PAGES {
        let url = match &after {
            Some(after) => format!("{base}?after={}", utf8_percent_encode(after, NON_ALPHANUMERIC)),
            None => base.clone(),
        };
        let authorization = auth::speak(app, &contract.peer);
        let answer =
            app.client.call(reqwest::Method::GET, &url, authorization.as_deref(), None).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "{} answers {} to a request for its facts",
            contract.peer,
            answer.status
        );
        let page = read_page(&answer.body)?;
        anyhow::ensure!(
            page.contract == contract.id,
            "{} answered with facts of another contract",
            contract.peer
        );
        facts.extend(page.facts);
        anyhow::ensure!(facts.len() <= most, "{} sends more than {most} facts", contract.peer);
        match page.next {
            Some(next) if Some(&next) != after.as_ref() => after = Some(next),
            Some(_) => anyhow::bail!("{} sends the same page again and again", contract.peer),
            None => return Ok(facts),
        }
    }
    anyhow::bail!("{} sends more than {PAGES} pages", contract.peer)
}
