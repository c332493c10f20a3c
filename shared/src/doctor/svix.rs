use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::steps::{LIMIT, skip};
use super::{Finding, Status, look_up};
use crate::svix::{SvixClient, SvixConfig, SvixFailure};

const REGION: &str = "svix.region";
const NAME: &str = "svix.name";
const TOKEN: &str = "svix.token";

/// The end of the hosts of Svix's cloud.
const CLOUD: &str = ".svix.com";

/// Checks that Svix is there and takes our token.
pub(super) async fn check(config: Option<&SvixConfig>) -> Vec<Finding> {
    let Some(config) = config else {
        return skip(&[REGION, NAME, TOKEN], "a setting for Svix is invalid");
    };
    let region = check_region(config);
    let is_theirs = region.status != Status::Error;
    let mut findings = vec![region];
    let server = Url::parse(config.server()).ok();
    let host = server.as_ref().and_then(Url::host_str).unwrap_or_default();
    let (name, addresses) = look_up(NAME, host).await;
    findings.push(name);
    findings.push(if addresses.is_empty() {
        Finding::skipped(TOKEN, "the server's name was not found")
    } else if !is_theirs {
        Finding::skipped(
            TOKEN,
            "the token is not sent to a server that it is not for",
        )
    } else {
        check_token(config, host).await
    });
    findings
}

/// Compares the region that the token names with the server.
fn check_region(config: &SvixConfig) -> Finding {
    let region = config.region();
    let server = config.server();
    let is_cloud = Url::parse(server)
        .is_ok_and(|url| url.host_str().is_some_and(|host| host.ends_with(CLOUD)));
    match (region, &config.server_url) {
        (Some(_), None) => Finding::ok(REGION, format!("the token names {server}")),
        (Some((name, theirs)), Some(_)) if is_cloud && server != theirs => Finding::error(
            REGION,
            format!("the token is for the region {name}, and SVIX_SERVER_URL is of another"),
            format!("remove SVIX_SERVER_URL, or set it to {theirs}"),
        ),
        (_, Some(_)) => Finding::ok(REGION, "SVIX_SERVER_URL names the server"),
        // Svix's own server has JSON Web Tokens, which begin with `{"` in base64.
        (None, None) if config.token.expose_secret().starts_with("eyJ") => Finding::error(
            REGION,
            "the token is of a Svix server of your own, and no server is set",
            "set SVIX_SERVER_URL to your server",
        ),
        (None, None) => Finding::warning(
            REGION,
            format!("the token names no region, so {server} is used"),
            "copy the whole token, with its end such as .eu or .us, or set SVIX_SERVER_URL",
        ),
    }
}

/// Asks for an application that nobody has, which changes nothing.
async fn check_token(config: &SvixConfig, host: &str) -> Finding {
    let client = SvixClient::new(config, LIMIT);
    let started = tokio::time::Instant::now();
    let Err(error) = client.try_token().await else {
        let took: Duration = started.elapsed();
        let message = format!("{host} accepts the token, within {} ms", took.as_millis());
        return Finding::ok(TOKEN, message);
    };
    let message = format!("{host}: {error}");
    let fix = match error.failure {
        SvixFailure::Unauthorized => {
            "set SVIX_TOKEN to a token of this environment and region; it may have expired"
        }
        SvixFailure::NoSuchRoute => {
            "correct SVIX_SERVER_URL: what answers there is not the API of Svix"
        }
        SvixFailure::RateLimited => "wait, or ask Svix for a higher limit",
        _ if error.to_string().contains("certificate") => {
            "add the server's CA to the file of SSL_CERT_FILE, or correct the host"
        }
        _ => {
            "allow connections from this machine to the server (firewall, NetworkPolicy), and \
             look whether it works: https://status.svix.com for the cloud"
        }
    };
    Finding::error(TOKEN, message, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_the_token_and_the_server_agree() {
        for (token, server_url, status) in [
            ("sk_abc.eu", None, Status::Ok),
            ("sk_abc.eu", Some("https://api.eu.svix.com"), Status::Ok),
            ("sk_abc.eu", Some("https://api.us.svix.com"), Status::Error),
            ("sk_abc.eu", Some("https://svix.example.com"), Status::Ok),
            ("sk_abc", None, Status::Warning),
            ("sk_abc.xx", None, Status::Warning),
            ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", None, Status::Error),
            (
                "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
                Some("https://a.example"),
                Status::Ok,
            ),
        ] {
            let config = SvixConfig {
                token: token.into(),
                server_url: server_url.map(str::to_owned),
                uid_prefix: String::new(),
            };
            let finding = check_region(&config);
            assert_eq!(finding.status, status, "{token} {server_url:?}");
            assert!(!format!("{finding:?}").contains(token), "{finding:?}");
        }
    }
}
