//! Lists in which a few keys are in most rows: as much memory as ordered, or a refusal that says how many rows there are.

use tidm_compute::keys::Equals;

use crate::parties::{Pair, files, run};

/// Writes the receiver's list: `often` rows that share `keys` keys in turn, then the rows of a pair's own list.
fn skewed(pair: &Pair, often: usize, keys: usize) {
    let own = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
    let (header, rest) = own.split_once('\n').unwrap();
    let mut text = format!("{header}\n");
    for row in 0..often {
        text.push_str(&format!("k{},\n", row % keys));
    }
    std::fs::write(pair.path("receiver.csv"), text + rest).unwrap();
}

#[test]
fn rows_that_repeat_a_key_take_no_memory_where_the_first_counts() {
    for (count, often, keys) in [(1000, 2_500_000, 1), (150_000, 1_500_000, 7)] {
        let pair = Pair::new(count);
        skewed(&pair, often, keys);
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

#[test]
fn rows_that_all_count_are_bounded_before_a_part_runs() {
    const ROWS: usize = 700_000;
    let pair = Pair::new(1000);
    skewed(&pair, ROWS, 1);
    let orders = pair.orders(|order| {
        (order.memory, order.parts) = (28 << 20, Some(4));
        order.rule.equals = Equals::Multiply;
    });
    let (received, sent) = run(&orders);
    let error = received.unwrap_err();
    assert_eq!(error.code, "mpc.too-many");
    let number = ROWS.to_string();
    assert!(error.text.contains("one and the same key") && error.text.contains(&number));
    assert!(!error.text.contains("k0"));
    assert_eq!(sent.unwrap_err().code, "mpc.peer-stopped");
    assert_eq!(files(&pair.path("sender"), "run-"), 0);
    // As many as fit are all in the result.
    let pair = Pair::new(1000);
    skewed(&pair, 5000, 1);
    let theirs = std::fs::read_to_string(pair.path("sender.csv")).unwrap();
    std::fs::write(pair.path("sender.csv"), theirs + "k0,\n").unwrap();
    let orders = pair.orders(|order| {
        order.parts = Some(4);
        order.terms.receiver_items += 1;
        order.terms.sender_items += 1;
        order.rule.equals = Equals::Multiply;
    });
    let (received, sent) = run(&orders);
    assert_eq!(received.unwrap().matched, Some(5500));
    sent.unwrap();
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
