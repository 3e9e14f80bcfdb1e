//! A forwarder in front of replicas: each connection goes to the next one that listens.
//!
//! Never looks into what it carries, and never tries a second replica once bytes have moved: what was asked of
//! a replica that died is the caller's to repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// Listens at `port` on loopback; the ports of `replicas` replicas, free at this moment.
pub(super) fn start(port: u16, replicas: usize) -> Vec<u16> {
    let held: Vec<_> =
        (0..replicas).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = held.iter().map(|it| it.local_addr().unwrap().port()).collect();
    tokio::spawn(run(port, ports.clone()));
    ports
}

async fn run(port: u16, behind: Vec<u16>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
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
