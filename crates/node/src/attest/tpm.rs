//! Quotes of this machine's TPM 2.0 by a key that was provisioned before: through the kernel's device, or through the socket
//! of a program that plays a TPM, which its address says.
//!
//! Threat model: what answers is bounded and read as hostile. A quote proves no trusted environment, whoever asks for it: the
//! machine's administrator reads its memory. A program that plays a TPM proves nothing at all about a machine. Must never
//! change anything in a TPM, nor quote by a key that signs what software hands it.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tidm_attest::handshake::Nonce;
use tidm_attest::limits::TPM_ANSWER;
use tidm_attest::made::{self, NotMade};
use tidm_attest::text::Text;
use tidm_attest::tpm::command::{self, TpmFault};

/// A TPM signs within a second or two.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// Software may extend a PCR between its value and the quote; again then.
const TRIES: u32 = 3;

/// Where commands go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The kernel's device with its resource manager.
    Device(PathBuf),
    /// A program that plays a TPM, for tests.
    EmulatorUnix(PathBuf),
    EmulatorTcp(SocketAddr),
}

impl Place {
    /// `/dev/tpmrm0`, `emulator:/run/swtpm.sock`, `emulator:127.0.0.1:2321`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("emulator:") {
            None if text.starts_with('/') => Some(Self::Device(text.into())),
            Some(path) if path.starts_with('/') => Some(Self::EmulatorUnix(path.into())),
            Some(address) => address.parse().ok().map(Self::EmulatorTcp),
            None => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => path.display().fmt(f),
            Self::EmulatorUnix(path) => write!(f, "emulator:{}", path.display()),
            Self::EmulatorTcp(address) => write!(f, "emulator:{address}"),
        }
    }
}

/// Why there is no quote.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{place}: {why}")]
    Io { place: String, why: std::io::Error },
    #[error(transparent)]
    Tpm(#[from] TpmFault),
}

/// The TPM, and what to quote by and over.
#[derive(Clone, Debug)]
pub struct Tpm {
    pub place: Place,
    /// A restricted signing key that was made persistent; it needs no password.
    pub key: u32,
    /// PCR 0 is the lowest bit of the first byte.
    pub pcrs: [u8; 3],
}

impl Tpm {
    /// Evidence that carries `data`. Blocks.
    ///
    /// # Errors
    /// [`Fault`], or the quote is not about what was asked for.
    pub fn evidence(
        &self,
        data: &[u8; 32],
        nonce: Option<Nonce>,
    ) -> Result<Result<Text, NotMade>, Fault> {
        let mut line = self.open()?;
        let key = command::public(&self.ask(&mut *line, &command::read_public(self.key))?)?;
        let mut tries = 1;
        loop {
            let pcrs = command::all_values(self.pcrs, |it| self.ask(&mut *line, &it))?;
            let quote = self.ask(&mut *line, &command::quote(self.key, data, self.pcrs))?;
            let made = made::tpm(command::quoted(&quote)?, key.clone(), pcrs, data, nonce);
            if made.is_ok() || tries == TRIES {
                return Ok(made);
            }
            tries += 1;
        }
    }

    fn failed(&self, why: std::io::Error) -> Fault {
        Fault::Io { place: self.place.to_string(), why }
    }

    fn open(&self) -> Result<Box<dyn Line>, Fault> {
        let line: std::io::Result<Box<dyn Line>> = match &self.place {
            Place::Device(path) => {
                OpenOptions::new().read(true).write(true).open(path).map(|it| Box::new(it) as _)
            }
            Place::EmulatorUnix(path) => UnixStream::connect(path).and_then(|it| {
                it.set_read_timeout(Some(PATIENCE))?;
                Ok(Box::new(it) as _)
            }),
            Place::EmulatorTcp(address) => TcpStream::connect(address).and_then(|it| {
                it.set_read_timeout(Some(PATIENCE))?;
                Ok(Box::new(it) as _)
            }),
        };
        line.map_err(|why| self.failed(why))
    }

    /// One command and its answer, sent again for as long as the TPM says no more than that.
    fn ask(&self, line: &mut dyn Line, command: &[u8]) -> Result<Vec<u8>, Fault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.said(line, command)?;
            if !command::again(&answer) || Instant::now() >= until {
                return Ok(answer);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The device takes a command in one piece, and hands an answer out in one.
    fn said(&self, line: &mut dyn Line, command: &[u8]) -> Result<Vec<u8>, Fault> {
        line.write_all(command).map_err(|why| self.failed(why))?;
        let mut answer = Vec::new();
        let mut piece = vec![0; TPM_ANSWER];
        loop {
            let read = line.read(&mut piece).map_err(|why| self.failed(why))?;
            answer.extend_from_slice(piece.get(..read).unwrap_or_default());
            match command::length(&answer)? {
                Some(whole) if answer.len() == whole => return Ok(answer),
                Some(whole) if answer.len() > whole => return Err(TpmFault::Malformed.into()),
                Some(_) | None if read == 0 => return Err(TpmFault::Malformed.into()),
                Some(_) | None => {}
            }
        }
    }
}

/// What commands are written to and answers read from.
trait Line: Read + Write {}

impl<T: Read + Write> Line for T {}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn an_emulator_is_called_one() {
        for (text, found) in [
            ("/dev/tpmrm0", true),
            ("emulator:/run/swtpm.sock", true),
            ("emulator:127.0.0.1:2321", true),
            ("127.0.0.1:2321", false),
            ("run/swtpm.sock", false),
            ("emulator:host:2321", false),
            ("", false),
        ] {
            assert_eq!(Place::parse(text).map(|it| it.to_string()), found.then(|| text.to_owned()));
        }
    }
}
