//! A simulator of the Svix server. It answers the official `svix` SDK over HTTP
//! or HTTPS as Svix does, and fails on request.
//!
//! It has the six operations that the service uses:
//!
//! | route | request | response |
//! |---|---|---|
//! | [`Route::Create`] | `POST /api/v1/app?get_if_exists=` | 201; 200 if it existed; 409; 422 |
//! | [`Route::Get`] | `GET /api/v1/app/{id or uid}` | 200, 404 |
//! | [`Route::Portal`] | `POST /api/v1/auth/app-portal-access/{id or uid}` | 200, 404, 422 |
//! | [`Route::ExpireAll`] | `POST /api/v1/auth/app/{id or uid}/expire-all` | 204, 404, 422 |
//! | [`Route::Endpoints`] | `GET /api/v1/app/{id or uid}/endpoint` | 200, 404 |
//! | [`Route::PatchEndpoint`] | `PATCH /api/v1/app/{id or uid}/endpoint/{id}` | 200, 404 |
//!
//! All paths work with and without a trailing slash. A missing or invalid token is
//! answered with 401. `GET /login` is the page that portal links open.
//!
//! # In tests
//! Start a [`Simulator`] and pass [`Simulator::url`] to the SDK as `server_url`.
//! Any token that is not empty is accepted, unless [`Options::token`] is set.
//! [`Simulator::fault`] applies a [`Fault`] to the requests that match a [`Pattern`].
//!
//! # By hand
//! Start the simulator:
//! ```sh
//! cargo run --bin svix-simulator -- --listen 127.0.0.1:8071
//! ```
//! Start the api and the worker with `SVIX_SERVER_URL=http://127.0.0.1:8071` and
//! any `SVIX_TOKEN`. Then control the simulator from another terminal:
//! ```sh
//! # Let the next two creations fail with 503, and delay every portal link by 2 s
//! curl -X PUT http://127.0.0.1:8071/_simulator/faults -d '[
//!   {"route": "create", "fault": {"status": 503}, "times": 2},
//!   {"route": "portal", "fault": {"latency_ms": 2000}}
//! ]'
//!
//! # Show the applications, the number of calls, the portal sessions and the active faults
//! curl http://127.0.0.1:8071/_simulator/state
//!
//! # Remove all faults
//! curl -X DELETE http://127.0.0.1:8071/_simulator/faults
//! ```
//! These requests need no token, so listen only on the loopback address.
//!
//! The body of the `PUT` replaces all faults. If the body is invalid, the response
//! is 400 with the reason, and the faults stay as they are. Each fault has:
//!
//! | member | meaning |
//! |---|---|
//! | `fault` | required; one of the faults below |
//! | `route` | `create`, `get`, `portal`, `expire_all`, `endpoints` or `patch_endpoint`; default: all routes |
//! | `uid` | the uid of one application, as the state shows it; default: all applications |
//! | `times` | the number of requests it applies to; default: no limit |
//! | `for_ms` | the time it is active, in milliseconds; default: until it is removed |
//! | `work_done` | `true`: the operation runs before the fault applies; default: `false` |
//!
//! The faults are `{"status": 503}`, `"rate_limited"`, `"race"`, `{"latency_ms": 2000}`,
//! `"hang"`, `"reset"`, `"truncated_body"`, `"not_json"` and `{"huge_body": 10000000}`.
//! [`Fault`] explains them.

mod api;
mod applications;
mod calls;
mod connection;
mod control;
mod endpoints;
mod faults;
mod pattern;
mod portal;
mod request;
mod response;
mod sessions;
mod simulator;
mod state;
#[cfg(test)]
mod tests;

pub use applications::Application;
pub use endpoints::Endpoint;
pub use faults::{Fault, FaultBuilder};
pub use pattern::{Pattern, Route};
pub use sessions::PortalSession;
pub use simulator::{Options, Simulator, SimulatorError};
