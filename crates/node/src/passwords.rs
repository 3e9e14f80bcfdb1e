//! Passwords: which are taken, and how they are kept.
//!
//! Threat model: a stolen database gives nobody a password (Argon2id, a salt each); guessing costs memory and
//! time; hashing many at once cannot exhaust the node. Never a password in a log or an error.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tokio::sync::Semaphore;

use tidm_crypto::secret::ct_eq;

use crate::problem::Problem;
use crate::random;

/// Shortest password, in characters (NIST SP 800-63B asks for 8; nothing else protects this one by default).
const PASSWORD_CHARS: usize = 12;
/// Passwords before the present one that are not taken again.
pub(crate) const REMEMBERED: i64 = 5;
/// A name of two letters is in every sentence.
const TELLING_NAME: usize = 3;
/// Longest password and name, in bytes: hashing is not a way to keep us busy.
pub(crate) const PASSWORD_BYTES: usize = 1024;
/// OWASP's first choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// Passwords hashed side by side: each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(2);

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
    "123456789012",
    "1234567891234",
    "123123123123",
    "111222333444",
    "112233445566",
    "123456abcdef",
    "abcdef123456",
    "abcdefghijkl",
    "1q2w3e4r5t6y",
    "q1w2e3r4t5y6",
    "1qaz2wsx3edc4rfv",
    "1qazxsw23edc",
    "qazwsxedcrfv",
    "qwertyuiop123",
    "qwertyuiop[]",
    "qwertyuiopasdf",
    "asdfghjkl123",
    "asdfghjklzxcvbnm",
    "zxcvbnm12345",
    "password1234!",
    "passwordpassword",
    "p@ssw0rd12345",
    "p@ssword1234",
    "admin1234567",
    "admin12345678",
    "admin@123456",
    "administrator123",
    "administrator@123",
    "welcome12345",
    "welcome@1234",
    "changeme12345",
    "letmein12345",
    "iloveyou1234",
    "iloveyouiloveyou",
    "woaini123456",
    "woaini1314521",
    "wodemima1234",
    "zhongguo1234",
    "qq1234567890",
    "a1234567890b",
    "aa1234567890",
    "abc123456789",
    "abcd12345678",
    "a1b2c3d4e5f6",
    "huawei@12345",
    "huawei@123456",
    "admin@huawei.com",
    "football1234",
    "superman1234",
    "master123456",
    "test12345678",
    "testtesttest",
    "root12345678",
    "secret123456",
    "dragon123456",
];

pub(crate) fn check(name: &str, password: &str) -> Result<(), Problem> {
    let weak = |why: &str| Err(Problem::of("setup.password").detail(why));
    if password.chars().count() < PASSWORD_CHARS || password.len() > PASSWORD_BYTES {
        return weak("password: at least 12 characters");
    }
    let low = password.to_lowercase();
    let mut distinct: Vec<char> = low.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if COMMON.contains(&low.as_str()) || distinct.len() < 4 {
        return weak("password: it is on every list of guesses");
    }
    if name.chars().count() >= TELLING_NAME && low.contains(&name.to_lowercase()) {
        return weak("password: it contains the name");
    }
    Ok(())
}

/// A string that no password matches: its hash is of random bytes nobody kept.
pub(crate) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ib2R5$0Jz6fVnqvF1kq9z8gqkq0yqf3mQ2nq0h1u8oXr7bJ4w";

/// PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
pub(crate) async fn hash(password: &str) -> Result<String, Problem> {
    let salt: [u8; 16] = random::key().expose().first_chunk().copied().unwrap_or_default();
    let out = derive(password, salt.to_vec(), MEMORY_KIB, PASSES).await?;
    Ok(format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(out)
    ))
}

pub(crate) async fn verify(password: &str, stored: &str) -> Result<bool, Problem> {
    let Some((memory, passes, salt, expected)) = parse_phc(stored) else {
        tracing::error!("an account's secret cannot be read");
        return Ok(false);
    };
    let found = derive(password, salt, memory, passes).await?;
    Ok(ct_eq(&found, &expected))
}

/// (KiB, passes, salt, hash) of a string of ours.
pub(crate) fn parse_phc(text: &str) -> Option<(u32, u32, Vec<u8>, Vec<u8>)> {
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
            ("admin", "my admin of the shop", false),
            ("admin", "elevenchars", false),
            ("admin", "qazwsxedcrfv", false),
            ("admin", "correct horse battery", true),
            ("管理员", "春眠不觉晓,处处闻啼鸟。", true),
            ("管理员", "春眠不觉晓,处处闻啼鸟", false),
            ("a", "gear-Box-77-teeth", true),
        ] {
            assert_eq!(check(name, password).is_ok(), ok, "{password}");
        }
        assert!(check("a", &"xyz1".repeat(1000)).is_err());
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
}
