//! Who may call the API: the first administrator, sessions, API keys, and what each may do.
//!
//! Threat model: a stranger guesses passwords (Argon2id, lock-out whose time doubles, no difference
//! between a wrong name and a wrong password) or guesses so as to lock others out (tries count where they
//! come from, [`tries`]), replays an old link (one use, 30 minutes), steals the
//! database (no token or password is in it) or measures time (digests are compared in constant time).
//! Not protected against: whoever reads a person's token reads as that person until it ends.
//!
//! Never a default password: before the one-time link was used, nobody can sign in.

mod tries;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use sqlx::AnyConnection;

use tidm_crypto::hash::sha256;
use tidm_crypto::secret::ct_eq;
pub use tidm_space::people::scope::Scope;
pub use tries::FREE_FAILURES;
pub(crate) use tries::{NOWHERE, of_answer, of_code, right, spare, take_try, tried};

use tidm_space::id::Id;
use tidm_space::limits::SESSIONS_OF_ONE;
use tidm_space::people::decide::{self, Denied, Door, Person, Settings, State};
use tidm_space::people::log::ANONYMOUS;
use tidm_space::people::role::{self, Role};
use tidm_space::time::Time;

use crate::app::App;
use crate::passwords::{self, NOBODY, PASSWORD_BYTES, hash, verify};
use crate::people::{self, Invited, factor};
use crate::problem::Problem;
use crate::random;
use crate::store::StoreError;
use crate::store::accounts::{self as rows, KeyRow, SessionRow};
use crate::store::people::{Said, say};
use crate::store::writer::WorkError;

/// Life of the one-time link.
pub const SETUP_LIFE: Duration = Duration::from_secs(30 * 60);
/// The time of last use is written at most this often: reading must not cost a write each.
const TOUCH: Duration = Duration::from_secs(60);
const NAME_BYTES: usize = tidm_space::limits::PEOPLE_WORD_BYTES;
const TITLE_BYTES: usize = 128;
const SETTING: &str = "setup";

/// An authenticated caller.
#[derive(Clone, Debug)]
pub struct Who {
    pub account: String,
    /// Of a session; a key has none.
    pub session: Option<String>,
    /// Of a key: its id, and when it ends.
    pub(crate) key: Option<(String, Option<Time>)>,
    pub(crate) door: Door,
    pub(crate) person: Person,
    settings: Settings,
    /// The address that tries of passwords and codes are counted by.
    pub(crate) from: String,
    /// Shared by all that handle the call.
    call: Arc<Call>,
}

/// What the log is to know of one call besides its route.
#[derive(Debug, Default)]
struct Call {
    /// It has an entry of its own.
    logged: AtomicBool,
    about: Mutex<Option<Id>>,
}

impl Who {
    pub fn may(&self, scope: Scope) -> bool {
        self.check(scope).is_ok()
    }

    pub(crate) fn check(&self, scope: Scope) -> Result<(), Denied> {
        decide::may(&self.person, &self.door, scope, &self.settings)
    }

    /// Whether the session or key that opened the door is still there, inside a transaction.
    pub(crate) async fn stands(
        &self,
        conn: &mut AnyConnection,
        now: Time,
    ) -> Result<bool, StoreError> {
        let key = self.key.as_ref().map(|(id, _)| id.as_str());
        rows::stands(conn, self.session.as_deref(), key, now).await
    }

    /// The call has its entry, or is to have none: the door makes none.
    pub(crate) fn logged(&self) {
        self.call.logged.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_logged(&self) -> bool {
        self.call.logged.load(Ordering::Relaxed)
    }

    /// What the call is about, where its path does not say so.
    pub(crate) fn about(&self, what: &Id) {
        *self.call.about.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.clone());
    }

    pub(crate) fn subject(&self) -> Option<String> {
        let about = self.call.about.lock().unwrap_or_else(PoisonError::into_inner);
        about.as_ref().map(Id::to_string)
    }

    /// Logs a refusal of this call, in words of its own.
    pub(crate) async fn refused(
        &self,
        app: &App,
        act: &'static str,
        subject: &str,
        why: &str,
    ) -> Result<(), Problem> {
        self.logged();
        people::refused(app, &self.account, act, subject, why).await
    }

    /// A code of the second factor was given just now.
    pub(crate) fn prove(&mut self, now: Time) {
        match &mut self.door {
            Door::Session { proven } | Door::Key { proven, .. } => *proven = Some(now),
        }
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

pub(crate) fn secret() -> String {
    URL_SAFE_NO_PAD.encode(random::key().expose())
}

fn token(kind: Kind) -> (String, Token) {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let text = format!("{}.{id}.{}", kind.word(), secret());
    (id, Token(text))
}

pub(crate) fn digest(text: &str) -> String {
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

/// As [`made`]; what fails is logged.
pub async fn setup(
    app: &App,
    token: &str,
    name: &str,
    password: &str,
) -> Result<Vec<Invited>, Problem> {
    let done = made(app, token, name, password).await;
    if let Err(why) = &done {
        people::refused(app, ANONYMOUS, "setup", "", why.code).await?;
    }
    done
}

/// Creates the administrator, once. Where administrators are separated, that is the system administrator, and the two
/// others are invited: their links must reach two other people.
async fn made(app: &App, token: &str, name: &str, password: &str) -> Result<Vec<Invited>, Problem> {
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
    let separated = app.config.people.settings.separation;
    let roles = if separated { BTreeSet::from([Role::System]) } else { Role::everything() };
    let roles = role::write(&roles);
    let others = if separated { people::others(&name, now) } else { Vec::new() };
    let invited = others.clone();
    let made = Arc::new(Mutex::new(false));
    let told = made.clone();
    app.writer
        .note(move |conn| {
            let (setting, name, secret, roles, others, told) = (
                setting.clone(),
                name.clone(),
                secret.clone(),
                roles.clone(),
                others.clone(),
                told.clone(),
            );
            Box::pin(async move {
                let done =
                    rows::first_account(conn, &setting, &name, (&secret, &roles), now).await?;
                if done {
                    people::invite_others(conn, &others, now).await?;
                    say(conn, &Said::done(now, &name, "setup", &name)).await?;
                }
                *told.lock().unwrap_or_else(PoisonError::into_inner) = done;
                Ok(())
            })
        })
        .await
        .map_err(|why| broken(&why))?;
    let made = *made.lock().unwrap_or_else(PoisonError::into_inner);
    if made { Ok(invited) } else { Err(Problem::of("setup.done")) }
}

/// Signs in: the session's token, shown once. `from`: the address that tries are counted by.
pub async fn sign_in(
    app: &App,
    (name, password): (&str, &str),
    code: Option<&str>,
    from: &str,
) -> Result<Token, Problem> {
    let wrong = || Problem::of("auth.wrong");
    if name.is_empty() || name.len() > NAME_BYTES || password.len() > PASSWORD_BYTES {
        return Err(wrong());
    }
    let failed = |why| broken(&store_failed(why));
    let person = app.store.person(name).await.map_err(failed)?;
    let tries = tries::of_password(person.is_some(), name, from);
    take_try(app, &tries).await?;
    // An unknown name costs the same time as a known one, and so does one that is not active.
    let stored = app.store.password(name).await.map_err(failed)?;
    let fits = verify(password, stored.as_deref().unwrap_or(NOBODY)).await?;
    let active = person.filter(|it| it.state == State::Active);
    let Some(person) = active.filter(|_| fits) else {
        let (who, subject) = if stored.is_some() { (name, name) } else { (ANONYMOUS, "") };
        people::refused(app, who, "sign-in", subject, "wrong password or not active").await?;
        return Err(wrong());
    };
    right(app, &tries).await?;
    let proven = match (person.second_factor, code) {
        (false, _) => None,
        (true, None) => {
            people::refused(app, name, "sign-in", name, "no code of the second factor").await?;
            return Err(Problem::of("auth.code"));
        }
        (true, Some(code)) => Some(factor::spend(app, name, from, code).await?),
    };
    let found = (stored.as_deref().unwrap_or(NOBODY), person.second_factor);
    begin_session(app, name, "sign-in", proven, Some(found)).await
}

/// A session for whoever is `name`, still active, with the hash of the password and the second factor that were `found`.
pub(crate) async fn begin_session(
    app: &App,
    name: &str,
    act: &'static str,
    proven: Option<Time>,
    found: Option<(&str, bool)>,
) -> Result<Token, Problem> {
    let now = app.clock.now();
    let (id, token) = token(Kind::Session);
    let account = name.to_owned();
    let row =
        SessionRow { id, account, digest: digest(token.expose()), created: now, used: now, proven };
    let config = &app.config.people;
    let (born, idle) = (before(now, config.session), before(now, config.idle));
    let found = found.map(|(secret, factor)| (secret.to_owned(), factor));
    let begun = people::Slot::new();
    let told = begun.clone();
    app.writer
        .note(move |conn| {
            let (row, found, told) = (row.clone(), found.clone(), told.clone());
            Box::pin(async move {
                rows::sweep(conn, born, idle, now).await?;
                let stands = rows::active(conn, &row.account).await?;
                let stands = stands.is_some_and(|it| found.is_none_or(|found| it == found));
                told.put(stands);
                if !stands {
                    return Ok(());
                }
                say(conn, &Said::done(now, &row.account, act, &row.account)).await?;
                rows::save_session(conn, &row).await?;
                rows::bound_sessions(conn, &row.account, SESSIONS_OF_ONE).await
            })
        })
        .await
        .map_err(|why| broken(&why))?;
    if begun.take()? {
        return Ok(token);
    }
    people::refused(app, name, act, name, "the account was changed meanwhile").await?;
    Err(Problem::of("auth.wrong"))
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

/// A new API key, not kept yet; its token is shown once.
pub(crate) fn draft_key(
    now: Time,
    account: &str,
    title: &str,
    scopes: &[Scope],
    until: Option<Time>,
) -> Result<(KeyRow, Token), Problem> {
    let wrong = |why: &str| Err(Problem::of("request.malformed").detail(why));
    if scopes.is_empty() {
        return wrong("scopes: name at least one; admin stands for all that its owner may");
    }
    if title.trim().is_empty() || title.len() > TITLE_BYTES {
        return wrong("title: 1 to 128 bytes");
    }
    if until.is_some_and(|it| it <= now) {
        return wrong("until: lies in the past");
    }
    let scopes: BTreeSet<Scope> = scopes.iter().copied().collect();
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
    Ok((row, token))
}

/// A key that the node's own process makes. Whatever is written on a key, it opens no more than its owner may at the time.
pub async fn make_key(
    app: &App,
    account: &str,
    title: &str,
    scopes: &[Scope],
    until: Option<Time>,
) -> Result<(KeyRow, Token), Problem> {
    let (row, token) = draft_key(app.clock.now(), account, title, scopes, until)?;
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
    let (account, session, key, door) = if kind == Kind::Session.word() {
        let Some(row) = app.store.session(id).await? else { return Ok(None) };
        if !ct_eq(row.digest.as_bytes(), presented.as_bytes()) || is_over(app, &row, now) {
            return Ok(None);
        }
        if now.since(row.used) >= TOUCH {
            touch(app, id, now).await;
        }
        (row.account, Some(row.id), None, Door::Session { proven: row.proven })
    } else if kind == Kind::Key.word() {
        let Some(row) = app.store.api_key(id).await? else { return Ok(None) };
        if !ct_eq(row.digest.as_bytes(), presented.as_bytes())
            || row.until.is_some_and(|it| it <= now)
        {
            return Ok(None);
        }
        let scopes = row.scopes.split(' ').filter_map(Scope::from_word).collect();
        (row.account, None, Some((row.id, row.until)), Door::Key { scopes, proven: None })
    } else {
        return Ok(None);
    };
    // Rights are those of now, not those of when the token was made.
    let found = app.store.person(&account).await?;
    let Some(person) = found.filter(|it| it.state == State::Active) else { return Ok(None) };
    let settings = app.config.people.settings;
    let (from, call) = (NOWHERE.to_owned(), Arc::default());
    Ok(Some(Who { account, session, key, door, person, settings, from, call }))
}

/// Too old, or unused for too long.
pub(crate) fn is_over(app: &App, row: &SessionRow, now: Time) -> bool {
    let config = &app.config.people;
    now.since(row.created) >= config.session || now.since(row.used) >= config.idle
}

async fn touch(app: &App, id: &str, now: Time) {
    let id = id.to_owned();
    let touched = app.writer.note(move |conn| {
        let id = id.clone();
        Box::pin(async move { rows::touch_session(conn, &id, now).await })
    });
    if let Err(error) = touched.await {
        tracing::warn!(%error, "a session's last use could not be noted");
    }
}

fn before(now: Time, span: Duration) -> Time {
    Time::from_ms(now.ms() - i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
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

pub(crate) fn store_failed(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

pub(crate) fn broken(error: &WorkError) -> Problem {
    tracing::error!(%error, "the store failed while somebody signed in");
    Problem::of("internal")
}
