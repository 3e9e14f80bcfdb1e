//! The sending side: the thread's runtime, the outbox, requests to the peer.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, WeakUnboundedSender};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::{Inside, Outgoing, server};
use crate::spu::fault::Fault;
use crate::spu::limits::{
    CONNECT_AGAIN, MOST_REPLY_BYTES, PIECE_BYTES, REQUEST_TIME, REQUESTS_AT_A_TIME, RETRY_PAUSE,
    RETRY_TIME,
};
use crate::spu::progress::add;
use crate::spu::wire::{
    ACK, FIN, PATH, Piece, PushRequest, PushResponse, framed, numbered, unframed,
};

/// The thread: serves and delivers until the outbox is closed and empty.
pub(super) fn run(
    inside: &Arc<Inside>,
    listener: TcpListener,
    outgoing: UnboundedReceiver<Outgoing>,
    outbox: &WeakUnboundedSender<Outgoing>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return inside.fail(&Fault::local("starting a runtime", error)),
    };
    runtime.block_on(async {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::spawn(server::accept(inside.clone(), listener, outbox.clone()));
                deliver(inside, outgoing).await;
            }
            Err(error) => inside.fail(&Fault::local("listening", error)),
        }
    });
}

async fn deliver(inside: &Arc<Inside>, mut outgoing: UnboundedReceiver<Outgoing>) {
    let client = Arc::new(Client {
        peer: inside.settings.peer.clone(),
        connection: Mutex::new(None),
        room: Semaphore::new(REQUESTS_AT_A_TIME),
    });
    let mut tasks = JoinSet::new();
    let mut again = interval(CONNECT_AGAIN);
    loop {
        let next = tokio::select! {
            next = outgoing.recv() => next,
            _ = again.tick() => Some(Outgoing::Connect),
            Some(_) = tasks.join_next() => continue,
        };
        let Some(next) = next else { break };
        let (rank, began) = {
            let state = inside.lock();
            (state.traffic.rank(), state.traffic.began())
        };
        let Some(rank) = rank else { continue };
        let optional = matches!(next, Outgoing::Connect);
        if optional && began {
            continue;
        }
        for request in requests(rank, next) {
            add(&inside.progress.sent_bytes, request.len());
            let (client, inside) = (client.clone(), inside.clone());
            tasks.spawn(async move { client.deliver(&inside, request, optional).await });
        }
    }
    while inside.lock().fault.is_none() && tasks.join_next().await.is_some() {}
}

/// The requests of one message: one, or one for each piece.
fn requests(rank: u64, it: Outgoing) -> Vec<Bytes> {
    let whole = |key: String, value: Bytes| {
        let request = PushRequest { sender_rank: rank, key, value, trans_type: 0, piece: None };
        vec![framed(&request)]
    };
    match it {
        Outgoing::Connect => whole(numbered(&format!("connect_{rank}"), 0), Bytes::new()),
        Outgoing::Confirm(number) => whole(ACK.to_owned(), number.to_string().into()),
        Outgoing::Farewell(count) => whole(FIN.to_owned(), count.to_string().into()),
        Outgoing::Message(key, value) if value.len() <= PIECE_BYTES => whole(key, value.into()),
        Outgoing::Message(key, value) => {
            let (length, value) = (value.len(), Bytes::from(value));
            let starts = (0..length).step_by(PIECE_BYTES);
            let piece = |start: usize| {
                let value = value.slice(start..length.min(start + PIECE_BYTES));
                let (offset, message_length) = (signed(start), signed(length));
                let piece = Some(Piece { message_length, offset });
                framed(&PushRequest {
                    sender_rank: rank,
                    key: key.clone(),
                    value,
                    trans_type: 1,
                    piece,
                })
            };
            starts.map(piece).collect()
        }
    }
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Why a request was not taken.
enum Refusal {
    /// The connection failed: worth another try.
    Connection(String),
    /// The peer answered, and said no.
    Final(String),
}

struct Client {
    peer: String,
    connection: Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
    room: Semaphore,
}

impl Client {
    /// One request, again and again while the connection fails. An optional one once: it is said again anyway.
    async fn deliver(&self, inside: &Inside, request: Bytes, optional: bool) {
        let Ok(_place) = self.room.acquire().await else { return };
        let began = Instant::now();
        loop {
            let outcome = timeout(REQUEST_TIME, self.push(request.clone())).await;
            let reason = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(Refusal::Connection(reason))) => reason,
                Ok(Err(Refusal::Final(reason))) => return inside.fail(&Fault::Lost { reason }),
                Err(_) => "no answer in time".to_owned(),
            };
            if optional || inside.lock().fault.is_some() {
                return;
            }
            if inside.lock().closing || began.elapsed() > RETRY_TIME.min(inside.settings.silence) {
                return inside.fail(&Fault::Lost { reason });
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn push(&self, request: Bytes) -> Result<(), Refusal> {
        let mut connection = self.connected().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{}{PATH}", self.peer))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(request))
            .map_err(|error| Refusal::Final(error.to_string()))?;
        let failed = |error: hyper::Error| Refusal::Connection(error.to_string());
        let answer = connection.send_request(request).await.map_err(failed)?;
        read(answer).await
    }

    async fn connected(&self) -> Result<http2::SendRequest<Full<Bytes>>, Refusal> {
        let mut kept = self.connection.lock().await;
        if let Some(it) = kept.as_ref().filter(|it| !it.is_closed()) {
            return Ok(it.clone());
        }
        let failed = |error: std::io::Error| Refusal::Connection(error.to_string());
        let stream = TcpStream::connect(&self.peer).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| Refusal::Connection(error.to_string()))?;
        // Its end shows in the requests that it carried.
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        *kept = Some(sender.clone());
        Ok(sender)
    }
}

/// Whether the peer took the request.
async fn read(answer: Response<Incoming>) -> Result<(), Refusal> {
    if answer.status() != StatusCode::OK {
        return Err(Refusal::Final(format!("the peer answered HTTP {}", answer.status().as_u16())));
    }
    let said_early = answer.headers().get("grpc-status").cloned();
    let body = Limited::new(answer.into_body(), MOST_REPLY_BYTES).collect().await;
    let body = body.map_err(|error| Refusal::Connection(error.to_string()))?;
    let said = body.trailers().and_then(|it| it.get("grpc-status")).cloned().or(said_early);
    match said.as_ref().and_then(|it| it.to_str().ok()) {
        Some("0") => {}
        // Neither text nor code beyond a small number of the peer goes into a fault.
        Some(code) if code.len() <= 2 && code.bytes().all(|it| it.is_ascii_digit()) => {
            return Err(Refusal::Final(format!("the peer answered gRPC status {code}")));
        }
        _ => return Err(Refusal::Final("the peer answered without a gRPC status".to_owned())),
    }
    let Some(response) = unframed::<PushResponse>(body.to_bytes()) else {
        return Err(Refusal::Final("the peer's answer cannot be read".to_owned()));
    };
    match response.header.map_or(0, |it| it.error_code) {
        0 => Ok(()),
        code => Err(Refusal::Final(format!("the peer refused it with code {code}"))),
    }
}
