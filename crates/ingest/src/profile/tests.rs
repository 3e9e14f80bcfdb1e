//! Profiles against exact answers.

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;

fn portrait(columns: Vec<(&str, ArrayRef)>) -> Vec<ColumnProfile> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut profiler = Profiler::new(&batch.schema());
    let mut at = 0;
    while at < batch.num_rows() {
        let n = (batch.num_rows() - at).min(1_000);
        profiler.see(&batch.slice(at, n)).unwrap();
        at += n;
    }
    profiler.finish()
}

#[test]
fn few_values_are_exact() {
    let numbers: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(3), Some(1), None, Some(3), Some(2), Some(3)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["泵", "阀", "泵", "泵", "阀", "压缩机"]));
    let [n, t] = portrait(vec![("n", numbers), ("t", texts)]).try_into().unwrap();
    assert_eq!((n.rows, n.nulls, n.distinct), (6, 1, Distinct { count: 3, exact: true }));
    assert_eq!((n.min.as_deref(), n.max.as_deref(), n.mean), (Some("1"), Some("3"), Some(2.4)));
    assert!((n.std_dev.unwrap() - 0.8).abs() < 1e-12);
    assert_eq!(n.quantiles[3].value, "3");
    assert_eq!(n.top[0], Top { value: "3".into(), count: 3, slack: 0 });
    assert_eq!(t.top[0], Top { value: "泵".into(), count: 3, slack: 0 });
    assert_eq!(t.lengths.unwrap().max, 3);
    assert!(t.mean.is_none() && t.quantiles.is_empty());
}

#[test]
fn many_values_stay_near_and_are_deterministic() {
    const N: i64 = 200_000;
    // A permutation of 0..N (odd multiplier, N coprime), so ranks are known.
    let values = (0..N).map(|i| i * 7_919 % N).collect::<Vec<_>>();
    let column = || -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(values.iter().map(|v| *v as f64)))
    };
    let skewed: ArrayRef = Arc::new(Int64Array::from_iter_values(
        values.iter().map(|v| if v % 3 == 0 { -1 } else { *v }),
    ));
    let [p, s] = portrait(vec![("v", column()), ("s", skewed.clone())]).try_into().unwrap();
    let off = (p.distinct.count as f64 / N as f64 - 1.0).abs();
    assert!(off < 0.05 && !p.distinct.exact, "distinct off by {off}");
    for q in &p.quantiles {
        let rank = q.value.parse::<f64>().unwrap() / N as f64;
        assert!((rank - q.at).abs() < 0.02, "{q:?}");
    }
    assert!((p.mean.unwrap() - (N - 1) as f64 / 2.0).abs() < 1e-6);
    let top = &s.top[0];
    let truth = (N as u64).div_ceil(3);
    assert_eq!(top.value, "-1");
    assert!(top.count <= truth && truth <= top.count + top.slack, "{top:?} {truth}");
    assert_eq!(portrait(vec![("v", column()), ("s", skewed)]), [p, s]);
}

#[test]
fn floats_that_are_no_numbers_are_left_out() {
    let column: ArrayRef =
        Arc::new(Float64Array::from(vec![f64::NAN, -0.0, 0.0, -5.5, f64::INFINITY]));
    let [p] = portrait(vec![("f", column)]).try_into().unwrap();
    assert_eq!((p.not_numbers, p.distinct.count), (1, 3));
    assert_eq!((p.min.as_deref(), p.max.as_deref(), p.mean), (Some("-5.5"), Some("inf"), None));
}
