//! Chapter 4d: what is left of ended contracts: destroyed keys, deleted copies, signed receipts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agree::finalized;
use super::file::files;
use super::publish::contract;
use crate::demo::book::Book;
use crate::demo::client::{segment, text};
use crate::demo::facts::Contracts;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

/// Deletion is a job of both nodes, told over the network.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let consumer = world.api(Part::Consumer)?;
    tell.step(
        "使用方按约结束查询合约",
        "the consumer ends the query contract as agreed",
        async {
            let path = format!("/contracts/{}/end", segment(&contracts.query));
            let it = consumer
                .post(&path, &json!({"reason": lang.pick("演示结束", "the demo is over")}))
                .await?;
            Ok(((), text(&it, "state")?.to_owned()))
        },
    )
    .await?;
    for (zh, en, id) in
        [("图纸", "drawing", &contracts.file), ("数据表", "table", &contracts.table)]
    {
        let line = tell
            .step(
                &format!("{zh}：密钥销毁，副本删除，收到签名的删除回执"),
                &format!("{en}: key destroyed, copies deleted, signed deletion receipt"),
                async {
                    let line = deletion(world, id).await?;
                    Ok((line.clone(), line))
                },
            )
            .await?;
        book.deletions.push(format!("{}: {line}", lang.pick(zh, en)));
    }
    book.recalled.extend(recalled(tell, world).await?);
    tell.step(
        "使用方与基础设施节点的磁盘上不再有密文",
        "no sealed bytes on the disks of consumer and infrastructure",
        async {
            let begun = Instant::now();
            loop {
                let copies =
                    files(&world.node(Part::Consumer)?.dir.join("data/objects/copies"))?.len();
                let kept =
                    files(&world.node(Part::Infrastructure)?.dir.join("data/objects/kept"))?.len();
                if copies + kept == 0 {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Err(Trouble::unexpected(format!(
                        "left behind: {copies} at the consumer's, {kept} at the infrastructure node"
                    )));
                }
                tokio::time::sleep(LOOK).await;
            }
            Ok(((), lang.pick("两处均为 0 个文件", "0 files in both places").to_owned()))
        },
    )
    .await
}

/// The provider recalls while the contract stands: each copy that was delivered has a result of its own.
async fn recalled(tell: &mut Teller, world: &World) -> Result<Vec<String>, Trouble> {
    let lang = world.lang;
    let (provider, consumer) = (world.api(Part::Provider)?, world.api(Part::Consumer)?);
    let (id, before) = tell
        .step(
            "备件清单再签一份合约，交付密封与明文副本各一份",
            "a contract on the part list: a sealed copy and one in clear are delivered",
            async {
                let product = json!({
                    "path": world.dir.join("parts.csv").display().to_string(),
                    "title": lang.pick("备件清单（演示用虚构数据）", "Parts in stock (made up)"),
                    "offers": [{ "approval": "auto", "terms": { "kinds": ["sealed-table", "plain"] } }]
                });
                let made = provider.post("/products", &product).await?;
                let asked =
                    json!({"peer": world.did(Part::Provider)?, "product": text(&made, "id")?});
                let begun = consumer.post("/negotiations", &asked).await?;
                let id = finalized(consumer, text(&begun, "id")?).await?;
                for format in ["sealed-table", "plain"] {
                    let asked = json!({"contract": id, "format": format});
                    let it = consumer.post("/transfers?wait=60", &asked).await?;
                    if text(&it, "state")? != "COMPLETED" {
                        return Err(Trouble::unexpected(format!(
                            "the delivery did not complete: {it}"
                        )));
                    }
                }
                let before = provider.get(&format!("/contracts/{}/copies", segment(&id))).await?;
                let lines = results(&before, "in-use")?;
                let proved = lines.as_ref().map(|it| it.join("\n")).unwrap_or_default();
                if lines.is_none_or(|it| it.len() < 2) {
                    return Err(Trouble::unexpected(format!("two copies were expected: {before}")));
                }
                Ok(((id, proved.clone()), proved))
            },
        )
        .await?;
    let after = tell
        .step(
            "提供方召回：逐份给出结果",
            "the provider recalls: a result for each copy",
            async {
                let path = format!("/contracts/{}/recall", segment(&id));
                let reason = json!({"reason": lang.pick("演示召回", "a recall in the demo")});
                let begun = Instant::now();
                loop {
                    let it = provider.post(&path, &reason).await?;
                    if let Some(lines) = results(&it, "destroyed")? {
                        return Ok((lines.clone(), lines.join("\n")));
                    }
                    if begun.elapsed() > PATIENCE {
                        return Err(Trouble::unexpected(format!(
                            "copies were not destroyed: {it}"
                        )));
                    }
                    tokio::time::sleep(LOOK).await;
                }
            },
        )
        .await?;
    Ok(before.lines().map(str::to_owned).chain(after).collect())
}

/// A line for each copy, if all have that result.
fn results(recall: &Value, all: &str) -> Result<Option<Vec<String>>, Trouble> {
    let copies = recall.get("copies").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = Vec::new();
    for copy in &copies {
        if copy.get("result").and_then(Value::as_str) != Some(all) {
            return Ok(None);
        }
        let digest = super::publish::short(text(copy, "sha256")?);
        lines.push(format!("SHA-256 {digest}: {}", text(copy, "says")?));
    }
    Ok((!lines.is_empty()).then_some(lines))
}

/// Waits for the consumer's receipt to reach the provider and shows what it covers.
async fn deletion(world: &World, id: &str) -> Result<String, Trouble> {
    let provider = world.api(Part::Provider)?;
    let begun = Instant::now();
    loop {
        let it = contract(provider, id).await?;
        if let Some(found) = it.get("deletion").filter(|it| it.is_object()) {
            let why =
                it.get("ended").and_then(|it| it.get("why")).and_then(Value::as_str).unwrap_or("-");
            let files = found.get("files").and_then(Value::as_array).map_or(0, Vec::len);
            let receipt = text(found, "receipt")?;
            super::prove::signed_by(world, Part::Consumer, receipt)?;
            return Ok(world.lang.pick(
                format!("合约终止（{why}）；回执涵盖 {files} 个文件，使用方签名已验证"),
                format!("contract ended ({why}); the receipt covers {files} files, the consumer's signature verified"),
            ));
        }
        if begun.elapsed() > PATIENCE {
            return Err(Trouble::unexpected(format!("no deletion receipt arrived for {id}: {it}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}
