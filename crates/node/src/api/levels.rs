//! What an enforcement level does not hold off, beside who keeps it: the rows of `docs/usage-control.md`, in the reader's words.
//!
//! Never says less than the document does.

use tidm_space::lang::Lang;
use tidm_space::policy::usage::Level;

/// Against whom or what a term of this level holds nothing.
pub(super) fn limit(level: Level, lang: Lang) -> &'static str {
    match level {
        Level::E0 => lang.pick("违约者(只留下争议证据)", "whoever breaks it (it is evidence in a dispute)"),
        Level::E1 => lang.pick(
            "使用方机器的管理员(改动程序者可留存已打开的内容)",
            "the administrator of the consumer's machine: whoever patches the program keeps what was opened once",
        ),
        Level::E2 => {
            lang.pick("多次合规结果合在一起所透露的内容", "what many allowed results say together")
        }
        Level::E3 => lang.pick("打开机器硬件的人", "whoever opens the machine"),
        Level::E4 => lang.pick("独立运营方与使用方合谋", "operator and consumer together"),
    }
}
