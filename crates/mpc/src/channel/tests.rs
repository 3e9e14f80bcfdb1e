use std::io::Cursor;

use super::memory::{Memory, pair};
use super::stream::Framed;
use super::*;
use crate::step::STEPS;

fn stream(bytes: Vec<u8>) -> Framed<Cursor<Vec<u8>>> {
    Framed::new(Cursor::new(bytes))
}

#[test]
fn messages_arrive_whole_in_order_and_under_their_names() {
    let (mut left, mut right) = pair();
    let mut written = stream(Vec::new());
    for (index, step) in STEPS.iter().copied().enumerate() {
        let message = vec![step.code(); index * 1000];
        left.send(step, &message).unwrap();
        written.send(step, &message).unwrap();
    }
    let mut read = stream(written.into_inner().into_inner());
    for (index, step) in STEPS.iter().copied().enumerate() {
        let message = vec![step.code(); index * 1000];
        assert_eq!(right.receive(step, message.len()).unwrap(), message);
        assert_eq!(read.receive(step, message.len()).unwrap(), message);
    }
    drop(left);
    assert_eq!(right.receive(Step::Hello, 1).unwrap_err().code(), "mpc.connection-lost");
    assert_eq!(read.receive(Step::Hello, 1).unwrap_err().code(), "mpc.connection-lost");
}

#[test]
fn other_steps_and_lengths_are_refused() {
    let cases: [(Step, usize, &str); 3] = [
        (Step::Masks, 4, "another step"),
        (Step::Okvs, 5, "not as long"),
        (Step::Okvs, 3, "not as long"),
    ];
    for (step, length, expected) in cases {
        let (mut left, mut right): (Memory, Memory) = pair();
        left.send(Step::Okvs, b"four").unwrap();
        let fault = right.receive(step, length).unwrap_err();
        assert!(fault.to_string().contains(expected), "{fault}");
        let mut written = stream(Vec::new());
        written.send(Step::Okvs, b"four").unwrap();
        let fault = stream(written.into_inner().into_inner()).receive(step, length).unwrap_err();
        assert!(fault.to_string().contains(expected), "{fault}");
    }
}

#[test]
fn a_stream_that_ends_early_is_lost_wherever_it_ends() {
    let mut whole = stream(Vec::new());
    whole.send(Step::Trees, &[1; 40]).unwrap();
    let whole = whole.into_inner().into_inner();
    for end in 0..whole.len() {
        let fault = stream(whole[..end].to_vec()).receive(Step::Trees, 40).unwrap_err();
        assert_eq!(fault.code(), "mpc.connection-lost");
    }
}

#[test]
fn a_header_for_more_than_a_frame_holds_is_not_written() {
    assert_eq!(header(Step::Okvs, MAX_FRAME_BYTES + 1).unwrap_err().code(), "mpc.too-many");
    assert!(header(Step::Okvs, MAX_FRAME_BYTES).is_ok());
}

#[test]
fn heartbeats_are_passed_over_between_messages_and_nowhere_else() {
    let mut written = stream(Vec::new());
    written.send(Step::Okvs, b"four").unwrap();
    let one = written.into_inner().into_inner();
    let beats = [HEARTBEAT.as_slice(), &HEARTBEAT, &one, &HEARTBEAT, &one].concat();
    let mut read = stream(beats);
    assert_eq!(read.receive(Step::Okvs, 4).unwrap(), b"four");
    assert_eq!(read.receive(Step::Okvs, 4).unwrap(), b"four");
    // Nothing but heartbeats is a connection that ends, and a frame of no step with a length is none.
    let fault = stream(HEARTBEAT.repeat(3)).receive(Step::Okvs, 4).unwrap_err();
    assert_eq!(fault.code(), "mpc.connection-lost");
    let fault = stream(GIVE_UP.to_vec()).receive(Step::Okvs, 4).unwrap_err();
    assert_eq!(fault.code(), "mpc.peer-stopped");
    let fault = stream(vec![0, 1, 0, 0, 0, 9]).receive(Step::Okvs, 4).unwrap_err();
    assert_eq!(fault.code(), "mpc.peer-misbehaved");
}
