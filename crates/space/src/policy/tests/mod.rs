//! Tables about the whole of the policy module: known classes of policies, and suites of others.

pub(super) mod classes;
mod operands;
mod suite;
