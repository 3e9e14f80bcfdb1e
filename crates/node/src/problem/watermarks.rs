//! Codes of tracing leaks.
//!
//! Never a text in one language only, as in [`super::catalogue`].

use super::Party;
use super::catalogue::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "watermark.none",
        422,
        Party::Caller,
        ["该产品没有带水印的合约", "No contract over this product has a watermark"],
        [
            "请核对产品;只有条款含水印义务的合约才能追溯",
            "Check the product: only copies of contracts with a duty to watermark are traced",
        ],
    ),
    entry(
        "watermark.columns",
        422,
        Party::Caller,
        ["文件缺少追溯所需的字段", "The file lacks the columns that tracing needs"],
        [
            "请保留区分各行的全部字段和至少一个带水印的字段,并使用原字段名",
            "Keep all columns that tell rows apart and one of the marked ones, under their own names",
        ],
    ),
];
