//! The allow-list over expressions.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, Operator};

use super::function;
use crate::limits::MAX_IN_LIST;
use crate::refusal::{Code, Refusal};

/// Refuses an expression with any part outside the lists.
pub(crate) fn check(expr: &Expr) -> Result<(), Refusal> {
    let mut refused = None;
    let walked = expr.apply(|part| {
        Ok(match check_part(part) {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(refusal) => {
                refused = Some(refusal);
                TreeNodeRecursion::Stop
            }
        })
    });
    super::finish(walked, refused)
}

#[expect(deprecated, reason = "the wildcard variant must be named to be refused")]
fn check_part(expr: &Expr) -> Result<(), Refusal> {
    let construct = match expr {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        // Casts that can fail were made to answer NULL by `safe`.
        | Expr::Cast(_)
        | Expr::TryCast(_) => return Ok(()),
        Expr::BinaryExpr(binary) => return check_operator(binary.op),
        Expr::InList(list) if list.list.len() <= MAX_IN_LIST => return Ok(()),
        Expr::InList(list) => {
            return Err(Refusal::new(Code::TooComplex, format!("IN list of {}", list.list.len())));
        }
        Expr::ScalarFunction(call) => return check_function(call.name(), function::is_scalar),
        Expr::AggregateFunction(call) => return check_aggregate(call),

        Expr::SimilarTo(_) => "SIMILAR TO",
        Expr::ScalarVariable(..) => "@variable",
        Expr::WindowFunction(_) => "OVER (window functions)",
        Expr::Exists(_) => "EXISTS",
        Expr::InSubquery(_) => "IN (SELECT …)",
        Expr::SetComparison(_) => "ANY/ALL (SELECT …)",
        Expr::ScalarSubquery(_) => "subquery in an expression",
        Expr::OuterReferenceColumn(..) => "correlated subquery",
        Expr::Wildcard { .. } => "*",
        Expr::GroupingSet(_) => "ROLLUP/CUBE/GROUPING SETS",
        Expr::Placeholder(_) => "$parameter",
        Expr::Unnest(_) => "UNNEST",
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => "lambda",
    };
    Err(Refusal::new(Code::Construct, construct))
}

fn check_function(name: &str, listed: fn(&str) -> bool) -> Result<(), Refusal> {
    if listed(name) { Ok(()) } else { Err(Refusal::new(Code::Function, name)) }
}

fn check_aggregate(call: &AggregateFunction) -> Result<(), Refusal> {
    check_function(call.func.name(), function::is_aggregate)?;
    // WITHIN GROUP (ORDER BY …) is how percentiles are written; elsewhere order picks rows.
    if !call.params.order_by.is_empty() && call.func.name() != "approx_percentile_cont" {
        return Err(Refusal::new(Code::Construct, "ORDER BY inside an aggregate"));
    }
    Ok(())
}

fn check_operator(op: Operator) -> Result<(), Refusal> {
    match op {
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::Plus
        | Operator::Minus
        | Operator::Multiply
        | Operator::Divide
        | Operator::Modulo
        | Operator::And
        | Operator::Or
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => Ok(()),
        Operator::RegexMatch
        | Operator::RegexIMatch
        | Operator::RegexNotMatch
        | Operator::RegexNotIMatch
        | Operator::LikeMatch
        | Operator::ILikeMatch
        | Operator::NotLikeMatch
        | Operator::NotILikeMatch
        | Operator::BitwiseAnd
        | Operator::BitwiseOr
        | Operator::BitwiseXor
        | Operator::BitwiseShiftRight
        | Operator::BitwiseShiftLeft
        | Operator::StringConcat
        | Operator::AtArrow
        | Operator::ArrowAt
        | Operator::Arrow
        | Operator::LongArrow
        | Operator::HashArrow
        | Operator::HashLongArrow
        | Operator::AtAt
        | Operator::IntegerDivide
        | Operator::HashMinus
        | Operator::AtQuestion
        | Operator::Question
        | Operator::QuestionAnd
        | Operator::QuestionPipe
        | Operator::Colon => Err(Refusal::new(Code::Construct, format!("operator {op}"))),
    }
}
