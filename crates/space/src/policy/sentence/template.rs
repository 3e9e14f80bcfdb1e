//! Templates: offers that people often make, each filled in with a few values and said back as sentences.
//!
//! Never offers a term that no node keeps: each becomes [`Sentences`], which are checked. The classes are those of the
//! IDS usage control catalogue (IDS-G, `UsageControl/Contract`); `docs/policy-classes.md` lists them all.

use crate::identity::did::Did;
use crate::lang::Lang;
use crate::policy::sentence::{Export, Sentences};
use crate::policy::span::Span;
use crate::policy::terms::Price;
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// What a template is filled in with; each takes what it needs.
#[derive(Clone, Debug)]
pub struct Fill {
    pub to: Vec<Did>,
    pub uses: u64,
    pub from: Time,
    pub until: Time,
    pub span: Span,
    pub purposes: Vec<String>,
    pub columns: Vec<String>,
    pub min_group: u64,
    pub output_rows: u64,
    pub price: Price,
    pub level: Level,
}

/// One template.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// Stable, for forms and links.
    pub name: &'static str,
    title: (&'static str, &'static str),
    /// Numbers of the IDS classes that it covers.
    pub classes: &'static [u8],
    make: fn(&Fill) -> Sentences,
}

impl Template {
    pub fn title(&self, lang: Lang) -> &'static str {
        lang.pick(self.title.0, self.title.1)
    }

    pub fn fill(&self, with: &Fill) -> Sentences {
        (self.make)(with)
    }

    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|it| it.name == name)
    }
}

/// All templates, the plainest first.
pub const ALL: &[Template] = &[
    Template {
        name: "open",
        title: ("任何签约方，不得转交", "whoever signs, never handed on"),
        classes: &[17],
        make: |_| Sentences { export: Export::Forbidden, ..Sentences::default() },
    },
    Template {
        name: "named-consumers",
        title: ("仅限指定使用方", "named consumers only"),
        classes: &[1],
        make: |it| Sentences { to: it.to.clone(), ..Sentences::default() },
    },
    Template {
        name: "trial",
        title: ("试用：次数少，结果小", "trial: a few uses with small results"),
        classes: &[11],
        make: |it| Sentences {
            uses: Some(it.uses),
            output_rows: Some(it.output_rows),
            kinds: vec![Use::Query],
            ..Sentences::default()
        },
    },
    Template {
        name: "counted",
        title: ("限定使用次数", "a number of uses"),
        classes: &[11],
        make: |it| Sentences { uses: Some(it.uses), ..Sentences::default() },
    },
    Template {
        name: "period",
        title: ("限定起止时间", "between two dates"),
        classes: &[9],
        make: |it| Sentences { from: Some(it.from), until: Some(it.until), ..Sentences::default() },
    },
    Template {
        name: "duration",
        title: ("自首次使用起限定时长", "for a time from the first use"),
        classes: &[10],
        make: |it| Sentences { within: Some(it.span), ..Sentences::default() },
    },
    Template {
        name: "embargo",
        title: ("签约后延迟开放", "not before some time after signing"),
        classes: &[10],
        make: |it| Sentences { delay: Some(it.span), ..Sentences::default() },
    },
    Template {
        name: "purpose",
        title: ("限定用途", "for named purposes"),
        classes: &[6],
        make: |it| Sentences { purposes: it.purposes.clone(), ..Sentences::default() },
    },
    Template {
        name: "enforced",
        title: ("限定控制强度", "where it is enforced at least so well"),
        classes: &[8],
        make: |it| Sentences { level: Some(it.level), ..Sentences::default() },
    },
    Template {
        name: "columns",
        title: ("仅限部分字段", "named columns only"),
        classes: &[13],
        make: |it| Sentences { columns: it.columns.clone(), ..Sentences::default() },
    },
    Template {
        name: "statistics",
        title: ("仅限汇总结果", "statistics only"),
        classes: &[13, 25],
        make: |it| Sentences {
            aggregates_only: true,
            min_group: Some(it.min_group),
            kinds: vec![Use::Query],
            ..Sentences::default()
        },
    },
    Template {
        name: "burn",
        title: ("用后即焚", "deleted after use"),
        classes: &[11, 12],
        make: |it| Sentences {
            uses: Some(it.uses),
            delete_after_use: true,
            export: Export::Forbidden,
            ..Sentences::default()
        },
    },
    Template {
        name: "delete-by",
        title: ("限期删除", "deleted by a date"),
        classes: &[9, 12],
        make: |it| Sentences {
            until: Some(it.until),
            delete_by: Some(it.until),
            ..Sentences::default()
        },
    },
    Template {
        name: "sale",
        title: ("一次付费", "for a price"),
        classes: &[19],
        make: |it| Sentences { price: Some(it.price.clone()), ..Sentences::default() },
    },
    Template {
        name: "rental",
        title: ("租用：付费，限期，到期删除", "rental: for a price and a time, then deleted"),
        classes: &[9, 12, 20],
        make: |it| Sentences {
            from: Some(it.from),
            until: Some(it.until),
            delete_by: Some(it.until),
            price: Some(it.price.clone()),
            export: Export::Forbidden,
            ..Sentences::default()
        },
    },
    Template {
        name: "passed-on",
        title: ("允许转交第三方", "may be handed on"),
        classes: &[17],
        make: |it| Sentences {
            export: Export::Permitted,
            until: Some(it.until),
            ..Sentences::default()
        },
    },
];
