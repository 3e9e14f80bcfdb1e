//! What the walk keeps for its report.
//!
//! Never a claim without the figure or the refusal it rests on.

use serde_json::Value;

use tidm_node::lang::Lang;

use super::trouble::Trouble;

/// A contract as it was signed: its name in the walk, its id, and its terms as sentences with who enforces them.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) how: String,
    pub(crate) terms: Vec<Term>,
}

#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub(crate) text: String,
    pub(crate) level: String,
    pub(crate) enforced: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) what: String,
    pub(crate) reason: String,
}

/// Everything the report shows beside the timings.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) products: Vec<String>,
    pub(crate) contracts: Vec<Signed>,
    pub(crate) uses: Vec<String>,
    pub(crate) refusals: Vec<Refusal>,
    /// Terms and a decision, in both languages.
    pub(crate) explained: Vec<String>,
    pub(crate) revocation: Vec<String>,
    pub(crate) recalled: Vec<String>,
    pub(crate) deletions: Vec<String>,
    pub(crate) proven: Vec<String>,
    pub(crate) unproven: Vec<String>,
}

/// The refusal that the walk expects here: any other outcome ends the walk.
pub(crate) fn refused<T>(
    lang: Lang,
    what: &str,
    outcome: Result<T, Trouble>,
    codes: &[&str],
) -> Result<Refusal, Trouble> {
    let Err(trouble) = outcome else {
        let text = lang.pick("本应被拒绝，却成功了", "this had to be refused, and succeeded");
        return Err(Trouble::unexpected(format!("{what}: {text}")));
    };
    if !trouble.code().is_some_and(|code| codes.contains(&code)) {
        return Err(trouble);
    }
    match &trouble {
        Trouble::Said { problem, .. } => {
            Ok(Refusal { what: what.to_owned(), reason: reason(problem) })
        }
        Trouble::Silent { .. }
        | Trouble::Unexpected { .. }
        | Trouble::Here { .. }
        | Trouble::Died { .. } => Err(trouble),
    }
}

/// A problem in one line: title, detail, the term that said no, code.
pub(crate) fn reason(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut out = text("title").unwrap_or_default().to_owned();
    for (before, name, after) in [(" ", "detail", ""), (" (", "cause", ")"), (" [", "code", "]")] {
        if let Some(it) = text(name) {
            out += &format!("{before}{it}{after}");
        }
    }
    out
}

/// The terms in a contract as the API shows it, for each kind of use.
pub(crate) fn terms(contract: &Value) -> Vec<Term> {
    let rows = |it: &Value, name: &str| {
        it.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let text = |it: &Value, name: &str| {
        it.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    rows(contract, "terms")
        .iter()
        .flat_map(|meaning| rows(meaning, "sentences"))
        .map(|it| Term {
            text: text(&it, "text"),
            level: text(&it, "level"),
            enforced: text(&it, "enforced"),
        })
        .collect()
}
