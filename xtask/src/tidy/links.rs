//! What Markdown files point at in the checkout must be there: files by links, functions by their names (`fn name`).

use std::collections::BTreeSet;

use super::Violation;
use super::files::Tree;

pub(super) fn links_resolve(tree: &Tree) -> Vec<Violation> {
    let mut known: BTreeSet<&str> = BTreeSet::from([""]);
    for file in &tree.files {
        known.insert(&file.path);
        known.extend(file.path.match_indices('/').filter_map(|(at, _)| file.path.get(..at)));
    }
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut in_block = false;
        for (index, line) in file.text.lines().enumerate() {
            in_block ^= line.trim_start().starts_with("```");
            if in_block {
                continue;
            }
            let dead = targets(line)
                .filter(|link| !resolve(folder, link).is_some_and(|path| known.contains(&*path)));
            violations.extend(dead.map(|link| {
                Violation::new(
                    &file.path,
                    index + 1,
                    format!("the link `{link}` leads nowhere in this repository"),
                )
            }));
        }
    }
    violations
}

/// A page that says which test proves what must not outlive the test.
pub(super) fn functions_exist(tree: &Tree) -> Vec<Violation> {
    let lines = tree.rust().flat_map(|file| file.text.lines());
    let known: BTreeSet<&str> = lines.filter_map(|line| name(line.split_once("fn ")?.1)).collect();
    let mut violations = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            let named = line.split("`fn ").skip(1).filter_map(name);
            violations.extend(named.filter(|it| !known.contains(it)).map(|it| {
                Violation::new(&file.path, index + 1, format!("there is no function `{it}`"))
            }));
        }
    }
    violations
}

/// The identifier that a text begins with.
fn name(text: &str) -> Option<&str> {
    let end = text.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(text.len());
    text.get(..end).filter(|it| !it.is_empty())
}

/// Local link targets in a line, without title and fragment.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let inner = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let local = inner.filter(|link| {
        !link.contains("://") && !link.starts_with("mailto:") && !link.starts_with('#')
    });
    local.map(|link| link.split(['#', '?']).next().unwrap_or_default())
}

/// The path from the root that a link in `folder` means; none when it leaves the repository.
fn resolve(folder: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
