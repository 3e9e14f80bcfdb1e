//! TC609 to ODRL and back, ODRL to TC609 and back: the same, or told.

use super::*;

fn item(clause: Clause) -> Item {
    Item { product: frame().subjects[0].product.clone(), clause }
}

fn document(permissions: Vec<Item>) -> Document {
    Document { frame: frame(), permissions, prohibitions: vec![], obligations: vec![] }
}

fn plain(actions: Vec<Act>, constraints: Vec<Constraint>) -> Clause {
    Clause { actions, constraints, expansion: None }
}

/// Reads, translates, translates back.
fn there_and_back(it: &Document) -> (Document, Policy, Vec<Loss>) {
    let written = to_json(it).to_string();
    assert_eq!(parse(written.as_bytes()).as_ref(), Ok(it), "{written}");
    let (policy, losses) = from_tc609(it).unwrap();
    let (back, _) = to_tc609(&policy, &it.frame).unwrap();
    (back, policy, losses)
}

/// Values in the dictionary's form, of which the first is read with the operator that suits it.
fn values(word: &ConstraintWord) -> Vec<&'static str> {
    match word.form {
        Form::Moment => vec!["20251231235959", "20240229000000"],
        Form::Span => vec!["P7D", "PT1H"],
        Form::Number => vec!["100", "0", "007"],
        Form::Text => vec!["温度 >= 20"],
        Form::Names => vec!["CN", "[\"A\",\"中\"]"],
        Form::Places => vec!["10.1.0.0/16", "a.example", "[\"10.1.0.0/16\",\"::1\"]"],
        Form::Price => vec!["100.00 CNY", "1 USD"],
        Form::Codes(table) => table.iter().map(|(code, _)| *code).collect(),
    }
}

const STRANGE: [&str; 12] = [
    "10G",
    "2025-12-31T23:59:59+08:00",
    "20251331000000",
    "[]",
    "[ \"a\" ]",
    "[\"10.1.0.0/16\",\"a.example\"]",
    "99",
    "{\"odrl\":{\"assignee\":\"did:web:a\"}}",
    "{\"odrl\":null}",
    "P60",
    "18446744073709551616",
    "长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长长",
];

#[test]
fn every_code_of_the_dictionaries_comes_back() {
    let mut seen = 0;
    for word in &ACTIONS {
        let it = document(vec![item(plain(vec![Act::Listed(word)], vec![]))]);
        let (back, policy, losses) = there_and_back(&it);
        assert_eq!(back, it);
        let same = policy.permissions[0].action
            == word.ours.clone().unwrap_or_else(|| Action::Unknown(format!("tc609:{}", word.code)));
        assert!(same, "{policy:?}");
        let exact = word.fit == crate::tc609::words::Fit::Same;
        assert_eq!(losses.iter().any(|it| it.term == word.code), !exact, "{}", word.code);
        seen += 1;
    }
    for word in &CONSTRAINTS {
        for op in &OPERATORS {
            for value in values(word).into_iter().chain(STRANGE) {
                let one = Constraint { name: Name::Listed(word), op, value: value.to_owned() };
                let it = document(vec![item(plain(vec![Act::Listed(&ACTIONS[4])], vec![one]))]);
                let (back, policy, losses) = there_and_back(&it);
                assert_eq!(back, it, "{} {} {value}", word.code, op.code);
                let Ours::Atomic(said) = &policy.permissions[0].constraints[0] else { panic!() };
                let kept = matches!(said.left, Operand::Unknown(_));
                let carried =
                    losses.iter().any(|it| it.term == word.code && it.kind == Kind::Carried);
                assert_eq!(kept, carried, "{} {} {value}", word.code, op.code);
                assert!(!kept || compile(&policy).is_err());
                seen += 1;
            }
        }
    }
    assert!(seen > 20 + 18 * 12 * STRANGE.len(), "{seen}");
}

#[test]
fn good_values_have_a_word_of_ours() {
    // A frequency is read with its window alone, see below.
    for word in CONSTRAINTS.iter().filter(|it| it.code != "frequency") {
        let ops: &[&str] = if word.form == Form::Span { &["01", "11"] } else { &["01"] };
        for (op, value) in ops.iter().flat_map(|op| values(word).into_iter().map(move |v| (op, v)))
        {
            let op = OperatorWord::by_code(op).unwrap();
            let it = Constraint { name: Name::Listed(word), op, value: value.to_owned() };
            assert_eq!(
                term::read(&it, false).is_some(),
                value.chars().count() <= word.most,
                "{it:?}"
            );
        }
    }
}

fn listed(code: &str) -> Act {
    Act::Listed(ACTIONS.iter().find(|it| it.code == code).unwrap())
}

/// What a node keeps of words that are near in permissions; anywhere else they are refused by name.
#[test]
fn words_that_permit_less_are_signed_in_permissions_alone() {
    for (code, kinds) in [
        ("access", &[Use::Query][..]),
        ("download", &[Use::SealedTable, Use::SealedFile]),
        ("compute", &[Use::Query]),
        ("read", &[Use::Query, Use::SealedTable, Use::SealedFile]),
    ] {
        let it = document(vec![item(plain(vec![listed(code)], vec![]))]);
        let (back, policy, losses) = there_and_back(&it);
        assert_eq!(back, it);
        assert_eq!(
            losses.iter().any(|it| it.term == code && it.kind == Kind::Near),
            code != "read"
        );
        // Whoever asks: the contract's own parties are another matter.
        let terms = compile(&Policy { assignee: None, ..policy }).unwrap();
        let permits = |kind: &Use| {
            let asked = Request::new(Time::ZERO, *kind, "did:web:a.example");
            terms.unkeepable(*kind).is_empty() && evaluate(&terms, &asked).permitted().is_ok()
        };
        let found: Vec<Use> = Use::ALL.into_iter().filter(permits).collect();
        assert_eq!(found, kinds, "{code}");
        // A prohibition of less would permit more.
        let mut ban = document(vec![item(plain(vec![listed("sell")], vec![]))]);
        ban.prohibitions = vec![item(plain(vec![listed(code)], vec![]))];
        let (back, policy, _) = there_and_back(&ban);
        assert_eq!(back, ban);
        let named =
            compile(&policy).unwrap_err().iter().any(|it| it.term == format!("tc609:{code}"));
        assert_eq!(named, code != "read", "{code}");
    }
    // Side by side in one policy, and beside a word of both.
    let all = ["read", "access", "process", "compute", "download"].map(listed).to_vec();
    let it = document(vec![item(plain(all, vec![]))]);
    assert_eq!(there_and_back(&it).0, it);
    for code in ["desensitize", "jointDevelop", "delivery", "alert"] {
        let it = document(vec![item(plain(vec![listed(code)], vec![]))]);
        let why = compile(&there_and_back(&it).1).unwrap_err();
        assert!(why.iter().any(|it| it.term == format!("tc609:{code}")), "{why:?}");
    }
}

#[test]
fn a_frequency_is_counted_in_its_window() {
    let say = |code: &str, op: &str, value: &str| Constraint {
        name: Name::from_code(code).unwrap(),
        op: OperatorWord::by_code(op).unwrap(),
        value: value.to_owned(),
    };
    let (five, day) = (say("frequency", "11", "5"), say("timeWindow", "01", "P1D"));
    let until = say("time", "11", "20301231235959");
    for (all, said, same) in [
        (vec![five.clone(), day.clone()], Some("5/P1D"), true),
        (vec![until.clone(), five.clone(), day.clone()], Some("5/P1D"), true),
        // Written otherwise, with the same meaning.
        (vec![day.clone(), five.clone()], Some("5/P1D"), false),
        (vec![five.clone(), until, day.clone()], Some("5/P1D"), false),
        (vec![five.clone()], None, true),
        (vec![say("frequency", "03", "5"), day.clone()], None, true),
        (vec![five.clone(), say("timeWindow", "11", "P1D")], None, true),
        (vec![five.clone(), day.clone(), day.clone()], None, true),
        (vec![five.clone(), five.clone(), day.clone()], None, true),
        (vec![five, day, say("count", "11", "100")], None, true),
    ] {
        let it = document(vec![item(plain(vec![listed("read")], all.clone()))]);
        let (back, policy, losses) = there_and_back(&it);
        assert_eq!(back == it, same, "{all:?}");
        assert_eq!(losses.iter().any(|it| it.term == "permissionPolicies"), !same);
        let found = policy.permissions[0].constraints.iter().find_map(|it| match it {
            Ours::Atomic(it) if it.left == Operand::Frequency => it.right.as_text(),
            Ours::Atomic(_) | Ours::And(_) | Ours::Or(_) | Ours::Xone(_) | Ours::AndSequence(_) => {
                None
            }
        });
        assert_eq!(found, said, "{all:?}");
        match compile(&policy) {
            Ok(_) => assert!(said.is_some(), "{all:?}"),
            Err(why) => {
                assert!(said.is_none() && why.iter().any(|it| it.term == "tc609:frequency"));
            }
        }
    }
    // Ours comes back as it was, also where it has no place of its own.
    let rate = || atomic(Operand::Frequency, Operator::Lteq, Value::text("5/P1D"));
    let interval = || atomic(Operand::TimeInterval, Operator::Eq, Value::text("PT1H"));
    let elapsed = || atomic(Operand::ElapsedTime, Operator::Lteq, Value::text("P90D"));
    let count = || atomic(Operand::Count, Operator::Lteq, Value::text("100"));
    let kept =
        |name: &str, op| atomic(Operand::Unknown(format!("tc609:{name}")), op, Value::text("5"));
    let window =
        atomic(Operand::Unknown("tc609:timeWindow".into()), Operator::Eq, Value::text("P1D"));
    for (all, near) in [
        (vec![rate()], true),
        (vec![rate(), elapsed()], false),
        (vec![interval(), rate()], false),
        (vec![count(), rate()], false),
        (vec![rate(), rate()], false),
        (vec![kept("frequency", Operator::Lteq), window], false),
        (vec![kept("frequency", Operator::Lteq), interval()], false),
    ] {
        let mut policy = Policy::new(Id::parse("urn:o").unwrap(), PolicyKind::Offer);
        policy.permissions.push(Rule::new(Action::Read, all.clone()));
        let (contract, losses) = to_tc609(&policy, &frame()).unwrap();
        assert_eq!(from_tc609(&contract).unwrap().0.permissions, policy.permissions, "{all:?}");
        let told = |kind| losses.iter().any(|it| it.term == "tidm:frequency" && it.kind == kind);
        assert!(told(Kind::Near) == near, "{all:?} {losses:?}");
    }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        9 => (0..20_usize).prop_map(|i| Act::Listed(&ACTIONS[i])),
        1 => "[a-z]{3,9}X".prop_map(Act::Unlisted),
        1 => Just(Act::Own("use".to_owned())),
        1 => Just(Act::Own("tidm:dance".to_owned())),
        1 => Just(Act::Foreign("{\"x\":[1,\"二\"]}".to_owned())),
    ]
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let name = prop_oneof![
        9 => (0..18_usize).prop_map(|i| Name::Listed(&CONSTRAINTS[i])),
        1 => Just(Name::Extension),
        1 => "[a-z]{3,9}X".prop_map(Name::Unlisted),
    ];
    (name, 0..12_usize, 0..40_usize).prop_map(|(name, op, pick)| {
        let good = match &name {
            Name::Listed(word) => values(word),
            Name::Extension | Name::Unlisted(_) => vec!["x"],
        };
        let all: Vec<&str> = good.iter().cycle().take(28).copied().chain(STRANGE).collect();
        Constraint { name, op: &OPERATORS[op], value: all[pick].to_owned() }
    })
}

fn clause(depth: u32) -> BoxedStrategy<Clause> {
    let actions = proptest::collection::vec(act(), 1..4).prop_map(|all| {
        let mut out: Vec<Act> = vec![];
        for it in all {
            if !out.contains(&it) {
                out.push(it);
            }
        }
        out
    });
    let text = "[是a{]{1,9}".prop_map(|it| Some(Expansion::Text(it)));
    let more = if depth == 0 {
        Just(None).boxed()
    } else {
        let duties = proptest::collection::vec(clause(depth - 1), 1..3);
        let duties = duties.prop_map(|mut all| {
            // Inside duties an extension is a list of duties or nothing.
            for it in &mut all {
                if matches!(it.expansion, Some(Expansion::Text(_))) {
                    it.expansion = None;
                }
            }
            Some(Expansion::Duties(all))
        });
        prop_oneof![2 => Just(None), 1 => text, 2 => duties].boxed()
    };
    (actions, proptest::collection::vec(constraint(), 0..5), more)
        .prop_map(|(actions, constraints, expansion)| Clause { actions, constraints, expansion })
        .boxed()
}

prop_compose! {
    fn documents()(
        permissions in proptest::collection::vec((clause(2), any::<bool>()), 1..3),
        prohibitions in proptest::collection::vec((clause(2), any::<bool>()), 0..3),
        obligations in proptest::collection::vec((clause(2), any::<bool>()), 0..3),
    ) -> Document {
        let mut all = document(vec![]);
        let first = all.frame.subjects[0].clone();
        let second = ProductCode::parse(&format!("{}•A7", first.product.as_str())).unwrap();
        let about = |(clause, other): (Clause, bool)| Item {
            product: if other { second.clone() } else { first.product.clone() },
            clause,
        };
        all.permissions = permissions.into_iter().map(about).collect();
        all.prohibitions = prohibitions.into_iter().map(about).collect();
        all.obligations = obligations.into_iter().map(about).collect();
        let mut subjects: Vec<Subject> = vec![];
        for (_, _, it) in all.items() {
            if !subjects.iter().any(|s| s.product == it.product) {
                subjects.push(Subject { product: it.product.clone(), ..first.clone() });
            }
        }
        all.frame.subjects = subjects;
        all
    }
}

proptest! {
    #[test]
    fn contracts_come_back_or_say_what_changed(it in documents()) {
        let (back, policy, losses) = there_and_back(&it);
        has_words(&losses);
        if back != it {
            prop_assert!(losses.iter().any(|it| it.term.ends_with("Policies")), "{back:#?} {losses:?}");
        }
        // Whatever happened to the writing, the meaning is the same from then on.
        let (again, _) = from_tc609(&back).unwrap();
        prop_assert_eq!(&again.permissions, &policy.permissions);
        prop_assert_eq!(&again.prohibitions, &policy.prohibitions);
        prop_assert_eq!(&again.obligations, &policy.obligations);
        let strange = losses.iter().any(|it| it.kind == Kind::Carried);
        prop_assert!(!strange || understand(&policy).is_err());
    }

    #[test]
    fn offers_come_back_as_they_were(it in sentences()) {
        let offer = build(Id::parse("urn:o").unwrap(), None, &it).unwrap();
        let (contract, losses) = to_tc609(&offer, &frame()).unwrap();
        has_words(&losses);
        let (back, _) = from_tc609(&contract).unwrap();
        prop_assert!(back.same_terms(&offer), "{back:?}");
        prop_assert_eq!(compile(&back).map(|it| it.summary), compile(&offer).map(|it| it.summary));
        // Only what stands in the contract's own data is not in the policies.
        let dropped: Vec<&str> = losses.iter().filter(|it| it.kind == Kind::Dropped).map(|it| it.term.as_str()).collect();
        prop_assert!(dropped.iter().all(|it| ["@id", "assigner", "assignee", "target"].contains(it)), "{dropped:?}");
        let carried: Vec<&str> = losses.iter().filter(|it| it.kind == Kind::Carried).map(|it| it.term.as_str()).collect();
        for (term, said) in [
            ("use", true),
            ("purpose", !it.purposes.is_empty()),
            ("recipient", !it.to.is_empty()),
            ("delayPeriod", it.delay.is_some()),
            ("tidm:minGroup", it.min_group.is_some()),
            ("tidm:enforcementLevel", it.level.is_some()),
            ("tidm:matchKey", it.matching.key.is_some()),
            ("count", false),
            ("tidm:columns", false),
            ("payAmount", false),
        ] {
            prop_assert_eq!(carried.contains(&term), said, "{}", term);
        }
    }
}

fn atomic(left: Operand, op: Operator, right: Value) -> Ours {
    Atomic::new(left, op, right).into()
}

#[test]
fn a_policy_never_becomes_wider() {
    let use_it = |constraints| Rule::new(Action::Use, constraints);
    let text = |it: &str| Value::text(it);
    let count = || atomic(Operand::Count, Operator::Lteq, text("5"));
    let delete = || Rule::new(Action::Delete, vec![]);
    let mut rules: Vec<Rule> = vec![
        use_it(vec![Ours::Or(vec![count(), Ours::And(vec![])])]),
        use_it(vec![count(), atomic(Operand::TimeInterval, Operator::Eq, text("P1D"))]),
        use_it(vec![atomic(Operand::TimeInterval, Operator::Eq, text("P1D"))]),
        use_it(vec![
            count(),
            atomic(Operand::Unknown("tc609:timeWindow".into()), Operator::Eq, text("P1D")),
        ]),
        use_it(vec![atomic(Operand::Unknown("tc609:count".into()), Operator::Lteq, text("5"))]),
        use_it(vec![atomic(
            Operand::Unknown("tc609:policyExpansion".into()),
            Operator::Eq,
            text("{\"priorDuty\":[\"delete\"]}"),
        )]),
        use_it(vec![atomic(
            Operand::Unknown("tc609:expansionItem".into()),
            Operator::Eq,
            text("{\"odrl\":{}}"),
        )]),
        use_it(vec![atomic(Operand::Count, Operator::Unknown("near".into()), text("5"))]),
        use_it(vec![atomic(Operand::Purpose, Operator::Eq, Value::Reference("urn:p".into()))]),
        use_it(vec![atomic(
            Operand::Purpose,
            Operator::Eq,
            Value::Opaque("{\"a\":[null]}".into()),
        )]),
        use_it(vec![atomic(Operand::Spatial, Operator::Eq, text(""))]),
        use_it(vec![atomic(Operand::PayAmount, Operator::Eq, text("1"))]),
        use_it(vec![Ours::Atomic(Atomic {
            unit: Some("CNY".into()),
            ..Atomic::new(Operand::PayAmount, Operator::Eq, text("1"))
        })]),
        use_it(vec![Ours::Atomic(Atomic {
            unsupported: vec!["refinement".into()],
            ..Atomic::new(Operand::Count, Operator::Lteq, text("1"))
        })]),
        Rule { assignee: Id::parse("did:web:a").ok(), ..use_it(vec![count()]) },
        Rule { target: Id::parse("urn:other").ok(), ..use_it(vec![]) },
        Rule { unsupported: vec!["refinement".into()], ..use_it(vec![count()]) },
        Rule {
            duties: vec![delete(), Rule { consequences: vec![delete()], ..delete() }],
            ..use_it(vec![])
        },
        Rule { remedies: vec![delete()], consequences: vec![delete()], ..use_it(vec![]) },
        Rule { duties: vec![Rule { duties: vec![delete()], ..delete() }], ..use_it(vec![]) },
    ];
    for name in [
        "tc609:read",
        "tc609:expansionItem:[",
        "tc609:expansionItem:{\"action\":\"read\"}",
        "refined action",
        "tc609:x y",
    ] {
        rules.push(Rule::new(Action::Unknown(name.into()), vec![]));
    }
    for rule in &rules {
        for class in 0..3 {
            let mut policy = Policy::new(Id::parse("urn:o").unwrap(), PolicyKind::Offer);
            let all = [&mut policy.permissions, &mut policy.prohibitions, &mut policy.obligations];
            all.into_iter().nth(class).unwrap().push(rule.clone());
            let (contract, losses) = to_tc609(&policy, &frame()).unwrap();
            assert!(
                !losses.iter().any(|it| it.kind == Kind::Dropped && !it.place.is_empty()),
                "{losses:?}"
            );
            let (back, _) = from_tc609(&contract).unwrap();
            assert_eq!(back.permissions, policy.permissions, "{contract:?}");
            assert_eq!(back.prohibitions, policy.prohibitions, "{contract:?}");
            assert_eq!(back.obligations, policy.obligations, "{contract:?}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_told_and_signed_by_nobody() {
    let mut policy = Policy::new(Id::parse("urn:o").unwrap(), PolicyKind::Set);
    // A text where JSON belongs would come back as another value.
    let broken = atomic(Operand::Purpose, Operator::Eq, Value::Opaque("{".into()));
    policy.permissions.push(Rule::new(Action::Read, vec![broken]));
    let (contract, losses) = to_tc609(&policy, &frame()).unwrap();
    assert!(
        losses.iter().any(|it| it.kind == Kind::Dropped && it.place == "permission[0]"),
        "{losses:?}"
    );
    let (back, _) = from_tc609(&contract).unwrap();
    assert!(understand(&back).is_err());

    policy.permissions[0].constraints.clear();
    policy.unsupported = vec!["inheritFrom".to_owned()];
    policy.extra = vec!["title".to_owned()];
    policy.conflict = Some(Conflict::Permission);
    policy.profile = vec!["urn:other".to_owned()];
    let (contract, losses) = to_tc609(&policy, &frame()).unwrap();
    for term in ["inheritFrom", "title", "conflict", "urn:other", "@id", "@type"] {
        assert!(losses.iter().any(|it| it.term == term), "{term}");
    }
    let (back, _) = from_tc609(&contract).unwrap();
    assert!(understand(&back).is_err(), "what is not understood stays so");
}

#[test]
fn what_is_no_contract_is_an_error() {
    let mut policy = Policy::new(Id::parse("urn:o").unwrap(), PolicyKind::Set);
    assert!(matches!(to_tc609(&policy, &frame()), Err(BadMapping::Document(_))), "no rules");
    policy.permissions.push(Rule::new(Action::Read, vec![]));
    let mut none = frame();
    none.subjects.clear();
    assert!(matches!(to_tc609(&policy, &none), Err(BadMapping::Product(_))));
    let mut late = frame();
    late.until = Time::from_ms(1);
    assert!(matches!(to_tc609(&policy, &late), Err(BadMapping::Document(_))));
    policy.permissions = (0..65)
        .map(|n| {
            Rule::new(
                Action::Read,
                vec![atomic(Operand::Count, Operator::Lteq, Value::text(n.to_string()))],
            )
        })
        .collect();
    assert!(matches!(to_tc609(&policy, &frame()), Err(BadMapping::Document(_))));
}
