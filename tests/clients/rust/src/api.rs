//! The client, generated from the document whenever this crate is compiled.

progenitor::generate_api!("../../../openapi.yaml");
