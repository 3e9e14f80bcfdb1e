//! The receiving side: one method of one service. Who connects is not known; what does not fit ends the session or is refused.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::WeakUnboundedSender;
use tokio::time::{sleep, timeout};

use super::{Inside, Outgoing};
use crate::spu::limits::{
    MOST_CONNECTIONS, MOST_REQUEST_BYTES, MOST_STREAMS, REQUEST_TIME, RETRY_PAUSE,
};
use crate::spu::progress::add;
use crate::spu::wire::{PATH, PushRequest, PushResponse, ResponseHeader, framed, unframed};

/// Statuses of gRPC.
const OK: u8 = 0;
const INVALID: u8 = 3;
const NO_SUCH_METHOD: u8 = 12;
const UNAVAILABLE: u8 = 14;

/// What may be under way of one request, and of all of a connection, before we have read it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

type Body = BoxBody<Bytes, Infallible>;

pub(super) async fn accept(
    inside: Arc<Inside>,
    listener: TcpListener,
    outbox: WeakUnboundedSender<Outgoing>,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, or a connection that was gone before it was taken.
            sleep(RETRY_PAUSE).await;
            continue;
        };
        let (inside, outbox) = (inside.clone(), outbox.clone());
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap_or_default();
            let service =
                service_fn(move |request| answered(inside.clone(), outbox.clone(), request));
            let connection = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_concurrent_streams(MOST_STREAMS)
                .max_header_list_size(8 << 10)
                .serve_connection(TokioIo::new(stream), service);
            // How a connection ends says nothing: the peer may open another.
            connection.await.unwrap_or_default();
            drop(place);
        });
    }
}

async fn answered(
    inside: Arc<Inside>,
    outbox: WeakUnboundedSender<Outgoing>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.method() != Method::POST || request.uri().path() != PATH {
        return Ok(response(NO_SUCH_METHOD));
    }
    let Ok(place) = inside.bodies.acquire().await else { return Ok(response(UNAVAILABLE)) };
    let body = Limited::new(request.into_body(), MOST_REQUEST_BYTES).collect();
    let Ok(Ok(body)) = timeout(REQUEST_TIME, body).await else { return Ok(response(INVALID)) };
    let body = body.to_bytes();
    drop(place);
    let length = body.len();
    // What is no message at all may come from anybody, and ends nothing.
    let Some(request) = unframed::<PushRequest>(body) else { return Ok(response(INVALID)) };
    if inside.lock().fault.is_some() {
        return Ok(response(UNAVAILABLE));
    }
    add(&inside.progress.received_bytes, length);
    Ok(match inside.admit(request, &outbox) {
        Ok(true) => response(OK),
        Ok(false) => response(UNAVAILABLE),
        Err(fault) => {
            inside.fail(&fault);
            response(INVALID)
        }
    })
}

fn response(status: u8) -> Response<Body> {
    let taken = PushResponse { header: Some(ResponseHeader::default()) };
    let body = if status == OK { framed(&taken) } else { Bytes::new() };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(status)));
    let body = Full::new(body).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    response
}
