//! What is wrong with a setting: its key, its value, where it came from, and what to do about it.
//!
//! Never shows a password: values pass through [`redact`].

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::key::Key;
use crate::lang::Lang;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Default,
    File,
    Env,
    Flag,
}

impl From {
    fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Default => lang.pick("默认值", "default"),
            Self::File => lang.pick("配置文件", "file"),
            Self::Env => lang.pick("环境变量", "environment"),
            Self::Flag => lang.pick("命令行", "flag"),
        }
    }
}

/// One sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub zh: String,
    pub en: String,
}

/// Boxed: errors are returned by value through many hands.
pub(super) fn text(zh: impl Into<String>, en: impl Into<String>) -> Box<Text> {
    Box::new(Text { zh: zh.into(), en: en.into() })
}

/// One refused setting. `Display` is English; [`ConfigError::render`] chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// `section.key`, a variable's name, or the file.
    pub key: String,
    pub value: Option<String>,
    pub from: From,
    pub why: Box<Text>,
    pub next: Box<Text>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Lang::En))
    }
}

impl ConfigError {
    /// Key, value and origin; the reason; the next step.
    pub fn render(&self, lang: Lang) -> String {
        let value = self.value.as_ref().map(|it| format!(" = {it}")).unwrap_or_default();
        let (why, next) = lang.pick((&self.why.zh, &self.next.zh), (&self.why.en, &self.next.en));
        let arrow = lang.pick("下一步", "next");
        format!("{}{value} ({}): {why}\n  {arrow}: {next}", self.key, self.from.name(lang))
    }

    pub(super) fn bad(key: &str, value: &str, from: From, why: Box<Text>, next: Box<Text>) -> Self {
        Self { key: key.to_owned(), value: Some(format!("{:?}", redact(value))), from, why, next }
    }

    pub(super) fn missing(key: &str, why: Box<Text>, next: Box<Text>) -> Self {
        Self { key: key.to_owned(), value: None, from: From::Default, why, next }
    }

    pub(super) fn unreadable(path: &Path, why: &str) -> Self {
        Self {
            key: path.display().to_string(),
            value: None,
            from: From::File,
            why: text(format!("无法读取:{why}"), format!("cannot be read: {why}")),
            next: text("请检查文件及其权限", "check the file and its permissions"),
        }
    }

    pub(super) fn syntax(error: &toml::de::Error) -> Self {
        let why = error.to_string();
        let why = why.trim_end();
        Self {
            key: super::FILE.to_owned(),
            value: None,
            from: From::File,
            why: text(format!("不是合法的 TOML:\n{why}"), format!("not valid TOML:\n{why}")),
            next: text("请修正所示行", "correct the line shown"),
        }
    }

    pub(super) fn unknown(path: &str, from: From, near: Option<&Key>) -> Self {
        Self::unknown_named(path, from, near.map(Key::path))
    }

    pub(super) fn unknown_named(name: &str, from: From, near: Option<String>) -> Self {
        let next = near.map_or_else(
            || {
                text(
                    "删除它;`tidm init` 生成的文件列出了全部配置项",
                    "remove it; the file that `tidm init` writes lists every key",
                )
            },
            |near| text(format!("是否应为 {near}?"), format!("did you mean {near}?")),
        );
        Self {
            key: name.to_owned(),
            value: None,
            from,
            why: text("没有这个配置项", "there is no such key"),
            next,
        }
    }

    pub(super) fn shape(path: &str, value: &str, from: From, example: &str) -> Self {
        Self::bad(
            path,
            value,
            from,
            text("格式不正确", "this is not how the value is written"),
            text(format!("例如 {example}"), format!("for example {example}")),
        )
    }

    pub(super) fn wrong_type(path: &str, value: &str, from: From, why: &str) -> Self {
        Self {
            key: path.to_owned(),
            value: Some(redact(value)),
            from,
            why: text(format!("类型不正确:{why}"), format!("wrong type: {why}")),
            next: text("请按配置文件中的示例书写", "write it as the example in the file does"),
        }
    }

    pub(super) fn no_test_profile(path: &Path) -> Self {
        Self {
            key: "test_profile.file".to_owned(),
            value: Some(format!("{:?}", path.display().to_string())),
            from: From::File,
            why: text(
                "测试配置会植入数据集与合约,并让本机任何人触发协商:不得用于真实数据",
                "a test profile seeds datasets and contracts and lets anybody on this machine begin negotiations: it is nothing for real data",
            ),
            next: text(
                "删除该项;确为测试时以 `tidm serve --allow-test-profile` 启动",
                "remove it; for a test, start with `tidm serve --allow-test-profile`",
            ),
        }
    }

    pub(super) fn no_administrator(listen: SocketAddr) -> Self {
        Self {
            key: "http.listen".to_owned(),
            value: Some(format!("\"{listen}\"")),
            from: From::File,
            why: text(
                "该地址可从外部访问,但节点还没有管理员:任何人都可能抢先完成设置",
                "this address can be reached from outside and the node has no administrator: anybody could finish the set-up first",
            ),
            next: text(
                "先在 127.0.0.1 上启动并用一次性链接建立管理员,或使用 --setup-token-file",
                "start on 127.0.0.1 and create the administrator with the one-time link, or use --setup-token-file",
            ),
        }
    }
}

/// Replaces the password of `scheme://user:password@host`.
pub(super) fn redact(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let Some((who, host)) = rest.rsplit_once('@') else { return value.to_owned() };
    let user = who.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}
