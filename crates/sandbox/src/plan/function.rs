//! The functions a statement may call, by the engine's canonical name.
//!
//! A function is listed when its output is bounded by its input (no `repeat`, no `lpad`, no
//! concatenation), it reads nothing but its arguments (no clock, no randomness, no version, no
//! file name), and it is useful on industrial data. Everything else does not exist.

use std::sync::Arc;

use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Scalar functions.
const SCALAR: &[&str] = &[
    "abs",
    "round",
    "floor",
    "ceil",
    "trunc",
    "signum",
    "sqrt",
    "exp",
    "ln",
    "log10",
    "log2",
    "isnan",
    "iszero",
    "nanvl",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "date_trunc",
    "date_part",
    "date_bin",
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "substr",
    "character_length",
    "starts_with",
    "ends_with",
    "contains",
    "strpos",
];

/// Aggregate functions.
const AGGREGATE: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "median",
    "approx_median",
    "approx_distinct",
    "approx_percentile_cont",
    "corr",
    "covar_samp",
    "covar_pop",
    "bool_and",
    "bool_or",
];

/// Aggregates that mix every row of a group and single out none.
const MIXING: &[&str] = &["count", "sum", "avg", "stddev", "stddev_pop", "var", "var_pop"];

pub(crate) fn is_scalar(name: &str) -> bool {
    SCALAR.contains(&name)
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATE.contains(&name)
}

pub(crate) fn is_mixing(name: &str) -> bool {
    MIXING.contains(&name)
}

/// The engine's implementations of the listed scalar functions.
pub(crate) fn scalars() -> Vec<Arc<ScalarUDF>> {
    let mut all = datafusion::functions::all_default_functions();
    all.retain(|function| is_scalar(function.name()));
    all
}

/// The engine's implementations of the listed aggregates.
pub(crate) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let mut all = all_default_aggregate_functions();
    all.retain(|function| is_aggregate(function.name()));
    all
}

/// Whether `name` (or an alias of it, as written in a statement) is registered.
pub(crate) fn known(state: &SessionState, name: &str) -> bool {
    state.scalar_functions().contains_key(name) || state.aggregate_functions().contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_function_exists_in_the_engine() {
        let mut missing = Vec::new();
        for name in SCALAR {
            if !scalars().iter().any(|function| function.name() == *name) {
                missing.push(*name);
            }
        }
        for name in AGGREGATE {
            if !aggregates().iter().any(|function| function.name() == *name) {
                missing.push(*name);
            }
        }
        assert_eq!(missing, Vec::<&str>::new());
        assert!(MIXING.iter().all(|name| is_aggregate(name)));
    }
}
