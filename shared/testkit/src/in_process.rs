//! The engine without a wire: what a client calls is carried out where it is called, with the same faults. It costs
//! half, and comes to the same from the same seed.

use std::fmt;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use table::Table;

use crate::Engine;
use crate::engine::Front;
use crate::faults::Verdict;

impl Engine {
    /// A table that [`Engine::table`] has made, without a wire between.
    pub fn in_process(&self, table: &Table) -> Table {
        let (database, front) = (self.database.clone(), Arc::clone(&self.front));
        let connector = SharedHttpConnector::new(InProcess { database, front });
        let client = http_client_fn(move |_, _| connector.clone());
        let config = self.sdk_config().into_builder().http_client(client).build();
        Table::new(Client::new(&config), table.name())
    }
}

#[derive(Clone)]
struct InProcess {
    database: Database,
    front: Arc<Front>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            // Others get their turn, as while a call is on its way.
            tokio::task::yield_now().await;
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let call = target.rsplit('.').next().unwrap_or_default();
            let body = request.body().bytes().unwrap_or_default();
            match this.front.judge(call, body) {
                Verdict::Pass => Ok(this.carry_out(call, body)),
                Verdict::DropReply => {
                    this.carry_out(call, body);
                    Err(ConnectorError::io("dropped".into()))
                }
                Verdict::Answer(status, body) => Ok(response(status.as_u16(), body)),
            }
        })
    }
}

impl InProcess {
    fn carry_out(&self, call: &str, body: &[u8]) -> HttpResponse {
        let engine = &self.database;
        match call {
            "GetItem" => answer(body, |asked| engine.get_item(asked)),
            "BatchGetItem" => answer(body, |asked| engine.batch_get_item(asked)),
            "Query" => answer(body, |asked| engine.query(asked)),
            "TransactWriteItems" => answer(body, |asked| {
                self.front.note_written(keys(&asked));
                engine.transact_write_items(asked)
            }),
            other => panic!("{other} is called over the wire only"),
        }
    }
}

/// Partition and place of what a transaction writes.
fn keys(asked: &TransactWriteItemsRequest) -> impl Iterator<Item = (String, String)> {
    let attributes = asked.transact_items.iter().filter_map(|item| {
        let put = item.put.as_ref().map(|put| &put.item);
        let update = item.update.as_ref().map(|update| &update.key);
        put.or(update).or(item.delete.as_ref().map(|delete| &delete.key))
    });
    attributes.map(|attributes| {
        let text = |name: &str| match attributes.get(name) {
            Some(AttributeValue::S(text)) => text.clone(),
            _ => String::new(),
        };
        (text("pk"), text("sk"))
    })
}

fn answer<A: DeserializeOwned, R: Serialize>(
    body: &[u8],
    act: impl FnOnce(A) -> dynoxide::errors::Result<R>,
) -> HttpResponse {
    let asked = serde_json::from_slice(body).expect("the SDK asks in JSON");
    match act(asked) {
        Ok(reply) => response(200, serde_json::to_string(&reply).expect("a reply is JSON")),
        Err(error) => response(error.status_code(), error.to_json()),
    }
}

fn response(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::try_from(status).expect("it is a status");
    HttpResponse::new(status, SdkBody::from(body))
}
