//! Digital contracts (数字合约) as TC609-6-2025-14 describes them: codes, dictionaries and the document.
//!
//! The JSON of such a document and its translation from and into our policies is [`crate::wire::tc609`]. Threat: a code
//! that is mistyped or made up names somebody else's contract or product, so each segment and the check character are
//! checked. Never decides whether a term can be kept: that is [`crate::policy::compile`]'s.

pub mod code;
pub mod document;
pub mod loss;
pub mod message;
pub mod words;
