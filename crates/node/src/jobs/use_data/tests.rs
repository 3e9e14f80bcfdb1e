use super::*;

#[test]
fn results_that_are_no_arrow_stream_have_no_rows() {
    for bad in [b"".as_slice(), b"ARROW1", &[0xff; 64], &[0; 64], b"\xff\xff\xff\xff\x10\x00\x00\x00"] {
        let bad = bad.to_vec();
        let rows = std::panic::catch_unwind(move || rows(&bad)).ok().flatten();
        assert!(rows.is_none_or(|it| it == 0), "{rows:?}");
    }
}
