//! The statement as parsed, before names are resolved: one query, known names only.
//!
//! The plan is what decides (see [`super::check`]); this pass exists so that a refusal can name
//! what the asker wrote, where the engine would only have its own error text to offer.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Query, SetExpr, Statement as SqlStatement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::refusal::{Code, Refusal};

/// Parses `sql` and refuses everything but one plain query over `tables`.
pub(crate) fn parse(
    state: &SessionState,
    sql: &str,
    tables: &[&str],
) -> Result<Statement, Refusal> {
    let tokens = super::tokens(sql)?;
    let Some(first) = tokens.first() else { return Err(Refusal::bare(Code::Malformed)) };
    let first = first.to_string().to_uppercase();
    if !matches!(first.as_str(), "SELECT" | "WITH" | "(") {
        return Err(Refusal::new(Code::Statement, first));
    }
    if tokens.contains(&Token::SemiColon) {
        return Err(Refusal::new(Code::Statement, "second statement"));
    }

    let dialect = &state.config_options().sql_parser.dialect;
    let statement =
        state.sql_to_statement(sql, dialect).map_err(|_| Refusal::bare(Code::Malformed))?;
    let Statement::Statement(inner) = &statement else {
        return Err(Refusal::new(Code::Statement, first));
    };
    let SqlStatement::Query(query) = &**inner else {
        return Err(Refusal::new(Code::Statement, first));
    };

    let mut names = Names::default();
    let _: ControlFlow<()> = query.visit(&mut names);
    let mut check = Check { state, tables, names };
    match query.visit(&mut check) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(refusal) => Err(refusal),
    }
}

/// Names the statement itself introduces.
#[derive(Default)]
struct Names(HashSet<String>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = &query.with {
            self.0.extend(with.cte_tables.iter().map(|table| normal(&table.alias.name)));
        }
        ControlFlow::Continue(())
    }
}

struct Check<'a> {
    state: &'a SessionState,
    tables: &'a [&'a str],
    names: Names,
}

impl Visitor for Check<'_> {
    type Break = Refusal;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refusal> {
        let construct = if query.with.as_ref().is_some_and(|with| with.recursive) {
            "WITH RECURSIVE"
        } else if !query.locks.is_empty() {
            "FOR UPDATE"
        } else if query.settings.is_some() {
            "SETTINGS"
        } else if query.format_clause.is_some() {
            "FORMAT"
        } else if !query.pipe_operators.is_empty() {
            "|>"
        } else if let SetExpr::Select(select) = &*query.body
            && select.into.is_some()
        {
            return ControlFlow::Break(Refusal::new(Code::Statement, "SELECT INTO"));
        } else {
            return ControlFlow::Continue(());
        };
        ControlFlow::Break(Refusal::new(Code::Construct, construct))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is refused by its own word"
    )]
    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Refusal> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                ControlFlow::Break(Refusal::new(Code::Function, format!("{name} (as a table)")))
            }
            TableFactor::Table { sample: Some(_), .. } => {
                ControlFlow::Break(Refusal::new(Code::Construct, "TABLESAMPLE"))
            }
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => {
                let text = other.to_string();
                let word = text.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty());
                let word = word.unwrap_or("FROM clause").to_uppercase();
                ControlFlow::Break(Refusal::new(Code::Construct, word))
            }
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Refusal> {
        let known = match relation.0.as_slice() {
            [part] => part.as_ident().is_some_and(|ident| {
                let name = normal(ident);
                self.tables.contains(&name.as_str()) || self.names.0.contains(&name)
            }),
            _ => false,
        };
        if known {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(Refusal::new(Code::UnknownTable, relation.to_string()))
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "this pass only finds better words; the plan's allow-list decides"
    )]
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Refusal> {
        match expr {
            Expr::Function(call) => {
                let name = call.name.to_string().to_lowercase();
                if call.over.is_some() {
                    let over = format!("{name}(…) OVER");
                    return ControlFlow::Break(Refusal::new(Code::Construct, over));
                }
                if !super::function::known(self.state, &name) {
                    return ControlFlow::Break(Refusal::new(Code::Function, name));
                }
                ControlFlow::Continue(())
            }
            Expr::Subquery(_) => refused("subquery in an expression"),
            Expr::Exists { .. } => refused("EXISTS"),
            Expr::InSubquery { .. } => refused("IN (SELECT …)"),
            Expr::AnyOp { .. } | Expr::AllOp { .. } => refused("ANY/ALL"),
            Expr::GroupingSets(_) => refused("GROUPING SETS"),
            Expr::Cube(_) => refused("CUBE"),
            Expr::Rollup(_) => refused("ROLLUP"),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn refused(construct: &str) -> ControlFlow<Refusal> {
    ControlFlow::Break(Refusal::new(Code::Construct, construct))
}

/// A name as the engine resolves it.
fn normal(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}
