//! Lineage of a product, contract or transfer as W3C PROV-JSON, from this node's own facts.
//!
//! Never invents what a fact does not say.

use std::collections::BTreeSet;

use tidm_space::evidence::fact::Fact;
use tidm_space::evidence::lineage::{Graph, graph};
use tidm_space::id::Id;
use tidm_space::wire::prov;

use crate::app::App;

/// Contracts of one product that its graph follows; more make no readable graph.
const CONTRACTS: usize = 1000;

/// The graph around `id`; empty where we know nothing of it.
pub async fn lineage_graph(app: &App, id: &Id) -> anyhow::Result<Graph> {
    let mut facts = app.store.facts_about(id).await?;
    let contracts: BTreeSet<Id> =
        facts.iter().filter_map(|it| it.links.contract.clone()).take(CONTRACTS).collect();
    for contract in &contracts {
        facts.extend(app.store.contract_facts(contract).await?);
    }
    let products: BTreeSet<Id> =
        facts.iter().filter_map(|it: &Fact| it.links.product.clone()).collect();
    for product in &products {
        facts.extend(app.store.publication_facts(product).await?);
    }
    Ok(graph(&facts))
}

/// W3C PROV-JSON of [`lineage_graph`].
pub async fn lineage(app: &App, id: &Id) -> anyhow::Result<serde_json::Value> {
    Ok(prov::to_json(&lineage_graph(app, id).await?))
}
