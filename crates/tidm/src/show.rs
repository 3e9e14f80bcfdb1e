//! Printing: tables for people, JSON for programs, problems with what to do next.
//!
//! Never mixes the two: standard output holds results, standard error everything else.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::cli::{Global, Lang, Output};
use crate::client::Trouble;

/// A line of a result.
pub(crate) fn line(text: &str) {
    // A reader that closed its end wants no more: not an error of ours.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A line for the person at the terminal.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// An answer of the node.
pub(crate) fn value(it: &Value, global: &Global) {
    match global.output {
        Output::Json => line(&serde_json::to_string_pretty(it).unwrap_or_default()),
        Output::Table => match it.get("items").and_then(Value::as_array) {
            Some(items) => {
                table(items);
                facets(it);
                if let Some(next) = it.get("next").and_then(Value::as_str) {
                    note(&format!("… --cursor {next}"));
                }
            }
            None => lines(it, 0),
        },
    }
}

/// An answer that has no table.
pub(crate) fn json(it: &Value) {
    line(&serde_json::to_string_pretty(it).unwrap_or_default());
}

/// Rows of objects: their plain members as columns.
pub(crate) fn table(rows: &[Value]) {
    let mut names: Vec<&str> = Vec::new();
    for row in rows.iter().filter_map(Value::as_object) {
        for (name, value) in row {
            if !value.is_object() && !value.is_array() && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|it| names.iter().map(|name| plain(it.get(*name).unwrap_or(&Value::Null))).collect())
        .collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            cells
                .iter()
                .filter_map(|row| row.get(at))
                .map(|it| width(it))
                .chain([width(name)])
                .max()
                .unwrap_or(0)
        })
        .collect();
    row(&names, &widths);
    for cells in &cells {
        row(&cells.iter().map(String::as_str).collect::<Vec<_>>(), &widths);
    }
}

/// How many each value of a facet would leave, a line each.
fn facets(it: &Value) {
    for (name, counts) in it.get("facets").and_then(Value::as_object).into_iter().flatten() {
        let one = |it: &Value| Some(format!("{} ({})", plain(it.get("value")?), it.get("count")?));
        let all: Vec<String> = counts.as_array().into_iter().flatten().filter_map(one).collect();
        if !all.is_empty() {
            line(&format!("{name}: {}", all.join(", ")));
        }
    }
}

/// What changed in terms: `+` came, `-` went, the rest stayed.
fn changes(all: &Map<String, Value>, indent: &str) -> bool {
    let parts = [("added", "+ "), ("removed", "- "), ("kept", "  ")];
    if !parts.iter().all(|(name, _)| all.get(*name).is_some_and(Value::is_array)) {
        return false;
    }
    for (name, sign) in parts {
        for it in all.get(name).and_then(Value::as_array).into_iter().flatten() {
            let said = |name: &str| it.get(name).map(plain).unwrap_or_default();
            let (text, level, enforced) = (said("text"), said("level"), said("enforced"));
            line(&format!("{indent}{sign}{text} [{level} {enforced}]"));
        }
    }
    true
}

fn row(cells: &[&str], widths: &[usize]) {
    let mut text = String::new();
    for (cell, most) in cells.iter().zip(widths) {
        text.push_str(cell);
        text.push_str(&" ".repeat(most.saturating_sub(width(cell)) + 2));
    }
    line(text.trim_end());
}

/// Columns of a terminal: Chinese characters take two.
fn width(text: &str) -> usize {
    text.chars().map(|it| if ('\u{1100}'..'\u{ffe7}').contains(&it) { 2 } else { 1 }).sum()
}

fn plain(it: &Value) -> String {
    match it {
        Value::String(text) => text.replace('\n', " "),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => it.to_string(),
    }
}

fn lines(it: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match it {
        Value::Object(all) => {
            // A sentence shows who enforces it at its end.
            if let (Some(text), Some(level), Some(enforced)) =
                (all.get("text"), all.get("level"), all.get("enforced"))
            {
                line(&format!("{indent}{} [{} {}]", plain(text), plain(level), plain(enforced)));
                return;
            }
            if let (Some(at), Some(summary)) = (all.get("at"), all.get("summary")) {
                let id = all.get("id").map(plain).unwrap_or_default();
                line(&format!("{indent}{}  {}  {id}", plain(at), plain(summary)));
                return;
            }
            if changes(all, &indent) {
                return;
            }
            for (name, value) in all {
                if value.is_object() || value.is_array() {
                    line(&format!("{indent}{name}:"));
                    lines(value, depth + 1);
                } else {
                    line(&format!("{indent}{name}: {}", plain(value)));
                }
            }
        }
        Value::Array(all) => {
            for (at, value) in all.iter().enumerate() {
                if at > 0
                    && value.is_object()
                    && value.get("summary").is_none()
                    && value.get("enforced").is_none()
                {
                    line("");
                }
                lines(value, depth);
            }
        }
        Value::Null => {}
        Value::String(_) | Value::Bool(_) | Value::Number(_) => {
            line(&format!("{indent}{}", plain(it)));
        }
    }
}

/// Says what went wrong and what to do; the code tells programs.
pub(crate) fn trouble(it: &Trouble, global: &Global) -> ExitCode {
    let words = |zh: &'static str, en: &'static str| match global.lang {
        Lang::Zh => zh,
        Lang::En => en,
    };
    match it {
        Trouble::Problem(problem) => {
            if global.output == Output::Json {
                note(&problem.to_string());
                return ExitCode::from(code(problem));
            }
            let text = |name: &str| problem.get(name).and_then(Value::as_str);
            note(&format!(
                "{}: {} [{}]",
                words("错误", "error"),
                text("title").unwrap_or_default(),
                text("code").unwrap_or_default()
            ));
            let labels = [
                ("detail", words("说明", "what")),
                ("party", words("责任方", "party")),
                ("cause", words("原因", "cause")),
                ("nextStep", words("下一步", "next step")),
            ];
            for (name, label) in labels {
                if let Some(said) = text(name) {
                    note(&format!("  {label}: {said}"));
                }
            }
            ExitCode::from(code(problem))
        }
        Trouble::NoAnswer(why) => {
            note(&format!(
                "{}: {why}",
                words("错误：节点没有应答", "error: the node does not answer")
            ));
            note(&format!(
                "  {}: {}",
                words("下一步", "next step"),
                words(
                    "请确认节点已启动 (tidm serve) 以及 --url 或 --dir 正确",
                    "check that the node runs (tidm serve) and that --url or --dir is right"
                )
            ));
            ExitCode::from(6)
        }
        Trouble::Here(error) => {
            note(&format!("{}: {error:#}", words("错误", "error")));
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a problem document.
pub(crate) fn code(problem: &Value) -> u8 {
    let rule = problem.get("party").and_then(Value::as_str) == Some("rule");
    match problem.get("status").and_then(Value::as_u64) {
        Some(401 | 429) => 5,
        Some(403) if !rule => 5,
        Some(403 | 410) => 3,
        Some(404) => 4,
        Some(502..=504) => 6,
        Some(400 | 405 | 409 | 413 | 415 | 422) => 7,
        Some(_) | None => 8,
    }
}
