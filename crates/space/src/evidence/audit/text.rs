//! The report for people, as Markdown in Chinese or English.
//!
//! Never decides and never hides: every finding is listed, and the last section says what is not proven.

use std::fmt::Write as _;

use crate::id::Id;
use crate::lang::Lang;
use crate::negotiation::message::Role;

use super::{Account, ClosedView, Code, Finding, Report, Severity, Verdict};

/// One finding as a sentence.
pub fn finding(it: &Finding, lang: Lang) -> String {
    let detail = |at: usize| it.detail.get(at).map_or("-", String::as_str);
    let (zh, en) = sentence(it.code);
    let template = lang.pick(zh, en);
    let side = side(detail(0), lang);
    let mut out = template.replace("{side}", side);
    for at in 0..3 {
        out = out.replace(&format!("{{{at}}}"), &cell(detail(at)));
    }
    match &it.about {
        Some(id) => format!("{out} ({})", cell(id.as_str())),
        None => out,
    }
}

fn side(word: &str, lang: Lang) -> &'static str {
    match Role::from_word(word) {
        Some(Role::Provider) => lang.pick("提供方", "the provider"),
        Some(Role::Consumer) => lang.pick("使用方", "the consumer"),
        None => lang.pick("一方", "one side"),
    }
}

fn sentence(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::NoPeerFacts => (
            "未能取得 {0} 的存证条目，仅核对了一方",
            "The facts of {0} could not be had: only one side was checked",
        ),
        Code::ForeignFact => (
            "{side}出示了一条不属于本方或本合约的条目",
            "{side} presented a fact that is not its own or not about this contract",
        ),
        Code::NotConcluded => {
            ("{side}没有合约成立的记录", "{side} has no record that the contract was concluded")
        }
        Code::SignedDiffers => (
            "{side}记录的签署内容摘要 {1} 与合约 {2} 不同",
            "{side} recorded the digest {1} of what was signed, the contract says {2}",
        ),
        Code::SignaturesDiffer => (
            "双方对签名情况的记录不同（提供方/使用方）：{0} 与 {1}",
            "The sides disagree on who signed (provider/consumer): {0} and {1}",
        ),
        Code::NegotiationDiffers => (
            "双方协商终态不同：{0} 与 {1}",
            "The negotiation ended differently on the two sides: {0} and {1}",
        ),
        Code::TransfersDiffer => (
            "双方交付过程状态不同：{0} 与 {1}",
            "The transfers stand differently on the two sides: {0} and {1}",
        ),
        Code::NotProvided => (
            "使用方收到的内容 {0}（{1} 字节）提供方从未提供",
            "The consumer received content {0} ({1} bytes) that the provider never provided",
        ),
        Code::NotArrived => (
            "提供方提供的内容 {0}（{1} 字节）使用方没有收到的记录",
            "Content {0} ({1} bytes) was provided, but the consumer recorded no arrival",
        ),
        Code::NotHeld => (
            "提供方于 {1} 授予的使用凭证（{0}）使用方没有持有记录",
            "A lease ({0}) granted at {1} was never recorded as held by the consumer",
        ),
        Code::NeverArrived => (
            "提供方于 {1} 授予的使用凭证（{0}）未到达使用方，计入次数但未被使用",
            "A lease ({0}) granted at {1} never reached the consumer: it counts, but opened nothing",
        ),
        Code::UsedByProgram => (
            "提供方于 {1} 授予的使用凭证（{0}）由使用方的程序直接使用，使用方节点已获告知",
            "A lease ({0}) granted at {1} was used by a program of the consumer, whose node was told",
        ),
        Code::NotGranted => (
            "使用方于 {1} 声称持有的使用凭证（{0}）闸口从未授予",
            "The consumer claims a lease ({0}) at {1} that the gate never granted",
        ),
        Code::LeaseTermsDiffer => (
            "双方对使用凭证条件的记录不同：{0} 与 {1}",
            "The sides recorded different terms of the lease: {0} and {1}",
        ),
        Code::RenewalNotGranted => (
            "使用凭证持有方记录的第 {0} 次续期（至 {1}）闸口没有记录",
            "The holder recorded renewal {0} of the lease, until {1}, which the gate never made",
        ),
        Code::RenewalNotHeld => (
            "闸口记录的第 {0} 次续期（至 {1}）持有方没有记录（答复可能丢失）",
            "The gate recorded renewal {0} of the lease, until {1}, which its holder did not (its answer may be lost)",
        ),
        Code::OutcomeDiffers => (
            "双方对使用结果的记录不同：{0} 与 {1}",
            "The sides recorded different outcomes of the use: {0} and {1}",
        ),
        Code::EndedDifferently => (
            "使用凭证在双方以不同方式结束（可能消息迟到）：{0} 与 {1}",
            "The lease ended differently on the two sides (a late message can do that): {0} and {1}",
        ),
        Code::LeaseOpen => (
            "{side}没有记录已于 {1} 到期的使用凭证的结束",
            "{side} recorded no end of a lease that ran out at {1}",
        ),
        Code::CloseWithoutOpen => (
            "{side}记录了从未开始的使用凭证的结束",
            "{side} recorded the end of a lease that never began",
        ),
        Code::CountBroken => (
            "闸口计数不连续：应为第 {0} 次，记录为第 {1} 次",
            "The gate's count is broken: use {0} expected, {1} recorded",
        ),
        Code::CountExceeded => {
            ("超过合约次数上限 {0}：第 {1} 次", "More uses than the contract's {0}: use {1}")
        }
        Code::UseAfterEnd => {
            ("合约于 {0} 终止后，{1} 仍有使用", "A use at {1}, after the contract ended at {0}")
        }
        Code::UseWhileSuspended => (
            "合约自 {0} 起中止，{1} 仍授予使用凭证",
            "A lease was granted at {1}, while the contract was suspended since {0}",
        ),
        Code::StandingDiffers => (
            "使用方记录的第 {0} 次中止或恢复（{1}）与提供方记录不符",
            "The consumer recorded change {0} of the contract's standing ({1}) as the provider did not",
        ),
        Code::DutyMissed => (
            "义务 {0} 未按期履行：{1} 前未收到签名回执",
            "The duty {0} was not signed for: no receipt by {1}",
        ),
        Code::EndUnknown => (
            "{side}没有合约终止的记录（{1}，{2}）",
            "{side} has no record that the contract ended ({1}, {2})",
        ),
        Code::EndDiffers => (
            "双方对合约终止的记录不同：{0} 与 {1}",
            "The sides recorded different ends of the contract: {0} and {1}",
        ),
        Code::KeyNotDestroyed => (
            "合约于 {0} 终止，提供方没有销毁密钥的记录",
            "The contract ended at {0}; the provider recorded no destruction of its key",
        ),
        Code::KeyDestroyedEarly => (
            "密钥于 {0} 销毁，但合约没有终止的记录",
            "The key was destroyed at {0} without a recorded end of the contract",
        ),
        Code::DeletionMissing => (
            "合约于 {0} 终止，使用方没有签署删除回执",
            "The contract ended at {0}; the consumer signed no deletion receipt",
        ),
        Code::DeletionNotReceived => (
            "使用方签署的删除回执 {0} 提供方没有收到的记录",
            "The consumer's deletion receipt {0} was not recorded by the provider",
        ),
        Code::DeletionDiffers => (
            "双方的删除回执不同：{0} 与 {1}",
            "The sides hold different deletion receipts: {0} and {1}",
        ),
        Code::DeletionIncomplete => (
            "删除回执没有列出使用方收到的内容 {0}",
            "The deletion receipt does not list content {0}, which the consumer received",
        ),
        Code::Refused => ("{0} 拒绝了一次使用：{2} [{1}]", "A use was refused at {0}: {2} [{1}]"),
        Code::ShareWithoutLease => (
            "运营方 {0} 于 {1} 放行了密钥份额，而提供方没有相应的使用凭证",
            "The operator {0} released its share at {1} for a lease that the provider never granted",
        ),
        Code::Trouble => (
            "{side}于 {1} 有消息被拒或放弃 [{2}]",
            "{side} refused or gave up a message at {1} [{2}]",
        ),
    }
}

/// Text of others inside Markdown: one line, no structure of its own.
pub(super) fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .flat_map(|c| if "|`<>[]*_#\\".contains(c) { vec!['\\', c] } else { vec![c] })
        .collect()
}

/// The whole report.
pub fn markdown(it: &Report, lang: Lang) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _infallible = head(&mut out, it, lang)
        .and_then(|()| uses(&mut out, it, lang))
        .and_then(|()| events(&mut out, it, lang))
        .and_then(|()| super::share::section(&mut out, it, lang))
        .and_then(|()| findings(&mut out, it, lang))
        .and_then(|()| limits(&mut out, it, lang));
    out
}

fn verdict(it: Verdict, lang: Lang) -> &'static str {
    match it {
        Verdict::Consistent => lang.pick("双方一致", "both sides agree"),
        Verdict::Pending => lang.pick("尚有条目在途", "something is still under way"),
        Verdict::Incomplete => lang.pick("有缺失", "something is missing"),
        Verdict::Contradicting => lang.pick("有矛盾", "the sides contradict each other"),
    }
}

fn head(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    let subject = &it.subject;
    let p = |zh, en| lang.pick(zh, en);
    writeln!(
        out,
        "# {} {}\n",
        p("合约审计报告", "Audit of contract"),
        cell(subject.contract.as_str())
    )?;
    writeln!(out, "**{}: {}**\n", p("结论", "Result"), verdict(it.verdict(), lang))?;
    writeln!(out, "| | |\n|---|---|")?;
    let limit =
        subject.limit.map_or_else(|| p("不限", "not counted").to_owned(), |it| it.to_string());
    let remaining =
        it.remaining().map_or_else(|| p("不限", "not counted").to_owned(), |it| it.to_string());
    for (name, value) in [
        (p("数据产品", "Product"), subject.product.to_string()),
        (p("提供方", "Provider"), subject.provider.to_string()),
        (p("使用方", "Consumer"), subject.consumer.to_string()),
        (p("签署内容摘要", "Digest of what was signed"), subject.signed.to_string()),
        (p("提供方存证条目", "Facts of the provider"), account(&it.provider)),
        (p("使用方存证条目", "Facts of the consumer"), account(&it.consumer)),
        (p("闸口计数", "Uses counted at the gate"), it.uses().to_string()),
        (p("使用方记录的使用", "Uses recorded by the consumer"), it.consumer.uses().to_string()),
        (p("次数上限", "Limit"), limit),
        (p("剩余次数", "Remaining uses"), remaining),
        (p("截至", "As of"), it.at.to_string()),
    ] {
        writeln!(out, "| {name} | {} |", cell(&value))?;
    }
    Ok(())
}

fn account(it: &Account) -> String {
    it.digest.map_or_else(|| "0".to_owned(), |digest| format!("{} (SHA-256 {digest})", it.facts))
}

fn uses(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    let p = |zh, en| lang.pick(zh, en);
    writeln!(out, "\n## {}\n", p("使用记录", "Uses"))?;
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} |\n|---|---|---|---|---|---|---|",
        p("次", "No."),
        p("方式", "Kind"),
        p("目的", "Purpose"),
        p("授予", "Granted"),
        p("持有", "Held"),
        p("提供方所见结果", "Outcome at the gate"),
        p("使用方所见结果", "Outcome at the consumer")
    )?;
    let mut ids: Vec<&Id> = it.provider.leases.keys().chain(it.consumer.leases.keys()).collect();
    ids.sort_unstable();
    ids.dedup();
    let opened =
        |account: &Account, id: &Id| account.leases.get(id).and_then(|it| it.opened.clone());
    let closed = |account: &Account, id: &Id| account.leases.get(id).and_then(|it| it.closed);
    ids.sort_by_key(|id| {
        let open = opened(&it.provider, id);
        (open.as_ref().and_then(|it| it.use_number).unwrap_or(u64::MAX), open.map(|it| it.at))
    });
    for id in ids {
        let (gate, user) = (opened(&it.provider, id), opened(&it.consumer, id));
        let either = gate.as_ref().or(user.as_ref());
        let dash = || "-".to_owned();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            gate.as_ref().and_then(|it| it.use_number).map_or_else(dash, |it| it.to_string()),
            either.map_or("-", |it| it.kind.words(lang)),
            gate.as_ref().and_then(|it| it.purpose.as_deref()).map_or_else(dash, cell),
            gate.as_ref().map_or_else(dash, |it| it.at.to_string()),
            user.as_ref().map_or_else(dash, |it| it.at.to_string()),
            closed(&it.provider, id).map_or_else(dash, |it| outcome(&it, lang)),
            closed(&it.consumer, id).map_or_else(dash, |it| outcome(&it, lang)),
        )?;
    }
    Ok(())
}

fn outcome(it: &ClosedView, lang: Lang) -> String {
    let rows = lang.pick("行", "rows");
    let bytes = lang.pick("字节", "bytes");
    let result = it.result.map_or_else(String::new, |it| format!(", SHA-256 {it}"));
    format!("{}, {} {rows}, {} {bytes}{result}", it.how.word(), it.rows, it.bytes)
}

fn events(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    let p = |zh, en| lang.pick(zh, en);
    writeln!(out, "\n## {}\n", p("交付、终止与销毁", "Delivery, end and destruction"))?;
    for (role, account) in [(Role::Provider, &it.provider), (Role::Consumer, &it.consumer)] {
        let who = side(role.word(), lang);
        for delivery in &account.deliveries {
            let word = if role == Role::Provider {
                p("提供", "provided")
            } else {
                p("收到", "received")
            };
            writeln!(
                out,
                "- {}: {who} {word} {} {} (SHA-256 {})",
                delivery.at,
                delivery.bytes,
                p("字节", "bytes"),
                delivery.content
            )?;
        }
        if let Some(end) = &account.ended {
            let word = p("记录合约终止", "recorded the end of the contract");
            writeln!(
                out,
                "- {}: {who} {word}: {} ({}) {}",
                end.at,
                end.why.word(),
                end.by.word(),
                cell(&end.reason)
            )?;
        }
        super::standing::lines(account, who, lang, out)?;
        if let Some(at) = account.key_destroyed {
            writeln!(out, "- {at}: {who} {}", p("销毁数据密钥", "destroyed the data key"))?;
        }
        if let Some(deletion) = &account.deletion {
            let word = if role == Role::Provider {
                p("收到删除回执", "received the deletion receipt")
            } else {
                p("签署删除回执", "signed the deletion receipt")
            };
            writeln!(
                out,
                "- {}: {who} {word}: {} {} (SHA-256 {})",
                deletion.at,
                deletion.files.len(),
                p("个文件", "files"),
                deletion.receipt
            )?;
        }
    }
    Ok(())
}

fn findings(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    writeln!(out, "\n## {}\n", lang.pick("发现", "Findings"))?;
    if it.findings.is_empty() {
        writeln!(out, "{}", lang.pick("无。", "None."))?;
    }
    for one in &it.findings {
        let severity = match one.severity {
            Severity::Contradiction => lang.pick("矛盾", "Contradiction"),
            Severity::Missing => lang.pick("缺失", "Missing"),
            Severity::Pending => lang.pick("在途", "Pending"),
            Severity::Note => lang.pick("提示", "Note"),
        };
        writeln!(out, "- **{severity}** `{}`: {}", one.code.word(), finding(one, lang))?;
    }
    Ok(())
}

fn limits(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    writeln!(out, "\n## {}\n", lang.pick("本报告未证明的内容", "What this report does not prove"))?;
    let mut lines = vec![
        lang.pick("双方都没有记录的行为。", "Anything that both sides left out."),
        lang.pick("数据离开受控环境之后（明文交付、屏幕、人）的使用。", "What happened to data beyond the controlled place of use (plain delivery, screens, people)."),
        lang.pick("不存在其他副本：删除回执是销毁证据，不是无副本证明。", "That no other copy exists: a deletion receipt is evidence of destruction, no more."),
        lang.pick("时间为各节点自己的时钟。", "Times are of each node's own clock."),
    ];
    if it.absent.is_none() {
        lines.push(lang.pick(
            "对方条目按其出示核对；要证明其在对方日志中，请向对方索取存证回执。",
            "The other side's facts are as it presented them; its receipts prove that they are in its log.",
        ));
    }
    lines.into_iter().try_for_each(|line| writeln!(out, "- {line}"))
}
