//! Which addresses lie in the open internet, and which others are let through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// IPv4 networks that are not of the open internet (RFC 6890 and its successors).
const CLOSED_V4: [(Ipv4Addr, u8, &str); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address of a provider's own network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for measurements"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address for documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// IPv6 networks within 2000::/3 that are not of the open internet.
const CLOSED_V6: [(Ipv6Addr, u8, &str); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved address"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address for documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address for documentation"),
];

fn within_v4(address: Ipv4Addr, network: Ipv4Addr, bits: u8) -> bool {
    (address.to_bits() ^ network.to_bits()).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
}

fn within_v6(address: Ipv6Addr, network: Ipv6Addr, bits: u8) -> bool {
    (address.to_bits() ^ network.to_bits()).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
}

/// The IPv4 address that an IPv6 address stands for: mapped, translated (NAT64) or tunnelled (6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, .., y, z] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    if within_v6(address, Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96)
        || within_v6(address, Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)
    {
        return Some(from(y, z));
    }
    (first == 0x2002).then(|| from(second, third))
}

/// What kind of address this is, when it is not one of the open internet.
fn closed(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => {
            CLOSED_V4.iter().find(|(network, bits, _)| within_v4(v4, *network, *bits)).map(|found| found.2)
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = embedded(v6) {
                return closed(v4.into());
            }
            if v6.is_loopback() {
                return Some("a loopback address");
            }
            if !within_v6(v6, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) {
                return Some("a private or reserved address");
            }
            CLOSED_V6.iter().find(|(network, bits, _)| within_v6(v6, *network, *bits)).map(|found| found.2)
        }
    }
}

/// Hosts and networks that are let through although they are not of the open internet.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
}

impl Allowed {
    /// Reads a list of host names, addresses and CIDR networks.
    pub(super) fn read(list: &[String]) -> Result<Self, String> {
        let mut allowed = Self::default();
        for item in list.iter().map(|item| item.trim()) {
            let bare = item.trim_start_matches('[').trim_end_matches(']');
            if let Ok(network) = item.parse::<IpNet>() {
                allowed.networks.push(network);
            } else if let Ok(address) = bare.parse::<IpAddr>() {
                allowed.networks.push(address.into());
            } else {
                match url::Host::parse(item) {
                    Ok(url::Host::Domain(name)) => allowed.hosts.push(plain_name(&name)),
                    _ => {
                        return Err(format!(
                            "{item:?} is no host name, address or network such as 10.0.0.0/8"
                        ));
                    }
                }
            }
        }
        Ok(allowed)
    }

    /// True when every address of this name is let through.
    pub(super) fn host(&self, name: &str) -> bool {
        let name = plain_name(name);
        self.hosts.contains(&name)
    }

    /// Refuses an address that is neither of the open internet nor on the list: what it is.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), &'static str> {
        let Some(kind) = closed(address) else { return Ok(()) };
        let meant = match address {
            IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
            v4 => v4,
        };
        if self.networks.iter().any(|network| network.contains(&meant) || network.contains(&address)) {
            return Ok(());
        }
        Err(kind)
    }
}

fn plain_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        Allowed::default().check(text.parse().unwrap()).is_err()
    }

    #[test]
    fn only_the_open_internet_is_let_through() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "::127.0.0.1",
            "100::1",
            "fec0::1",
        ] {
            assert!(refused(address), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "193.0.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(!refused(address), "{address}");
        }
    }

    #[test]
    fn the_list_lets_through_what_it_names_and_nothing_else() {
        let list = ["127.0.0.1", "10.1.0.0/16", "[::1]", "Files.Example"].map(String::from);
        let allowed = Allowed::read(&list).unwrap();
        let check = |text: &str| allowed.check(text.parse().unwrap()).is_ok();
        assert!(check("127.0.0.1") && check("::ffff:127.0.0.1") && check("10.1.2.3") && check("::1"));
        assert!(!check("127.0.0.2") && !check("10.2.0.1") && !check("169.254.169.254"));
        assert!(allowed.host("files.example.") && allowed.host("FILES.example") && !allowed.host("example"));
        assert!(Allowed::read(&["10.0.0.0/40".into()]).is_err());
        assert!(Allowed::read(&["a b".into()]).is_err());
    }
}
