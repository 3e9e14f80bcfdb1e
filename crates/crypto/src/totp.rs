//! One-time codes of authenticator apps: TOTP (RFC 6238) with SHA-1, six digits and steps of 30 seconds.
//!
//! SHA-1 is what the apps in use implement; inside HMAC its collisions do no harm (RFC 6238 §1.2 on RFC 4226 B.2).
//! Never accepts a step twice: the caller keeps the last one used, and hands it in.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::secret::ct_eq;

/// Seconds of one step.
pub const STEP: u64 = 30;
/// RFC 4226 §4 R6 recommends 160 bits.
pub const SECRET_BYTES: usize = 20;
const DIGITS: usize = 6;
/// RFC 6238 §5.2: one step for clocks that differ, on either side.
const WINDOW: u64 = 1;

/// The code of one step. `None`: the secret has a length that HMAC refuses, which no length is.
pub fn code(secret: &[u8], step: u64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    // RFC 4226 §5.3: dynamic truncation.
    let offset = usize::from(digest.last()? & 0x0f);
    let four: [u8; 4] = digest.get(offset..)?.first_chunk().copied()?;
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    Some(format!("{:06}", number.checked_rem(1_000_000)?))
}

/// The step whose code this is: near `seconds` since 1970, and later than the last one used.
pub fn accept(secret: &[u8], seconds: u64, last: Option<u64>, presented: &str) -> Option<u64> {
    let now = seconds.checked_div(STEP)?;
    if presented.len() != DIGITS {
        return None;
    }
    let mut found = None;
    // All steps are compared, so that time tells nothing.
    for step in now.saturating_sub(WINDOW)..=now.saturating_add(WINDOW) {
        let fits = ct_eq(code(secret, step)?.as_bytes(), presented.as_bytes());
        if fits && last.is_none_or(|it| step > it) {
            found = Some(step);
        }
    }
    found
}

/// RFC 4648 base32 without padding: how apps want to be told the secret.
pub fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut word = [0_u8; 8];
        for (to, from) in word.iter_mut().skip(3).zip(chunk) {
            *to = *from;
        }
        let number = u64::from_be_bytes(word);
        let letters = chunk.len().saturating_mul(8).div_ceil(5);
        for at in 0..letters {
            let shift = 35_usize.saturating_sub(at.saturating_mul(5));
            let five = usize::try_from((number >> shift) & 31).unwrap_or(0);
            out.extend(LETTERS.get(five).map(|it| char::from(*it)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1; ours are the last six of its eight digits.
    #[test]
    fn rfc6238_appendix_b() {
        let secret = b"12345678901234567890";
        for (seconds, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(secret, seconds / STEP).as_deref(), Some(&eight[2..]), "{seconds}");
            assert_eq!(accept(secret, seconds, None, &eight[2..]), Some(seconds / STEP));
            assert_eq!(accept(secret, seconds, None, eight), None, "eight digits are not ours");
        }
    }

    /// RFC 4226 appendix D.
    #[test]
    fn rfc4226_appendix_d() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583"];
        for (step, code_) in (0..).zip(codes) {
            assert_eq!(code(b"12345678901234567890", step).as_deref(), Some(code_));
        }
    }

    #[test]
    fn a_code_works_once_and_one_step_to_either_side() {
        let secret = [7_u8; SECRET_BYTES];
        let at = |step: u64| code(&secret, step).unwrap();
        for (step, fits) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            assert_eq!(accept(&secret, 100 * STEP + 3, None, &at(step)), fits.then_some(step));
        }
        // Used, and what is older than it.
        assert_eq!(accept(&secret, 100 * STEP, Some(100), &at(100)), None);
        assert_eq!(accept(&secret, 100 * STEP, Some(100), &at(99)), None);
        assert_eq!(accept(&secret, 100 * STEP, Some(100), &at(101)), Some(101));
        for bad in ["", "1", "12345", "1234567", "abcdef", "１２"] {
            assert_eq!(accept(&secret, 100 * STEP, None, bad), None, "{bad}");
        }
        assert!(accept(&secret, u64::MAX, None, "000000").is_none_or(|it| it > 0));
    }

    /// RFC 4648 §10, padding left out.
    #[test]
    fn rfc4648_section_10() {
        for (plain, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }
}
