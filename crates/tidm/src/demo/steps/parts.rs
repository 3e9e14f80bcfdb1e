//! Chapter 4b: the part lists of two suppliers are matched, and neither side shows its own.
//!
//! The lists are made up for the walk, and the walk says so. It holds both, so it knows the true answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PURPOSE;
use super::agree::finalized;
use super::prove::consistent;
use crate::demo::book::{Book, refused};
use crate::demo::client::{number, segment, text};
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

/// Parts that one supplier has in stock, for whom the operator's node speaks, and that the other one makes, for whom the maintenance firm's does.
const STOCKED: std::ops::Range<u32> = 0..20_000;
const MADE: std::ops::Range<u32> = 18_500..23_500;
/// Items that may be put in under the contract: one list, and not a second one.
const BUDGET: u64 = 6_000;
/// Both processes run on this machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A part number as one side writes it: the other one writes it otherwise.
fn list(numbers: std::ops::Range<u32>, header: &str, write: impl Fn(u32) -> String) -> String {
    let mut out = format!("{header}\n");
    for number in numbers {
        out += &write(number);
        out.push('\n');
    }
    out
}

pub(crate) async fn walk(tell: &mut Teller, world: &World, book: &mut Book) -> Result<(), Trouble> {
    let lang = tell.lang;
    let (provider, consumer) = (world.api(Part::Provider)?, world.api(Part::Consumer)?);
    let contract = tell
        .step(
            "发布供应商甲的备件清单（演示用虚构数据），与供应商乙签约仅限隐私求交",
            "the part list of one supplier (made up for this walk), under a contract with another for matching only",
            async {
                let path = world.dir.join("parts.csv");
                let parts = list(STOCKED, "part_no,in_stock", |n| format!("WT-{n:06},{}", n % 7));
                std::fs::write(&path, parts).map_err(|why| Trouble::here("parts.csv", why))?;
                let terms = json!({
                    "matchKey": "part_no:text-any-case;first", "matchBudget": BUDGET, "minMatches": 100,
                    "purposes": [PURPOSE], "kinds": ["psi"]
                });
                let product = json!({
                    "path": path.display().to_string(),
                    "title": lang.pick("供应商甲的风机备件清单（演示用虚构数据）", "Turbine parts that a supplier has in stock (made up)"),
                    "grade": "general",
                    "offers": [{ "approval": "auto", "deliveries": ["psi"], "terms": terms }]
                });
                let made = provider.post("/products", &product).await?;
                let asked = json!({"peer": world.did(Part::Provider)?, "product": text(&made, "id")?});
                let begun = consumer.post("/negotiations", &asked).await?;
                let id = finalized(consumer, text(&begun, "id")?).await?;
                let proved = lang.pick(format!("{} 行，合约 {id}", STOCKED.len()), format!("{} rows, contract {id}", STOCKED.len()));
                Ok((id, proved))
            },
        )
        .await?;
    let made = list(MADE, "编号,数量", |n| format!(" wt-{n:06} ,{}", n % 5 + 1));
    let shown = tell
        .step(
            "双方清单求交：使用方得到共有备件，提供方一无所知",
            "both lists are matched: the consumer learns the common parts, the provider nothing",
            async {
                let it = matched(world, &contract, &made).await?;
                let rows = consumer.bytes(&format!("/matchings/{}/rows", segment(text(&it, "id")?))).await?;
                let rows = String::from_utf8_lossy(&rows).into_owned();
                let expected: BTreeSet<String> = (MADE.start..STOCKED.end).map(|n| format!(" wt-{n:06} ")).collect();
                let found: BTreeSet<String> = rows.lines().skip(1).filter_map(|it| it.split(',').next()).map(str::to_owned).collect();
                if found != expected {
                    return Err(Trouble::unexpected(format!("{} rows matched, not the {} that both have", found.len(), expected.len())));
                }
                let theirs = provider.get(&format!("/matchings/{}?wait=20", segment(text(&it, "id")?))).await?;
                if theirs.get("matched").is_some() || text(&theirs, "state")? != "done" {
                    return Err(Trouble::unexpected(format!("the provider's account is not what it should be: {theirs}")));
                }
                let sent = |it: &Value| it.get("report").map(|it| number(it, "sent")).transpose().map(Option::unwrap_or_default);
                let (ours, theirs) = (sent(&it)?, sent(&theirs)?);
                let proved = lang.pick(
                    format!("{} 个共有备件，与实际一致；使用方发出 {ours} 字节，提供方发出 {theirs} 字节，均为密文", found.len()),
                    format!("{} common parts, the true ones; {ours} bytes left the consumer and {theirs} the provider, all of them protocol messages", found.len()),
                );
                Ok((proved.clone(), proved))
            },
        )
        .await?;
    book.uses.push(format!("{}: {shown}", lang.pick("隐私求交", "private matching")));
    let refusal = tell
        .step(
            "再投入一份清单超出额度，被闸口拒绝",
            "a second list exceeds the budget and is refused by the gate",
            async {
                let outcome = matched(world, &contract, &made).await;
                let what = lang.pick("第二份清单", "a second list");
                let it = refused(lang, what, outcome, &["psi.items"])?;
                let proved = it.reason.clone();
                Ok((it, proved))
            },
        )
        .await?;
    book.refusals.push(refusal);
    tell.step("双方关于求交的账目一致", "both sides' accounts of the matching agree", async {
        let facts = consistent(provider, &contract).await?;
        Ok(((), lang.pick(format!("{facts} 条记载"), format!("{facts} facts"))))
    })
    .await
}

/// Sends the list ahead, begins, and waits for the end.
async fn matched(world: &World, contract: &str, list: &str) -> Result<Value, Trouble> {
    let consumer = world.api(Part::Consumer)?;
    let upload = consumer.put("/matchings/list?name=parts.csv", list.as_bytes().to_vec()).await?;
    let asked = json!({
        "contract": contract, "mine": { "upload": text(&upload, "id")? }, "columns": ["编号"], "purpose": PURPOSE
    });
    let mut it = consumer.post("/matchings", &asked).await?;
    let path = format!("/matchings/{}?wait=5", segment(text(&it, "id")?));
    let begun = Instant::now();
    while text(&it, "state")? == "open" {
        if begun.elapsed() > PATIENCE {
            return Err(Trouble::unexpected(format!("the matching does not end: {it}")));
        }
        it = consumer.get(&path).await?;
    }
    match it.get("fault") {
        Some(fault) if text(&it, "state")? == "failed" => Err(Trouble::Said {
            node: consumer.name.clone(),
            status: 403,
            problem: json!({"code": text(fault, "code")?, "title": text(fault, "text")?, "detail": text(fault, "text")?}),
        }),
        _ => Ok(it),
    }
}
