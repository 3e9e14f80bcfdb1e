//! The one-page report, on the terminal and as Markdown.
//!
//! Never a sentence that the walk did not earn: every line comes from the book or from a measured step.

use std::fmt::Write as _;
use std::time::Duration;

use super::book::{Book, Signed};
use super::teller::{Teller, milliseconds};
use super::trouble::Trouble;
use super::world::World;

/// Steps slower than this are shown in the timings; all are in their own lines above.
const SLOW: Duration = Duration::from_millis(250);

pub(crate) fn write(tell: &Teller, world: &World, book: &Book) -> Result<(), Trouble> {
    let text = markdown(tell, world, book);
    let file = world.report_file();
    std::fs::write(&file, &text).map_err(|why| Trouble::here(file.display().to_string(), why))?;
    tell.say("");
    tell.say(&text);
    tell.say(&format!("{}: {}", tell.lang.pick("报告", "report"), file.display()));
    Ok(())
}

fn markdown(tell: &Teller, world: &World, book: &Book) -> String {
    let lang = tell.lang;
    let mut out = String::new();
    let mut section = |title: &str, rows: Vec<String>| {
        out += &format!("\n## {title}\n\n");
        for row in rows {
            out += &format!("* {row}\n");
        }
    };
    let who = world
        .nodes()
        .iter()
        .map(|it| format!("{} — {} — `{}`", it.part.role(), it.part.org(lang), it.did));
    section(lang.pick("参与方", "Who"), who.collect());
    section(lang.pick("产品", "Products"), book.products.clone());
    section(lang.pick("合约", "Contracts"), book.contracts.iter().flat_map(signed).collect());
    section(lang.pick("使用", "Uses"), book.uses.clone());
    section(
        lang.pick("拒绝", "Refusals"),
        book.refusals.iter().map(|it| format!("{}: {}", it.what, it.reason)).collect(),
    );
    section(lang.pick("说明（中英文）", "Explained, in both languages"), book.explained.clone());
    section(lang.pick("撤销", "Revocation"), book.revocation.clone());
    section(lang.pick("召回", "Recall, copy by copy"), book.recalled.clone());
    section(lang.pick("销毁与删除", "Destruction and deletion"), book.deletions.clone());
    section(lang.pick("已证明", "Proven, offline"), book.proven.clone());
    section(lang.pick("未证明", "Not proven"), book.unproven.clone());
    section(lang.pick("用时", "Timings"), timings(tell));
    let title = lang.pick("# 数据空间演示报告", "# Report of a walk through a data space");
    format!("{title}\n{out}")
}

fn signed(it: &Signed) -> Vec<String> {
    let mut rows = vec![format!("**{}** ({}) `{}`", it.name, it.how, it.id)];
    rows.extend(it.terms.iter().map(|term| {
        let mut row = String::from("  ");
        // Writing to a string does not fail.
        let _ = write!(row, "{} — {} {}", term.text, term.level, term.enforced);
        row
    }));
    rows
}

fn timings(tell: &Teller) -> Vec<String> {
    let slow = tell
        .told
        .iter()
        .filter(|it| it.took >= SLOW)
        .map(|it| format!("{}: {}", it.title, milliseconds(it.took)));
    let total = tell.started.elapsed().as_secs_f64();
    let last = tell.lang.pick(
        format!("共 {} 步，{total:.1} 秒", tell.told.len()),
        format!("{} steps in {total:.1} s", tell.told.len()),
    );
    slow.chain([last]).collect()
}
