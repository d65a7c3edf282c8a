//! The API as a page for people, made of the OpenAPI document when the function starts.

use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Route};

pub const ROUTE: Route = Route::get("api-page", "/docs", Access::Public, "Read the API as a page");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {}
