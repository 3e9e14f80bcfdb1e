//! Which statements exist at all inside a worker: an allow-list over plan nodes.
//!
//! The list is checked twice: on the plan as asked (so that a refusal names what the asker wrote)
//! and on the plan as optimised (so that no rewrite of the engine brings in something else).
//! Whatever a new engine version adds is refused until it is listed here.

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan, Operator};

use crate::refusal::{Code, Refusal};

mod canonical;
pub(crate) mod expression;
pub(crate) mod function;
pub(crate) mod safe;
pub(crate) mod statement;

pub use canonical::canonical_hash;
pub(crate) use canonical::tokens;

/// When a plan is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Names and types resolved, otherwise as written.
    Asked,
    /// After every rewrite.
    Optimised,
}

/// Refuses a plan with any node, expression or function outside the lists.
pub(crate) fn check(plan: &LogicalPlan, stage: Stage) -> Result<(), Refusal> {
    visit(plan, |node| {
        check_node(node, stage)?;
        let mut refused = None;
        let walked = node.apply_expressions(|expr| {
            Ok(match expression::check(expr) {
                Ok(()) => TreeNodeRecursion::Continue,
                Err(refusal) => {
                    refused = Some(refusal);
                    TreeNodeRecursion::Stop
                }
            })
        });
        finish(walked, refused)
    })
}

/// Walks every node until one is refused.
fn visit(
    plan: &LogicalPlan,
    mut each: impl FnMut(&LogicalPlan) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut refused = None;
    let walked = plan.apply(|node| {
        Ok(match each(node) {
            Ok(()) => TreeNodeRecursion::Continue,
            Err(refusal) => {
                refused = Some(refusal);
                TreeNodeRecursion::Stop
            }
        })
    });
    finish(walked, refused)
}

fn finish(
    walked: Result<TreeNodeRecursion, DataFusionError>,
    refused: Option<Refusal>,
) -> Result<(), Refusal> {
    match (walked, refused) {
        (_, Some(refusal)) => Err(refusal),
        (Err(_), None) => Err(Refusal::bare(Code::Failed)),
        (Ok(_), None) => Ok(()),
    }
}

fn check_node(node: &LogicalPlan, stage: Stage) -> Result<(), Refusal> {
    let construct = match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => return Ok(()),
        LogicalPlan::Join(join) => return check_join(join, stage),

        LogicalPlan::Distinct(Distinct::On(_)) => "DISTINCT ON",
        LogicalPlan::Window(_) => "OVER (window functions)",
        LogicalPlan::Repartition(_) => "DISTRIBUTE BY",
        LogicalPlan::Subquery(_) => "subquery in an expression",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::Unnest(_) => "UNNEST",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
        LogicalPlan::Extension(_) => "extension node",
        LogicalPlan::Explain(_) => return Err(Refusal::new(Code::Statement, "EXPLAIN")),
        LogicalPlan::Analyze(_) => return Err(Refusal::new(Code::Statement, "EXPLAIN ANALYZE")),
        LogicalPlan::DescribeTable(_) => return Err(Refusal::new(Code::Statement, "DESCRIBE")),
        LogicalPlan::Copy(_) => return Err(Refusal::new(Code::Statement, "COPY")),
        LogicalPlan::Dml(_) => return Err(Refusal::new(Code::Statement, "INSERT/UPDATE/DELETE")),
        LogicalPlan::Ddl(_) => return Err(Refusal::new(Code::Statement, "CREATE/DROP/INTO")),
        LogicalPlan::Statement(_) => return Err(Refusal::new(Code::Statement, "SET/PREPARE")),
    };
    Err(Refusal::new(Code::Construct, construct))
}

/// Joins are inner or left, on at least one equality of columns: no cross products.
fn check_join(join: &Join, stage: Stage) -> Result<(), Refusal> {
    // The optimiser may mirror a left join; as written, one way of saying it is enough.
    let allowed = match join.join_type {
        JoinType::Inner | JoinType::Left => true,
        JoinType::Right => stage == Stage::Optimised,
        JoinType::Full
        | JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark => false,
    };
    if !allowed {
        return Err(Refusal::new(Code::Construct, format!("{} JOIN", join.join_type)));
    }
    let on_equality = !join.on.is_empty()
        || join.filter.as_ref().is_some_and(|filter| {
            equalities(filter).iter().any(|(left, right)| is_column(left) && is_column(right))
        });
    if !on_equality {
        return Err(Refusal::new(Code::Construct, "JOIN without equality of columns"));
    }
    Ok(())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is not a column")]
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(cast) => is_column(&cast.expr),
        Expr::TryCast(cast) => is_column(&cast.expr),
        _ => false,
    }
}

/// The equalities `filter` demands, when it is a conjunction.
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else demands no equality")]
pub(crate) fn equalities(filter: &Expr) -> Vec<(&Expr, &Expr)> {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::And => {
            [equalities(&binary.left), equalities(&binary.right)].concat()
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            vec![(&*binary.left, &*binary.right)]
        }
        _ => Vec::new(),
    }
}
