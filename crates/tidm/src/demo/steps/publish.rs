//! Chapter 1: the wind farm publishes its measurements and a drawing.

use std::path::Path;

use serde_json::{Value, json};

use super::{OPENINGS, PURPOSE};
use crate::demo::Options;
use crate::demo::book::Book;
use crate::demo::client::{Api, number, text};
use crate::demo::facts::Products;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    options: &Options,
) -> Result<Products, Trouble> {
    tell.chapter("1 发布", "1 Publish");
    let lang = tell.lang;
    let provider = world.api(Part::Provider)?;
    let table = tell
        .step(
            "发布风机 SCADA 数据，附两份要约",
            "the turbines' SCADA data, with two offers",
            async {
                let made =
                    provider.post("/products", &scada(&options.scada, options.lang)?).await?;
                let (rows, bytes) = (number(&made, "rows")?, number(&made, "bytes")?);
                let digest = text(&made, "contentSha256")?;
                let columns = made.get("columns").and_then(Value::as_array).map_or(0, Vec::len);
                let proved = lang.pick(
                    format!("{rows} 行 {columns} 列，{bytes} 字节，SHA-256 {}", short(digest)),
                    format!(
                        "{rows} rows, {columns} columns, {bytes} bytes, SHA-256 {}",
                        short(digest)
                    ),
                );
                Ok((made, proved))
            },
        )
        .await?;
    let drawing = tell
        .step(
            "发布 CAD 装配体（STEP），须人工批准",
            "a CAD assembly (STEP), each request approved by a person",
            async {
                let made = provider.post("/products", &cad(&options.cad, options.lang)?).await?;
                let (bytes, digest) = (number(&made, "bytes")?, text(&made, "contentSha256")?);
                let proved = lang.pick(
                    format!("{bytes} 字节，SHA-256 {}", short(digest)),
                    format!("{bytes} bytes, SHA-256 {}", short(digest)),
                );
                Ok((made, proved))
            },
        )
        .await?;
    for (it, told) in [&table, &drawing].into_iter().zip(tell.told.iter().rev().take(2).rev()) {
        book.products.push(format!(
            "{} ({}): {}",
            text(it, "title")?,
            text(it, "id")?,
            told.proved
        ));
    }
    let offer = |kind: &str| offer_for(&table, kind);
    Ok(Products {
        scada: text(&table, "id")?.to_owned(),
        cad: text(&drawing, "id")?.to_owned(),
        query_offer: offer("query")?,
        table_offer: offer("sealed-table")?,
        turbine: column(&table, "turbine")?,
        power: column(&table, "p_avg")?,
        wind: column(&table, "ws_avg")?,
        rows: number(&table, "rows")?,
    })
}

fn absolute(path: &Path) -> Result<String, Trouble> {
    let found =
        path.canonicalize().map_err(|why| Trouble::here(path.display().to_string(), why))?;
    Ok(found.display().to_string())
}

/// Aggregates at the provider's, priced, with a person who decides; and sealed rows for a while.
fn scada(path: &Path, lang: tidm_node::lang::Lang) -> Result<Value, Trouble> {
    Ok(json!({
        "path": absolute(path)?,
        "title": lang.pick("拉奥博讷风电场十分钟 SCADA 数据", "La Haute Borne: ten-minute SCADA data"),
        "description": lang.pick("四台风机的风速、功率、温度等十分钟均值", "Ten-minute averages of four turbines: wind, power, temperature"),
        "keywords": ["SCADA", "wind"],
        "grade": "general",
        "preview": true,
        "offers": [
            {
                "approval": "manual",
                "deliveries": ["query"],
                "terms": {
                    "aggregatesOnly": true, "minGroup": 100, "outputRows": 1000, "uses": 20, "purposes": [PURPOSE],
                    "price": "120.00 CNY", "kinds": ["query"]
                }
            },
            {
                "approval": "auto",
                "deliveries": ["sealed-table"],
                "terms": { "uses": 200, "purposes": [PURPOSE], "export": false, "deleteAfterUse": true, "kinds": ["sealed-table"] }
            }
        ]
    }))
}

fn cad(path: &Path, lang: tidm_node::lang::Lang) -> Result<Value, Trouble> {
    Ok(json!({
        "path": absolute(path)?,
        "title": lang.pick("支架装配体 as1（STEP AP214）", "Bracket assembly as1 (STEP AP214)"),
        "description": lang.pick("维修用三维图纸", "Three-dimensional drawing for repairs"),
        "keywords": ["CAD", "STEP"],
        "grade": "general",
        "offers": [{
            "approval": "manual",
            "deliveries": ["sealed-file"],
            "terms": { "uses": OPENINGS, "purposes": [PURPOSE], "export": false, "deleteAfterUse": true, "kinds": ["sealed-file"] }
        }]
    }))
}

/// The offer of a product that is for one kind of use.
pub(super) fn offer_for(product: &Value, kind: &str) -> Result<String, Trouble> {
    let offers =
        product.get("offers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let fits = |offer: &&Value| {
        let meanings =
            offer.get("meanings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        meanings.iter().any(|it| it.get("kind").and_then(Value::as_str) == Some(kind))
    };
    let found = offers
        .iter()
        .find(fits)
        .ok_or_else(|| Trouble::unexpected(format!("no offer for {kind}")))?;
    text(found, "id").map(str::to_owned)
}

/// The column whose name holds `part`, whatever its case.
fn column(product: &Value, part: &str) -> Result<String, Trouble> {
    let columns =
        product.get("columns").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names = columns.iter().filter_map(|it| it.get("name").and_then(Value::as_str));
    let found = names.into_iter().find(|it| it.to_lowercase().contains(part));
    found
        .map(str::to_owned)
        .ok_or_else(|| Trouble::unexpected(format!("the table has no column like {part}")))
}

/// A digest's beginning, for people.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}

/// One contract as one side shows it.
pub(super) async fn contract(api: &Api, id: &str) -> Result<Value, Trouble> {
    api.get(&format!("/contracts/{}", crate::demo::client::segment(id))).await
}
