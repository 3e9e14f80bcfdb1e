//! Kinds of use as DSP transfer formats.
//!
//! Never invents a second list: the kinds themselves are [`Use`], policies speak of the same ones.

pub use crate::policy::usage::Use;

/// The format of DSP's own examples and kits: the consumer pulls bytes over HTTP.
pub const HTTP_PULL: &str = "HttpData-PULL";
/// The consumer's tools ask statements at the provider over Arrow Flight SQL: [`Use::Query`] without a node of the
/// consumer in the middle. Spelled like the other `…-PULL` formats; DSP registers no names.
pub const FLIGHT_SQL_PULL: &str = "ArrowFlightSql-PULL";

impl Use {
    /// The DSP format of a distribution of this kind. Only [`Use::Plain`] needs nothing beyond DSP.
    pub fn format(self) -> &'static str {
        match self {
            Self::Query => "tidm:query",
            Self::SealedTable => "tidm:sealed-table",
            Self::SealedFile => "tidm:sealed-file",
            Self::Plain => HTTP_PULL,
        }
    }

    pub fn from_format(format: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.format() == format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_names_lead_back() {
        for it in Use::ALL {
            assert_eq!(Use::from_format(it.format()), Some(it));
            assert_eq!(Use::from_name(it.name()), Some(it));
        }
        assert_eq!(Use::from_format("AmazonS3-PUSH"), None);
    }
}
