use std::thread;

use super::*;
use crate::channel::Channel;
use crate::channel::memory::{Memory, pair};
use crate::kernel::Pair;
use crate::random::Seed;
use crate::session::tests::both;
use crate::session::{Party, Session, SessionId, Setting, Unwatched};
use crate::step::Step;

type Both = (Result<Vec<Vec<Pair>>, Fault>, Result<(Gf, Vec<Vec<Gf>>), Fault>);

fn expand(security: Security, lengths: &'static [usize]) -> Both {
    both(
        b"t",
        move |session| {
            let mut receiver = Receiver::set_up(session, security)?;
            lengths.iter().map(|length| receiver.expand(session, *length)).collect()
        },
        move |session| {
            let mut sender = Sender::set_up(session, security)?;
            let all: Result<Vec<_>, Fault> =
                lengths.iter().map(|length| sender.expand(session, *length)).collect();
            Ok((sender.delta(), all?))
        },
    )
}

#[test]
fn expansions_fit_like_dealt_ones_one_after_the_other() {
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious] {
        let lengths: &[usize] = &[0, 1, 16_384, 20_000, 100_001];
        let (pairs, sent) = expand(security, lengths);
        let (pairs, (delta, b)) = (pairs.unwrap(), sent.unwrap());
        for ((pairs, b), length) in pairs.iter().zip(&b).zip(lengths) {
            assert_eq!(b.len(), *length);
            assert!(ideal::fits(delta, b, pairs));
        }
        // No value comes twice: within an expansion, nor from one to the next.
        let mut all: Vec<u128> = pairs.concat().iter().map(|pair| pair.a.0).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

#[test]
fn the_dealer_deals_what_fits_and_nothing_else_fits() {
    let mut dealt = ideal::deal(&mut Stream::new(&[1; 32]), 50);
    assert!(ideal::fits(dealt.delta, &dealt.b, &dealt.pairs));
    dealt.b[49] ^= Gf::ONE;
    assert!(!ideal::fits(dealt.delta, &dealt.b, &dealt.pairs));
    assert!(!ideal::fits(dealt.delta, &dealt.b[..49], &dealt.pairs));
}

#[test]
fn what_comes_out_has_as_many_ones_as_zeros() {
    for (security, bits) in [(Security::SemiHonest, 128), (Security::SemiHonestLow, 64)] {
        let (pairs, _) = expand(security, &[100_000]);
        let pairs = pairs.unwrap().concat();
        for bit in 0..128 {
            let ones =
                |of: fn(&Pair) -> Gf| pairs.iter().filter(|p| of(p).0 >> bit & 1 == 1).count();
            // Six standard deviations of a fair coin, for each bit there is.
            let expected = if bit < bits { (50_000usize, 950) } else { (0, 1) };
            assert!(ones(|pair| pair.a).abs_diff(expected.0) < expected.1, "bit {bit} of a");
            assert!(ones(|pair| pair.c).abs_diff(50_000) < 950, "bit {bit} of c");
        }
    }
}

#[test]
fn shapes_have_room_and_a_bound() {
    for wanted in [0, 1, 15_919, 15_920, 1 << 20, MAX_EXPANSION] {
        let shape = Shape::of(wanted).unwrap();
        assert!(shape.noise_length() / 2 >= wanted + RESERVE);
        assert!(
            shape.noise_length() <= (2 * (wanted + RESERVE)).max(2 * MIN_EXPANSION) + NOISE_WEIGHT
        );
    }
    assert_eq!(Shape::of(MAX_EXPANSION + 1).unwrap_err().code(), "mpc.too-many");
}

#[test]
fn places_come_in_any_portions_and_an_expansion_must_be_finished() {
    let (received, sent) = both(
        b"t",
        |session| {
            let mut receiver = Receiver::set_up(session, Security::SemiHonest)?;
            let mut all = Vec::new();
            for portions in [vec![0, 1, 50_000, 3], vec![20_000], vec![]] {
                let mut places = receiver.begin(session, portions.iter().sum())?;
                for count in portions {
                    all.extend_from_slice(places.next(count)?);
                }
                assert_eq!(places.next(1).unwrap_err().code(), "mpc.misuse");
                places.finish();
            }
            drop(receiver.begin(session, 10)?);
            assert_eq!(receiver.begin(session, 10).err().unwrap().code(), "mpc.misuse");
            Ok(all)
        },
        |session| {
            let mut sender = Sender::set_up(session, Security::SemiHonest)?;
            let mut all = Vec::new();
            for count in [50_004, 20_000, 0] {
                all.extend(sender.expand(session, count)?);
            }
            sender.expand(session, 10)?;
            Ok((sender.delta(), all))
        },
    );
    let (delta, b) = sent.unwrap();
    assert!(ideal::fits(delta, &b, &received.unwrap()));
}

#[test]
fn a_receiver_with_other_noise_values_than_it_said_is_caught() {
    let (_, sent) = both(
        b"t",
        |session| {
            let mut receiver = Receiver::set_up(session, Security::Malicious)?;
            receiver.lie(7);
            receiver.expand(session, 100)
        },
        |session| Sender::set_up(session, Security::Malicious)?.expand(session, 100),
    );
    assert_eq!(
        sent.unwrap_err(),
        Fault::misbehaved(Step::CheckOpening, "the noise values do not fit the key")
    );
}

#[test]
fn a_sender_whose_trees_do_not_fit_its_key_is_caught() {
    let (received, _) = both(
        b"t",
        |session| Receiver::set_up(session, Security::Malicious)?.expand(session, 100),
        |session| {
            let mut sender = Sender::set_up(session, Security::Malicious)?;
            sender.lie(7);
            sender.expand(session, 100)
        },
    );
    assert_eq!(
        received.unwrap_err(),
        Fault::misbehaved(Step::CheckAnswer, "the trees do not fit the key")
    );
}

/// A receiver's line that adds `off` to what it claims in its second expansion, and keeps what it is answered.
struct Crooked {
    inner: Memory,
    off: Gf,
    claims: usize,
    heard: Vec<Vec<u8>>,
}

impl Channel for Crooked {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let mut message = message.to_vec();
        if step == Step::CheckClaim {
            self.claims += 1;
            if self.claims == 2 {
                let claimed = Gf::from_slice(&message[..16]) ^ self.off;
                message[..16].copy_from_slice(&claimed.to_bytes());
            }
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        let message = self.inner.receive(step, length)?;
        if step == Step::CheckAnswer {
            self.heard.push(message.clone());
        }
        Ok(message)
    }
}

fn setting(channel: &mut dyn Channel, party: Party) -> Setting<'_> {
    let seed = Seed::new([if party == Party::Sender { 2 } else { 1 }; 32]);
    Setting { channel, party, id: SessionId([9; 32]), seed, watch: &Unwatched }
}

/// What the receiver heard in the check of its second expansion, the sender's Δ, and whether the sender went on.
fn second_check(off: Gf) -> (Vec<u8>, Gf, Result<(), Fault>) {
    let (left, mut right) = pair();
    let mut line = Crooked { inner: left, off, claims: 0, heard: Vec::new() };
    let (delta, went_on) = thread::scope(|scope| {
        let other = scope.spawn(move || {
            let mut session = Session::open(setting(&mut right, Party::Sender), b"t").unwrap();
            let mut sender = Sender::set_up(&mut session, Security::Malicious).unwrap();
            sender.expand(&mut session, 100).unwrap();
            (sender.delta(), sender.expand(&mut session, 100).map(drop))
        });
        let mut session = Session::open(setting(&mut line, Party::Receiver), b"t").unwrap();
        let mut receiver = Receiver::set_up(&mut session, Security::Malicious).unwrap();
        receiver.expand(&mut session, 100).unwrap();
        drop(receiver.expand(&mut session, 100));
        drop(session);
        line.inner = pair().0;
        other.join().unwrap()
    });
    (line.heard.pop().unwrap(), delta, went_on)
}

/// Vectors of the first expansion are out: with Δ their masks could be worked out, also by who is caught.
#[test]
fn a_receiver_that_makes_up_a_claim_is_caught_and_learns_nothing_of_the_key() {
    let (honest, delta, went_on) = second_check(Gf::ZERO);
    assert_eq!(went_on, Ok(()));
    let (crooked, same, went_on) = second_check(Gf::ONE);
    assert_eq!(same, delta, "the same seeds, so the same run up to the claim");
    assert!(went_on.is_err(), "it goes on with nobody who cannot open the right value");
    // In clear the two would differ by Δ·1.
    assert_eq!((honest.len(), crooked.len()), (32, 32), "a hash, and no element of the field");
    for (one, other) in honest.windows(16).zip(crooked.windows(16)) {
        assert_ne!(Gf::from_slice(one) ^ Gf::from_slice(other), delta);
    }
}
