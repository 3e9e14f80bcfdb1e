//! People of this node: what each may do, and why.
//!
//! [`scope`] names what routes ask for, [`role`] who holds what, [`decide`] answers every act with a reason, [`rule`]
//! narrows single products and contracts to people with certain attributes, [`log`] chains what was done, [`oidc`]
//! judges what an identity provider says.
//!
//! Threat model: people of the node's own who want more than they were given: a system administrator who would grant
//! himself rights, a security administrator who would read data, two roles gathered step by step in one account, an
//! account taken over by a fresh one-time link. Not covered: two administrators who conspire, and whoever writes the
//! database itself.
//!
//! Never a default yes: what no line of a table grants is denied, and every denial says why.

pub mod decide;
pub mod log;
pub mod oidc;
pub mod role;
pub mod rule;
pub mod scope;

#[cfg(test)]
mod tests;
