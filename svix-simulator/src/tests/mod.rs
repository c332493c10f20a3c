//! The simulator, asked by the real SDK.

mod answers;
mod faults;
mod server;

use std::time::Duration;

use svix::api::{Svix, SvixOptions};
use svix::error::Error;
use svix::models::{ApplicationIn, ApplicationOut};

use super::{Options, Simulator};

/// Longer than anything on this machine takes; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

async fn start() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

/// The SDK as the service uses it: without retries of its own.
fn sdk(url: String, timeout: Duration) -> Svix {
    let options = SvixOptions {
        server_url: Some(url),
        timeout: Some(timeout),
        num_retries: Some(0),
        ..SvixOptions::default()
    };
    Svix::new("testsk_any".to_owned(), Some(options))
}

fn client(simulator: &Simulator) -> Svix {
    sdk(simulator.url(), DEADLINE)
}

async fn get_or_create(svix: &Svix, uid: &str) -> Result<ApplicationOut, Error> {
    let application = ApplicationIn {
        uid: Some(uid.to_owned()),
        ..ApplicationIn::new("Acme".to_owned())
    };
    svix.application().get_or_create(application, None).await
}

/// The status and code of an error's body.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (u16, String) {
    match result.unwrap_err() {
        Error::Http(error) => (error.status.as_u16(), error.payload.unwrap().code),
        other => panic!("not an answer with a code: {other:?}"),
    }
}

/// The place that a 422 names.
#[track_caller]
fn invalid<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Validation(error) => error.payload.unwrap().detail[0].loc.join("."),
        other => panic!("not a validation error: {other:?}"),
    }
}
