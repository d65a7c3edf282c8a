//! For tests: SES v2 as far as one operation needs it, which keeps what it was handed.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How SES answers every request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Accept,
    Reject,
    BadAddress,
    /// The account may not send for now.
    Paused,
    Broken,
}

struct Counter {
    answer: Answer,
    mails: Vec<Value>,
}

/// It closes when it is dropped.
pub struct PostOffice {
    url: String,
    counter: Arc<Mutex<Counter>>,
    task: tokio::task::JoinHandle<()>,
}

impl PostOffice {
    pub async fn open(answer: Answer) -> Self {
        let counter = Arc::new(Mutex::new(Counter { answer, mails: Vec::new() }));
        let router = Router::new()
            .route("/v2/email/outbound-emails", post(take))
            .with_state(Arc::clone(&counter));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
        let task = tokio::spawn(async {
            axum::serve(listener, router).await.expect("the post office serves");
        });
        Self { url, counter, task }
    }

    pub fn client(&self) -> aws_sdk_sesv2::Client {
        let credentials = Credentials::new("test", "test", None, None, "post office");
        let url = Some(self.url.clone());
        aws_sdk_sesv2::Client::new(&shell::aws::sdk_config_for(
            credentials,
            "eu-west-1".to_owned(),
            url,
        ))
    }

    /// From now on it answers like this.
    pub fn answers(&self, answer: Answer) {
        self.counter.lock().expect("no test panics while it answers").answer = answer;
    }

    /// Everything it was handed, taken or not.
    pub fn mails(&self) -> Vec<Value> {
        self.counter.lock().expect("no test panics while it reads").mails.clone()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(counter): State<Arc<Mutex<Counter>>>, body: Bytes) -> Response {
    let mut counter = counter.lock().expect("taking a mail does not panic");
    counter.mails.push(serde_json::from_slice(&body).expect("a request is JSON"));
    let refuse = |status: StatusCode, error: &'static str| {
        let body = json!({ "message": format!("{error}, says the post office") }).to_string();
        (status, [("x-amzn-errortype", error)], body).into_response()
    };
    match counter.answer {
        Answer::Accept => json!({ "MessageId": format!("ses-{}", counter.mails.len()) })
            .to_string()
            .into_response(),
        Answer::Reject => refuse(StatusCode::BAD_REQUEST, "MessageRejected"),
        Answer::BadAddress => refuse(StatusCode::BAD_REQUEST, "BadRequestException"),
        Answer::Paused => refuse(StatusCode::BAD_REQUEST, "SendingPausedException"),
        Answer::Broken => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
    }
}
