//! One readable line of a fact, in both languages.
//!
//! Never the record: the line is made from the fact whenever it is shown.

use crate::contract::End;
use crate::dataflow::message::Plane;
use crate::lang::Lang;
use crate::negotiation::message::Role;
use crate::policy::privacy::micro_text;
use crate::policy::usage::Level;

use super::fact::{Change, Closed, Fact, ShareAct, What};

/// What happened, as one line for people.
pub fn summary(it: &Fact, lang: Lang) -> String {
    let why = |reason: &Option<String>| match reason {
        Some(reason) if !reason.is_empty() => format!("{}{reason}", lang.pick("：", ": ")),
        Some(_) | None => String::new(),
    };
    let zh = lang == Lang::Zh;
    match &it.what {
        What::Published { bytes, rows: Some(rows), .. } if zh => {
            format!("发布产品版本：{rows} 行，{bytes} 字节")
        }
        What::Published { bytes, rows: Some(rows), .. } => {
            format!("Published a product version: {rows} rows, {bytes} bytes")
        }
        What::Published { bytes, rows: None, .. } if zh => format!("发布产品版本：{bytes} 字节"),
        What::Published { bytes, rows: None, .. } => {
            format!("Published a product version: {bytes} bytes")
        }
        What::Derived { .. } => lang
            .pick(
                "发布了源自本合约的产品版本",
                "Published a product version made under this contract",
            )
            .to_owned(),
        What::TablePrepared { entries, bytes, .. } if zh => {
            format!("已制作并签名匹配表：{entries} 个条目，{bytes} 字节")
        }
        What::TablePrepared { entries, bytes, .. } => {
            format!("Table for matching made and signed: {entries} entries, {bytes} bytes")
        }
        What::Negotiation { from, to, by, reason, .. } => {
            format!(
                "{} {} → {} ({}){}",
                lang.pick("协商", "Negotiation"),
                from.token(),
                to.token(),
                role(*by, lang),
                why(reason)
            )
        }
        What::Concluded { provider_signed, consumer_signed, .. } => {
            let signed = |it: bool| {
                if it {
                    lang.pick("已签名", "signed")
                } else {
                    lang.pick("未签名", "unsigned")
                }
            };
            format!(
                "{}{} {}{}{} {}",
                lang.pick("合约成立：", "Contract concluded: "),
                role(Role::Provider, lang),
                signed(*provider_signed),
                lang.pick("，", ", "),
                role(Role::Consumer, lang),
                signed(*consumer_signed)
            )
        }
        What::Transfer { from, to, by, reason } => {
            format!(
                "{} {} → {} ({}){}",
                lang.pick("传输", "Transfer"),
                from.token(),
                to.token(),
                role(*by, lang),
                why(reason)
            )
        }
        What::Flow { from, to, by, reason } => {
            let plane = match by {
                Plane::Control => lang.pick("控制面", "control plane"),
                Plane::Data => lang.pick("数据面", "data plane"),
            };
            format!(
                "{} {} → {} ({plane}){}",
                lang.pick("数据流", "Data flow"),
                from.token(),
                to.token(),
                why(reason)
            )
        }
        What::Delivered { bytes, .. } if zh => format!("交付 {bytes} 字节"),
        What::Delivered { bytes, .. } => format!("Delivered {bytes} bytes"),
        What::LeaseGranted { kind, uses, until, epsilon, .. } => {
            let cost = match epsilon {
                0 => String::new(),
                it => format!("{}ε {}", lang.pick("，", ", "), micro_text(*it)),
            };
            if zh {
                format!("授予使用凭证（{}），第 {uses} 次使用{cost}，至 {until}", kind.name())
            } else {
                format!("Lease granted ({}), use {uses}{cost}, until {until}", kind.name())
            }
        }
        What::Appraised { level, refused, format, .. } => {
            let found = level.map_or("–", Level::name);
            let said = lang.pick("环境证明已评估", "Evidence of the environment appraised");
            let found = if refused.is_empty() { found } else { refused };
            match format.as_str() {
                "" => format!("{said}: {found}"),
                // Whoever reads the level reads what it is worth.
                format => format!("{said}: {found} ({format})"),
            }
        }
        What::LeaseRefused { kind, code, rule, more } => {
            let told = format!(
                "{} ({}): {rule} [{code}]",
                lang.pick("拒绝使用凭证", "Lease refused"),
                kind.name()
            );
            match more {
                0 => told,
                more if zh => format!("{told}，此前另有 {more} 次同码拒绝"),
                more => format!("{told}, and {more} more with this code before"),
            }
        }
        What::LeaseHeld { kind, until } if zh => {
            format!("持有使用凭证（{}），至 {until}", kind.name())
        }
        What::LeaseHeld { kind, until } => format!("Lease held ({}), until {until}", kind.name()),
        What::LeaseRenewed { number, until } if zh => {
            format!("使用凭证第 {number} 次续期，至 {until}")
        }
        What::LeaseRenewed { number, until } => {
            format!("Lease renewed (time {number}), until {until}")
        }
        What::LeaseMissed { how, more } => {
            let said = match how {
                Closed::Returned => lang
                    .pick(
                        "使用凭证由本方程序直接在提供方使用，提供方已告知",
                        "Lease used at the provider by a program of ours, as the provider says",
                    )
                    .to_owned(),
                Closed::Revoked | Closed::Expired => format!(
                    "{} ({})",
                    lang.pick(
                        "使用凭证从未到达，未曾使用",
                        "Lease never arrived and opened nothing"
                    ),
                    closed(*how, lang)
                ),
            };
            match more {
                0 => said,
                more if zh => format!("{said}；此前另有 {more} 个凭证未单独记录"),
                more => format!("{said}; {more} more before it have no entry of their own"),
            }
        }
        What::LeaseClosed { how, rows, bytes, .. } if zh => {
            format!("使用凭证{}：{rows} 行，{bytes} 字节", closed(*how, lang))
        }
        What::LeaseClosed { how, rows, bytes, .. } => {
            format!("Lease {}: {rows} rows, {bytes} bytes", closed(*how, lang))
        }
        What::ContractEnded { why, by, reason } => format!(
            "{} ({}, {}){}{reason}",
            lang.pick("合约终止", "Contract ended"),
            end(*why, lang),
            role(*by, lang),
            lang.pick("：", ": ")
        ),
        What::ContractStanding { reason: Some(reason), .. } => format!(
            "{}{}{reason}",
            lang.pick("合约中止", "Contract suspended"),
            lang.pick("：", ": ")
        ),
        What::ContractStanding { reason: None, .. } => {
            lang.pick("合约恢复", "Contract resumed").to_owned()
        }
        What::Consented => lang.pick("提供方同意使用", "The provider consented to uses").to_owned(),
        What::DutyMissed { duty } => format!(
            "{} [{duty}]",
            lang.pick("义务未按期履行，未收到签名回执", "Duty not signed for in time")
        ),
        What::KeyDestroyed => lang.pick("数据密钥已销毁", "Data key destroyed").to_owned(),
        What::CopiesDeleted { files, checked, .. } if zh => {
            let looked = if *checked { "并已复查确认不存在，" } else { "" };
            format!("{} 个密文文件已删除，{looked}附签名回执", files.len())
        }
        What::CopiesDeleted { files, checked, .. } => {
            let looked = if *checked { ", none found afterwards" } else { "" };
            format!("{} ciphertext files deleted{looked}, receipt signed", files.len())
        }
        What::Share { act, detail, .. } => {
            let said = lang.pick("运营方密钥份额", "Operator's share of the key");
            let dash = if detail.is_empty() { "" } else { ": " };
            format!("{said} ({}){dash}{detail}", acted(*act, lang))
        }
        What::MessageRefused { code } => {
            format!("{} [{code}]", lang.pick("拒绝对方消息", "Message of the peer refused"))
        }
        What::GaveUp { code } => format!("{} [{code}]", lang.pick("放弃投递", "Gave up")),
        What::Membership { change, space, .. } => {
            format!("{}{}{space}", changed(*change, lang), lang.pick("：", ": "))
        }
    }
}

fn role(it: Role, lang: Lang) -> &'static str {
    match it {
        Role::Provider => lang.pick("提供方", "provider"),
        Role::Consumer => lang.pick("使用方", "consumer"),
    }
}

fn closed(it: Closed, lang: Lang) -> &'static str {
    match it {
        Closed::Returned => lang.pick("已归还", "returned"),
        Closed::Expired => lang.pick("已到期", "expired"),
        Closed::Revoked => lang.pick("已撤销", "revoked"),
    }
}

fn acted(it: ShareAct, lang: Lang) -> &'static str {
    match it {
        ShareAct::Released => lang.pick("已放行", "released"),
        ShareAct::Refused => lang.pick("已拒绝", "refused"),
        ShareAct::Held => lang.pick("已暂停放行", "held"),
        ShareAct::Freed => lang.pick("已恢复放行", "no longer held"),
    }
}

fn changed(it: Change, lang: Lang) -> &'static str {
    match it {
        Change::Issued => lang.pick("签发成员凭证", "Membership issued"),
        Change::Joined => lang.pick("加入数据空间", "Joined the space"),
        Change::Revoked => lang.pick("吊销成员凭证", "Membership revoked"),
    }
}

fn end(it: End, lang: Lang) -> &'static str {
    match it {
        End::Revoked => lang.pick("撤销", "revoked"),
        End::Expired => lang.pick("到期", "expired"),
        End::UsedUp => lang.pick("次数用尽", "used up"),
        End::Agreed => lang.pick("协议终止", "as agreed"),
    }
}
