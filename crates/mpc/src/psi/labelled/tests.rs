use std::thread;

use super::*;
use crate::channel::memory::pair;
use crate::psi::{Item, ideal};
use crate::random::Seed;
use crate::session::tests::both;
use crate::session::{Party, SessionId, Unwatched, Watch};

/// Counts the bytes of each step, and stops where it is told to.
#[derive(Default)]
struct Counted {
    bytes: std::sync::Mutex<std::collections::BTreeMap<Step, (u64, u64)>>,
    stop_at: Option<Step>,
    stopped: std::sync::atomic::AtomicBool,
}

impl Watch for Counted {
    fn cancelled(&self) -> bool {
        self.stopped.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn sent(&self, step: Step, bytes: u64) {
        self.bytes.lock().unwrap().entry(step).or_default().0 += bytes;
    }

    fn received(&self, step: Step, bytes: u64) {
        self.bytes.lock().unwrap().entry(step).or_default().1 += bytes;
    }

    fn progress(&self, step: Step, _: u64, _: u64) {
        if Some(step) == self.stop_at {
            self.stopped.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

fn watched(
    terms: &Terms,
    (receiver, sender): (&Set, &Set),
    labels: &[u8],
    watch: &Counted,
) -> (Result<Vec<Found>, Fault>, Result<(), Fault>) {
    let (mut left, mut right) = pair();
    let id = SessionId([1; 32]);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
            send(setting, terms, sender, labels)
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        let setting = Setting { channel: &mut left, party, id, seed, watch };
        let found = receive(setting, terms, receiver);
        drop(left);
        (found, other.join().unwrap())
    })
}

fn set(numbers: impl IntoIterator<Item = u128>) -> Set {
    Set::new(&numbers.into_iter().map(Item).collect::<Vec<_>>()).unwrap()
}

fn labels(count: usize, length: usize) -> Vec<u8> {
    let mut labels = vec![0; count * length];
    pad(&mut Stream::new(&[6; 32]), &mut labels);
    labels
}

const BOTH: [Security; 2] = [Security::SemiHonest, Security::Malicious];

#[test]
fn the_result_is_the_dealers_at_every_size_overlap_and_length() {
    let cases = [
        (0..0, 0..0),
        (0..0, 0..5),
        (0..5, 0..0),
        (0..1, 0..1),
        (0..1, 1..2),
        (0..255, 100..356),
        (0..256, 0..256),
        (0..257, 257..512),
    ];
    for (one, other) in cases {
        let (one, other) = (set(one), set(other));
        for length in [0, 1, 16, 100] {
            let labels = labels(other.len(), length);
            for security in BOTH {
                let terms = Terms {
                    security,
                    receiver_items: one.len() as u64,
                    sender_items: other.len() as u64 + 3,
                    label_bytes: u32::try_from(length).unwrap(),
                    parts: 1,
                };
                let (found, sent) = watched(&terms, (&one, &other), &labels, &Counted::default());
                assert_eq!(sent, Ok(()));
                assert_eq!(found.unwrap(), ideal::labelled(&one, &other, &labels, length));
            }
        }
    }
}

#[test]
fn labels_fill_several_messages_and_follow_the_callers_places() {
    let other: Vec<Item> = (0..2500u128).map(|index| Item(index / 2)).collect();
    let (other, left_out) = Set::first_of_equals(&other).unwrap();
    assert_eq!(left_out, 1250);
    let (one, labels) = (set(1000..1400), labels(2500, 4096));
    let terms = Terms {
        security: Security::Malicious,
        receiver_items: 400,
        sender_items: 1300,
        label_bytes: 4096,
        parts: 1,
    };
    let (found, _) = watched(&terms, (&one, &other), &labels, &Counted::default());
    let found = found.unwrap();
    assert_eq!(found, ideal::labelled(&one, &other, &labels, 4096));
    assert_eq!(found[7].label, labels[2014 * 4096..2015 * 4096]);
    assert_eq!(found.len(), 250);
}

#[test]
fn traffic_depends_on_the_agreed_sizes_only() {
    for security in BOTH {
        let terms =
            Terms { security, receiver_items: 300, sender_items: 200, label_bytes: 33, parts: 1 };
        let bytes = |one: Set, other: Set| {
            let watch = Counted::default();
            watched(&terms, (&one, &other), &labels(other.len(), 33), &watch).0.unwrap();
            watch.bytes.into_inner().unwrap()
        };
        let expected = bytes(set([]), set([]));
        assert_eq!(expected[&Step::Labels], (0, 200 * 33 + 5));
        for (one, other) in
            [(set(0..300), set(0..200)), (set(0..1), set(5..9)), (set(0..300), set(300..301))]
        {
            assert_eq!(bytes(one, other), expected);
        }
    }
}

#[test]
fn labels_of_other_items_are_even_noise_under_every_key_of_the_receiver() {
    for security in BOTH {
        let terms =
            Terms { security, receiver_items: 50, sender_items: 400, label_bytes: 100, parts: 1 };
        let (one, other) = (set(0..50), set(25..400));
        let (seen, sent) = both(
            &terms.bytes(),
            |session| {
                let mut function = Receiver::set_up(session, &terms.function())?;
                let (_, keys) = halves(function.prf(session, one.items())?);
                let code = Code::new(400, terms.function().mask_bits());
                session.receive(Step::Masks, code.bytes())?;
                let texts = session.receive(Step::Labels, 400 * 100)?;
                if security.checked() {
                    session.confirm()?;
                }
                Ok((texts, keys.to_vec()))
            },
            |session| {
                // All labels are zero: whatever opens one is seen at once.
                let mut function = Sender::set_up(session, &terms.function())?;
                let evaluated = function.prf(session, other.items())?;
                let (masks, keys) = halves(evaluated);
                let mut own = session.stream(b"fill");
                let sorted = sorted(&masks, terms.function().mask_bits());
                let code = Code::new(400, terms.function().mask_bits());
                session.send(Step::Masks, &vec![0; code.bytes()])?;
                let mut texts = Vec::new();
                for index in 0..400 {
                    let mut text = vec![0; 100];
                    match sorted.get(index).map(|(_, index)| keys[*index as usize]) {
                        Some(key) => pad(&mut Stream::keyed(key), &mut text),
                        None => pad(&mut own, &mut text),
                    }
                    texts.extend(text);
                }
                session.send(Step::Labels, &texts)?;
                if security.checked() { session.confirm() } else { Ok(()) }
            },
        );
        sent.unwrap();
        let (texts, keys) = seen.unwrap();
        let opened = |text: &[u8]| {
            let zeros = |key: &u128| {
                let mut text = text.to_vec();
                pad(&mut Stream::keyed(*key), &mut text);
                text.iter().all(|byte| *byte == 0)
            };
            keys.iter().filter(|key| zeros(key)).count()
        };
        let (open, shut): (Vec<&[u8]>, Vec<&[u8]>) =
            texts.chunks(100).partition(|text| opened(text) > 0);
        assert_eq!(open.len(), 25);
        // 37,500 bytes: 146.5 of each, standard deviation 12.1.
        let mut counts = [0i32; 256];
        shut.iter().flat_map(|text| text.iter()).for_each(|byte| counts[*byte as usize] += 1);
        assert!(counts.iter().all(|count| (count - 146).abs() < 73), "{counts:?}");
    }
}

#[test]
fn of_two_masks_of_an_item_the_first_counts_and_messages_of_other_lengths_are_faults() {
    let terms = Terms {
        security: Security::SemiHonest,
        receiver_items: 9,
        sender_items: 4,
        label_bytes: 8,
        parts: 1,
    };
    let receiver = set(0..9);
    for (twice, labels) in [(true, 32), (false, 31), (false, 33)] {
        let (received, _) = both(
            &terms.bytes(),
            |session| {
                let mut function = Receiver::set_up(session, &terms.function())?;
                open(session, &mut function, &terms, &receiver)
            },
            |session| {
                let mut function = Sender::set_up(session, &terms.function())?;
                let (mut masks, keys) = halves(function.prf(session, &[3, 4, 5, 60])?);
                let (mask, key) = (masks[1], keys[1]);
                if twice {
                    masks[0] = mask;
                }
                masks.sort_unstable();
                let code = Code::new(4, terms.function().mask_bits());
                session.send(Step::Masks, &code.write(&masks))?;
                let mut texts = vec![0; labels];
                let at = masks.iter().position(|other| *other == mask).unwrap_or_default() * 8;
                if let Some(text) = texts.get_mut(at..at + 8) {
                    pad(&mut Stream::keyed(key), text);
                }
                session.send(Step::Labels, &texts)
            },
        );
        match twice {
            true => {
                let found = received.unwrap();
                assert!(found.windows(2).all(|pair| pair[0].place < pair[1].place), "{found:?}");
                assert_eq!(found.iter().filter(|found| found.label == [0; 8]).count(), 1);
            }
            false => assert_eq!(received.unwrap_err().code(), "mpc.peer-misbehaved"),
        }
    }
}

#[test]
fn a_stop_ends_both_sides_and_misuse_leaves_no_byte() {
    let terms = Terms {
        security: Security::Malicious,
        receiver_items: 600,
        sender_items: 600,
        label_bytes: 4096,
        parts: 1,
    };
    let (one, other) = (set(0..600), set(300..900));
    for step in [Step::Trees, Step::Okvs, Step::Labels] {
        let watch = Counted { stop_at: Some(step), ..Counted::default() };
        let (found, sent) = watched(&terms, (&one, &other), &labels(600, 4096), &watch);
        assert_eq!(found, Err(Fault::Cancelled));
        assert_eq!(sent.unwrap_err().code(), "mpc.connection-lost");
    }
    let code = |terms: &Terms, labels: &[u8]| {
        let (mut channel, mut peer) = pair();
        let (party, id, seed) = (Party::Sender, SessionId([1; 32]), Seed::new([2; 32]));
        let setting = Setting { channel: &mut channel, party, id, seed, watch: &Unwatched };
        let code = send(setting, terms, &other, labels).unwrap_err().code();
        drop(channel);
        assert!(crate::channel::Channel::receive(&mut peer, Step::Hello, 70).is_err());
        code
    };
    assert_eq!(code(&terms, &labels(599, 4096)), "mpc.misuse");
    assert_eq!(code(&Terms { label_bytes: 4097, ..terms }, &labels(600, 4097)), "mpc.too-many");
    assert_eq!(code(&Terms { sender_items: 599, ..terms }, &labels(600, 4096)), "mpc.too-many");
}
