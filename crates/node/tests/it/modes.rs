//! Nodes that belong to two spaces with different modes of identity deal with members of both, and nobody gets into
//! one space by the proof of another.

use reqwest::Method;
use serde_json::json;

use tidm_node::jobs::membership::{self, Particulars};
use tidm_node::jobs::{audit, crawl, use_data};
use tidm_node::net::auth;
use tidm_node::search;
use tidm_space::catalog::search::Filter;
use tidm_space::evidence::audit::Verdict;
use tidm_space::identity::did::Did;
use tidm_space::policy::usage::Use;

use crate::mtls::{Authority, Knocker, Wanted, secured};
use crate::world::{Node, Plan, World, csv, eventually, limited};

/// Of these tests' nodes: the provider, the one between, and the operator of the space that goes by credentials.
const PROVIDER: usize = 0;
const BETWEEN: usize = 1;
const OPERATOR: usize = 2;

async fn knock(from: &Node, to: &Node) -> u16 {
    let body = json!({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@type": "CatalogRequestMessage"});
    let url = format!("{}/catalog/request", to.base());
    let authorization = auth::speak(&from.app, &to.did);
    let answer =
        from.app.client.call(Method::POST, &url, authorization.as_deref(), Some(body.to_string()));
    answer.await.unwrap().status.as_u16()
}

/// Everybody at home in the space of the operator joins it.
async fn join(operator: &Node, members: &[&Node]) {
    let space = membership::create(&operator.app, "home").await.unwrap();
    for node in members {
        let (invitation, _) =
            membership::invite(&operator.app, &space, &node.did, &[], Particulars::default())
                .await
                .unwrap();
        assert_eq!(membership::join(&node.app, &invitation).await.unwrap().state, "issued");
    }
}

/// Publish, discover, agree, use and prove between the provider and the node that is at home elsewhere.
async fn walk(world: &World) {
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let product = world.published("load.csv", &csv(), limited(9), &[Use::Query, Use::Plain]).await;
    crawl::crawl_once(consumer).await.unwrap();
    let found = search::search(consumer, &Filter::of_words("load"), None, 10).await.unwrap();
    assert_eq!(found.rows.len(), 1, "the other space's offers are found from here");
    let contract = world.agreed(&product).await;
    let signatures = (&contract.provider_signature, &contract.consumer_signature);
    assert!(matches!(signatures, (Some(_), Some(_))), "{contract:?}");
    world.delivered(&contract, Use::Plain).await;
    let sql = "SELECT line, count(*) AS n FROM data GROUP BY line";
    let used = use_data::query_at_provider(consumer, &contract.id, sql, None).await.unwrap();
    assert_eq!(used.rows, 3);
    for app in [consumer, provider] {
        // The last notices of the use may still be under way.
        let proven = || async {
            let audited = audit::audit(app, &contract.id).await.unwrap().unwrap();
            assert_eq!(audited.peer_error, None);
            (audited.report.verdict() == Verdict::Consistent).then_some(())
        };
        eventually("an audit in which both sides tell the same", proven).await;
    }
}

fn config(plan: &Plan, at: usize, authority: &Authority) -> String {
    let pair = authority.issue(&format!("node{at}"), &Wanted::of(&plan.dids[at]));
    let (ca, dids) = (authority.file.display(), &plan.dids);
    let list = plan.list("certified.jws", &[&dids[PROVIDER], &dids[BETWEEN]], PROVIDER);
    let (list, base) = (list.display(), secured(plan, at, &pair, &authority.file));
    let home =
        format!("{base}[identity]\nmode = \"dcp\"\n[space]\noperator = \"{}\"\n", dids[OPERATOR]);
    let operator = &dids[PROVIDER];
    match at {
        PROVIDER => format!(
            "{base}[space]\nmembers = \"{list}\"\noperator = \"{operator}\"\n[identity]\nmode = \"mtls\"\nclient_ca = \"{ca}\"\n"
        ),
        BETWEEN => format!(
            "{home}also = [{{ mode = \"mtls\", members = \"{list}\", operator = \"{operator}\", client_ca = \"{ca}\" }}]\n"
        ),
        _ => home,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_at_home_by_credentials_uses_data_of_a_space_that_goes_by_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let world = World::planned(3, |plan, at| config(plan, at, &authority)).await;
    let [provider, between, operator] = &world.nodes[..] else { panic!("three nodes") };
    assert_eq!(
        [provider, between, operator].map(|it| it.app.gate.name()),
        ["mtls", "dcp+mtls", "dcp"]
    );
    join(operator, &[between, operator]).await;
    walk(&world).await;
    // At home it goes on by credentials, both ways.
    assert_eq!((knock(between, operator).await, knock(operator, between).await), (200, 200));
    assert_eq!(between.app.claims.exchanges(), 1);
    // Who is at home there and not here gets in by nothing that it has.
    assert_eq!(knock(operator, provider).await, 404);
    // A certificate of the one space is no proof in the other: the provider is no member at home.
    assert_eq!(knock(provider, operator).await, 404);
    // Neither is a token of a member of the space that asks for certificates, and two faces are none.
    let nobody = Knocker::new(&authority.file, None);
    let bearer = |of: &Node| auth::bearer(&of.app.identity, &between.did, &of.app.clock);
    let (status, code) = nobody.knock(between, Some(&bearer(provider))).await;
    assert_eq!(status, 404, "{code}");
    let shown = authority.issue("copy", &Wanted::of(&provider.did));
    let provider_again = Knocker::new(&authority.file, Some(&shown));
    assert_eq!(provider_again.knock(between, None).await.0, 200);
    let two_faces = provider_again.knock(between, Some(&bearer(operator))).await;
    assert_eq!(two_faces, (404, "token.refused".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_at_home_by_credentials_uses_data_of_a_space_that_goes_by_a_list() {
    let world = World::planned(3, |plan, at| {
        let dids: &[Did] = &plan.dids;
        let list = plan.list("listed.jws", &[&dids[PROVIDER], &dids[BETWEEN]], PROVIDER);
        let (list, operator) = (list.display(), &dids[PROVIDER]);
        let base = format!(
            "{}public_url = \"http://{}\"\ninsecure_http = true\n[peers]\nallow_private_addresses = true\n\
             [evidence]\ncheckpoint_ms = 200\n",
            plan.node(at),
            plan.places[at]
        );
        let home = format!("{base}[identity]\nmode = \"dcp\"\n[space]\noperator = \"{}\"\n", dids[OPERATOR]);
        match at {
            PROVIDER => format!("{base}[space]\nmembers = \"{list}\"\noperator = \"{operator}\"\n"),
            BETWEEN => format!(
                "{home}also = [{{ mode = \"did\", members = \"{list}\", operator = \"{operator}\" }}]\n"
            ),
            _ => home,
        }
    })
    .await;
    let [provider, between, operator] = &world.nodes[..] else { panic!("three nodes") };
    assert_eq!(between.app.gate.name(), "dcp+did");
    join(operator, &[between, operator]).await;
    walk(&world).await;
    assert_eq!((knock(between, operator).await, knock(operator, between).await), (200, 200));
    assert_eq!((knock(operator, provider).await, knock(provider, operator).await), (404, 404));
    assert_eq!(provider.app.claims.exchanges(), 0, "nobody asked a wallet for the list's members");
}
