//! A kind of use under the terms of one deal: who keeps a term there.
//!
//! Where a deal's gate releases a key to nobody but an attested environment, the terms that software keeps at the consumer
//! (E1 without it) are kept by the program that the evidence names, so that they stand at E3, and at E4 only where the
//! deal demands E4. Never more than the kind of use by itself where some permission is to be had without evidence; what
//! nobody checks stays a promise, and what the provider's own node keeps stays at the provider.

use crate::policy::compile::{Refusal, compile, compile_signed};
use crate::policy::hold::member;
use crate::policy::model::{Kind, Policy};
use crate::policy::terms::{Terms, Test, Topic};
use crate::policy::truth::Truth;
use crate::policy::usage::{Level, TEE, Use};

/// The place in which terms are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    pub(super) kind: Use,
    level: Level,
    /// Whether rows of the data, or words about rows, may leave as results.
    rows: bool,
}

impl Scene {
    /// Of terms that nobody signs it is the kind of use alone.
    pub fn of(policy: &Policy, kind: Use) -> Self {
        let terms = read(policy).ok();
        let proven = terms.as_ref().and_then(|it| demanded(it, kind));
        let own = kind.level();
        let rows = match kind {
            Use::Query => !terms.is_some_and(|it| sums_alone(&it)),
            Use::Psi => true,
            Use::SealedTable | Use::SealedFile | Use::Plain => false,
        };
        Self { kind, level: proven.map_or(own, |it| it.max(own)), rows }
    }

    /// Who keeps what happens to the data in such a use.
    pub fn level(self) -> Level {
        self.level
    }

    /// Who keeps what becomes of the data afterwards, of what the consumer holds then: nobody, where it holds rows as results.
    pub(super) fn afterwards(self) -> Level {
        if self.rows { Level::E0 } else { self.level }
    }

    /// Whether nobody gets a key here without evidence of a trusted environment.
    pub(super) fn attested(self) -> bool {
        self.level >= Level::E3
    }
}

/// The kinds of use that a policy permits and that can be kept, for showing it; of a policy that nobody signs the weakest.
pub fn kinds(policy: &Policy) -> Vec<Use> {
    match read(policy) {
        Ok(terms) => {
            let fits = |it: &Use| terms.summary.allows(*it) && terms.unkeepable(*it).is_empty();
            Use::ALL.into_iter().filter(fits).collect()
        }
        Err(_) => vec![Use::Plain],
    }
}

/// Whether only figures about groups leave as results.
fn sums_alone(terms: &Terms) -> bool {
    let mut reads = terms.grants.iter().filter(|it| it.action.covers(&Use::Query.action()));
    reads.all(|it| it.limits.aggregates_only || it.limits.privacy.budget.is_some())
}

/// Rules that overlap change nothing about who keeps a term that was signed with them.
fn read(policy: &Policy) -> Result<Terms, Vec<Refusal>> {
    if policy.kind == Kind::Agreement { compile_signed(policy) } else { compile(policy) }
}

/// The level that evidence has to prove for each permission of such a use; `None`: one is to be had without any.
fn demanded(terms: &Terms, kind: Use) -> Option<Level> {
    let sealed = matches!(kind, Use::SealedTable | Use::SealedFile);
    let grants = terms.grants.iter().filter(|it| sealed && it.action.covers(&kind.action()));
    grants.map(|it| demand(&it.when)).min().flatten()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others hold without evidence")]
fn demand(it: &Test) -> Option<Level> {
    match it {
        Test::Enforcement(level) => Some(*level).filter(|it| *it >= Level::E3),
        // Of what is sealed nothing but evidence is a fact about the environment, so that without it no such test holds.
        Test::Among(Topic::Environment, how, all) => {
            Some(Level::E3).filter(|_| member(*how, all, TEE) == Truth::Yes)
        }
        Test::All(all) | Test::Sequence(all) => all.iter().filter_map(demand).max(),
        Test::Any(all) | Test::One(all) => all.iter().map(demand).min().flatten(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::lang::Lang;
    use crate::policy::render::render;
    use crate::wire::odrl::OdrlPolicy;

    fn policy(rules: &Json) -> Policy {
        let mut it = json!({"@id": "urn:o", "@type": "Offer"});
        for (key, value) in rules.as_object().unwrap() {
            it[key] = value.clone();
        }
        OdrlPolicy::parse(it).unwrap().model
    }

    fn atom(left: &str, op: &str, right: &str) -> Json {
        json!({"leftOperand": left, "operator": op, "rightOperand": right})
    }

    fn permits(constraints: &[Json]) -> Json {
        json!({"permission": [{"action": "use", "constraint": constraints}]})
    }

    #[test]
    fn evidence_lifts_the_scene_only_where_nothing_is_to_be_had_without_it() {
        let tee = || atom("tidm:executionEnvironment", "eq", "tee");
        let (e3, e4) = (
            || atom("tidm:enforcementLevel", "gteq", "E3"),
            || atom("tidm:enforcementLevel", "gteq", "E4"),
        );
        let count = || atom("count", "lteq", "5");
        for (rules, level) in [
            (permits(&[count()]), "E1"),
            (permits(&[atom("tidm:enforcementLevel", "gteq", "E1")]), "E1"),
            (permits(&[tee(), count()]), "E3"),
            (permits(&[e3()]), "E3"),
            (permits(&[e4()]), "E4"),
            (permits(&[tee(), e4()]), "E4"),
            (permits(&[json!({"or": [tee(), e4()]})]), "E3"),
            (permits(&[json!({"or": [tee(), count()]})]), "E1"),
            (permits(&[json!({"andSequence": [count(), e3()]})]), "E3"),
            (
                json!({"permission": [{"action": "use", "constraint": [tee()]}, {"action": "use"}]}),
                "E1",
            ),
            (
                json!({"permission": [{"action": "use", "constraint": [e4()]}, {"action": "distribute"}]}),
                "E4",
            ),
            // Nobody signs it.
            (permits(&[tee(), atom("x:moon", "eq", "full")]), "E1"),
        ] {
            let it = policy(&rules);
            let scenes = Use::ALL.map(|kind| Scene::of(&it, kind).level().name());
            assert_eq!(scenes, ["E2", level, level, "E0", "E2"], "{rules}");
        }
    }

    /// Each term of a deal in which a key goes to attested environments alone, and of the same deal without that.
    #[test]
    fn terms_that_the_attested_program_keeps_rise_and_no_others() {
        let said = [
            ("tidm:executionEnvironment", "eq", "tee", ["E3", "E0"]),
            ("count", "lteq", "5", ["E3", "E1"]),
            ("purpose", "eq", "quality", ["E0", "E0"]),
            ("spatial", "eq", "CN", ["E0", "E0"]),
            ("tidm:columns", "eq", "t", ["E3", "E1"]),
            ("tidm:deliveryRate", "lteq", "1000", ["E2", "E2"]),
            ("tidm:valueExpression", "eq", "t > 1", ["E2", "E2"]),
        ];
        let all: Vec<Json> =
            said.iter().map(|(left, op, right, _)| atom(left, op, right)).collect();
        let mut with = permits(&all);
        with["obligation"] = json!([{"action": "delete"}, {"action": "obtainConsent"},
            {"action": "compensate", "constraint": [atom("payAmount", "eq", "1"), atom("tidm:currency", "eq", "CNY")]}]);
        let mut four = with.clone();
        let e4 = atom("tidm:enforcementLevel", "gteq", "E4");
        four["permission"][0]["constraint"].as_array_mut().unwrap().push(e4);
        let mut without = with.clone();
        without["permission"][0]["constraint"].as_array_mut().unwrap().remove(0);
        let levels = |it: &Json| -> Vec<&str> {
            let all = render(&policy(it), Lang::En, Use::SealedTable);
            all.iter().map(|it| it.level.name()).collect()
        };
        let of = |scene: usize| said.iter().map(move |it| it.3[scene]);
        let owed = |level| [level, "E2", "E0"];
        let three: Vec<&str> = std::iter::once("E3").chain(of(0)).chain(owed("E3")).collect();
        assert_eq!(levels(&with), three);
        let raised = three.iter().map(|it| if *it == "E3" { "E4" } else { *it });
        let mut should: Vec<&str> = raised.collect();
        should.insert(said.len() + 1, "E4");
        assert_eq!(levels(&four), should);
        let plain: Vec<&str> =
            std::iter::once("E1").chain(of(1).skip(1)).chain(owed("E1")).collect();
        assert_eq!(levels(&without), plain);
    }

    /// An environment is the kind of use's own, or one that evidence proves, or nobody signs it.
    #[test]
    fn an_environment_is_one_in_which_some_use_takes_place() {
        let none: &[Use] = &[];
        let sealed = [Use::SealedTable, Use::SealedFile];
        for (op, value, kinds, level) in [
            ("eq", "tee", &sealed[..], "E3"),
            ("eq", "05", &sealed, "E3"),
            ("eq", "sandbox", &[Use::Query], "E2"),
            ("eq", "02", &[Use::Query], "E2"),
            ("neq", "tee", &[Use::Query], "E2"),
            ("eq", "banana", none, ""),
            ("eq", "env/usageControl", none, ""),
        ] {
            let it = policy(&permits(&[atom("tidm:executionEnvironment", op, value)]));
            let Ok(terms) = compile(&it) else {
                assert!(kinds.is_empty(), "{op} {value}");
                assert_eq!(compile(&it).unwrap_err()[0].term, "tidm:executionEnvironment");
                continue;
            };
            // Matchings need a key of their own.
            let kept = Use::ALL
                .into_iter()
                .filter(|it| *it != Use::Psi && terms.unkeepable(*it).is_empty());
            assert_eq!(kept.collect::<Vec<_>>(), kinds, "{op} {value}");
            for kind in kinds {
                assert_eq!(
                    render(&it, Lang::En, *kind)[1].level.name(),
                    level,
                    "{op} {value} {kind:?}"
                );
            }
        }
        assert!(
            compile(&policy(&permits(&[atom("tidm:executionEnvironment", "eq", "mpc")]))).is_ok()
        );
    }
}
