//! Tables about the whole of the policy module: known classes of policies, and suites of others.

mod classes;
mod operands;
mod suite;
