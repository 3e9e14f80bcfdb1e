//! What can stop the walk, told with whose fault it is and what to do next.
//!
//! Never a bare status code: a node's problem document is shown as the node wrote it.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use tidm_node::lang::Lang;

/// Why a step failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A node answered with a problem document.
    Said { node: String, status: u16, problem: Value },
    /// A node did not answer, or not in our words.
    Silent { node: String, why: String },
    /// A node answered, and the walk expected something else.
    Unexpected { what: String },
    /// A file or process of the demo itself.
    Here { what: String, why: String },
    /// The process of a node ended by itself.
    Died { node: String, log: PathBuf },
}

impl Trouble {
    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into() }
    }

    pub(crate) fn here(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Here { what: what.into(), why: why.to_string() }
    }

    /// The problem's code, where there is one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Said { problem, .. } => problem.get("code").and_then(Value::as_str),
            Self::Silent { .. }
            | Self::Unexpected { .. }
            | Self::Here { .. }
            | Self::Died { .. } => None,
        }
    }

    /// Party, cause and next step, a line each.
    pub(crate) fn words(&self, lang: Lang) -> String {
        let row = |zh: &str, en: &str, text: &str| format!("\n    {}: {text}", lang.pick(zh, en));
        match self {
            Self::Said { node, status, problem } => {
                let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or("-");
                let mut out =
                    format!("{node} (HTTP {status}): {} [{}]", text("title"), text("code"));
                out += &row("责任方", "party", text("party"));
                out += &row("详情", "detail", text("detail"));
                out += &row("原因", "cause", text("cause"));
                out + &row("下一步", "next step", text("nextStep"))
            }
            Self::Silent { node, why } => {
                let out = format!("{node}: {why}");
                out + &row(
                    "下一步",
                    "next step",
                    lang.pick("查看该节点的日志", "read this node's log"),
                )
            }
            Self::Unexpected { what } => what.clone(),
            Self::Here { what, why } => format!("{what}: {why}"),
            Self::Died { node, log } => {
                let out = format!("{node}: {}", lang.pick("进程已退出", "its process ended"));
                out + &row("下一步", "next step", &format!("less {}", log.display()))
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(Lang::En))
    }
}

impl std::error::Error for Trouble {}
