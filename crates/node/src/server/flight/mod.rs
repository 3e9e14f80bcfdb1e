//! Arrow Flight SQL: the open face of queries at the provider, for the tools that analysts have.
//!
//! ```text
//!   tool ── authorization: Bearer … ──► GetFlightInfo(statement) ──► a sealed ticket, nothing counted
//!                                       DoGet(ticket) ──► lease (nonce of the ticket) ──► worker ──► output gate
//!                                            ◄── rows, with lease and digest as receipt
//! ```
//!
//! gRPC over HTTP/2 on the node's ordinary port, only where `flight.enabled` is set. What may be asked is what
//! the contract behind the caller's token grants as `query` (level E2): the same gate, worker, output gate,
//! limits and facts as for a query that the consumer's node sends. The consumer's node is not in the middle;
//! it is told of each use afterwards.
//!
//! Threat model: callers are programs on the network, with or without a token. Every call is authenticated by
//! itself before any of it is read ([`session`]); messages are bounded before they are decoded
//! ([`CALL_BYTES`]); statements are hostile and run in the jailed worker; tickets are sealed
//! ([`ticket`]); results are held for slow readers only so long ([`outgoing`]). What is not listed here
//! answers UNIMPLEMENTED by its name. Not protected against: somebody who was handed the token by its
//! holder, what several permitted results tell together (the contract's own terms bound that), and who
//! keeps many idle connections of HTTP/2 open (the node's number of connections bounds that).
//!
//! **Architecture invariant:** no rule of the data space is here, and no second gate.

mod outgoing;
mod session;
mod statement;
mod status;
mod tables;
mod ticket;

use std::net::IpAddr;
use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket as Opaque,
};
use axum::Router;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use tidm_space::fault::Fault;

use self::outgoing::Pieces;
use self::session::Session;
use crate::api::auth::From;
use crate::app::App;
use crate::jobs::sending;
use crate::lang::Lang;
use crate::store::writer::WorkError;

/// Names of the two actions (FlightSql.proto).
const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
/// One message of a caller: the longest ticket in its envelopes, and room.
const CALL_BYTES: usize = 2 * ticket::TICKET_BYTES;
/// A name of the caller's that is repeated in a refusal is cut here.
const NAME_CHARS: usize = 100;
/// Lease of the use, on the answer to `DoGet`.
const LEASE: &str = "tidm-lease";
/// Uses that are left after it, where the contract counts.
const USES_LEFT: &str = "tidm-uses-left";
/// SHA-256 of the result as the output gate let it out.
const RESULT: &str = "tidm-result-sha256";

/// The service's one path; nothing where it is not enabled.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    if !app.config.flight.enabled {
        return Router::new();
    }
    let service =
        FlightServiceServer::new(Flight { app: app.clone() }).max_decoding_message_size(CALL_BYTES);
    Router::new().route_service("/arrow.flight.protocol.FlightService/{*method}", service)
}

struct Flight {
    app: Arc<App>,
}

/// One call: who makes it, and in which language it is answered.
struct Call<'a> {
    app: &'a Arc<App>,
    metadata: MetadataMap,
    lang: Lang,
}

type Answered<T> = Result<Response<T>, Status>;

impl Flight {
    fn call(&self, metadata: &MetadataMap) -> Call<'_> {
        let lang = status::lang(metadata, self.app.config.node.lang);
        Call { app: &self.app, metadata: metadata.clone(), lang }
    }

    /// Authenticated, then refused by name.
    async fn unknown<T>(&self, metadata: &MetadataMap, name: &str) -> Answered<T> {
        let call = self.call(metadata);
        call.told(call.session().await)?;
        call.told(Err(unknown(name)))
    }
}

/// What this service has not, by name.
fn unknown(name: &str) -> Fault {
    let name: String = name.chars().take(NAME_CHARS).collect();
    Fault::incompatible("flight.unknown", format!("{name} is not served here"))
}

impl Call<'_> {
    fn told<T>(&self, done: Result<T, impl Into<WorkError>>) -> Result<T, Status> {
        done.map_err(|error| status::status(error.into(), self.lang))
    }

    async fn session(&self) -> Result<Session, WorkError> {
        Session::open(self.app, &self.metadata).await
    }

    /// `GetFlightInfo`: a ticket for a statement, the question itself for metadata.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all others are answered or refused by `tables`"
    )]
    async fn info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo, WorkError> {
        let session = self.session().await?;
        let purpose = statement::purpose(&self.metadata)?;
        let command = command(&descriptor.cmd)?;
        let (ticket, schema) = match command {
            Command::CommandStatementQuery(it) => {
                no_transaction(it.transaction_id.as_ref())?;
                (executed(statement::ticket(self.app, &session, it.query, purpose)?), None)
            }
            Command::CommandPreparedStatementQuery(it) => {
                let found = statement::prepared(self.app, &session, &it.prepared_statement_handle)?;
                let purpose = purpose.or(found.purpose);
                (executed(statement::ticket(self.app, &session, found.sql, purpose)?), None)
            }
            other => {
                let asked = Bytes::from(other.clone().into_any().encode_to_vec());
                let name = local(other.type_url()).to_owned();
                let found = tables::answer(self.app, &session.contract, purpose, other).await?;
                let rows = found.ok_or_else(|| refused(&name))?;
                (asked, Some(rows.schema()))
            }
        };
        let endpoint = FlightEndpoint::new().with_ticket(Opaque { ticket });
        let info = FlightInfo::new().with_endpoint(endpoint).with_descriptor(descriptor);
        match schema {
            // Only an execution tells the schema of a result.
            None => Ok(info),
            Some(schema) => info
                .try_with_schema(&schema)
                .map_err(|_| Fault::ApiMisuse("a schema that cannot be written").into()),
        }
    }

    /// `DoGet`: runs what the ticket stands for.
    async fn get(
        &self,
        ticket: Opaque,
        address: Option<IpAddr>,
    ) -> Result<Response<Pieces>, WorkError> {
        let session = self.session().await?;
        let Command::TicketStatementQuery(it) = command(&ticket.ticket)? else {
            let purpose = statement::purpose(&self.metadata)?;
            let asked = command(&ticket.ticket)?;
            let name = local(asked.type_url()).to_owned();
            let found = tables::answer(self.app, &session.contract, purpose, asked).await?;
            return Ok(Response::new(outgoing::batch(found.ok_or_else(|| refused(&name))?)));
        };
        let bounds = sending::bounds(self.app, &session.contract);
        let place = self.app.budgets.take(&session.contract.id, bounds).ok_or_else(|| {
            Fault::denied(
                "flight.busy",
                "downloads",
                "as many results as one contract may have at a time",
            )
        })?;
        let done = tokio::select! {
            done = statement::execute(self.app, (&session, address), &it.statement_handle) => done?,
            // The run itself goes on to its end and is recorded; its result is dropped.
            ended = session.over(self.app) => return Err(ended.into()),
        };
        let receipt = done.receipt();
        let named = [
            (LEASE, Some(done.grant.lease.to_string())),
            (USES_LEFT, done.grant.uses_left.map(|it| it.to_string())),
            (RESULT, Some(done.digest.to_string())),
        ];
        let app = self.app.clone();
        let pieces = outgoing::result(app, session, place, done.ipc, receipt.into(), self.lang)?;
        let mut answer = Response::new(pieces);
        for (name, value) in named {
            if let Some(Ok(value)) = value.map(|it| it.parse()) {
                answer.metadata_mut().insert(name, value);
            }
        }
        Ok(answer)
    }

    /// `DoAction`: prepared statements are sealed tickets, so that closing one has nothing to do.
    async fn act(&self, action: Action) -> Result<Option<Bytes>, WorkError> {
        let session = self.session().await?;
        match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let it: ActionCreatePreparedStatementRequest = body(&action.body)?;
                no_transaction(it.transaction_id.as_ref())?;
                let purpose = statement::purpose(&self.metadata)?;
                let handle = statement::prepare(self.app, &session, it.query, purpose)?;
                let made = ActionCreatePreparedStatementResult {
                    prepared_statement_handle: handle.into(),
                    dataset_schema: Bytes::new(),
                    parameter_schema: Bytes::new(),
                };
                Ok(Some(made.as_any().encode_to_vec().into()))
            }
            CLOSE_PREPARED_STATEMENT => {
                let it: ActionClosePreparedStatementRequest = body(&action.body)?;
                statement::prepared(self.app, &session, &it.prepared_statement_handle)?;
                Ok(None)
            }
            other => Err(unknown(other).into()),
        }
    }
}

/// A statement's ticket as clients hand it back.
fn executed(handle: Vec<u8>) -> Bytes {
    TicketStatementQuery { statement_handle: handle.into() }.as_any().encode_to_vec().into()
}

/// The command in a descriptor or ticket.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `flight.malformed`.
pub fn command(bytes: &[u8]) -> Result<Command, Fault> {
    Any::decode(bytes).ok().and_then(|it| Command::try_from(it).ok()).ok_or_else(|| {
        Fault::misbehaved(
            "flight.malformed",
            "not a command of Flight SQL: its protobuf cannot be read",
        )
    })
}

/// The message in an action's body.
fn body<M: ProstMessageExt>(bytes: &[u8]) -> Result<M, Fault> {
    let found = Any::decode(bytes).ok().and_then(|it| it.unpack().ok().flatten());
    found.ok_or_else(|| {
        Fault::misbehaved("flight.malformed", "the body of this action cannot be read")
    })
}

/// `type.googleapis.com/arrow.flight.protocol.sql.CommandX` → `CommandX`.
fn local(type_url: &str) -> &str {
    type_url.rsplit(['/', '.']).next().unwrap_or(type_url)
}

/// A command that is none of ours: what writes is refused, what is missing is named.
fn refused(name: &str) -> Fault {
    match name {
        "CommandStatementUpdate" | "CommandPreparedStatementUpdate" | "CommandStatementIngest" => {
            Fault::denied(
                "flight.read-only",
                "query",
                format!("{name}: nothing can be written here"),
            )
        }
        other => unknown(other),
    }
}

fn no_transaction(id: Option<&Bytes>) -> Result<(), Fault> {
    match id.filter(|it| !it.is_empty()) {
        None => Ok(()),
        Some(_) => Err(unknown("transaction_id")),
    }
}

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Pieces;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answered<Self::HandshakeStream> {
        self.unknown(request.metadata(), "Handshake").await
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Answered<Self::ListFlightsStream> {
        self.unknown(request.metadata(), "ListFlights").await
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answered<FlightInfo> {
        let call = self.call(request.metadata());
        call.told(call.info(request.into_inner()).await).map(Response::new)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Answered<PollInfo> {
        self.unknown(request.metadata(), "PollFlightInfo").await
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Answered<SchemaResult> {
        self.unknown(request.metadata(), "GetSchema").await
    }

    async fn do_get(&self, request: Request<Opaque>) -> Answered<Self::DoGetStream> {
        let call = self.call(request.metadata());
        let address = request.extensions().get::<From>().map(|it| it.0.ip());
        call.told(call.get(request.into_inner(), address).await)
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Answered<Self::DoPutStream> {
        let call = self.call(request.metadata());
        call.told(call.session().await)?;
        let first = request.into_inner().message().await?;
        let descriptor = first.and_then(|it| it.flight_descriptor).unwrap_or_default();
        let fault = match command(&descriptor.cmd) {
            Ok(it) => refused(match local(it.type_url()) {
                "CommandPreparedStatementQuery" => "parameters of prepared statements (DoPut)",
                other => other,
            }),
            Err(fault) => fault,
        };
        call.told(Err(fault))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Answered<Self::DoExchangeStream> {
        self.unknown(request.metadata(), "DoExchange").await
    }

    async fn do_action(&self, request: Request<Action>) -> Answered<Self::DoActionStream> {
        let call = self.call(request.metadata());
        let body = call.told(call.act(request.into_inner()).await)?;
        let results = body.map(|body| Ok(arrow_flight::Result { body }));
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, request: Request<Empty>) -> Answered<Self::ListActionsStream> {
        let call = self.call(request.metadata());
        call.told(call.session().await)?;
        let known = [
            (CREATE_PREPARED_STATEMENT, "Seals a statement for repeated execution"),
            (CLOSE_PREPARED_STATEMENT, "Gives up a prepared statement"),
        ];
        let actions = known.map(|(name, says)| {
            Ok(ActionType { r#type: name.to_owned(), description: says.to_owned() })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}
