mod approval;
mod ending;
mod retry;
mod side;
mod signature;
