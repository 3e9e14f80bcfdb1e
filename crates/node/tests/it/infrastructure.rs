//! A third node keeps sealed objects: it serves them under the owner's tokens and never sees a key.

use std::sync::Arc;

use futures::StreamExt as _;

use tidm_node::app::App;
use tidm_node::jobs::use_data::query_sealed;
use tidm_node::net::auth;
use tidm_node::objects::Key;
use tidm_space::policy::usage::Use;

use crate::world::{Node, World, csv, eventually, limited};

async fn kept(node: &Node) -> Vec<String> {
    let all: Vec<_> = node.app.objects.list(&Key::parse("kept").unwrap()).collect().await;
    all.into_iter().map(|it| it.unwrap().key.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_bytes_lie_there_and_leave_with_the_contract() {
    let world = World::of(3, |at, dids| match at {
        // [space] is the last section of a node's configuration.
        0 => format!("infrastructure = \"{}\"\n", dids[2]),
        _ => String::new(),
    })
    .await;
    let store = &world.nodes[2];
    let contract = world.ready("i.csv", &csv(), limited(5), Use::SealedTable).await;
    let objects = kept(store).await;
    assert_eq!(objects.len(), 2, "{objects:?}");
    let (provider, consumer) = (world.provider(), world.consumer());
    let seal = provider.app.store.seal(&contract.id).await.unwrap().unwrap();
    let at: serde_json::Value = serde_json::from_str(&seal.elsewhere).unwrap();
    let url = at["url"].as_str().unwrap();
    assert!(url.starts_with(&store.base()), "{url}");
    let sealed = objects.iter().find(|it| !it.ends_with(".note")).unwrap();
    let bytes =
        store.app.objects.get_range(&Key::parse(sealed).unwrap(), 0..seal.bytes).await.unwrap();
    assert_eq!(tidm_crypto::hash::sha256(&bytes), seal.digest);
    // Sealed, at a place that has neither the key nor the contract.
    assert!(!bytes.windows(6).any(|it| it == b"sensor"));
    assert!(!matches!(store.app.keys.get(&contract.id), Ok(Some(_))));
    assert!(store.app.store.contract(&contract.id).await.unwrap().is_none());
    let done = query_sealed(&consumer.app, &contract.id, "SELECT count(*) AS n FROM data", None)
        .await
        .unwrap();
    assert_eq!(done.rows, 1);

    // A member's own token for messages, and none at all, open nothing.
    let bearer = auth::mint(&consumer.app.identity, &store.did, &consumer.app.clock);
    for bearer in [Some(bearer.as_str()), Some("x.y.z"), None] {
        for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
            let answer = consumer.app.client.call(method, url, bearer, None).await.unwrap();
            assert_eq!(answer.status.as_u16(), 404);
        }
    }
    // Three places have a copy, and each of them none after the end.
    let copy = consumer.app.store.copies(&contract.id).await.unwrap().remove(0);
    let places = [(&provider.app, seal.object.clone()), (&consumer.app, copy.object)];
    let has = async |(app, object): &(&Arc<App>, String)| {
        app.objects.head(&Key::parse(object).unwrap()).await.is_ok()
    };
    assert!(has(&places[0]).await && has(&places[1]).await);
    world.revoke(&contract).await;
    let gone = || async { kept(store).await.is_empty().then_some(()) };
    eventually("the object is deleted there", gone).await;
    let gone = || async { (!has(&places[0]).await && !has(&places[1]).await).then_some(()) };
    eventually("and at both sides", gone).await;
}

/// The fact that a key is destroyed says that its bytes are gone everywhere: it waits for the node that keeps them.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_there_is_not_destroyed() {
    let world = World::of(3, |at, dids| match at {
        0 => format!("infrastructure = \"{}\"\n", dids[2]),
        _ => String::new(),
    })
    .await;
    let (provider, store) = (world.provider(), &world.nodes[2]);
    let contract = world.ready("k.csv", &csv(), limited(5), Use::SealedTable).await;
    let seal = provider.app.store.seal(&contract.id).await.unwrap().unwrap();
    let object = kept(store).await.into_iter().find(|it| !it.ends_with(".note")).unwrap();
    // A directory in its place: no deletion of a file takes it away.
    let path = store.app.objects.local_path(&Key::parse(&object).unwrap()).unwrap();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir_all(path.join("x")).unwrap();

    world.revoke(&contract).await;
    let here = Key::parse(&seal.object).unwrap();
    let here = || async { provider.app.objects.head(&here).await.is_err().then_some(()) };
    eventually("our own are gone", here).await;
    let told = || async {
        let kinds = ["key-destroyed"];
        let facts = provider.app.store.contract_facts_of(&contract.id, &kinds).await.unwrap();
        (!facts.is_empty()).then_some(())
    };
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(told().await, None, "destroyed, and there");
    assert!(matches!(provider.app.keys.gone(&contract.id), Ok(true)));
    assert!(provider.app.store.seal(&contract.id).await.unwrap().is_some());

    std::fs::remove_dir_all(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    eventually("the fact", told).await;
    assert!(!path.exists());
    assert!(provider.app.store.seal(&contract.id).await.unwrap().is_none());
}
