//! Products made under a contract: what a consumer's node publishes of them, and on which terms.

use tidm_node::jobs::audit::audit;
use tidm_node::jobs::lineage::lineage_graph;
use tidm_node::jobs::publish::{OfferRequest, PublishRequest, Published};
use tidm_node::jobs::use_data::query_sealed;
use tidm_node::lang::Lang as Spoken;
use tidm_node::problem::Problem;
use tidm_node::store::writer::WorkError;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::{Approval, Product};
use tidm_space::contract::Contract;
use tidm_space::engine::input::{ContractWish, Wish};
use tidm_space::evidence::fact::What;
use tidm_space::evidence::lineage::{Relation, name};
use tidm_space::id::Id;
use tidm_space::lang::Lang;
use tidm_space::policy::render::render;
use tidm_space::policy::sentence::{Export, Sentences};
use tidm_space::policy::usage::{Level, Use};
use tidm_space::time::Time;

use crate::world::{Node, World, csv, eventually, fault, publishing, table};

const COUNT: &str = "SELECT count(*) AS n FROM data";
const MADE: &[u8] = b"line,mean\nA,21.5\nB,22.5\n";

fn until(year: u32) -> Sentences {
    let until = Time::parse(&format!("{year}-06-30T00:00:00Z")).unwrap();
    Sentences { until: Some(until), ..Sentences::default() }
}

fn passed_on(year: u32) -> Sentences {
    Sentences { derive: Export::Permitted, next_policy: true, ..until(year) }
}

async fn publish(
    node: &Node,
    world: &World,
    (name, bytes): (&str, &[u8]),
    offer: Sentences,
    from: &[&Contract],
) -> Result<Published, WorkError> {
    let file = world.path().join(name);
    std::fs::write(&file, bytes).unwrap();
    let mut request = PublishRequest::new(file, name);
    request.offers = vec![OfferRequest {
        policy: None,
        sentences: offer,
        approval: Approval::Auto,
        deliveries: vec![Use::SealedTable],
        rules: Rules::default(),
    }];
    request.derived_from = from.iter().map(|it| it.id.clone()).collect();
    publishing(node, request).await
}

/// A contract over the product's only offer, active on both sides: the consumer's copy.
async fn agreed(provider: &Node, consumer: &Node, product: &Product) -> Contract {
    let wish = ContractWish {
        peer: provider.did.clone(),
        address: provider.base(),
        product: product.id.clone(),
        offer: product.offers[0].policy().clone(),
        rules: Rules::default(),
    };
    consumer.wish(Wish::Request(Box::new(wish))).await;
    let found = |node: &Node| {
        let (app, product) = (node.app.clone(), product.id.clone());
        async move {
            let page = app.store.contracts(None, 100).await.unwrap();
            page.rows.into_iter().find(|it| it.product == product)
        }
    };
    eventually("a contract at the provider", || found(provider)).await;
    eventually("a contract at the consumer", || found(consumer)).await
}

fn refused(done: Result<Published, WorkError>, code: &str, named: &[&str]) {
    let problem = Problem::from(fault(done));
    assert_eq!(problem.code, code, "{problem:?}");
    for lang in [Spoken::Zh, Spoken::En] {
        assert!(!problem.next_step(lang).is_empty() && !problem.title(lang).is_empty());
        assert_ne!(problem.title(lang), Problem::of("denied").title(lang), "{code} has words");
    }
    let said = format!("{:?} {:?}", problem.cause, problem.detail);
    assert!(named.iter().all(|it| said.contains(it)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_product_keeps_to_the_terms_of_its_source() {
    let world = World::of(3, |_, _| String::new()).await;
    let [a, b, c] = &world.nodes[..] else { panic!("three nodes") };
    let data = csv();
    let source =
        publish(a, &world, ("source.csv", &data), passed_on(2090), &[]).await.unwrap().product;
    let from = agreed(a, b, &source).await;
    for (lang, words) in [(Lang::Zh, "不得宽于"), (Lang::En, "no looser terms")] {
        let all = render(&from.policy, lang, Use::SealedTable);
        let it = all.iter().find(|it| it.text.contains(words)).unwrap();
        assert!(it.understood && it.level == Level::E1, "{it:?}");
    }
    world.delivered(&from, Use::SealedTable).await;
    query_sealed(&b.app, &from.id, COUNT, None).await.unwrap();

    // Looser, in one term or another, is refused by that term, and nothing stays.
    let made = ("made.csv", MADE);
    let later = publish(b, &world, made, passed_on(2091), &[&from]).await;
    refused(later, "derive.looser", &["dateTime", "2090-06-30", "不晚于", "no later than"]);
    let free = publish(b, &world, made, until(2089), &[&from]).await;
    refused(free, "derive.looser", &["nextPolicy"]);
    assert_eq!(b.app.store.products(None, 10).await.unwrap().rows.len(), 0);

    // As strict, it is published, used by a third, and leads back to its source.
    let own = publish(b, &world, made, passed_on(2090), &[&from]).await.unwrap().product;
    assert_eq!((&own.derived_from[..], own.bound), (&[from.id.clone()][..], true));
    let further = agreed(b, c, &own).await;
    world.delivered_to(&further, Use::SealedTable, 2).await;
    let seen = query_sealed(&c.app, &further.id, COUNT, None).await.unwrap();
    assert_eq!(table(&seen.ipc), [["2"]]);
    let graph = lineage_graph(&b.app, &own.id).await.unwrap();
    let derived = |kind: &str, id: &Id| {
        let (made, source) = (name("product", own.id.as_str()), name(kind, id.as_str()));
        graph.relations.contains(&(Relation::Derived, made, source))
    };
    assert!(derived("contract", &from.id), "{graph:?}");
    assert!(graph.agents.contains_key(&name("party", a.did.as_str())));
    // The source's provider finds it in an audit; the third party's facts name nobody but its own provider.
    let report = audit(&a.app, &from.id).await.unwrap().unwrap();
    assert_eq!(report.report.consumer.derived.first().map(|it| &it.1), Some(&own.id));
    assert!(report.markdown(Lang::En).contains("published a product made under the contract"));
    let told = c.app.store.contract_facts(&further.id).await.unwrap();
    assert!(told.iter().all(|it| it.links.peer.as_ref() != Some(&a.did)));
    let told = b.app.store.contract_facts(&further.id).await.unwrap();
    assert!(!told.iter().any(|it| matches!(it.what, What::Derived { .. })));

    // What names no contract is compared with nothing: the terms say whose word that is.
    publish(b, &world, ("unnamed.csv", MADE), until(2091), &[]).await.unwrap();

    // Once the source is revoked, what is published goes on, and no new version comes.
    world.revoke(&from).await;
    eventually("the end at the consumer", || async {
        b.app.store.contract(&from.id).await.unwrap().filter(Contract::is_over)
    })
    .await;
    query_sealed(&c.app, &further.id, COUNT, None).await.unwrap();
    let mut next = PublishRequest::new(world.path().join("made.csv"), "made");
    next.line = Some(own.line.clone());
    refused(publishing(b, next).await, "derive.ended", &["revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_does_not_permit_it_refuses() {
    let world = World::two().await;
    let (a, b) = (world.provider(), world.consumer());
    for (derive, code, named) in [
        (Export::Unsaid, "derive.not-permitted", "derive"),
        (Export::Forbidden, "derive.prohibited", "derive"),
    ] {
        let terms = Sentences { derive, ..until(2090) };
        let data = csv();
        let source = publish(a, &world, ("source.csv", &data), terms, &[]).await.unwrap().product;
        let from = agreed(a, b, &source).await;
        let tight = publish(b, &world, ("made.csv", MADE), passed_on(2080), &[&from]).await;
        refused(tight, code, &[named, from.id.as_str()]);
        let at_a = publish(a, &world, ("made.csv", MADE), until(2080), &[&from]).await;
        refused(at_a, "derive.role", &[from.id.as_str()]);
    }
}
