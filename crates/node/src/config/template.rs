//! The commented configuration file that `tidm init` writes.
//!
//! Never shows a key that does not exist: it is printed from the same table that reads it.

use super::key::{KEYS, SECTIONS};

/// `set` gives values (TOML syntax) to `section.key`; every other key appears as a comment with its example.
pub fn render(set: &[(&str, String)]) -> String {
    let mut text = String::from(
        "# tidm 节点配置。优先级:命令行 > 环境变量 TIDM_* > 本文件。\n\
         # Configuration of a tidm node. Flags win over TIDM_* variables, which win over this file.\n",
    );
    for (section, zh, en) in SECTIONS {
        text.push_str(&format!("\n# ---- {zh} / {en}\n[{section}]\n"));
        for key in KEYS.iter().filter(|it| it.section == *section) {
            let path = key.path();
            text.push_str(&format!("# {}\n# {} ({})\n", key.zh, key.en, key.variable()));
            match set.iter().find(|(it, _)| *it == path) {
                Some((_, value)) => text.push_str(&format!("{} = {value}\n", key.name)),
                None => text.push_str(&format!("#{} = {}\n", key.name, key.example)),
            }
        }
    }
    text
}

/// A TOML basic string.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
