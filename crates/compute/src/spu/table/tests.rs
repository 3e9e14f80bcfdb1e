//! CSV as it comes.

use super::*;

fn write(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

fn keys_of(text: &str, columns: &[&str]) -> Result<Vec<String>, Fault> {
    let columns: Vec<String> = columns.iter().map(|it| (*it).to_owned()).collect();
    let keys = Keys::open(write(text.as_bytes()).path(), &columns)?;
    keys.map(|it| it.map(|it| String::from_utf8(it).unwrap())).collect()
}

#[test]
fn keys_are_texts_joined_by_commas() {
    let check = |text: &str, columns: &[&str], expected: &[&str]| {
        assert_eq!(keys_of(text, columns).unwrap(), expected, "{text:?}");
    };
    check("id,x\na,1\nb,2\n", &["id"], &["a", "b"]);
    check("id,x\na,1\nb,2", &["x", "id"], &["1,a", "2,b"]);
    check("\u{FEFF}id,x\r\n 张三 ,1\r\n\r\nb,2\r\n", &["id"], &[" 张三 ", "b"]);
    check("id,x\n\"a,1\",\"say \"\"x\"\"\"\n", &["id", "x"], &["a,1,say \"x\""]);
    check("id\n", &["id"], &[]);
    check(&format!("id\n{}\n", "k".repeat(100_000)), &["id"], &[&"k".repeat(100_000)]);
    let wide: Vec<String> = (0..500).map(|it| format!("c{it}")).collect();
    let text = format!("{}\n{}\n", wide.join(","), vec!["v"; 500].join(","));
    check(&text, &["c499"], &["v"]);
}

#[test]
fn what_is_no_such_list_is_refused() {
    assert_eq!(keys_of("id\na\n", &["no"]).unwrap_err().code(), "spu.no-column");
    for (text, columns) in [("", &["id"][..]), ("id\na\n", &[]), ("id,x\na,1\nb\n", &["id"])] {
        assert_eq!(keys_of(text, columns).unwrap_err().code(), "spu.local", "{text:?}");
    }
    let nowhere = Path::new("/nowhere/at all");
    assert_eq!(Keys::open(nowhere, &["id".to_owned()]).err().unwrap().code(), "spu.local");
}

#[test]
fn common_rows_are_written_as_they_stand() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out.csv");
    let check = |text: &str, places: &[u32], expected: &str| {
        write_rows(write(text.as_bytes()).path(), places, &out).unwrap();
        assert_eq!(std::fs::read_to_string(&out).unwrap(), expected);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing else is left");
    };
    check("id,x\na,1\nb,2\nc,3\n", &[0, 2], "id,x\na,1\nc,3\n");
    check("id,x\r\n\"a,\"\"b\",1\r\n\r\n b ,2", &[0, 1], "id,x\n\"a,\"\"b\",1\n b ,2\n");
    check("id,x\na,1\n", &[], "id,x\n");
    let fault = write_rows(write(b"id\na\n").path(), &[1], &out).unwrap_err();
    assert_eq!(fault.code(), "spu.local");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "id,x\n", "the old file stays");
}
