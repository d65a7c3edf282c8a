//! The API as an OpenAPI document; generated from the operations, compared on every test run.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Route};

pub const ROUTE: Route =
    Route::get("openapi", "/openapi.json", Access::Public, "Read the API as an OpenAPI document");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}
