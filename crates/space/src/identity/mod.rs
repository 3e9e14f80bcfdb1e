//! Who somebody is: DIDs and their documents, self-issued tokens, names in certificates, the member list, and DCP's credentials.
//!
//! Never fetches a document and never holds a private key: the shell does both.

pub mod certificate;
pub mod credential;
pub mod did;
pub mod document;
pub mod issuance;
pub mod member;
pub mod presentation;
pub mod program;
pub mod token;
