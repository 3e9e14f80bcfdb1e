//! Kinds of use as DSP transfer formats, and who moves the bytes.
//!
//! Never invents a second list: the kinds themselves are [`Use`], policies speak of the same ones.

pub use crate::policy::usage::Use;

use crate::transfer::message::DataAddress;

/// The format of DSP's own examples and kits: the consumer pulls bytes over HTTP.
pub const HTTP_PULL: &str = "HttpData-PULL";
/// The provider sends bytes to the HTTP address that the request names.
pub const HTTP_PUSH: &str = "HttpData-PUSH";
/// The provider puts bytes into the bucket that the request names.
pub const S3_PUSH: &str = "AmazonS3-PUSH";
/// The `endpointType` of an address that is a bucket.
pub const S3_ADDRESS: &str = "AmazonS3";
/// The `endpointType` of an address that takes or serves bytes over HTTP.
pub const HTTP_ADDRESS: &str = "https://w3id.org/idsa/v4.1/HTTP";
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
            Self::Psi => "tidm:psi",
        }
    }

    /// Every format in which a distribution of this kind can be asked for without saying more than the format does.
    pub fn formats(self) -> Vec<&'static str> {
        match self {
            Self::Plain => vec![HTTP_PULL, HTTP_PUSH, S3_PUSH],
            Self::Query | Self::SealedTable | Self::SealedFile | Self::Psi => vec![self.format()],
        }
    }

    pub fn from_format(format: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.format() == format)
    }
}

/// Who moves the bytes, and whereto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The consumer fetches them from the address in the start message.
    Pull,
    /// The provider sends them to the address in the request.
    Push,
    /// The provider puts them into the bucket in the request.
    Bucket,
}

/// What a transfer delivers, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub kind: Use,
    pub way: Way,
}

impl Delivery {
    /// What a request of this format with this address asks for. Plain bytes have a format for each way; sealed ones
    /// are pushed where the request says whereto (DSP 2025-1 §9: an address in a request is for a push). With
    /// [`HTTP_PULL`] some connectors send an address that means nothing.
    pub fn of(format: &str, address: Option<&DataAddress>) -> Option<Self> {
        let plain = |way| Some(Self { kind: Use::Plain, way });
        match format {
            HTTP_PULL => plain(Way::Pull),
            HTTP_PUSH => plain(Way::Push),
            S3_PUSH => plain(Way::Bucket),
            _ => {
                let kind = Use::from_format(format)?;
                let way = match address {
                    None => Way::Pull,
                    Some(it) if it.endpoint_type == S3_ADDRESS => Way::Bucket,
                    Some(_) => Way::Push,
                };
                Some(Self { kind, way })
            }
        }
    }

    /// The format that asks for it.
    pub fn format(self) -> &'static str {
        match (self.kind, self.way) {
            (Use::Plain, Way::Push) => HTTP_PUSH,
            (Use::Plain, Way::Bucket) => S3_PUSH,
            (kind, _) => kind.format(),
        }
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
            for format in it.formats() {
                assert_eq!(Delivery::of(format, None).map(|it| it.kind), Some(it));
            }
        }
        assert_eq!(Use::from_format("AmazonS3-PUSH"), None);
    }

    #[test]
    fn every_delivery_has_a_format_that_asks_for_it() {
        let address = |endpoint_type: &str| DataAddress {
            endpoint_type: endpoint_type.to_owned(),
            endpoint: Some("https://consumer.example/in".to_owned()),
            properties: Vec::new(),
        };
        for kind in Use::ALL {
            for (way, to) in [
                (Way::Pull, None),
                (Way::Push, Some(address(HTTP_ADDRESS))),
                (Way::Bucket, Some(address(S3_ADDRESS))),
            ] {
                let it = Delivery { kind, way };
                assert_eq!(Delivery::of(it.format(), to.as_ref()), Some(it));
            }
        }
        let pull = Some(Delivery { kind: Use::Plain, way: Way::Pull });
        assert_eq!(Delivery::of(HTTP_PULL, Some(&address("HttpProxy"))), pull);
        assert_eq!(Delivery::of("Kafka-PULL", None), None);
    }
}
