//! The Svix API: a request is recognised, counted, meets its fault or is
//! answered.

use std::sync::Arc;

use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Answer;
use super::applications::{Application, ApplicationIn, Created, alphanumeric};
use super::calls::Route;
use super::faults::Fault;
use super::sessions::PortalSession;
use super::{State, lock};

/// Svix's bounds for a portal link's life, in seconds: one hour to seven days.
const PORTAL_EXPIRY: std::ops::RangeInclusive<u64> = 3_600..=604_800;

/// More than any body of these routes has, in bytes.
const MAX_BODY: usize = 1 << 20;

/// All of `/api/v1`.
pub(super) struct Api {
    state: Arc<State>,
}

/// A request that has been recognised.
struct Call {
    route: Route,
    /// The id or uid in the path; empty for a create.
    application: String,
    get_if_exists: bool,
    /// What stands after `Bearer `.
    token: Option<String>,
    /// The simulator's host and port, as the client writes them.
    host: String,
    body: Vec<u8>,
}

impl Endpoint for Api {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let body = request.take_body().into_bytes_limit(MAX_BODY).await?;
        let Some(call) = recognise(&request, body.into()) else {
            return Ok(Answer::bare(StatusCode::NOT_FOUND).into());
        };
        let uid = self.uid_of(&call);
        self.state.calls.record(call.route, uid.as_deref());
        let Some((fault, work_done)) = self.state.faults.meet(call.route, uid.as_deref()) else {
            return Ok(self.answer(&call).into());
        };
        if work_done {
            self.answer(&call);
        }
        Ok(match fault {
            Fault::Status(code) => {
                let status = StatusCode::from_u16(code);
                Answer::error(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).into()
            }
            Fault::RateLimited => Answer::error(StatusCode::TOO_MANY_REQUESTS).into(),
            Fault::Race => {
                let raced = Call {
                    get_if_exists: false,
                    ..call
                };
                self.answer(&raced).into()
            }
            Fault::Latency(time) => {
                let answer = self.answer(&call);
                tokio::time::sleep(time).await;
                answer.into()
            }
            Fault::Hang => std::future::pending().await,
            Fault::Reset => {
                if let Some(client) = request.remote_addr().as_socket_addr() {
                    self.state.resets.mark(*client);
                }
                // Never arrives: sending it is what meets the mark.
                Answer::bare(StatusCode::OK).into()
            }
            Fault::TruncatedBody => self.answer(&call).truncated(),
            Fault::NotJson => Answer::page().into(),
            Fault::HugeBody(length) => Answer::huge(length).into(),
        })
    }
}

impl Api {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// The uid that the request is about, by which it is counted and matched.
    fn uid_of(&self, call: &Call) -> Option<String> {
        if call.route == Route::Create {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            return body["uid"].as_str().map(str::to_owned);
        }
        let found = self.state.applications.find(&call.application);
        let uid = found.and_then(|application| application.uid);
        Some(uid.unwrap_or_else(|| call.application.clone()))
    }

    /// Does the work. Without an await: a client that goes away cannot stop it halfway.
    fn answer(&self, call: &Call) -> Answer {
        if !self.accepts(call.token.as_deref()) {
            return Answer::error(StatusCode::UNAUTHORIZED);
        }
        let answer = match call.route {
            Route::Create => self.create(call),
            Route::Get => self
                .find(call)
                .map(|application| Answer::json(StatusCode::OK, &application)),
            Route::Portal => self.portal(call),
            Route::ExpireAll => self.expire_all(call),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn accepts(&self, token: Option<&str>) -> bool {
        match (&*lock(&self.state.token), token) {
            (Some(wanted), Some(token)) => wanted == token,
            (None, Some(token)) => !token.is_empty(),
            (_, None) => false,
        }
    }

    fn find(&self, call: &Call) -> Result<Application, Answer> {
        let found = self.state.applications.find(&call.application);
        found.ok_or_else(|| Answer::error(StatusCode::NOT_FOUND))
    }

    fn create(&self, call: &Call) -> Result<Answer, Answer> {
        let input: ApplicationIn = parse(&call.body)?;
        if let Some((field, message)) = input.invalid_field() {
            return Err(Answer::invalid(&["body", field], message));
        }
        match self.state.applications.create(input) {
            Ok(Created::New(application)) => Ok(Answer::json(StatusCode::CREATED, &application)),
            Ok(Created::Existing(application)) if call.get_if_exists => {
                Ok(Answer::json(StatusCode::OK, &application))
            }
            Ok(Created::Existing(_)) => Err(Answer::error(StatusCode::CONFLICT)),
            Err(error) => {
                tracing::error!(%error, "the simulator cannot write its data file");
                Err(Answer::error(StatusCode::INTERNAL_SERVER_ERROR))
            }
        }
    }

    fn portal(&self, call: &Call) -> Result<Answer, Answer> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PortalIn {
            expiry: Option<u64>,
            session_id: Option<String>,
        }
        let input: PortalIn = parse(&call.body)?;
        let expiry = input.expiry.unwrap_or(*PORTAL_EXPIRY.end());
        if !PORTAL_EXPIRY.contains(&expiry) {
            let message = "expiry must be between 3600 and 604800 seconds";
            return Err(Answer::invalid(&["body", "expiry"], message));
        }
        let application = self.find(call)?;
        let token = format!("appsk_{}", alphanumeric::<32>());
        let url = format!("{}://{}/login#key={token}", self.state.scheme, call.host);
        self.state.sessions.issue(PortalSession {
            application: application.id,
            uid: application.uid,
            session_id: input.session_id,
            expiry,
            ended: false,
        });
        Ok(Answer::json(
            StatusCode::OK,
            &json!({ "url": url, "token": token }),
        ))
    }

    fn expire_all(&self, call: &Call) -> Result<Answer, Answer> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ExpireIn {
            #[serde(default)]
            session_ids: Vec<String>,
        }
        let input: ExpireIn = parse(&call.body)?;
        let application = self.find(call)?;
        self.state
            .sessions
            .expire(&application.id, input.session_ids);
        Ok(Answer::bare(StatusCode::NO_CONTENT))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| Answer::invalid(&["body"], &error.to_string()))
}

/// The route, with or without a slash at its end; `None` for any other.
fn recognise(request: &Request, body: Vec<u8>) -> Option<Call> {
    let segments: Vec<&str> = request
        .uri()
        .path()
        .trim_end_matches('/')
        .split('/')
        .collect();
    let (route, application) = match (request.method(), &segments[..]) {
        (&Method::POST, ["", "api", "v1", "app"]) => (Route::Create, ""),
        (&Method::GET, ["", "api", "v1", "app", app]) => (Route::Get, *app),
        (&Method::POST, ["", "api", "v1", "auth", "app-portal-access", app]) => {
            (Route::Portal, *app)
        }
        (&Method::POST, ["", "api", "v1", "auth", "app", app, "expire-all"]) => {
            (Route::ExpireAll, *app)
        }
        _ => return None,
    };
    let token = request
        .header(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "));
    let query = request.uri().query().unwrap_or_default();
    Some(Call {
        route,
        application: application.to_owned(),
        get_if_exists: query.split('&').any(|pair| pair == "get_if_exists=true"),
        token: token.map(str::to_owned),
        host: request.header(header::HOST).unwrap_or_default().to_owned(),
        body,
    })
}
