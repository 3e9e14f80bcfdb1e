//! The first bytes of a connection: cut off where they do not come.
//!
//! Never looks at what they say: that is HTTP's. Where both versions of it are spoken, the server waits for the 24 bytes that tell
//! them apart, and hyper has no time for that wait.
//!
//! Threat model: a client that opens connections and holds their places by saying nothing, or a byte.

use std::future::Future as _;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Length of the preface of HTTP/2 (RFC 9113 §3.4); the shortest request of HTTP/1.1 with a host is as long.
const PREFACE: usize = 24;

/// A connection that has its beginning within a time, or ends.
pub struct Beginning<S> {
    stream: S,
    /// Bytes that came, as far as they matter.
    got: usize,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Beginning<S> {
    pub fn within(span: Duration, stream: S) -> Self {
        Self { stream, got: 0, until: Some(Box::pin(tokio::time::sleep(span))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Beginning<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.got = this.got.saturating_add(buffer.filled().len().saturating_sub(before));
            if this.got >= PREFACE {
                this.until = None;
            }
            return Poll::Ready(read);
        }
        let Some(until) = &mut this.until else { return Poll::Pending };
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the connection says nothing")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beginning<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
