//! The text that `standalone` prints when it has started.

use std::net::SocketAddr;

use shared::outln;
use shared::session::SessionToken;
use svix_simulator::Simulator;

use crate::demo;

/// The `curl` lines to try, which `make stack` prints too. `{url}` and `{token}`
/// are placeholders.
const FIRST_STEPS: &str = include_str!("../../docs/first-steps.txt");

/// Prints the addresses of the service and the `curl` lines to standard output.
/// Without a token the lines take it from the variable `TOKEN` of the shell.
pub fn print(
    address: SocketAddr,
    token: Option<&SessionToken>,
    simulator: Option<&Simulator>,
    has_docs: bool,
) {
    let url = format!("http://{address}");
    // The demo sign-in works only on this machine, and browsers cannot open 0.0.0.0.
    let local = if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        url.clone()
    };
    let (dashboard, session) = match token {
        Some(token) => (
            format!(
                "To see the dashboard as the account \"demo\", open\n\n  {local}{}",
                demo::SIGN_IN
            ),
            format!("{}   (account \"demo\", valid for a day)", token.expose()),
        ),
        None => (
            format!("Once your login has set the session cookie, open\n\n  {local}/dashboard"),
            "of your login, in $TOKEN".to_owned(),
        ),
    };
    let svix = simulator.map_or_else(
        || "the real one, because SVIX_TOKEN is set".to_owned(),
        |simulator| {
            format!(
                "a simulator at {}; set SVIX_TOKEN to use the real one",
                simulator.url()
            )
        },
    );
    let docs = if has_docs {
        format!("{url}/docs")
    } else {
        "off".to_owned()
    };
    let first_steps = FIRST_STEPS
        .replace("{url}", &url)
        .replace("{token}", token.map_or("$TOKEN", SessionToken::expose));
    outln!(
        "\
Partner API keys is running. {dashboard}

  URL            {url}
  Documentation  {docs}
  Svix           {svix}
  Session token  {session}

Or try it in another terminal, line by line:

{first_steps}"
    );
}
