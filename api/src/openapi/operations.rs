use std::marker::PhantomData;

use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};

use super::errors;
use crate::http::RouteTable;

/// The operations of a document, each with its errors. It describes them only:
/// [`Routes`](crate::http::Routes) serves them.
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

    fn add_routes(self, _routes: &mut RouteTable) {}
}
