//! Which of one party's own columns plays which role of the rule. Never leaves the party.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::limits::MAX_NAME_BYTES;
use super::rule::Rule;

/// Role → name of the column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mapping(pub BTreeMap<String, String>);

impl Mapping {
    /// Columns that are called as the roles are.
    pub fn same(rule: &Rule) -> Self {
        Self(rule.parts.iter().map(|part| (part.role.clone(), part.role.clone())).collect())
    }

    pub fn of<'n>(pairs: impl IntoIterator<Item = (&'n str, &'n str)>) -> Self {
        Self(pairs.into_iter().map(|(role, column)| (role.into(), column.into())).collect())
    }

    /// Names of columns in the order of the rule's parts.
    pub(super) fn columns<'m>(&'m self, rule: &Rule) -> Result<Vec<&'m str>, Fault> {
        if let Some(role) = self.0.keys().find(|role| rule.parts.iter().all(|p| p.role != **role)) {
            let roles: Vec<&str> = rule.parts.iter().map(|part| part.role.as_str()).collect();
            return Err(Fault::mapping(format!("the rule has no role {role:?}, only {roles:?}")));
        }
        let column = |role: &String| match self.0.get(role) {
            Some(column) if column.len() <= MAX_NAME_BYTES => Ok(column.as_str()),
            Some(_) => {
                Err(Fault::mapping(format!("the name of the column for {role:?} is too long")))
            }
            None => Err(Fault::mapping(format!("no column is named for role {role:?}"))),
        };
        rule.parts.iter().map(|part| column(&part.role)).collect()
    }

    /// Where each column stands among `present`.
    pub(super) fn places(
        &self,
        rule: &Rule,
        file: &str,
        present: &[String],
    ) -> Result<Vec<usize>, Fault> {
        let columns = self.columns(rule)?;
        let place = |(column, role): (&str, &str)| {
            let mut found = present.iter().enumerate().filter(|(_, name)| *name == column);
            match (found.next(), found.next()) {
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => {
                    Err(Fault::ColumnTwice { file: file.into(), column: column.into() })
                }
                (None, _) => {
                    let purpose = format!("{role:?} of the key");
                    Err(Fault::no_column(file, column, &purpose, present))
                }
            }
        };
        columns
            .into_iter()
            .zip(rule.parts.iter().map(|part| part.role.as_str()))
            .map(place)
            .collect()
    }
}
