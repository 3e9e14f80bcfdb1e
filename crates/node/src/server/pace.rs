//! Bodies of requests that do not come: cut off after a declared time, on every path.
//!
//! Never counts against a client the time in which we do not read: a large upload waits for our disk, too.
//!
//! Threat model: a client that holds a connection, its buffers and a handler for hours by sending nothing, or a byte now
//! and then (slow loris). Headers are hyper's to time ([`crate::serve`]); how long a body may be is each route's.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A client from which nothing comes for this long is gone: retransmissions over a bad link take less.
pub const SILENCE: Duration = Duration::from_secs(15);
/// How long all of a body may be waited for, besides what [`RATE`] adds: a message of some kilobytes over any link.
pub const GRACE: Duration = Duration::from_secs(20);
/// Bytes that buy one more second: half of what the slowest links of machines (NB-IoT, 60 kbit/s) carry.
pub const RATE: u64 = 4 << 10;

/// The same request, whose body is cut off when it does not come.
pub async fn paced(request: Request) -> Request {
    request.map(|body| Body::new(Paced::new(body)))
}

struct Paced {
    body: Body,
    got: u64,
    /// How long it was waited for so far.
    waited: Duration,
    /// Since when the next piece is waited for, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

#[derive(Debug, thiserror::Error)]
#[error("the request's body does not come")]
struct TooSlow;

impl Paced {
    fn new(body: Body) -> Self {
        Self { body, got: 0, waited: Duration::ZERO, waiting: None }
    }

    /// How long may be waited from now on.
    fn left(&self) -> Duration {
        let allowed = GRACE.saturating_add(Duration::from_secs(self.got / RATE));
        SILENCE.min(allowed.saturating_sub(self.waited))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some((since, _)) = self.waiting.take() {
                self.waited = self.waited.saturating_add(since.elapsed());
            }
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.got = self.got.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            return Poll::Ready(frame);
        }
        let left = self.left();
        let now = Instant::now();
        let (_, sleep) =
            self.waiting.get_or_insert_with(|| (now, Box::pin(tokio::time::sleep(left))));
        ready!(sleep.as_mut().poll(cx));
        metrics::counter!("tidm_slow_bodies_total").increment(1);
        Poll::Ready(Some(Err(axum::Error::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
