//! The link against itself, and against those that speak no link at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use super::*;
use crate::spu::limits::PIECE_BYTES;

fn settings(listen: SocketAddr, peer: SocketAddr, rank: Option<u64>, silence: u64) -> Settings {
    let (connect_time, silence) = (Duration::from_secs(20), Duration::from_secs(silence));
    Settings { listen, peer: peer.to_string(), rank, connect_time, silence }
}

/// Both ends, on loopback.
fn pair(silence: u64) -> [Grpc; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [a, b] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
    let [left, right] = listeners;
    let open = |listener, settings| Grpc::over(listener, settings, Arc::default()).unwrap();
    thread::scope(|scope| {
        let left = scope.spawn(|| open(left, settings(a, b, Some(0), silence)));
        // The second learns its rank from the first.
        let right = open(right, settings(b, a, None, silence));
        [left.join().unwrap(), right]
    })
}

#[test]
fn messages_of_every_length_arrive_and_both_ends_close() {
    let [left, right] = pair(20);
    assert_eq!((left.rank(), right.rank()), (0, 1));
    let lengths = [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 17];
    let value = |length: usize| (0..251).cycle().take(length).collect::<Vec<u8>>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (at, length) in lengths.into_iter().enumerate() {
                left.send(Step::OwnItems, &format!("to {at}"), value(length)).unwrap();
            }
        });
        // Out of order: names decide, not time.
        for (at, length) in lengths.into_iter().enumerate().rev() {
            let came = right.receive(Step::PeerItems, &format!("to {at}")).unwrap();
            assert!(came == value(length), "{length}");
        }
    });
    right.send(Step::OwnItems, "never read", vec![1]).unwrap();
    thread::scope(|scope| {
        let left = scope.spawn(|| left.close());
        assert!(right.close() && left.join().unwrap());
    });
}

#[test]
fn a_sender_waits_for_a_reader() {
    let [left, right] = pair(20);
    thread::scope(|scope| {
        let sent = scope.spawn(|| {
            for at in 0..WINDOW + 5 {
                left.send(Step::OwnItems, &format!("it {at}"), vec![]).unwrap();
            }
        });
        thread::sleep(Duration::from_millis(300));
        assert!(!sent.is_finished(), "more than the window was sent and nobody has read");
        for at in 0..WINDOW + 5 {
            right.receive(Step::PeerItems, &format!("it {at}")).unwrap();
        }
    });
}

#[test]
fn every_wait_ends() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let short =
        Settings { connect_time: Duration::from_millis(300), ..settings(closed, closed, None, 20) };
    let outcome = Grpc::over(listener(), short, Arc::default()).err().unwrap();
    assert_eq!(outcome, Fault::Unreachable { step: Step::Connect, seconds: 0 });

    let progress = Arc::<Progress>::default();
    let stopped = progress.clone();
    thread::spawn(move || stopped.stop());
    let outcome = Grpc::over(listener(), settings(closed, closed, Some(0), 20), progress);
    assert_eq!(outcome.err().unwrap(), Fault::Cancelled);

    let [left, right] = pair(1);
    let silent = Fault::Silent { step: Step::Sizes, seconds: 1 };
    assert_eq!(right.receive(Step::Sizes, "nothing").unwrap_err(), silent);
    left.fail(&Fault::Cancelled);
    assert_eq!(left.receive(Step::Sizes, "nothing").unwrap_err(), Fault::Cancelled);
    assert_eq!(left.send(Step::Sizes, "nothing", vec![]).unwrap_err(), Fault::Cancelled);

    // Nobody listens any more: what cannot be delivered is told.
    drop((left, right));
    let [left, right] = pair(1);
    drop(left);
    right.put(Outgoing::Message("it\u{1}\u{2}1".to_owned(), vec![]));
    let began = Instant::now();
    let told = loop {
        if let Some(fault) = right.inside.lock().fault.clone() {
            break fault;
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::sleep(LOOK);
    };
    assert_eq!(told.code(), "spu.connection-lost");
}

#[test]
fn who_speaks_something_else_ends_nothing() {
    let [left, right] = pair(20);
    let address = &left.inside.settings.listen;
    for nonsense in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // However it ends: with some bytes, without, or with a reset.
        stream.read_to_end(&mut Vec::new()).unwrap_or_default();
    }
    right.send(Step::OwnItems, "it", vec![7]).unwrap();
    assert_eq!(left.receive(Step::PeerItems, "it").unwrap(), vec![7]);
}
