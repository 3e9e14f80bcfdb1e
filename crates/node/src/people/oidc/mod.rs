//! Signing in at an identity provider: OpenID Connect's authorization code flow with PKCE (RFC 7636).
//!
//! Threat model: whoever brings a code that is not theirs (state, nonce and verifier belong to one beginning, which ends
//! well once and whose handle only the browser that began has), whoever begins without end (a beginning is kept nowhere
//! but in its handle, [`begun`]), whoever ends badly without end (counted by address), another provider's answer (RFC 9207, and the issuer in
//! every document), tokens signed by nobody, by a secret or by an unknown key, documents without end (bounded), an
//! account taken over by its name (an account is found by issuer and subject, never by name or mail).
//!
//! Never a token of the provider kept or logged.

mod begun;
mod keys;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::Serializer;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::Semaphore;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws::Unverified;
use tidm_crypto::secret::{Secret, ct_eq};
use tidm_space::fault::Fault;
use tidm_space::limits::{MESSAGE_BYTES, PEOPLE_WORD_BYTES, TOKEN_BYTES};
use tidm_space::people::decide::{Person, State};
use tidm_space::people::log::ANONYMOUS;
use tidm_space::people::oidc::{self, Claims, Expected, Provider};
use tidm_space::people::role::Role;
use tidm_space::people::rule::Known;
use tidm_space::time::Time;

use begun::Begun as Beginning;

use super::Slot;
use crate::accounts::{Token, begin_session, broken, digest, of_answer, right, spare, take_try};
use crate::app::App;
use crate::config::Oidc;
use crate::passwords::NOBODY;
use crate::problem::Problem;
use crate::store::people::{self as rows, Said, say};

/// A person finds their password within this time.
const BEGUN: Duration = Duration::from_secs(10 * 60);
/// Documents of the provider are read again after this.
const KEEP: Duration = Duration::from_secs(3600);
/// For a key that we do not know they are read sooner, yet nobody makes us ask more often.
const AGAIN: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(10);
/// Codes that are exchanged at a time: strangers bring them, and each costs the provider a call.
static CALLS: Semaphore = Semaphore::const_new(8);
/// A code or a state longer than that is none.
const CODE_BYTES: usize = 4096;

/// What is known of the provider now.
#[derive(Default)]
pub struct Desk(Mutex<Option<Found>>);

#[derive(Clone)]
struct Found {
    provider: Provider,
    keys: Vec<Value>,
    read: Time,
}

/// Where the browser goes, and what it brings back besides the provider's answer.
pub struct Begun {
    pub url: String,
    pub handle: String,
}

/// What the browser brings back.
pub struct Returned<'a> {
    pub handle: &'a str,
    pub state: &'a str,
    pub code: &'a str,
    /// RFC 9207
    pub issuer: Option<&'a str>,
}

fn trouble(error: impl std::fmt::Display) -> Problem {
    tracing::warn!(%error, "the identity provider");
    Problem::of("oidc.provider")
}

/// A fault of what the provider or the browser said.
fn refused(fault: &Fault) -> Problem {
    tracing::warn!(%fault, "a sign-in at the identity provider is refused");
    Problem::of("oidc.refused").detail(fault.to_string()).cause(fault.code())
}

fn configured(app: &App) -> Result<&Oidc, Problem> {
    app.config.people.oidc.as_ref().ok_or_else(|| Problem::of("oidc.off"))
}

fn redirect(app: &App) -> String {
    format!("{}/api/oidc", app.identity.public_url)
}

fn mixed() -> Fault {
    Fault::denied("oidc.state", "state", "the answer belongs to another sign-in, or was used")
}

/// Begins a sign-in.
pub async fn begin(app: &App) -> Result<Begun, Problem> {
    let config = configured(app)?;
    let found = found(app, config, KEEP).await?;
    let row = Beginning::fresh(app.clock.now().after(BEGUN));
    let challenge = URL_SAFE_NO_PAD.encode(sha256(row.verifier.as_bytes()).as_bytes());
    let query = Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &config.client)
        .append_pair("redirect_uri", &redirect(app))
        .append_pair("scope", "openid profile email")
        .append_pair("state", &row.state)
        .append_pair("nonce", &row.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let joint = if found.provider.authorization.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}{query}", found.provider.authorization);
    let handle = row.seal(&key(app)?).ok_or_else(|| Problem::of("internal"))?;
    Ok(Begun { url, handle })
}

fn key(app: &App) -> Result<Secret<[u8; 32]>, Problem> {
    app.keys.people().map_err(|error| {
        tracing::error!(%error, "a sign-in cannot be sealed");
        Problem::of("internal")
    })
}

/// As [`finished`]; what the provider or the browser said wrong is logged, and held against the address it came from.
pub async fn finish(app: &App, it: &Returned<'_>, from: &str) -> Result<Token, Problem> {
    configured(app)?;
    let counted = of_answer(from);
    take_try(app, &counted).await?;
    let done = finished(app, it).await;
    match &done {
        Ok(_) => right(app, &counted).await?,
        Err(why) if why.code == "oidc.refused" => {
            let cause = why.cause.as_deref().unwrap_or_default();
            super::refused(app, ANONYMOUS, "sign-in.oidc", "", &format!("{} {cause}", why.code))
                .await?;
        }
        Err(_) => spare(app, &counted).await?,
    }
    done
}

/// Ends a sign-in: a session, if all that the provider said holds.
async fn finished(app: &App, it: &Returned<'_>) -> Result<Token, Problem> {
    let config = configured(app)?;
    if it.code.len() > CODE_BYTES || it.state.len() > CODE_BYTES {
        return Err(refused(&Fault::misbehaved("oidc.malformed", "the code is too long")));
    }
    let begun = Beginning::open(it.handle, &key(app)?, app.clock.now());
    let begun = begun.filter(|row| ct_eq(row.state.as_bytes(), it.state.as_bytes()));
    let begun = begun.ok_or_else(|| refused(&mixed()))?;
    let found = found(app, config, KEEP).await?;
    let wrong = match it.issuer {
        Some(issuer) => issuer != config.issuer,
        None => found.provider.names_issuer,
    };
    if wrong {
        let why = "the answer is of another provider, or does not say of which";
        return Err(refused(&Fault::denied("oidc.issuer", "iss", why)));
    }
    let answer = exchange(app, config, &found.provider, it.code, &begun.verifier).await?;
    let token = oidc::id_token(&answer).map_err(|why| refused(&why))?;
    let claims = verified(app, config, found, &token).await?;
    let expected = Expected { issuer: &config.issuer, client: &config.client, nonce: &begun.nonce };
    oidc::check(&claims, &expected, app.clock.now()).map_err(|why| refused(&why))?;
    let name = account(app, config, &claims, &begun).await?;
    begin_session(app, &name, "sign-in.oidc", None, None).await
}

/// The provider's documents, no older than `age`.
async fn found(app: &App, config: &Oidc, age: Duration) -> Result<Found, Problem> {
    let now = app.clock.now();
    let known = app.oidc.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(known) = known.filter(|it| now.since(it.read) < age) {
        return Ok(known);
    }
    let issuer = config.issuer.trim_end_matches('/');
    let document = read(app, &format!("{issuer}/.well-known/openid-configuration")).await?;
    let provider = oidc::provider(&document, &config.issuer).map_err(|why| refused(&why))?;
    // The browser goes there: a scheme of somebody else's choosing would be run, not visited.
    app.client.check(&provider.authorization).map_err(trouble)?;
    let keys = oidc::keys(&read(app, &provider.keys).await?).map_err(|why| refused(&why))?;
    let fresh = Found { provider, keys, read: now };
    *app.oidc.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
    Ok(fresh)
}

async fn read(app: &App, url: &str) -> Result<Vec<u8>, Problem> {
    let answer = app.client.call(Method::GET, url, None, None).await.map_err(trouble)?;
    if !answer.status.is_success() {
        return Err(trouble(format!("{url} answers {}", answer.status)));
    }
    Ok(answer.body)
}

/// The code for a token (RFC 6749 §4.1.3), with the verifier that only we know (RFC 7636 §4.5).
async fn exchange(
    app: &App,
    config: &Oidc,
    provider: &Provider,
    code: &str,
    verifier: &str,
) -> Result<Vec<u8>, Problem> {
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", &redirect(app))
        .append_pair("client_id", &config.client)
        .append_pair("code_verifier", verifier)
        .finish();
    let calls = tokio::time::timeout(ANSWER, CALLS.acquire()).await;
    let Ok(Ok(_call)) = calls else {
        return Err(trouble("too many sign-ins wait for its token endpoint"));
    };
    let request = app.client.request(Method::POST, &provider.token).await.map_err(trouble)?;
    let mut request = request
        .timeout(ANSWER)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(form);
    if let Some(path) = &config.secret_file {
        let found = std::fs::metadata(path).map_err(trouble)?;
        if found.permissions().mode() & 0o077 != 0 {
            return Err(trouble("people.oidc_secret_file can be read by others: run chmod 600"));
        }
        let secret = tokio::fs::read_to_string(path).await.map_err(trouble)?;
        let part =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", part(&config.client), part(secret.trim()));
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
    }
    let mut answer = request.send().await.map_err(|why| trouble(why.without_url()))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|why| trouble(why.without_url()))? {
        if body.len() + chunk.len() > MESSAGE_BYTES {
            return Err(trouble("its answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    // 400 is about the code: used, old or another's. Its text stays here.
    if status.as_u16() == 400 {
        let why = "the provider does not take the code";
        return Err(refused(&Fault::denied("oidc.code", "code", why)));
    }
    Err(trouble(format!("the token endpoint answers {status}")))
}

/// Claims whose signature holds under a key of the provider; an unknown key has its keys read again, once a minute.
async fn verified(app: &App, config: &Oidc, found_: Found, token: &str) -> Result<Claims, Problem> {
    let malformed = |why: tidm_crypto::jws::BadJws| {
        refused(&Fault::misbehaved("oidc.malformed", why.to_string()))
    };
    let token = Unverified::parse_within(token, TOKEN_BYTES).map_err(malformed)?;
    let payload = match keys::verify(&token, &found_.keys) {
        Err(keys::No::Unknown) => {
            let again = found(app, config, AGAIN).await?;
            keys::verify(&token, &again.keys)
        }
        other => other,
    };
    let payload = payload.map_err(|why| refused(&why.fault()))?;
    oidc::claims(payload).map_err(|why| refused(&why))
}

/// The account of issuer and subject, made at the first sign-in; its roles of claims are those of this one.
async fn account(
    app: &App,
    config: &Oidc,
    claims: &Claims,
    begun: &Beginning,
) -> Result<String, Problem> {
    let settings = app.config.people.settings;
    let roles = oidc::roles(&claims.all, &config.roles, settings.separation);
    let (issuer, subject) = (claims.issuer.clone(), claims.subject.clone());
    let wished = name(claims);
    let (now, slot) = (app.clock.now(), Slot::new());
    let (told, mark, until) = (slot.clone(), begun.mark(), begun.until);
    let noted = app.writer.note(move |conn| {
        let (issuer, subject, wished, roles, told) =
            (issuer.clone(), subject.clone(), wished.clone(), roles.clone(), told.clone());
        let used = mark.clone();
        Box::pin(async move {
            if !rows::spend_login(conn, &used, (now, until)).await? {
                told.put(Err("oidc.refused"));
                return Ok(());
            }
            let known = rows::login(conn, &issuer, &subject).await?;
            let everyone = rows::everyone(conn).await?;
            let taken = |name: &str| everyone.iter().find(|it| it.name == name);
            let outcome = match known.as_deref().and_then(taken) {
                Some(it) if it.state == State::Active => Ok(it.name.clone()),
                Some(_) => Err("auth.required"),
                None if everyone.is_empty() => Err("setup.needed"),
                None if roles.is_empty() => Err("oidc.role"),
                None if everyone.len() >= tidm_space::limits::PEOPLE => Err("people.full"),
                None => {
                    let mark = digest(&format!("{issuer} {subject}"));
                    let mark = mark.rsplit(':').next().and_then(|it| it.get(..8)).unwrap_or("oidc");
                    let name = match taken(&wished) {
                        Some(_) => format!("{wished} {mark}"),
                        None => wished.clone(),
                    };
                    let person = Person {
                        name: name.clone(),
                        state: State::Active,
                        roles: BTreeSet::<Role>::new(),
                        known: Known::default(),
                        second_factor: false,
                    };
                    let made = rows::insert(conn, &person, NOBODY, now).await?;
                    if made { Ok(name) } else { Err("people.name") }
                }
            };
            let said = Said {
                at: now,
                who: outcome.clone().unwrap_or(wished),
                act: "login.oidc".into(),
                subject: format!("{issuer} {subject}").chars().take(super::SUBJECT_CHARS).collect(),
                refused: outcome.as_ref().err().map(|it| (*it).to_owned()),
                times: 1,
                left: false,
            };
            // Where administrators are separated, what a provider says of one of them changes nothing.
            let kept = |name: &str| {
                let roles = taken(name).map(|it| &it.roles).into_iter().flatten();
                settings.separation && roles.copied().any(Role::is_administrator)
            };
            if let Ok(name) = &outcome
                && !kept(name)
            {
                rows::save_login(conn, (&issuer, &subject), name, &roles).await?;
            }
            say(conn, &said).await?;
            told.put(outcome);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    slot.take()?.map_err(|code| match code {
        "oidc.refused" => refused(&mixed()),
        other => Problem::of(other),
    })
}

/// How the person is called here: as the provider says, without what names must not hold, and short enough for a mark.
fn name(claims: &Claims) -> String {
    let said = ["preferred_username", "email", "name"]
        .into_iter()
        .find_map(|it| claims.all.get(it)?.as_str())
        .unwrap_or(&claims.subject);
    let mut out = String::new();
    for it in said.trim().chars().filter(|it| !it.is_control()) {
        if out.len() + it.len_utf8() > PEOPLE_WORD_BYTES - 9 {
            break;
        }
        out.push(it);
    }
    let out = out.trim();
    if out.is_empty() { "person".to_owned() } else { out.to_owned() }
}
