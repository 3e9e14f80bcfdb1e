//! Chapter 4a: questions to the data, where it lies. Only answers leave.

use serde_json::{Value, json};

use tidm_node::clock::Clock;
use tidm_space::lang::Lang;
use tidm_space::policy::facts::Request;
use tidm_space::policy::trial::try_out;
use tidm_space::policy::truth::Truth;
use tidm_space::policy::usage::Use;
use tidm_space::wire::odrl;

use super::PURPOSE;
use crate::demo::book::{Book, refused};
use crate::demo::client::{number, segment, text};
use crate::demo::facts::{Contracts, Products};
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
    products: &Products,
) -> Result<(), Trouble> {
    tell.chapter("4 使用", "4 Use");
    let lang = tell.lang;
    let consumer = world.api(Part::Consumer)?;
    let Products { turbine, power, wind, .. } = products;
    let sql = format!(
        "SELECT \"{turbine}\", count(*) AS n, avg(\"{power}\") AS kw, avg(\"{wind}\") AS ms FROM data GROUP BY \"{turbine}\" ORDER BY \"{turbine}\""
    );
    let shown = tell
        .step("统计查询，在提供方的沙箱内执行", "an aggregate query, run in the provider's sandbox", async {
            let asked = json!({"contract": contracts.query, "sql": sql, "purpose": PURPOSE, "where": "provider"});
            let answer = consumer.post("/uses/query", &asked).await?;
            let rows = answer.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            let counted: u64 = rows.iter().filter_map(|it| it.get("n").and_then(Value::as_u64)).sum();
            if counted != products.rows {
                return Err(Trouble::unexpected(format!("the answer covers {counted} rows, not {}", products.rows)));
            }
            let average = |it: &Value, name: &str| it.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
            let mut lines = Vec::new();
            for it in &rows {
                lines.push(format!("{:<8} {:>8.1} kW  {:>5.2} m/s", text(it, turbine)?, average(it, "kw"), average(it, "ms")));
            }
            let left = number(&answer, "usesLeft")?;
            lines.push(lang.pick(
                format!("{} 行结果概括 {counted} 行；剩余 {left} 次；凭证 {}", rows.len(), text(&answer, "lease")?),
                format!("{} rows sum up {counted}; {left} uses left; lease {}", rows.len(), text(&answer, "lease")?),
            ));
            Ok((lines.last().cloned().unwrap_or_default(), lines.join("\n")))
        })
        .await?;
    book.uses.push(format!("{}: {shown}", lang.pick("统计查询", "aggregate query")));
    let refusal = tell
        .step("取原始行的查询被拒绝", "a query for rows is refused", async {
            let asked = json!({"contract": contracts.query, "sql": "SELECT * FROM data LIMIT 5", "purpose": PURPOSE});
            let outcome = consumer.post("/uses/query", &asked).await;
            let what = "SELECT * FROM data LIMIT 5";
            let it = refused(lang, what, outcome, &["query.raw-rows", "query.aggregate", "query.not-allowed"])?;
            let proved = it.reason.clone();
            Ok((it, proved))
        })
        .await?;
    book.refusals.push(refusal);
    let refusal = tell
        .step("合约之外的目的被拒绝", "a purpose that the contract does not name is refused", async {
            let asked = json!({"contract": contracts.query, "sql": "SELECT count(*) AS n FROM data", "purpose": "marketing"});
            let outcome = consumer.post("/uses/query", &asked).await;
            let it = refused(lang, lang.pick("目的：marketing", "purpose: marketing"), outcome, &["policy.denied", "policy.unknown"])?;
            let proved = it.reason.clone();
            Ok((it, proved))
        })
        .await?;
    book.refusals.push(refusal);
    book.explained.extend(decided(tell, world, contracts).await?);
    Ok(())
}

/// The same question held against the contract's own terms, as the gate does: every step with its fact, in both languages.
async fn decided(
    tell: &mut Teller,
    world: &World,
    contracts: &Contracts,
) -> Result<Vec<String>, Trouble> {
    tell.step(
        "逐步说明为何拒绝（中文与英文）：规则、条款、事实",
        "why it was refused, step by step, in Chinese and English: rule, term, fact",
        async {
            let here = |why: &dyn std::fmt::Display| Trouble::unexpected(why.to_string());
            let path = format!("/contracts/{}", segment(&contracts.query));
            let contract = world.api(Part::Consumer)?.get(&path).await?;
            let policy = contract.get("policy").map(Value::to_string).unwrap_or_default();
            let policy = odrl::parse(policy.as_bytes()).map_err(|why| here(&why))?.model;
            let who = world.did(Part::Consumer)?;
            let request = Request {
                purpose: Some("marketing"),
                uses_so_far: 1,
                ..Request::new(Clock::default().now(), Use::Query, who)
            };
            let mut lines = Vec::new();
            for lang in [Lang::Zh, Lang::En] {
                let tried = try_out(&policy, &request, lang)
                    .map_err(|_| Trouble::unexpected("the contract's terms are not understood"))?;
                if tried.verdict == Truth::Yes {
                    return Err(Trouble::unexpected("the explanation permits what was refused"));
                }
                lines.push(tried.headline.clone());
                lines.extend(tried.lines.iter().map(ToString::to_string));
            }
            let proved = lines.join("\n");
            Ok((lines, proved))
        },
    )
    .await
}
