//! The files of the checkout as Git sees them, and which part of a Rust file is production code.

use std::path::Path;

use anyhow::{Context, Result};

use crate::shell::Call;

/// Every file that is or would be committed.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<Entry>,
}

/// One file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Path from the root of the checkout, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    /// Empty for files that are no UTF-8 text.
    pub(super) text: String,
}

impl Tree {
    /// Files that Git tracks and new ones it does not ignore, without those deleted in the work tree.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let listing = Call::new("git").dir(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listing = listing.text().context("asking Git for the list of files")?;
        let mut files = Vec::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let full = root.join(path);
            if !full.is_file() {
                continue;
            }
            let content = std::fs::read(&full).with_context(|| format!("reading {path}"))?;
            let bytes = u64::try_from(content.len())?;
            files.push(Entry {
                path: path.to_owned(),
                bytes,
                text: String::from_utf8(content).unwrap_or_default(),
            });
        }
        Ok(Self { files })
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &Entry> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }
}

impl Entry {
    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.split('/').any(|part| part == "tests" || part == "benches")
    }

    /// The production lines with their numbers from 1: everything before the test module at the end of the file.
    pub(super) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> =
            if self.is_test() { Vec::new() } else { self.text.lines().collect() };
        let end = production_end(&lines);
        lines.into_iter().take(end).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Index of the `#[cfg(test)]` that opens an inline module. One that declares a file (`mod tests;`) or guards a single
/// item ends nothing: otherwise an early one would hide the rest of the file from every rule.
fn production_end(lines: &[&str]) -> usize {
    let opens_module = |index: usize| {
        let after = lines.get(index + 1..).unwrap_or_default().iter();
        let mut items = after.filter(|line| !line.starts_with("#["));
        items.next().is_some_and(|line| line.contains("mod ") && line.trim_end().ends_with('{'))
    };
    let found = lines
        .iter()
        .enumerate()
        .find(|(index, line)| line.starts_with("#[cfg(test)]") && opens_module(*index));
    found.map_or(lines.len(), |(index, _)| index)
}

/// The line without its comment. A `//` inside a string that is no address cuts too much, which only hides the rest.
pub(super) fn code(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line.get(from..).and_then(|rest| rest.find("//")) {
        let at = from + at;
        if !line.get(..at).is_some_and(|before| before.ends_with(':')) {
            return line.get(..at).unwrap_or(line);
        }
        from = at + 2;
    }
    line
}

/// Whether `word` stands in `line` with no letter, digit or underscore next to it.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, found)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + found.len()..).and_then(|text| text.chars().next());
        // A word that begins or ends with a sign of its own needs no border there.
        let open = word.starts_with(|c: char| c.is_alphanumeric()) && part_of_name(before);
        let close = word.ends_with(|c: char| c.is_alphanumeric()) && part_of_name(after);
        !open && !close
    })
}
