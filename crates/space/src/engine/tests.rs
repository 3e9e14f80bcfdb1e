mod approval;
mod dataflow;
mod delivery;
mod ending;
mod retry;
mod rule;
mod side;
mod signature;
