//! What a newcomer reads first.

use std::net::SocketAddr;

use shared::session::SessionToken;
use svix_simulator::Simulator;

use crate::demo;

/// Prints where it runs and what to try, on standard output.
pub fn print(address: SocketAddr, token: Option<&SessionToken>, simulator: Option<&Simulator>) {
    let url = format!("http://{address}");
    let session = token.map_or_else(
        || "a JWT of your identity provider, in $TOKEN".to_owned(),
        |token| format!("{}   (account \"demo\", for a day)", token.expose()),
    );
    // The sign-in is for this machine alone, and 0.0.0.0 is no address to go to.
    let local = format!("http://127.0.0.1:{}", address.port());
    let open = if address.ip().is_unspecified() {
        &local
    } else {
        &url
    };
    let open = match token {
        Some(_) => format!(
            "Open this to see it, signed in as \"demo\":

  {open}{}",
            demo::SIGN_IN
        ),
        None => format!(
            "Once your login has set the session cookie, open

  {open}/dashboard"
        ),
    };
    let token = token.map_or("$TOKEN", SessionToken::expose);
    let svix = simulator.map_or_else(
        || "real, by SVIX_TOKEN".to_owned(),
        |simulator| {
            format!(
                "a simulator at {}; set SVIX_TOKEN for the real one",
                simulator.url()
            )
        },
    );
    println!(
        "\
Partner API keys is up. {open}

  URL            {url}
  Documentation  {url}/docs
  Svix           {svix}
  Session token  {session}

Or try it in another terminal, line by line:

# create the key: it is shown this once, and kept in $KEY for the portal
KEY=$(curl -sS -X POST {url}/api/v1/partners/api-key -H \"Authorization: Bearer {token}\" | tee /dev/stderr | sed -n 's/.*\"api_key\":\"\\([^\"]*\\)\".*/\\1/p')

# show it: has_webhook turns true by itself
curl -sS {url}/api/v1/partners/api-key -H \"Authorization: Bearer {token}\"

# exchange the key for a link to the webhook portal
curl -sS {url}/api/v1/partners/portal -H \"Authorization: Bearer $KEY\"

# revoke it: from now on the portal answers 401
curl -sS -X DELETE {url}/api/v1/partners/api-key -H \"Authorization: Bearer {token}\"
"
    );
}
