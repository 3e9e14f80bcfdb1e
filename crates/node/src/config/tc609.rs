//! The section `[tc609]`: codes of this node and of others, and who may speak TC609 with it.
//!
//! Never a code that this node made up: codes of connectors and platforms are given by a function node. Nobody calls
//! who is not named here by code and DID.

use tidm_space::tc609::code::NodeCode;

use super::check::{Context, url};
use super::error::{ConfigError, text};
use super::{Tc609, raw};
use tidm_space::identity::did::Did;

/// Names on one list: a platform with more has a directory, which no document describes.
const MOST: usize = 256;

pub(super) fn tc609(
    cx: &Context<'_>,
    raw: raw::Tc609,
    credit_code: Option<&str>,
) -> Result<Tc609, ConfigError> {
    let connector = raw.connector.map(|it| node(cx, "tc609.connector", &it)).transpose()?;
    let platform = raw.platform.map(|it| node(cx, "tc609.platform", &it)).transpose()?;
    if let Some(wrong) = platform.as_ref().filter(|it| !it.is_service_node()) {
        return Err(cx.bad(
            "tc609.platform",
            wrong.as_str(),
            text("不是业务节点标识(首位应为 4)", "not a service node's code, which begins with 4"),
            text(
                "请填写平台的业务节点标识",
                "give the code of the platform that issues contract codes",
            ),
        ));
    }
    let platform_url = raw.platform_url.map(|it| url(cx, "tc609.platform_url", &it)).transpose()?;
    let subject = connector.as_ref().and_then(NodeCode::subject);
    if let (Some(subject), Some(code)) = (&subject, credit_code)
        && subject.as_str() != code
    {
        return Err(cx.bad(
            "tc609.connector",
            subject.as_str(),
            text("其中的主体标识与 node.credit_code 不同", "its subject is not node.credit_code"),
            text("请核对两处填写", "one of the two is wrong"),
        ));
    }
    let enabled = raw.enabled.unwrap_or(false);
    if enabled && (connector.is_none() || platform.is_none()) {
        return Err(cx.bad(
            "tc609.enabled",
            "true",
            text(
                "缺少 tc609.connector 或 tc609.platform",
                "tc609.connector or tc609.platform is missing",
            ),
            text(
                "请填写功能节点分配的两个标识",
                "give both codes as the function node allocated them",
            ),
        ));
    }
    Ok(Tc609 {
        enabled,
        connector,
        platform,
        platform_url,
        partners: pairs(cx, "tc609.partners", &raw.partners)?,
        callers: pairs(cx, "tc609.callers", &raw.callers)?,
    })
}

fn node(cx: &Context<'_>, key: &str, value: &str) -> Result<NodeCode, ConfigError> {
    NodeCode::parse(value).map_err(|why| {
        cx.bad(
            key,
            value,
            text(format!("不是节点标识:{why}"), format!("no code of a node: it {why}")),
            text(
                "32 位,首位为 4 或 5,末位为校验位",
                "32 characters, 4 or 5 first, a check character last",
            ),
        )
    })
}

fn pairs(cx: &Context<'_>, key: &str, all: &[String]) -> Result<Vec<(NodeCode, Did)>, ConfigError> {
    let mut out: Vec<(NodeCode, Did)> = Vec::new();
    for pair in all {
        let found = pair
            .split_once('=')
            .and_then(|(code, did)| Some((NodeCode::parse(code).ok()?, Did::parse(did).ok()?)));
        let found = found.filter(|(code, did)| {
            out.len() < MOST && !out.iter().any(|(c, d)| c == code || d == did)
        });
        let Some(found) = found else {
            return Err(cx.bad(
                key,
                pair,
                text(
                    "不是 节点标识=DID,或有重复",
                    "not CODE=DID, or one of the two is there twice",
                ),
                text(
                    "例如 591310000MA0DEMQ19R31011BH95JZY4=did:web:node.example.com",
                    "for example 591310000MA0DEMQ19R31011BH95JZY4=did:web:node.example.com",
                ),
            ));
        };
        out.push(found);
    }
    Ok(out)
}
