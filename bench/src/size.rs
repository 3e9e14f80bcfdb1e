//! How much is measured: `--small` takes a tenth of members and of offers, to see that a bench runs; `--long` has
//! people search for five minutes, and negotiates 10,000 times at each load.
//!
//! Never a verdict on a goal from a small run.

use std::sync::OnceLock;

#[derive(Clone, Copy, Default)]
pub(crate) struct Size {
    pub small: bool,
    pub long: bool,
}

static CHOSEN: OnceLock<Size> = OnceLock::new();

/// Takes its own words out of the arguments.
pub(crate) fn choose(args: &mut Vec<String>) {
    let mut size = Size::default();
    args.retain(|it| match it.as_str() {
        "--small" => {
            size.small = true;
            false
        }
        "--long" => {
            size.long = true;
            false
        }
        _ => true,
    });
    CHOSEN.get_or_init(|| size);
}

fn chosen() -> Size {
    CHOSEN.get().copied().unwrap_or_default()
}

pub(crate) fn divisor() -> u64 {
    if chosen().small { 10 } else { 1 }
}

pub(crate) fn is_full() -> bool {
    !chosen().small
}

pub(crate) fn is_long() -> bool {
    chosen().long
}
