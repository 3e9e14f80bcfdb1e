//! Arrow Flight SQL over real sockets: the rules of tokens, tickets and leases, with a client in Rust and one in Python.

use std::path::PathBuf;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, CommandGetCatalogs, CommandGetDbSchemas,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandPreparedStatementQuery, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt,
    TicketStatementQuery,
};
use arrow_flight::{Action, Empty, FlightData, FlightDescriptor, FlightInfo, Ticket};
use futures::{StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use tidm_node::jobs::flight::{self, Connection, connect};
use tidm_node::store::notes::{self, Grant};
use tidm_space::catalog::delivery::FLIGHT_SQL_PULL;
use tidm_space::contract::Contract;
use tidm_space::engine::input::Wish;
use tidm_space::evidence::fact::Closed;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::state::State as LeaseState;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::message::Body;

use crate::world::{World, csv, eventually, fault, limited};

const SQL: &str =
    "SELECT line, count(*) AS n, avg(temp) AS t FROM data GROUP BY line ORDER BY line";
const PATIENCE: Duration = Duration::from_secs(30);

fn enabled(_: usize, _: &[tidm_space::identity::did::Did]) -> String {
    "[flight]\nenabled = true\n".to_owned()
}

fn aggregates(uses: u64) -> Sentences {
    Sentences {
        aggregates_only: true,
        min_group: Some(5),
        uses: Some(uses),
        ..Sentences::default()
    }
}

/// A contract over the small table, for queries only.
async fn contract(world: &World, sentences: Sentences) -> Contract {
    let product = world.published("q.csv", &csv(), sentences, &[Use::Query]).await;
    world.agreed(&product).await
}

async fn connected(world: &World, contract: &Contract) -> Connection {
    connect(&world.consumer().app, &contract.id, PATIENCE).await.unwrap()
}

/// A program of the consumer.
struct Tool {
    client: FlightServiceClient<Channel>,
    token: String,
}

impl Tool {
    async fn of(it: &Connection) -> Self {
        Self::at(&it.endpoint, &it.token).await
    }

    /// Takes little ahead of what is read: a stream is still under way when the test says so.
    async fn at(endpoint: &str, token: &str) -> Self {
        let url = endpoint.replace("grpc+tcp://", "http://");
        let narrow = 65_535;
        let channel = Endpoint::from_shared(url)
            .unwrap()
            .initial_stream_window_size(narrow)
            .initial_connection_window_size(narrow)
            .connect()
            .await
            .unwrap();
        Self { client: FlightServiceClient::new(channel), token: token.to_owned() }
    }

    fn request<T>(&self, it: T) -> Request<T> {
        let mut request = Request::new(it);
        let metadata = request.metadata_mut();
        if !self.token.is_empty() {
            metadata.insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        }
        metadata.insert("accept-language", "en".parse().unwrap());
        request
    }

    async fn info(&self, command: &impl ProstMessageExt) -> Result<FlightInfo, Status> {
        self.info_of(command.as_any().encode_to_vec()).await
    }

    async fn info_of(&self, command: Vec<u8>) -> Result<FlightInfo, Status> {
        let request = self.request(FlightDescriptor::new_cmd(command));
        Ok(self.client.clone().get_flight_info(request).await?.into_inner())
    }

    async fn ticket(&self, sql: &str) -> Result<Ticket, Status> {
        let asked = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        let mut info = self.info(&asked).await?;
        assert_eq!(info.endpoint.len(), 1);
        Ok(info.endpoint.remove(0).ticket.unwrap())
    }

    async fn begin(&self, ticket: Ticket) -> Result<(MetadataMap, Streaming<FlightData>), Status> {
        let answer = self.client.clone().do_get(self.request(ticket)).await?;
        Ok((answer.metadata().clone(), answer.into_inner()))
    }

    async fn get(&self, ticket: Ticket) -> Result<(MetadataMap, Vec<RecordBatch>), Status> {
        let (metadata, pieces) = self.begin(ticket).await?;
        let rows = FlightRecordBatchStream::new_from_flight_data(pieces.map_err(FlightError::from));
        match rows.try_collect().await {
            Ok(rows) => Ok((metadata, rows)),
            Err(FlightError::Tonic(status)) => Err(*status),
            Err(other) => panic!("{other}"),
        }
    }

    async fn query(&self, sql: &str) -> Result<(MetadataMap, Vec<RecordBatch>), Status> {
        self.get(self.ticket(sql).await?).await
    }

    async fn act(&self, name: &str, body: Vec<u8>) -> Result<Vec<arrow_flight::Result>, Status> {
        let action = Action { r#type: name.to_owned(), body: body.into() };
        let answer = self.client.clone().do_action(self.request(action)).await?;
        answer.into_inner().try_collect().await
    }
}

/// Status and code of a refusal.
fn refusal<T: std::fmt::Debug>(done: Result<T, Status>) -> (Code, String) {
    let status = done.unwrap_err();
    let code = status.metadata().get("tidm-code");
    (status.code(), code.map_or(String::new(), |it| it.to_str().unwrap().to_owned()))
}

fn no<T: std::fmt::Debug>(done: Result<T, Status>, code: Code, word: &str) {
    assert_eq!(refusal(done), (code, word.to_owned()));
}

fn text(metadata: &MetadataMap, name: &str) -> String {
    metadata.get(name).unwrap().to_str().unwrap().to_owned()
}

async fn spent(world: &World, contract: &Contract) -> u64 {
    world.provider().app.store.spent(&contract.id).await.unwrap().uses
}

/// Line, count and mean of each group, computed from the file that was published.
fn expected() -> Vec<(String, i64, f64)> {
    let text = String::from_utf8(csv()).unwrap();
    let mut groups: std::collections::BTreeMap<String, Vec<f64>> = Default::default();
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        groups.entry(cells[1].to_owned()).or_default().push(cells[2].parse().unwrap());
    }
    // Line C has one reading: it is no group.
    groups
        .into_iter()
        .filter(|(_, it)| it.len() >= 5)
        .map(|(line, it)| {
            (line, i64::try_from(it.len()).unwrap(), it.iter().sum::<f64>() / it.len() as f64)
        })
        .collect()
}

fn groups(rows: &[RecordBatch]) -> Vec<(String, i64, f64)> {
    let of = |batch: &RecordBatch| {
        let line =
            arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let (n, t) = (batch.column(1).clone(), batch.column(2).clone());
        (0..batch.num_rows())
            .map(|at| {
                let line = line.as_string::<i32>().value(at).to_owned();
                (
                    line,
                    n.as_primitive::<Int64Type>().value(at),
                    t.as_primitive::<Float64Type>().value(at),
                )
            })
            .collect::<Vec<_>>()
    };
    rows.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_execution_is_one_use_and_its_ticket_no_second_one() {
    let world = World::of(2, enabled).await;
    let contract = contract(&world, aggregates(4)).await;
    let connection = connected(&world, &contract).await;
    let tool = Tool::of(&connection).await;
    let ticket = tool.ticket(SQL).await.unwrap();
    assert_eq!(spent(&world, &contract).await, 0, "a ticket counts nothing");

    let (metadata, rows) = tool.get(ticket.clone()).await.unwrap();
    assert_eq!(groups(&rows), expected());
    assert_eq!(
        (text(&metadata, "tidm-uses-left").as_str(), spent(&world, &contract).await),
        ("3", 1)
    );
    no(tool.get(ticket).await, Code::FailedPrecondition, "lease.returned");
    assert_eq!(spent(&world, &contract).await, 1, "the same ticket is the same use");

    // Two calls with one ticket at once are one use; at most one of them gets the rows.
    let ticket = tool.ticket(SQL).await.unwrap();
    let (one, two) = futures::join!(tool.get(ticket.clone()), tool.get(ticket));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    assert_eq!(spent(&world, &contract).await, 2);

    // The output gate says what the API says; the attempt is a use, as it is there.
    no(tool.query("SELECT * FROM data").await, Code::PermissionDenied, "query.raw-rows");
    assert_eq!(spent(&world, &contract).await, 3);
    // What cannot be read is refused before it costs anything.
    no(tool.ticket("SELECT 'open").await, Code::InvalidArgument, "query.malformed");
    no(tool.ticket(&"x".repeat(70_000)).await, Code::InvalidArgument, "query.too-complex");
    assert_eq!(spent(&world, &contract).await, 3);

    // The last use: its own rows arrive although it ends the contract.
    assert_eq!(groups(&tool.query(SQL).await.unwrap().1), expected());
    assert_eq!(spent(&world, &contract).await, 4);
    let (code, _) = refusal(tool.query(SQL).await);
    assert!(matches!(code, Code::Unauthenticated | Code::PermissionDenied), "{code:?}");

    // What the tool holds is what the provider recorded, and the consumer's node was told.
    let lease = Id::parse(&text(&metadata, "tidm-lease")).unwrap();
    let kept = world.provider().app.store.lease(&lease).await.unwrap().unwrap();
    let LeaseState::Returned { outcome, .. } = kept.state else { panic!("{:?}", kept.state) };
    assert_eq!(outcome.result.unwrap().to_string(), text(&metadata, "tidm-result-sha256"));
    let told = || async {
        let rows =
            world.consumer().app.store.facts_of_contract(&contract.id, 0, 1000).await.unwrap();
        let facts =
            rows.into_iter().filter_map(|(_, it)| tidm_space::evidence::encode::decode(&it).ok());
        let told = facts.filter(|it| {
            matches!(
                it.what,
                tidm_space::evidence::fact::What::LeaseMissed { how: Closed::Returned, .. }
            )
        });
        (told.count() == 4).then_some(())
    };
    eventually("four uses told to the consumer's node", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_their_own_transfer_only_and_only_while_it_runs() {
    let world = World::of(2, enabled).await;
    let first = contract(&world, aggregates(9)).await;
    let second = contract(&world, aggregates(9)).await;
    let (one, two) = (connected(&world, &first).await, connected(&world, &second).await);
    assert_eq!(connected(&world, &first).await.token, one.token, "one that runs is used again");
    let (tool, other) = (Tool::of(&one).await, Tool::of(&two).await);
    let ticket = tool.ticket(SQL).await.unwrap();

    // Nobody, noise, a token with another secret, one of downloads.
    let mixed = format!(
        "{}.{}",
        one.token.split_once('.').unwrap().0,
        two.token.split_once('.').unwrap().1
    );
    for token in ["", "x", ".", mixed.as_str(), &one.token[..one.token.len() - 1]] {
        let stranger = Tool::at(&one.endpoint, token).await;
        no(stranger.ticket(SQL).await, Code::Unauthenticated, "flight.token");
        no(stranger.get(ticket.clone()).await, Code::Unauthenticated, "flight.token");
        no(
            stranger.act("CreatePreparedStatement", vec![]).await,
            Code::Unauthenticated,
            "flight.token",
        );
        no(stranger.act("Nothing", vec![]).await, Code::Unauthenticated, "flight.token");
    }
    let url = format!("{}/data/{}", world.provider().app.identity.public_url, one.transfer);
    let bearer = format!("Bearer {}", one.token);
    let plain = world.consumer().app.client.call(reqwest::Method::GET, &url, Some(&bearer), None);
    assert_eq!(plain.await.unwrap().status.as_u16(), 401, "no token for downloads");

    // Another contract's ticket; any bit of it changed.
    no(other.get(ticket.clone()).await, Code::InvalidArgument, "flight.ticket");
    let Command::TicketStatementQuery(inner) =
        Command::try_from(Any::decode(&*ticket.ticket).unwrap()).unwrap()
    else {
        panic!("another kind of ticket")
    };
    let handle = inner.statement_handle.to_vec();
    for at in [0, 1, 30, handle.len() / 2, handle.len() - 1] {
        let mut altered = handle.clone();
        altered[at] ^= 0x40;
        let it = TicketStatementQuery { statement_handle: altered.into() };
        let altered = Ticket::new(it.as_any().encode_to_vec());
        no(tool.get(altered).await, Code::InvalidArgument, "flight.ticket");
    }
    assert_eq!(spent(&world, &first).await + spent(&world, &second).await, 0);

    // Suspended by either side.
    let transfer = || async {
        let page = world.provider().app.store.transfers(None, 100).await.unwrap();
        page.rows.into_iter().find(|it| it.contract == second.id && it.pending.is_none())
    };
    let running = eventually("a started transfer", transfer).await;
    assert_eq!(running.format, FLIGHT_SQL_PULL);
    let body = Body::Suspend { code: None, reason: vec!["a test".to_owned()] };
    world.provider().wish(Wish::SayTransfer { transfer: running.id.clone(), body }).await;
    no(other.ticket(SQL).await, Code::PermissionDenied, "flight.suspended");

    // Its time is over.
    let app = &world.provider().app;
    let grant = Grant {
        until: app.clock.now(),
        token: flight::digest(&one.token),
        object: String::new(),
        contract: first.id.clone(),
        transfer: flight::transfer_of(&one.token).unwrap(),
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await
        .unwrap();
    no(tool.get(ticket).await, Code::Unauthenticated, "flight.token-expired");

    // A fresh one of the same contract works until the contract is revoked.
    let again = Tool::of(&{
        let it = connect(&world.consumer().app, &first.id, PATIENCE).await;
        it.unwrap()
    })
    .await;
    drop(again);
    world.revoke(&first).await;
    let (code, _) = refusal(tool.ticket(SQL).await);
    assert!(matches!(code, Code::Unauthenticated | Code::PermissionDenied), "{code:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_what_is_not_served_are_refused_by_name() {
    let world = World::of(2, enabled).await;
    let contract = contract(&world, aggregates(3)).await;
    let tool = Tool::of(&connected(&world, &contract).await).await;
    let (malformed, unknown) = ("flight.malformed", "flight.unknown");
    let broken =
        Any { type_url: CommandStatementQuery::type_url().to_owned(), value: vec![0xff; 9].into() };
    for bytes in [vec![0xff; 40], b"SELECT 1".to_vec(), broken.encode_to_vec()] {
        no(tool.info_of(bytes.clone()).await, Code::InvalidArgument, malformed);
        no(tool.get(Ticket::new(bytes.clone())).await, Code::InvalidArgument, malformed);
        no(tool.act("CreatePreparedStatement", bytes).await, Code::InvalidArgument, malformed);
    }
    // Beyond the bound of one message: refused before it is decoded.
    let (code, _) = refusal(tool.info_of(vec![b'x'; 1 << 20]).await);
    assert_eq!(code, Code::OutOfRange);

    let keys = CommandGetPrimaryKeys { table: "data".to_owned(), ..Default::default() };
    let status = tool.info(&keys).await.unwrap_err();
    assert!(status.message().contains("CommandGetPrimaryKeys"), "{status}");
    no(tool.info(&keys).await, Code::Unimplemented, unknown);
    let update =
        CommandStatementUpdate { query: "DELETE FROM data".to_owned(), transaction_id: None };
    no(tool.info(&update).await, Code::PermissionDenied, "flight.read-only");
    let put = FlightData::new()
        .with_descriptor(FlightDescriptor::new_cmd(update.as_any().encode_to_vec()));
    let put = tool.client.clone().do_put(tool.request(futures::stream::iter([put]))).await;
    no(put.map(drop), Code::PermissionDenied, "flight.read-only");
    let in_transaction =
        CommandStatementQuery { query: SQL.to_owned(), transaction_id: Some(b"t".to_vec().into()) };
    no(tool.info(&in_transaction).await, Code::Unimplemented, unknown);
    for action in ["BeginTransaction", "CancelQuery", &"long".repeat(1000)] {
        no(tool.act(action, vec![]).await, Code::Unimplemented, unknown);
    }
    let nothing = || futures::stream::iter(Vec::<FlightData>::new());
    let mut client = tool.client.clone();
    no(client.do_exchange(tool.request(nothing())).await.map(drop), Code::Unimplemented, unknown);
    no(
        client.list_flights(tool.request(Default::default())).await.map(drop),
        Code::Unimplemented,
        unknown,
    );
    no(
        client.get_schema(tool.request(FlightDescriptor::new_cmd("x"))).await.map(drop),
        Code::Unimplemented,
        unknown,
    );
    assert_eq!(spent(&world, &contract).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_and_metadata_stay_within_the_contract() {
    let world = World::of(2, enabled).await;
    let sentences = Sentences {
        columns: vec!["line".to_owned(), "temp".to_owned()],
        purposes: vec!["质检".to_owned()],
        ..aggregates(5)
    };
    let contract = contract(&world, sentences).await;
    let connection = connected(&world, &contract).await;
    let tool = Tool::of(&connection).await;

    // The contract asks for a purpose: without, the gate says no.
    no(tool.query(SQL).await, Code::PermissionDenied, "policy.unknown");
    let mut client = tool.client.clone();
    let with_purpose = |bytes: Vec<u8>| {
        let mut request = tool.request(FlightDescriptor::new_cmd(bytes));
        request.metadata_mut().insert("tidm-purpose", "%E8%B4%A8%E6%A3%80".parse().unwrap());
        let mut client = client.clone();
        async move { client.get_flight_info(request).await.map(|it| it.into_inner()) }
    };
    let asked = CommandStatementQuery { query: SQL.to_owned(), transaction_id: None };
    let info = with_purpose(asked.as_any().encode_to_vec()).await.unwrap();
    // The purpose is in the ticket: the tool need not say it twice.
    let (_, rows) = tool.get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    assert_eq!(groups(&rows), expected());

    // Prepared once, executed twice: two uses.
    let create =
        ActionCreatePreparedStatementRequest { query: SQL.to_owned(), transaction_id: None };
    let made = tool.act("CreatePreparedStatement", create.as_any().encode_to_vec()).await.unwrap();
    let made: ActionCreatePreparedStatementResult =
        Any::decode(&*made[0].body).unwrap().unpack().unwrap().unwrap();
    let handle = made.prepared_statement_handle;
    let before = spent(&world, &contract).await;
    for _ in 0..2 {
        let run = CommandPreparedStatementQuery { prepared_statement_handle: handle.clone() };
        let info = with_purpose(run.as_any().encode_to_vec()).await.unwrap();
        let (_, rows) = tool.get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        assert_eq!(groups(&rows), expected());
    }
    assert_eq!(spent(&world, &contract).await, before + 2);
    // A prepared statement is no ticket, and closing one that is none is refused.
    let wrong = TicketStatementQuery { statement_handle: handle.clone() };
    no(
        tool.get(Ticket::new(wrong.as_any().encode_to_vec())).await,
        Code::InvalidArgument,
        "flight.ticket",
    );
    let close = |handle: Vec<u8>| {
        let it = ActionClosePreparedStatementRequest { prepared_statement_handle: handle.into() };
        tool.act("ClosePreparedStatement", it.as_any().encode_to_vec())
    };
    assert!(close(handle.to_vec()).await.unwrap().is_empty());
    no(close(b"none".to_vec()).await, Code::InvalidArgument, "flight.ticket");

    // One table, with the columns that the contract opens and no others.
    let tables = CommandGetTables { include_schema: true, ..Default::default() };
    let info = with_purpose(tables.as_any().encode_to_vec()).await.unwrap();
    let mut request = tool.request(info.endpoint[0].ticket.clone().unwrap());
    request.metadata_mut().insert("tidm-purpose", "%E8%B4%A8%E6%A3%80".parse().unwrap());
    let pieces = client.do_get(request).await.unwrap().into_inner();
    let rows: Vec<RecordBatch> =
        FlightRecordBatchStream::new_from_flight_data(pieces.map_err(FlightError::from))
            .try_collect()
            .await
            .unwrap();
    assert_eq!(rows[0].num_rows(), 1);
    assert_eq!(rows[0].column(2).as_string::<i32>().value(0), "data");
    let schema = rows[0].column(4).as_binary::<i32>().value(0).to_vec();
    let schema =
        arrow::datatypes::Schema::try_from(arrow_flight::IpcMessage(schema.into())).unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["line", "temp"]);
    no(tool.info(&tables).await, Code::PermissionDenied, "policy.unknown");

    let listed = async |command: Vec<u8>| {
        let info = tool.info_of(command).await.unwrap();
        let (_, rows) = tool.get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
        rows.iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!(listed(CommandGetCatalogs {}.as_any().encode_to_vec()).await, 1);
    assert_eq!(listed(CommandGetDbSchemas::default().as_any().encode_to_vec()).await, 1);
    assert_eq!(listed(CommandGetTableTypes {}.as_any().encode_to_vec()).await, 1);
    let read_only = CommandGetSqlInfo { info: vec![3] };
    assert_eq!(listed(read_only.as_any().encode_to_vec()).await, 1);
    let long = CommandGetDbSchemas { catalog: Some("x".repeat(1000)), ..Default::default() };
    no(tool.info(&long).await, Code::InvalidArgument, "flight.filter");
    let actions = client.list_actions(tool.request(Empty {})).await.unwrap().into_inner();
    assert_eq!(actions.count().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_or_suspension_cuts_a_stream_within_a_second() {
    let world = World::of(2, enabled).await;
    let mut text = "id,noise\n".to_owned();
    for at in 0..120_000_u32 {
        let noise = at.wrapping_mul(2_654_435_761);
        text.push_str(&format!("{at},{noise:032b}{:032b}\n", !noise));
    }
    for how in ["revoked", "suspended"] {
        let product = world
            .published(&format!("{how}.csv"), text.as_bytes(), limited(5), &[Use::Query])
            .await;
        let contract = world.agreed(&product).await;
        let tool = Tool::of(&connected(&world, &contract).await).await;
        let ticket = tool.ticket("SELECT * FROM data").await.unwrap();
        let (metadata, mut pieces) = tool.begin(ticket).await.unwrap();
        let first = pieces.message().await.unwrap().unwrap();
        let receipt: Value = serde_json::from_slice(&first.app_metadata).unwrap();
        assert_eq!(receipt["lease"], text_of(&metadata));
        assert_eq!(receipt["rows"], 120_000);
        let begun = Instant::now();
        match how {
            "revoked" => world.revoke(&contract).await,
            _ => {
                let started = || async {
                    let page = world.provider().app.store.transfers(None, 100).await.unwrap();
                    page.rows
                        .into_iter()
                        .find(|it| it.contract == contract.id && it.pending.is_none())
                };
                let it = eventually("a started transfer", started).await;
                let body = Body::Suspend { code: None, reason: vec!["a test".to_owned()] };
                world.provider().wish(Wish::SayTransfer { transfer: it.id, body }).await;
            }
        }
        // Nothing is read meanwhile; what is read then ends before the whole is there.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let mut bytes = 0;
        let end = loop {
            match pieces.message().await {
                Ok(Some(piece)) => bytes += piece.data_body.len() as u64,
                Ok(None) => panic!("{how}: the whole arrived: {bytes} bytes"),
                Err(status) => break status,
            }
        };
        assert!(begun.elapsed() < Duration::from_millis(1500), "{how}: {:?}", begun.elapsed());
        assert_eq!(end.code(), Code::PermissionDenied, "{how}: {end}");
        assert!(bytes < receipt["bytes"].as_u64().unwrap() / 2, "{how}: {bytes} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_of_the_contract_hold_and_parallel_results_are_bounded() {
    let world = World::of(2, enabled).await;
    let sentences = Sentences { output_rows: Some(10), ..limited(30) };
    let contract = contract(&world, sentences).await;
    let tool = Tool::of(&connected(&world, &contract).await).await;
    no(tool.query("SELECT * FROM data").await, Code::ResourceExhausted, "query.too-many-rows");
    let held = "SELECT * FROM data LIMIT 10";
    let rows = tool.query(held).await.unwrap().1;
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);

    // Results that nobody reads take places; the ninth is refused and costs nothing.
    let text = (0..60_000_u32).fold("id,noise\n".to_owned(), |all, at| {
        all + &format!("{at},{:032b}{:032b}\n", at.wrapping_mul(2_654_435_761), !at)
    });
    let product = world.published("n.csv", text.as_bytes(), limited(30), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let connection = connected(&world, &contract).await;
    let tool = Tool::of(&connection).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        // A connection for each: unread streams share the window of theirs.
        let reader = Tool::at(&connection.endpoint, &connection.token).await;
        let ticket = reader.ticket("SELECT * FROM data").await.unwrap();
        open.push(reader.begin(ticket).await.unwrap());
    }
    no(tool.query("SELECT * FROM data").await, Code::ResourceExhausted, "flight.busy");
    assert_eq!(spent(&world, &contract).await, 8);
    drop(open);
    let freed = || async { tool.query("SELECT count(*) FROM data").await.ok() };
    eventually("a free place", freed).await;
}

/// What a contract says of the speed of deliveries holds for results that tools fetch, too.
#[tokio::test(flavor = "multi_thread")]
async fn results_keep_to_the_speed_of_the_contract() {
    let world = World::of(2, enabled).await;
    let rate = 64 << 10;
    let sentences = Sentences { delivery_rate: Some(rate), ..limited(5) };
    let text = (0..3_000_u32).fold("id,noise\n".to_owned(), |all, at| {
        all + &format!("{at},{:032b}{:032b}\n", at.wrapping_mul(2_654_435_761), !at)
    });
    let product = world.published("p.csv", text.as_bytes(), sentences, &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let tool = Tool::of(&connected(&world, &contract).await).await;
    let ticket = tool.ticket("SELECT * FROM data").await.unwrap();
    let (_, mut pieces) = tool.begin(ticket).await.unwrap();
    let (begun, mut bytes) = (Instant::now(), 0);
    while let Some(piece) = pieces.message().await.unwrap() {
        bytes += piece.data_header.len() + piece.data_body.len();
    }
    let least = bytes as f64 / rate as f64;
    let took = begun.elapsed().as_secs_f64();
    assert!(least > 2.0 && took > least * 0.8 && took < least * 2.0 + 2.0, "{bytes} in {took} s");
}

fn text_of(metadata: &MetadataMap) -> Value {
    Value::from(text(metadata, "tidm-lease"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_offer_it_says_so() {
    let world = World::two().await;
    let contract = contract(&world, aggregates(3)).await;
    let refused = fault(connect(&world.consumer().app, &contract.id, PATIENCE).await.map(drop));
    match &refused {
        Fault::Refused { code: "use.flight", reason } => {
            assert!(reason.contains(FLIGHT_SQL_PULL), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // Nor does it speak the protocol: HTTP/2 is not even answered.
    let endpoint = world.provider().app.identity.public_url.clone();
    assert!(
        FlightServiceClient::new(Endpoint::from_shared(endpoint).unwrap().connect_lazy())
            .get_flight_info(FlightDescriptor::new_cmd("x"))
            .await
            .is_err_and(|it| it.code() != Code::Unauthenticated)
    );

    // Where it is offered, a contract that grants no queries gets none all the same.
    let world = World::of(2, enabled).await;
    let product = world.published("s.csv", &csv(), limited(3), &[Use::SealedTable]).await;
    let contract = world.agreed(&product).await;
    let refused = fault(connect(&world.consumer().app, &contract.id, PATIENCE).await.map(drop));
    assert_eq!(refused.code(), "use.flight");
    assert!(refused.to_string().contains("query"), "{refused}");
}

/// Python with pyarrow: the test command names one that it made; elsewhere whatever is there, if it can.
fn python() -> Result<PathBuf, String> {
    let named = std::env::var_os("TIDM_PYTHON");
    let python = PathBuf::from(named.clone().unwrap_or_else(|| "python3".into()));
    let probe = Process::new(&python).args(["-c", "import pyarrow.flight"]).output();
    if probe.is_ok_and(|it| it.status.success()) {
        return Ok(python);
    }
    assert!(
        named.is_none(),
        "{} cannot import pyarrow.flight: `pip install pyarrow` into it",
        python.display()
    );
    Err("SKIPPED: python3 cannot import pyarrow.flight (pip install pyarrow, or set TIDM_PYTHON)"
        .to_owned())
}

/// What the script says to each statement.
async fn scripted(python: PathBuf, it: Connection, ca: String, sql: &[&str]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/flight.py");
    let sql: Vec<String> = sql.iter().map(|it| (*it).to_owned()).collect();
    let ran = tokio::task::spawn_blocking(move || {
        Process::new(python).arg(script).args([it.endpoint, it.token, ca]).args(sql).output()
    });
    let ran = ran.await.unwrap().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said = String::from_utf8(ran.stdout).unwrap();
    said.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_gets_numbers_and_no_rows_over_plain_loopback_and_tls() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return println!("{why}"),
    };
    for tls in [false, true] {
        let world = match tls {
            false => World::of(2, enabled).await,
            true => World::secure(2, enabled).await,
        };
        let ca =
            if tls { world.path().join("ca.crt").display().to_string() } else { "-".to_owned() };
        let contract = contract(&world, aggregates(5)).await;
        let connection = connected(&world, &contract).await;
        assert!(connection.endpoint.starts_with(if tls { "grpc+tls:" } else { "grpc+tcp:" }));
        let asked = [SQL, "SELECT * FROM data", "SELECT count(*) AS n FROM data"];
        let said = scripted(python.clone(), connection.clone(), ca.clone(), &asked).await;
        let column = |name: &str| said[0]["table"][name].as_array().unwrap().clone();
        let got: Vec<(String, i64, f64)> = column("line")
            .into_iter()
            .zip(column("n"))
            .zip(column("t"))
            .map(|((line, n), t)| {
                (line.as_str().unwrap().to_owned(), n.as_i64().unwrap(), t.as_f64().unwrap())
            })
            .collect();
        assert_eq!(got, expected(), "tls: {tls}");
        assert!(said[0]["lease"].as_str().unwrap().starts_with("urn:uuid:"));
        assert_eq!(said[1]["refused"], "unauthorized", "{}", said[1]);
        assert!(said[1]["text"].as_str().unwrap().contains("aggregate"), "{}", said[1]);
        assert_eq!(said[2]["table"]["n"][0], 201);
        assert_eq!(spent(&world, &contract).await, 3);
        let mut stranger = connection;
        stranger.token.push('x');
        let said = scripted(python.clone(), stranger, ca, &[SQL]).await;
        assert_eq!(said[0]["refused"], "unauthenticated", "{}", said[0]);
    }
}
