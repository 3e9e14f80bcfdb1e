use super::*;
use crate::id::Id;
use crate::policy::model::{Atomic, Constraint, Operand, Operator, Rule, Value};
use crate::policy::sentence::{Export, Sentences, build};
use crate::policy::terms::Price;

fn policy(it: &Sentences) -> Policy {
    build(Id::parse("urn:o").unwrap(), None, it).unwrap()
}

fn texts(all: &[Sentence]) -> Vec<&str> {
    all.iter().map(|it| it.text.as_str()).collect()
}

#[test]
fn a_counter_offer_reads_as_what_came_and_what_went() {
    let listed = policy(&Sentences {
        uses: Some(3),
        price: Some(Price::parse("100", "CNY").unwrap()),
        ..Sentences::default()
    });
    let asked =
        policy(&Sentences { uses: Some(5), delete_after_use: true, ..Sentences::default() });
    let it = diff(&listed, &asked, Lang::En, Use::Query);
    assert_eq!(texts(&it.kept), ["Permitted: use."]);
    assert_eq!(
        texts(&it.added),
        ["At most 5 uses.", "All copies are deleted when the contract ends."]
    );
    assert_eq!(texts(&it.removed), ["At most 3 uses.", "Price: 100.00 CNY."]);
    let zh = diff(&listed, &asked, Lang::Zh, Use::Query);
    assert_eq!(texts(&zh.kept), ["允许使用。"]);
    assert_eq!(texts(&zh.added), ["最多使用 5 次。", "合约终止时删除全部副本。"]);
    assert_eq!(texts(&zh.removed), ["最多使用 3 次。", "价格：100.00 CNY。"]);
}

#[test]
fn nothing_changed_and_the_way_back() {
    let one =
        policy(&Sentences { uses: Some(3), export: Export::Permitted, ..Sentences::default() });
    let two = policy(&Sentences { min_group: Some(9), ..Sentences::default() });
    for lang in [Lang::Zh, Lang::En] {
        for kind in Use::ALL {
            let same = diff(&one, &one, lang, kind);
            assert!(same.is_empty());
            let (there, back) = (diff(&one, &two, lang, kind), diff(&two, &one, lang, kind));
            assert_eq!((&there.added, &there.removed), (&back.removed, &back.added));
            assert_eq!(there.kept, back.kept);
        }
    }
}

/// The same words under another rule are another term.
#[test]
fn a_term_that_moves_between_rules_is_a_change() {
    let count: Constraint = Atomic::new(Operand::Count, Operator::Lteq, Value::text("3")).into();
    let of = |at_use: &[&Constraint], rest: Action, at_rest: &[&Constraint]| {
        let list = |all: &[&Constraint]| all.iter().map(|it| (*it).clone()).collect::<Vec<_>>();
        let mut it = policy(&Sentences::default());
        it.permissions = vec![Rule::new(Action::Use, list(at_use)), Rule::new(rest, list(at_rest))];
        it
    };
    for rest in [Action::Distribute, Action::Use] {
        let before = of(&[&count], rest.clone(), &[]);
        let after = of(&[], rest.clone(), &[&count]);
        let it = diff(&before, &after, Lang::En, Use::Plain);
        assert_eq!((it.added.len(), it.removed.len(), it.kept.len()), (1, 1, 2), "{rest:?} {it:?}");
    }
}

#[test]
fn what_nobody_understands_is_shown_as_it_is() {
    let mut odd = policy(&Sentences::default());
    odd.unsupported.push("odrl:assetRelation".to_owned());
    let it = diff(&policy(&Sentences::default()), &odd, Lang::En, Use::Plain);
    assert_eq!(texts(&it.added), ["Term not understood: odrl:assetRelation"]);
    assert!(!it.added[0].understood && it.removed.is_empty());
}
