//! Faults and state over HTTP: `/_simulator/…`, as the module documentation says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use poem::http::StatusCode;
use poem::web::{Data, Json};
use poem::{Body, IntoResponse, Response, Route as Routes, get, handler, put};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::State;
use super::answer::Answer;
use super::calls::Route;
use super::faults::{Fault, Pattern, Rule};

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/_simulator/faults", put(set_faults).delete(clear_faults))
        .at("/_simulator/state", get(show_state))
}

/// One fault of the body of a PUT, and of the state.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
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
            pattern: Pattern::of(json.route, json.uid),
            fault: json.fault,
            work_done: json.work_done,
            times: json.times,
            // A time too far off to be written is never.
            until: json
                .for_ms
                .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
        }
    }
}

impl From<Rule> for RuleJson {
    fn from(rule: Rule) -> Self {
        let (route, uid) = rule.pattern.parts();
        Self {
            route,
            uid: uid.map(str::to_owned),
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
    // Not poem's Json: by hand, nobody wants to write the content type.
    let rules: Vec<RuleJson> = match serde_json::from_slice(&body.into_bytes().await?) {
        Ok(rules) => rules,
        Err(error) => {
            let body = json!({ "code": "generic_error", "detail": error.to_string() });
            return Ok(Answer::json(StatusCode::BAD_REQUEST, &body).into());
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
    let routes = [Route::Create, Route::Get, Route::Portal, Route::ExpireAll];
    let calls = routes.map(|route| (route, state.calls.count(&route.into())));
    let faults = state.faults.in_force().into_iter().map(RuleJson::from);
    Json(json!({
        "applications": state.applications.all(),
        "calls": BTreeMap::from(calls),
        "calls_by_uid": state.calls.by_uid(),
        "portal_sessions": state.sessions.issued(),
        "expired_sessions": state.sessions.expired(),
        "faults": faults.collect::<Vec<_>>(),
    }))
}
