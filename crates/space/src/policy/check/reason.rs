//! Why a term is refused or a kind of use is not possible, in Chinese.
//!
//! Never changes what is decided: the English reason is the key, and a test holds this table against the code that
//! gives reasons.

/// Of [`compile`](crate::policy::compile::compile); the check says it with both places instead.
pub(super) const VOID: &str =
    "is permitted and prohibited at once, which makes the policy void (ODRL conflict)";
pub(super) const PERHAPS: &str = "may be permitted and prohibited at once, which would make the whole policy void: needs conditions that exclude each other, or conflict prohibit or perm";
pub(super) const UNGRANTED: &str = "no permission grants what such a use does";
pub(super) const TOO_WEAK: &str = "the permissions ask for a higher enforcement level";

const ZH: &[(&str, &str)] = &[
    (UNGRANTED, "没有许可允许此种使用的行为"),
    (TOO_WEAK, "许可要求更高的控制强度"),
    (VOID, "同时被允许和禁止，策略因此无效（ODRL 冲突）"),
    (
        PERHAPS,
        "可能同时被允许和禁止，届时策略整体无效：须写互斥的条件，或写明 conflict 为 prohibit 或 perm",
    ),
    ("a file has no columns", "文件没有字段"),
    ("a file has no rows", "文件没有行"),
    ("a watermark is set in tables that leave the provider", "水印只加在离开提供方的表中"),
    ("a split key is for sealed tables and files", "分割密钥只用于密封表和密封文件"),
    (
        "permissions with different operators cannot be kept in one copy",
        "一份副本不能同时满足运营方不同的许可",
    ),
    (
        "needs the DID of the operator, such as did:web:operator.example",
        "需要运营方的 DID，如 did:web:operator.example",
    ),
    ("a file has no records that could be counted", "文件没有可统计的记录"),
    (
        "a matching is bounded by its items, not by bytes or records",
        "名单匹配按条目限制，不按字节或记录数",
    ),
    ("counts more uses than a gate looks back at", "次数超过使用控制所回顾的上限"),
    ("is a larger budget than a gate keeps", "额度超过使用控制所能保持的上限"),
    (
        "is counted for the whole contract, so that all permissions need the same limits on results",
        "按整个合约统计，因此各许可的结果限制必须相同",
    ),
    (
        "may not stand inside or/xone/andSequence: it is counted always",
        "不能写在 or/xone/andSequence 之内：它始终计数",
    ),
    (
        "plain bytes are used without a lease, so that no gate counts or ends their uses",
        "明文的使用没有使用凭证，没有使用控制为其计数或终止",
    ),
    (
        "a trusted environment is proven where a key is released: sealed tables and files",
        "只有释放密钥的使用（密封表、密封文件）才能证明可信执行环境",
    ),
    (
        "plain bytes are used without a lease, so that no gate looks at who asks, from where and for which version",
        "明文的使用没有使用凭证，没有使用控制查看由谁、从何处、使用哪个版本",
    ),
    (
        "may not stand inside or/xone/andSequence: the gate alone looks at it",
        "不能写在 or/xone/andSequence 之内：只有使用控制才能查看",
    ),
    (
        "is looked at by the gate alone, so that all permissions need the same limits on results",
        "只有使用控制才能查看，因此各许可的结果限制必须相同",
    ),
    (
        "tells permissions with different limits on results apart, which the gate alone can see: permissions of one kind of use need the same limits, or this term alike",
        "用来区分结果限制不同的许可，而只有使用控制才能查看：同一种使用的各许可须结果限制相同，或都写有相同的此项条款",
    ),
    (
        "permissions by which this use may have been granted cannot be kept at once",
        "可能据以批准此次使用的各许可无法同时遵守",
    ),
    (
        "is an environment in which no use here takes place: sandbox (02), mpc (03) or, proven by evidence, tee (05)",
        "这里没有任何使用在此环境中进行：沙箱 sandbox（02）、多方计算 mpc（03）或经证据证明的可信执行环境 tee（05）",
    ),
    (
        "the terms ask for another way of encryption or of delivery, or another environment",
        "条款要求其他的加密方式、交付方式或执行环境",
    ),
    (
        "needs codes of regions such as CN or CN-32 (ISO 3166)",
        "需要地区代码，如 CN 或 CN-32（ISO 3166）",
    ),
    (
        "names other terms to pass on: only those in which the duty stands can be",
        "指明了要传递的其他条款：只能传递该义务所在的条款",
    ),
    (
        "says nothing of a publication: derived products are bound by times and recipients alone",
        "与发布无关：衍生产品只能以时间和使用方为条件",
    ),
    (
        "plain bytes can be put to any use, derived products among them",
        "明文可作任何用途，包括制作衍生产品",
    ),
    ("belongs into a compensate duty", "应写在付费义务中"),
    ("belongs into a duty to watermark", "应写在加水印的义务中"),
    ("cannot say when to delete", "不能说明何时删除"),
    ("does not know this operator", "不支持此运算符"),
    ("has a price that is no plain amount", "价格不是简单金额"),
    ("has a unit, which only a payment may have", "带有单位，只有付款才可以有单位"),
    ("has more than one constraint", "有不止一个条件"),
    ("has no currency", "没有币种"),
    ("has no meaning in a duty to watermark", "在加水印的义务中没有意义"),
    ("has no meaning in a price", "在价格中没有意义"),
    ("has no meaning in a prohibition", "在禁止中没有意义"),
    ("has no meaning inside a duty", "在义务中没有意义"),
    ("has no meaning outside a duty", "在义务之外没有意义"),
    ("has no meaning outside a prohibition", "在禁止之外没有意义"),
    ("has no payAmount", "没有金额（payAmount）"),
    ("holds for every use: it takes no conditions", "对每次使用都成立，不带条件"),
    ("is a duty, not a use", "是义务，不是使用行为"),
    ("is a logical constraint without members", "是没有成员的逻辑条件"),
    ("is a number of percent, at most 100", "是百分数，至多 100"),
    ("is an unknown profile", "是未知的配置文件（profile）"),
    ("is consumer or both", "只能是 consumer 或 both"),
    ("is not a duty that can be kept here", "不是此处能够履行的义务"),
    ("is not understood here, so it cannot be kept", "此处不理解，因此无法保证"),
    ("is one of E0 to E4", "只能是 E0 到 E4 之一"),
    ("is said as eq \"true\" or not at all", "只能写作 eq \"true\"，或者不写"),
    ("is said twice", "说了两次"),
    ("is said twice, and not the same", "说了两次且不一致"),
    ("is said with eq", "只能用 eq"),
    ("is said with gteq (after) or lt (before)", "只能用 gteq（之后）或 lt（之前）"),
    ("is understood in permissions only", "只在许可中有意义"),
    ("is understood in the policy only, not in a rule", "只能写在策略上，不能写在规则中"),
    ("is understood, but no node is told of it", "可以理解，但没有节点会得知此事"),
    ("is understood, but no proof of it reaches the gate", "可以理解，但使用控制处得不到证明"),
    ("is understood, but no use here exercises it", "可以理解，但此处没有使用会行使它"),
    (
        "is understood, but nobody here can prove where or on what a use takes place",
        "可以理解，但此处无法证明使用发生在何处、何种设备上",
    ),
    ("is understood, but nobody here learns of infringements", "可以理解，但此处无从得知违反"),
    (
        "is understood, but nobody here would do it as a consequence",
        "可以理解，但此处无人会作为违约后果履行",
    ),
    (
        "knows query, sealed-table, sealed-file, plain and psi",
        "只支持 query、sealed-table、sealed-file、plain 和 psi",
    ),
    ("limits a use and says nothing of a duty", "限制的是使用，与义务无关"),
    (
        "a smallest or largest result counts keys: equal keys must be refused or the first count",
        "结果的最小或最大数量按键值计：重复的键值必须拒绝或只计第一个",
    ),
    (
        "limits on results cannot be kept where single rows are matched",
        "逐行匹配时无法保证对结果的限制",
    ),
    (
        "limits on results need a place that sees the result: a query or a sealed table",
        "对结果的限制需要能看到结果的场所：查询或密封表",
    ),
    (
        "lists are matched whole: a condition on rows cannot be kept",
        "名单整体匹配，无法保证对行的条件",
    ),
    (
        "lists would be matched by a column that the terms do not permit",
        "匹配字段不在允许的字段之内",
    ),
    (
        "may not stand inside and/or/xone: it limits results always",
        "不能写在 and/or/xone 中：它总是限制结果",
    ),
    (
        "needs a condition on columns such as temperature >= 20",
        "需要对字段的条件，如 temperature >= 20",
    ),
    (
        "needs a duration such as P30D or PT60M (xsd:duration)",
        "需要时长，如 P30D 或 PT60M（xsd:duration）",
    ),
    (
        "needs a number and a period such as 5/P1D (five uses a day)",
        "需要次数和周期，如 5/P1D（每天五次）",
    ),
    ("needs a period longer than nothing", "需要大于零的周期"),
    (
        "needs a time with a zone, such as 2026-06-30T00:00:00Z",
        "需要带时区的时间，如 2026-06-30T00:00:00Z",
    ),
    ("needs a value or a list of values, none empty", "需要一个值或一列非空的值"),
    ("needs a whole number", "需要整数"),
    ("needs addresses or networks such as 10.1.0.0/16", "需要地址或网段，如 10.1.0.0/16"),
    (
        "needs an amount such as 99.50 and a currency such as CNY",
        "需要金额（如 99.50）和币种（如 CNY）",
    ),
    (
        "needs columns with their normal forms, such as part_no:text,maker:credit-code;first",
        "需要字段及其规范形式，如 part_no:text,maker:credit-code;first",
    ),
    (
        "needs columns with the step by which they may change, and the key of rows: temp:0.1;sensor",
        "需要字段及其改动步长，以及区分各行的字段，如 temp:0.1;sensor",
    ),
    (
        "needs one tidm:watermark that says how, and nothing else",
        "需要且只需要一个 tidm:watermark 说明如何加水印",
    ),
    (
        "permissions for different columns cannot be kept in one copy",
        "不同字段的多个许可不能用一份副本履行",
    ),
    (
        "permissions for different rows cannot be kept in one copy",
        "不同行的多个许可不能用一份副本履行",
    ),
    (
        "the watermark would be in columns that the terms do not permit",
        "水印所在字段不在允许的字段之内",
    ),
    (
        "needs hours of a week such as \"Mon-Fri 08:00/18:00+08:00\"",
        "需要每周时段，如 \"Mon-Fri 08:00/18:00+08:00\"",
    ),
    ("needs numbers with dots, such as 2.0", "需要带点的数字，如 2.0"),
    ("needs one value", "需要一个值"),
    (
        "no term says by which key lists are matched (tidm:matchKey)",
        "没有条款说明名单按哪些字段匹配（tidm:matchKey）",
    ),
    (
        "uses of what is handed over are seen by no gate: they can be neither tracked nor told",
        "交出的数据其使用不经过使用控制，无法跟踪或通知",
    ),
    (
        "is one or some of rows, size, sum, atLeast and labels",
        "为 rows、size、sum、atLeast、labels 中的一个或几个",
    ),
    ("the policy does not permit this kind of use", "策略不允许此种使用方式"),
    (
        "needs a number above 0, at most 100, with at most six decimals, such as 1.5",
        "需要大于 0、不超过 100、至多六位小数的数字，如 1.5",
    ),
    (
        "needs a column, most rows, and columns with step and range, such as worker;3;hours:0.1:0:60",
        "需要单位字段、最多行数、各求和字段的步长与范围，如 worker;3;hours:0.1:0:60",
    ),
    (
        "belongs to the permission of the use, not to that of handing on",
        "应写在使用的许可中，而不是转交的许可中",
    ),
    (
        "is spent for the whole contract, so that all permissions need the same budget and unit",
        "按整个合约消耗，因此各许可的隐私预算和单位必须相同",
    ),
    (
        "needs tidm:privacyUnit beside it: whose rows are protected",
        "需要同时说明 tidm:privacyUnit：保护谁的行",
    ),
    (
        "needs tidm:privacyBudget beside it: how much may be learnt",
        "需要同时说明 tidm:privacyBudget：允许了解多少",
    ),
    (
        "cannot stand beside noise: that a group is too small would be an exact answer",
        "不能与噪声并用：“分组过小”本身就是精确的回答",
    ),
    ("lets a column be summed that the terms do not permit", "允许对条款未许可的字段求和"),
    (
        "noise is added at the provider alone: a query in its sandbox",
        "噪声只在提供方加入：在提供方沙箱内查询",
    ),
];

/// The Chinese of a reason. One that the table lacks is given as it is: better than none, and the test finds it.
pub(in crate::policy) fn zh(reason: &'static str) -> &'static str {
    ZH.iter().find_map(|(en, zh)| (*en == reason).then_some(*zh)).unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// String literals of production code that are phrases, comments left out.
    fn phrases(source: &'static str) -> Vec<String> {
        let lines = source.lines().map(str::trim);
        let mut out = vec![];
        for line in lines.filter(|it| !it.starts_with("//") && !it.contains("reason = ")) {
            let line = line.replace("\\\"", "\u{1}");
            let quoted = line.split('"').skip(1).step_by(2);
            let phrases = quoted.filter(|it| it.contains(' ') && !it.contains('{'));
            out.extend(phrases.map(|it| it.replace('\u{1}', "\"")));
        }
        out
    }

    #[test]
    fn every_reason_is_said_in_chinese() {
        // Of amounts that are read, not refused as terms.
        const OTHERS: [&str; 2] = [
            "not an amount such as 100 or 99.50 (at most six decimals)",
            "not a currency such as CNY (ISO 4217)",
        ];
        let mut seen = 0;
        for source in [
            include_str!("../compile.rs"),
            include_str!("../compile/operand.rs"),
            include_str!("../counted.rs"),
            include_str!("../derive.rs"),
            include_str!("../duty.rs"),
            include_str!("../privacy.rs"),
            include_str!("../reach.rs"),
            include_str!("../terms.rs"),
            include_str!("../tiers.rs"),
        ] {
            for phrase in phrases(source).iter().filter(|it| !OTHERS.contains(&it.as_str())) {
                let zh = ZH.iter().find(|(en, _)| en == phrase).map(|(_, zh)| *zh);
                let zh = zh.unwrap_or_else(|| panic!("no Chinese for: {phrase}"));
                assert!(!zh.is_ascii(), "{phrase}");
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
