//! Over a TCP connection of this machine.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;

use tidm_mpc::channel::stream::Framed;
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Learns, Receiver, Security, Set, ideal};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};

use crate::parties::{ALL, run, set, terms};

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let left = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (left, listener.accept().unwrap().0)
}

#[test]
fn all_variants_meet_over_tcp() {
    let (one, other) = (set(0..60_000), set(55_000..130_000));
    for security in ALL {
        let (left, right) = connection();
        let terms = terms(security, Learns::Both, &one, &other);
        let (received, sent) = run((Framed::new(left), Framed::new(right)), &terms, &one, &other);
        assert_eq!(received.unwrap(), ideal::intersection(&one, &other));
        assert_eq!(sent.unwrap().unwrap(), ideal::intersection(&other, &one));
    }
}

/// Peers whose starts race have been seen to hang for ever in other stacks; a thousand starts here do not.
#[test]
fn many_sessions_start_and_end() {
    let sessions = if std::env::var("TIDM_LONG").is_ok_and(|long| long == "1") { 1000 } else { 20 };
    let (one, other) = (set(0..20), set(10..40));
    let terms = terms(Security::SemiHonest, Learns::Receiver, &one, &other);
    for _ in 0..sessions {
        let (left, right) = connection();
        let (received, sent) = run((Framed::new(left), Framed::new(right)), &terms, &one, &other);
        assert_eq!(received.unwrap().len(), 10);
        assert_eq!(sent.unwrap(), None);
    }
}

/// What a receiver makes of a peer that says these bytes and hangs up.
fn answer_to(bytes: &[u8]) -> Fault {
    let (left, mut right) = connection();
    let bytes = bytes.to_vec();
    let peer = thread::spawn(move || {
        right.write_all(&bytes).unwrap();
        right
    });
    let one: Set = set(0..10);
    let terms = terms(Security::SemiHonest, Learns::Receiver, &one, &one);
    let mut channel = Framed::new(left);
    let setting = Setting {
        channel: &mut channel,
        party: Party::Receiver,
        id: SessionId([1; 32]),
        seed: Seed::new([1; 32]),
        watch: &Unwatched,
    };
    drop(peer.join().unwrap());
    Receiver::once(setting, &terms, &one).unwrap_err()
}

#[test]
fn strangers_on_the_line_are_told_apart() {
    let claim_of_four_gigabytes = [1, 0xff, 0xff, 0xff, 0xff];
    let cases: [(&[u8], &str); 4] = [
        (b"", "mpc.connection-lost"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "mpc.peer-misbehaved"),
        (&claim_of_four_gigabytes, "mpc.peer-misbehaved"),
        (&[&[1, 70, 0, 0, 0][..], &[0; 70]].concat(), "mpc.peer-incompatible"),
    ];
    for (bytes, code) in cases {
        let fault = answer_to(bytes);
        // A peer that hangs up with our hello unread may also show as a lost connection.
        assert!([code, "mpc.connection-lost"].contains(&fault.code()), "{fault}");
    }
}
