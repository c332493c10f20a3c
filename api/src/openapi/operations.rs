use std::collections::HashMap;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};

use super::errors;
/// The operations of a document, each with its errors.
///
/// Three of the public ones share a path, and each is in its own file. poem-openapi would
/// write that path three times, and JSON readers would keep only the last, so
/// they are merged here.
pub struct Operations<A>(pub A);

impl<A: OpenApi> OpenApi for Operations<A> {
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

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        self.0.add_routes(routes);
    }
}
