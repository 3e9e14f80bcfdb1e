//! Every code with its sentence and its next step, in both languages.
//!
//! Never placeholders: what differs from case to case is the problem's `detail` and `cause`.

use super::Party;

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
    ENTRIES.iter().find(|it| it.code == code).copied()
}

const fn entry(
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
        ["请检查后重试;多次失败将暂时锁定", "Check both and try again; repeated failures lock the name for a while"],
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
        ["请使用至少 10 个字符且不常见的密码", "Choose at least 10 characters that nobody would guess"],
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
];
