//! Tickets and prepared statements: what an execution needs, sealed, so that nothing is kept here for them.
//!
//! ```text
//!   1 version ‖ 60 wrapped key (nonce ‖ key ‖ tag, under the contract's key) ‖ sealed body ‖ 16 tag
//!   body: 16 nonce ‖ 8 until (ms) ‖ 2 length of the purpose ‖ purpose ‖ statement
//! ```
//!
//! Threat model: a ticket comes back from outside. It opens only under the key of its contract, only for its
//! transfer and only as what it is (a prepared statement is no execution), and all of it is authenticated
//! before any of it is read. Every ticket has a data key of its own, so that no nonce is used twice. With the
//! contract's key its tickets are destroyed. Never grants anything: a token and a lease do.

use tidm_crypto::aead::{
    NONCE_BYTES, TAG_BYTES, WRAPPED_KEY_BYTES, open, seal, unwrap_key, wrap_key,
};
use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::secret::Secret;
use tidm_sandbox::limits::MAX_SQL_BYTES;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Nonce;
use tidm_space::time::Time;

use crate::keys::ContractKey;
use crate::random::os;

const VERSION: u8 = 1;
/// Bytes of a purpose: a word or two of a policy.
pub(super) const PURPOSE_BYTES: usize = 512;
/// Nonce, end and length of the purpose.
const FIXED_BYTES: usize = 16 + 8 + 2;
/// The longest that is looked at.
pub(super) const TICKET_BYTES: usize =
    1 + WRAPPED_KEY_BYTES + FIXED_BYTES + PURPOSE_BYTES + MAX_SQL_BYTES + TAG_BYTES;
/// A fresh key encrypts one body only.
const ONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

/// What a ticket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One use: its nonce makes repeated calls the same use.
    Execution,
    /// A statement to be executed later; each execution gets a ticket of its own.
    Prepared,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) nonce: Nonce,
    pub(super) until: Time,
    pub(super) purpose: Option<String>,
    pub(super) sql: String,
}

impl Ticket {
    pub(super) fn seal(
        &self,
        key: &ContractKey,
        transfer: &Id,
        kind: Kind,
    ) -> Result<Vec<u8>, Fault> {
        let purpose = self.purpose.as_deref().unwrap_or_default();
        if self.sql.len() > MAX_SQL_BYTES {
            return Err(Fault::refused(
                "query.too-complex",
                format!("a statement has at most {MAX_SQL_BYTES} bytes"),
            ));
        }
        let length = u16::try_from(purpose.len()).ok().filter(|_| purpose.len() <= PURPOSE_BYTES);
        let length = length.ok_or_else(|| {
            Fault::refused("flight.purpose", format!("a purpose has at most {PURPOSE_BYTES} bytes"))
        })?;
        let mut body = Vec::with_capacity(FIXED_BYTES + purpose.len() + self.sql.len());
        body.extend_from_slice(&self.nonce);
        body.extend_from_slice(&self.until.ms().to_be_bytes());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(purpose.as_bytes());
        body.extend_from_slice(self.sql.as_bytes());
        let what = binding(transfer, kind);
        let own = Secret::random(&mut os());
        let sealed = wrap_key(key, &own, &what, &mut os())
            .and_then(|wrapped| Ok((wrapped, seal(&own, ONCE, &what, &body)?)));
        let (wrapped, sealed) =
            sealed.map_err(|_| Fault::ApiMisuse("a ticket beyond all bounds"))?;
        Ok([[VERSION].as_slice(), &wrapped, &sealed].concat())
    }

    /// What [`Self::seal`] made for the same transfer and purpose, unless its time is over.
    pub(super) fn open(
        bytes: &[u8],
        key: &ContractKey,
        transfer: &Id,
        kind: Kind,
        now: Time,
    ) -> Result<Self, Fault> {
        let ticket = opened(bytes, key, &binding(transfer, kind)).ok_or_else(|| {
            Fault::misbehaved("flight.ticket", "not a ticket of this transfer, or an altered one")
        })?;
        if now >= ticket.until {
            return Err(Fault::denied(
                "flight.ticket-expired",
                "ticket",
                format!("the ticket ended at {}: ask for the statement again", ticket.until),
            ));
        }
        Ok(ticket)
    }
}

/// A ticket of another transfer or kind does not open.
fn binding(transfer: &Id, kind: Kind) -> Vec<u8> {
    let word = match kind {
        Kind::Execution => "execution",
        Kind::Prepared => "prepared",
    };
    tuple(
        domain::FLIGHT_TICKET,
        vec![Value::Text(transfer.to_string()), Value::Text(word.to_owned())],
    )
}

fn opened(bytes: &[u8], key: &ContractKey, what: &[u8]) -> Option<Ticket> {
    if bytes.len() > TICKET_BYTES {
        return None;
    }
    let (version, rest) = bytes.split_first()?;
    let (wrapped, sealed) = rest.split_at_checked(WRAPPED_KEY_BYTES)?;
    if *version != VERSION {
        return None;
    }
    let own = unwrap_key(key, wrapped, what).ok()?;
    let body = open(&own, ONCE, what, sealed).ok()?;
    read(body.expose())
}

fn read(body: &[u8]) -> Option<Ticket> {
    let (nonce, rest) = body.split_first_chunk::<16>()?;
    let (until, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (purpose, sql) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let purpose = std::str::from_utf8(purpose).ok()?;
    Some(Ticket {
        nonce: *nonce,
        until: Time::from_ms(i64::from_be_bytes(*until)),
        purpose: (!purpose.is_empty()).then(|| purpose.to_owned()),
        sql: std::str::from_utf8(sql).ok()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(of: u8) -> ContractKey {
        Secret::new([of; 32])
    }

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    fn ticket() -> Ticket {
        Ticket {
            nonce: [7; 16],
            until: Time::from_ms(2000),
            purpose: Some("质检".to_owned()),
            sql: "SELECT 1".to_owned(),
        }
    }

    fn now() -> Time {
        Time::from_ms(1000)
    }

    #[test]
    fn a_ticket_opens_for_what_it_was_made() {
        let (it, of) = (ticket(), id("urn:t:1"));
        let bytes = it.seal(&key(1), &of, Kind::Execution).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("SELECT"));
        let open = |key: &ContractKey, of: &Id, kind, now| {
            Ticket::open(&bytes, key, of, kind, now).map_err(|it| it.code())
        };
        assert_eq!(open(&key(1), &of, Kind::Execution, now()), Ok(it.clone()));
        assert_eq!(open(&key(2), &of, Kind::Execution, now()), Err("flight.ticket"));
        assert_eq!(open(&key(1), &id("urn:t:2"), Kind::Execution, now()), Err("flight.ticket"));
        assert_eq!(open(&key(1), &of, Kind::Prepared, now()), Err("flight.ticket"));
        assert_eq!(
            open(&key(1), &of, Kind::Execution, Time::from_ms(2000)),
            Err("flight.ticket-expired")
        );
        assert_ne!(bytes, it.seal(&key(1), &of, Kind::Execution).unwrap(), "keys are fresh");
    }

    #[test]
    fn every_altered_cut_or_longer_ticket_is_refused() {
        let of = id("urn:t:1");
        let bytes = ticket().seal(&key(1), &of, Kind::Execution).unwrap();
        let refused =
            |it: &[u8]| Ticket::open(it, &key(1), &of, Kind::Execution, now()).unwrap_err().code();
        for at in 0..bytes.len() {
            assert_eq!(refused(&bytes[..at]), "flight.ticket", "cut at {at}");
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(refused(&altered), "flight.ticket", "altered at {at}");
        }
        assert_eq!(refused(&[bytes.as_slice(), b"x"].concat()), "flight.ticket");
        assert_eq!(refused(&vec![1; TICKET_BYTES + 1]), "flight.ticket");
    }

    #[test]
    fn bounds_hold_when_a_ticket_is_made() {
        let seal = |it: Ticket| {
            it.seal(&key(1), &id("urn:t:1"), Kind::Prepared)
                .map(|it| it.len())
                .map_err(|it| it.code())
        };
        let most = Ticket {
            purpose: Some("p".repeat(PURPOSE_BYTES)),
            sql: "s".repeat(MAX_SQL_BYTES),
            ..ticket()
        };
        assert_eq!(seal(most.clone()), Ok(TICKET_BYTES));
        assert_eq!(
            seal(Ticket { sql: "s".repeat(MAX_SQL_BYTES + 1), ..most.clone() }),
            Err("query.too-complex")
        );
        assert_eq!(
            seal(Ticket { purpose: Some("p".repeat(PURPOSE_BYTES + 1)), ..most }),
            Err("flight.purpose")
        );
    }

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(nonce: [u8; 16], ms in 1i64..1 << 50, purpose in "\\PC{0,40}", sql in "\\PC{0,200}") {
            let purpose = (!purpose.is_empty()).then_some(purpose);
            let it = Ticket { nonce, until: Time::from_ms(ms), purpose, sql };
            let bytes = it.seal(&key(9), &id("urn:t"), Kind::Prepared).unwrap();
            prop_assert_eq!(Ticket::open(&bytes, &key(9), &id("urn:t"), Kind::Prepared, Time::from_ms(0)), Ok(it));
        }

        #[test]
        fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Ticket::open(&noise, &key(9), &id("urn:t"), Kind::Execution, now()).is_err());
            // The body is read after it was authenticated; its reader stands on its own all the same.
            drop(read(&noise));
        }
    }
}
