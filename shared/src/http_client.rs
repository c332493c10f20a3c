//! HTTP clients for servers that settings name.

use std::error::Error;

use reqwest::{Certificate, Client, ClientBuilder, redirect};
use url::Url;

use crate::config::is_this_machine;

/// Begins a client for one server. The setting alone decides which server that is, so the
/// client follows no redirects. It trusts what `SSL_CERT_FILE` names.
pub fn for_server(url: &Url) -> ClientBuilder {
    let client = Client::builder()
        .user_agent(concat!("partner-keys/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none());
    let client = if is_this_machine(url) {
        client.no_proxy() // a proxy's loopback address is another machine
    } else {
        client
    };
    // The client would ignore SSL_CERT_FILE on some systems.
    let trusted = rustls_native_certs::load_native_certs().certs;
    let trusted = trusted
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok());
    client.tls_certs_only(trusted)
}

/// Returns the error's text with all causes, and without the URL, whose query may be secret.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
