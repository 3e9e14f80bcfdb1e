//! The budget table of `docs/testing.md`: the seconds each stage may take on two cores on a new machine, where tools
//! and dependencies are fetched and compiled first. The table is the only place where they are kept.

use std::path::Path;

use anyhow::{Context, Result, bail};

const HEADING: &str = "| stage | budget, cold (s) |";

/// Stage names with their cold budgets in seconds, in the table's order.
pub(crate) fn read(file: &Path) -> Result<Vec<(String, u64)>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    parse(&text).with_context(|| format!("the stage table of {}", file.display()))
}

/// The budget of one stage.
pub(crate) fn of(budgets: &[(String, u64)], stage: &str) -> Result<u64> {
    let found = budgets.iter().find(|(name, _)| name == stage);
    found
        .map(|(_, seconds)| *seconds)
        .with_context(|| format!("docs/testing.md has no budget for stage `{stage}`"))
}

fn parse(text: &str) -> Result<Vec<(String, u64)>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(HEADING));
    if lines.next().is_none() {
        bail!("no line begins with `{HEADING}`");
    }
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let name = cells.next().unwrap_or_default().trim_matches('`').to_owned();
        let seconds = cells.next().unwrap_or_default();
        let seconds = seconds
            .parse()
            .with_context(|| format!("`{seconds}` is no number of seconds (stage {name})"))?;
        Ok((name, seconds))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_and_a_broken_one_refused() {
        let table = format!(
            "text\n\n{HEADING} what |\n|---|---|---|\n| `fmt` | 10 | x |\n| total | 20 | |\n\nmore"
        );
        assert_eq!(parse(&table).unwrap(), [("fmt".to_owned(), 10), ("total".to_owned(), 20)]);
        assert!(parse("no table").is_err());
        assert!(parse(&table.replace("10", "ten")).is_err());
    }
}
