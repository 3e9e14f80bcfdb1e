//! A forwarder in front of replicas: each connection goes to the next one that listens.
//!
//! Never looks into what it carries, and never tries a second replica once bytes have moved: what was asked of
//! a replica that died is the caller's to repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// Takes what `front` accepts; the ports of `replicas` replicas, free at this moment.
pub(super) fn start(front: std::net::TcpListener, replicas: usize) -> Vec<u16> {
    let held: Vec<_> = (0..replicas).map(|_| super::lasting_port()).collect();
    let ports: Vec<u16> = held.iter().map(|it| it.local_addr().unwrap().port()).collect();
    front.set_nonblocking(true).unwrap();
    tokio::spawn(run(TcpListener::from_std(front).unwrap(), ports.clone()));
    ports
}

async fn run(listener: TcpListener, behind: Vec<u16>) {
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((mut from, _)) = listener.accept().await else { continue };
        let (behind, first) = (behind.clone(), turn.fetch_add(1, Ordering::Relaxed));
        tokio::spawn(async move {
            for n in 0..behind.len() {
                let port = behind[(first + n) % behind.len()];
                if let Ok(mut to) = TcpStream::connect(("127.0.0.1", port)).await {
                    drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                    return;
                }
            }
        });
    }
}
