//! Tries of passwords and codes: counted before they are checked, and locked out for a time that doubles.
//!
//! Threat model: guesses one after another, and many at the same time. Never a difference between names that exist and
//! others: both have a slot.

use std::time::Duration;

use sqlx::AnyConnection;

use tidm_space::time::Time;

use super::broken;
use crate::app::App;
use crate::passwords::{PASSWORD_BYTES, verify};
use crate::people::Slot;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::accounts as rows;

/// Failed sign-ins before the first lock-out.
pub const FREE_FAILURES: u32 = 5;
/// First lock-out; each further failure doubles it.
const LOCK_FIRST: Duration = Duration::from_secs(30);
/// Longest lock-out: a joker must not lock the administrator out for days.
const LOCK_LONGEST: Duration = Duration::from_secs(3600);

/// Counts a try before it is checked, in one transaction, so that tries at the same time cannot share one; a problem
/// while the slot is locked. Who got it right forgets them ([`forget_tries`]).
pub(crate) async fn take_try(app: &App, slot: &str) -> Result<(), Problem> {
    let (now, slot, taken) = (app.clock.now(), slot.to_owned(), Slot::new());
    let told = taken.clone();
    let noted = app.writer.note(move |conn| {
        let (slot, told) = (slot.clone(), told.clone());
        Box::pin(async move {
            told.put(count_try(conn, &slot, now).await?);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    taken.take()?.map_err(|until| {
        let mut it = Problem::of("auth.throttled");
        it.retry_after = Some(until.since(now));
        it
    })
}

/// `Err`: locked until then.
async fn count_try(
    conn: &mut AnyConnection,
    slot: &str,
    now: Time,
) -> Result<Result<(), Time>, StoreError> {
    let before = match rows::lockout(conn, slot).await? {
        Some((_, until)) if until > now => return Ok(Err(until)),
        Some((tries, _)) => tries,
        None => 0,
    };
    let tries = before.saturating_add(1);
    let until = tries.checked_sub(FREE_FAILURES).map_or(now, |beyond| {
        let doubled = LOCK_FIRST.saturating_mul(1 << beyond.min(16));
        now.after(doubled.min(LOCK_LONGEST))
    });
    if until > now {
        tracing::warn!(account = slot, tries, "no try after this one is heard for a while");
    }
    rows::save_lockout(conn, slot, tries, until).await?;
    Ok(Ok(()))
}

/// The last try was right.
pub(crate) async fn forget_tries(app: &App, slot: &str) -> Result<(), Problem> {
    let slot = slot.to_owned();
    let noted = app.writer.note(move |conn| {
        let slot = slot.clone();
        Box::pin(async move { rows::drop_lockout(conn, &slot).await })
    });
    noted.await.map_err(|why| broken(&why))
}

/// Whether this is the account's own password, counted as a try.
pub(crate) async fn tried(
    app: &App,
    account: &str,
    password: &str,
    stored: &str,
) -> Result<bool, Problem> {
    take_try(app, account).await?;
    let fits = password.len() <= PASSWORD_BYTES && verify(password, stored).await?;
    if fits {
        forget_tries(app, account).await?;
    }
    Ok(fits)
}
