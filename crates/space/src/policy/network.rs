//! Addresses and networks: `10.1.0.0/16`, `2001:db8::/32`, `192.0.2.7`.
//!
//! An address is a value here; sockets are elsewhere. Never a host name: whom a name points to is up to whoever runs the name server.

use core::net::IpAddr;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    base: IpAddr,
    /// Leading bits that count.
    bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address or network such as 10.1.0.0/16")]
pub struct BadNetwork;

impl Network {
    /// Bits beyond the prefix must be zero: `10.1.2.3/8` is a slip more often than a network.
    pub fn parse(text: &str) -> Result<Self, BadNetwork> {
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| BadNetwork)?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(it) if it.len() <= 3 && it.bytes().all(|b| b.is_ascii_digit()) => {
                it.parse().map_err(|_| BadNetwork)?
            }
            Some(_) => return Err(BadNetwork),
        };
        let it = Self { base, bits };
        let clean = bits <= width && prefix(base, bits) == number(base);
        if clean { Ok(it) } else { Err(BadNetwork) }
    }

    /// An IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (base, address) = (self.base.to_canonical(), address.to_canonical());
        let bits = if base == self.base { self.bits } else { self.bits.saturating_sub(96) };
        base.is_ipv4() == address.is_ipv4() && prefix(address, bits) == number(base)
    }
}

/// Left-aligned, so that both families compare by leading bits.
fn number(it: IpAddr) -> u128 {
    match it {
        IpAddr::V4(it) => u128::from(it.to_bits()) << 96,
        IpAddr::V6(it) => it.to_bits(),
    }
}

fn prefix(it: IpAddr, bits: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(bits))).unwrap_or(0);
    number(it) & mask
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.base.is_ipv4() { 32 } else { 128 };
        if self.bits == width { self.base.fmt(f) } else { write!(f, "{}/{}", self.base, self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, address, inside) in [
            ("10.1.0.0/16", "10.1.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.1.0.0/16", "::ffff:10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let it = Network::parse(network).unwrap();
            assert_eq!(it.contains(address.parse().unwrap()), inside, "{network} {address}");
            assert_eq!(Network::parse(&it.to_string()), Ok(it));
        }
        for bad in [
            "",
            "10.1.2.3/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "example.org",
            "::/129",
            "10.0.0/8",
        ] {
            assert_eq!(Network::parse(bad), Err(BadNetwork), "{bad}");
        }
    }
}
