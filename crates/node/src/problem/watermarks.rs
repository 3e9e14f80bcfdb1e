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
    entry(
        "watermark.key-lost",
        422,
        Party::Node,
        ["水印密钥已丢失,无法判断", "The key of the watermarks is lost, so nothing can be judged"],
        [
            "请从备份恢复密钥目录中的 marks.key;新密钥无法识别旧水印",
            "Restore marks.key of the keys directory from a backup: a new key does not know the old marks",
        ],
    ),
    entry(
        "watermark.contracts",
        422,
        Party::Node,
        ["该产品的合约过多,无法一次追溯", "The product has more contracts than one trace asks"],
        ["请将产品分版本发布", "Publish the product in versions, each with fewer contracts"],
    ),
];
