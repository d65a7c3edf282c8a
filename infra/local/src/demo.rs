//! The demo: what one sees of Matricula in its first minute, told step by step through the API.
use crate::api::Api;
use crate::cloud::Cloud;
use crate::failure::Failure;

/// Somebody the reader can log in as.
pub struct Account {
    pub role: &'static str,
    pub email: &'static str,
    pub password: &'static str,
}

pub const ACCOUNTS: &[Account] = &[];

/// Safe to run again on the same cloud.
pub fn run(cloud: &Cloud) -> Result<(), Failure> {
    let api = Api::of(cloud)?;
    api.get("/healthz")?.expect_status(200)?.tell("the API is there", "GET /healthz");
    Ok(())
}
