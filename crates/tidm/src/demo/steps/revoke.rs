//! Chapter 4c: a series of uses that the provider ends in the middle.

use std::time::{Duration, Instant};

use serde_json::json;

use super::PURPOSE;
use crate::demo::book::{Book, refused};
use crate::demo::client::{number, segment, text};
use crate::demo::facts::Contracts;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

/// Uses before the provider revokes.
const BEFORE: u64 = 3;
/// The series must end long before.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let (provider, consumer) = (world.api(Part::Provider)?, world.api(Part::Consumer)?);
    let asked = json!({"contract": contracts.table, "sql": "SELECT count(*) AS n FROM data", "purpose": PURPOSE, "where": "here"});
    let shown = tell
        .step(
            "一串查询：在使用方沙箱内，每次一张凭证",
            "a series of queries in the consumer's own sandbox, a lease each",
            async {
                let mut left = 0;
                for _ in 0..BEFORE {
                    left = number(&consumer.post("/uses/query", &asked).await?, "usesLeft")?;
                }
                let line = lang.pick(
                    format!("{BEFORE} 次成功，剩余 {left} 次"),
                    format!("{BEFORE} succeeded, {left} uses left"),
                );
                Ok((line.clone(), line))
            },
        )
        .await?;
    book.uses.push(format!("{}: {shown}", lang.pick("密封表查询", "sealed table queried")));
    let (refusal, line) = tell
        .step("系列进行中撤销：下一次即被拒绝", "revoked in the middle: the next use is refused", async {
            let said = Instant::now();
            let path = format!("/contracts/{}/revoke", segment(&contracts.table));
            let reason = lang.pick("演示：提供方撤销", "demo: the provider revokes");
            let reason = json!({"reason": reason});
            let revoking = async {
                let it = provider.post(&path, &reason).await?;
                text(&it, "state")?;
                Ok::<_, Trouble>(Instant::now())
            };
            // The series goes on meanwhile, as if nobody had told the consumer.
            let series = async {
                let mut succeeded = Vec::new();
                loop {
                    let begun = Instant::now();
                    match consumer.post("/uses/query", &asked).await {
                        Ok(_) if said.elapsed() > PATIENCE => return Err(Trouble::unexpected("uses went on after the revocation")),
                        Ok(_) => succeeded.push(begun),
                        Err(trouble) => return Ok((succeeded, trouble, Instant::now())),
                    }
                }
            };
            let (revoked, (succeeded, trouble, stopped)) = tokio::try_join!(revoking, series)?;
            if succeeded.iter().any(|begun| *begun > revoked) {
                return Err(Trouble::unexpected("a use that began after the revocation was confirmed succeeded"));
            }
            let codes = ["contract.ended", "policy.denied", "lease.revoked", "lease.ended", "key.destroyed", "use.not-delivered"];
            let what = lang.pick("撤销后的下一次使用", "the next use after the revocation");
            let it = refused::<()>(lang, what, Err(trouble), &codes)?;
            let (ack, stop) = (revoked.duration_since(said).as_millis(), stopped.duration_since(said).as_millis());
            let line = lang.pick(
                format!("撤销 {ack} ms 生效；{stop} ms 后使用被拒；生效后成功的使用：0"),
                format!("in force after {ack} ms; the series refused after {stop} ms; uses begun after that succeeded: 0"),
            );
            let proved = format!("{line}\n{}", it.reason);
            Ok(((it, line), proved))
        })
        .await?;
    book.refusals.push(refusal);
    book.revocation.push(line);
    Ok(())
}
