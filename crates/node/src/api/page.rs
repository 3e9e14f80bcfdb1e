//! Lists by pages: every list has a cursor and a bound.
//!
//! Never a count of everything: a page says whether more follow, and how to get it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::{Answer, Fail};
use crate::store::read::{Cursor, Page as Found};

/// Rows of a page when nobody says.
const USUAL: i64 = 50;
/// Rows of a page at most: one answer stays far below the bound on bodies.
const MOST: i64 = 200;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `next` of the page before.
    pub(super) cursor: Option<String>,
    /// Rows, 1 to 200; 50 when absent.
    pub(super) limit: Option<i64>,
}

impl Wanted {
    pub(super) fn after(&self) -> Answer<Option<Cursor>> {
        let parse = |text: &String| {
            Cursor::parse(text).ok_or_else(|| Fail::field("cursor", "not one that we gave"))
        };
        self.cursor.as_ref().map(parse).transpose()
    }

    pub(super) fn most(&self) -> Answer<i64> {
        match self.limit {
            None => Ok(USUAL),
            Some(it) if (1..=MOST).contains(&it) => Ok(it),
            Some(_) => Err(Fail::field("limit", format!("from 1 to {MOST}"))),
        }
    }
}

/// Which negotiations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// true: only those that wait for a person here to approve.
    pub(super) inbox: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows, 1 to 200; 50 when absent.
    limit: Option<i64>,
}

impl Listing {
    pub(super) fn page(self) -> Wanted {
        Wanted { cursor: self.cursor, limit: self.limit }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is short by nature.
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    pub(super) fn of<R>(found: Found<R>, show: impl FnMut(R) -> T) -> Self {
        Self {
            items: found.rows.into_iter().map(show).collect(),
            next: found.next.map(|it| it.write()),
        }
    }
}
