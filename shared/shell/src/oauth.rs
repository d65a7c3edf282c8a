//! The token endpoint's door: as any other that reads the request as it came, but its refusals have the shape of RFC
//! 6749, section 5.2, which every library for OAuth reads.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Call, Context, Failure, Raw, Route, http, runtime};

/// What section 5.2 calls a refusal, by its code here.
const ERRORS: [(&str, &str); 4] = [
    ("INVALID_REQUEST", "invalid_request"),
    ("INVALID_CLIENT", "invalid_client"),
    ("INVALID_SCOPE", "invalid_scope"),
    ("UNSUPPORTED_GRANT_TYPE", "unsupported_grant_type"),
];

/// Serves an operation that answers as a token endpoint does.
pub async fn http_oauth<X, R>(
    route: &Route,
    context: &X,
    handler: impl AsyncFn(&X, &Call<Raw>) -> Result<R, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    X: Context,
    R: Serialize,
{
    runtime::serve(async |invocation| {
        let (event, deadline) = (&invocation.payload, invocation.deadline);
        Ok(in_oauth_shape(http::answer_raw(route, context, &handler, event, deadline).await))
    })
    .await
}

/// A reply with a problem document told as the standard has it; any other as it is.
pub fn in_oauth_shape(mut reply: Value) -> Value {
    let status = reply["statusCode"].as_u64().unwrap_or_default();
    if status < 400 {
        return reply;
    }
    let problem: Value =
        serde_json::from_str(reply["body"].as_str().unwrap_or_default()).unwrap_or_default();
    let known = ERRORS.iter().find(|(code, _)| problem["code"] == *code).map(|(_, error)| *error);
    let error = known.unwrap_or(match status {
        503 => "temporarily_unavailable",
        500.. => "server_error",
        _ => "invalid_request",
    });
    reply["headers"]["content-type"] = "application/json".into();
    if status == 401 {
        reply["headers"]["www-authenticate"] = "Basic realm=\"matricula\"".into();
    }
    let description = &problem["title"];
    reply["body"] = json!({ "error": error, "error_description": description }).to_string().into();
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(status: u16, code: &str) -> (Value, Value) {
        let body = json!({ "code": code, "title": "A sentence." }).to_string();
        let headers = json!({ "content-type": "application/problem+json" });
        let reply = json!({ "statusCode": status, "headers": headers, "body": body });
        let reply = in_oauth_shape(reply);
        let body = serde_json::from_str(reply["body"].as_str().expect("a body")).expect("JSON");
        (reply["headers"].clone(), body)
    }

    #[test]
    fn a_refusal_is_told_as_the_standard_has_it() {
        let (headers, body) = shaped(401, "INVALID_CLIENT");
        let expected = json!({ "error": "invalid_client", "error_description": "A sentence." });
        assert_eq!(body, expected);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["www-authenticate"], "Basic realm=\"matricula\"");
        assert_eq!(shaped(413, "BODY_TOO_LARGE").1["error"], "invalid_request");
        assert_eq!(shaped(503, "UNAVAILABLE").1["error"], "temporarily_unavailable");
        assert_eq!(shaped(500, "INTERNAL").1["error"], "server_error");
        let token = json!({ "statusCode": 200, "headers": {}, "body": "{\"access_token\":\"x\"}" });
        assert_eq!(in_oauth_shape(token.clone()), token);
    }
}
