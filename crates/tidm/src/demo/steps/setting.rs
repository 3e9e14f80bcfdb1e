//! Chapter 0: five organisations with a node each.

use crate::demo::client::{number, text};
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

pub(crate) async fn walk(tell: &mut Teller, world: &mut World) -> Result<(), Trouble> {
    let lang = tell.lang;
    tell.chapter("0 五个组织，各有一个节点", "0 Five organisations, a node each");
    let dir = world.dir.display().to_string();
    tell.step(
        "密钥、演示证书（TLS 1.3）、运营方签名的成员名单",
        "keys, demo certificates (TLS 1.3), member list signed by the operator",
        async {
            world.make()?;
            Ok(((), dir))
        },
    )
    .await?;
    let listed = |world: &World| {
        let row = |it: &crate::demo::world::Node| {
            format!("{:<15} {}  {}", it.part.role(), it.url(), it.part.org(lang))
        };
        world.nodes().iter().map(row).collect::<Vec<_>>().join("\n")
    };
    tell.step(
        "启动五个进程，各自报告就绪",
        "five processes started, each says it is ready",
        async {
            world.start().await?;
            Ok(((), listed(world)))
        },
    )
    .await?;
    tell.step(
        "一次性令牌建立管理员，取得 API 密钥",
        "one-time tokens make the administrators, API keys follow",
        async {
            world.set_up().await?;
            let info = world.api(Part::Provider)?.get("/info").await?;
            let proved = lang.pick(
                format!(
                    "提供方 {}：{} 名成员，{} 个存证方",
                    text(&info, "did")?,
                    number(&info, "members")?,
                    number(&info, "custodians")?
                ),
                format!(
                    "provider {}: {} members, {} custodian",
                    text(&info, "did")?,
                    number(&info, "members")?,
                    number(&info, "custodians")?
                ),
            );
            Ok(((), proved))
        },
    )
    .await
}
