use super::*;
use tidm_crypto::hash::sha256;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

async fn all(objects: &Objects, key: &Key) -> Result<Vec<u8>, ObjectError> {
    let pieces: Vec<Bytes> = objects.get(key).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// What both implementations promise.
async fn behaves(objects: &Objects) {
    let (a, b) = (key("t/a/one.bin"), key("t/b"));
    let big: Vec<u8> = (0..=250_u8).cycle().take(PART_BYTES * 2 + 17).collect();
    let put = objects.put(&a, &big[..], u64::MAX).await.unwrap();
    assert_eq!(put, Put { bytes: big.len() as u64, sha256: sha256(&big) });
    assert!(all(objects, &a).await.unwrap() == big);
    assert_eq!(objects.get_range(&a, 250..253).await.unwrap(), [250, 0, 1][..]);
    assert_eq!(objects.get_range(&a, big.len() as u64 - 1..u64::MAX).await.unwrap().len(), 1);
    assert!(objects.get_range(&a, u64::MAX - 1..u64::MAX).await.unwrap().is_empty());
    assert_eq!(objects.head(&a).await.unwrap().bytes, big.len() as u64);

    objects.put_bytes(&a, b"short").await.unwrap();
    objects.put_bytes(&b, b"").await.unwrap();
    assert_eq!(objects.get_checked(&a, sha256(b"short"), 5).await.unwrap(), b"short");
    assert!(matches!(
        objects.get_checked(&a, sha256(b"shore"), 5).await,
        Err(ObjectError::Changed(_))
    ));
    assert!(matches!(
        objects.get_checked(&a, sha256(b"short"), 4).await,
        Err(ObjectError::TooLarge(4))
    ));
    assert!(all(objects, &b).await.unwrap().is_empty());

    // Too much, or a source that breaks: the old object stays as it is.
    assert!(matches!(objects.put(&a, &big[..], 100).await, Err(ObjectError::TooLarge(100))));
    let broken = tokio_util::io::StreamReader::new(futures::stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(std::io::Error::other("gone")),
    ]));
    assert!(matches!(objects.put(&a, broken, u64::MAX).await, Err(ObjectError::Source(_))));
    assert_eq!(all(objects, &a).await.unwrap(), b"short");

    let mut listed: Vec<_> =
        objects.list(&key("t")).map_ok(|it| it.key).try_collect().await.unwrap();
    listed.sort();
    assert_eq!(listed, [a.clone(), b.clone()]);
    for it in [&a, &b, &a] {
        objects.delete(it).await.unwrap();
    }
    assert!(matches!(all(objects, &a).await, Err(ObjectError::Missing(_))));
    assert!(matches!(objects.head(&a).await, Err(ObjectError::Missing(_))));
}

#[tokio::test]
async fn local_objects() {
    let dir = tempfile::tempdir().unwrap();
    let objects = Objects::local(dir.path()).unwrap();
    behaves(&objects).await;
    assert_eq!(std::fs::read_dir(dir.path().join(".partial")).unwrap().count(), 0);
    // What a crash left is gone after the next start.
    std::fs::write(dir.path().join(".partial/x"), b"half").unwrap();
    drop(Objects::local(dir.path()).unwrap());
    assert_eq!(std::fs::read_dir(dir.path().join(".partial")).unwrap().count(), 0);
}

/// `TIDM_TEST_S3_ENDPOINT` with `_BUCKET`, `_KEY_ID` and `_SECRET` beside it.
#[tokio::test]
async fn s3_objects() {
    let var = |name: &str| std::env::var(format!("TIDM_TEST_S3_{name}"));
    let Ok(endpoint) = var("ENDPOINT") else {
        println!("SKIPPED: objects over S3: TIDM_TEST_S3_ENDPOINT is not set");
        return;
    };
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let secret_file = dir.path().join("secret");
    std::fs::write(&secret_file, var("SECRET").unwrap_or_else(|_| "secret".into())).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = config::S3 {
        bucket: var("BUCKET").unwrap_or_else(|_| "tidm".into()),
        endpoint,
        region: "us-east-1".into(),
        key_id: var("KEY_ID").unwrap_or_else(|_| "key".into()),
        secret_file,
        signed_addresses: None,
    };
    behaves(&Objects::open(&config::Objects::S3(config)).unwrap()).await;
}

#[test]
fn names_are_plain() {
    for (text, ok) in [
        ("a", true),
        ("a/B-2/c_d.parquet", true),
        ("tile/0/x001/234.p/7", true),
        ("", false),
        ("/a", false),
        ("a/", false),
        ("a//b", false),
        ("../a", false),
        ("a/..", false),
        (".partial/x", false),
        ("a b", false),
        ("a#1", false),
        ("ä", false),
        ("a\0", false),
    ] {
        assert_eq!(Key::parse(text).is_ok(), ok, "{text:?}");
    }
    assert!(Key::parse(&"x".repeat(KEY_BYTES + 1)).is_err());
}

proptest::proptest! {
    /// A name that is taken never leaves the directory, and is the same when it is read back.
    #[test]
    fn hostile_names_stay_inside(text in "([a-z./\\\\_%~ -]|\\PC|\\.\\./){0,40}") {
        if let Ok(key) = Key::parse(&text) {
            let path = Path::new(key.as_str());
            let plain = |it| matches!(it, std::path::Component::Normal(_));
            proptest::prop_assert!(path.is_relative() && path.components().all(plain), "{text:?}");
            proptest::prop_assert_eq!(path.components().count(), text.split('/').count());
            proptest::prop_assert_eq!(key.path().to_string(), text);
        }
    }
}
