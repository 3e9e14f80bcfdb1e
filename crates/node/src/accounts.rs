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

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use tokio::sync::Semaphore;

use tidm_crypto::hash::sha256;
use tidm_crypto::secret::ct_eq;
use tidm_space::time::Time;

use crate::app::App;
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
/// Shortest password, in characters (NIST SP 800-63B asks for 8; nothing else protects this one).
const PASSWORD_CHARS: usize = 10;
/// Longest password and name, in bytes: hashing is not a way to keep us busy.
const PASSWORD_BYTES: usize = 1024;
const NAME_BYTES: usize = 64;
const TITLE_BYTES: usize = 128;
/// Passwords hashed side by side: each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(2);
/// OWASP's first choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
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
    check_password(name, password)?;
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

/// Passwords that top every list of stolen ones and are long enough to pass otherwise.
const COMMON: &[&str] = &[
    "1234567890",
    "12345678910",
    "0123456789",
    "0987654321",
    "9876543210",
    "1q2w3e4r5t",
    "1qaz2wsx3edc",
    "qwertyuiop",
    "qwerty12345",
    "qwerty1234",
    "qwerty123456",
    "password12",
    "password123",
    "password1234",
    "password12345",
    "passw0rd123",
    "p@ssw0rd123",
    "p@ssword123",
    "p@ssw0rd1234",
    "adminadmin",
    "admin12345",
    "admin123456",
    "admin@12345",
    "administrator",
    "administrator1",
    "iloveyou123",
    "welcome123",
    "welcome1234",
    "letmein123",
    "changeme123",
    "changeme1234",
    "a123456789",
    "aa12345678",
    "abc1234567",
    "abcd123456",
    "abcdefghij",
    "asdfghjkl1",
    "asdfghjkl;",
    "woaini1314",
    "woaini1314520",
    "woaini520520",
    "5201314520",
    "1314520520",
    "147258369a",
    "1472583690",
    "q123456789",
    "qq123456789",
    "zxcvbnm123",
    "zxcvbnm,./",
    "superman123",
    "football123",
    "tidmtidmtidm",
];

fn check_password(name: &str, password: &str) -> Result<(), Problem> {
    let weak = |why: &str| Err(Problem::of("setup.password").detail(why));
    if password.chars().count() < PASSWORD_CHARS || password.len() > PASSWORD_BYTES {
        return weak("password: at least 10 characters");
    }
    let low = password.to_lowercase();
    let mut distinct: Vec<char> = low.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if COMMON.contains(&low.as_str()) || distinct.len() < 4 {
        return weak("password: it is on every list of guesses");
    }
    if low.contains(&name.to_lowercase()) && low.len() < name.len() + PASSWORD_CHARS {
        return weak("password: it is made of the name");
    }
    Ok(())
}

/// A string that no password matches: its hash is of random bytes nobody kept.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$0Jz6fVnqvF1kq9z8gqkq0yqf3mQ2nq0h1u8oXr7bJ4w";

/// PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
async fn hash(password: &str) -> Result<String, Problem> {
    let salt: [u8; 16] = random::key().expose().first_chunk().copied().unwrap_or_default();
    let out = derive(password, salt.to_vec(), MEMORY_KIB, PASSES).await?;
    Ok(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(out)
    ))
}

async fn verify(password: &str, stored: &str) -> Result<bool, Problem> {
    let Some((memory, passes, salt, expected)) = parse_phc(stored) else {
        tracing::error!("an account's secret cannot be read");
        return Ok(false);
    };
    let found = derive(password, salt, memory, passes).await?;
    Ok(ct_eq(&found, &expected))
}

/// (KiB, passes, salt, hash) of a string of ours.
fn parse_phc(text: &str) -> Option<(u32, u32, Vec<u8>, Vec<u8>)> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',').map(|it| it.split_once('=').map(|(_, value)| value));
    let memory = costs.next()??.parse().ok()?;
    let passes = costs.next()??.parse().ok()?;
    let salt = STANDARD_NO_PAD.decode(salt).ok()?;
    let hash = STANDARD_NO_PAD.decode(hash).ok()?;
    (parts.next().is_none() && hash.len() == 32).then_some((memory, passes, salt, hash))
}

async fn derive(
    password: &str,
    salt: Vec<u8>,
    memory: u32,
    passes: u32,
) -> Result<[u8; 32], Problem> {
    let password = zeroize::Zeroizing::new(password.to_owned());
    let failed = || Problem::of("internal");
    let place = HASHING.acquire().await.map_err(|_| failed())?;
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        let params = Params::new(memory, passes, 1, Some(32)).ok()?;
        let mut out = [0; 32];
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon.hash_password_into(password.as_bytes(), &salt, &mut out).ok()?;
        Some(out)
    });
    done.await.ok().flatten().ok_or_else(failed)
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
    fn weak_passwords_are_refused() {
        for (name, password, ok) in [
            ("admin", "short", false),
            ("admin", "Password123", false),
            ("admin", "aaaaaaaaaaaaaa", false),
            ("admin", "admin-admin", false),
            ("administrator", "administrator", false),
            ("admin", "correct horse battery", true),
            ("管理员", "春眠不觉晓处处闻啼鸟", true),
            ("a", "gear-Box-77-teeth", true),
        ] {
            assert_eq!(check_password(name, password).is_ok(), ok, "{password}");
        }
        assert!(check_password("a", &"xyz1".repeat(1000)).is_err());
    }

    #[tokio::test]
    async fn a_hash_opens_for_its_password_only() {
        let stored = hash("correct horse battery").await.unwrap();
        assert!(verify("correct horse battery", &stored).await.unwrap());
        assert!(!verify("correct horse batterz", &stored).await.unwrap());
        assert!(!verify("", NOBODY).await.unwrap());
        assert!(parse_phc(NOBODY).is_some(), "the stand-in must cost what a real one costs");
        for bad in [
            "",
            "$argon2id$v=19$",
            "$argon2i$v=19$m=1,t=1,p=1$YQ$YQ",
            "$argon2id$v=19$m=x,t=1,p=1$YQ$YQ",
        ] {
            assert!(!verify("x", bad).await.unwrap(), "{bad}");
        }
    }

    #[test]
    fn words_of_scopes_lead_back() {
        for it in Scope::ALL {
            assert_eq!(Scope::from_word(it.word()), Some(it));
        }
        assert_eq!(Scope::from_word("root"), None);
    }
}
