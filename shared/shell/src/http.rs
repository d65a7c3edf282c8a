//! The HTTP front door (API Gateway, payload 2.0): from an event to a call, and from the operation's word to a reply.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use kernel::Locale;
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use table::{IdempotencyKey, PageRequest, Position, StoredReply};
use tokio::time::Instant;

use crate::failure::Fault;
use crate::request::{ERRORS_MAX, FieldError, Wrong};
use crate::telemetry::Outcome;
use crate::{
    Access, Body, Call, Caller, Context, Failure, Method, Raw, Refuse, RequestRefusal, Route,
    Scope, ServiceClient, cursor, json_document, problem, runtime, secret, validation,
};

/// Largest request body that an operation reads, in bytes.
pub const BODY_MAX: usize = 256 * 1024;

/// Serves an operation whose input and reply are JSON.
pub async fn http<X, C, R>(
    route: &Route,
    context: &X,
    handler: impl AsyncFn(&X, &Call<C>) -> Result<R, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    X: Context,
    C: DeserializeOwned + JsonSchema,
    R: Serialize,
{
    let door = Door::new(route);
    runtime::serve(async |invocation| {
        Ok(door.answer(context, &handler, &invocation.payload, invocation.deadline).await)
    })
    .await
}

/// Serves an operation that reads the request as it came, such as a signed webhook.
pub async fn http_raw<X, R>(
    route: &Route,
    context: &X,
    handler: impl AsyncFn(&X, &Call<Raw>) -> Result<R, Failure>,
) -> Result<(), lambda_runtime::Error>
where
    X: Context,
    R: Serialize,
{
    runtime::serve(async |invocation| {
        Ok(answer_raw(route, context, &handler, &invocation.payload, invocation.deadline).await)
    })
    .await
}

/// Serves a document that is the same for everybody.
pub async fn http_page(
    route: &Route,
    content_type: &str,
    body: impl Fn() -> String,
) -> Result<(), lambda_runtime::Error> {
    runtime::serve(async |invocation| {
        let request = Request::read(&invocation.payload);
        Outcome {
            operation: route.operation,
            correlation_id: &request.correlation_id,
            request_id: &request.id,
            code: "OK",
            began: Instant::now(),
        }
        .log();
        Ok(reply(
            200,
            &[("content-type", content_type), ("cache-control", "public, max-age=300")],
            &body(),
        ))
    })
    .await
}

/// Reads the signed request and lets the operation answer it; tests call it without a runtime.
pub async fn answer_raw<X: Context, R: Serialize>(
    route: &Route,
    context: &X,
    handler: &impl AsyncFn(&X, &Call<Raw>) -> Result<R, Failure>,
    event: &Value,
    deadline: Instant,
) -> Value {
    let request = Request::read(event);
    let began = Instant::now();
    let work = async {
        let body = request.body()?;
        let raw = Raw { headers: request.headers.clone(), body };
        let call = request.call(route, raw, None, PageRequest::default(), Vec::new());
        Ok(serde_json::to_value(run(context, handler, &call).await?).expect("a reply is JSON"))
    };
    let result = runtime::in_time(deadline, work).await;
    request.reply(route, result, began)
}

/// An operation's front door; it builds the validator of its input when the first call comes.
pub struct Door<'r, C> {
    route: &'r Route,
    validator: OnceCell<jsonschema::Validator>,
    command: std::marker::PhantomData<fn() -> C>,
}

impl<'r, C: DeserializeOwned + JsonSchema> Door<'r, C> {
    pub fn new(route: &'r Route) -> Self {
        Self { route, validator: OnceCell::new(), command: std::marker::PhantomData }
    }

    /// From an event of API Gateway to the reply to it; tests call it without a runtime.
    pub async fn answer<X: Context, R: Serialize>(
        &self,
        context: &X,
        handler: &impl AsyncFn(&X, &Call<C>) -> Result<R, Failure>,
        event: &Value,
        deadline: Instant,
    ) -> Value {
        let request = Request::read(event);
        let began = Instant::now();
        let work = self.decide(context, handler, &request);
        let result = runtime::in_time(deadline, work).await;
        request.reply(self.route, result, began)
    }

    async fn decide<X: Context, R: Serialize>(
        &self,
        context: &X,
        handler: &impl AsyncFn(&X, &Call<C>) -> Result<R, Failure>,
        request: &Request<'_>,
    ) -> Result<Value, Failure> {
        let reach = request.reach(self.route)?;
        let Input { fields, page, mut wrong } = request.input(self.route).await?;
        let key = match request.idempotency_key(self.route, &fields) {
            Err(refusal @ RequestRefusal::IdempotencyKeyRequired) => {
                wrong.besides(refusal, "Idempotency-Key", "REQUIRED");
                None
            }
            Err(refusal @ RequestRefusal::IdempotencyKeyInvalid) => {
                wrong.besides(refusal, "Idempotency-Key", "WRONG_FORMAT");
                None
            }
            other => other?,
        };
        if self.route.edits && request.if_match().is_none() {
            wrong.besides(RequestRefusal::IfMatchRequired, "If-Match", "REQUIRED");
        }
        let validator = self.validator.get_or_init(|| validation::validator(&schema_for!(C)));
        let command = wrong.judged(validation::command(validator, fields))?;
        let call = request.call(self.route, command, key, page, reach);
        with_cursor(self.route, carry_out(context, handler, &call).await?).await
    }
}

/// Runs the operation under its idempotency key: a command that was carried out before gets its first reply again.
pub async fn carry_out<X: Context, C, R: Serialize>(
    context: &X,
    handler: &impl AsyncFn(&X, &Call<C>) -> Result<R, Failure>,
    call: &Call<C>,
) -> Result<Value, Failure> {
    let result = run(context, handler, call).await;
    with_first_reply(context, call.idempotency_key.as_ref(), result).await
}

/// Runs the operation, again from the top when someone else wrote first.
async fn run<X, C, R>(
    context: &X,
    handler: &impl AsyncFn(&X, &Call<C>) -> Result<R, Failure>,
    call: &Call<C>,
) -> Result<R, Failure> {
    const RUNS_MAX: u32 = 8;
    let mut run = 1;
    let mut in_the_way = None;
    loop {
        let result = match handler(context, call).await {
            // A run that came too late tells nothing new of what was in the way of those before.
            Err(Failure::Fault(fault)) if table::deadline::left() < table::deadline::BEGIN_MIN => {
                let fault = Failure::Fault(fault);
                Err(in_the_way.map_or(fault, |with_twin| Failure::Conflict { with_twin }))
            }
            result => result,
        };
        let Err(Failure::Conflict { with_twin }) = result else { return result };
        in_the_way = Some(with_twin);
        if run == RUNS_MAX || table::deadline::back_off(run).await.is_none() {
            return result;
        }
        run += 1;
    }
}

/// The first reply of a command that was carried out before under the same key. A refusal is looked up too: what the
/// first run did may be the very reason why the second is refused.
async fn with_first_reply<X: Context, R: Serialize>(
    context: &X,
    key: Option<&IdempotencyKey>,
    result: Result<R, Failure>,
) -> Result<Value, Failure> {
    let failure = match result {
        Ok(reply) => return Ok(serde_json::to_value(reply).expect("a reply is JSON")),
        Err(failure) => failure,
    };
    let (
        Some(key),
        Failure::DoneBefore | Failure::Refused(_) | Failure::Conflict { with_twin: true },
    ) = (key, &failure)
    else {
        return Err(failure);
    };
    match context.table().get(&StoredReply::key_of(&key.scope)).await? {
        Some(stored) if stored.value.input_hash != key.input_hash => {
            Err(RequestRefusal::IdempotencyKeyReused.into())
        }
        Some(stored) => serde_json::from_str(&stored.value.body)
            .map_err(|error| Fault::defect(format!("a stored reply is not JSON: {error}")).into()),
        None if matches!(failure, Failure::Conflict { .. }) => {
            Err(RequestRefusal::InProgress.into())
        }
        None => Err(failure),
    }
}

/// Seals the position of the next page.
async fn with_cursor(route: &Route, mut body: Value) -> Result<Value, Failure> {
    if route.paged
        && let Some(position) = body.get("next_cursor").filter(|position| !position.is_null())
    {
        let position: Position = serde_json::from_value(position.clone())
            .map_err(|error| Fault::defect(format!("a page ends nowhere: {error}")))?;
        let key = secret(cursor::KEY).await?;
        body["next_cursor"] = cursor::write(key.as_bytes(), route.operation, &position).into();
    }
    Ok(body)
}

/// What an operation is asked: its fields as they came, the page, and what is wrong as far as the schema does not say.
struct Input {
    fields: Value,
    page: PageRequest,
    wrong: Wrong,
}

/// An event of API Gateway, read without trust.
struct Request<'e> {
    event: &'e Value,
    headers: BTreeMap<String, String>,
    correlation_id: String,
    id: String,
    locale: Locale,
}

impl<'e> Request<'e> {
    fn read(event: &'e Value) -> Self {
        let headers: BTreeMap<String, String> = texts(&event["headers"])
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let id = event["requestContext"]["requestId"].as_str().unwrap_or("unknown").to_owned();
        let correlation_id = headers
            .get("x-correlation-id")
            .filter(|id| {
                (1..=64).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
            .cloned()
            .unwrap_or_else(|| id.clone());
        let locale = headers
            .get("accept-language")
            .map_or(Locale::En, |header| Locale::from_accept_language(header));
        Self { event, headers, correlation_id, id, locale }
    }

    /// What the authorizer says of who calls, under one of its names.
    fn authorized<W: DeserializeOwned>(&self, who: &str) -> Result<Option<W>, RequestRefusal> {
        let authorizer = &self.event["requestContext"]["authorizer"]["lambda"];
        match authorizer["refusal"].as_str() {
            Some("TOKEN_EXPIRED") => return Err(RequestRefusal::TokenExpired),
            Some("SESSION_ENDED") => return Err(RequestRefusal::SessionEnded),
            Some(_) => return Err(RequestRefusal::TokenInvalid),
            None => {}
        }
        let Some(who) = authorizer[who].as_str() else { return Ok(None) };
        serde_json::from_str(who).map(Some).map_err(|_| RequestRefusal::TokenInvalid)
    }

    fn caller(&self) -> Result<Option<Caller>, RequestRefusal> {
        self.authorized("caller")
    }

    fn client(&self) -> Result<Option<ServiceClient>, RequestRefusal> {
        self.authorized("client")
    }

    /// Operation × role × scope: how far the caller reaches here. Whoever reaches nothing is refused.
    fn reach(&self, route: &Route) -> Result<Vec<(Scope, Option<String>)>, RequestRefusal> {
        if route.access == Access::Public {
            return Ok(Vec::new());
        }
        if let Some(client) = self.client()? {
            let allowed = route.client_scope.is_some_and(|scope| client.scopes.contains(&scope));
            return if allowed {
                Ok(vec![(Scope::All, None)])
            } else {
                Err(RequestRefusal::Forbidden)
            };
        }
        let caller = self.caller()?.ok_or(RequestRefusal::Unauthenticated)?;
        let Access::Roles(allows) = route.access else { return Ok(vec![(Scope::Own, None)]) };
        let reach: Vec<_> = caller
            .grants
            .iter()
            .flat_map(|grant| {
                let allowed = allows.iter().filter(|allow| allow.role == grant.role);
                allowed.map(|allow| (allow.scope, grant.department.clone()))
            })
            .collect();
        if reach.is_empty() { Err(RequestRefusal::Forbidden) } else { Ok(reach) }
    }

    fn body(&self) -> Result<String, RequestRefusal> {
        let body = self.event["body"].as_str().unwrap_or_default();
        // Base64 takes four characters for three bytes.
        if body.len() > BODY_MAX * 2 {
            return Err(RequestRefusal::BodyTooLarge { limit: BODY_MAX });
        }
        let body = if self.event["isBase64Encoded"] == true {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(body)
                .map_err(|_| RequestRefusal::NotUtf8)?;
            String::from_utf8(bytes).map_err(|_| RequestRefusal::NotUtf8)?
        } else {
            body.to_owned()
        };
        if body.len() > BODY_MAX {
            Err(RequestRefusal::BodyTooLarge { limit: BODY_MAX })
        } else {
            Ok(body)
        }
    }

    /// Path, query and body as one object, for the schema to judge.
    async fn input(&self, route: &Route) -> Result<Input, Failure> {
        let has_body = !matches!(route.method, Method::Get | Method::Delete);
        let body = if has_body { self.body()? } else { String::new() };
        let (mut input, mut wrong) = (Value::Object(Map::new()), Wrong::default());
        if !body.trim().is_empty() {
            let repeated;
            (input, repeated) = self.parsed(route, &body)?;
            wrong.fields(repeated, "REPEATED");
        }
        let mut page = PageRequest::default();
        if let Some(fields) = input.as_object_mut() {
            if let Some((header, field)) = route.header_field
                && let Some(text) = self.headers.get(header)
                && !fields.contains_key(field)
            {
                fields.insert(field.to_owned(), text.clone().into());
            }
            for name in route.path_parameters() {
                let value = self.event["pathParameters"][name].clone();
                if fields.insert(name.to_owned(), value).is_some() {
                    wrong.fields([format!("/{name}")], "UNKNOWN");
                }
            }
            for (name, value) in texts(&self.event["queryStringParameters"]) {
                match name {
                    "cursor" if route.paged => match self.position(route, value).await {
                        Ok(position) => page.after = Some(position),
                        Err(Failure::Refused(_)) => {
                            wrong.besides(RequestRefusal::CursorInvalid, "/cursor", "INVALID");
                        }
                        Err(failure) => return Err(failure),
                    },
                    "limit" if route.paged => match limit(value) {
                        Ok(limit) => page.limit = limit,
                        Err(error) => wrong.push(error),
                    },
                    // A query fills no field twice, and none of a body.
                    _ if has_body || fields.contains_key(name) => {
                        wrong.fields([format!("/{name}")], "UNKNOWN");
                    }
                    _ => drop(fields.insert(name.to_owned(), value.into())),
                }
            }
        }
        Ok(Input { fields: input, page, wrong })
    }

    /// The body, and each of its members that stands there again.
    fn parsed(&self, route: &Route, body: &str) -> Result<(Value, Vec<String>), RequestRefusal> {
        let content_type = self.headers.get("content-type").map_or("", String::as_str);
        let media_type =
            content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if route.also_form && media_type == Body::Form.media_type() {
            let (mut fields, mut repeated) = (Map::new(), Vec::new());
            for (name, text) in form_urlencoded::parse(body.as_bytes()) {
                let is_news = fields.insert(name.to_string(), text.into()).is_none();
                if !is_news && repeated.len() < ERRORS_MAX {
                    repeated.push(format!("/{name}"));
                }
            }
            return Ok((fields.into(), repeated));
        }
        if !matches!(media_type.as_str(), "application/json" | "application/merge-patch+json") {
            return Err(RequestRefusal::ContentTypeUnsupported);
        }
        json_document::read(body).map_err(|_| RequestRefusal::MalformedJson)
    }

    async fn position(&self, route: &Route, cursor: &str) -> Result<Position, Failure> {
        let key = secret(cursor::KEY).await?;
        Ok(cursor::read(key.as_bytes(), route.operation, cursor)?)
    }

    fn idempotency_key(
        &self,
        route: &Route,
        input: &Value,
    ) -> Result<Option<IdempotencyKey>, RequestRefusal> {
        if !route.idempotent_by_key {
            return Ok(None);
        }
        let key =
            self.headers.get("idempotency-key").ok_or(RequestRefusal::IdempotencyKeyRequired)?;
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RequestRefusal::IdempotencyKeyInvalid);
        }
        let caller = self.caller()?.map(|caller| caller.person.to_string());
        let caller = caller.or(self.client()?.map(|client| client.id.to_string()));
        let caller = caller.unwrap_or_else(|| "public".to_owned());
        // Keyed, and the key itself is not kept: an input that holds a password cannot be guessed from the table.
        let mut input_hash =
            Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
        input_hash.update(input.to_string().as_bytes());
        Ok(Some(IdempotencyKey {
            scope: format!("{caller}#{}#{}", route.operation, hashed(Sha256::digest(key))),
            input_hash: hashed(input_hash.finalize().into_bytes()),
        }))
    }

    fn call<C>(
        &self,
        route: &Route,
        command: C,
        idempotency_key: Option<IdempotencyKey>,
        page: PageRequest,
        reach: Vec<(Scope, Option<String>)>,
    ) -> Call<C> {
        Call {
            command,
            caller: self.caller().ok().flatten().filter(|_| route.access != Access::Public),
            client: self.client().ok().flatten().filter(|_| route.access != Access::Public),
            reach,
            now: crate::now(),
            locale: self.locale,
            correlation_id: self.correlation_id.clone(),
            idempotency_key,
            if_match: self.if_match(),
            page,
        }
    }

    /// The version that the caller read last.
    fn if_match(&self) -> Option<u64> {
        self.headers.get("if-match")?.trim().trim_matches('"').parse().ok()
    }

    /// The reply to the gateway; the outcome is logged here, once, with the whole chain of what broke.
    fn reply(&self, route: &Route, result: Result<Value, Failure>, began: Instant) -> Value {
        let (code, reply) = match result {
            Ok(body) => ("OK", self.carried_out(route, &body)),
            Err(failure) => self.refused(&failure),
        };
        Outcome {
            operation: route.operation,
            correlation_id: &self.correlation_id,
            request_id: &self.id,
            code,
            began,
        }
        .log();
        reply
    }

    fn carried_out(&self, route: &Route, body: &Value) -> Value {
        if let Some(media_type) = route.document {
            return self.document(media_type, body);
        }
        let etag = body["version"].as_u64().map(|version| format!("\"{version}\""));
        let mut headers =
            vec![("content-type", "application/json"), ("x-correlation-id", &self.correlation_id)];
        let cached = route.cached_s.map(|seconds| format!("public, max-age={seconds}"));
        headers.push(("cache-control", cached.as_deref().unwrap_or("no-store")));
        if let Some(etag) = &etag {
            headers.push(("etag", etag));
        }
        let status = if body.is_null() { 204 } else { route.status };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        reply(status, &headers, &body)
    }

    /// The bytes of a [`crate::Document`], under its name. They are not sent to whoever has them already.
    fn document(&self, media_type: &str, document: &Value) -> Value {
        let text = |field: &str| document[field].as_str().unwrap_or_default();
        let etag = format!("\"{}\"", hashed(Sha256::digest(text("content"))));
        let disposition = format!("inline; filename=\"{}\"", text("file_name"));
        let mut headers = vec![
            ("etag", etag.as_str()),
            ("x-correlation-id", &self.correlation_id),
            ("cache-control", "no-store"),
        ];
        let known = self.headers.get("if-none-match").map_or("", String::as_str);
        // A tag that a cache has weakened stands for the same text.
        let mut known = known.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        if known.any(|tag| tag == etag || tag == "*") {
            return reply(304, &headers, "");
        }
        headers
            .extend([("content-type", media_type), ("content-disposition", disposition.as_str())]);
        let mut reply = reply(200, &headers, text("content"));
        reply["isBase64Encoded"] = true.into();
        reply
    }

    fn refused(&self, failure: &Failure) -> (&'static str, Value) {
        match failure {
            Failure::Refused(refusal) => self.problem(refusal.as_ref()),
            Failure::Conflict { .. } | Failure::DoneBefore => self.problem(&RequestRefusal::Busy),
            Failure::Fault(fault) => {
                tracing::error!(
                    correlation_id = self.correlation_id,
                    retryable = fault.retryable,
                    error = fault.chain(),
                    "the operation failed"
                );
                self.problem(if fault.retryable {
                    &RequestRefusal::Unavailable
                } else {
                    &RequestRefusal::Internal
                })
            }
        }
    }

    fn problem(&self, refusal: &dyn Refuse) -> (&'static str, Value) {
        let document = problem::document(refusal, self.locale, &self.correlation_id, &self.id);
        let status = refusal.status();
        let mut headers = vec![
            ("content-type", "application/problem+json"),
            ("content-language", self.locale.code()),
            ("x-correlation-id", &self.correlation_id),
            ("cache-control", "no-store"),
        ];
        match status {
            401 => headers.push(("www-authenticate", "Bearer")),
            503 => headers.push(("retry-after", "1")),
            _ => {}
        }
        (refusal.code(), reply(status, &headers, &document.to_string()))
    }
}

fn hashed(digest: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest)
}

fn limit(text: &str) -> Result<u32, FieldError> {
    let error = |code, limit: u32| FieldError {
        arguments: vec![("limit", limit.to_string())],
        ..FieldError::new("/limit", code)
    };
    match text.parse::<u32>() {
        Ok(0) | Err(_) => Err(error("TOO_SMALL", 1)),
        Ok(limit) if limit > PageRequest::LIMIT_MAX => {
            Err(error("TOO_LARGE", PageRequest::LIMIT_MAX))
        }
        Ok(limit) => Ok(limit),
    }
}

fn texts(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Value {
    let headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
    json!({ "statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false })
}
