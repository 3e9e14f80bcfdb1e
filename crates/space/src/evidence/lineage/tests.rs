use super::*;
use crate::catalog::delivery::Use;
use crate::evidence::fact::{Closed, Links};
use crate::wire::prov;
use tidm_crypto::hash::sha256;

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn fact(number: i64, lease: bool, transfer: bool, what: What) -> Fact {
    let published = matches!(what, What::Published { .. });
    Fact {
        id: id(&format!("urn:fact:{number}")),
        at: Time::from_ms(number * 1000),
        by: Did::parse("did:web:p.example%3A8443").unwrap(),
        links: Links {
            peer: (!published).then(|| Did::parse("did:web:c.example").unwrap()),
            product: Some(id("urn:product/1 ü".replace(' ', "_").as_str())),
            negotiation: Some(id("urn:n")),
            contract: (!published).then(|| id("urn:contract")),
            lease: lease.then(|| id("urn:lease")),
            transfer: transfer.then(|| id("urn:transfer")),
        },
        what,
    }
}

fn facts() -> Vec<Fact> {
    let digest = sha256(b"x");
    vec![
        fact(
            1,
            false,
            false,
            What::Published { content: digest, origin: sha256(b"source"), rows: Some(3), bytes: 9 },
        ),
        fact(
            2,
            false,
            false,
            What::Concluded { signed: digest, provider_signed: true, consumer_signed: true },
        ),
        fact(3, false, true, What::Delivered { bytes: 9, content: digest }),
        fact(
            4,
            true,
            false,
            What::LeaseGranted {
                kind: Use::SealedTable,
                purpose: None,
                query: None,
                key: digest,
                uses: 1,
                until: Time::from_ms(9),
                epsilon: 0,
            },
        ),
        fact(
            5,
            true,
            false,
            What::LeaseClosed {
                how: Closed::Returned,
                rows: 1,
                bytes: 2,
                result: Some(sha256(b"result")),
                receipt: None,
            },
        ),
        fact(6, false, false, What::KeyDestroyed),
    ]
}

/// Whether a walk along derivation and use leads from `from` to `to`.
fn leads(graph: &Graph, from: &str, to: &str) -> bool {
    from == to
        || graph
            .relations
            .iter()
            .filter(|(relation, it, _)| {
                it == from
                    && matches!(relation, Relation::Derived | Relation::Used | Relation::Generated)
            })
            .any(|(_, _, next)| leads(graph, next, to))
}

#[test]
fn a_result_leads_back_to_its_source() {
    let graph = graph(&facts());
    let result = graph.entities.iter().find(|(_, it)| it.kind == "Result").unwrap().0;
    let origin = graph.entities.iter().find(|(_, it)| it.kind == "Origin").unwrap().0;
    assert!(leads(&graph, result, origin), "{graph:#?}");
    assert!(!leads(&graph, origin, result));
    let mut reversed = facts();
    reversed.reverse();
    assert_eq!(super::graph(&reversed), graph);
}

#[test]
fn what_was_made_under_a_contract_leads_back_through_it() {
    let mut all = facts();
    let mut made = fact(7, false, false, What::Derived { content: sha256(b"made") });
    made.links.product = Some(id("urn:made"));
    all.push(made);
    let graph = graph(&all);
    let (made, contract) = (name("product", "urn:made"), name("contract", "urn:contract"));
    assert!(graph.relations.contains(&(Relation::Derived, made.clone(), contract.clone())));
    let origin = graph.entities.iter().find(|(_, it)| it.kind == "Origin").unwrap().0;
    assert!(leads(&graph, &made, origin), "{graph:#?}");
    assert!(!leads(&graph, &contract, &made), "the contract is about its own product");
}

#[test]
fn every_name_is_declared_and_escaped() {
    let document = prov::to_json(&graph(&facts()));
    let known: Vec<&String> = ["entity", "activity", "agent"]
        .iter()
        .flat_map(|section| document[section].as_object().unwrap().keys())
        .collect();
    for name in &known {
        let local = name.strip_prefix("tidm:").unwrap();
        assert!(local.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%".contains(&b)), "{name}");
    }
    for (section, all) in document.as_object().unwrap() {
        if ["prefix", "entity", "activity", "agent"].contains(&section.as_str()) {
            continue;
        }
        for (_, relation) in all.as_object().unwrap() {
            for (_, name) in relation.as_object().unwrap() {
                assert!(
                    known.iter().any(|it| *it == name.as_str().unwrap()),
                    "{section}: {name} is declared nowhere"
                );
            }
        }
    }
    assert_eq!(document["prefix"]["tidm"], prov::NAMESPACE);
}

#[test]
fn names_never_collide() {
    let all = ["a:b", "a%3Ab", "a.b", "a/b", "a", "ü"];
    let names: BTreeSet<String> = all.iter().map(|it| name("x", it)).collect();
    assert_eq!(names.len(), all.len());
    assert_eq!(name("product", "urn:uuid:1"), "product.urn%3Auuid%3A1");
}
