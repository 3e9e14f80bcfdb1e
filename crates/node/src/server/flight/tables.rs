//! What a tool may list: the one table of the contract, with the columns that it opens, and what this service can do.
//!
//! Never says that anything else exists, and never runs a statement to find out.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    Command, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    SqlInfo, SqlSupportedTransaction,
};

use tidm_space::catalog::delivery::Use;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::lease::message::{Nonce, Request};

use crate::app::App;
use crate::jobs::workers;
use crate::store::writer::WorkError;

/// Bytes of a pattern or name in a filter: no name of a table is longer.
const FILTER_BYTES: usize = 256;
/// Table types or kinds of information in one question: there are two dozen.
const FILTERS: usize = 256;
/// The kind of the one table, as JDBC calls it.
const TABLE_TYPE: &str = "TABLE";
/// There are no catalogs and no schemas: the empty name stands for that.
const NOWHERE: &str = "";

/// Answers a question about metadata; `None` for other commands.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate lists all of the protocol; ours are these"
)]
pub(super) async fn answer(
    app: &App,
    contract: &Contract,
    purpose: Option<String>,
    command: Command,
) -> Result<Option<RecordBatch>, WorkError> {
    let made = match command {
        Command::CommandGetCatalogs(_) => {
            let mut rows = GetCatalogsBuilder::new();
            rows.append(NOWHERE);
            rows.build()
        }
        Command::CommandGetDbSchemas(it) => schemas(it)?,
        Command::CommandGetTableTypes(it) => table_types(it),
        Command::CommandGetSqlInfo(it) => information(it)?,
        Command::CommandGetTables(it) => {
            let schema = schema(app, contract, purpose).await?;
            tables(it, &schema)?
        }
        _ => return Ok(None),
    };
    let made = made.map_err(|why| {
        tracing::error!(%why, "metadata cannot be written");
        Fault::ApiMisuse("metadata that cannot be written")
    })?;
    Ok(Some(made))
}

/// The contract's table as its holder may see it.
async fn schema(
    app: &App,
    contract: &Contract,
    purpose: Option<String>,
) -> Result<Schema, WorkError> {
    let asked = Request {
        contract: contract.id.clone(),
        kind: Use::Query,
        nonce: Nonce::default(),
        key: [0; 32],
        purpose,
        query: None,
        items: None,
        epsilon: None,
        span: std::time::Duration::ZERO,
    };
    let now = app.clock.now();
    let terms = workers::terms_of(contract, &asked, None, contract.peer.as_str(), now)?;
    let product = app.store.product(&contract.product).await;
    let product = product.map_err(|why| WorkError::Store(why.to_string()))?;
    let product = product.ok_or(Fault::NotFound { what: "product" })?;
    let open = |name: &str| terms.columns.as_ref().is_none_or(|it| it.contains(name));
    let mut fields = Vec::new();
    for column in product.columns.iter().filter(|it| open(&it.name)) {
        let kind: Result<DataType, ArrowError> = column.data_type.parse();
        let kind = kind.map_err(|_| Fault::ApiMisuse("a column of a type that Arrow lacks"))?;
        fields.push(Field::new(&column.name, kind, true));
    }
    Ok(Schema::new(fields))
}

fn bounded(filters: &[Option<&str>]) -> Result<(), Fault> {
    match filters.iter().flatten().find(|it| it.len() > FILTER_BYTES) {
        None => Ok(()),
        Some(_) => Err(too_much(format!("a filter has at most {FILTER_BYTES} bytes"))),
    }
}

fn too_much(why: String) -> Fault {
    Fault::refused("flight.filter", why)
}

fn schemas(it: CommandGetDbSchemas) -> Result<Result<RecordBatch, FlightError>, Fault> {
    bounded(&[it.catalog.as_deref(), it.db_schema_filter_pattern.as_deref()])?;
    let mut rows = it.into_builder();
    rows.append(NOWHERE, NOWHERE);
    Ok(rows.build())
}

fn tables(
    it: CommandGetTables,
    schema: &Schema,
) -> Result<Result<RecordBatch, FlightError>, Fault> {
    bounded(&[
        it.catalog.as_deref(),
        it.db_schema_filter_pattern.as_deref(),
        it.table_name_filter_pattern.as_deref(),
    ])?;
    if it.table_types.len() > FILTERS || it.table_types.iter().any(|it| it.len() > FILTER_BYTES) {
        return Err(too_much(format!("at most {FILTERS} table types of {FILTER_BYTES} bytes")));
    }
    let mut rows = it.into_builder();
    Ok(rows
        .append(NOWHERE, NOWHERE, workers::TABLE, TABLE_TYPE, schema)
        .and_then(|()| rows.build()))
}

fn table_types(it: CommandGetTableTypes) -> Result<RecordBatch, FlightError> {
    let mut rows = it.into_builder();
    rows.append(TABLE_TYPE);
    rows.build()
}

fn information(it: CommandGetSqlInfo) -> Result<Result<RecordBatch, FlightError>, Fault> {
    if it.info.len() > FILTERS {
        return Err(too_much(format!("at most {FILTERS} kinds of information")));
    }
    Ok(known().and_then(|all| it.into_builder(&all).build()))
}

fn known() -> Result<SqlInfoData, FlightError> {
    let mut all = SqlInfoDataBuilder::new();
    all.append(SqlInfo::FlightSqlServerName, "tidm");
    all.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    all.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    all.append(SqlInfo::FlightSqlServerReadOnly, true);
    all.append(SqlInfo::FlightSqlServerSql, true);
    all.append(SqlInfo::FlightSqlServerSubstrait, false);
    all.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    all.append(SqlInfo::FlightSqlServerCancel, false);
    all.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    all.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    all.append(SqlInfo::SqlDdlCatalog, false);
    all.append(SqlInfo::SqlDdlSchema, false);
    all.append(SqlInfo::SqlDdlTable, false);
    all.build()
}
