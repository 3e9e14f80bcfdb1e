use arrow::array::AsArray;
use arrow::datatypes::Decimal128Type;

use super::*;
use crate::result;

fn asked(clamp: Option<&Clamp>) -> Asked<'_> {
    Asked { name: "x".to_owned(), part: Part::Count { most: 1 }, clamp }
}

/// An answer has the same size whatever it says.
#[test]
fn numbers_take_as_many_bytes_whatever_they_are() {
    for exponent in [-9, -1, 0, 6] {
        let clamp = Clamp { column: "c".to_owned(), exponent, low: 0, high: 1 };
        let all = [asked(None), asked(Some(&clamp))];
        let size = |n: i128| written(&all, &[n, n]).unwrap().len();
        for n in [1, -1, 1 << 62, i128::MAX, i128::MIN] {
            assert_eq!(size(n), size(0), "{n}");
        }
    }
}

#[test]
fn steps_become_numbers_of_the_column() {
    for (steps, exponent, text) in [
        (205, -1, "20.5"),
        (-205, -1, "-20.5"),
        (7, 2, "700"),
        (0, 0, "0"),
        (1, -9, "0.000000001"),
        (i128::MAX, 6, "99999999999999999999999999999999999999"),
        (i128::MIN, 0, "-99999999999999999999999999999999999999"),
    ] {
        assert_eq!(decimal(steps, exponent).value_as_string(0), text);
    }
    let clamp = Clamp { column: "c".to_owned(), exponent: -1, low: 0, high: 1 };
    let ipc = written(&[asked(None), asked(Some(&clamp))], &[i128::MAX, -5]).unwrap();
    let read = result::read(&ipc).unwrap();
    let columns = read.batches[0].columns();
    assert_eq!(columns[0].as_primitive::<arrow::datatypes::Int64Type>().value(0), i64::MAX);
    assert_eq!(columns[1].as_primitive::<Decimal128Type>().value_as_string(0), "-0.5");
}

#[test]
fn words_that_have_no_noisy_answer_are_refused_without_a_table() {
    for (sql, word) in [
        ("SELECT count(*) FROM t GROUP BY line", "GROUP"),
        ("SELECT count(*) FROM t join u ON t.a = u.a", "JOIN"),
        ("SELECT count(*) FROM (SELECT * FROM t)", "a SELECT inside another"),
        ("SELECT avg(x) FROM t", "AVG"),
    ] {
        let no = shape::preflight(sql).unwrap_err();
        assert_eq!((no.code, &*no.construct), (Code::Noise, word), "{sql}");
    }
    assert!(shape::preflight("SELECT count(*), sum(\"group\") FROM t WHERE a = 'JOIN'").is_ok());
    assert_eq!(shape::preflight("SELECT 'open").unwrap_err().code, Code::Malformed);
}
