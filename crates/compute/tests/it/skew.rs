//! Lists in which a few keys are in most rows: no more memory than ordered, whatever equal keys mean.

use tidm_compute::job::order::{Learns, Results, Role};
use tidm_compute::job::what::{What, Within};
use tidm_compute::keys::{Bitmap, Equals};

use crate::parties::{Pair, files, run};

/// Writes a list: `often` rows that share `keys` keys in turn, then the rows of a pair's own list.
fn skewed(pair: &Pair, name: &str, often: usize, keys: usize) {
    let own = std::fs::read_to_string(pair.path(name)).unwrap();
    let (header, rest) = own.split_once('\n').unwrap();
    let mut text = format!("{header}\n");
    for row in 0..often {
        text.push_str(&format!("k{},\n", row % keys));
    }
    std::fs::write(pair.path(name), text + rest).unwrap();
}

#[test]
fn rows_that_repeat_a_key_take_no_memory_where_the_first_counts() {
    for (count, often, keys) in [(1000, 2_500_000, 1), (150_000, 1_500_000, 7)] {
        let pair = Pair::new(count);
        skewed(&pair, "receiver.csv", often, keys);
        let orders = pair.orders(|order| {
            order.memory = 28 << 20;
            order.terms.receiver_items = count + keys as u64;
        });
        let (received, sent) = run(&orders);
        let report = received.unwrap();
        assert_eq!(report.matched, Some(count / 2));
        assert_eq!((report.rows, report.duplicates), (count + often as u64, (often - keys) as u64));
        // 20 bytes a row alone would be 50 MB and 33.
        assert!(report.peak_bytes < 46 << 20, "{}", report.peak_bytes);
        sent.unwrap();
    }
}

/// Rows of a few keys that take many times the ordered memory, on both sides: each counts, and nothing ends the job.
#[test]
fn rows_that_all_count_take_no_memory_either() {
    const ROWS: usize = 2_500_000;
    for (learns, keys) in [(Learns::Receiver, 1), (Learns::Both, 3)] {
        let pair = Pair::new(1000);
        skewed(&pair, "receiver.csv", ROWS, keys);
        skewed(&pair, "sender.csv", ROWS / 2, 1);
        let mut orders = pair.orders(|order| {
            (order.memory, order.parts, order.terms.learns) = (28 << 20, Some(4), learns);
            order.rule.equals = Equals::Multiply;
            (order.terms.receiver_items, order.terms.sender_items) = (1000 + keys as u64, 1001);
        });
        orders[0].results.bitmap = Some(pair.path("bits"));
        let (received, sent) = run(&orders);
        let (received, sent) = (received.unwrap(), sent.unwrap());
        // The rows of key 0, and the second half of the others.
        let common = ROWS.div_ceil(keys);
        assert_eq!(received.matched, Some((common + 500) as u64));
        let expected = (0..ROWS).step_by(keys).chain(ROWS + 500..ROWS + 1000);
        let bits = Bitmap::of_bytes(&std::fs::read(pair.path("bits")).unwrap()).unwrap();
        assert!(bits.iter().eq(expected.map(|row| row as u64)));
        assert_eq!(received.duplicates, 0);
        let both = (learns == Learns::Both).then_some((ROWS / 2 + 500) as u64);
        assert_eq!(sent.matched, both);
        // 20 bytes a row alone would be 50 MB.
        assert!(received.peak_bytes < 46 << 20, "{}", received.peak_bytes);
        assert!(sent.peak_bytes < 46 << 20, "{}", sent.peak_bytes);
    }
}

/// The same for an answer: of the rows of one key the values are added up, of more rows than one part holds.
#[test]
fn values_of_rows_that_all_count_are_added_up_whatever_their_number() {
    const ROWS: usize = 400_000;
    let pair = Pair::new(1000);
    let text = std::fs::read_to_string(pair.path("sender.csv")).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let mut priced = "number,price\n".to_owned() + &"k0,2\n".repeat(ROWS);
    priced.extend(rest.lines().map(|line| line.replace("row", "3") + "\n"));
    std::fs::write(pair.path("sender.csv"), priced).unwrap();
    skewed(&pair, "receiver.csv", 9, 1);
    for (what, expected) in [
        (
            What::Sum {
                of: Role::Sender,
                column: "price".to_owned(),
                decimals: 0,
                within: Within::default(),
            },
            (None, Some((2 * ROWS + 3 * 500).to_string())),
        ),
        (What::Size { within: Within::default() }, (Some(501), None)),
    ] {
        let mut orders = pair.orders(|order| {
            (order.what, order.results) = (what.clone(), Results::default());
            (order.memory, order.parts) = (40 << 20, Some(4));
            order.rule.equals = Equals::Multiply;
            (order.terms.receiver_items, order.terms.sender_items) = (1001, 1001);
        });
        for order in &mut orders {
            order.dir = order.dir.join(if expected.0.is_some() { "size" } else { "sum" });
        }
        let (received, sent) = run(&orders);
        let answer = received.unwrap().answer.unwrap();
        assert_eq!((answer.size, answer.sum), expected);
        sent.unwrap();
    }
}

#[test]
fn equal_keys_are_refused_with_their_number_in_the_whole_list() {
    for disk in [false, true] {
        let pair = Pair::new(20_000);
        let own = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
        let mut lines: Vec<&str> = own.lines().collect();
        for line in 0..60 {
            lines[10_000 + line] = lines[1 + line];
        }
        std::fs::write(pair.path("receiver.csv"), lines.join("\n")).unwrap();
        let orders = pair.orders(|order| {
            (order.parts, order.workers) = (Some(16), if disk { 2 } else { 1 });
            order.rule.equals = Equals::Refuse;
        });
        let (received, sent) = run(&orders);
        let error = received.unwrap_err();
        assert_eq!(error.code, "mpc.duplicate-items");
        assert!(error.text.starts_with("60 items"), "{}", error.text);
        assert_eq!(sent.unwrap_err().code, "mpc.peer-stopped");
        assert_eq!(files(&pair.path("sender"), "run-"), 0);
    }
}
