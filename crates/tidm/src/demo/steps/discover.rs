//! Chapter 2: the maintenance firm finds what it needs.

use serde_json::json;

use crate::demo::client::{items, number, segment, text};
use crate::demo::facts::Products;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    products: &Products,
) -> Result<(), Trouble> {
    tell.chapter("2 发现", "2 Discover");
    let lang = tell.lang;
    let intermediary = world.api(Part::Intermediary)?;
    let consumer = world.api(Part::Consumer)?;
    for (zh, en, api) in [
        (
            "中间服务方抓取各成员目录",
            "the intermediary crawls the members' catalogues",
            intermediary,
        ),
        ("使用方抓取各成员目录", "the consumer crawls the members' catalogues", consumer),
    ] {
        tell.step(zh, en, async {
            let round = api.post("/catalog/crawl", &json!({})).await?;
            let (members, entries) = (number(&round, "members")?, number(&round, "entries")?);
            let proved = lang.pick(
                format!("{members} 名成员，{entries} 个产品"),
                format!("{members} members, {entries} products"),
            );
            Ok(((), proved))
        })
        .await?;
    }
    for (zh, en, words, wanted) in [
        ("检索“SCADA”", "search for “SCADA”", "SCADA", &products.scada),
        ("检索“STEP”", "search for “STEP”", "STEP", &products.cad),
    ] {
        tell.step(zh, en, async {
            let found = consumer.get(&format!("/catalog?search={words}")).await?;
            let hit = items(&found).iter().find(|it| {
                it.get("id").and_then(serde_json::Value::as_str) == Some(wanted.as_str())
            });
            let hit = hit.ok_or_else(|| {
                Trouble::unexpected(format!("the search for {words} does not find {wanted}"))
            })?;
            Ok(((), format!("{}  {wanted}", text(hit, "title")?)))
        })
        .await?;
    }
    tell.step("向提供方核对现行要约", "the offers as the provider makes them now", async {
        let path = format!(
            "/catalog/{}/{}",
            segment(world.did(Part::Provider)?),
            segment(&products.scada)
        );
        let shown = consumer.get(&path).await?;
        let offers = shown.get("offers").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        if offers == 0 {
            return Err(Trouble::unexpected("the provider offers nothing"));
        }
        Ok(((), lang.pick(format!("{offers} 份要约"), format!("{offers} offers"))))
    })
    .await
}
