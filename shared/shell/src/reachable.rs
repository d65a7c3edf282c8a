//! Where another system may be that the settings name: at a public address, by https. Whoever can set an address must
//! not be able to make us look around in our own network, by its name or by a name that leads there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachable {
    PublicOnly,
    /// And, by plain http as well, this machine: for what is played beside a local cloud.
    WithThisMachine,
}

impl Reachable {
    pub fn of_environment() -> Self {
        match crate::required_environment("MATRICULA_STAGE").as_str() {
            "dev" => Self::WithThisMachine,
            _ => Self::PublicOnly,
        }
    }

    fn includes(self, address: IpAddr) -> bool {
        is_public(address) || (self == Self::WithThisMachine && address.is_loopback())
    }

    /// The address, where it may be asked.
    pub fn url(self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        let literal = host.parse::<IpAddr>().ok();
        let is_this_machine =
            host == "localhost" || literal.is_some_and(|address| address.is_loopback());
        let may_be_plain = self == Self::WithThisMachine && is_this_machine;
        let is_scheme_right = url.scheme() == "https" || (url.scheme() == "http" && may_be_plain);
        let is_place_right = match literal {
            Some(address) => self.includes(address),
            None => may_be_plain || (host.contains('.') && !host.ends_with(".localhost")),
        };
        let is_bare =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        (is_scheme_right && is_place_right && is_bare).then_some(url)
    }
}

/// Looks names up, and forgets every address that may not be asked.
pub struct PublicAddresses(pub Reachable);

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let reachable = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> =
                found.filter(|address| reachable.includes(address.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            embedded_v4(address).map_or_else(|| is_global_unicast(address), is_public_v4)
        }
    }
}

/// All that is given out; documentation and benchmarks lie within it.
fn is_global_unicast(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    (first & 0xe000) == 0x2000 && !(first == 0x2001 && matches!(second, 0x2 | 0xdb8))
}

/// Mapped, translated and tunnelled addresses lead to the one that they hold.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, _, _, _, _, high, low] => {
            Some(of(high, low))
        }
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_for_protocols = a == 192 && b == 0 && c == 0;
    let is_for_benchmarks = a == 198 && matches!(b, 18 | 19);
    !(a == 0
        || a >= 224
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || is_shared
        || is_for_protocols
        || is_for_benchmarks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_system_has_a_public_address_and_speaks_https() {
        for good in ["https://idp.example", "https://idp.example:8443/realm", "https://8.8.8.8"] {
            assert!(Reachable::PublicOnly.url(good).is_some(), "{good}");
        }
        for bad in [
            "http://idp.example",
            "ftp://idp.example",
            "idp.example",
            "https://",
            "https://user@idp.example",
            "https://idp.example/#here",
            "https://localhost",
            "https://idp",
            "https://a.localhost",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://224.0.0.1",
            "https://[::1]",
            "https://[::]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://[::ffff:10.0.0.1]",
            "https://[64:ff9b::a00:1]",
            "https://[2002:a00:1::]",
            "https://[2001:db8::1]",
        ] {
            assert_eq!(Reachable::PublicOnly.url(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_machine_is_asked_only_where_the_stage_allows_it() {
        for here in ["http://127.0.0.1:4571", "http://localhost:4571/", "https://[::1]:1"] {
            assert_eq!(Reachable::PublicOnly.url(here), None, "{here}");
            assert!(Reachable::WithThisMachine.url(here).is_some(), "{here}");
        }
        for elsewhere in ["http://10.0.0.1", "https://10.0.0.1", "http://idp.example"] {
            assert_eq!(Reachable::WithThisMachine.url(elsewhere), None, "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_leads_nowhere() {
        let found = |reachable| {
            let name = "localhost".parse().expect("a name");
            PublicAddresses(reachable).resolve(name)
        };
        assert!(found(Reachable::PublicOnly).await.is_err());
        let here = found(Reachable::WithThisMachine).await.expect("this machine");
        assert!(here.into_iter().all(|address| address.ip().is_loopback()));
    }
}
