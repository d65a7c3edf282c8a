//! Every address that there is not, refused in the same form as everything else.

use shell::{Access, Call, Failure, Raw, RequestRefusal, Route};

use crate::Ctx;

pub const ROUTE: Route =
    Route::call("not-found", "$default", Access::Public, "Refuse an address that there is not");

#[allow(clippy::unused_async, reason = "every operation is called in the same way")]
pub async fn handle(_: &Ctx, _: &Call<Raw>) -> Result<(), Failure> {
    Err(RequestRefusal::NotFound.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use testkit::TestTable;
    use tokio::time::Instant;

    use super::*;
    use crate::stub::ctx;

    #[tokio::test]
    async fn whatever_is_sent_to_nowhere_is_answered_with_a_problem_document() {
        let test = TestTable::new().await;
        let mut event = testkit::http_event("POST", &[], &Value::Null, None);
        event["body"] = "{ no JSON".into();
        let deadline = Instant::now() + Duration::from_secs(5);
        let reply =
            shell::http::answer_raw(&ROUTE, &ctx(&test.table), &handle, &event, deadline).await;
        assert_eq!(reply["statusCode"], 404);
        let body: Value = serde_json::from_str(reply["body"].as_str().expect("a body"))
            .expect("a problem document");
        assert_eq!(body["code"], "NOT_FOUND");
    }
}
