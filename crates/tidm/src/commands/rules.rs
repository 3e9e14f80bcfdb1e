//! Approval rules on the command line: `[ROUND:]WHEN=THEN[+MILLISECONDS]`, one flag a rule.
//!
//! Never checked beyond its shape: the node knows the words, and says which rule it cannot take.

use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Approval rules")]
pub(crate) struct Rules {
    /// When this state is reached, do that: requested=agree, 2:requested=terminate, transfer-started=complete+5000;
    /// may be repeated, the first that fits counts.
    #[arg(long = "rule", value_name = "[ROUND:]WHEN=THEN[+MS]")]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    when: String,
    round: Option<u32>,
    then: String,
    after_ms: u64,
}

impl Rules {
    pub(crate) fn json(&self) -> Value {
        let one = |it: &Rule| {
            let mut rule = json!({"when": it.when, "then": it.then, "after_ms": it.after_ms});
            if let (Some(round), Some(rule)) = (it.round, rule.as_object_mut()) {
                rule.insert("round".to_owned(), json!(round));
            }
            rule
        };
        self.rules.iter().map(one).collect()
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape =
            || "write [ROUND:]WHEN=THEN[+MS], for example 2:requested=terminate+500".to_owned();
        let (round, rest) = match text.split_once(':') {
            Some((round, rest)) => (Some(round.parse().map_err(|_| shape())?), rest),
            None => (None, text),
        };
        let (when, rest) = rest.split_once('=').ok_or_else(shape)?;
        let (then, after_ms) = match rest.split_once('+') {
            Some((then, after)) => (then, after.parse().map_err(|_| shape())?),
            None => (rest, 0),
        };
        if when.is_empty() || then.is_empty() {
            return Err(shape());
        }
        Ok(Self { when: when.to_owned(), round, then: then.to_owned(), after_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rules: Vec<Rule> = ["requested=agree", "2:requested=terminate+500"]
            .iter()
            .map(|it| it.parse().unwrap())
            .collect();
        assert_eq!(
            Rules { rules }.json(),
            json!([
                {"when": "requested", "then": "agree", "after_ms": 0},
                {"when": "requested", "round": 2, "then": "terminate", "after_ms": 500}
            ])
        );
        for bad in
            ["", "requested", "=agree", "requested=", "x:requested=agree", "requested=agree+x"]
        {
            assert!(bad.parse::<Rule>().is_err(), "{bad}");
        }
    }
}
