use std::net::IpAddr;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Finding;
use super::steps::LIMIT;

/// Looks up the name of a server. Returns its addresses too, none if it has none.
pub async fn look_up(check: &'static str, host: &str) -> (Finding, Vec<IpAddr>) {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return (
            Finding::ok(check, format!("{host} is an address")),
            vec![address],
        );
    }
    let fix = "correct the host in the setting, or the name server of this machine or container \
               (/etc/resolv.conf)";
    let reason = match timeout(LIMIT, lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            addresses.dedup();
            if !addresses.is_empty() {
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let message = format!("{host} is {}", texts.join(", "));
                return (Finding::ok(check, message), addresses);
            }
            "it has no address".to_owned()
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {LIMIT:?}"),
    };
    let message = format!("the name {host} was not found: {reason}");
    (Finding::error(check, message, fix), Vec::new())
}

/// Returns whether all addresses are of this machine or of a private network, where the
/// operator may have decided that nobody else can read.
pub(super) fn are_near(addresses: &[IpAddr]) -> bool {
    !addresses.is_empty() && addresses.iter().all(is_near)
}

fn is_near(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Judges a connection without TLS, or with a server that is not verified.
pub(super) fn judge_exposed(
    check: &'static str,
    what: &str,
    addresses: &[IpAddr],
    fix: &str,
) -> Finding {
    if are_near(addresses) {
        let message = format!("{what}; the server is on this machine or in a private network");
        Finding::ok(check, message)
    } else {
        Finding::warning(check, format!("{what}, over a public network"), fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn an_exposed_connection_is_a_warning_over_a_public_network() {
        for (addresses, status) in [
            (&["127.0.0.1", "::1"][..], Status::Ok),
            (&["10.1.2.3", "fd00::1"], Status::Ok),
            (&["10.1.2.3", "203.0.113.9"], Status::Warning),
            (&["2001:db8::1"], Status::Warning),
            (&[], Status::Warning),
        ] {
            let parse = |text: &&str| text.parse().unwrap();
            let parsed: Vec<IpAddr> = addresses.iter().map(parse).collect();
            let finding = judge_exposed("x", "not encrypted", &parsed, "use TLS");
            assert_eq!(finding.status, status, "{addresses:?}");
        }
    }
}
