//! Every code with its sentence and its next step, in both languages.
//!
//! Never placeholders: what differs from case to case is the problem's `detail` and `cause`.

use super::{
    Party, credentials, deliveries, derived, flight, matchings, offers, people, queries, split,
    standing, tables, tc609, watermarks,
};

/// One code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub code: &'static str,
    pub status: u16,
    pub party: Party,
    pub title_zh: &'static str,
    pub title_en: &'static str,
    pub next_zh: &'static str,
    pub next_en: &'static str,
}

/// The row of `code`, else the one of its family, else `internal`.
pub fn find(code: &str, family: &str) -> Entry {
    [code, family].into_iter().find_map(row).unwrap_or(INTERNAL)
}

fn row(code: &str) -> Option<Entry> {
    all().find(|it| it.code == code).copied()
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    let parts = [
        credentials::ENTRIES,
        offers::ENTRIES,
        deliveries::ENTRIES,
        derived::ENTRIES,
        flight::ENTRIES,
        matchings::ENTRIES,
        tables::ENTRIES,
        people::ENTRIES,
        queries::ENTRIES,
        watermarks::ENTRIES,
        split::ENTRIES,
        standing::ENTRIES,
        tc609::ENTRIES,
    ];
    ENTRIES.iter().chain(parts.into_iter().flatten())
}

pub(super) const fn entry(
    code: &'static str,
    status: u16,
    party: Party,
    title: [&'static str; 2],
    next: [&'static str; 2],
) -> Entry {
    let ([title_zh, title_en], [next_zh, next_en]) = (title, next);
    Entry { code, status, party, title_zh, title_en, next_zh, next_en }
}

const INTERNAL: Entry = entry(
    "internal",
    500,
    Party::Node,
    ["节点内部错误", "This node failed"],
    [
        "请将错误码和时间告知节点管理员,详情在节点日志中",
        "Tell the node's administrator the code and the time; the log holds the details",
    ],
);

/// Families first, then single codes in the order of the walk.
pub const ENTRIES: &[Entry] = &[
    INTERNAL,
    entry(
        "peer.misbehaved",
        400,
        Party::Peer,
        ["对方消息不符合协议", "The message breaks the protocol"],
        [
            "请对照说明修正消息后重发;本次未改变任何状态",
            "Correct the message as the detail says and send it again; nothing has changed here",
        ],
    ),
    entry(
        "peer.incompatible",
        400,
        Party::Peer,
        ["本节点不支持所请求的内容", "This node does not support what was asked"],
        [
            "请改用本节点版本文档中列出的协议和策略条款",
            "Use the protocols and policy terms that this node's version document lists",
        ],
    ),
    entry(
        "denied",
        403,
        Party::Rule,
        ["策略不允许此操作", "A rule does not allow this"],
        [
            "请查看原因中的条款;如需更多权限,请重新协商合约",
            "See the term under cause; negotiate a new contract if you need more",
        ],
    ),
    entry(
        "not-found",
        404,
        Party::Caller,
        ["未找到", "Not found"],
        ["请检查标识是否正确,以及您是否为相关方", "Check the id, and that you are a party to it"],
    ),
    entry(
        "conflict",
        409,
        Party::Caller,
        ["状态已发生变化", "The state has changed meanwhile"],
        ["请重新读取后再决定", "Read it again, then decide again"],
    ),
    entry(
        "refused",
        422,
        Party::Caller,
        ["当前无法执行", "This cannot be done now"],
        ["请按说明补全条件后重试", "Meet the condition in the detail, then try again"],
    ),
    entry(
        "unavailable",
        503,
        Party::Node,
        ["暂时不可用", "Not available now"],
        ["请在 Retry-After 所示时间后重试", "Try again after the time given in Retry-After"],
    ),
    entry(
        "auth.required",
        401,
        Party::Caller,
        ["需要登录", "Sign in first"],
        ["请登录,或在请求中携带有效令牌", "Sign in, or send a valid token with the request"],
    ),
    entry(
        "auth.forbidden",
        403,
        Party::Caller,
        ["没有权限", "You may not do this"],
        ["请向节点管理员申请相应角色", "Ask the node's administrator for the role"],
    ),
    entry(
        "auth.throttled",
        429,
        Party::Caller,
        ["尝试次数过多", "Too many attempts"],
        ["请稍后再试", "Wait, then try again"],
    ),
    entry(
        "request.malformed",
        400,
        Party::Caller,
        ["请求格式错误", "The request cannot be read"],
        [
            "请按接口文档修正所示字段",
            "Correct the field named in the detail; the API description shows its shape",
        ],
    ),
    entry(
        "request.too-large",
        413,
        Party::Caller,
        ["请求过大", "The request is too large"],
        ["请拆分请求,或使用流式上传", "Split the request, or upload it as a stream"],
    ),
    entry(
        "request.method",
        405,
        Party::Caller,
        ["不支持该方法", "This method is not allowed here"],
        [
            "请查看接口文档中该路径支持的方法",
            "See the API description for the methods of this path",
        ],
    ),
    entry(
        "evidence.read-only",
        503,
        Party::Node,
        ["节点处于只读状态:存证方尚未应答", "Read-only: no evidence custodian has answered yet"],
        [
            "请检查与存证方的网络;任一存证方应答后自动恢复",
            "Check the network to the custodians; the node recovers once one has answered",
        ],
    ),
    entry(
        "evidence.behind",
        503,
        Party::Node,
        [
            "本地存证日志落后于已见证的日志头",
            "The evidence log here is behind its own witnessed head",
        ],
        [
            "请恢复更新的备份;不得从当前状态继续",
            "Restore a newer backup; never continue from this state",
        ],
    ),
    entry(
        "evidence.not-yet",
        409,
        Party::Node,
        ["该存证条目尚未进入已签名的检查点", "That fact is not under a signed checkpoint yet"],
        ["请在一个检查点间隔后重试", "Try again after one checkpoint interval"],
    ),
    entry(
        "key.destroyed",
        410,
        Party::Rule,
        ["密钥已按合约销毁", "The key was destroyed as the contract demands"],
        [
            "数据无法再打开;如仍需使用,请重新签订合约",
            "The data cannot be opened again; agree a new contract if you still need it",
        ],
    ),
    entry(
        "object.missing",
        404,
        Party::Node,
        ["对象存储中没有该内容", "The object store does not hold this"],
        ["请检查对象存储和备份", "Check the object store and its backup"],
    ),
    entry(
        "setup.needed",
        503,
        Party::Node,
        ["尚未建立管理员", "No administrator exists yet"],
        [
            "请使用首次启动时打印的一次性链接完成设置",
            "Use the one-time link printed at first start to finish the set-up",
        ],
    ),
    entry(
        "auth.wrong",
        401,
        Party::Caller,
        ["名称或密码不正确", "Wrong name or password"],
        [
            "请检查后重试;多次失败将暂时锁定",
            "Check both and try again; repeated failures lock the name for a while",
        ],
    ),
    entry(
        "setup.token",
        403,
        Party::Caller,
        ["一次性链接无效或已过期", "The one-time link is wrong or its time is over"],
        ["请重新启动节点以获取新的链接", "Restart the node; it prints a fresh link"],
    ),
    entry(
        "setup.done",
        409,
        Party::Caller,
        ["管理员已存在", "An administrator exists already"],
        ["请直接登录", "Sign in instead"],
    ),
    entry(
        "setup.password",
        422,
        Party::Caller,
        ["密码过弱", "The password is too weak"],
        [
            "请使用至少 12 个字符、不常见且不含名称的密码",
            "Choose at least 12 characters that nobody would guess, without the name",
        ],
    ),
    entry(
        "idempotency.mismatch",
        422,
        Party::Caller,
        ["该幂等键已用于另一请求", "This idempotency key was used for another request"],
        ["请为新的请求使用新的幂等键", "Use a fresh key for a new request"],
    ),
    entry(
        "idempotency.pending",
        409,
        Party::Caller,
        ["该幂等键的请求仍在处理", "The request with this idempotency key is still under way"],
        ["请在 Retry-After 所示时间后重试", "Send it again after the time given in Retry-After"],
    ),
    entry(
        "publish.file",
        422,
        Party::Caller,
        ["无法读取文件", "The file cannot be read"],
        [
            "请检查文件是否存在、是否可读,然后重试",
            "Check that the file exists and may be read, then try again",
        ],
    ),
    entry(
        "publish.empty",
        422,
        Party::Caller,
        ["文件为空", "The file is empty"],
        ["请选择有内容的文件", "Choose a file with content"],
    ),
    entry(
        "publish.row",
        422,
        Party::Caller,
        ["文件中有无法读取的行", "A row of the file cannot be read"],
        [
            "请修正说明中指出的行;或允许跳过坏行(--lenient)",
            "Correct the row named in the detail, or allow broken rows to be skipped (--lenient)",
        ],
    ),
    entry(
        "publish.rows",
        422,
        Party::Caller,
        ["坏行过多", "Too many rows are broken"],
        ["请修正文件,或提高允许跳过的行数", "Correct the file, or allow more broken rows"],
    ),
    entry(
        "publish.encoding",
        422,
        Party::Caller,
        ["文本编码无法识别", "The text's encoding does not fit"],
        ["请将文件另存为 UTF-8,或指明其编码", "Save the file as UTF-8, or name its encoding"],
    ),
    entry(
        "publish.limit",
        422,
        Party::Caller,
        ["文件超出限制", "The file is beyond a limit"],
        [
            "请按说明拆分文件,或改用 CSV、Parquet",
            "Split the file as the detail says, or use CSV or Parquet",
        ],
    ),
    entry(
        "publish.broken",
        422,
        Party::Caller,
        ["文件已损坏", "The file is damaged"],
        ["请重新导出该文件后再发布", "Export the file again, then publish it"],
    ),
    entry(
        "publish.sheet",
        422,
        Party::Caller,
        ["没有该工作表", "There is no such sheet"],
        ["请从说明列出的工作表中选择", "Choose one of the sheets in the detail"],
    ),
    entry(
        "publish.column",
        422,
        Party::Caller,
        ["没有该列", "There is no such column"],
        ["请核对列名", "Check the column's name against the file"],
    ),
    entry(
        "publish.columns",
        422,
        Party::Caller,
        ["列名重复", "A column is there twice"],
        ["请为各列取不同的名称", "Give each column a name of its own"],
    ),
    entry(
        "publish.format",
        422,
        Party::Caller,
        ["该文件不是表格", "The file is no table"],
        [
            "请作为文件发布,或先转换为 CSV、Excel 或 Parquet",
            "Publish it as a file, or convert it to CSV, Excel or Parquet",
        ],
    ),
    entry(
        "publish.changed",
        422,
        Party::Caller,
        ["读取期间文件发生变化", "The file changed while it was read"],
        ["请在文件写完后重试", "Try again when the file is complete"],
    ),
    entry(
        "publish.cancelled",
        422,
        Party::Caller,
        ["发布已取消", "The publication was cancelled"],
        ["本次未改变任何内容;可重新发布", "Nothing has changed; publish it again when you want"],
    ),
    entry(
        "publish.texts",
        422,
        Party::Caller,
        ["产品信息不完整或过长", "A text of the product is missing or too long"],
        ["请修正说明中指出的内容", "Correct what the detail names"],
    ),
    entry(
        "publish.terms",
        422,
        Party::Caller,
        ["合约条款无法成立", "These terms cannot be offered"],
        ["请修改说明中指出的条款", "Change the term named in the detail"],
    ),
    entry(
        "publish.delivery",
        422,
        Party::Caller,
        ["交付方式与条款或文件不符", "This way of delivery does not fit the terms or the file"],
        [
            "请选择能够履行这些条款的交付方式",
            "Choose a way of delivery in which these terms can be kept",
        ],
    ),
    entry(
        "publish.grade",
        422,
        Party::Rule,
        ["该分级的数据不得这样提供", "Data of this grade may not be offered like this"],
        [
            "重要数据仅可提供查询;核心数据不得提供",
            "Offer important data for queries only; core data is not offered",
        ],
    ),
    entry(
        "use.not-delivered",
        422,
        Party::Caller,
        ["数据尚未交付", "Nothing was delivered yet"],
        ["请先请求交付,待完成后再使用", "Request the delivery first, then use the data"],
    ),
    entry(
        "policy.export",
        403,
        Party::Rule,
        ["合约不允许导出", "The contract does not permit an export"],
        [
            "请用程序打开数据,或与提供方协商导出许可",
            "Open it with a program, or negotiate the right to hand it on",
        ],
    ),
    entry(
        "contract.ended",
        403,
        Party::Rule,
        ["合约已终止", "The contract has ended"],
        ["如仍需使用,请重新签订合约", "Agree a new contract if you still need the data"],
    ),
    entry(
        "peer.unknown-here",
        422,
        Party::Peer,
        ["对方不认识该合约或本参与方", "The other side knows no such contract, or not us"],
        [
            "请确认双方均在成员名单中且合约有效",
            "Check that both are on the member list and the contract stands",
        ],
    ),
];
