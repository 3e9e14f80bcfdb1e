mod approval;
mod dataflow;
mod ending;
mod retry;
mod rule;
mod side;
mod signature;
