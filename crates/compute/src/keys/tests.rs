//! Lists in all formats, from rows to items and back to rows.

mod lists;
mod results;

use tidm_mpc::psi::Item;

use super::*;

pub(super) fn rule(json: &str) -> Rule {
    Rule::of_json(json).unwrap()
}

/// Items of all rows, and the counts.
pub(super) fn drain(mut source: Source) -> Result<(Vec<Option<Item>>, Counts), Fault> {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    while source.next(&mut batch)? {
        all.extend_from_slice(&batch);
    }
    Ok((all, *source.counts()))
}

pub(super) fn csv(
    text: &[u8],
    rule: &Rule,
    mapping: &Mapping,
) -> Result<(Vec<Option<Item>>, Counts), Fault> {
    let format = Format::Csv(Delimiter::Comma);
    let input = std::io::Cursor::new(text.to_vec());
    drain(read(Box::new(input), "list.csv", format, rule, mapping, b"contract 7")?)
}

const ID: &str = r#"{"parts":[{"role":"id","form":"text"}]}"#;

/// Jobs read lists in a thread of their own.
const fn can_be_moved_to_a_thread<T: Send>() {}
const _: () = can_be_moved_to_a_thread::<Source>();

#[test]
fn rules_are_read_strictly_and_written_back() {
    let full = r#"{"parts":[{"role":"name","form":"text","ignore_case":true},{"role":"born","form":"date"}],"equals":"multiply"}"#;
    assert_eq!(rule(full).json().unwrap(), full);
    assert_eq!(rule(ID).equals, Equals::Refuse);
    for bad in [
        "",
        "{}",
        r#"{"parts":[]}"#,
        r#"{"parts":[{"role":"id"}]}"#,
        r#"{"parts":[{"role":"id","form":"guess"}]}"#,
        r#"{"parts":[{"role":"id","form":"text","salt":1}]}"#,
        r#"{"parts":[{"role":"id","form":"text"}],"more":1}"#,
        r#"{"parts":[{"role":"id","form":"text"}],"equals":"last"}"#,
        r#"{"parts":[{"role":" id","form":"text"}]}"#,
        r#"{"parts":[{"role":"","form":"text"}]}"#,
        r#"{"parts":[{"role":"id","form":"text"},{"role":"id","form":"date"}]}"#,
        r#"{"parts":[{"role":"id","form":"exact","ignore_case":true}]}"#,
    ] {
        assert_eq!(Rule::of_json(bad).unwrap_err().code(), "keys.rule", "{bad}");
    }
}

#[test]
fn descriptions_differ_where_rules_do() {
    let rules = [
        ID,
        r#"{"parts":[{"role":"id","form":"exact"}]}"#,
        r#"{"parts":[{"role":"id","form":"text","ignore_case":true}]}"#,
        r#"{"parts":[{"role":"id","form":"text"}],"equals":"first"}"#,
        r#"{"parts":[{"role":"id","form":"text"}],"equals":"multiply"}"#,
        r#"{"parts":[{"role":"key","form":"text"}]}"#,
        r#"{"parts":[{"role":"id","form":"text"},{"role":"x","form":"text"}]}"#,
        r#"{"parts":[{"role":"x","form":"text"},{"role":"id","form":"text"}]}"#,
    ];
    let mut seen = std::collections::HashSet::new();
    for json in rules {
        assert!(seen.insert(rule(json).description()), "{json}");
        assert!(seen.insert(rule(json).context(b"a").to_vec()), "{json}");
        assert!(seen.insert(rule(json).context(b"b").to_vec()), "{json}");
    }
    let spaced = "{ \"equals\" : \"refuse\", \"parts\": [ {\"form\":\"text\", \"role\":\"id\"} ] }";
    assert_eq!(rule(spaced).description(), rule(ID).description());
}

/// The encoding of keys, written once more: both parties' programs must agree on it.
#[test]
fn items_are_the_hash_of_the_encoded_key() {
    let (rule, mapping) = (rule(ID), Mapping::same(&rule(ID)));
    let context = rule.context(b"contract 7");
    for length in [1, 2, 18, 62, 63, 64, 65, 127, 128, 1000] {
        let key = vec![b'k'; length];
        let mut encoded = key.clone();
        if length < 64 {
            encoded.resize(63, 0);
            encoded.push(u8::try_from(length).unwrap());
        } else {
            encoded.push(0xff);
        }
        let text = [b"id\n", key.as_slice()].concat();
        let (items, _) = csv(&text, &rule, &mapping).unwrap();
        assert_eq!(items, [Some(Item::of(&context, &encoded))], "{length}");
    }
}

#[test]
fn parts_are_joined_so_that_nothing_moves_between_them() {
    let rule = rule(r#"{"parts":[{"role":"a","form":"exact"},{"role":"b","form":"exact"}]}"#);
    let (items, _) =
        csv(b"a,b\nxy,z\nx,yz\nxyz,\n\"xy\",\"z\"\nz,xy\n", &rule, &Mapping::same(&rule)).unwrap();
    assert_eq!(items[2], None);
    assert_eq!(items[0], items[3]);
    let different: std::collections::HashSet<_> = items.iter().flatten().map(|i| i.0).collect();
    assert_eq!(different.len(), 3);
}

#[test]
fn parties_with_other_columns_find_the_same_items() {
    let rule = rule(
        r#"{"parts":[{"role":"phone","form":"phone"},{"role":"name","form":"text","ignore_case":true}]}"#,
    );
    let ours = csv(
        "姓名,x,手机\nAnn Lee,1,138-1234-5678\n".as_bytes(),
        &rule,
        &Mapping::of([("phone", "手机"), ("name", "姓名")]),
    );
    let theirs = csv(
        b"Tel;ignored,Tel,full\n,+8613812345678,\" ann  LEE\"\n",
        &rule,
        &Mapping::of([("phone", "Tel"), ("name", "full")]),
    );
    assert_eq!(ours.unwrap().0, theirs.unwrap().0);
    for (wrong, code) in [
        (Mapping::of([("phone", "Tel")]), "keys.mapping"),
        (Mapping::of([("phone", "Tel"), ("name", "full"), ("more", "x")]), "keys.mapping"),
        (Mapping::of([("phone", "Tel"), ("name", "nam")]), "keys.no-column"),
    ] {
        let found = csv(b"Tel,full\n1,2\n", &rule, &wrong).unwrap_err();
        assert_eq!(found.code(), code);
    }
}

#[test]
fn rows_without_a_key_are_counted_by_kind_and_never_match() {
    let rule = rule(ID);
    let text = b"id,n\na,1\n,2\n  ,3\n\xff,4\nx\0y,5\nb\nc,6,7\n\"\",8\n\"d\",9\ne,10\n";
    let (items, counts) = csv(text, &rule, &Mapping::same(&rule)).unwrap();
    let with: Vec<usize> = (0..items.len()).filter(|row| items[*row].is_some()).collect();
    assert_eq!(with, [0, 8, 9]);
    assert_eq!((counts.rows, counts.items()), (10, 3));
    let tally = |count, first_row| Tally { count, first_row };
    assert_eq!(counts.of(Why::Empty), tally(3, 2));
    assert_eq!(counts.of(Why::Encoding), tally(1, 4));
    assert_eq!(counts.of(Why::Malformed), tally(1, 5));
    assert_eq!(counts.of(Why::Ragged), tally(2, 6));
    assert_eq!(counts.of(Why::Long), tally(0, 0));
    assert!(counts.to_string().contains("1 whose key is not UTF-8 (the first is row 4)"));
}

#[test]
fn a_missing_column_names_what_is_there_and_what_was_meant() {
    let rule = rule(ID);
    let fault = |text: &[u8], column| {
        csv(text, &rule, &Mapping::of([("id", column)])).unwrap_err().to_string()
    };
    assert_eq!(
        fault(b"Id_card,name\n1,2\n", "id_cart"),
        "list.csv has no column \"id_cart\" for \"id\" of the key; it has \"Id_card\", \"name\"; did you mean \"Id_card\"?"
    );
    assert!(fault("身份证号,姓名\n".as_bytes(), "身份证").ends_with("did you mean \"身份证号\"?"));
    let headless = fault(b"330106199001011234,ann\n", "id");
    assert!(headless.contains("put a header line above it") && !headless.contains("3301"));
    assert!(fault(b"id,name,id\n1,2,3\n", "id").contains("more than one column"));
}

#[test]
fn single_fields_are_found_wherever_they_stand() {
    let rule = rule(ID);
    let expected = csv(b"id\nkey\n", &rule, &Mapping::same(&rule)).unwrap().0;
    for columns in 1..6 {
        for place in 0..columns {
            let line = |other: &str, this: &str| {
                let fields = (0..columns).map(|at| if at == place { this } else { other });
                fields.collect::<Vec<_>>().join(",")
            };
            for other in ["", "zz", "\"a,b\"", "\"\"\"\n\""] {
                for end in ["\n", "\r\n", ""] {
                    let text = format!("{}\n{}{end}", line("", "id"), line(other, "key"));
                    let (items, _) = csv(text.as_bytes(), &rule, &Mapping::same(&rule)).unwrap();
                    assert_eq!(items, expected, "{text:?}");
                }
            }
            let more = format!("{}\n{},\n", line("c", "id"), line("", "key"));
            let (_, counts) = csv(more.as_bytes(), &rule, &Mapping::same(&rule)).unwrap();
            assert_eq!(counts.of(Why::Ragged).count, 1);
        }
    }
}

proptest::proptest! {
    #[test]
    fn bitmaps_are_sets_of_rows(rows in 0u64..400, picks: Vec<u64>, from in 0u64..400, length in 0u64..200) {
        let mut bitmap = Bitmap::new(rows).unwrap();
        let mut model = std::collections::BTreeSet::new();
        for pick in picks {
            let row = pick % 450;
            proptest::prop_assert_eq!(bitmap.set(row), row < rows);
            if row < rows {
                model.insert(row);
            }
        }
        proptest::prop_assert_eq!(bitmap.count(), model.len() as u64);
        proptest::prop_assert!((0..500).all(|row| bitmap.contains(row) == model.contains(&row)));
        proptest::prop_assert!(bitmap.iter().eq(model.iter().copied()));
        proptest::prop_assert_eq!(bitmap.any(from..from + length), model.range(from..from + length).next().is_some());
        let file = tempfile::NamedTempFile::new().unwrap();
        bitmap.write(file.path()).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        proptest::prop_assert_eq!(Bitmap::of_bytes(&bytes), Ok(bitmap));
        proptest::prop_assert!(Bitmap::of_bytes(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn no_bytes_are_taken_for_a_bitmap_but_its_own(bytes: Vec<u8>, tail: Vec<u8>) {
        for bytes in [bytes, [b"tidmrow1", tail.as_slice()].concat()] {
            if let Ok(bitmap) = Bitmap::of_bytes(&bytes) {
                let file = tempfile::NamedTempFile::new().unwrap();
                bitmap.write(file.path()).unwrap();
                proptest::prop_assert_eq!(std::fs::read(file.path()).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn no_list_makes_a_source_panic(text: Vec<u8>, likely in "[a-c,\"\n\r;0-9é]{0,80}") {
        let two = rule(r#"{"parts":[{"role":"a","form":"text"},{"role":"b","form":"date"}]}"#);
        for text in [text, likely.into_bytes()] {
            let text = [b"a,b,c\n", text.as_slice()].concat();
            let one = rule(r#"{"parts":[{"role":"b","form":"phone"}]}"#);
            for rule in [&two, &one] {
                if let Ok((items, counts)) = csv(&text, rule, &Mapping::same(rule)) {
                    proptest::prop_assert_eq!(counts.rows, items.len() as u64);
                    proptest::prop_assert_eq!(counts.items(), items.iter().flatten().count() as u64);
                }
            }
        }
    }
}
