//! Targets in `tidm-space`: policies, from their JSON to a verdict.

use tidm_space::lang::Lang;
use tidm_space::policy::check::check;
use tidm_space::policy::compile::{compile, compile_signed, understand};
use tidm_space::policy::eval::{Request, Truth, Verdict, evaluate, report};
use tidm_space::policy::model::{Constraint, Policy, Rule, Value};
use tidm_space::policy::render::render;
use tidm_space::policy::strict::looser;
use tidm_space::policy::trial::try_out;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::wire::odrl::{self, OdrlPolicy};

/// A policy on its own.
pub(crate) fn policies(data: &[u8]) {
    if let Ok(it) = odrl::parse(data) {
        use_it(&it);
    }
}

/// Whether the model holds all of the document, so that the document follows from it.
pub(crate) fn writable(it: &Policy) -> bool {
    fn plain(it: &Value) -> bool {
        match it {
            Value::Opaque(_) => false,
            Value::List(all) => all.iter().all(plain),
            Value::Text(_) | Value::Typed { .. } | Value::Reference(_) => true,
        }
    }
    fn held(it: &Constraint) -> bool {
        match it {
            Constraint::And(all)
            | Constraint::Or(all)
            | Constraint::Xone(all)
            | Constraint::AndSequence(all) => all.iter().all(held),
            Constraint::Atomic(it) => it.unsupported.is_empty() && plain(&it.right),
        }
    }
    fn rule(it: &Rule) -> bool {
        it.unsupported.is_empty()
            && it.constraints.iter().all(held)
            && [&it.duties, &it.remedies, &it.consequences].into_iter().flatten().all(rule)
    }
    it.unsupported.is_empty()
        && it.extra.is_empty()
        && it.permissions.iter().chain(&it.prohibitions).chain(&it.obligations).all(rule)
}

/// Everything that is done with a stranger's policy before anybody has agreed to it.
pub(crate) fn use_it(it: &OdrlPolicy) {
    assert!(OdrlPolicy::parse(it.original.clone()).is_ok_and(|again| again.model == it.model));
    drop(it.digest());
    let model = &it.model;
    if writable(model) {
        let ours = OdrlPolicy::from_model(model.clone());
        let again = OdrlPolicy::parse(ours.original.clone());
        assert!(again.is_ok_and(|again| again.model == *model), "{}", ours.original);
    }
    let terms = compile(model);
    let whole = understand(model);
    // A node signs nothing that is not understood.
    assert!(terms.is_err() || whole.is_ok());
    // What may be signed is read the same way once it is.
    assert!(terms.is_err() || terms == compile_signed(model));
    if let Ok(terms) = &terms {
        assert!(looser(terms, terms).is_empty(), "terms that do not keep themselves");
    }
    let remarks = check(model, Time::from_ms(1_780_000_000_000), &Use::ALL);
    let refused = remarks
        .iter()
        .any(|it| matches!(it.code, "term.refused" | "conflict.void" | "conflict.overlap"));
    assert!(terms.is_ok() || refused, "a refusal was lost");
    for kind in Use::ALL {
        for lang in [Lang::Zh, Lang::En] {
            let said = render(model, lang, kind);
            if !model.unsupported.is_empty() {
                assert!(said.iter().any(|it| !it.understood), "a term was dropped");
            }
        }
        if let Ok(whole) = &whole {
            let request = Request::new(Time::from_ms(1_780_000_000_000), kind, "did:web:me");
            asked(whole, &request);
            let tried = try_out(model, &request, Lang::En);
            let truth = evaluate(whole, &request).why.truth;
            assert!(tried.is_ok_and(|it| it.verdict != Truth::Yes || truth == Truth::Yes));
            assert_eq!(report(whole, &request).len(), whole.grants.len() + whole.bans.len());
        }
        let Ok(terms) = &terms else { continue };
        let mut request = Request::new(Time::from_ms(1_780_000_000_000), kind, "did:web:me");
        asked(terms, &request);
        let columns = ["a".to_owned()];
        request.columns = Some(&columns);
        request.purpose = Some("quality");
        request.uses_so_far = u64::MAX;
        request.first_use_at = Some(Time::ZERO);
        request.agreed_at = Some(request.now);
        request.paid = Some(true);
        asked(terms, &request);
    }
}

/// A permit is never given but for a yes.
fn asked(terms: &tidm_space::policy::terms::Terms, request: &Request<'_>) {
    let decision = evaluate(terms, request);
    let permits = matches!(decision.verdict, Verdict::Permit(_));
    assert_eq!(permits, decision.why.truth == Truth::Yes);
    for lang in [Lang::Zh, Lang::En] {
        assert!(!decision.why.render(lang).is_empty());
    }
    assert_eq!(decision.permitted().is_ok(), permits);
}
