//! A space made with the commands: an operator, a plant and a buyer prove their memberships by credentials, until one
//! is revoked.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::two::{LOOK, Miss, Node};

/// As the nodes are configured: the oldest status list that they use.
const STATUS: Duration = Duration::from_secs(1);

fn nodes(dir: &std::path::Path) -> [Node; 3] {
    let held = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = held.map(|it| it.local_addr().unwrap().port());
    let more = [
        ("identity.mode", "\"dcp\"".to_owned()),
        ("dcp.status_seconds", STATUS.as_secs().to_string()),
    ];
    let names = ["operator", "plant", "buyer"];
    std::array::from_fn(|i| Node::new(dir, names[i], ports[i], &more))
}

async fn offered(to: &Node, by: &Node, product: &str) -> Result<Value, Miss> {
    let path = format!("/catalog/{}/{product}", by.did.replace('%', "%25"));
    to.call(Method::GET, &path, Value::Null).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_member_is_refused_at_its_next_message() {
    let dir = tempfile::tempdir().unwrap();
    let [operator, plant, buyer] = nodes(dir.path());
    for node in [&operator, &plant, &buyer] {
        node.begin().await;
    }
    let publish = async |node: &Node| -> String {
        let path = dir.path().join(format!("{}.csv", node.name));
        std::fs::write(&path, "machine,load\nM1,0.5\nM2,0.7\n").unwrap();
        let offer = json!({"terms": {"uses": 3, "kinds": ["query"]}});
        let asked = json!({"path": path, "title": "Load", "offers": [offer]});
        let made = node.insist(Method::POST, "/products", asked).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let (product, own) = (publish(&plant).await, publish(&operator).await);

    // Strangers see nothing.
    assert!(matches!(offered(&buyer, &plant, &product).await, Err(Miss::No(404, _))));

    operator.tidm(&["space", "create", "轴承数据空间"]);
    for node in [&plant, &buyer] {
        let invitation = operator.tidm(&["space", "invite", &node.did]);
        let told = node.tidm(&["-o", "json", "space", "join", invitation.trim()]);
        let joined: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(joined["state"], "issued", "{told}");
        // An invitation is for the invited alone, and good for one request.
        let again =
            node.call(Method::POST, "/spaces/join", json!({"invitation": invitation.trim()}));
        assert!(matches!(again.await, Err(Miss::No(403, code)) if code == "space.refused"));
    }

    // Members deal with each other; nobody signed a list.
    let asked = json!({"peer": plant.did, "product": product});
    let made = buyer.insist(Method::POST, "/negotiations?wait=30", asked).await;
    assert_eq!(made["state"], "FINALIZED", "{made}\n{}\n{}", plant.log(), buyer.log());
    offered(&buyer, &operator, &own).await.unwrap();

    let told = operator.tidm(&["-o", "json", "space", "revoke", &buyer.did]);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["revoked"], 1);
    // The operator is the issuer: at once. The plant keeps a status list for a second.
    let refused = offered(&buyer, &operator, &own).await;
    assert!(matches!(refused, Err(Miss::No(404, _))), "{refused:?}\n{}", operator.log());
    tokio::time::sleep(STATUS + LOOK).await;
    let refused = offered(&buyer, &plant, &product).await;
    assert!(matches!(refused, Err(Miss::No(404, _))), "{refused:?}\n{}", plant.log());

    // The others are as before, and nobody comes back by himself.
    offered(&plant, &operator, &own).await.unwrap();
    let members = operator.tidm(&["-o", "json", "space", "list"]);
    let members: Vec<Value> = serde_json::from_str(&members).unwrap();
    let revoked: Vec<&Value> = members.iter().filter(|it| it["revoked"].is_string()).collect();
    assert_eq!((members.len(), revoked.len()), (2, 1));
    assert_eq!(revoked[0]["did"], buyer.did);

    // Each step is a fact that others can verify.
    let told = |facts: &[Value], word: &str| {
        let of = |it: &&Value| it["summary"].as_str().is_some_and(|it| it.starts_with(word));
        facts.iter().filter(of).count()
    };
    let facts = operator.all("/facts").await;
    assert_eq!((told(&facts, "签发成员凭证"), told(&facts, "吊销成员凭证")), (2, 1), "{facts:?}");
    assert_eq!(told(&buyer.all("/facts").await, "加入数据空间"), 1);

    // Invited again, it is a member again.
    let invitation = operator.tidm(&["space", "invite", &buyer.did]);
    buyer.tidm(&["space", "join", invitation.trim()]);
    offered(&buyer, &plant, &product).await.unwrap();
}
