//! A student's client: posts a command, and asks again under the same key while it is told to.

use std::time::Duration;

use kernel::PersonId;
use serde_json::Value;

use crate::failure::{Explain, Failure};
use crate::front::STUDENT_HEADER;

/// How often a student asks again, with the same Idempotency-Key, when the answer is a 503 or a 429.
const RETRIES_MAX: u32 = 20;

/// The final answer.
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub retries: u32,
}

/// Posts the body, and waits as long as `retry-after` says before each further try.
pub async fn post(
    client: &reqwest::Client,
    url: &str,
    (student, key): (PersonId, &str),
    body: &str,
) -> Result<Answer, Failure> {
    let mut retries = 0;
    loop {
        let request = client
            .post(url)
            .header(STUDENT_HEADER, student.to_string())
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(body.to_owned());
        let response = request.send().await.explain("the service does not answer")?;
        let status = response.status().as_u16();
        let wait_s = response.headers().get("retry-after").and_then(|wait| wait.to_str().ok());
        let wait_s = wait_s.and_then(|wait| wait.parse().ok()).unwrap_or(1);
        let body = response.bytes().await.explain("the service breaks off")?;
        if !matches!(status, 429 | 503) || retries == RETRIES_MAX {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            return Ok(Answer { status, body, retries });
        }
        retries += 1;
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
    }
}
