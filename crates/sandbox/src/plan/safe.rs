//! Makes failing arithmetic answer NULL: errors that depend on cells are an oracle.
//!
//! `CAST` that can fail becomes `TRY_CAST` (the engine's error text quotes the cell), and a
//! divisor becomes `nullif(divisor, 0)` (otherwise "divide by zero" answers one bit for each
//! query, usage-control §8.2). Casts that cannot fail stay, so pruning and speed stay.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core::nullif;
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

/// Rewrites every expression of `plan` (names and types resolved) so that no cell makes it fail.
pub(crate) fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let schema = if let LogicalPlan::TableScan(scan) = &node {
            DFSchema::clone(&scan.projected_schema)
        } else {
            merge_schema(&node.inputs())
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|part| part_rewritten(part, &schema))?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?
        .map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(rewritten.data)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions do not fail on cells; the allow-list names them one by one"
)]
fn part_rewritten(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Cast(Cast { expr, field }) => {
            let from = expr.get_type(schema)?;
            if infallible(&from, field.data_type()) {
                return Ok(Transformed::no(Expr::Cast(Cast { expr, field })));
            }
            Ok(Transformed::yes(Expr::TryCast(TryCast { expr, field })))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Divide | Operator::Modulo),
            right,
        }) if !is_nonzero_literal(&right) => {
            let zero = ScalarValue::new_zero(&right.get_type(schema)?)?;
            let call = ScalarFunction::new_udf(nullif(), vec![*right, Expr::Literal(zero, None)]);
            let right = Box::new(Expr::ScalarFunction(call));
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        other => Ok(Transformed::no(other)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else may be zero")]
fn is_nonzero_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            !value.is_null()
                && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero != *value)
        }
        Expr::Cast(cast) => is_nonzero_literal(&cast.expr) && cast.field.data_type().is_floating(),
        Expr::Negative(inner) => is_nonzero_literal(inner),
        _ => false,
    }
}

/// Whether no value of `from` makes a cast to `to` fail.
pub(crate) fn infallible(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Boolean, Date32, Date64, Decimal128, Dictionary, Float32, Float64, Int8, Int16, Int32,
        Int64, LargeUtf8, Null, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };

    if from == to {
        return true;
    }
    let text = |data_type: &DataType| matches!(data_type, Utf8 | LargeUtf8 | Utf8View);
    match (from, to) {
        (Null, _) | (Date32, Date64) => true,
        (Dictionary(_, values), _) => infallible(values, to),
        (_, Float32 | Float64) => from.is_numeric(),
        (Boolean, _) => to.is_integer() || text(to),
        (Int8, Int16 | Int32 | Int64)
        | (Int16, Int32 | Int64)
        | (Int32, Int64)
        | (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64)
        | (UInt16, UInt32 | UInt64 | Int32 | Int64)
        | (UInt32, UInt64 | Int64) => true,
        // Digits in front of the point: 20 hold every 64-bit integer.
        (_, Decimal128(precision, scale)) if from.is_integer() => {
            i16::from(*precision) - i16::from(*scale) >= 20
        }
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            s2 >= s1 && i16::from(*p2) - i16::from(*s2) >= i16::from(*p1) - i16::from(*s1)
        }
        // To a coarser unit: a division.
        (Timestamp(fine, zone), Timestamp(coarse, other)) => fine >= coarse && zone == other,
        _ if text(to) => text(from) || from.is_integer() || from.is_floating(),
        _ => false,
    }
}
