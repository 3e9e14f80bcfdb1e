//! Approval rules as operators write them, in TOML and JSON alike: `{ when = "requested", then = "agree" }`.
//!
//! Never an unchecked rule: [`read`] is the only way from here to [`Rules`].

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::approval::{Rule, Rules, Then, When};
use tidm_space::negotiation::message::Role;

/// One rule.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// The state reached: requested, offered, accepted, agreed, verified, transfer-requested, transfer-started or
    /// transfer-suspended.
    pub when: String,
    /// Only the n-th time that it is reached, counted from 1; every time where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// What follows: hold, ask, offer, agree, accept, counter, verify, finalize, terminate, start, suspend or complete.
    pub then: String,
    /// Milliseconds to wait before.
    #[serde(default)]
    pub after_ms: u64,
}

/// Checked rules for the side in this role; the error names the rule by its number.
pub fn read(role: Role, texts: &[RuleText]) -> Result<Rules, String> {
    let mut rules = Vec::with_capacity(texts.len());
    for (index, it) in texts.iter().enumerate() {
        let number = index + 1;
        let when = When::from_word(&it.when).ok_or_else(|| {
            format!("rule {number}: when is one of {}", words(&When::ALL, When::word))
        })?;
        let then = Then::from_word(&it.then).ok_or_else(|| {
            format!("rule {number}: then is one of {}", words(&Then::ALL, Then::word))
        })?;
        let after = Duration::from_millis(it.after_ms);
        rules.push(Rule { when, round: it.round, then, after });
    }
    Rules::new(role, rules).map_err(|why| why.to_string())
}

/// As they were written.
pub fn write(rules: &Rules) -> Vec<RuleText> {
    let text = |it: &Rule| RuleText {
        when: it.when.word().to_owned(),
        round: it.round,
        then: it.then.word().to_owned(),
        after_ms: u64::try_from(it.after.as_millis()).unwrap_or(u64::MAX),
    };
    rules.all().iter().map(text).collect()
}

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> String {
    all.iter().map(|it| word(*it)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Doc {
        rules: Vec<RuleText>,
    }

    #[test]
    fn rules_travel_and_bad_ones_are_named() {
        let doc: Doc = toml::from_str(
            r#"rules = [{ when = "requested", round = 1, then = "offer", after_ms = 500 }, { when = "requested", then = "hold" }]"#,
        )
        .unwrap();
        let rules = read(Role::Provider, &doc.rules).unwrap();
        assert_eq!(read(Role::Provider, &write(&rules)), Ok(rules));
        for (bad, told) in [
            (r#"rules = [{ when = "soon", then = "hold" }]"#, "rule 1: when is one of requested"),
            (r#"rules = [{ when = "requested", then = "dance" }]"#, "rule 1: then is one of hold"),
            (
                r#"rules = [{ when = "offered", then = "agree" }]"#,
                "rule 1: the provider cannot agree",
            ),
        ] {
            let doc: Doc = toml::from_str(bad).unwrap();
            let why = read(Role::Provider, &doc.rules).unwrap_err();
            assert!(why.starts_with(told), "{why}");
        }
        assert!(
            toml::from_str::<Doc>(r#"rules = [{ when = "x", then = "y", extra = 1 }]"#).is_err()
        );
    }
}
