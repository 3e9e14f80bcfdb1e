use super::*;
use crate::base_ot::ideal;
use crate::session::tests::both;

/// Base transfers as a dealer would give them.
fn bases(secret: u128) -> (Vec<[u128; 2]>, Vec<u128>) {
    let choices: Vec<u8> = (0..COLUMNS).map(|i| u8::from(secret >> i & 1 == 1)).collect();
    ideal::deal(&mut Stream::new(&[8; 32]), &choices)
}

#[test]
fn extended_transfers_are_transfers_again_and_again() {
    let secret = 0x0123_4567_89ab_cdef_1122_3344_5566_7788;
    let (pairs, chosen) = bases(secret);
    let choices: Vec<Vec<u8>> = [0usize, 1, 127, 128, 129, 1000]
        .iter()
        .map(|count| (0..*count).map(|j| u8::from(j % 5 < 2)).collect())
        .collect();
    for checked in [false, true] {
        let (picks, pairs) = (choices.clone(), pairs.clone());
        let (counts, chosen): (Vec<usize>, _) =
            (choices.iter().map(Vec::len).collect(), chosen.clone());
        let (received, sent) = both(
            b"t",
            move |session| {
                let mut own = session.stream(b"own");
                let mut receiver = Receiver::new(session.binding(), &pairs)?;
                picks.iter().map(|c| receiver.extend(session, c, &mut own, checked)).collect()
            },
            move |session| {
                let mut sender = Sender::new(session.binding(), secret, &chosen)?;
                counts.iter().map(|c| sender.extend(session, *c, checked)).collect()
            },
        );
        let (received, sent): (Vec<Vec<u128>>, Vec<Vec<[u128; 2]>>) =
            (received.unwrap(), sent.unwrap());
        for ((received, sent), choices) in received.iter().zip(&sent).zip(&choices) {
            assert_eq!(*received, ideal::chosen(sent, choices));
            assert!(sent.iter().all(|[zero, one]| zero != one));
        }
    }
}

#[test]
fn other_choices_in_one_column_are_caught_where_the_secret_looks() {
    // The receiver of column 3 lies about one row. The sender notices exactly if bit 3 of its secret is set.
    for (secret, caught) in [(0b1000u128, true), (0b0111, false)] {
        let (pairs, chosen) = bases(secret);
        let (_, sent) = both(
            b"t",
            move |session| {
                let mut lying = session.stream(b"own");
                let mut receiver = Receiver::new(session.binding(), &pairs)?;
                // A stream that was moved on by one block has another correction in that column only.
                let _ahead = receiver.columns[3][1].block();
                receiver.extend(session, &[1; 200], &mut lying, true)
            },
            move |session| {
                let mut sender = Sender::new(session.binding(), secret, &chosen)?;
                sender.extend(session, 200, true)
            },
        );
        assert_eq!(sent.is_err(), caught, "{secret:b}");
    }
}
