//! Where a name leads at the moment of connecting: the addresses that were checked are the ones that are called.
//!
//! Never asks twice: whoever owns a name can have it lead to a public address when it is checked and to our own network
//! when it is called (DNS rebinding). So each connection asks once, and only what passed is connected to. A
//! connection that is kept stays at its address, whatever its name says later.
//!
//! Threat model: names of others' choosing that lead to loopback, private, link-local or otherwise special addresses,
//! in any of their spellings (IPv4 inside IPv6, translation prefixes), alone or among public ones: one such address
//! condemns the name. Too many addresses are cut off.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Addresses of one name that are tried; large services have a handful.
const ADDRESSES: usize = 16;

type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Who is asked for the addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// The system's resolver.
pub fn system() -> Lookup {
    Arc::new(|host: String| -> Found {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|it| it.ip()).collect())
        })
    })
}

/// Why a name is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its name leads to a private address")]
pub struct LeadsInside;

/// Resolves names and refuses those that lead where nobody may send us.
#[derive(Clone)]
pub struct Resolver {
    lookup: Lookup,
    private_addresses: bool,
}

impl Resolver {
    pub fn new(lookup: Lookup, private_addresses: bool) -> Self {
        Self { lookup, private_addresses }
    }

    /// The addresses of a name, all of them checked.
    pub async fn addresses(
        &self,
        host: &str,
    ) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut found = (self.lookup)(host.to_owned()).await?;
        if !self.private_addresses && found.iter().any(|it| is_private(*it)) {
            return Err(LeadsInside.into());
        }
        found.truncate(ADDRESSES);
        Ok(found)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let it = self.clone();
        Box::pin(async move {
            let found = it.addresses(name.as_str()).await?;
            // The port is the address's own, put in by whoever connects.
            let found = found.into_iter().map(|it| SocketAddr::new(it, 0));
            Ok(Box::new(found) as Addrs)
        })
    }
}

/// Whether an error of a call is the refusal of [`Resolver`], however deep.
pub fn led_inside(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(it) = cause {
        if it.is::<LeadsInside>() {
            return true;
        }
        cause = it.source();
    }
    false
}

/// Loopback, private, link-local, shared, multicast, reserved; IPv6 that carries such an IPv4 address, too.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(it) => is_private_v4(it),
        IpAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.segments();
            let v4 = |high: u16, low: u16| {
                let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
                is_private_v4(Ipv4Addr::new(a, b, c, d))
            };
            match [a, b, c, d, e, f] {
                // ::/96 and ::ffff:0:0/96: unspecified, loopback, compatible, mapped.
                [0, 0, 0, 0, 0, 0 | 0xffff] => v4(g, h),
                // RFC 6052: a translator's well-known prefix; RFC 3056: 6to4.
                [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
                [0x2002, high, low, ..] => v4(high, low),
                // RFC 8215: a translator's local prefix leads wherever its operator says.
                [0x64, 0xff9b, 1, ..] => true,
                _ => {
                    it.is_multicast()
                        || (a & 0xfe00) == 0xfc00
                        || (a & 0xffc0) == 0xfe80
                        || (a & 0xffc0) == 0xfec0
                }
            }
        }
    }
}

fn is_private_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    it.is_private()
        || it.is_loopback()
        || it.is_link_local()
        || it.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_known_in_all_spellings() {
        for (ip, private) in [
            ("93.184.215.14", false),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("10.0.0.1", true),
            ("172.31.0.1", true),
            ("192.168.1.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("250.1.1.1", true),
            ("192.0.0.8", true),
            ("198.18.0.1", true),
            ("198.20.0.1", false),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", false),
            ("::", true),
            ("::1", true),
            ("::7f00:1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:93.184.215.14", false),
            ("64:ff9b::127.0.0.1", true),
            ("64:ff9b::93.184.215.14", false),
            ("64:ff9b:1::1", true),
            ("2002:7f00:1::1", true),
            ("2002:5db8:d70e::1", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("fec0::1", true),
            ("ff02::1", true),
        ] {
            assert_eq!(is_private(ip.parse().unwrap()), private, "{ip}");
        }
    }
}
