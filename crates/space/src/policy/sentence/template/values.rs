//! The values that templates ask for, as data: names, words, bounds, and what each sets.
//!
//! Never changes a name: forms, links and scripts of others use them.

use crate::limits::FREQUENCY_USES;
use crate::policy::matching::To;
use crate::policy::sentence::Export;
use crate::policy::sentence::template::parameter::{Need, Parameter, Shape};
use crate::policy::span::Span;

/// Bounds of counts in forms: what people mean; the policy itself takes any whole number.
const MILLION: u64 = 1_000_000;
const BILLION: u64 = 1_000_000_000;

pub(super) const USES: Parameter = Parameter::new(
    "uses",
    ("使用次数", "number of uses"),
    Shape::Number { least: 1, most: MILLION, set: |s, n| s.uses = Some(n) },
    Need::Default("10"),
);
pub(super) const FROM: Parameter = Parameter::new(
    "from",
    ("最早使用时间", "first instant of use"),
    Shape::Moment(|s, at| s.from = Some(at)),
    Need::Said("2027-01-01T00:00:00Z"),
);
pub(super) const UNTIL: Parameter = Parameter::new(
    "until",
    ("最晚使用时间", "last instant of use"),
    Shape::Moment(|s, at| s.until = Some(at)),
    Need::Said("2027-06-30T00:00:00Z"),
);
pub(super) const WITHIN: Parameter = Parameter::new(
    "within",
    ("自首次使用起的时长", "time from the first use"),
    Shape::Period(|s, it| s.within = Some(it)),
    Need::Default("P90D"),
);
pub(super) const PER_DAY: Parameter = Parameter::new(
    "per_day",
    ("任意一天内的使用次数", "uses in any one day"),
    Shape::Number {
        least: 1,
        most: FREQUENCY_USES,
        set: |s, n| s.counted.frequency = Some((n, Span::days(1))),
    },
    Need::Default("10"),
);
pub(super) const ENTITY_USES: Parameter = Parameter::new(
    "entity_uses",
    (
        "使用方所属法人在全部合约下的使用次数",
        "uses by the user's legal entity, all contracts together",
    ),
    Shape::Number { least: 1, most: MILLION, set: |s, n| s.counted.entity_uses = Some(n) },
    Need::Default("100"),
);
pub(super) const METERED: Parameter = Parameter::new(
    "metered",
    ("累计使用时长", "time of use altogether"),
    Shape::Period(|s, it| s.counted.metered = Some(it)),
    Need::Default("PT10H"),
);
pub(super) const HOURS: Parameter = Parameter::new(
    "hours",
    ("每周时段", "hours of the week"),
    Shape::Hours(|s, it| s.counted.window = Some(it)),
    Need::Said("Mon-Fri 08:00/18:00+08:00"),
);
pub(super) const DELAY: Parameter = Parameter::new(
    "delay",
    ("签约后等待的时长", "time to wait after signing"),
    Shape::Period(|s, it| s.delay = Some(it)),
    Need::Default("P30D"),
);
pub(super) const RECIPIENTS: Parameter = Parameter::new(
    "recipients",
    ("使用方", "users"),
    Shape::Parties(|s, all| s.to = all),
    Need::Said("did:web:a.example, did:web:b.example"),
);
pub(super) const PURPOSES: Parameter = Parameter::new(
    "purposes",
    ("用途", "purposes"),
    Shape::Words(|s, all| s.purposes = all),
    Need::Said("quality"),
);
pub(super) const ROLES: Parameter = Parameter::new(
    "roles",
    ("角色", "roles"),
    Shape::Words(|s, all| s.asker.roles = all),
    Need::Said("auditor"),
);
pub(super) const REGIONS: Parameter = Parameter::new(
    "regions",
    ("地域代码", "codes of regions"),
    Shape::Words(|s, all| s.asker.regions = all),
    Need::Said("CN-32"),
);
pub(super) const COLUMNS: Parameter = Parameter::new(
    "columns",
    ("字段", "columns"),
    Shape::Words(|s, all| s.columns = all),
    Need::Said("temperature, pressure"),
);
pub(super) const MIN_GROUP: Parameter = Parameter::new(
    "min_group",
    ("每组最少行数", "fewest rows behind a group"),
    Shape::Number { least: 2, most: MILLION, set: |s, n| s.min_group = Some(n) },
    Need::Default("5"),
);
pub(super) const OUTPUT_ROWS: Parameter = Parameter::new(
    "output_rows",
    ("每次结果最多行数", "most rows in a result"),
    Shape::Number { least: 1, most: BILLION, set: |s, n| s.output_rows = Some(n) },
    Need::Default("100"),
);
pub(super) const OUTPUT_BYTES: Parameter = Parameter::new(
    "output_bytes",
    ("每次结果最多字节", "most bytes in a result"),
    Shape::Number { least: 1, most: 1_000 * BILLION, set: |s, n| s.output_bytes = Some(n) },
    Need::Default("1000000"),
);
pub(super) const PRICE: Parameter = Parameter::new(
    "price",
    ("价格", "price"),
    Shape::Price(|s, it| s.price = Some(it)),
    Need::Said("100.00 CNY"),
);
pub(super) const LEVEL: Parameter = Parameter::new(
    "level",
    ("最低控制强度", "least enforcement level"),
    Shape::Level(|s, it| s.level = Some(it)),
    Need::Default("E1"),
);
pub(super) const KINDS: Parameter = Parameter::new(
    "kinds",
    ("使用方式", "kinds of use"),
    Shape::Kinds(|s, all| s.kinds = all),
    Need::Said("query, sealed-table"),
);
pub(super) const DELETE: Parameter = Parameter::new(
    "delete_after_use",
    ("合约终止时删除", "delete when the contract ends"),
    Shape::Flag(|s, it| s.delete_after_use = it),
    Need::Default("yes"),
);
pub(super) const FORBID_EXPORT: Parameter = Parameter::new(
    "forbid_export",
    ("禁止转交第三方", "forbid handing on"),
    Shape::Flag(|s, it| s.export = if it { Export::Forbidden } else { Export::Unsaid }),
    Need::Default("yes"),
);
pub(super) const RATE: Parameter = Parameter::new(
    "bytes_per_second",
    ("交付合计每秒字节", "bytes per second of all deliveries"),
    Shape::Number { least: 1_000, most: 100 * BILLION, set: |s, n| s.delivery_rate = Some(n) },
    Need::Default("1000000"),
);
pub(super) const CONNECTIONS: Parameter = Parameter::new(
    "connections",
    ("同时交付的连接数", "connections at a time"),
    Shape::Number { least: 1, most: 1_000, set: |s, n| s.delivery_connections = Some(n) },
    Need::Default("2"),
);
pub(super) const MATCHING: &[Parameter] = &[
    Parameter::new(
        "match_key",
        ("匹配字段", "key of the match"),
        Shape::Key(|s, key| s.matching.key = Some(key)),
        Need::Said("part_no:text;first"),
    ),
    Parameter::new(
        "match_items",
        ("每次最多条目", "most items at a time"),
        Shape::Number { least: 1, most: BILLION, set: |s, n| s.matching.items = Some(n) },
        Need::Default("100000"),
    ),
    Parameter::new(
        "match_budget",
        ("累计最多条目", "most items under the contract"),
        Shape::Number { least: 1, most: 1_000 * BILLION, set: |s, n| s.matching.budget = Some(n) },
        Need::Default("1000000"),
    ),
    Parameter::new(
        "min_matches",
        ("最少匹配数", "fewest matches shown"),
        Shape::Number { least: 1, most: BILLION, set: |s, n| s.matching.least = Some(n) },
        Need::Default("10"),
    ),
    Parameter::new(
        "match_share",
        ("最高匹配百分比", "most items that may match, percent"),
        Shape::Number { least: 1, most: 100, set: |s, n| s.matching.share = Some(n) },
        Need::Open("50"),
    ),
    Parameter::new(
        "match_result",
        ("结果接收方", "who gets the matches"),
        Shape::Receiver(|s, to| s.matching.to = Some(to)),
        Need::Default(To::Consumer.name()),
    ),
    Parameter::new(
        "match_reveal",
        ("给出的内容", "what of a match is revealed"),
        Shape::Reveals(|s, all| s.matching.reveal = Some(all)),
        Need::Open("size,sum"),
    ),
];
