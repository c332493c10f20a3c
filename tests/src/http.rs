//! Plain HTTP, in which the servers of the tests speak.

use reqwest::{Client, ClientBuilder, IntoUrl, Response};

/// Returns a builder of clients without a proxy, and without certificates: the system's take
/// long to load.
pub fn builder() -> ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([])
}

/// Creates a client.
pub fn client() -> Client {
    builder().build().unwrap()
}

/// Sends a GET request with a client of its own.
pub async fn get(url: impl IntoUrl) -> reqwest::Result<Response> {
    client().get(url).send().await
}
