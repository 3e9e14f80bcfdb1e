//! Codes of people: signing in, second factors, acts of administrators, identity providers.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "auth.code",
        401,
        Party::Caller,
        ["需要第二因素的一次性验证码", "A code of the second factor is needed"],
        [
            "请给出身份验证器当前显示的六位验证码(code);用过的验证码须等待下一个,或使用恢复码",
            "Give the six digits that the authenticator shows now (code); wait for the next if they were used, or use a recovery code",
        ],
    ),
    entry(
        "auth.step-up",
        403,
        Party::Caller,
        ["此操作需要新的第二因素验证", "This needs a fresh code of the second factor"],
        [
            "请在请求头 tidm-code(命令行:--code)中给出当前验证码",
            "Send the present code in the header tidm-code (command line: --code)",
        ],
    ),
    entry(
        "auth.enrol",
        403,
        Party::Caller,
        ["须先启用第二因素", "A second factor must be enrolled first"],
        [
            "请本人登录后执行 `tidm people factor` 并用身份验证器确认,然后带验证码重试(tidm-code,命令行:--code)",
            "Sign in, run `tidm people factor` and confirm with an authenticator app; then try again with a code (tidm-code, command line: --code)",
        ],
    ),
    entry(
        "people.name",
        409,
        Party::Caller,
        ["名称已被使用", "The name is taken"],
        ["请换一个名称", "Choose another name"],
    ),
    entry(
        "people.full",
        409,
        Party::Node,
        ["账户数量已达上限", "There are as many accounts as a node may have"],
        [
            "请改用身份提供方登录的其他节点,或联系维护者",
            "Tell the node's operator: the bound is 10,000",
        ],
    ),
    entry(
        "people.keys",
        409,
        Party::Caller,
        ["API 密钥数量已达上限", "The account has as many API keys as it may have"],
        [
            "请先撤销不再使用的密钥(上限 100)",
            "Revoke those that are not used any more: the bound is 100",
        ],
    ),
    entry(
        "people.provider",
        409,
        Party::Caller,
        [
            "该账户通过身份提供方登录,不使用密码",
            "An identity provider opens this account; it has no password here",
        ],
        [
            "请让其本人在身份提供方登录;如需密码登录,请另建账户",
            "Let the person sign in at the provider, or make another account for a password",
        ],
    ),
    entry(
        "people.separation",
        403,
        Party::Rule,
        [
            "三员分立:角色不能集于一个账户",
            "Administrators are separated: these roles must not meet",
        ],
        [
            "请将角色授予不同的账户(people.separation)",
            "Give the roles to different accounts (people.separation)",
        ],
    ),
    entry(
        "people.oneself",
        403,
        Party::Rule,
        ["不能对自己执行此操作", "Nobody does this to their own account"],
        ["请由另一位管理员执行", "Ask another administrator"],
    ),
    entry(
        "people.last",
        409,
        Party::Rule,
        ["此后将没有人担任该管理员", "Nobody else would hold that role"],
        ["请先将该角色授予另一账户", "Grant the role to another account first"],
    ),
    entry(
        "people.state",
        409,
        Party::Caller,
        ["账户状态不允许此操作", "The account is not in a state for this"],
        [
            "请查看账户状态;受邀账户须先使用一次性链接",
            "Look at the account's state; an invited person has to use the link first",
        ],
    ),
    entry(
        "people.link",
        403,
        Party::Caller,
        ["一次性链接无效或已过期", "The one-time link is wrong or its time is over"],
        [
            "请向系统管理员申请新的链接(tidm people invite)",
            "Ask the system administrator for another one (tidm people invite)",
        ],
    ),
    entry(
        "people.reused",
        422,
        Party::Caller,
        ["该密码曾被使用", "This password was used before"],
        ["请使用与最近五个不同的密码", "Choose one that is none of the last five"],
    ),
    entry(
        "people.factor",
        409,
        Party::Caller,
        ["第二因素的状态不允许此操作", "The second factor is not in a state for this"],
        [
            "已启用者请先停用;未申请者请先申请",
            "Remove the present one first, or begin to enrol one first",
        ],
    ),
    entry(
        "people.rule",
        403,
        Party::Rule,
        ["您不具备使用此数据所需的属性", "You lack an attribute that using this data needs"],
        [
            "请向安全管理员申请原因中所列的分组或属性",
            "Ask the security administrator for the group or attribute under cause",
        ],
    ),
    entry(
        "oidc.off",
        404,
        Party::Node,
        ["未配置身份提供方", "No identity provider is configured"],
        [
            "请使用密码登录,或设置 people.oidc_issuer",
            "Sign in with a password, or set people.oidc_issuer",
        ],
    ),
    entry(
        "oidc.provider",
        503,
        Party::Node,
        ["身份提供方没有正确应答", "The identity provider does not answer as it should"],
        [
            "请稍后重试;管理员请查看节点日志与 people.oidc_issuer",
            "Try again; the node's log tells its administrator more (people.oidc_issuer)",
        ],
    ),
    entry(
        "oidc.refused",
        403,
        Party::Caller,
        ["身份提供方的登录未被接受", "The identity provider's sign-in is not accepted"],
        ["请重新登录;说明中列出原因", "Sign in again; the detail says what was wrong"],
    ),
    entry(
        "oidc.role",
        403,
        Party::Rule,
        [
            "您在身份提供方的信息不对应任何角色",
            "Nothing the identity provider says of you brings a role here",
        ],
        [
            "请管理员检查 people.oidc_roles,或在身份提供方为您分配相应的组",
            "Ask the administrator to look at people.oidc_roles, or to put you into a group it names",
        ],
    ),
];
