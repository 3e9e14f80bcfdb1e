//! How many connections deliver under one contract at a time, and how many bytes a second they take together.
//!
//! Threat model: a consumer may open thousands of connections, and read as fast as it can. It starves only itself:
//! every contract has a budget of its own. To close a connection and open another gains nothing, a budget is kept
//! until what was taken in advance is paid for.
//!
//! Never shared by two contracts, and never a promise of speed: it is a bound.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};

use tidm_space::id::Id;

use super::watch::Watch;
use crate::objects;

/// Under a bound, pieces are as large as what may pass in this time: a delivery that is cut off stops that soon.
const BEAT: u64 = 10;
/// Smallest piece under a bound.
const PIECE: usize = 1 << 10;
/// Contracts of which nothing is owed are forgotten when there are more than this.
const KEPT: usize = 4096;

/// What deliveries of one contract may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub connections: u32,
    /// Bytes per second, all connections together.
    pub rate: Option<NonZeroU64>,
}

/// Budgets, by contract (or data flow).
#[derive(Default)]
pub struct Budgets(Mutex<HashMap<Id, Share>>);

struct Share {
    taken: u32,
    /// When everything that was taken is paid for.
    paid: Instant,
}

impl Share {
    fn idle(&self) -> bool {
        self.taken == 0 && self.paid <= Instant::now()
    }
}

/// One delivery under way; dropping it frees its place.
pub struct Place {
    all: Arc<Budgets>,
    contract: Id,
    rate: Option<NonZeroU64>,
}

impl Budgets {
    fn shares(&self) -> MutexGuard<'_, HashMap<Id, Share>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the contract's connections; `None`: all are taken.
    pub fn take(self: &Arc<Self>, contract: &Id, bounds: Bounds) -> Option<Place> {
        let mut shares = self.shares();
        if shares.len() > KEPT {
            shares.retain(|_, it| !it.idle());
        }
        let fresh = || Share { taken: 0, paid: Instant::now() };
        let share = shares.entry(contract.clone()).or_insert_with(fresh);
        if share.taken >= bounds.connections {
            return None;
        }
        share.taken = share.taken.saturating_add(1);
        Some(Place { all: self.clone(), contract: contract.clone(), rate: bounds.rate })
    }
}

impl Place {
    /// Bytes to hand on at once.
    pub fn piece(&self) -> usize {
        let beat = |rate: NonZeroU64| usize::try_from(rate.get() / BEAT).unwrap_or(usize::MAX);
        self.rate.map_or(usize::MAX, |rate| beat(rate).max(PIECE))
    }

    /// Waits until these bytes may pass.
    pub async fn pace(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let cost = Duration::from_secs_f64(bytes as f64 / rate.get() as f64);
        let now = Instant::now();
        let wait = match self.all.shares().get_mut(&self.contract) {
            Some(share) => {
                let begin = share.paid.max(now);
                share.paid = begin + cost;
                begin - now
            }
            None => Duration::ZERO,
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shares = self.all.shares();
        if let Some(share) = shares.get_mut(&self.contract) {
            share.taken = share.taken.saturating_sub(1);
            if share.idle() {
                shares.remove(&self.contract);
            }
        }
    }
}

/// An object's bytes at the pace of its contract, as long as nobody stops them. An error inside a body cuts the
/// connection: the receiver sees a short body, never a wrong end.
pub fn paced(
    pieces: objects::Stream,
    place: Option<Place>,
    watch: Arc<Watch>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let begin = (pieces, Bytes::new(), place, watch);
    stream::try_unfold(begin, |(mut pieces, mut rest, place, watch)| async move {
        if rest.is_empty() {
            rest = match pieces.next().await {
                None => return Ok(None),
                Some(Ok(piece)) => piece,
                Some(Err(why)) => return Err(std::io::Error::other(why)),
            };
        }
        let most = place.as_ref().map_or(usize::MAX, Place::piece);
        let piece = rest.split_to(rest.len().min(most));
        if let Some(place) = &place {
            place.pace(piece.len()).await;
        }
        if watch.is_stopped() {
            let why = "this delivery was stopped";
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
        }
        watch.moved();
        Ok(Some((piece, (pieces, rest, place, watch))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::ObjectError;

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    #[test]
    fn places_are_counted_by_contract_and_freed() {
        let all = Arc::new(Budgets::default());
        let (a, b) = (id("a"), id("b"));
        let bounds = Bounds { connections: 8, rate: None };
        let held: Vec<Place> = (0..9).map_while(|_| all.take(&a, bounds)).collect();
        assert_eq!(held.len(), 8);
        assert!(all.take(&a, bounds).is_none());
        assert!(all.take(&b, bounds).is_some());
        drop(held);
        assert!(all.take(&a, bounds).is_some());
        assert!(all.0.lock().unwrap().is_empty());
    }

    async fn drain(all: &Arc<Budgets>, contract: &Id, rate: u64, bytes: usize) -> Duration {
        let bounds = Bounds { connections: 8, rate: NonZeroU64::new(rate) };
        let place = all.take(contract, bounds).unwrap();
        let whole: Result<Bytes, ObjectError> = Ok(Bytes::from(vec![7; bytes]));
        let pieces = stream::iter([whole]).boxed();
        let begun = Instant::now();
        let paced = paced(pieces, Some(place), Arc::default());
        let sizes: Vec<usize> = paced.map(|it| it.unwrap().len()).collect().await;
        assert_eq!(sizes.iter().sum::<usize>(), bytes);
        assert!(sizes.iter().all(|it| *it as u64 <= (rate / BEAT).max(PIECE as u64)));
        begun.elapsed()
    }

    /// Two connections of one contract take turns; another contract's do not wait for them.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_contracts_connections_share_its_rate_alone() {
        let all = Arc::new(Budgets::default());
        let (a, b) = (id("a"), id("b"));
        // 200 kB at 200 kB/s; the first piece of each contract goes at once.
        let (first, second, other) = tokio::join!(
            drain(&all, &a, 200_000, 100_000),
            drain(&all, &a, 200_000, 100_000),
            drain(&all, &b, 2_000_000, 200_000),
        );
        let slower = first.max(second);
        assert!(slower > Duration::from_millis(800), "{slower:?}");
        assert!(slower < Duration::from_millis(2000), "{slower:?}");
        assert!(other < Duration::from_millis(600), "{other:?}");
    }

    /// Whoever comes back before it paid finds the same budget.
    #[tokio::test]
    async fn reconnecting_gains_nothing() {
        let all = Arc::new(Budgets::default());
        let a = id("a");
        let begun = Instant::now();
        for _ in 0..6 {
            drain(&all, &a, 20_000, 2_000).await;
        }
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(450), "{took:?}");
    }
}
