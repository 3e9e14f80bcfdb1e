//! The templates themselves, as data.
//!
//! Never changes a name: forms, links and scripts of others use them.

use crate::policy::sentence::Export;
use crate::policy::sentence::template::Template;
use crate::policy::sentence::template::parameter::Parameter;
use crate::policy::sentence::template::values::{
    COLUMNS, CONNECTIONS, DELAY, DELETE, ENTITY_USES, FORBID_EXPORT, FROM, HOURS, KINDS, LEVEL,
    MATCHING, METERED, MIN_GROUP, OUTPUT_BYTES, OUTPUT_ROWS, PER_DAY, PRICE, PURPOSES, RATE,
    RECIPIENTS, REGIONS, ROLES, UNTIL, USES, WITHIN,
};
use crate::policy::usage::Use;

const fn template(
    name: &'static str,
    classes: &'static [u8],
    title: (&'static str, &'static str),
    about: (&'static str, &'static str),
    parameters: &'static [Parameter],
) -> Template {
    Template { name, title, about, classes, parameters, finish: |_| {} }
}

pub(super) const ALL: &[Template] = &[
    Template {
        finish: |s| s.export = Export::Forbidden,
        ..template(
            "open",
            &[17],
            ("任何签约方，不得转交", "whoever signs, never handed on"),
            (
                "任何签约方均可使用，但不得转交第三方。",
                "Whoever signs may use it, and nobody hands it on.",
            ),
            &[],
        )
    },
    template(
        "named-consumers",
        &[1],
        ("仅限指定使用方", "named consumers only"),
        ("只有列出的使用方可以使用。", "Only the users on a list may use it."),
        &[RECIPIENTS],
    ),
    Template {
        finish: |s| s.kinds = vec![Use::Query],
        ..template(
            "trial",
            &[11],
            ("试用：次数少，结果小", "trial: a few uses with small results"),
            (
                "在提供方沙箱内查询若干次，每次结果很小，供使用方了解数据。",
                "A few queries with small results, to get to know the data.",
            ),
            &[USES, OUTPUT_ROWS, OUTPUT_BYTES.open(), UNTIL.open()],
        )
    },
    template(
        "counted",
        &[11],
        ("限定使用次数", "a number of uses"),
        ("可以使用一定次数。", "It may be used a number of times."),
        &[USES, RECIPIENTS.open()],
    ),
    template(
        "period",
        &[9],
        ("限定起止时间", "between two dates"),
        ("只能在两个时间之间使用。", "It may be used between two dates."),
        &[FROM, UNTIL, RECIPIENTS.open()],
    ),
    template(
        "duration",
        &[10],
        ("自首次使用起限定时长", "for a time from the first use"),
        (
            "自首次使用起一段时间内可以使用。",
            "It may be used for a time that begins with the first use.",
        ),
        &[WITHIN, RECIPIENTS.open()],
    ),
    template(
        "rate",
        &[11],
        ("限定使用频次", "a number of uses a day"),
        (
            "任意一天内可以使用一定次数；也可以限制同一法人全部账户的总次数。",
            "It may be used a number of times in any day; all accounts of a legal entity may be counted together.",
        ),
        &[PER_DAY, ENTITY_USES.open(), UNTIL.open()],
    ),
    template(
        "metered",
        &[10],
        ("限定累计使用时长", "for a time of use altogether"),
        (
            "按凭证的时长累计，用满为止；未用的时间在归还凭证时退回。",
            "Lengths of leases are added up until the time is used; what a lease did not need comes back when it is returned.",
        ),
        &[METERED, RECIPIENTS.open()],
    ),
    template(
        "hours",
        &[9],
        ("限定每周时段", "in some hours of the week"),
        ("只能在每周的一些时段使用。", "It may be used in some hours of the week."),
        &[HOURS, USES.open(), UNTIL.open()],
    ),
    template(
        "embargo",
        &[10],
        ("签约后延迟开放", "not before some time after signing"),
        ("签约一段时间之后才可以使用。", "It may be used once some time has passed since signing."),
        &[DELAY, UNTIL.open()],
    ),
    template(
        "purpose",
        &[6],
        ("限定用途", "for named purposes"),
        (
            "只能用于所声明的用途；用途记入凭证和日志，由合同约束。",
            "It may be used for named purposes; a purpose is declared and logged, and kept by contract only.",
        ),
        &[PURPOSES, RECIPIENTS.open(), UNTIL.open()],
    ),
    template(
        "role",
        &[4],
        ("限定成员角色", "for members in a role"),
        (
            "只有成员凭证或成员名单载有所列角色的使用方可以使用。",
            "Only users whose membership says one of the roles may use it.",
        ),
        &[ROLES, USES.open(), UNTIL.open()],
    ),
    template(
        "region",
        &[5],
        ("限定成员地域", "for members of a region"),
        (
            "只有所列地域的成员可以使用；使用实际发生在何处由合同约束。",
            "Only members of the regions may use it; where the use itself takes place is kept by contract only.",
        ),
        &[REGIONS, USES.open(), UNTIL.open()],
    ),
    Template {
        finish: |s| s.tracked = true,
        ..template(
            "tracked",
            &[15],
            ("使用留痕", "uses are on record"),
            (
                "每次使用均在双方留痕，双方随时可查。",
                "Each use is on record at both parties, who may look it up at any time.",
            ),
            &[USES.open(), UNTIL.open()],
        )
    },
    Template {
        finish: |s| s.told = true,
        ..template(
            "told",
            &[16],
            ("使用前告知", "the provider is told of each use"),
            ("每次使用前均告知提供方。", "The provider is told of each use before it."),
            &[USES.open(), UNTIL.open()],
        )
    },
    Template {
        finish: |s| s.consent = true,
        ..template(
            "consent",
            &[23],
            ("经同意后使用", "after consent"),
            (
                "提供方人员就合约表示同意之后方可使用。",
                "It may be used once a person of the provider has consented to the contract.",
            ),
            &[USES.open(), UNTIL.open()],
        )
    },
    template(
        "enforced",
        &[8],
        ("限定控制强度", "where it is enforced at least so well"),
        (
            "只能在控制强度足够的地方使用。",
            "It may be used only where the terms are enforced at least so well.",
        ),
        &[LEVEL, UNTIL.open()],
    ),
    Template {
        finish: |s| s.export = Export::Forbidden,
        ..template(
            "kinds",
            &[8, 17],
            ("限定使用方式", "named kinds of use only"),
            (
                "只能以列出的方式使用，不得转交。",
                "It may be used in the listed ways only, and not be handed on.",
            ),
            &[KINDS, USES.open(), UNTIL.open()],
        )
    },
    template(
        "columns",
        &[13],
        ("仅限部分字段", "named columns only"),
        ("只能使用列出的字段。", "Only the listed columns may be used."),
        &[COLUMNS, USES.open(), UNTIL.open()],
    ),
    Template {
        finish: |s| {
            s.aggregates_only = true;
            s.kinds = vec![Use::Query];
        },
        ..template(
            "statistics",
            &[13, 25],
            ("仅限汇总结果", "statistics only"),
            (
                "只能在提供方沙箱内做汇总查询，小分组不予给出。",
                "Queries with aggregate results in the provider's sandbox; small groups are not shown.",
            ),
            &[MIN_GROUP, COLUMNS.open(), OUTPUT_ROWS.open(), USES.open(), UNTIL.open()],
        )
    },
    Template {
        finish: |s| s.export = Export::Forbidden,
        ..template(
            "burn",
            &[11, 12, 17],
            ("用后即焚", "deleted after use"),
            (
                "可以使用一定次数，用后删除全部副本，不得转交。",
                "A number of uses, after which all copies are deleted; never handed on.",
            ),
            &[USES.or("1"), DELETE],
        )
    },
    Template {
        finish: |s| s.delete_by = s.until,
        ..template(
            "delete-by",
            &[9, 12],
            ("限期删除", "deleted by a date"),
            (
                "到期前可以使用，到期时删除全部副本。",
                "It may be used until a date, by which all copies are deleted.",
            ),
            &[UNTIL, RECIPIENTS.open()],
        )
    },
    template(
        "sale",
        &[19],
        ("一次付费", "for a price"),
        ("付一次费用，此后不限次数使用。", "Paid for once, then used without a number or an end."),
        &[PRICE, FORBID_EXPORT],
    ),
    Template {
        finish: |s| {
            s.export = Export::Forbidden;
            s.delete_by = s.until;
        },
        ..template(
            "rental",
            &[9, 12, 17, 20],
            ("租用：付费，限期，到期删除", "rental: for a price and a time, then deleted"),
            (
                "付费后在起止时间之内使用，到期删除，不得转交。",
                "Paid for and used between two dates, then deleted; never handed on.",
            ),
            &[FROM, UNTIL, PRICE],
        )
    },
    Template {
        finish: |s| s.export = Export::Permitted,
        ..template(
            "passed-on",
            &[17],
            ("允许转交第三方", "may be handed on"),
            (
                "到期前可以使用，也可以转交第三方。",
                "It may be used and handed on to third parties until a date.",
            ),
            &[UNTIL],
        )
    },
    Template {
        finish: |s| {
            s.kinds = vec![Use::Psi];
            s.export = Export::Forbidden;
        },
        ..template(
            "matching",
            &[25],
            ("隐私求交", "private matching of lists"),
            (
                "双方名单按约定字段求交，投入条目受限，过小的结果不予给出。",
                "Lists are matched by a key; what is put in is limited, and results too small are not shown.",
            ),
            MATCHING,
        )
    },
    template(
        "paced-delivery",
        &[9],
        ("限速交付", "delivered at a limited rate"),
        (
            "交付的速率和连接数受限，到期为止。",
            "Deliveries are limited in rate and connections, until a date.",
        ),
        &[RATE, CONNECTIONS, UNTIL],
    ),
];
