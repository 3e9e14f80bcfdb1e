//! One result of many rows: to a tool over Arrow Flight SQL, and to the consumer's node over HTTP.
//!
//! Never without its gate: every round is a use with lease, worker and output gate, on both ways.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt as _};
use arrow_flight::{FlightDescriptor, Ticket};
use futures::TryStreamExt as _;
use parquet::basic::{Compression, ZstdLevel};
use prost::Message as _;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use tidm_node::app::App;
use tidm_node::jobs::flight::{Connection, connect};
use tidm_node::jobs::publish::{OfferRequest, PublishRequest, publish};
use tidm_node::jobs::use_data::query_at_provider;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::Approval;
use tidm_space::engine::input::{ContractWish, Input, Wish};
use tidm_space::id::Id;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::figure::{Goal, Report, median};
use crate::machine::scratch_dir;
use crate::pair::Pair;
use crate::table;

/// Below what a worker lets out at most.
const ROWS: i64 = 900_000;
const ROUNDS: usize = 5;
const SQL: &str = "SELECT * FROM data";
/// Negotiation and transfer are over by then.
const SOON: Duration = Duration::from_secs(30);

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let pair = Pair::with_flight().await?;
    let contract = agreed(&pair).await?;
    let connection = connect(&pair.consumer, &contract, SOON).await?;
    let (mut http, mut flight) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (by_node, by_tool) =
            (to_node(&pair.consumer, &contract).await?, to_tool(&connection).await?);
        // The first round brings the file into the page cache.
        if round > 0 {
            http.push(ROWS as f64 / by_node.as_secs_f64());
            flight.push(ROWS as f64 / by_tool.as_secs_f64());
        }
    }
    let ratio = median(flight.iter().zip(&http).map(|(flight, http)| flight / http).collect());
    report.add("rows over Flight SQL, to a tool", median(flight), "/s", Goal::None);
    report.add("rows over HTTP, to the consumer's node", median(http), "/s", Goal::None);
    report.add("Flight SQL / HTTP", ratio, "×", Goal::None);
    report.note("ten columns; nodes, workers and client share this machine's cores");
    pair.stop().await
}

/// A contract of the consumer over a table of the provider's.
async fn agreed(pair: &Pair) -> Result<Id> {
    let dir = tempfile::tempdir_in(scratch_dir()?)?;
    let path = dir.path().join("t.parquet");
    table::write(&path, ROWS, Compression::ZSTD(ZstdLevel::try_new(1)?), false)?;
    let mut request = PublishRequest::new(path, "Readings");
    request.offers = vec![OfferRequest {
        policy: None,
        sentences: Sentences::default(),
        approval: Approval::Auto,
        deliveries: vec![Use::Query],
        rules: Rules::default(),
    }];
    let product = publish(&pair.provider, request, |_| ControlFlow::Continue(())).await?.product;
    let offer = product.offers.first().context("a product without offers")?;
    let wish = ContractWish {
        peer: pair.provider.identity.did.clone(),
        address: pair.provider.identity.dsp_base(),
        product: product.id.clone(),
        offer: offer.policy().clone(),
        rules: Rules::default(),
    };
    pair.consumer.writer.run(Input::Wish(Box::new(Wish::Request(Box::new(wish))))).await?;
    let begun = Instant::now();
    loop {
        // The provider's comes first; where both have it, it can be used.
        let mut known = Vec::new();
        for app in [&pair.provider, &pair.consumer] {
            known.extend(app.store.contracts(None, 1).await?.rows);
        }
        if let [at_provider, _] = known.as_slice() {
            return Ok(at_provider.id.clone());
        }
        ensure!(begun.elapsed() < SOON, "no contract");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn to_node(consumer: &Arc<App>, contract: &Id) -> Result<Duration> {
    let started = Instant::now();
    let done = query_at_provider(consumer, contract, SQL, None).await?;
    ensure!(done.rows == ROWS.unsigned_abs(), "{} rows came over HTTP", done.rows);
    Ok(started.elapsed())
}

async fn to_tool(it: &Connection) -> Result<Duration> {
    let started = Instant::now();
    let channel = Endpoint::from_shared(it.endpoint.replace("grpc+tcp:", "http:"))?;
    let mut client = FlightServiceClient::new(channel.connect().await?);
    let asked = CommandStatementQuery { query: SQL.to_owned(), transaction_id: None };
    let asked = FlightDescriptor::new_cmd(asked.as_any().encode_to_vec());
    let info = client.get_flight_info(with_token(asked, it)?).await?.into_inner();
    let ticket = info.endpoint.into_iter().next().and_then(|it| it.ticket).context("no ticket")?;
    let rows = rows_of(&mut client, with_token(ticket, it)?).await?;
    ensure!(rows == ROWS.unsigned_abs(), "{rows} rows came over Flight SQL");
    Ok(started.elapsed())
}

async fn rows_of(
    client: &mut FlightServiceClient<Channel>,
    ticket: Request<Ticket>,
) -> Result<u64> {
    let pieces = client.do_get(ticket).await?.into_inner().map_err(FlightError::from);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(pieces);
    let mut rows = 0;
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

fn with_token<T>(message: T, it: &Connection) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", it.token).parse()?);
    Ok(request)
}
