//! Chapter 3: three contracts: one haggled over, one at once, one approved by a person.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PURPOSE;
use super::publish::contract;
use crate::demo::book::{Book, Signed, terms};
use crate::demo::client::{Api, items, segment, text};
use crate::demo::facts::{Contracts, Products};
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};
use tidm_node::lang::Lang;

/// Both nodes are on this machine: a negotiation that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(30);

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    products: &Products,
) -> Result<Contracts, Trouble> {
    tell.chapter("3 签约", "3 Agree");
    let (provider, consumer) = (world.api(Part::Provider)?, world.api(Part::Consumer)?);
    let did = world.did(Part::Provider)?;
    let query = haggle(tell, provider, consumer, did, products).await?;
    let lang = tell.lang;
    let table = tell
        .step(
            "密封表：按要约申请，自动成约",
            "sealed table: asked for as offered, agreed at once",
            async {
                let asked =
                    json!({"peer": did, "product": products.scada, "offer": products.table_offer});
                let begun = consumer.post("/negotiations", &asked).await?;
                let id = finalized(consumer, text(&begun, "id")?).await?;
                let proved = lang.pick(format!("合约 {id}"), format!("contract {id}"));
                Ok((id, proved))
            },
        )
        .await?;
    let file = tell
        .step(
            "图纸：申请后由提供方人员批准",
            "drawing: asked for, then approved by a person at the provider's",
            async {
                let begun = consumer
                    .post("/negotiations", &json!({"peer": did, "product": products.cad}))
                    .await?;
                let waiting = awaiting(provider, &products.cad).await?;
                provider
                    .post(&format!("/negotiations/{}/approve", segment(&waiting)), &json!({}))
                    .await?;
                let id = finalized(consumer, text(&begun, "id")?).await?;
                let proved = lang.pick(format!("合约 {id}"), format!("contract {id}"));
                Ok((id, proved))
            },
        )
        .await?;
    let names = [
        (
            &query,
            lang.pick("查询", "query"),
            lang.pick("一次还价后成约", "agreed after one counter-offer"),
        ),
        (&table, lang.pick("密封表", "sealed table"), lang.pick("自动成约", "agreed at once")),
        (
            &file,
            lang.pick("密封文件", "sealed file"),
            lang.pick("人工批准", "approved by a person"),
        ),
    ];
    tell.step(
        "双方各存同一份合约，均已签名",
        "both sides keep the same contract, signed by both",
        async {
            let mut rows = Vec::new();
            for (id, name, how) in names {
                let (ours, theirs) = (contract(provider, id).await?, contract(consumer, id).await?);
                let same = text(&ours, "digest")? == text(&theirs, "digest")?;
                let signed = |it: &Value| -> Result<bool, Trouble> {
                    Ok(text(it, "providerSignature")? == "signed"
                        && text(it, "consumerSignature")? == "signed")
                };
                if !same || !signed(&ours)? || !signed(&theirs)? {
                    return Err(Trouble::unexpected(format!(
                        "the two sides do not hold the same signed contract {id}"
                    )));
                }
                rows.push(format!(
                    "{name}: SHA-256 {}",
                    super::publish::short(text(&ours, "digest")?)
                ));
                book.contracts.push(Signed {
                    name: name.to_owned(),
                    id: id.clone(),
                    how: how.to_owned(),
                    terms: terms(&theirs),
                });
            }
            Ok(((), rows.join("\n")))
        },
    )
    .await?;
    book.explained.extend(explained(tell, consumer, &query).await?);
    Ok(Contracts { query, table, file })
}

/// The same terms, sentence by sentence, in both languages, each with who keeps it.
async fn explained(tell: &mut Teller, consumer: &Api, id: &str) -> Result<Vec<String>, Trouble> {
    tell.step(
        "合约条款逐句说明（中文与英文），并注明由谁保证",
        "the contract's terms explained in Chinese and English, each with who keeps it",
        async {
            let path = format!("/contracts/{}", segment(id));
            let zh = terms(&consumer.get_in(Lang::Zh, &path).await?);
            let en = terms(&consumer.get_in(Lang::En, &path).await?);
            if zh.is_empty() || zh.len() != en.len() {
                return Err(Trouble::unexpected(format!(
                    "{} sentences in Chinese, {} in English",
                    zh.len(),
                    en.len()
                )));
            }
            let lines = zh.iter().zip(&en).map(|(zh, en)| {
                format!("{}: {} {} / {} {}", zh.level, zh.text, zh.enforced, en.text, en.enforced)
            });
            let lines: Vec<String> = lines.collect();
            let proved = lines.join("\n");
            Ok((lines, proved))
        },
    )
    .await
}

/// The consumer bids, a person at the provider's counters, the consumer accepts.
async fn haggle(
    tell: &mut Teller,
    provider: &Api,
    consumer: &Api,
    did: &str,
    products: &Products,
) -> Result<String, Trouble> {
    let lang = tell.lang;
    let choices = |uses: u64, price: &str| {
        json!({
            "aggregatesOnly": true, "minGroup": 100, "outputRows": 1000, "uses": uses, "purposes": [PURPOSE],
            "price": price, "kinds": ["query"]
        })
    };
    let begun = tell
        .step("查询：使用方出价 80 元 40 次", "query: the consumer bids 80 CNY for 40 uses", async {
            let asked = json!({"peer": did, "product": products.scada, "offer": products.query_offer, "terms": choices(40, "80.00 CNY")});
            let begun = consumer.post("/negotiations", &asked).await?;
            let proved = text(&begun, "state")?.to_owned();
            Ok((text(&begun, "id")?.to_owned(), proved))
        })
        .await?;
    tell.step(
        "提供方人员还价：100 元 20 次",
        "a person at the provider's counters: 100 CNY for 20 uses",
        async {
            let waiting = awaiting(provider, &products.scada).await?;
            provider
                .post(
                    &format!("/negotiations/{}/counter", segment(&waiting)),
                    &json!({"terms": choices(20, "100.00 CNY")}),
                )
                .await?;
            let heard = reached(consumer, &begun, "OFFERED").await?;
            Ok(((), text(&heard, "state")?.to_owned()))
        },
    )
    .await?;
    tell.step("使用方接受还价，双方签名", "the consumer accepts, both sign", async {
        consumer.post(&format!("/negotiations/{}/approve", segment(&begun)), &json!({})).await?;
        let id = finalized(consumer, &begun).await?;
        let proved = lang.pick(format!("合约 {id}"), format!("contract {id}"));
        Ok((id, proved))
    })
    .await
}

/// The provider's own id of the negotiation about `product` that waits for a person there.
async fn awaiting(provider: &Api, product: &str) -> Result<String, Trouble> {
    let begun = Instant::now();
    loop {
        let all = provider.get("/negotiations").await?;
        let waits = |it: &&Value| {
            it.get("awaitsApproval").and_then(Value::as_bool) == Some(true)
                && it.get("product").and_then(Value::as_str) == Some(product)
        };
        if let Some(found) = items(&all).iter().find(waits) {
            return text(found, "id").map(str::to_owned);
        }
        if begun.elapsed() > PATIENCE {
            return Err(Trouble::unexpected("no negotiation waits for approval at the provider's"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn reached(api: &Api, id: &str, state: &str) -> Result<Value, Trouble> {
    let begun = Instant::now();
    loop {
        let it = api.get(&format!("/negotiations/{}", segment(id))).await?;
        let now = text(&it, "state")?;
        if now == state {
            return Ok(it);
        }
        if now == "TERMINATED" || begun.elapsed() > PATIENCE {
            let why = it.get("reason").and_then(Value::as_str).unwrap_or("-");
            return Err(Trouble::unexpected(format!(
                "the negotiation {id} is {now}, not {state}: {why}"
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The contract's id once the negotiation is final.
pub(super) async fn finalized(consumer: &Api, id: &str) -> Result<String, Trouble> {
    let it = reached(consumer, id, "FINALIZED").await?;
    text(&it, "contract").map(str::to_owned)
}
