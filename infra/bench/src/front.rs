//! API Gateway, as far as a bench needs it: turns requests into events, and hands each to a free process of its
//! function.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use crate::failure::{Explain, Failure};
use crate::function::Invoker;
use crate::requests::{Request, student_of};

/// Says which student asks: what an authorizer would find out.
pub const STUDENT_HEADER: &str = "x-student";

/// Functions by the path at which each takes what is posted.
pub type Routes = BTreeMap<&'static str, Invoker>;

/// Opens the front on a free port; its address, and the task that serves.
pub fn open(routes: Routes) -> Result<(String, JoinHandle<()>), Failure> {
    const BACKLOG: u32 = 8_192;
    let what = "the front cannot listen";
    let socket = TcpSocket::new_v4().explain(what)?;
    socket.bind(([127, 0, 0, 1], 0).into()).explain(what)?;
    let listener = socket.listen(BACKLOG).explain(what)?;
    let url = format!("http://{}", listener.local_addr().explain(what)?);
    let router = Router::new().fallback(pass_on).with_state(Arc::new(routes));
    let serving = async { axum::serve(listener, router).await.expect("the front serves") };
    Ok((url, tokio::spawn(serving)))
}

async fn pass_on(
    State(routes): State<Arc<Routes>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(function) = routes.get(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let student = header(STUDENT_HEADER).and_then(|student| student.parse().ok());
    let (Some(student), Ok(body)) = (student, serde_json::from_slice(&body)) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let key = header("idempotency-key").unwrap_or_default();
    let request = Request::post(body).by(student_of(student)).header("idempotency-key", &key);
    match function.invoke(request.event()).await {
        Ok(reply) => response(&reply),
        Err(Failure(what)) => (StatusCode::BAD_GATEWAY, what).into_response(),
    }
}

/// From a function's reply (payload 2.0) to an HTTP response.
fn response(reply: &Value) -> Response {
    let status = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let mut response = Response::builder().status(status.unwrap_or(502));
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let body = reply["body"].as_str().unwrap_or_default().to_owned();
    response.body(Body::from(body)).unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response())
}
