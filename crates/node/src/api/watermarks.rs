//! Whose copy a found file comes from.
//!
//! Threat model: only people who may audit ask; the answer names contracts and their consumers. Never a key, and never
//! which cells are marked.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_mark::limits::BLAME;
use tidm_space::contract::State as Standing;

use super::answer::Answer;
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{OneId, Params, Speak};
use super::uploads::{self, Named};
use crate::app::App;
use crate::jobs::trace::{Suspect, trace as run};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Traced {
    /// Rows of the file.
    rows: u64,
    /// Contracts with a watermark that were asked.
    contracts: usize,
    /// Contracts named.
    named: usize,
    /// Most suspect first.
    suspects: Vec<Suspected>,
    /// What this proves, and what not.
    means: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Suspected {
    contract: String,
    consumer: String,
    active: bool,
    /// The file's numbers come from this contract's copy, at the stated chance of error.
    named: bool,
    /// Marked values found, and those that agree with the contract's marks.
    cells: u64,
    agree: u64,
    /// Chance of at least such agreement in a file independent of this contract's key (binomial, exact).
    p_value: String,
    /// The same for any of the contracts asked (Bonferroni).
    corrected: String,
    /// SHA-256 of the table that was released or sealed; absent where nothing was yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<String>,
    /// Values that the marks changed in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<u64>,
}

/// Hold a found file (CSV, Parquet, JSON lines, Excel) against the watermarks of every contract over a product.
#[utoipa::path(
    post, path = "/products/{id}/trace", tag = "products", params(("id" = String, Path), Named), security(("bearer" = ["audit"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Traced),
        (status = 404, description = "No such product", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "No contract has a watermark, or the file is no table with its columns", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trace(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Params(named): Params<Named>,
    body: Body,
) -> Answer<Json<Traced>> {
    let (spooled, row) = uploads::spooled(&app, who.account, named, body).await?;
    let done = run(&app, &id, spooled.path(), &row.name).await;
    drop(spooled);
    crate::jobs::uploads::used_up(&app, &row).await;
    let it = done?;
    let contracts = it.suspects.len();
    let all: Vec<Suspected> =
        it.suspects.iter().map(|one| suspected(one, contracts as u64)).collect();
    let named = all.iter().filter(|it| it.named).count();
    Ok(Json(Traced { rows: it.rows, contracts, named, suspects: all, means: means(speak) }))
}

fn suspected(it: &Suspect, contracts: u64) -> Suspected {
    let verdict = &it.verdict;
    Suspected {
        contract: it.contract.id.to_string(),
        consumer: it.contract.peer.to_string(),
        active: it.contract.state == Standing::Active,
        named: it.named,
        cells: verdict.trials,
        agree: verdict.hits,
        p_value: verdict.chance.to_string(),
        corrected: verdict.chance.any_of(contracts).to_string(),
        released: it.released.map(|(digest, _)| digest.to_string()),
        changed: it.released.map(|(_, changed)| changed),
    }
}

fn means(speak: Speak) -> String {
    let zh = format!(
        "被点名：文件中的数值来自该合约的副本，误判概率不超过 {BLAME}。不能说明由谁、何时、是否有意泄露；未被点名不证明未泄露。"
    );
    let en = format!(
        "Named: the file's numbers come from the copy of that contract, with a chance of error of at most {BLAME}. It does not say who leaked it, when, or whether on purpose; not being named proves nothing."
    );
    speak.core().pick(&zh, &en).to_owned()
}
