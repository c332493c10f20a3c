//! The client that the macro generates from `openapi.yaml` during compilation.

progenitor::generate_api!("../../../openapi.yaml");
