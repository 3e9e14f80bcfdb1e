mod approval;
mod dataflow;
mod ending;
mod retry;
mod side;
mod signature;
