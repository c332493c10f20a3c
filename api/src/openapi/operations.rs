use std::collections::HashMap;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::registry::{MetaApi, MetaPath, Registry};

use super::errors;
use crate::routes::{CreateKey, OpenPortal, RevokeKey, ShowKey};

type All = (CreateKey, ShowKey, RevokeKey, OpenPortal);

/// All operations, each with its errors.
///
/// Three of them share a path, and each is in its own file. poem-openapi would
/// write that path three times, and JSON readers would keep only the last, so
/// they are merged here.
pub struct Operations;

impl OpenApi for Operations {
    fn meta() -> Vec<MetaApi> {
        let mut merged: Vec<MetaPath> = Vec::new();
        for mut path in All::meta().into_iter().flat_map(|api| api.paths) {
            path.operations.iter_mut().for_each(errors::add_responses);
            match merged.iter_mut().find(|known| known.path == path.path) {
                Some(known) => known.operations.extend(path.operations),
                None => merged.push(path),
            }
        }
        vec![MetaApi { paths: merged }]
    }

    fn register(registry: &mut Registry) {
        All::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        (CreateKey, ShowKey, RevokeKey, OpenPortal).add_routes(routes);
    }
}
