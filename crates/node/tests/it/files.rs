//! Sealed files: opened by a program under a lease, twice and not a third time.

use std::ffi::OsString;
use std::time::Duration;

use futures::StreamExt as _;

use tidm_crypto::kem::KemSecret;
use tidm_node::jobs::open_program::{self, Opening};
use tidm_node::jobs::use_data::{OpenFile, OpenRequest, close_file, open_file, sealed_copy};
use tidm_node::random::os;
use tidm_node::store::writer::WorkError;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::policy::sentence::{Export, Sentences};
use tidm_space::policy::usage::Use;

use crate::world::{Node, World, fault, limited};

fn drawing() -> Vec<u8> {
    (0..3_000_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

/// What the command line does: lease, sealed bytes, program, receipt.
pub(crate) async fn opened(
    node: &Node,
    contract: &Contract,
    program: &str,
) -> Result<(OpenFile, Option<i32>), WorkError> {
    let secret = KemSecret::generate(&mut os());
    let request = OpenRequest {
        contract: contract.id.clone(),
        purpose: None,
        key: secret.public().to_bytes(),
        span: Duration::from_secs(60),
        export: false,
    };
    let grant = open_file(&node.app, request).await?;
    let sealed = sealed_copy(&node.app, &grant.lease).await?;
    let pieces: Vec<_> = sealed.stream.map(|it| it.unwrap()).collect().await;
    let bytes = pieces.concat();
    assert_eq!(bytes.len() as u64, sealed.bytes);
    let opening = Opening {
        lease: grant.lease.clone(),
        contract: grant.contract.clone(),
        life: grant.life,
        wrapped_key: grant.wrapped_key.clone(),
        wrapped_share: grant.wrapped_share.clone(),
        may_export: grant.may_export,
        name: Some("part.step".to_owned()),
    };
    let command = ["sh", "-c", program, "sh", "{}"].map(OsString::from).to_vec();
    let run = move || open_program::run(std::io::Cursor::new(bytes), &opening, &secret, &command);
    let ended = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    close_file(&node.app, &grant.lease, ended.status.success(), ended.bytes).await?;
    Ok((grant, ended.status.code()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_opens_twice() {
    let world = World::two().await;
    let contract = world.ready("part.step.bin", &drawing(), limited(2), Use::SealedFile).await;
    let out = world.path().join("seen");
    let program = format!("cat \"$1\" > {}", out.display());
    for left in [1, 0] {
        let (grant, status) = opened(world.consumer(), &contract, &program).await.unwrap();
        assert_eq!((status, grant.uses_left), (Some(0), Some(left)));
        assert!(std::fs::read(&out).unwrap() == drawing());
        std::fs::remove_file(&out).unwrap();
    }
    let no = fault(opened(world.consumer(), &contract, &program).await);
    assert!(matches!(no, Fault::Denied { .. }), "{no:?}");
    assert!(!out.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sealed_bytes_hold_no_plaintext_and_need_an_open_lease() {
    let world = World::two().await;
    let secret = b"PLAIN-MARK-IN-THE-DRAWING".repeat(100);
    let contract = world.ready("part.bin", &secret, limited(5), Use::SealedFile).await;
    let (grant, _) = opened(world.consumer(), &contract, "exit 0").await.unwrap();
    let no = sealed_copy(&world.consumer().app, &grant.lease).await.map(|it| it.bytes);
    assert_eq!(fault(no).code(), "lease.ended");
    let copy = world.consumer().app.store.copies(&contract.id).await.unwrap().remove(0);
    let key = tidm_node::objects::Key::parse(&copy.object).unwrap();
    let kept = world.consumer().app.objects.get_range(&key, 0..copy.bytes).await.unwrap();
    assert!(!kept.windows(10).any(|it| it == b"PLAIN-MARK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_needs_the_right_to_hand_on() {
    let world = World::two().await;
    let request = |contract: &Contract| OpenRequest {
        contract: contract.id.clone(),
        purpose: None,
        key: KemSecret::generate(&mut os()).public().to_bytes(),
        span: Duration::from_secs(5),
        export: true,
    };
    let closed = world.ready("closed.bin", &drawing(), limited(5), Use::SealedFile).await;
    assert_eq!(
        fault(open_file(&world.consumer().app, request(&closed)).await).code(),
        "policy.export"
    );
    let sentences = Sentences { export: Export::Permitted, ..limited(5) };
    let open = world.ready("open.bin", &drawing(), sentences, Use::SealedFile).await;
    assert!(open_file(&world.consumer().app, request(&open)).await.unwrap().may_export);
    assert_eq!(world.provider().app.store.spent(&closed.id).await.unwrap().uses, 0);
}
