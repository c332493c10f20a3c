use poem::http::{HeaderMap, Method, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use shared::ids::AccountId;
use shared::session::SessionToken;
use shared::store::{Actor, Origin, SessionKeys};

use super::{bearer, caller, register_bearer};
use crate::error::{ApiError, ErrorCode, messages};
use crate::{App, csrf};

const COOKIE_SCHEME: &str = "SessionCookie";
const BEARER_SCHEME: &str = "SessionBearer";

/// A caller with a session of this account. The session token is sent as a Bearer
/// token or, without an `Authorization` header, in the session cookie.
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Where the request came from.
    pub origin: Origin,
}

/// A caller with a session, as [`SignedIn`], and the account's keys. Both are found at once,
/// which is faster than one after the other.
pub struct SignedInWithKeys(pub SessionKeys);

/// The place of a session token in the request.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Bearer,
    Cookie,
}

impl SignedIn {
    /// Returns the account of the session in the request.
    async fn authenticate(request: &Request) -> Result<Self, ApiError> {
        let app = request.data::<App>().ok_or_else(ApiError::internal)?;
        let found = caller::limited(app, request, async {
            let (token, source) = session_token(request, app)?;
            let session = app.sessions.find(&token, &*app.store, app.clock.now());
            Ok((session.await?, source))
        });
        let (session, source) = found.await?;

        // Browsers also add the cookie to requests that other sites make.
        let writes = !matches!(*request.method(), Method::GET | Method::HEAD);
        let origins = &app.http.allowed_origins;
        if source == Source::Cookie
            && writes
            && !csrf::is_allowed(request.headers(), request.uri(), origins)
        {
            return Err(ApiError::new(ErrorCode::Forbidden, messages::CROSS_SITE));
        }
        Ok(Self {
            account: session.account,
            origin: caller::origin(request, Actor::Account, session.id),
        })
    }
}

impl SignedInWithKeys {
    /// Returns the account of the session in the request, with its keys. It is for requests
    /// that change nothing: another site may make them with the cookie, but not read the answer.
    async fn authenticate(request: &Request) -> Result<Self, ApiError> {
        let app = request.data::<App>().ok_or_else(ApiError::internal)?;
        let found = caller::limited(app, request, async {
            let (token, _) = session_token(request, app)?;
            let now = app.clock.now();
            app.sessions.find_keys(&token, &*app.store, now).await
        });
        Ok(Self(found.await?))
    }
}

/// Returns the request's session token and its place.
fn session_token(request: &Request, app: &App) -> Result<(SessionToken, Source), ApiError> {
    let found = token_in(request.headers(), &app.http.session_cookie);
    let (token, source) = found.ok_or_else(ApiError::no_session)?;
    let token = SessionToken::parse(token).map_err(|_| ApiError::no_session())?;
    Ok((token, source))
}

/// Returns what is sent in the place of a session token, and the place. With an
/// `Authorization` header, even a malformed one, the cookie is ignored.
fn token_in<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<(&'a str, Source)> {
    match bearer::token(headers) {
        Ok(Some(token)) => Some((token, Source::Bearer)),
        Ok(None) => Some((cookie_value(headers, cookie)?, Source::Cookie)),
        Err(bearer::Malformed) => None,
    }
}

/// Returns the value of the cookie if it is sent exactly once. With several,
/// another site of the same domain may have set one of them.
pub(super) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut values = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        // Pair by pair: other cookies may contain bytes that are not UTF-8.
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        // Only space and tab. Browsers protect the names that begin with `__Host-`, but
        // not the same name after another kind of space.
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(|(given, _)| *given == name)
        .map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

impl<'a> ApiExtractor<'a> for SignedIn {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let description =
            "The session token as a Bearer token. If a cookie is sent too, it is ignored.";
        register_bearer(registry, BEARER_SCHEME, description, None);
        registry.create_security_scheme(
            COOKIE_SCHEME,
            MetaSecurityScheme {
                ty: "apiKey",
                description: Some(
                    "The browser's session cookie. A POST or DELETE with it must come from the \
                     same origin (`Sec-Fetch-Site: same-origin` or `none`), or from an allowed \
                     `Origin`.",
                ),
                name: Some("session"), // `openapi::service` replaces it by the configured name
                key_in: Some("cookie"),
                scheme: None,
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER_SCHEME, COOKIE_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self::authenticate(request).await?)
    }
}

impl<'a> ApiExtractor<'a> for SignedInWithKeys {
    const TYPES: &'static [ApiExtractorType] = <SignedIn as ApiExtractor>::TYPES;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        SignedIn::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        SignedIn::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self::authenticate(request).await?)
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn with_an_authorization_header_the_cookie_is_ignored() {
        let both = headers(&[
            (header::AUTHORIZATION, "Bearer one"),
            (header::COOKIE, "session=two"),
        ]);
        assert_eq!(token_in(&both, "session"), Some(("one", Source::Bearer)));
        let malformed = headers(&[
            (header::AUTHORIZATION, "Basic one"),
            (header::COOKIE, "session=two"),
        ]);
        assert_eq!(token_in(&malformed, "session"), None);
    }

    #[test]
    fn another_cookie_that_is_not_utf_8_does_not_hide_ours() {
        let line = HeaderValue::from_bytes(b"a=\xff\xfe; session=two; b=\xc3\xa9").unwrap();
        let headers = [(header::COOKIE, line)].into_iter().collect();
        assert_eq!(token_in(&headers, "session"), Some(("two", Source::Cookie)));
    }

    #[test]
    fn a_name_after_any_other_kind_of_space_is_another_name() {
        for space in [
            "\u{2000}", "\u{a0}", "\u{3000}", "\u{feff}", "\u{b}", "\u{c}",
        ] {
            let line = format!("{space}__Host-session=forged");
            if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
                let headers = [(header::COOKIE, line)].into_iter().collect();
                assert_eq!(token_in(&headers, "__Host-session"), None, "{space:?}");
            }
        }
        let line = HeaderValue::from_static("a=1;\t __Host-session=ours \t");
        let headers = [(header::COOKIE, line)].into_iter().collect();
        let found = token_in(&headers, "__Host-session");
        assert_eq!(found, Some(("ours", Source::Cookie)));
    }

    #[test]
    fn the_cookie_is_found_among_others_and_refused_when_sent_twice() {
        let one = headers(&[(header::COOKIE, "a=1; session=two; b=3")]);
        assert_eq!(token_in(&one, "session"), Some(("two", Source::Cookie)));
        let twice = headers(&[
            (header::COOKIE, "session=two"),
            (header::COOKIE, "session=three"),
        ]);
        assert_eq!(token_in(&twice, "session"), None);
        let none = headers(&[(header::COOKIE, "sessions=two; session")]);
        assert_eq!(token_in(&none, "session"), None);
    }
}
