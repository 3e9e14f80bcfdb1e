//! Auditing one contract: our facts and the peer's, reconciled, as signed JSON and as text for people.
//!
//! Never changes anything, and never takes the peer's facts for more than the peer's word.

use anyhow::Context as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use tidm_crypto::jcs;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::audit::share::Account;
use tidm_space::evidence::audit::{Report, Subject, check, markdown};
use tidm_space::evidence::fact::Fact;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lang::Lang;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::tidm::audit::{TYP, to_json};
use tidm_space::wire::tidm::facts::read_page;

use super::split;
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
    let theirs = peer_facts(app, &contract.id, &contract.peer, &contract.address).await;
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
    let mut report = check(&subject, provider, consumer, app.clock.now());
    if let Some(operator) = split::operator_of(&contract) {
        let facts = operators_facts(app, &contract.id, &operator).await?;
        report = report.with_operator(Account::of(&operator, &contract.id, facts.as_deref()));
    }
    let payload =
        jcs::canonical(&to_json(&report)).context("a report that is no canonical JSON")?;
    let signed = app.identity.sign(TYP, &payload);
    Ok(Some(Audited { report, signed, peer_error }))
}

/// What the operator of a split key says; `None` where it cannot be had. Who was never asked for a share knows no contract.
async fn operators_facts(
    app: &App,
    contract: &Id,
    operator: &Did,
) -> anyhow::Result<Option<Vec<Fact>>> {
    if *operator == app.identity.did {
        return Ok(Some(app.store.contract_facts(contract).await?));
    }
    let Ok(address) = app.directory.dsp_base(operator).await else { return Ok(None) };
    match peer_facts(app, contract, operator, &address).await {
        Ok(facts) => Ok(Some(facts)),
        Err(why) => {
            tracing::info!(%why, %operator, "no facts of the operator");
            Ok(None)
        }
    }
}

/// A node's facts about a contract, all pages.
async fn peer_facts(
    app: &App,
    contract: &Id,
    peer: &Did,
    address: &str,
) -> anyhow::Result<Vec<Fact>> {
    let id = utf8_percent_encode(contract.as_str(), NON_ALPHANUMERIC);
    let base = format!("{address}/tidm/1/contracts/{id}/facts");
    let mut facts: Vec<Fact> = Vec::new();
    let mut after: Option<String> = None;
    let most = FACTS_AT_ONCE;
    for _ in 0..PAGES {
        let url = match &after {
            Some(after) => format!("{base}?after={}", utf8_percent_encode(after, NON_ALPHANUMERIC)),
            None => base.clone(),
        };
        let authorization = auth::speak(app, peer);
        let answer =
            app.client.call(reqwest::Method::GET, &url, authorization.as_deref(), None).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "{} answers {} to a request for its facts",
            peer,
            answer.status
        );
        let page = read_page(&answer.body)?;
        anyhow::ensure!(
            page.contract == *contract,
            "{peer} answered with facts of another contract"
        );
        facts.extend(page.facts);
        anyhow::ensure!(facts.len() <= most, "{peer} sends more than {most} facts");
        match page.next {
            Some(next) if Some(&next) != after.as_ref() => after = Some(next),
            Some(_) => anyhow::bail!("{peer} sends the same page again and again"),
            None => return Ok(facts),
        }
    }
    anyhow::bail!("{peer} sends more than {PAGES} pages")
}
