//! One statement on DataFusion: open tables, plan, gate, run, cut at the caps.
//!
//! The engine's settings are those of a plain DataFusion session with as many partitions as the
//! job has threads (projection, row-group and page pruning stay on); what differs is what exists:
//! the listed functions, no information schema, no table functions, no spill to disk.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use object_store::path::Path;
use parquet::errors::ParquetError;

use crate::files::{Files, SharedFiles};
use crate::gate::protect::{self, Guarded, Protected};
use crate::job::{Request, Summary, TableRequest};
use crate::noise;
use crate::plan::{self, Stage, function, safe, statement};
use crate::refusal::{Code, Refusal};
use crate::scrub;
use crate::sealed::{ENCRYPTED_FOOTER, Keyring};

/// Where the descriptors live, as DataFusion addresses them.
const STORE_URL: &str = "fd://tables";
/// Name of the one encryption factory.
const KEYRING: &str = "lease";

/// A result fit to leave.
pub(crate) struct Answer {
    pub(crate) summary: Summary,
    pub(crate) ipc: Vec<u8>,
}

/// Folder of a table's files in the store: its number, because names are the asker's.
pub(crate) fn folder(table: usize) -> String {
    format!("t{table}")
}

/// Path of one file of a table.
pub(crate) fn file_path(table: usize, file: usize) -> Path {
    Path::from(format!("{}/{file}.parquet", folder(table)))
}

/// Runs the statement of `request`.
pub(crate) async fn answer(
    request: Request,
    files: Files,
    keyring: Keyring,
) -> Result<Answer, Refusal> {
    let files = Arc::new(files);
    let context = session(&request, Arc::clone(&files), keyring)?;
    let mut guarded = HashMap::new();
    for (number, table) in request.tables.iter().enumerate() {
        guarded.insert(table.name.clone(), open(&context, &files, number, table).await?);
    }

    over(&context, &request, &guarded).await
}

/// Runs the statement of `request` over tables that are registered.
pub(crate) async fn over(
    context: &SessionContext,
    request: &Request,
    guarded: &HashMap<String, Guarded>,
) -> Result<Answer, Refusal> {
    if request.tables.iter().any(|table| table.rules.noise.is_some()) {
        return noise::answer(context, request, guarded).await;
    }
    let state = context.state();
    let Protected { plan, global } = planned(&state, request, guarded).await?;
    let sealed = request.tables.iter().any(|table| table.aad_prefix.is_some());
    let optimised = state.optimize(&plan).map_err(|error| given_up(&error, sealed))?;
    plan::check(&optimised, Stage::Optimised)?;
    let answer = run(context, &optimised, Caps::of(request), sealed).await?;
    if global && answer.summary.rows == 0 {
        return Err(Refusal::bare(Code::SmallGroup));
    }
    Ok(answer)
}

/// From text to a gated plan.
async fn planned(
    state: &SessionState,
    request: &Request,
    guarded: &HashMap<String, Guarded>,
) -> Result<Protected, Refusal> {
    let tables: Vec<_> = request.tables.iter().map(|table| table.name.as_str()).collect();
    let statement = statement::parse(state, &request.sql, &tables)?;
    let plan = state.statement_to_plan(statement).await.map_err(|error| misfit(&error))?;
    plan::check(&plan, Stage::Asked)?;
    let analysed = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| ())
        .map_err(|error| misfit(&error))?;
    let safe = safe::rewrite(analysed).map_err(|error| misfit(&error))?;
    protect::protect(safe, guarded)
}

/// Errors while names and types are resolved: the column is named, everything else is not.
pub(crate) fn misfit(error: &DataFusionError) -> Refusal {
    use datafusion::common::SchemaError;

    if let DataFusionError::SchemaError(schema, _) = error.find_root() {
        return match &**schema {
            SchemaError::FieldNotFound { field, .. } => {
                Refusal::new(Code::UnknownColumn, field.flat_name())
            }
            SchemaError::AmbiguousReference { field } => {
                Refusal::new(Code::Malformed, field.flat_name())
            }
            SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => Refusal::bare(Code::Malformed),
        };
    }
    Refusal::bare(Code::Malformed)
}

/// Errors while running: which kind, and nothing of the text.
fn given_up(error: &DataFusionError, sealed: bool) -> Refusal {
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        return Refusal::bare(Code::Memory);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if is_parquet(error) {
            return Refusal::bare(if sealed { Code::Seal } else { Code::Table });
        }
        cause = error.source();
    }
    Refusal::bare(Code::Failed)
}

/// Whether the Parquet reader raised `error`; it arrives wrapped in several ways.
fn is_parquet(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<ParquetError>()
        || matches!(error.downcast_ref(), Some(ArrowError::ParquetError(_)))
        || matches!(error.downcast_ref(), Some(DataFusionError::ParquetError(_)))
}

pub(crate) fn session(
    request: &Request,
    files: SharedFiles,
    keyring: Keyring,
) -> Result<SessionContext, Refusal> {
    let config = SessionConfig::new()
        .with_target_partitions(request.bounds.threads.max(1))
        .with_information_schema(false)
        .set_bool("datafusion.execution.enable_recursive_ctes", false);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(request.bounds.memory_bytes, files, keyring)?)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(function::scalars())
        .with_aggregate_functions(function::aggregates())
        .build();
    Ok(SessionContext::new_with_state(state))
}

fn runtime(
    memory_bytes: u64,
    files: SharedFiles,
    keyring: Keyring,
) -> Result<Arc<RuntimeEnv>, Refusal> {
    let failed = |_: DataFusionError| Refusal::bare(Code::Failed);
    let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()
        .map_err(failed)?;
    let url = ObjectStoreUrl::parse(STORE_URL).map_err(failed)?;
    runtime.register_object_store(url.as_ref(), files);
    runtime.register_parquet_encryption_factory(KEYRING, Arc::new(keyring));
    Ok(runtime)
}

/// Registers one table with the columns the asker may name, and returns how the gate sees it.
async fn open(
    context: &SessionContext,
    files: &Files,
    number: usize,
    table: &TableRequest,
) -> Result<Guarded, Refusal> {
    let code = if table.aad_prefix.is_some() { Code::Seal } else { Code::Table };
    let refused = |_: DataFusionError| Refusal::new(code, &table.name);

    let mut urls = Vec::with_capacity(table.files);
    for file in 0..table.files {
        let path = file_path(number, file);
        // A plain file in place of a sealed one would be somebody else's data.
        if table.aad_prefix.is_some() && files.magic(&path) != Some(ENCRYPTED_FOOTER) {
            return Err(Refusal::new(code, &table.name));
        }
        urls.push(ListingTableUrl::parse(format!("{STORE_URL}/{path}")).map_err(refused)?);
    }
    let first = urls.first().ok_or_else(|| Refusal::new(code, &table.name))?;

    let mut parquet = TableParquetOptions::default();
    if table.aad_prefix.is_some() {
        parquet.crypto.factory_id = Some(KEYRING.to_owned());
    }
    let state = context.state();
    let format = ParquetFormat::default().with_options(parquet);
    let options = ListingOptions::new(Arc::new(format));
    let whole = options.infer_schema(&state, first).await.map_err(refused)?;
    let (visible, full) = narrowed(&whole, table)?;

    let listing = |schema: SchemaRef| {
        let config = ListingTableConfig::new_with_multi_paths(urls.clone())
            .with_listing_options(options.clone())
            .with_schema(schema);
        ListingTable::try_new(config).map(Arc::new).map_err(refused)
    };
    context.register_table(table.name.as_str(), listing(visible)?).map_err(refused)?;
    let full = Arc::new(DefaultTableSource::new(listing(full)?));
    Ok(Guarded { rules: table.rules.clone(), full })
}

/// The columns that exist for the asker, and the same plus the entity's or the unit's column for the gate.
fn narrowed(whole: &Schema, table: &TableRequest) -> Result<(SchemaRef, SchemaRef), Refusal> {
    let rules = &table.rules;
    let visible: Vec<Arc<Field>> =
        whole.fields().iter().filter(|field| rules.opens(field.name())).cloned().collect();
    let mut full = visible.clone();
    if let Some(entity) = rules.counted_by()
        && !visible.iter().any(|field| field.name() == entity)
    {
        let missing = |_| Refusal::new(Code::Table, &table.name);
        full.push(Arc::new(whole.field_with_name(entity).map_err(missing)?.clone()));
    }
    Ok((Arc::new(Schema::new(visible)), Arc::new(Schema::new(full))))
}

/// What may leave: the strictest of all tables.
#[derive(Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Caps {
    pub(crate) fn of(request: &Request) -> Self {
        let rules = || request.tables.iter().map(|table| &table.rules);
        let rows = rules().filter_map(|rules| rules.max_rows).min().unwrap_or(u64::MAX);
        let bytes = rules().filter_map(|rules| rules.max_bytes).min().unwrap_or(u64::MAX);
        Self { rows: rows.min(request.bounds.max_rows), bytes: bytes.min(request.bounds.max_bytes) }
    }
}

async fn run(
    context: &SessionContext,
    plan: &LogicalPlan,
    caps: Caps,
    sealed: bool,
) -> Result<Answer, Refusal> {
    let failed = |error: DataFusionError| given_up(&error, sealed);
    let state = context.state();
    let physical =
        state.query_planner().create_physical_plan(plan, &state).await.map_err(failed)?;
    let mut stream = execute_stream(physical, context.task_ctx()).map_err(failed)?;

    let unwritten = |_| Refusal::bare(Code::Failed);
    let schema = scrub::schema(plan.schema().as_arrow())?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(unwritten)?;
    let mut rows = 0_u64;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(failed)?;
        rows = rows.saturating_add(batch.num_rows() as u64);
        if rows > caps.rows {
            return Err(Refusal::new(Code::TooManyRows, format!("at most {}", caps.rows)));
        }
        writer.write(&scrub::batch(&batch, &schema)?).map_err(unwritten)?;
        if writer.get_ref().len() as u64 > caps.bytes {
            return Err(Refusal::new(Code::TooManyBytes, format!("at most {}", caps.bytes)));
        }
    }
    let ipc = writer.into_inner().map_err(unwritten)?;
    Ok(Answer { summary: Summary { rows }, ipc })
}
