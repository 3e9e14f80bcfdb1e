mod approval;
mod ending;
mod retry;
mod rule;
mod side;
mod signature;
