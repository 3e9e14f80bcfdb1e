//! The outside world of the data plane kit: a server that takes pushed bytes and serves some to pull.
//!
//! It takes its time ([`PAUSE`]), as a file of some size would: the kit looks at flows that are under way. What it does
//! not know (the kit's own DID document) it fetches from the kit. It must never answer that bytes arrived which did not:
//! a body that is shorter than announced is a broken connection.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Longer than the kit takes to ask for a state (0.1 s), shorter than it waits.
const PAUSE: Duration = Duration::from_millis(1500);
const SILENCE: Duration = Duration::from_secs(10);
const DATA: &[u8] = b"bytes of the outside world\n";
/// A request's head; the node's and the kit's are a few hundred bytes.
const HEAD_BYTES: u64 = 16 << 10;

/// The server; its threads end with this process.
#[derive(Debug)]
pub(super) struct World {
    port: u16,
}

impl World {
    /// `kit`: the port that the kit will listen on.
    pub(super) fn start(kit: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A caller that goes away is that caller's affair.
                thread::spawn(move || drop(answer(stream, kit)));
            }
        });
        Ok(Self { port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

/// One request per connection.
fn answer(stream: TcpStream, kit: u16) -> Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    let mut limited = reader.by_ref().take(HEAD_BYTES);
    while !head.ends_with("\r\n\r\n") {
        if limited.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (method, path) {
        ("POST" | "PUT", _) => {
            let bytes = length(&head).unwrap_or_default();
            let read = std::io::copy(&mut reader.take(bytes), &mut std::io::sink())?;
            if read < bytes {
                return Ok(());
            }
            thread::sleep(PAUSE);
            reply(stream, "204 No Content", b"")
        }
        ("GET", "/data") => {
            thread::sleep(PAUSE);
            reply(stream, "200 OK", DATA)
        }
        ("GET", _) => relay(stream, kit, path),
        (_, _) => reply(stream, "405 Method Not Allowed", b""),
    }
}

fn length(head: &str) -> Option<u64> {
    let lines = head.lines().filter_map(|it| it.split_once(':'));
    let mut found = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.next().and_then(|(_, value)| value.trim().parse().ok())
}

fn reply(mut stream: TcpStream, status: &str, body: &[u8]) -> Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    Ok(())
}

/// What the kit serves at this path.
fn relay(mut stream: TcpStream, kit: u16, path: &str) -> Result<()> {
    let mut behind = TcpStream::connect((Ipv4Addr::LOCALHOST, kit))?;
    behind.set_read_timeout(Some(SILENCE))?;
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost:{kit}\r\nconnection: close\r\n\r\n");
    behind.write_all(request.as_bytes())?;
    std::io::copy(&mut behind, &mut stream)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_from_heads() {
        for (head, bytes) in [
            ("POST / HTTP/1.1\r\nContent-Length: 26\r\n\r\n", Some(26)),
            ("POST / HTTP/1.1\r\ncontent-length:7\r\n\r\n", Some(7)),
            ("POST / HTTP/1.1\r\nx-content-length: 7\r\n\r\n", None),
            ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", None),
        ] {
            assert_eq!(length(head), bytes, "{head}");
        }
    }

    #[test]
    fn what_is_cut_short_is_not_acknowledged() {
        let world = World::start(1).unwrap();
        let talk = |request: &str| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, world.port())).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            drop(stream.read_to_string(&mut answer));
            answer
        };
        assert!(talk("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nfour").contains("204"));
        assert_eq!(talk("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nfour"), "");
        assert!(talk("GET /data HTTP/1.1\r\n\r\n").ends_with("outside world\n"));
    }
}
