//! Tests of the simulator with the real SDK.

mod faults;
mod responses;
mod server;

use std::time::Duration;

use svix::api::{Svix, SvixOptions};
use svix::error::Error;
use svix::models::{ApplicationIn, ApplicationOut};

use super::{Options, Simulator};

/// The time after which a test fails. No operation here takes nearly as long.
const DEADLINE: Duration = Duration::from_secs(20);

async fn start() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// Creates an SDK client that does not retry, as in the service.
fn client_with_timeout(url: String, timeout: Duration) -> Svix {
    let options = SvixOptions {
        server_url: Some(url),
        timeout: Some(timeout),
        num_retries: Some(0),
        ..SvixOptions::default()
    };
    Svix::new("testsk_any".to_owned(), Some(options))
}

fn client(simulator: &Simulator) -> Svix {
    client_with_timeout(simulator.url(), DEADLINE)
}

async fn get_or_create(svix: &Svix, uid: &str) -> Result<ApplicationOut, Error> {
    let application = ApplicationIn {
        uid: Some(uid.to_owned()),
        ..ApplicationIn::new("Acme".to_owned())
    };
    svix.application().get_or_create(application, None).await
}

/// Returns the status, and the code in the body, of an error response.
#[track_caller]
fn error_of<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    match result.unwrap_err() {
        Error::Http(error) => (error.status.as_u16(), error.payload.unwrap().code),
        other => panic!("expected an error response with a code, got {other:?}"),
    }
}

/// Returns the invalid field that a 422 names.
#[track_caller]
fn invalid_field<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Validation(error) => error.payload.unwrap().detail[0].loc.join("."),
        other => panic!("expected a validation error, got {other:?}"),
    }
}
