use std::collections::HashMap;

use futures_util::future::{self, Either};
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderValue, Method};
use poem::{Endpoint, EndpointExt, PathPattern, Request, Response};
use poem_openapi::OpenApi;

/// The endpoints by path and method, as poem-openapi lists those of operations.
pub type RouteTable = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// The routes of a listener: operations, pages and probes.
///
/// No path has parameters, so a lookup by path is enough. poem-openapi's endpoint would be a
/// second set of routes within poem's, and would look for cookies and a query. poem's routes
/// wrap an operation three times, and each layer copies the request. Together that was a fifth
/// of the work of a key check.
pub struct Routes {
    paths: HashMap<String, Path>,
    /// Paths that are served with all paths below them, for any method.
    subtrees: Vec<(PathPattern, BoxEndpoint<'static>)>,
}

/// The endpoints of a path.
struct Path {
    pattern: PathPattern,
    methods: HashMap<Method, BoxEndpoint<'static>>,
}

/// Returns how the log and the metrics name a path.
fn pattern(path: &str) -> PathPattern {
    assert!(!path.contains([':', '*', '<']), "{path} has parameters");
    PathPattern(path.into())
}

/// The value of the `Allow` header, which RFC 9110 requires of a 405. It is part of the error.
#[derive(Clone)]
pub(super) struct Allow(pub(super) HeaderValue);

/// Returns whether a path is `root`, or below it.
pub(super) fn is_within(root: &str, path: &str) -> bool {
    let below = path.strip_prefix(root);
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

impl Routes {
    /// Serves the operations of a document.
    ///
    /// # Panics
    ///
    /// Panics if one of their paths has parameters.
    pub fn of(operations: impl OpenApi) -> Self {
        let mut table = RouteTable::new();
        operations.add_routes(&mut table);
        let paths = table.into_iter().map(|(path, methods)| {
            let pattern = pattern(&path);
            (path, Path { pattern, methods })
        });
        Self {
            paths: paths.collect(),
            subtrees: Vec::new(),
        }
    }

    /// Serves an endpoint at a path, for one method. `GET` stands for `HEAD` too.
    ///
    /// # Panics
    ///
    /// Panics if the path has parameters, or serves this method already.
    #[must_use]
    pub fn and_at(
        mut self,
        path: &str,
        method: Method,
        endpoint: impl Endpoint<Output = Response> + 'static,
    ) -> Self {
        let new = || Path {
            pattern: pattern(path),
            methods: HashMap::new(),
        };
        let served = self.paths.entry(path.to_owned()).or_insert_with(new);
        let earlier = served.methods.insert(method, endpoint.boxed());
        assert!(earlier.is_none(), "{path} serves this method already");
        self
    }

    /// Serves an endpoint at a path and all paths below it, for any method.
    ///
    /// # Panics
    ///
    /// Panics if the path has parameters.
    #[must_use]
    pub fn and_below(
        mut self,
        path: &str,
        endpoint: impl Endpoint<Output = Response> + 'static,
    ) -> Self {
        self.subtrees.push((pattern(path), endpoint.boxed()));
        self
    }

    /// Returns the endpoint for a request, or the error that it is answered with, and the path
    /// that is served.
    fn find(
        &self,
        path: &str,
        method: &Method,
    ) -> Option<(Result<&BoxEndpoint<'static>, poem::Error>, &PathPattern)> {
        if let Some(served) = self.paths.get(path) {
            let endpoint = served.methods.get(method);
            let endpoint = endpoint.ok_or_else(|| served.not_allowed());
            return Some((endpoint, &served.pattern));
        }
        let mut subtrees = self.subtrees.iter();
        let (pattern, endpoint) = subtrees.find(|(root, _)| is_within(&root.0, path))?;
        Some((Ok(endpoint), pattern))
    }
}

impl Path {
    fn not_allowed(&self) -> poem::Error {
        let mut methods: Vec<&str> = self.methods.keys().map(Method::as_str).collect();
        if self.methods.contains_key(&Method::GET) {
            methods.push(Method::HEAD.as_str());
        }
        methods.sort_unstable();
        let mut error = poem::Error::from(MethodNotAllowedError);
        if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
            error.set_data(Allow(methods));
        }
        error
    }
}

impl Endpoint for Routes {
    type Output = Response;

    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let is_head = request.method() == Method::HEAD;
        if is_head {
            request.set_method(Method::GET);
        }
        let Some((endpoint, path)) = self.find(request.uri().path(), request.method()) else {
            return Either::Right(future::ready(Err(NotFoundError.into())));
        };
        let answered = endpoint.map(|endpoint| DynEndpoint::call(&**endpoint, request));
        Either::Left(async move {
            let answered = match answered {
                Ok(answered) => answered.await,
                Err(error) => Err(error),
            };
            // The log and the metrics name the path that is served, and not the client's.
            match answered {
                Ok(mut response) => {
                    response.set_data(path.clone());
                    if is_head {
                        response.set_body(());
                    }
                    Ok(response)
                }
                Err(mut error) => {
                    error.set_data(path.clone());
                    Err(error)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use poem::http::StatusCode;

    use super::*;

    fn says(text: &'static str) -> impl Endpoint<Output = Response> {
        make_sync(move |_| Response::from(text))
    }

    async fn answer(routes: &Routes, method: Method, path: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri_str(path).finish();
        let response = routes.get_response(request).await;
        (
            response.status(),
            response.into_body().into_string().await.unwrap(),
        )
    }

    #[tokio::test]
    async fn each_path_and_method_leads_to_its_endpoint() {
        let routes = Routes::of(())
            .and_at("/both", Method::POST, says("written"))
            .and_at("/both", Method::GET, says("read"))
            .and_at("/write", Method::POST, says("written"))
            .and_below("/any", says("any"));
        for (method, path, answered) in [
            (Method::GET, "/both", "read"),
            (Method::HEAD, "/both", ""),
            (Method::POST, "/both", "written"),
            (Method::POST, "/write", "written"),
            (Method::GET, "/any", "any"),
            (Method::DELETE, "/any/", "any"),
            (Method::POST, "/any/path/below?a=b", "any"),
        ] {
            let expected = (StatusCode::OK, answered.to_owned());
            assert_eq!(answer(&routes, method, path).await, expected, "{path}");
        }
        for path in ["/both/", "/anything", "/"] {
            let status = answer(&routes, Method::GET, path).await.0;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    #[should_panic(expected = "/keys/:id has parameters")]
    fn a_path_with_parameters_is_refused() {
        let _routes = Routes::of(()).and_at("/keys/:id", Method::GET, says("never"));
    }

    #[tokio::test]
    async fn an_error_about_the_method_names_those_that_are_allowed() {
        let routes = Routes::of(())
            .and_at("/both", Method::POST, says("written"))
            .and_at("/both", Method::GET, says("read"))
            .and_at("/write", Method::POST, says("written"));
        for (method, path, allowed) in [
            (Method::DELETE, "/both", "GET, HEAD, POST"),
            (Method::GET, "/write", "POST"),
            (Method::HEAD, "/write", "POST"),
        ] {
            let request = Request::builder().method(method).uri_str(path).finish();
            let error = routes.call(request).await.unwrap_err();
            assert_eq!(error.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(error.data::<Allow>().unwrap().0, allowed, "{path}");
        }
    }

    #[tokio::test]
    async fn a_response_and_an_error_name_the_path_that_is_served() {
        let write = says("written");
        let routes = Routes::of(()).and_below("/any", says("any"));
        let routes = routes.and_at("/write", Method::POST, write);
        let request = |path| Request::builder().uri_str(path).finish();
        let response = routes.call(request("/any/path")).await.unwrap();
        assert_eq!(&*response.data::<PathPattern>().unwrap().0, "/any");
        let error = routes.call(request("/write")).await.unwrap_err();
        assert_eq!(&*error.data::<PathPattern>().unwrap().0, "/write");
    }
}
