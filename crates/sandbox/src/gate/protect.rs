//! Rewrites a resolved plan so that protected rows leave only in large enough groups.
//!
//! **Architecture invariant:** runs on names and types already resolved, before optimisation;
//! every node kind has its own arm, and a kind without an arm over raw rows is refused.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder,
    Projection, Sort, SubqueryAlias, TableScan, TableSource, Union, lit, when,
};

use super::Rules;
use super::origin::{self, Origin};
use crate::plan::{equalities, function};
use crate::refusal::{Code, Refusal};

/// Prefix of columns the gate adds; statements cannot name them, because they are resolved first.
const HIDDEN: &str = "__tidm";

/// One table as the gate sees it.
pub(crate) struct Guarded {
    pub(crate) rules: Rules,
    /// The table with its entity column, even when the asker may not name that.
    pub(crate) full: Arc<dyn TableSource>,
}

/// What the gate made of a statement.
pub(crate) struct Protected {
    pub(crate) plan: LogicalPlan,
    /// A protected aggregate without `GROUP BY` exists: an empty result means "group too small".
    pub(crate) global: bool,
}

/// Applies the rules of every table to `plan`.
pub(crate) fn protect(
    plan: LogicalPlan,
    tables: &HashMap<String, Guarded>,
) -> Result<Protected, Refusal> {
    let mut gate = Gate { tables, fresh: 0, global: false };
    let flow = gate.walk(&plan)?;
    if let Some(raw) = flow.raw {
        return Err(Refusal::new(Code::RawRows, raw.counters.first().map_or("", |c| &c.table)));
    }
    Ok(Protected { plan: flow.plan, global: gate.global })
}

/// A rewritten node and, when it shows protected rows, what must be known about them.
struct Flow {
    plan: LogicalPlan,
    raw: Option<Raw>,
}

/// Protected rows.
struct Raw {
    /// One for every column of the rewritten plan.
    origins: Vec<Origin>,
    counters: Vec<Counter>,
    /// Only mixing aggregates are allowed over them.
    aggregates_only: bool,
    /// Chosen by position: one row more or less at a time, so not even an aggregate may follow.
    limited: bool,
}

/// How the sources of one protected table are counted.
#[derive(Clone)]
struct Counter {
    table: String,
    threshold: u64,
    /// The entity column as it is named here; `None`: count rows.
    entity: Option<Column>,
}

struct Gate<'a> {
    tables: &'a HashMap<String, Guarded>,
    fresh: usize,
    global: bool,
}

fn failed(_: DataFusionError) -> Refusal {
    Refusal::bare(Code::Failed)
}

fn refuse<T>(code: Code, construct: &str) -> Result<T, Refusal> {
    Err(Refusal::new(code, construct))
}

impl Gate<'_> {
    fn walk(&mut self, plan: &LogicalPlan) -> Result<Flow, Refusal> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::EmptyRelation(_) => Ok(Flow { plan: plan.clone(), raw: None }),
            LogicalPlan::SubqueryAlias(node) => {
                let input = self.walk(&node.input)?;
                alias(node, input)
            }
            LogicalPlan::Filter(node) => {
                let input = self.walk(&node.input)?;
                filter(node, input)
            }
            LogicalPlan::Projection(node) => {
                let input = self.walk(&node.input)?;
                project(node, input)
            }
            LogicalPlan::Sort(node) => {
                let input = self.walk(&node.input)?;
                sort(plan, node, input)
            }
            LogicalPlan::Limit(node) => {
                let input = self.walk(&node.input)?;
                positioned(plan, true, input)
            }
            LogicalPlan::Aggregate(node) => {
                let input = self.walk(&node.input)?;
                self.aggregate(plan, &node.group_expr, &node.aggr_expr, input)
            }
            LogicalPlan::Distinct(Distinct::All(inner)) => {
                let columns: Vec<_> = inner.schema().columns();
                let columns: Vec<_> = columns.into_iter().map(Expr::Column).collect();
                let input = self.walk(inner)?;
                if input.raw.is_none() {
                    return Ok(Flow { plan: rebuilt(plan, vec![input.plan])?, raw: None });
                }
                self.aggregate(plan, &columns, &[], input)
            }
            LogicalPlan::Distinct(Distinct::On(_))
            | LogicalPlan::Window(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::Statement(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_)
            | LogicalPlan::Extension(_)
            | LogicalPlan::Dml(_)
            | LogicalPlan::Ddl(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::DescribeTable(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => Err(Refusal::bare(Code::Construct)),
        }
    }

    fn hidden(&mut self, what: &str) -> String {
        self.fresh += 1;
        format!("{HIDDEN}_{what}_{}", self.fresh)
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Flow, Refusal> {
        let name = scan.table_name.table();
        let unknown = || Refusal::new(Code::UnknownTable, name);
        let guarded = self.tables.get(name).ok_or_else(unknown)?;
        if !guarded.rules.protected() {
            return Ok(Flow { plan: LogicalPlan::TableScan(scan.clone()), raw: None });
        }
        if scan.projection.is_some() || !scan.filters.is_empty() || scan.fetch.is_some() {
            return Err(Refusal::bare(Code::Failed));
        }
        let mut counter =
            Counter { table: name.to_owned(), threshold: guarded.rules.threshold(), entity: None };
        let visible = scan.projected_schema.columns();
        let entity = guarded.rules.entity.as_deref();
        let origins = visible.iter().map(|column| match entity {
            Some(entity) if column.name == entity => Origin::Entity,
            _ => Origin::Polynomial(1),
        });
        let mut origins: Vec<_> = origins.collect();

        let full = Arc::clone(&guarded.full);
        let mut builder =
            LogicalPlanBuilder::scan(scan.table_name.clone(), full, None).map_err(failed)?;
        if let Some(entity) = entity {
            let hidden = self.hidden("entity");
            let source = Column::new(Some(scan.table_name.clone()), entity);
            let mut columns: Vec<_> = visible.into_iter().map(Expr::Column).collect();
            columns.push(Expr::Column(source).alias(hidden.clone()));
            builder = builder.project(columns).map_err(failed)?;
            counter.entity = Some(Column::new_unqualified(hidden));
            origins.push(Origin::Entity);
        }
        let plan = builder.build().map_err(failed)?;
        let aggregates_only = guarded.rules.aggregates_only;
        let raw = Raw { origins, counters: vec![counter], aggregates_only, limited: false };
        Ok(Flow { plan, raw: Some(raw) })
    }

    fn join(&mut self, join: &Join) -> Result<Flow, Refusal> {
        let left = self.walk(&join.left)?;
        let right = self.walk(&join.right)?;
        let widths = (left.plan.schema().fields().len(), right.plan.schema().fields().len());
        let plan = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            join.on.clone(),
            join.filter.clone(),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )
        .map(LogicalPlan::Join)
        .map_err(failed)?;

        let raw = match (left.raw, right.raw) {
            (None, None) => return Ok(Flow { plan, raw: None }),
            (left, right) => joined(left, right, widths),
        };
        // A join repeats rows, so only distinct entities can be counted behind it.
        if let Some(counter) = raw.counters.iter().find(|counter| counter.entity.is_none()) {
            let table = format!("JOIN of {} (its contract names no entity column)", counter.table);
            return refuse(Code::Construct, &table);
        }
        if let Some(filter) = &join.filter {
            let schema = plan.schema();
            let plain = equalities(filter);
            let columns = |(l, r): &(&Expr, &Expr)| {
                origin::of(l, schema, &raw.origins) != Origin::Derived
                    && origin::of(r, schema, &raw.origins) != Origin::Derived
                    && !l.column_refs().is_empty()
                    && !r.column_refs().is_empty()
            };
            let pure = plain.len() == conjuncts(filter) && plain.iter().all(columns);
            if !pure && origin::mentions_entity(filter, schema, &raw.origins) {
                return refuse(Code::Entity, "JOIN condition");
            }
        }
        Ok(Flow { plan, raw: Some(raw) })
    }

    fn union(&mut self, union: &Union) -> Result<Flow, Refusal> {
        let mut inputs = Vec::new();
        for input in &union.inputs {
            let input = self.walk(input)?;
            if input.raw.is_some() {
                // The same rows several times would count as many rows.
                return refuse(Code::Construct, "UNION of protected rows");
            }
            inputs.push(Arc::new(input.plan));
        }
        let plan = Union::try_new_with_loose_types(inputs).map(LogicalPlan::Union);
        Ok(Flow { plan: plan.map_err(failed)?, raw: None })
    }

    /// Raw rows become safe groups; over safe input an aggregate is ordinary arithmetic.
    fn aggregate(
        &mut self,
        plan: &LogicalPlan,
        groups: &[Expr],
        aggregates: &[Expr],
        input: Flow,
    ) -> Result<Flow, Refusal> {
        let Some(raw) = input.raw else {
            return Ok(Flow { plan: rebuilt(plan, vec![input.plan])?, raw: None });
        };
        if raw.limited {
            return refuse(Code::Construct, "LIMIT below an aggregate");
        }
        for group in groups {
            if is_derived_from_entity(group, input.plan.schema(), &raw.origins) {
                return refuse(Code::Entity, &group.to_string());
            }
        }
        for aggregate in aggregates {
            check_aggregate(aggregate, input.plan.schema(), &raw)?;
        }
        self.global |= groups.is_empty();

        let mut counted = Counted { exprs: Vec::new(), gate: self };
        let present =
            conjunction(raw.counters.iter().map(|counter| counted.at_least(counter, None)));
        let mut shown: Vec<Option<Expr>> = vec![None; groups.len()];
        for aggregate in aggregates {
            let values = nullable_values(aggregate, input.plan.schema());
            let enough = raw.counters.iter().flat_map(|counter| {
                values.iter().map(|value| (counter.clone(), value.clone())).collect::<Vec<_>>()
            });
            let enough: Vec<_> =
                enough.map(|(counter, value)| counted.at_least(&counter, Some(value))).collect();
            shown.push(conjunction(enough));
        }

        let aggregates = aggregates.iter().cloned().chain(counted.exprs).collect();
        let node = Aggregate::try_new(Arc::new(input.plan), groups.to_vec(), aggregates);
        let node = Arc::new(LogicalPlan::Aggregate(node.map_err(failed)?));
        let node = match present {
            Some(present) => {
                Arc::new(LogicalPlan::Filter(Filter::try_new(present, node).map_err(failed)?))
            }
            None => node,
        };
        let columns = plan.schema().columns().into_iter().zip(shown);
        let columns = columns.map(|(column, condition)| match condition {
            None => Ok(Expr::Column(column)),
            Some(condition) => {
                let (relation, name) = (column.relation.clone(), column.name.clone());
                let shown = when(condition, Expr::Column(column)).end().map_err(failed)?;
                Ok(shown.alias_qualified(relation, name))
            }
        });
        let columns = columns.collect::<Result<Vec<_>, Refusal>>()?;
        let plan = Projection::try_new(columns, node).map(LogicalPlan::Projection);
        Ok(Flow { plan: plan.map_err(failed)?, raw: None })
    }
}

/// Counters under construction for one aggregate node.
struct Counted<'g, 'a> {
    exprs: Vec<Expr>,
    gate: &'g mut Gate<'a>,
}

impl Counted<'_, '_> {
    /// "At least `threshold` sources, and of those with `value` not NULL if one is given."
    fn at_least(&mut self, counter: &Counter, value: Option<Expr>) -> Expr {
        let (argument, distinct, filter) = match (&counter.entity, value) {
            (Some(entity), value) => {
                let filter = value.map(|value| Box::new(value.is_not_null()));
                (Expr::Column(entity.clone()), true, filter)
            }
            (None, Some(value)) => (value, false, None),
            (None, None) => (lit(1_i64), false, None),
        };
        let count = AggregateFunction::new_udf(
            count_udaf(),
            vec![argument],
            distinct,
            filter,
            Vec::new(),
            None,
        );
        let name = self.gate.hidden("count");
        self.exprs.push(Expr::AggregateFunction(count).alias(name.clone()));
        // count() answers a signed 64-bit number; a larger threshold can never be met.
        let threshold = i64::try_from(counter.threshold).unwrap_or(i64::MAX);
        Expr::Column(Column::new_unqualified(name)).gt_eq(lit(threshold))
    }
}

fn rebuilt(plan: &LogicalPlan, inputs: Vec<LogicalPlan>) -> Result<LogicalPlan, Refusal> {
    plan.with_new_exprs(plan.expressions(), inputs).map_err(failed)
}

fn alias(node: &SubqueryAlias, input: Flow) -> Result<Flow, Refusal> {
    let plan = SubqueryAlias::try_new(Arc::new(input.plan), node.alias.clone()).map_err(failed)?;
    let raw = input.raw.map(|mut raw| {
        for column in raw.counters.iter_mut().filter_map(|counter| counter.entity.as_mut()) {
            column.relation = Some(node.alias.clone());
        }
        raw
    });
    Ok(Flow { plan: LogicalPlan::SubqueryAlias(plan), raw })
}

fn filter(node: &Filter, input: Flow) -> Result<Flow, Refusal> {
    if let Some(raw) = &input.raw
        && origin::mentions_entity(&node.predicate, input.plan.schema(), &raw.origins)
        && !is_null_test(&node.predicate)
    {
        return refuse(Code::Entity, &node.predicate.to_string());
    }
    let plan = Filter::try_new(node.predicate.clone(), Arc::new(input.plan)).map_err(failed)?;
    Ok(Flow { plan: LogicalPlan::Filter(plan), raw: input.raw })
}

fn project(node: &Projection, input: Flow) -> Result<Flow, Refusal> {
    let mut columns = node.expr.clone();
    let raw = match input.raw {
        None => None,
        Some(raw) => {
            let schema = input.plan.schema();
            let mut origins = Vec::with_capacity(columns.len());
            for expr in &columns {
                if is_derived_from_entity(expr, schema, &raw.origins) {
                    return refuse(Code::Entity, &expr.to_string());
                }
                origins.push(origin::of(expr, schema, &raw.origins));
            }
            for column in raw.counters.iter().filter_map(|counter| counter.entity.as_ref()) {
                columns.push(Expr::Column(column.clone()));
                origins.push(Origin::Entity);
            }
            Some(Raw { origins, ..raw })
        }
    };
    let plan = Projection::try_new(columns, Arc::new(input.plan)).map_err(failed)?;
    Ok(Flow { plan: LogicalPlan::Projection(plan), raw })
}

fn sort(plan: &LogicalPlan, node: &Sort, input: Flow) -> Result<Flow, Refusal> {
    positioned(plan, node.fetch.is_some(), input)
}

/// A node that keeps its input's columns; `limits` when it also chooses rows by position.
fn positioned(plan: &LogicalPlan, limits: bool, input: Flow) -> Result<Flow, Refusal> {
    let raw = input.raw.map(|raw| Raw { limited: raw.limited || limits, ..raw });
    Ok(Flow { plan: rebuilt(plan, vec![input.plan])?, raw })
}

fn joined(left: Option<Raw>, right: Option<Raw>, widths: (usize, usize)) -> Raw {
    // Columns of an unprotected side may come from the asker: a weight of 0 and 1 picks rows out.
    let side = |raw: Option<Raw>, width| {
        raw.unwrap_or_else(|| Raw {
            origins: vec![Origin::Derived; width],
            counters: Vec::new(),
            aggregates_only: false,
            limited: false,
        })
    };
    let (left, right) = (side(left, widths.0), side(right, widths.1));
    Raw {
        origins: [left.origins, right.origins].concat(),
        counters: [left.counters, right.counters].concat(),
        aggregates_only: left.aggregates_only || right.aggregates_only,
        limited: left.limited || right.limited,
    }
}

fn conjuncts(filter: &Expr) -> usize {
    datafusion::logical_expr::utils::split_conjunction(filter).len()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is refused on entity columns")]
fn is_null_test(predicate: &Expr) -> bool {
    match predicate {
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => matches!(**inner, Expr::Column(_)),
        _ => false,
    }
}

/// Mentions the entity column, and is more than that column passed on.
fn is_derived_from_entity(expr: &Expr, schema: &DFSchema, origins: &[Origin]) -> bool {
    origin::of(expr, schema, origins) != Origin::Entity
        && origin::mentions_entity(expr, schema, origins)
}

/// One aggregate over protected rows.
fn check_aggregate(expr: &Expr, schema: &DFSchema, raw: &Raw) -> Result<(), Refusal> {
    let Expr::AggregateFunction(call) = expr.clone().unalias_nested().data else {
        return refuse(Code::Aggregate, &expr.to_string());
    };
    let name = call.func.name();
    if call.params.filter.is_some() {
        return refuse(Code::Aggregate, "FILTER (WHERE …)");
    }
    if raw.aggregates_only && !function::is_mixing(name) {
        return refuse(Code::Aggregate, name);
    }
    let counts = matches!(name, "count" | "approx_distinct");
    if call.params.distinct && !counts {
        return refuse(Code::Aggregate, &format!("{name}(DISTINCT …)"));
    }
    for argument in &call.params.args {
        match origin::of(argument, schema, &raw.origins) {
            Origin::Polynomial(_) => {}
            Origin::Entity if counts => {}
            Origin::Entity => return refuse(Code::Entity, &argument.to_string()),
            Origin::Derived if origin::mentions_entity(argument, schema, &raw.origins) => {
                return refuse(Code::Entity, &argument.to_string());
            }
            // A count of fewer non-NULL values than the threshold is not shown.
            Origin::Derived if counts => {}
            Origin::Derived => return refuse(Code::Aggregate, &argument.to_string()),
        }
    }
    Ok(())
}

/// The arguments whose NULLs could leave fewer values than the group has rows.
fn nullable_values(aggregate: &Expr, schema: &DFSchema) -> Vec<Expr> {
    let Expr::AggregateFunction(call) = aggregate.clone().unalias_nested().data else {
        return Vec::new();
    };
    let mut values = call.params.args;
    values.retain(|value| {
        !matches!(value, Expr::Literal(value, _) if *value != ScalarValue::Null)
            && value.nullable(schema).unwrap_or(true)
    });
    values
}
