//! A result on its way out: one message at a time, as fast as the reader takes them, cut when the caller's right ends.
//!
//! ```text
//!   result (Arrow IPC, bounded by the output gate) ─► read whole ─► one message queued, at the pace of the contract ─► the reader
//!                              └── asked about every 250 ms, given up when nothing is taken for a minute
//! ```
//!
//! Threat model: the reader may stop reading and keep the connection. What is held for it is one result, which
//! the output gate bounds, and it is dropped when nothing is taken for [`STALLED`], when the token, transfer or
//! contract ends, or when the connection does; places are counted by contract. Never sends a wrong end: what was
//! cut ends with a status that says why.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::encode::{FlightDataEncoder, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;

use tidm_space::fault::Fault;

use super::session::Session;
use super::status;
use crate::app::App;
use crate::lang::Lang;
use crate::server::budget::Place;

/// A reader that takes nothing for this long loses the rest.
const STALLED: Duration = Duration::from_secs(60);
/// Size of a message that is aimed at: clients take 4 MiB at least.
const MESSAGE_BYTES: usize = 1 << 20;

/// What a `DoGet` answers with.
pub(super) type Pieces = BoxStream<'static, Result<FlightData, Status>>;

/// The first message and the first with rows carry `receipt`: clients show one or the other.
pub(super) fn result(
    app: Arc<App>,
    session: Session,
    place: Place,
    ipc: Vec<u8>,
    receipt: Bytes,
    lang: Lang,
) -> Result<Pieces, Fault> {
    let read = tidm_sandbox::result::read(&ipc)
        .ok_or(Fault::ApiMisuse("a result that is no Arrow stream"))?;
    drop(ipc);
    let rows = stream::iter(read.batches.into_iter().map(Ok));
    let place = Arc::new(place);
    let (most, pacing) = (MESSAGE_BYTES.min(place.piece()), place.clone());
    let pieces = encoded(read.schema, rows, (receipt.clone(), most));
    let pieces = pieces.enumerate().then(move |(at, piece)| {
        let (receipt, pacing) = (receipt.clone(), pacing.clone());
        async move {
            let piece = piece?;
            pacing.pace(piece.data_header.len().saturating_add(piece.data_body.len())).await;
            Ok(if at == 1 { piece.with_app_metadata(receipt) } else { piece })
        }
    });
    let watch = async move {
        let fault = session.over(&app).await;
        status::status(fault.into(), lang)
    };
    let stalled = async move { status::status(stalled().into(), lang) };
    Ok(guarded(pieces, watch, (STALLED, stalled), place))
}

/// A few rows that the node knows itself.
pub(super) fn batch(it: RecordBatch) -> Pieces {
    let broken = |_| Status::internal("the answer could not be written");
    let schema = it.schema();
    let rows = encoded(schema, stream::iter([Ok(it)]), (Bytes::new(), MESSAGE_BYTES));
    rows.map(move |it| it.map_err(broken)).boxed()
}

fn encoded(
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
    (receipt, most): (Bytes, usize),
) -> FlightDataEncoder {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_metadata(receipt)
        .with_max_flight_data_size(most)
        .build(rows)
}

fn stalled() -> Fault {
    let why = format!("nothing was taken for {} s; the rest is gone", STALLED.as_secs());
    Fault::denied("flight.stalled", "reader", why)
}

/// Hands out `pieces` until `watch` ends, or nothing is taken for the span of `stalled`; `place` is kept as long as
/// anything is held for the reader.
fn guarded(
    pieces: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    watch: impl Future<Output = Status> + Send + 'static,
    stalled: (Duration, impl Future<Output = Status> + Send + 'static),
    place: impl Send + 'static,
) -> Pieces {
    let (give, mut taken) = mpsc::channel(1);
    let cut: Arc<OnceLock<Status>> = Arc::default();
    let why = cut.clone();
    // A task of its own: the reader's end is polled only while the reader takes something.
    tokio::spawn(async move {
        let _place = place;
        let mut pieces = Box::pin(pieces);
        let mut watch = Box::pin(watch);
        loop {
            let room = tokio::select! {
                status = &mut watch => {
                    why.get_or_init(|| status);
                    return;
                }
                room = tokio::time::timeout(stalled.0, give.reserve()) => room,
            };
            let Ok(room) = room else {
                let status = stalled.1.await;
                why.get_or_init(|| status);
                return;
            };
            // The reader went away.
            let Ok(room) = room else { return };
            match pieces.next().await {
                Some(Ok(piece)) => room.send(piece),
                Some(Err(error)) => {
                    tracing::error!(%error, "a result cannot be read");
                    why.get_or_init(|| Status::internal("the result could not be read"));
                    return;
                }
                None => return,
            }
        }
    });
    let mut over = false;
    stream::poll_fn(move |context| {
        use std::task::Poll;
        if over {
            return Poll::Ready(None);
        }
        let next = match cut.get() {
            // What waits in the queue is not sent any more.
            Some(_) => Poll::Ready(None),
            None => taken.poll_recv(context),
        };
        next.map(|piece| {
            over = piece.is_none();
            piece.map(Ok).or_else(|| cut.get().cloned().map(Err))
        })
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    /// Counts what was asked of it.
    fn counted(
        asked: Arc<AtomicUsize>,
    ) -> impl Stream<Item = Result<FlightData, FlightError>> + Send {
        stream::repeat_with(move || {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(FlightData::new())
        })
    }

    fn never() -> impl Future<Output = Status> + Send {
        std::future::pending()
    }

    fn patient() -> (Duration, impl Future<Output = Status> + Send) {
        (STALLED, never())
    }

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn no_more_is_made_than_is_taken() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut pieces = guarded(counted(asked.clone()), never(), patient(), ());
        for taken in 1..5 {
            assert!(pieces.next().await.unwrap().is_ok());
            sleep(MOMENT).await;
            // One is queued.
            assert!(asked.load(Ordering::SeqCst) <= taken + 1);
        }
    }

    #[tokio::test]
    async fn a_cut_ends_with_its_reason_and_sends_nothing_more() {
        let (cut, wait) = oneshot::channel();
        let watch = async { wait.await.unwrap() };
        let mut pieces = guarded(counted(Arc::default()), watch, patient(), ());
        assert!(pieces.next().await.unwrap().is_ok());
        sleep(MOMENT).await;
        cut.send(Status::permission_denied("revoked")).unwrap();
        sleep(MOMENT).await;
        let end = pieces.next().await.unwrap().unwrap_err();
        assert_eq!((end.code(), end.message()), (tonic::Code::PermissionDenied, "revoked"));
        assert!(pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_frees_its_place() {
        let (place, freed) = oneshot::channel::<()>();
        let stalled = (MOMENT, async { status::status(stalled().into(), Lang::En) });
        let mut pieces = guarded(counted(Arc::default()), never(), stalled, place);
        assert!(pieces.next().await.unwrap().is_ok());
        assert!(tokio::time::timeout(STALLED, freed).await.unwrap().is_err(), "dropped, not sent");
        let end = pieces.next().await.unwrap().unwrap_err();
        assert!(end.message().contains("60 s"), "{end}");
    }

    #[tokio::test]
    async fn whole_results_end_without_a_status() {
        let three = stream::iter((0..3).map(|_| Ok(FlightData::new())));
        let pieces = guarded(three, never(), patient(), ());
        assert_eq!(pieces.filter(|it| std::future::ready(it.is_ok())).count().await, 3);
    }
}
