use std::collections::HashMap;
use std::marker::PhantomData;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Route, RouteMethod};
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

/// The routes of operations.
///
/// poem-openapi's own endpoint would be a second set of routes within ours, and would look for
/// cookies and a query in every request. That is a tenth of the work of a key check, and no
/// operation has such parameters.
pub struct Routes(Table);

impl Routes {
    pub(super) fn of(operations: impl OpenApi) -> Self {
        let mut table = Table::new();
        operations.add_routes(&mut table);
        Self(table)
    }

    /// Adds the operations to other routes.
    pub fn add_to(self, routes: Route) -> Route {
        let add = |routes: Route, (path, operations): (String, HashMap<_, _>)| {
            let add = |path: RouteMethod, (method, operation)| path.method(method, operation);
            routes.at(path, operations.into_iter().fold(RouteMethod::new(), add))
        };
        self.0.into_iter().fold(routes, add)
    }
}
