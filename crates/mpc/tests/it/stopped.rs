//! A session that its caller stops ends at once on both sides, wherever it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tidm_mpc::channel::memory::pair;
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Learns, Receiver, Security, Sender};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched, Watch};
use tidm_mpc::step::Step;

use crate::parties::{set, terms};

/// Says stop from the first progress at a step on, and checks that progress only rises.
struct StopAt {
    step: Step,
    last: AtomicU32,
    stopped: AtomicU32,
}

impl Watch for StopAt {
    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) > 0
    }

    fn progress(&self, step: Step, done: u64, of: u64) {
        assert!(done > 0 && done <= of, "{step}: {done} of {of}");
        let now = u32::from(step.code()) << 16 | u32::try_from(done).unwrap();
        assert!(self.last.swap(now, Ordering::Relaxed) < now, "{step}: {done} of {of}");
        if step == self.step {
            self.stopped.store(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn stopping_ends_both_sides_at_any_step() {
    let one = set(0..70_000);
    let steps = [Step::BaseOtReplies, Step::Trees, Step::Okvs];
    let variants = [Security::Malicious, Security::SemiHonestLow];
    let vectors = variants.iter().flat_map(|one| steps.map(|step| (*one, step)));
    for (security, step) in vectors.chain([(Security::Ecdh, Step::Evaluated)]) {
        let terms = terms(security, Learns::Both, &one, &one);
        let (mut left, right) = pair();
        let (one, terms, id) = (&one, &terms, SessionId([8; 32]));
        let watch = StopAt { step, last: AtomicU32::new(0), stopped: AtomicU32::new(0) };
        thread::scope(|scope| {
            let other = scope.spawn(move || {
                let mut right = right;
                let (party, seed) = (Party::Sender, Seed::new([2; 32]));
                let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
                Sender::once(setting, terms, one)
            });
            let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
            let setting = Setting { channel: &mut left, party, id, seed, watch: &watch };
            assert_eq!(Receiver::once(setting, terms, one).unwrap_err(), Fault::Cancelled);
            drop(left);
            assert_eq!(other.join().unwrap().unwrap_err().code(), "mpc.connection-lost");
        });
    }
}
