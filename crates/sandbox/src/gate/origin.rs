//! Where the value of an expression comes from: the question behind "may this be summed?".

use std::collections::HashSet;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use crate::limits::MAX_DEGREE;
use crate::plan::safe::infallible;

/// What one column of a raw plan node carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A polynomial of source columns of this total degree; 0 is a constant.
    Polynomial(u8),
    /// The entity column itself.
    Entity,
    /// Anything else: may group and filter, may not be summed.
    Derived,
}

impl Origin {
    fn degree(self) -> Option<u8> {
        match self {
            Self::Polynomial(degree) => Some(degree),
            Self::Entity | Self::Derived => None,
        }
    }

    fn of_degree(degree: Option<u8>) -> Self {
        match degree {
            Some(degree) if degree <= MAX_DEGREE => Self::Polynomial(degree),
            _ => Self::Derived,
        }
    }
}

/// The origin of `expr` over an input with `schema`, whose columns have `origins`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever is not a known polynomial is derived: new variants are refused in sums"
)]
pub(super) fn of(expr: &Expr, schema: &DFSchema, origins: &[Origin]) -> Origin {
    let inner = |part: &Expr| of(part, schema, origins);
    match expr {
        Expr::Column(column) => schema
            .maybe_index_of_column(column)
            .and_then(|index| origins.get(index).copied())
            .unwrap_or(Origin::Derived),
        Expr::Alias(alias) => inner(&alias.expr),
        Expr::Literal(..) => Origin::Polynomial(0),
        Expr::Negative(part) => Origin::of_degree(inner(part).degree()),
        // A cast that can lose or reject values is a step function, and steps pick rows out.
        Expr::Cast(cast) => widened(&cast.expr, cast.field.data_type(), schema, inner(&cast.expr)),
        Expr::TryCast(cast) => {
            widened(&cast.expr, cast.field.data_type(), schema, inner(&cast.expr))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let degrees = inner(left).degree().zip(inner(right).degree());
            Origin::of_degree(degrees.and_then(|(left, right)| match op {
                Operator::Plus | Operator::Minus => Some(left.max(right)),
                Operator::Multiply => left.checked_add(right),
                Operator::Divide if right == 0 => Some(left),
                _ => None,
            }))
        }
        _ => Origin::Derived,
    }
}

fn widened(
    inner: &Expr,
    to: &arrow::datatypes::DataType,
    schema: &DFSchema,
    origin: Origin,
) -> Origin {
    match inner.get_type(schema) {
        Ok(from) if from == *to => origin,
        Ok(from) if from.is_numeric() && to.is_numeric() && infallible(&from, to) => origin,
        _ => Origin::Derived,
    }
}

/// Whether `expr` looks at an entity column anywhere.
pub(super) fn mentions_entity(expr: &Expr, schema: &DFSchema, origins: &[Origin]) -> bool {
    let columns: HashSet<_> = expr.column_refs();
    columns.iter().any(|column| {
        schema.maybe_index_of_column(column).and_then(|index| origins.get(index))
            == Some(&Origin::Entity)
    })
}
