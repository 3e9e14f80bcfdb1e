//! Noisy answers: counts and sums over units, of which nobody can tell whether one of them was there.
//!
//! ```text
//!   SELECT count(*), sum(x) FROM t WHERE p      as asked; anything else is refused by name
//!   SELECT unit, x FROM t WHERE p               as run: row by row, each row by itself
//!     ─► rows of each unit, added up and cut ─► + exact noise (tidm-noise) ─► one row
//! ```
//!
//! Threat: an asker who compares answers, or who makes an answer, its size or its refusal depend on one unit. So the shape
//! of a statement is one of a few; every refusal of it looks at text, names and types alone; what is read afterwards fails
//! in one way or not at all; and an answer is one row whose bytes are as many whatever it says.
//!
//! Never shown: the exact numbers, how many rows or units there were, and a unit whose name is missing, which counts with
//! nothing. Not protected against: the time that a statement takes, and whether there are more units than memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema};
use arrow::ipc::writer::StreamWriter;
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde::{Deserialize, Serialize};
use tidm_noise::release::noisy;
use tidm_noise::unit::Part;

use crate::engine::{Answer, Caps, misfit};
use crate::gate::protect::Guarded;
use crate::job::{Request, Summary};
use crate::limits::UNIT_BYTES;
use crate::plan::{self, Stage, safe, statement};
use crate::refusal::{Code, Refusal};
use crate::scrub;

mod predicate;
pub mod shape;
mod units;

use shape::{Item, What};
use units::Units;

/// Prefix of columns as they are read; statements cannot name them.
const READ: &str = "__tidm_read";

/// The contract's terms about noise as plain data, and the price of this answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The column whose values are the units.
    pub unit: String,
    /// Most rows of one unit that count.
    pub rows: u64,
    /// Columns that may be summed.
    pub sums: Vec<Clamp>,
    /// In millionths, for all numbers of the answer together.
    pub epsilon: u64,
}

/// Within which bounds the sum of one unit counts, in steps of `10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    pub column: String,
    pub exponent: i8,
    pub low: i64,
    pub high: i64,
}

/// One number of the answer.
struct Asked<'a> {
    name: String,
    part: Part,
    clamp: Option<&'a Clamp>,
}

fn no<T>(construct: impl AsRef<str>) -> Result<T, Refusal> {
    Err(Refusal::new(Code::Noise, construct))
}

/// Answers the statement of `request`, over its one table, with noise.
pub(crate) async fn answer(
    context: &SessionContext,
    request: &Request,
    guarded: &HashMap<String, Guarded>,
) -> Result<Answer, Refusal> {
    let [table] = request.tables.as_slice() else { return no("more than one table") };
    let noise = table.rules.noise.as_ref().ok_or_else(|| Refusal::bare(Code::Failed))?;
    let full = guarded.get(&table.name).ok_or_else(|| Refusal::new(Code::Table, &table.name))?;
    let state = context.state();
    shape::preflight(&request.sql)?;
    let statement = statement::parse(&state, &request.sql, &[table.name.as_str()])?;
    let (items, inner) = shape::read(statement)?;
    let asked = asked(&items, noise)?;

    // Names and types are those of the table as the asker may see it.
    let plan = state.statement_to_plan(inner).await.map_err(|error| misfit(&error))?;
    plan::check(&plan, Stage::Asked)?;
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| ())
        .map_err(|error| misfit(&error))?;
    let plan = safe::rewrite(plan).map_err(|error| misfit(&error))?;
    let filter = predicate::of(&plan, &table.name)?;
    let caps = Caps::of(request);
    // What of all this is not to be had is so whatever the rows are: an answer is always one row.
    if caps.rows == 0 {
        return Err(Refusal::new(Code::TooManyRows, "at most 0"));
    }
    let read = reading(&table.name, full, filter, (noise, &asked))?;
    let most = usize::try_from(request.bounds.memory_bytes / UNIT_BYTES).unwrap_or(usize::MAX);
    let exponents = noise.sums.iter().map(|it| it.exponent).collect();
    let units = Units::new(exponents, most);
    // From here on rows are looked at, and there is one way to fail.
    let failed = |_: Refusal| Refusal::bare(Code::Failed);
    let units = sum(context, read, units).await.map_err(failed)?;
    let parts: Vec<Part> = asked.iter().map(|it| it.part).collect();
    let numbers = noisy(&parts, units.each(), noise.epsilon, &mut UnwrapErr(SysRng));
    let numbers = numbers.map_err(|_| Refusal::bare(Code::Failed))?;
    let ipc = written(&asked, &numbers)?;
    if ipc.len() as u64 > caps.bytes {
        return Err(Refusal::new(Code::TooManyBytes, format!("at most {}", caps.bytes)));
    }
    Ok(Answer { summary: Summary { rows: 1 }, ipc })
}

/// The numbers asked for, each with its bound.
fn asked<'a>(items: &[Item], noise: &'a Noise) -> Result<Vec<Asked<'a>>, Refusal> {
    let one = |it: &Item| {
        let name = it.name.clone();
        let What::Sum(column) = &it.what else {
            return Ok(Asked { name, part: Part::Count { most: noise.rows }, clamp: None });
        };
        let found = noise.sums.iter().enumerate().find(|(_, it)| it.column == *column);
        let Some((at, clamp)) = found else {
            return no(format!("sum({column}), for which the contract has no bounds"));
        };
        let part = Part::Sum { column: at, low: clamp.low, high: clamp.high };
        Ok(Asked { name, part, clamp: Some(clamp) })
    };
    items.iter().map(one).collect()
}

/// The plan that is run: the unit and the columns that are summed, of rows for which `filter` holds.
fn reading(
    name: &str,
    table: &Guarded,
    filter: Option<Expr>,
    (noise, asked): (&Noise, &[Asked<'_>]),
) -> Result<LogicalPlan, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let schema = table.full.schema();
    let typed = |column: &str| {
        let missing = |_| Refusal::new(Code::Table, column);
        schema.field_with_name(column).map(Field::data_type).map_err(missing)
    };
    if !units::names(typed(&noise.unit)?) {
        return Err(Refusal::new(Code::Table, format!("{} names no units", noise.unit)));
    }
    for it in asked.iter().filter_map(|it| it.clamp) {
        if !units::sums(typed(&it.column)?) {
            return no(format!("sum({}), which is no number", it.column));
        }
    }
    let reference = TableReference::bare(name);
    let mut builder = LogicalPlanBuilder::scan(reference.clone(), Arc::clone(&table.full), None);
    if let Some(filter) = filter {
        builder = builder.and_then(|it| it.filter(filter));
    }
    // Of columns that nobody asks for nothing is read: the unit stands in for them.
    let wanted = |it: &Clamp| asked.iter().any(|asked| asked.clamp == Some(it));
    let columns = noise.sums.iter().map(|it| if wanted(it) { &it.column } else { &noise.unit });
    let columns = std::iter::once(&noise.unit).chain(columns).enumerate().map(|(at, column)| {
        let column = Column::new(Some(reference.clone()), column);
        Expr::Column(column).alias(format!("{READ}_{at}"))
    });
    let columns: Vec<Expr> = columns.collect();
    builder.and_then(|it| it.project(columns)).and_then(LogicalPlanBuilder::build).map_err(failed)
}

/// Runs the plan, and adds up what it reads.
async fn sum(
    context: &SessionContext,
    plan: LogicalPlan,
    mut units: Units,
) -> Result<Units, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let state = context.state();
    let optimised = state.optimize(&plan).map_err(failed)?;
    plan::check(&optimised, Stage::Optimised)?;
    let planner = state.query_planner();
    let physical = planner.create_physical_plan(&optimised, &state).await.map_err(failed)?;
    let mut stream = execute_stream(physical, context.task_ctx()).map_err(failed)?;
    while let Some(batch) = stream.next().await {
        units.add(&batch.map_err(failed)?)?;
    }
    Ok(units)
}

/// One row; its bytes are as many whatever the numbers are.
fn written(asked: &[Asked<'_>], numbers: &[i128]) -> Result<Vec<u8>, Refusal> {
    let failed = |_| Refusal::bare(Code::Failed);
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (it, number) in asked.iter().zip(numbers) {
        let column: ArrayRef = match it.clamp {
            None => {
                let most = if *number < 0 { i64::MIN } else { i64::MAX };
                Arc::new(Int64Array::from(vec![i64::try_from(*number).unwrap_or(most)]))
            }
            Some(clamp) => Arc::new(decimal(*number, clamp.exponent)),
        };
        fields.push(Field::new(&it.name, column.data_type().clone(), true));
        columns.push(column);
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)?;
    let schema = scrub::schema(&batch.schema())?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
    writer.write(&scrub::batch(&batch, &schema)?).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

/// Steps as a number with as many digits as it can have; what is too large is cut, noise and all.
fn decimal(steps: i128, exponent: i8) -> Decimal128Array {
    let most = 10_i128.pow(u32::from(DECIMAL128_MAX_PRECISION)) - 1;
    let power = 10_i128.saturating_pow(u32::from(exponent.max(0).unsigned_abs()));
    let value = steps.saturating_mul(power).clamp(-most, most);
    let scale = if exponent < 0 { exponent.saturating_neg() } else { 0 };
    let kind = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
    Decimal128Array::from(vec![value]).with_data_type(kind)
}

#[cfg(test)]
mod tests;
