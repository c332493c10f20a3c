use std::collections::HashMap;
use std::marker::PhantomData;

use futures_util::FutureExt;
use futures_util::future::Either;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::error::MethodNotAllowedError;
use poem::http::Method;
use poem::{Endpoint, EndpointExt, PathPattern, Request, Response, Route};
use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};

use super::errors;

type Table = HashMap<String, HashMap<Method, BoxEndpoint<'static>>>;

/// The operations of a document, each with its errors. It describes them only: [`Routes`]
/// serves them.
///
/// Three of the public ones share a path, and each is in its own file. poem-openapi would
/// write that path three times, and JSON readers would keep only the last, so
/// they are merged here.
pub struct Described<A>(PhantomData<A>);

impl<A> Described<A> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A: OpenApi> OpenApi for Described<A> {
    fn meta() -> Vec<MetaApi> {
        let mut merged: Vec<MetaPath> = Vec::new();
        for mut path in A::meta().into_iter().flat_map(|api| api.paths) {
            path.operations.iter_mut().for_each(errors::add_responses);
            match merged.iter_mut().find(|known| known.path == path.path) {
                Some(known) => known.operations.extend(path.operations),
                None => merged.push(path),
            }
        }
        vec![MetaApi { paths: merged }]
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
    }

    fn add_routes(self, _routes: &mut Table) {}
}

/// The operations of a listener, and its other routes.
///
/// The paths of operations have no parameters, so a lookup by path is enough.
/// poem-openapi's endpoint would be a second set of routes within poem's, and would look for
/// cookies and a query. poem's routes wrap an operation three times, and each layer copies the
/// request. Together that was a fifth of the work of a key check.
pub struct Routes {
    operations: HashMap<String, Operations>,
    /// Operations that serve a path and all paths below it.
    subtrees: Vec<Operations>,
    others: Route,
}

/// The operations of a path.
struct Operations {
    path: PathPattern,
    methods: Methods,
}

enum Methods {
    Any(BoxEndpoint<'static>),
    Each(HashMap<Method, BoxEndpoint<'static>>),
}

impl Routes {
    /// Serves the operations.
    pub(super) fn of(operations: impl OpenApi) -> Self {
        let mut table = Table::new();
        operations.add_routes(&mut table);
        let operations = table.into_iter().map(|(path, methods)| {
            assert!(!path.contains([':', '*', '<']), "{path} has parameters");
            let operations = Operations::new(&path, Methods::Each(methods));
            (path, operations)
        });
        Self {
            operations: operations.collect(),
            subtrees: Vec::new(),
            others: Route::new(),
        }
    }

    /// Serves an operation that poem-openapi only describes.
    #[must_use]
    pub fn and_at(
        mut self,
        path: &str,
        method: Method,
        operation: impl Endpoint<Output = Response> + 'static,
    ) -> Self {
        let methods = Methods::Each(HashMap::from([(method, operation.boxed())]));
        let operations = Operations::new(path, methods);
        let earlier = self.operations.insert(path.to_owned(), operations);
        assert!(earlier.is_none(), "{path} has other operations");
        self
    }

    /// Serves an operation at a path and all paths below it, for any method.
    #[must_use]
    pub fn and_below(
        mut self,
        path: &str,
        operation: impl Endpoint<Output = Response> + 'static,
    ) -> Self {
        let operations = Operations::new(path, Methods::Any(operation.boxed()));
        self.subtrees.push(operations);
        self
    }

    /// Serves other routes too.
    #[must_use]
    pub fn and(self, others: Route) -> Self {
        Self { others, ..self }
    }

    fn operations_at(&self, path: &str) -> Option<&Operations> {
        let is_in = |operations: &&Operations| {
            let below = path.strip_prefix(&*operations.path.0);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        let of_path = self.operations.get(path);
        of_path.or_else(|| self.subtrees.iter().find(is_in))
    }
}

impl Operations {
    fn new(path: &str, methods: Methods) -> Self {
        Self {
            path: PathPattern(path.into()),
            methods,
        }
    }

    fn for_method(&self, method: &Method) -> Option<&BoxEndpoint<'static>> {
        match &self.methods {
            Methods::Any(operation) => Some(operation),
            Methods::Each(operations) => operations.get(method),
        }
    }
}

impl Endpoint for Routes {
    type Output = Response;

    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        let Some(operations) = self.operations_at(request.uri().path()) else {
            return Either::Right(self.others.call(request).boxed());
        };
        let is_head = request.method() == Method::HEAD;
        if is_head {
            request.set_method(Method::GET);
        }
        let operation = operations.for_method(request.method());
        let answered = operation.map(|operation| DynEndpoint::call(&**operation, request));
        Either::Left(async move {
            let answered = match answered {
                Some(answered) => answered.await,
                None => Err(MethodNotAllowedError.into()),
            };
            // As poem's routes do, for the log.
            let path = operations.path.clone();
            match answered {
                Ok(mut response) => {
                    response.set_data(path);
                    if is_head {
                        response.set_body(());
                    }
                    Ok(response)
                }
                Err(mut error) => {
                    error.set_data(path);
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
    async fn each_path_and_method_leads_to_its_operation() {
        let routes = Routes::of(())
            .and_at("/read", Method::GET, says("read"))
            .and_at("/write", Method::POST, says("written"))
            .and_below("/any", says("any"))
            .and(Route::new().at("/other", says("other")));
        for (method, path, answered) in [
            (Method::GET, "/read", "read"),
            (Method::HEAD, "/read", ""),
            (Method::POST, "/write", "written"),
            (Method::GET, "/any", "any"),
            (Method::DELETE, "/any/", "any"),
            (Method::POST, "/any/path/below?a=b", "any"),
            (Method::GET, "/other", "other"),
        ] {
            let expected = (StatusCode::OK, answered.to_owned());
            assert_eq!(answer(&routes, method, path).await, expected, "{path}");
        }
        for (method, path, status) in [
            (Method::POST, "/read", StatusCode::METHOD_NOT_ALLOWED),
            (Method::HEAD, "/write", StatusCode::METHOD_NOT_ALLOWED),
            (Method::GET, "/read/", StatusCode::NOT_FOUND),
            (Method::GET, "/anything", StatusCode::NOT_FOUND),
            (Method::GET, "/", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(answer(&routes, method, path).await.0, status, "{path}");
        }
    }

    #[tokio::test]
    async fn a_response_and_an_error_name_the_path_of_the_operation() {
        let routes = Routes::of(()).and_below("/any", says("any")).and_at(
            "/write",
            Method::POST,
            says("written"),
        );
        let request = |path| Request::builder().uri_str(path).finish();
        let response = routes.call(request("/any/path")).await.unwrap();
        assert_eq!(&*response.data::<PathPattern>().unwrap().0, "/any");
        let error = routes.call(request("/write")).await.unwrap_err();
        assert_eq!(&*error.data::<PathPattern>().unwrap().0, "/write");
    }
}
