//! A delivery under way, looked at from outside: whether it may go on, and whether its receiver still takes anything.
//!
//! Threat model: a receiver that stops reading would hold buffers, a file and a place for ever, and it would not
//! notice that its delivery was suspended: nobody asks for the next piece, so that nobody asks the rule. Therefore a
//! task of its own looks, and closes the connection.
//!
//! Never touches the bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::Notify;

/// How often a delivery under way is asked about. With the answer it ends within a second.
pub const LOOK: Duration = Duration::from_millis(400);

/// Whether a delivery may go on.
pub type Rule = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// A connection that its handlers may have closed.
#[derive(Clone, Default)]
pub struct Cut(Arc<Notify>);

impl Cut {
    pub fn now(&self) {
        self.0.notify_one();
    }

    /// Returns when somebody cut it.
    pub async fn made(&self) {
        self.0.notified().await;
    }
}

/// One delivery under way; it is over when it is dropped.
pub struct Watch {
    stopped: AtomicBool,
    last: Mutex<Instant>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { stopped: AtomicBool::new(false), last: Mutex::new(Instant::now()) }
    }
}

impl Watch {
    /// Begins to look. What takes nothing for `stalled`, or against the rule, is stopped and its connection closed.
    pub fn begin(rule: Rule, connection: Option<Cut>, stalled: Duration) -> Arc<Self> {
        let it = Arc::<Self>::default();
        tokio::spawn(look(Arc::downgrade(&it), rule, connection, stalled));
        it
    }

    /// A piece was handed on.
    pub fn moved(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// How long nothing was handed on.
    pub fn still_for(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

async fn look(watch: Weak<Watch>, rule: Rule, connection: Option<Cut>, stalled: Duration) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(still) = watch.upgrade().map(|it| it.still_for()) else { return };
        if still < stalled && rule().await {
            continue;
        }
        if let Some(it) = watch.upgrade() {
            it.stopped.store(true, Ordering::Release);
            tracing::debug!(still_ms = still.as_millis(), "a delivery is cut off");
            metrics::counter!("tidm_deliveries_cut_total").increment(1);
            if let Some(connection) = connection {
                connection.now();
            }
        }
        return;
    }
}
