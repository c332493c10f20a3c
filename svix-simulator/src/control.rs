//! The HTTP interface to faults and state, `/_simulator/…`. The crate's
//! documentation describes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{Body, IntoResponse, Response, Route as Routes, get, handler, put};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::faults::{Fault, Rule};
use super::pattern::{Pattern, Route};
use super::response::SvixResponse;
use super::state::State;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/_simulator/faults", put(set_faults).delete(clear_faults))
        .at("/_simulator/state", get(show_state))
}

/// One fault in the body of a PUT and in the state.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an object with the member `fault`")]
struct RuleJson {
    route: Option<Route>,
    uid: Option<String>,
    fault: Fault,
    #[serde(default)]
    work_done: bool,
    times: Option<u64>,
    for_ms: Option<u64>,
}

impl From<RuleJson> for Rule {
    fn from(json: RuleJson) -> Self {
        Self {
            pattern: Pattern::from_parts(json.route, json.uid),
            fault: json.fault,
            work_done: json.work_done,
            times: json.times,
            // A time too large for an `Instant` means that the fault does not end.
            until: json
                .for_ms
                .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
        }
    }
}

impl From<Rule> for RuleJson {
    fn from(rule: Rule) -> Self {
        let (route, uid) = rule.pattern.into_parts();
        Self {
            route,
            uid,
            fault: rule.fault,
            work_done: rule.work_done,
            times: rule.times,
            for_ms: rule
                .until
                .map(|until| until.saturating_duration_since(Instant::now()))
                .map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

#[handler]
async fn set_faults(Data(state): Data<&Arc<State>>, body: Body) -> poem::Result<Response> {
    // Not poem's `Json`, which requires a Content-Type header: curl's -d sends another one.
    let rules: Vec<RuleJson> = match serde_json::from_slice(&body.into_bytes().await?) {
        Ok(rules) => rules,
        Err(error) => {
            let detail = format!("the body must be a JSON list of faults: {error}");
            let body = json!({ "code": "generic_error", "detail": detail });
            return Ok(SvixResponse::json(StatusCode::BAD_REQUEST, &body).into());
        }
    };
    let rules = rules.into_iter().map(Rule::from).collect();
    state.faults.replace(rules);
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[handler]
fn clear_faults(Data(state): Data<&Arc<State>>) -> StatusCode {
    state.faults.replace(Vec::new());
    StatusCode::NO_CONTENT
}

#[handler]
fn show_state(Data(state): Data<&Arc<State>>) -> Json<serde_json::Value> {
    let routes = [
        Route::Create,
        Route::Get,
        Route::Portal,
        Route::ExpireAll,
        Route::Endpoints,
        Route::PatchEndpoint,
    ];
    let calls = routes.map(|route| (route, state.calls.count(&route.into())));
    let faults = state.faults.active().into_iter().map(RuleJson::from);
    Json(json!({
        "applications": state.applications.all(),
        "calls": BTreeMap::from(calls),
        "calls_by_uid": state.calls.by_uid(),
        "portal_sessions": state.sessions.issued(),
        "expired_sessions": state.sessions.expired(),
        "faults": faults.collect::<Vec<_>>(),
    }))
}
