//! Tries of passwords, codes and sign-ins at the identity provider: counted before they are checked, locked out for a time that
//! doubles, forgotten with time.
//!
//! Tries are counted by name and address, and by name alone over all addresses from which nobody got it right within the
//! last month. So whoever guesses from elsewhere locks out themselves, and with many addresses every stranger, but never
//! somebody at an address of theirs. Who comes back from the provider has no name yet: such tries are counted by address
//! alone, so that strangers elsewhere keep nobody out. Each try is forgotten after a time of its own ([`Pace`]).
//!
//! Threat model: guesses one after another, many at the same time, from many addresses; guesses that are meant to lock
//! the owner out. Not covered: whoever shares the owner's address, as everybody does behind a proxy: they lock the owner
//! out, until their tries are forgotten or somebody unlocks the name. Never a difference between names that exist and others.

use std::time::Duration;

use sqlx::AnyConnection;

use tidm_space::people::log::ANONYMOUS;
use tidm_space::time::Time;

use super::{Who, broken, digest};
use crate::app::App;
use crate::passwords::{PASSWORD_BYTES, verify};
use crate::people::factor::slot;
use crate::people::{Slot, refused};
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::people::tries::{self as rows, Tries};

/// Failed sign-ins before the first lock-out of an address.
pub const FREE_FAILURES: u32 = 5;
/// First lock-out; each further failure doubles it.
const LOCK_FIRST: Duration = Duration::from_secs(30);
/// Where it was right, an address is known for so long.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Of a caller whose address nobody told.
pub(crate) const NOWHERE: &str = "-";

/// How many tries are free, how long a lock-out is at most, and when a try is forgotten.
struct Pace {
    free: u32,
    longest: Duration,
    forgotten: Duration,
}

/// One address and name: 24 guesses a day.
const ADDRESS: Pace = Pace {
    free: FREE_FAILURES,
    longest: Duration::from_secs(3600),
    forgotten: Duration::from_secs(3600),
};
/// Passwords of one name from all strange addresses: 144 a day. A short lock-out, since it meets its owner, too, on a
/// journey.
const NAME: Pace =
    Pace { free: 50, longest: Duration::from_secs(900), forgotten: Duration::from_secs(600) };
/// Codes have six digits, of which three are right at a time: 24 guesses a day.
const CODE: Pace =
    Pace { free: 20, longest: Duration::from_secs(3600), forgotten: Duration::from_secs(3600) };

/// Answers of the provider from one address: nothing there can be guessed, yet each may cost a call at the provider. More are
/// free, and a lock-out is shorter, than for passwords, since all people of an office may share the address.
const ANSWER: Pace =
    Pace { free: 30, longest: Duration::from_secs(300), forgotten: Duration::from_secs(300) };
/// No account's name begins with a space.
const PROVIDER: &str = " provider";

/// Whose tries are counted, and where they come from.
pub(crate) struct Counted<'a> {
    slot: String,
    from: &'a str,
    own: &'static Pace,
    /// Over all strange addresses; `None`: they are not counted together.
    all: Option<&'static Pace>,
    /// Whom the log calls by name.
    account: Option<&'a str>,
}

/// `known`: there is an account of this name.
pub(super) fn of_password<'a>(known: bool, name: &'a str, from: &'a str) -> Counted<'a> {
    // Unknown names share some rows, so that they lock like known ones and yet nobody fills the table.
    let shared = || {
        let text = digest(name);
        let hex = text.rsplit(':').next().unwrap_or_default();
        format!(" {}", hex.get(..3).unwrap_or_default())
    };
    let slot = if known { name.to_owned() } else { shared() };
    Counted { slot, from, own: &ADDRESS, all: Some(&NAME), account: known.then_some(name) }
}

pub(crate) fn of_code<'a>(name: &'a str, from: &'a str) -> Counted<'a> {
    Counted { slot: slot(name), from, own: &ADDRESS, all: Some(&CODE), account: Some(name) }
}

pub(crate) fn of_answer(from: &str) -> Counted<'_> {
    Counted { slot: PROVIDER.to_owned(), from, own: &ANSWER, all: None, account: None }
}

/// What counting a try found.
#[derive(Clone, Copy)]
enum Heard {
    /// It is; the lock-out that follows it, and how many tries brought it about.
    Yes(Option<(Time, u32)>),
    /// It is not, until then.
    No(Time),
}

/// Counts a try before it is checked, in one transaction, so that tries at the same time cannot share one; a problem
/// while no try is heard. Who got it right says so ([`right`]).
pub(crate) async fn take_try(app: &App, it: &Counted<'_>) -> Result<(), Problem> {
    let (now, paces, taken) = (app.clock.now(), (it.own, it.all), Slot::new());
    let (told, slot, from) = (taken.clone(), it.slot.clone(), it.from.to_owned());
    let noted = app.writer.note(move |conn| {
        let (slot, from, told) = (slot.clone(), from.clone(), told.clone());
        Box::pin(async move {
            told.put(count_try(conn, (&slot, &from), paces, now).await?);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    let (who, subject) = (it.account.unwrap_or(ANONYMOUS), it.account.unwrap_or_default());
    match taken.take()? {
        Heard::Yes(None) => Ok(()),
        Heard::Yes(Some((until, tries))) => {
            tracing::warn!(account = it.slot, tries, "no try after this one is heard for a while");
            let why = format!("{tries} tries; the next is heard at {until}");
            refused(app, who, "lock-out", subject, &why).await
        }
        Heard::No(until) => {
            let why = format!("locked out until {until}");
            refused(app, who, "sign-in", subject, &why).await?;
            let mut it = Problem::of("auth.throttled");
            it.retry_after = Some(until.since(now));
            Err(it)
        }
    }
}

async fn count_try(
    conn: &mut AnyConnection,
    (slot, from): (&str, &str),
    (pace, over_all): (&Pace, Option<&Pace>),
    now: Time,
) -> Result<Heard, StoreError> {
    let month = now.ms().saturating_sub(i64::try_from(KNOWN.as_millis()).unwrap_or(i64::MAX));
    rows::sweep_tries(conn, now, Time::from_ms(month)).await?;
    let own = rows::tries(conn, slot, from).await?;
    let known = own.proven.ms() > month.max(0);
    let all = match over_all.filter(|_| !known) {
        Some(pace) => Some((rows::tries(conn, slot, "").await?, pace)),
        None => None,
    };
    let locked = [Some(own), all.map(|it| it.0)].into_iter().flatten().map(|it| it.until).max();
    if let Some(until) = locked.filter(|it| *it > now) {
        return Ok(Heard::No(until));
    }
    let (own, tries) = one_more(own, pace, now);
    rows::save_tries(conn, slot, from, &own).await?;
    let mut lock = (own.until > now).then_some((own.until, tries));
    if let Some((all, pace)) = all {
        let (all, tries) = one_more(all, pace, now);
        rows::save_tries(conn, slot, "", &all).await?;
        if all.until > now && lock.is_none_or(|(until, _)| until < all.until) {
            lock = Some((all.until, tries));
        }
    }
    Ok(Heard::Yes(lock))
}

/// With one try more, and how many are not forgotten.
fn one_more(it: Tries, pace: &Pace, now: Time) -> (Tries, u32) {
    let forgotten = it.forgotten.max(now).after(pace.forgotten);
    let kept = forgotten.since(now).as_millis().div_ceil(pace.forgotten.as_millis().max(1));
    let tries = u32::try_from(kept).unwrap_or(u32::MAX);
    let until = tries.checked_sub(pace.free).map_or(now, |beyond| {
        let doubled = LOCK_FIRST.saturating_mul(1 << beyond.min(16));
        now.after(doubled.min(pace.longest))
    });
    (Tries { forgotten, until, ..it }, tries)
}

/// The last try was right: from here, nothing is held against the name.
pub(crate) async fn right(app: &App, it: &Counted<'_>) -> Result<(), Problem> {
    let (slot, from, now) = (it.slot.clone(), it.from.to_owned(), app.clock.now());
    let noted = app.writer.note(move |conn| {
        let (slot, from) = (slot.clone(), from.clone());
        Box::pin(async move { rows::prove_tries(conn, &slot, &from, now).await })
    });
    noted.await.map_err(|why| broken(&why))
}

/// The last try failed for what the caller has no part in: it is forgotten, with a lock-out that there would be none without it.
pub(crate) async fn spare(app: &App, it: &Counted<'_>) -> Result<(), Problem> {
    let (slot, from, pace, now) = (it.slot.clone(), it.from.to_owned(), it.own, app.clock.now());
    let noted = app.writer.note(move |conn| {
        let (slot, from) = (slot.clone(), from.clone());
        Box::pin(async move {
            let found = rows::tries(conn, &slot, &from).await?;
            rows::save_tries(conn, &slot, &from, &one_less(found, pace, now)).await
        })
    });
    noted.await.map_err(|why| broken(&why))
}

fn one_less(it: Tries, pace: &Pace, now: Time) -> Tries {
    let less = i64::try_from(pace.forgotten.as_millis()).unwrap_or(i64::MAX);
    let forgotten = Time::from_ms(it.forgotten.ms().saturating_sub(less).max(0));
    let kept = forgotten.since(now).as_millis().div_ceil(pace.forgotten.as_millis().max(1));
    let until = if kept < u128::from(pace.free) { Time::ZERO } else { it.until };
    Tries { forgotten, until, ..it }
}

/// Whether this is the caller's own password, counted as a try.
pub(crate) async fn tried(
    app: &App,
    who: &Who,
    password: &str,
    stored: &str,
) -> Result<bool, Problem> {
    let it = of_password(true, &who.account, &who.from);
    take_try(app, &it).await?;
    let fits = password.len() <= PASSWORD_BYTES && verify(password, stored).await?;
    if fits {
        right(app, &it).await?;
    }
    Ok(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(it: i64) -> Time {
        Time::from_ms(it * 1000)
    }

    /// `tries` tries, one each `every` seconds, those that are heard: the longest time that none was.
    fn locked(pace: &Pace, every: i64, tries: i64) -> Duration {
        let start = 1_000_000;
        let mut it = Tries { forgotten: Time::ZERO, until: Time::ZERO, proven: Time::ZERO };
        let mut longest = Duration::ZERO;
        for at in (0..tries).map(|number| seconds(start + number * every)) {
            if it.until <= at {
                it = one_more(it, pace, at).0;
                longest = longest.max(it.until.since(at));
            }
        }
        longest
    }

    #[test]
    fn tries_are_forgotten_and_locks_are_bounded() {
        for (pace, every, tries, expected) in [
            (&ADDRESS, 1, 4, 0),
            (&ADDRESS, 1, 5, 30),
            (&ADDRESS, 31, 6, 60),
            (&ADDRESS, 1, 100_000, 3600),
            // One an hour, for ever, locks nobody.
            (&ADDRESS, 3600, 10_000, 0),
            (&NAME, 1, 49, 0),
            (&NAME, 1, 50, 30),
            (&NAME, 1, 1_000_000, 900),
            (&NAME, 600, 10_000, 0),
            (&CODE, 1, 20, 30),
            (&ANSWER, 1, 29, 0),
            (&ANSWER, 1, 31, 30),
            (&ANSWER, 1, 1_000_000, 300),
            (&ANSWER, 300, 10_000, 0),
        ] {
            let found = locked(pace, every, tries);
            assert_eq!(found, Duration::from_secs(expected), "{tries} tries, one in {every} s");
        }
    }
}
