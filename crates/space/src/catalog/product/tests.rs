//! One row per way in which a product may not exist.

use super::*;
use crate::policy::model::{Action, Rule};
use crate::policy::sentence::{Sentences, build};

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn offer(name: &str, it: &Sentences, deliveries: &[Use]) -> Result<Offer, BadProduct> {
    Offer::new(build(id(name), None, it).unwrap(), Approval::Auto, deliveries.to_vec())
}

fn draft() -> Draft {
    let column = |name: &str| Column {
        name: name.to_owned(),
        data_type: "Float64".to_owned(),
        unit: None,
        title: None,
    };
    Draft {
        columns: vec![column("t"), column("p")],
        ..Draft::new(id("urn:p:1"), id("urn:p"), "风机 SCADA", Kind::Table, Time::ZERO)
    }
}

fn with(offers: Vec<Offer>) -> Draft {
    Draft { offers, ..draft() }
}

#[test]
fn products_are_checked() {
    let any = Sentences::default();
    let good = offer("o1", &any, &[Use::Query, Use::Plain]).unwrap();
    let product = Product::new(with(vec![good.clone()])).unwrap();
    assert_eq!(product.deliveries(), [Use::Query, Use::Plain]);
    assert!(product.offer(&id("o1")).is_some() && product.offer(&id("o2")).is_none());

    let column = |name: &str| Sentences { columns: vec![name.to_owned()], ..Sentences::default() };
    let strange = offer("o1", &column("speed"), &[Use::Query]).unwrap();
    let file = |kind| Draft { kind, columns: vec![], ..with(vec![good.clone()]) };
    let many =
        (0..=OFFERS).map(|i| offer(&format!("o{i}"), &any, &[Use::Plain]).unwrap()).collect();
    for (draft, expected) in [
        (Draft { title: " ".to_owned(), ..draft() }, BadProduct::Text("the title")),
        (
            Draft { description: "x".repeat(DESCRIPTION_BYTES + 1), ..draft() },
            BadProduct::Text("the description"),
        ),
        (Draft { version: 0, ..draft() }, BadProduct::Version),
        (Draft { keywords: vec!["k".to_owned(); KEYWORDS + 1], ..draft() }, BadProduct::TooMany),
        (with(many), BadProduct::TooMany),
        (with(vec![good.clone(), good.clone()]), BadProduct::SameOffer(id("o1"))),
        (
            with(vec![strange]),
            BadProduct::UnknownColumn { offer: id("o1"), column: "speed".to_owned() },
        ),
        (Draft { grade: Grade::Core, ..with(vec![good.clone()]) }, BadProduct::Core),
        (Draft { grade: Grade::Important, ..with(vec![good.clone()]) }, BadProduct::Important),
        (
            file(Kind::File),
            BadProduct::Delivery {
                offer: id("o1"),
                delivery: Use::Query,
                why: "only tables are delivered like that",
            },
        ),
    ] {
        assert_eq!(Product::new(draft).unwrap_err(), expected);
    }
    let twice = Draft { columns: draft().columns.into_iter().cycle().take(3).collect(), ..draft() };
    assert_eq!(Product::new(twice).unwrap_err(), BadProduct::Column("t".to_owned()));
    let query = offer("o1", &any, &[Use::Query]).unwrap();
    assert!(Product::new(Draft { grade: Grade::Important, ..with(vec![query]) }).is_ok());
}

#[test]
fn offers_nobody_could_keep_do_not_exist() {
    let any = Sentences::default;
    let grouped = Sentences { min_group: Some(5), ..any() };
    let query_only = Sentences { kinds: vec![Use::Query], ..any() };
    for (it, deliveries, ok) in [
        (&any(), &[Use::Plain][..], true),
        (&any(), &[], false),
        (&any(), &[Use::Plain, Use::Plain], false),
        (&grouped, &[Use::Query, Use::SealedTable], true),
        (&grouped, &[Use::Query, Use::Plain], false),
        (&grouped, &[Use::SealedFile], false),
        (&query_only, &[Use::Query], true),
        (&query_only, &[Use::SealedTable], false),
        (&Sentences { columns: vec!["t".to_owned()], ..any() }, &[Use::SealedFile], false),
    ] {
        assert_eq!(offer("o", it, deliveries).is_ok(), ok, "{it:?} {deliveries:?}");
    }
    let mut policy = build(id("o"), None, &any()).unwrap();
    policy.permissions.push(Rule::new(Action::Unknown("sell".to_owned()), vec![]));
    let refused = Offer::new(policy.clone(), Approval::Auto, vec![Use::Plain]).unwrap_err();
    assert!(refused.to_string().contains("sell: is not understood here"), "{refused}");
    policy.permissions.pop();
    policy.target = Some(id("x"));
    assert_eq!(
        Offer::new(policy, Approval::Auto, vec![Use::Plain]),
        Err(BadProduct::NoOffer(id("o")))
    );
}
