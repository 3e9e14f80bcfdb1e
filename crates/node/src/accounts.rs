//! Who may call the API: the first administrator, sessions, API keys, and what each may do.
//!
//! Threat model: a stranger guesses passwords (Argon2id, lock-out whose time doubles, no difference
//! between a wrong name and a wrong password), replays an old link (one use, 30 minutes), steals the
//! database (no token or password is in it) or measures time (digests are compared in constant time).
//! Not protected against: whoever reads a person's token reads as that person until it ends.
//!
//! Never a default password: before the one-time link was used, nobody can sign in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use tidm_crypto::hash::sha256;
use tidm_crypto::secret::ct_eq;
use tidm_space::time::Time;

use crate::app::App;
use crate::passwords::{self, NOBODY, PASSWORD_BYTES, hash, verify};
use crate::problem::Problem;
use crate::random;
use crate::store::StoreError;
use crate::store::accounts::{self as rows, KeyRow, SessionRow};
use crate::store::writer::WorkError;

/// Life of the one-time link.
pub const SETUP_LIFE: Duration = Duration::from_secs(30 * 60);
/// A session ends after this long whatever happens.
pub const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);
/// A session that nobody uses ends sooner.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// The time of last use is written at most this often: reading must not cost a write each.
const TOUCH: Duration = Duration::from_secs(60);
/// Failed sign-ins before the first lock-out.
pub const FREE_FAILURES: u32 = 5;
/// First lock-out; each further failure doubles it.
const LOCK_FIRST: Duration = Duration::from_secs(30);
/// Longest lock-out: a joker must not lock the administrator out for days.
const LOCK_LONGEST: Duration = Duration::from_secs(3600);
const NAME_BYTES: usize = 64;
const TITLE_BYTES: usize = 128;
const SETTING: &str = "setup";

/// What a caller may do. A key carries some, an administrator's session all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Publish,
    Contract,
    Use,
    Audit,
    Admin,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Publish, Self::Contract, Self::Use, Self::Audit, Self::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Contract => "contract",
            Self::Use => "use",
            Self::Audit => "audit",
            Self::Admin => "admin",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub account: String,
    scopes: Vec<Scope>,
    /// Of a session; a key has none.
    pub session: Option<String>,
}

impl Who {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// A token as it is shown once: `tidm-session.ID.SECRET` or `tidm-key.ID.SECRET`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Session,
    Key,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Session => "tidm-session",
            Self::Key => "tidm-key",
        }
    }
}

fn secret() -> String {
    URL_SAFE_NO_PAD.encode(random::key().expose())
}

fn token(kind: Kind) -> (String, Token) {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let text = format!("{}.{id}.{}", kind.word(), secret());
    (id, Token(text))
}

fn digest(text: &str) -> String {
    sha256(text.as_bytes()).to_string()
}

/// Whether the node still has nobody who may sign in.
pub async fn setup_needed(app: &App) -> Result<bool, StoreError> {
    Ok(!app.store.has_account().await?)
}

/// A fresh one-time token for the first administrator; replaces an earlier one. `None`: there is one already.
pub async fn setup_token(app: &App) -> Result<Option<String>, WorkError> {
    if !setup_needed(app).await.map_err(store_failed)? {
        return Ok(None);
    }
    let token = secret();
    let value = format!("{} {}", digest(&token), app.clock.now().after(SETUP_LIFE).ms());
    app.writer
        .note(move |conn| {
            let value = value.clone();
            Box::pin(async move { rows::set(conn, SETTING, &value).await })
        })
        .await?;
    Ok(Some(token))
}

/// Creates the administrator, once.
pub async fn setup(app: &App, token: &str, name: &str, password: &str) -> Result<(), Problem> {
    let refused = || Problem::of("setup.token");
    if !setup_needed(app).await.map_err(|why| broken(&store_failed(why)))? {
        return Err(Problem::of("setup.done"));
    }
    let setting = app
        .store
        .setting(SETTING)
        .await
        .map_err(|why| broken(&store_failed(why)))?
        .ok_or_else(refused)?;
    let (expected, until) = setting.split_once(' ').ok_or_else(refused)?;
    let until = Time::from_ms(until.parse().unwrap_or(0));
    if !ct_eq(expected.as_bytes(), digest(token).as_bytes()) || app.clock.now() >= until {
        return Err(refused());
    }
    check_name(name)?;
    passwords::check(name, password)?;
    let secret = hash(password).await?;
    let (name, now) = (name.to_owned(), app.clock.now());
    let made = Arc::new(Mutex::new(false));
    let told = made.clone();
    app.writer
        .note(move |conn| {
            let (setting, name, secret, told) =
                (setting.clone(), name.clone(), secret.clone(), told.clone());
            Box::pin(async move {
                let done = rows::first_account(conn, &setting, &name, &secret, now).await?;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = done;
                Ok(())
            })
        })
        .await
        .map_err(|why| broken(&why))?;
    let made = *made.lock().unwrap_or_else(PoisonError::into_inner);
    if made { Ok(()) } else { Err(Problem::of("setup.done")) }
}

/// Signs in: the session's token, shown once.
pub async fn sign_in(app: &App, name: &str, password: &str) -> Result<Token, Problem> {
    let wrong = || Problem::of("auth.wrong");
    if name.is_empty() || name.len() > NAME_BYTES || password.len() > PASSWORD_BYTES {
        return Err(wrong());
    }
    let now = app.clock.now();
    let account = app.store.account(name).await.map_err(|why| broken(&store_failed(why)))?;
    let known = account.is_some();
    // Unknown names share some rows, so that they lock like known ones and yet nobody fills the table.
    let slot = if known {
        name.to_owned()
    } else {
        format!(" {}", digest(name).get(..3).unwrap_or_default())
    };
    let lockout = app.store.lockout(&slot).await.map_err(|why| broken(&store_failed(why)))?;
    let failures = match lockout {
        Some((_, until)) if until > now => {
            let mut it = Problem::of("auth.throttled");
            it.retry_after = Some(until.since(now));
            return Err(it);
        }
        Some((failures, _)) => failures,
        None => 0,
    };
    // An unknown name costs the same time as a known one.
    let stored = account.map_or_else(|| NOBODY.to_owned(), |(secret, _)| secret);
    if !verify(password, &stored).await? || !known {
        lock(app, &slot, failures.saturating_add(1), now).await?;
        return Err(wrong());
    }
    let (id, token) = token(Kind::Session);
    let row = SessionRow {
        id,
        account: name.to_owned(),
        digest: digest(token.expose()),
        created: now,
        used: now,
    };
    let (born, idle) = (before(now, SESSION_LIFE), before(now, SESSION_IDLE));
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move {
                rows::drop_lockout(conn, &row.account).await?;
                rows::sweep(conn, born, idle, now).await?;
                rows::save_session(conn, &row).await
            })
        })
        .await
        .map_err(|why| broken(&why))?;
    Ok(token)
}

async fn lock(app: &App, name: &str, failures: u32, now: Time) -> Result<(), Problem> {
    let until = failures.checked_sub(FREE_FAILURES).map_or(now, |beyond| {
        let doubled = LOCK_FIRST.saturating_mul(1 << beyond.min(16));
        now.after(doubled.min(LOCK_LONGEST))
    });
    if until > now {
        tracing::warn!(account = name, failures, "sign-in is locked for a while");
    }
    let name = name.to_owned();
    app.writer
        .note(move |conn| {
            let name = name.clone();
            Box::pin(async move { rows::save_lockout(conn, &name, failures, until).await })
        })
        .await
        .map_err(|why| broken(&why))
}

pub async fn sign_out(app: &App, session: &str) -> Result<(), Problem> {
    let session = session.to_owned();
    app.writer
        .note(move |conn| {
            let session = session.clone();
            Box::pin(async move { rows::drop_session(conn, &session).await })
        })
        .await
        .map_err(|why| broken(&why))
}

/// A new API key, shown once. An administrator gives; nobody gives more than that.
pub async fn make_key(
    app: &App,
    account: &str,
    title: &str,
    scopes: &[Scope],
    until: Option<Time>,
) -> Result<(KeyRow, Token), Problem> {
    let now = app.clock.now();
    if scopes.is_empty() {
        return Err(Problem::of("request.malformed")
            .detail("scopes: name at least one of read, publish, contract, use, audit, admin"));
    }
    if title.trim().is_empty() || title.len() > TITLE_BYTES {
        return Err(Problem::of("request.malformed").detail("title: 1 to 128 bytes"));
    }
    if until.is_some_and(|it| it <= now) {
        return Err(Problem::of("request.malformed").detail("until: lies in the past"));
    }
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let (id, token) = token(Kind::Key);
    let row = KeyRow {
        id,
        account: account.to_owned(),
        title: title.trim().to_owned(),
        digest: digest(token.expose()),
        scopes: scopes.iter().map(|it| it.word()).collect::<Vec<_>>().join(" "),
        created: now,
        until,
    };
    let saved = row.clone();
    app.writer
        .note(move |conn| {
            let row = saved.clone();
            Box::pin(async move { rows::save_key(conn, &row).await })
        })
        .await
        .map_err(|why| broken(&why))?;
    Ok((row, token))
}

/// `false`: no such key.
pub async fn revoke_key(app: &App, id: &str) -> Result<bool, Problem> {
    let id = id.to_owned();
    let found = Arc::new(Mutex::new(false));
    let told = found.clone();
    app.writer
        .note(move |conn| {
            let (id, told) = (id.clone(), told.clone());
            Box::pin(async move {
                let done = rows::drop_key(conn, &id).await?;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = done;
                Ok(())
            })
        })
        .await
        .map_err(|why| broken(&why))?;
    let found = *found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(found)
}

/// Who presents this token; `None`: nobody that we know, or no longer.
pub async fn authenticate(app: &App, token: &str) -> Result<Option<Who>, StoreError> {
    let mut parts = token.splitn(3, '.');
    let (Some(kind), Some(id), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(None);
    };
    if id.len() != 32 || !id.bytes().all(|it| it.is_ascii_alphanumeric()) {
        return Ok(None);
    }
    let presented = digest(token);
    let now = app.clock.now();
    if kind == Kind::Session.word() {
        let Some(row) = app.store.session(id).await? else { return Ok(None) };
        let over = now.since(row.created) >= SESSION_LIFE || now.since(row.used) >= SESSION_IDLE;
        if !ct_eq(row.digest.as_bytes(), presented.as_bytes()) || over {
            return Ok(None);
        }
        if now.since(row.used) >= TOUCH {
            let id = id.to_owned();
            let touched = app.writer.note(move |conn| {
                let id = id.clone();
                Box::pin(async move { rows::touch_session(conn, &id, now).await })
            });
            if let Err(error) = touched.await {
                tracing::warn!(%error, "a session's last use could not be noted");
            }
        }
        return Ok(Some(Who {
            account: row.account,
            scopes: Scope::ALL.to_vec(),
            session: Some(row.id),
        }));
    }
    if kind == Kind::Key.word() {
        let Some(row) = app.store.api_key(id).await? else { return Ok(None) };
        if !ct_eq(row.digest.as_bytes(), presented.as_bytes())
            || row.until.is_some_and(|it| it <= now)
        {
            return Ok(None);
        }
        let scopes = row.scopes.split(' ').filter_map(Scope::from_word).collect();
        return Ok(Some(Who { account: row.account, scopes, session: None }));
    }
    Ok(None)
}

fn before(now: Time, span: Duration) -> Time {
    Time::from_ms(now.ms() - i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let fine = !name.is_empty()
        && name.len() <= NAME_BYTES
        && name == name.trim()
        && !name.chars().any(char::is_control);
    if fine {
        Ok(())
    } else {
        Err(Problem::of("request.malformed")
            .detail("name: 1 to 64 bytes, no control characters, no spaces around it"))
    }
}

fn store_failed(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

fn broken(error: &WorkError) -> Problem {
    tracing::error!(%error, "the store failed while somebody signed in");
    Problem::of("internal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_scopes_lead_back() {
        for it in Scope::ALL {
            assert_eq!(Scope::from_word(it.word()), Some(it));
        }
        assert_eq!(Scope::from_word("root"), None);
    }
}
