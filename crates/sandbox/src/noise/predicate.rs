//! The condition of a statement: true or false for each row by itself, and never an error.
//!
//! Comparisons of columns with constants, and what joins them. Whatever a new engine version adds is refused until it is
//! listed here.

use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::no;
use crate::refusal::Refusal;

/// The condition of a plan that scans, filters and projects, and does nothing else.
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is refused by its name")]
pub(super) fn of(plan: &LogicalPlan, table: &str) -> Result<Option<Expr>, Refusal> {
    let LogicalPlan::Projection(top) = plan else { return no(name(plan)) };
    if !top.expr.iter().all(plain) {
        return no("an expression in place of a column");
    }
    let (filter, scan) = match &*top.input {
        LogicalPlan::Filter(filter) => (Some(&filter.predicate), &*filter.input),
        other => (None, other),
    };
    let LogicalPlan::TableScan(scan) = scan else { return no(name(scan)) };
    if scan.table_name.table() != table || !scan.filters.is_empty() || scan.fetch.is_some() {
        return no("FROM");
    }
    if let Some(filter) = filter {
        total(filter)?;
    }
    Ok(filter.cloned())
}

/// What the plan does instead, in the words of SQL where it has some.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are called as the engine does")]
fn name(plan: &LogicalPlan) -> String {
    match plan {
        LogicalPlan::SubqueryAlias(_) => "another name for the table".to_owned(),
        LogicalPlan::Filter(_) => "a second condition".to_owned(),
        other => other.display().to_string().split([':', ' ']).next().unwrap_or("FROM").to_owned(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is refused")]
fn plain(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::Alias(alias) => plain(&alias.expr),
        _ => false,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is refused by its own words")]
fn total(expr: &Expr) -> Result<(), Refusal> {
    match expr {
        Expr::Not(part)
        | Expr::IsTrue(part)
        | Expr::IsFalse(part)
        | Expr::IsUnknown(part)
        | Expr::IsNotTrue(part)
        | Expr::IsNotFalse(part)
        | Expr::IsNotUnknown(part)
        | Expr::IsNull(part)
        | Expr::IsNotNull(part) => total(part),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => {
                total(left)?;
                total(right)
            }
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => simple(left, right),
            other => no(format!("operator {other}")),
        },
        Expr::Between(it) => {
            simple(&it.expr, &it.low)?;
            value(&it.high)
        }
        Expr::InList(it) => {
            value(&it.expr)?;
            it.list.iter().try_for_each(value)
        }
        Expr::Like(it) => simple(&it.expr, &it.pattern),
        other => value(other),
    }
}

fn simple(left: &Expr, right: &Expr) -> Result<(), Refusal> {
    value(left)?;
    value(right)
}

/// A column or a constant, made comparable by the engine: what cannot be is NULL ([`crate::plan::safe`]).
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is refused by its own words")]
fn value(expr: &Expr) -> Result<(), Refusal> {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => Ok(()),
        Expr::Cast(cast) => value(&cast.expr),
        Expr::TryCast(cast) => value(&cast.expr),
        Expr::Negative(part) if matches!(**part, Expr::Literal(..)) => Ok(()),
        Expr::ScalarFunction(call) => no(format!("{}(…) in a condition", call.name())),
        other => no(other.to_string()),
    }
}
