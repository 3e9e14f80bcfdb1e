//! The second factor: a secret shared with an authenticator app, its codes, and codes for the day the phone is lost.
//!
//! Threat model: a stolen database holds no secret (sealed under a key of the seam, which backups leave out) and no
//! recovery code (digests of 80 random bits); a code that was overheard works no second time; guessing is locked out as
//! passwords are. Never shown again after enrolment, and never logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use tidm_crypto::aead::{NONCE_BYTES, open, seal};
use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain::PEOPLE_FACTOR;
use tidm_crypto::totp;
use tidm_space::time::Time;

use super::{Slot, refused};
use crate::accounts::{Who, broken, digest, of_code, store_failed, take_try, tried};
use crate::app::App;
use crate::passwords::NOBODY;
use crate::problem::Problem;
use crate::random;
use crate::store::people::tries::prove_tries;
use crate::store::people::{self as rows, Said, say};

/// Codes for the day the phone is lost.
const RECOVERY: usize = 10;
/// Letters of one: 80 bits.
const RECOVERY_CHARS: usize = 16;

/// Where wrong codes of an account are counted; no name begins with a space.
pub(crate) fn slot(name: &str) -> String {
    format!(" code {name}")
}

fn sealed_for(name: &str) -> Vec<u8> {
    tuple(PEOPLE_FACTOR, vec![Value::Text(name.to_owned())])
}

fn seal_secret(app: &App, name: &str, secret: &[u8]) -> Option<String> {
    let key = app.keys.people().ok()?;
    let nonce: [u8; NONCE_BYTES] = *random::key().expose().first_chunk()?;
    let sealed = seal(&key, nonce, &sealed_for(name), secret).ok()?;
    Some(STANDARD.encode([&nonce[..], &sealed].concat()))
}

/// The secret, where this node's keys open it.
fn open_secret(app: &App, name: &str, kept: &str) -> Option<tidm_crypto::secret::Secret<Vec<u8>>> {
    let key = app.keys.people().ok()?;
    let bytes = STANDARD.decode(kept).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    open(&key, *nonce, &sealed_for(name), sealed).ok()
}

/// A new secret, as the URI that apps read. Not asked for before [`confirm`].
pub async fn begin(app: &App, who: &Who, password: &str) -> Result<String, Problem> {
    session(who)?;
    its_owner(app, who, password).await?;
    let fresh = random::key();
    let secret = fresh.expose().get(..totp::SECRET_BYTES).unwrap_or_default();
    let name = who.account.clone();
    let sealed = seal_secret(app, &name, secret).ok_or_else(|| {
        tracing::error!("the secret of a second factor cannot be sealed");
        Problem::of("internal")
    })?;
    let label = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let issuer = label(&format!("tidm {}", app.config.node.org));
    let uri = format!(
        "otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        label(&name),
        totp::base32(secret)
    );
    let done = Slot::new();
    let told = done.clone();
    let (who, now) = (who.clone(), app.clock.now());
    let noted = app.writer.note(move |conn| {
        let (who, name, sealed, told) = (who.clone(), name.clone(), sealed.clone(), told.clone());
        Box::pin(async move {
            told.put(if who.stands(conn, now).await? {
                Ok(rows::offer_factor(conn, &name, &sealed).await?)
            } else {
                Err(Problem::of("auth.required"))
            });
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if done.take()?? { Ok(uri) } else { Err(Problem::of("people.factor")) }
}

/// The first code shows that the app has the secret; the recovery codes, shown once.
pub async fn confirm(app: &App, who: &Who, code: &str) -> Result<Vec<String>, Problem> {
    let session = session(who)?;
    let failed = |why| broken(&store_failed(why));
    let kept = app.store.factor(&who.account).await.map_err(failed)?;
    let kept = kept.filter(|it| !it.on).ok_or_else(|| Problem::of("people.factor"))?;
    take_try(app, &of_code(&who.account, &who.from)).await?;
    let step = step_of(app, &who.account, &kept.secret, kept.step, code);
    let step = step.ok_or_else(|| Problem::of("auth.code"))?;
    let codes: Vec<String> = (0..RECOVERY)
        .map(|_| totp::base32(random::key().expose()).chars().take(RECOVERY_CHARS).collect())
        .collect();
    let digests: Vec<String> = codes.iter().map(|it| digest(it)).collect();
    let (who, now, done) = (who.clone(), app.clock.now(), Slot::new());
    let told = done.clone();
    let noted = app.writer.note(move |conn| {
        let (who, kept, digests, session, told) =
            (who.clone(), kept.secret.clone(), digests.clone(), session.clone(), told.clone());
        Box::pin(async move {
            let name = who.account.clone();
            // The session may have ended while the code was on its way.
            let used =
                who.stands(conn, now).await? && rows::use_step(conn, &name, &kept, step).await?;
            if used {
                rows::confirm_factor(conn, &name, &digests).await?;
                prove_tries(conn, &slot(&name), &who.from, now).await?;
                rows::prove_session(conn, &session, now).await?;
                // Sessions begun without it must not outlive it.
                rows::drop_sessions(conn, &name, &session).await?;
                say(conn, &Said::done(now, &name, "factor.enrol", &name)).await?;
                who.logged();
            }
            told.put(used);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if done.take()? { Ok(codes) } else { Err(Problem::of("auth.code")) }
}

/// Without a second factor again; a code says that it is its owner who wants that.
pub async fn remove(app: &App, who: &Who, code: &str) -> Result<(), Problem> {
    session(who)?;
    let now = spend(app, &who.account, &who.from, code).await?;
    let (who, done) = (who.clone(), Slot::new());
    let told = done.clone();
    let noted = app.writer.note(move |conn| {
        let (who, told) = (who.clone(), told.clone());
        Box::pin(async move {
            let stands = who.stands(conn, now).await?;
            if stands {
                let name = who.account.as_str();
                rows::drop_factor(conn, name).await?;
                say(conn, &Said::done(now, name, "factor.remove", name)).await?;
                who.logged();
            }
            told.put(stands);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if done.take()? { Ok(()) } else { Err(Problem::of("auth.required")) }
}

/// A code given with a call: this call, and the session's next five minutes, are proven by it.
pub async fn prove(app: &App, who: &mut Who, code: &str) -> Result<(), Problem> {
    let now = spend(app, &who.account, &who.from, code).await?;
    who.prove(now);
    let Some(session) = who.session.clone() else { return Ok(()) };
    let noted = app.writer.note(move |conn| {
        let session = session.clone();
        Box::pin(async move { rows::prove_session(conn, &session, now).await })
    });
    noted.await.map_err(|why| broken(&why))
}

/// Uses a code up, of the app or for recovery: when that was. Wrong ones are counted and lock as passwords do.
pub(crate) async fn spend(app: &App, name: &str, from: &str, code: &str) -> Result<Time, Problem> {
    let failed = |why| broken(&store_failed(why));
    let kept = app.store.factor(name).await.map_err(failed)?.filter(|it| it.on);
    let Some(kept) = kept else { return Err(Problem::of("people.factor")) };
    take_try(app, &of_code(name, from)).await?;
    let code = code.trim().to_uppercase();
    let step = step_of(app, name, &kept.secret, kept.step, &code);
    let recovery = (code.len() == RECOVERY_CHARS).then(|| digest(&code));
    let (now, done) = (app.clock.now(), Slot::new());
    let (account, near) = (name.to_owned(), from.to_owned());
    let told = done.clone();
    let noted = app.writer.note(move |conn| {
        let (name, near) = (account.clone(), near.clone());
        let (kept, recovery, told) = (kept.secret.clone(), recovery.clone(), told.clone());
        Box::pin(async move {
            let mut used = false;
            if let Some(step) = step {
                used = rows::use_step(conn, &name, &kept, step).await?;
            } else if let Some(code) = recovery {
                used = rows::use_code(conn, &name, &code).await?;
                if used {
                    say(conn, &Said::done(now, &name, "factor.recovery", &name)).await?;
                }
            }
            if used {
                prove_tries(conn, &slot(&name), &near, now).await?;
            }
            told.put(used);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if done.take()? {
        return Ok(now);
    }
    refused(app, name, "factor.code", name, "wrong or used").await?;
    Err(Problem::of("auth.code"))
}

fn step_of(app: &App, name: &str, kept: &str, last: Option<u64>, code: &str) -> Option<u64> {
    let Some(secret) = open_secret(app, name, kept) else {
        tracing::error!(account = name, "the secret of a second factor cannot be opened");
        return None;
    };
    let seconds = u64::try_from(app.clock.now().seconds()).ok()?;
    totp::accept(secret.expose(), seconds, last, code)
}

/// Its owner's act, not a program's.
fn session(who: &Who) -> Result<String, Problem> {
    who.session.clone().ok_or_else(|| Problem::of("auth.required").detail("a session, not a key"))
}

/// A session that somebody left open is not enough to put another factor in its owner's place. Who signs in at an
/// identity provider has no password here, and is asked for none.
async fn its_owner(app: &App, who: &Who, password: &str) -> Result<(), Problem> {
    let failed = |why| broken(&store_failed(why));
    let stored = app.store.password(&who.account).await.map_err(failed)?;
    let stored = stored.unwrap_or_default();
    if stored == NOBODY {
        return Ok(());
    }
    if tried(app, who, password, &stored).await? { Ok(()) } else { Err(Problem::of("auth.wrong")) }
}
