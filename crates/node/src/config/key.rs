//! The table of known keys: their names, how they are written, and what they are for.
//!
//! Never a setting outside of this table: the template, the names of variables and the checks come from it.

pub use super::section::SECTIONS;

mod attest;
mod limits;
mod people;
mod space;
mod test_profile;

/// How a value is written in a variable or a flag, where everything is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Switch,
    /// Comma separated.
    List,
    /// `VKEY URL` pairs separated by `;`.
    Custodians,
    /// `KEY=VALUE KEY=VALUE` separated by `;`.
    Spaces,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// As the template shows it, TOML syntax.
    pub example: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
}

impl Key {
    /// `http.listen`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `TIDM_HTTP_LISTEN`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}_{}", self.section, self.name).to_ascii_uppercase()
    }
}

/// Before each variable's name.
pub(super) const PREFIX: &str = "TIDM_";

const fn key(
    path: (&'static str, &'static str),
    kind: Kind,
    example: &'static str,
    zh: &'static str,
    en: &'static str,
) -> Key {
    Key { section: path.0, name: path.1, kind, example, zh, en }
}

/// Every setting.
pub const KEYS: &[Key] = &[
    key(("node", "org"), Kind::Text, "\"Example Co.\"", "组织名称", "Name of the organisation"),
    key(
        ("node", "credit_code"),
        Kind::Text,
        "\"91350100M000100Y43\"",
        "统一社会信用代码(18 位)",
        "Unified social credit code, 18 characters",
    ),
    key(
        ("node", "did"),
        Kind::Text,
        "\"did:web:localhost%3A8443\"",
        "去中心化标识;默认由 http.public_url 推出",
        "DID; follows from http.public_url unless set",
    ),
    key(
        ("node", "roles"),
        Kind::List,
        "[\"provider\", \"consumer\"]",
        "角色:provider, consumer, custodian, intermediary, infrastructure",
        "Roles: provider, consumer, custodian, intermediary, infrastructure",
    ),
    key(
        ("node", "data"),
        Kind::Text,
        "\"data\"",
        "数据目录;相对路径以本文件所在目录为准",
        "Data directory, relative to this file's",
    ),
    key(("node", "lang"), Kind::Text, "\"zh\"", "默认语言:zh 或 en", "Default language: zh or en"),
    key(
        ("http", "listen"),
        Kind::Text,
        "\"127.0.0.1:8443\"",
        "监听地址;非本机地址必须配置 TLS 并已有管理员",
        "Listen address; beyond loopback it needs TLS and an administrator",
    ),
    key(
        ("http", "public_url"),
        Kind::Text,
        "\"https://localhost:8443\"",
        "其他节点访问本节点的地址",
        "Address under which other nodes reach this one",
    ),
    key(
        ("http", "tls_cert"),
        Kind::Text,
        "\"tls/node.crt\"",
        "TLS 证书链(PEM)",
        "TLS certificate chain, PEM",
    ),
    key(
        ("http", "tls_key"),
        Kind::Text,
        "\"tls/node.key\"",
        "TLS 私钥(PEM,权限 0600)",
        "TLS private key, PEM, mode 0600",
    ),
    key(
        ("http", "tls_ca"),
        Kind::Text,
        "\"tls/ca.crt\"",
        "额外信任的 CA(PEM)",
        "CA to trust beside the public roots, PEM",
    ),
    key(
        ("http", "insecure_http"),
        Kind::Switch,
        "false",
        "允许明文 HTTP;仅限本机地址",
        "Allow plain HTTP; loopback only",
    ),
    key(
        ("store", "url"),
        Kind::Text,
        "\"sqlite:data/tidm.db\"",
        "sqlite:路径 或 postgres://用户:口令@主机/库",
        "sqlite:PATH or postgres://user:password@host/database",
    ),
    key(
        ("objects", "dir"),
        Kind::Text,
        "\"data/objects\"",
        "本地目录(未设置 bucket 时使用)",
        "Local directory, used unless bucket is set",
    ),
    key(("objects", "bucket"), Kind::Text, "\"tidm\"", "S3 桶名", "S3 bucket"),
    key(
        ("objects", "endpoint"),
        Kind::Text,
        "\"https://s3.example.com\"",
        "S3 服务地址",
        "S3 service address",
    ),
    key(("objects", "region"), Kind::Text, "\"us-east-1\"", "S3 区域", "S3 region"),
    key(("objects", "key_id"), Kind::Text, "\"tidm\"", "S3 访问标识", "S3 access key id"),
    key(
        ("objects", "secret_file"),
        Kind::Text,
        "\"keys/s3.secret\"",
        "存放 S3 密钥的文件(权限 0600)",
        "File that holds the S3 secret, mode 0600",
    ),
    key(
        ("objects", "signed_seconds"),
        Kind::Number,
        "0",
        "让使用方凭限时签名地址直接从桶中取数(秒);此时中止、速率与连接数上限在地址到期前不生效;0 为经由本节点",
        "Consumers fetch from the bucket itself, by signed addresses of this life; suspensions and limits do not bite until it ends; 0: through this node",
    ),
    key(
        ("space", "members"),
        Kind::Text,
        "\"members.json\"",
        "成员名单:文件或 https 地址",
        "Member list: a file or an https address",
    ),
    key(
        ("space", "operator"),
        Kind::Text,
        "\"did:web:space.example.com\"",
        "签署成员名单的运营方 DID",
        "DID of the operator who signs the member list",
    ),
    key(
        ("space", "infrastructure"),
        Kind::Text,
        "\"did:web:store.example.com\"",
        "存放密封数据的基础设施节点;缺省为本节点",
        "Infrastructure node that keeps our sealed objects; this node unless set",
    ),
    space::SIGNATURES,
    space::REFUNDS,
    space::ALSO,
    key(
        ("evidence", "watched"),
        Kind::List,
        "[]",
        "存证方:受监督日志的验证公钥",
        "Custodian: verifier keys of the logs that we witness",
    ),
    key(
        ("evidence", "origin"),
        Kind::Text,
        "\"localhost:8443/evidence\"",
        "日志名称;启用后不可更改",
        "Name of the log; never change it once used",
    ),
    key(
        ("evidence", "custodians"),
        Kind::Custodians,
        "[{ url = \"https://custodian.example.com\", vkey = \"name+hash+key\" }]",
        "存证方地址与验证公钥",
        "Custodians: address and verifier key",
    ),
    key(
        ("evidence", "quorum"),
        Kind::Number,
        "1",
        "发布检查点所需的见证数;默认为全部存证方",
        "Cosignatures before a checkpoint is published; all custodians unless set",
    ),
    key(
        ("evidence", "checkpoint_ms"),
        Kind::Number,
        "1000",
        "检查点间隔(毫秒)",
        "Checkpoint interval in milliseconds",
    ),
    limits::EXCEL_MIB,
    limits::QUERY_SECONDS,
    limits::WORKER_MIB,
    limits::MATCHING_MIB,
    limits::WORKERS,
    limits::UPLOAD_MIB,
    limits::DELIVERY_KIB,
    limits::DELIVERY_CONNECTIONS,
    limits::STALLED_SECONDS,
    key(
        ("peers", "allow_private_addresses"),
        Kind::Switch,
        "false",
        "是否允许连接内网或本机地址的节点",
        "Whether peers may live at private or loopback addresses",
    ),
    key(
        ("peers", "timeout_seconds"),
        Kind::Number,
        "30",
        "请求其他节点的时限(秒)",
        "Deadline of a request to a peer, seconds",
    ),
    key(
        ("flight", "enabled"),
        Kind::Switch,
        "false",
        "在 http.listen 上以 HTTP/2 提供 Arrow Flight SQL;仅限合约允许在提供方查询的数据",
        "Serve Arrow Flight SQL over HTTP/2 at http.listen, for what a contract lets others query here",
    ),
    key(
        ("sealed", "suite"),
        Kind::Text,
        "\"international\"",
        "密封文件的算法套件:international,或 guomi(SM4-GCM、SM2、SM3;不属于 OpenTDF 标准)",
        "Suite of sealed files: international, or guomi (SM4-GCM, SM2, SM3; outside of the OpenTDF standard)",
    ),
    key(
        ("signaling", "enabled"),
        Kind::Switch,
        "false",
        "启用数据面信令(/signaling 与 /dataplane);各方须先由管理员登记",
        "Speak Data Plane Signaling at /signaling and /dataplane; planes are registered by an administrator first",
    ),
    key(
        ("signaling", "profiles"),
        Kind::List,
        "[\"http-pull\", \"http-push\"]",
        "本数据面支持的其他传输方式名称(以 -pull 或 -push 结尾)",
        "Further names under which our data plane runs HTTP transfers, ending in -pull or -push",
    ),
    key(
        ("signaling", "background"),
        Kind::List,
        "[]",
        "其中先应答后准备的(异步)",
        "Those of them whose flows are got ready after the answer",
    ),
    key(
        ("signaling", "sources"),
        Kind::List,
        "[\"urn:dataset:1=https://provider.example.com/data\"]",
        "未给出地址时从何处获取某数据集",
        "Where a data set is pulled from when nobody names an address",
    ),
    key(
        ("signaling", "trust_network"),
        Kind::Switch,
        "false",
        "允许登记不出示凭证的控制面与数据面;仅限隔离网络",
        "Planes may be registered without secrets; only where the network keeps everybody else out",
    ),
    key(
        ("tc609", "enabled"),
        Kind::Switch,
        "false",
        "在 /tc609 提供合约与使用控制接口;仅限 tc609.callers 所列调用方",
        "Serve the interfaces for contracts and usage control at /tc609, to tc609.callers only",
    ),
    key(
        ("tc609", "connector"),
        Kind::Text,
        "\"591310000MA0DEMQ19R31011BH95JZY4\"",
        "本节点的接入连接器标识(32 位)",
        "Code of this node as a connector, 32 characters",
    ),
    key(
        ("tc609", "platform"),
        Kind::Text,
        "\"491310000MA0DEMQ19R3101K3T8W5RDE\"",
        "以其名义分配合约标识码的业务节点标识(32 位)",
        "Code of the service node in whose name contracts get their codes, 32 characters",
    ),
    key(
        ("tc609", "platform_url"),
        Kind::Text,
        "\"https://platform.example.com/tc609\"",
        "平台接口的地址;合约结束后,履约证明也发往其 /fulfillmentProof。为空则不发往平台",
        "Where the platform serves its interfaces: proofs of fulfilment go to its /fulfillmentProof, too. Empty: to no platform",
    ),
    key(
        ("tc609", "partners"),
        Kind::List,
        "[\"591310000MA0DEMQ19R31011BH95JZY4=did:web:node.example.com\"]",
        "其他参与方的连接器标识及其 DID",
        "Codes of other participants' connectors, and their DIDs",
    ),
    key(
        ("tc609", "callers"),
        Kind::List,
        "[\"491310000MA0DEMQ19R3101K3T8W5RDE=did:web:desk.example.com\"]",
        "可代表本组织调用的系统标识及其签名所用 DID",
        "Codes of the systems that may call for this organisation, and the DIDs whose keys sign for them",
    ),
    key(
        ("dcp", "issuers"),
        Kind::List,
        "[\"did:web:issuer.example.com\"]",
        "除空间运营方外,其凭证受信任的签发方",
        "Issuers whose credentials are trusted beside the space's operator",
    ),
    key(
        ("dcp", "cache_seconds"),
        Kind::Number,
        "3600",
        "对等方成员资格的记忆时长(秒);到期后重新查询其钱包",
        "How long a peer's proven membership is remembered before its wallet is asked again, seconds",
    ),
    key(
        ("dcp", "status_seconds"),
        Kind::Number,
        "60",
        "吊销状态列表的最长使用时间(秒);吊销至迟在此时间后的下一条消息生效",
        "Oldest status list that is used, seconds; a revocation takes effect at the next message after it",
    ),
    key(
        ("test_profile", "identities"),
        Kind::List,
        "[]",
        "测试配置:本节点路径下的其他身份,任何人都能从其获得测试凭证",
        "Test profile: further identities on paths of this node; they issue test credentials to anybody",
    ),
    key(
        ("test_profile", "secret_file"),
        Kind::Text,
        "\"keys/sts.secret\"",
        "测试配置:令牌服务的客户端密钥文件",
        "Test profile: file with the secret of the token service's clients",
    ),
    key(
        ("identity", "mode"),
        Kind::Text,
        "\"dcp\"",
        "did:自签发令牌(设有 space.members 时的默认值);dcp:自签发令牌加成员凭证;mtls:双向 TLS 客户端证书;development:另外接受受测外部连接器的声明或固定令牌,切勿用于真实数据",
        "did: self-issued tokens (the default where space.members is set); dcp: those and membership credentials; mtls: client certificates of mutual TLS; development: also claims or fixed tokens of foreign connectors under test, never with real data",
    ),
    key(
        ("identity", "client_ca"),
        Kind::Text,
        "\"tls/members-ca.crt\"",
        "mtls:为成员签发客户端证书的 CA(PEM,可含多个)",
        "mtls: the authorities that issue members' client certificates, PEM, one or more",
    ),
    key(
        ("identity", "client_crls"),
        Kind::List,
        "[\"tls/members.crl\"]",
        "mtls:证书吊销列表(PEM);一旦设置,每个签发 CA 都必须有未过期的列表",
        "mtls: certificate revocation lists, PEM; once set, each issuing authority needs one that has not expired",
    ),
    key(
        ("identity", "client_names"),
        Kind::Text,
        "\"certificates\"",
        "mtls:每行一个 参与方 dns:名称、uri:名称 或 sha256:指纹,用于证书中未写 DID 的参与方",
        "mtls: lines of PARTICIPANT dns:NAME, uri:NAME or sha256:HEX, for those whose certificates do not carry their DID",
    ),
    key(
        ("identity", "client_cert"),
        Kind::Text,
        "\"tls/client.crt\"",
        "mtls:本节点的客户端证书链(PEM),URI 备用名称为本节点 DID;缺省为 http.tls_cert",
        "mtls: this node's client certificate chain, PEM, with its DID as alternative name of the kind URI; http.tls_cert unless set",
    ),
    key(
        ("identity", "client_key"),
        Kind::Text,
        "\"tls/client.key\"",
        "mtls:其私钥(PEM,权限 0600);缺省为 http.tls_key",
        "mtls: its private key, PEM, mode 0600; http.tls_key unless set",
    ),
    key(
        ("identity", "claims"),
        Kind::Switch,
        "false",
        "development:接受无证明的 JSON 声明;仅限本机监听地址",
        "development: accept JSON claims without proof; loopback listeners only",
    ),
    key(
        ("identity", "tokens_file"),
        Kind::Text,
        "\"keys/peers.tokens\"",
        "development:每行一个 参与方 令牌 [我方令牌](权限 0600)",
        "development: lines of PARTICIPANT TOKEN [OUR-TOKEN], mode 0600",
    ),
    people::SEPARATION,
    people::SECOND_FACTOR,
    people::SESSION_MINUTES,
    people::IDLE_MINUTES,
    people::OIDC_ISSUER,
    people::OIDC_CLIENT,
    people::OIDC_SECRET_FILE,
    people::OIDC_ROLES,
    attest::MAKER,
    attest::TSM_ROOT,
    attest::TPM,
    attest::TPM_KEY,
    attest::TPM_PCRS,
    test_profile::FILE,
    test_profile::PIDS_BY_PATH,
];
