//! Which statements have noisy answers: `SELECT count(*), sum(column), … FROM table [WHERE …]`, and no other.
//!
//! Looked at three times: words that no such statement has are refused by name, on tokens, so that a node can do it
//! before it pays for an answer; the list of what is selected is read here, and replaced by plain columns; and what
//! is left must be a plan of scan, filter and projection ([`super::predicate`]), so that nothing unread is ever run.

use std::collections::HashSet;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, SelectItem, SetExpr,
    Statement as SqlStatement, TableFactor, TableWithJoins, Value,
};
use datafusion::sql::sqlparser::tokenizer::Token;
use tidm_noise::limits::PARTS;

use super::no;
use crate::plan::tokens;
use crate::refusal::{Code, Refusal};

/// Words of constructs that have no place in such a statement. A column of such a name is written in quotes.
const WORDS: &[&str] = &[
    "ALL",
    "ANY",
    "AVG",
    "CASE",
    "CAST",
    "CROSS",
    "CUBE",
    "DISTINCT",
    "EXCEPT",
    "EXISTS",
    "FETCH",
    "FILTER",
    "FULL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "INNER",
    "INTERSECT",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIMIT",
    "MAX",
    "MEDIAN",
    "MIN",
    "NATURAL",
    "NOW",
    "OFFSET",
    "ORDER",
    "OVER",
    "PARTITION",
    "QUALIFY",
    "RANDOM",
    "RIGHT",
    "ROLLUP",
    "SAFE_CAST",
    "SOME",
    "STDDEV",
    "TABLESAMPLE",
    "TOP",
    "TRY_CAST",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "VAR",
    "WINDOW",
    "WITH",
];

/// One column of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Count,
    /// Of a column, as the engine names it.
    Sum(String),
}

/// Refuses, by its text alone, what has no noisy answer. Not the whole check: what passes may still be refused.
///
/// # Errors
/// [`Code::Noise`] with the word; as [`crate::plan::canonical_hash`] for what is no text of a statement.
pub fn preflight(sql: &str) -> Result<(), Refusal> {
    let mut selects = 0;
    for token in tokens(sql)? {
        if token == Token::DoubleColon {
            return no("::");
        }
        let Token::Word(word) = token else { continue };
        if word.quote_style.is_some() {
            continue;
        }
        let word = word.value.to_uppercase();
        selects += usize::from(word == "SELECT");
        if WORDS.contains(&word.as_str()) {
            return no(word);
        }
    }
    if selects > 1 { no("a SELECT inside another") } else { Ok(()) }
}

/// What is asked for, and the statement with the columns of the sums in its place.
pub(super) fn read(statement: Statement) -> Result<(Vec<Item>, Statement), Refusal> {
    let malformed = || Refusal::bare(Code::Malformed);
    let Statement::Statement(inner) = statement else { return Err(malformed()) };
    let SqlStatement::Query(mut query) = *inner else { return Err(malformed()) };
    let SetExpr::Select(select) = &mut *query.body else { return no("more than one SELECT") };

    let alone = |it: &TableWithJoins| {
        let named = matches!(it.relation, TableFactor::Table { alias: None, args: None, .. });
        named && it.joins.is_empty()
    };
    if select.from.len() != 1 || !select.from.iter().all(alone) {
        return no("FROM anything but the table");
    }
    let mut items = Vec::new();
    let mut columns: Vec<Ident> = Vec::new();
    for selected in &select.projection {
        let (item, column) = item(selected)?;
        items.push(item);
        columns.extend(column.filter(|it| !columns.contains(it)));
    }
    let mut names = HashSet::new();
    if let Some(twice) = items.iter().find(|it| !names.insert(&it.name)) {
        return no(format!("{} twice: give each its name with AS", twice.name));
    }
    if items.len() > PARTS {
        return no(format!("more than {PARTS} numbers"));
    }
    let column = |it| SelectItem::UnnamedExpr(Expr::Identifier(it));
    select.projection = columns.into_iter().map(column).collect();
    if select.projection.is_empty() {
        let constant = Expr::value(Value::Boolean(true));
        select.projection.push(SelectItem::UnnamedExpr(constant));
    }
    Ok((items, Statement::Statement(Box::new(SqlStatement::Query(query)))))
}

fn item(it: &SelectItem) -> Result<(Item, Option<Ident>), Refusal> {
    let (expr, alias) = match it {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => return no(it.to_string()),
    };
    let Expr::Function(call) = expr else { return no(expr.to_string()) };
    let text = call.to_string();
    let column = if text.eq_ignore_ascii_case("count(*)") {
        None
    } else {
        Some(summed(call).ok_or_else(|| Refusal::new(Code::Noise, &text))?)
    };
    let what = column.map_or(What::Count, |it| What::Sum(statement_name(it)));
    let name = match (alias, &what) {
        (Some(alias), _) => statement_name(alias),
        (None, What::Count) => "count(*)".to_owned(),
        (None, What::Sum(column)) => format!("sum({column})"),
    };
    Ok((Item { name, what }, column.cloned()))
}

/// The column of a `sum(column)` that is nothing but that.
fn summed(call: &Function) -> Option<&Ident> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(column)))] = &*list.args
    else {
        return None;
    };
    let plain = call.name.to_string().eq_ignore_ascii_case("sum")
        && call.to_string() == format!("{}({column})", call.name);
    plain.then_some(column)
}

/// A name as the engine resolves it.
fn statement_name(it: &Ident) -> String {
    if it.quote_style.is_some() { it.value.clone() } else { it.value.to_lowercase() }
}
