//! An access token for a service client, by its id and one of its secrets: the client credentials grant of RFC 6749
//! (section 4.4), with its form, its two ways to tell the secret, and its refusals.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::ServiceClientId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Access, Call, ClientScope, Failure, Raw, Route};

use crate::domain::GrantRefusal;
use crate::{Ctx, client_secrets, client_store, tokens};

pub const ROUTE: Route = Route::call(
    "issue-client-token",
    "/oauth/token",
    Access::Public,
    "Get an access token as another system",
)
.form();

/// The form. Id and secret may stand in the header `Authorization: Basic` instead.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// `client_credentials`.
    #[schemars(length(max = 100))]
    pub grant_type: String,
    #[schemars(length(max = 100))]
    pub client_id: Option<String>,
    #[schemars(length(max = 200))]
    pub client_secret: Option<String>,
    /// Some of what the client is allowed, divided by blanks; all of it where it is absent.
    #[schemars(length(max = 1_000))]
    pub scope: Option<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
pub struct Reply {
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// Divided by blanks.
    pub scope: String,
}

/// Tokens do not reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, …)", self.scope)
    }
}

struct Credentials {
    id: String,
    secret: String,
}

pub async fn handle(ctx: &Ctx, call: &Call<Raw>) -> Result<Reply, Failure> {
    let form = fields(&call.command)?;
    let credentials = credentials(&call.command, &form)?;
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(GrantRefusal::UnsupportedGrantType.into()),
        None => return Err(GrantRefusal::InvalidRequest.into()),
    }
    let id: ServiceClientId = credentials.id.parse().map_err(|_| GrantRefusal::InvalidClient)?;
    let (client, (mut uses, read_version)) = client_store::client_and_uses(&ctx.table, id).await?;
    let client = client.map(|client| client.value);
    let secret = client_secrets::presented(&credentials.secret, client.as_ref(), call.now);
    let secret = secret.map(|secret| secret.id);
    let (Some(client), Some(secret)) = (client, secret) else {
        return Err(GrantRefusal::InvalidClient.into());
    };
    let scopes = scopes(form.get("scope").map(String::as_str), &client.settings.scopes)?;
    if uses.note(&client, secret, call.now) {
        let mut transaction = ctx.table.transaction();
        transaction.put(&uses, read_version);
        transaction.commit().await?;
    }
    let keys = ctx.key_ring.keys(call.now).await?;
    Ok(Reply {
        access_token: keys.client_token(ctx.issuer(), client.id, &scopes, call.now),
        token_type: "Bearer",
        expires_in: tokens::ACCESS_TOKEN_TTL_S,
        scope: tokens::scope_text(&scopes),
    })
}

/// Longer than anything that is right.
const FORM_BYTES_MAX: usize = 4_096;

/// No field stands twice (section 3.2).
fn fields(request: &Raw) -> Result<BTreeMap<String, String>, GrantRefusal> {
    let content_type = request.headers.get("content-type").map_or("", String::as_str);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !is_form || request.body.len() > FORM_BYTES_MAX {
        return Err(GrantRefusal::InvalidRequest);
    }
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(request.body.as_bytes()) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(GrantRefusal::InvalidRequest);
        }
    }
    // Without a value it is as if it were not there.
    fields.retain(|_, value| !value.is_empty());
    Ok(fields)
}

/// From the header or from the form, not from both (section 2.3).
fn credentials(
    request: &Raw,
    form: &BTreeMap<String, String>,
) -> Result<Credentials, GrantRefusal> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    let Some(header) = request.headers.get("authorization") else {
        let (Some(id), Some(secret)) = (id, secret) else {
            return Err(GrantRefusal::InvalidClient);
        };
        return Ok(Credentials { id: id.clone(), secret: secret.clone() });
    };
    if secret.is_some() {
        return Err(GrantRefusal::InvalidRequest);
    }
    let in_header = basic(header).ok_or(GrantRefusal::InvalidClient)?;
    if id.is_some_and(|id| *id != in_header.id) {
        return Err(GrantRefusal::InvalidRequest);
    }
    Ok(in_header)
}

/// Both are form-encoded before they are put together (section 2.3.1).
fn basic(header: &str) -> Option<Credentials> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    // A lone name without "=" is decoded as one.
    let decoded = |text: &str| {
        let first = form_urlencoded::parse(text.as_bytes()).next();
        first.map_or_else(String::new, |(name, _)| name.into_owned())
    };
    Some(Credentials { id: decoded(id), secret: decoded(secret) })
}

/// Each once, however often it is asked for, in the order in which the client is allowed them.
fn scopes(asked: Option<&str>, allowed: &[ClientScope]) -> Result<Vec<ClientScope>, GrantRefusal> {
    let Some(asked) = asked else { return Ok(allowed.to_vec()) };
    let asked: BTreeSet<&str> = asked.split(' ').filter(|name| !name.is_empty()).collect();
    let is_allowed = |name: &&str| allowed.iter().any(|scope| scope.name() == *name);
    if asked.is_empty() || !asked.iter().all(is_allowed) {
        return Err(GrantRefusal::InvalidScope);
    }
    Ok(allowed.iter().copied().filter(|scope| asked.contains(scope.name())).collect())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use kernel::{Id, Timestamp};
    use shell::ServiceClient;
    use shell::authorizer::Authorized;
    use table::PageRequest;

    use super::super::create_service_client::{self, tests::library};
    use super::super::{authorize, edit_service_client, end_service_client, rotate_client_secret};
    use super::*;
    use crate::client_store::KnownClient;
    use crate::fixtures::{by_administrator, code, ctx};

    fn after(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    fn request(header: Option<String>, body: &str, now: Timestamp) -> Call<Raw> {
        let content_type = "application/x-www-form-urlencoded;charset=UTF-8".to_owned();
        let mut headers = BTreeMap::from([("content-type".to_owned(), content_type)]);
        headers.extend(header.map(|header| ("authorization".to_owned(), header)));
        let call = testkit::call(Raw { headers, body: body.to_owned() });
        Call { now, caller: None, ..call }
    }

    fn in_header(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    const GRANT: &str = "grant_type=client_credentials";

    async fn made(ctx: &Ctx) -> (ServiceClientId, String) {
        let call = by_administrator(library());
        let made = create_service_client::handle(ctx, &call).await.expect("made");
        (made.client.id, made.secret.expect("shown"))
    }

    fn asking((id, secret): &(ServiceClientId, String), now: Timestamp) -> Call<Raw> {
        request(Some(in_header(&id.to_string(), secret)), GRANT, now)
    }

    /// As an authorizer finds out that knows nothing yet.
    async fn authorized(ctx: &Ctx, token: &str, now: Timestamp) -> Result<Authorized, Failure> {
        let clients = std::sync::Arc::new(crate::standings::remembered_clients());
        let cold = Ctx { clients, ..ctx.clone() };
        authorize::handle(&cold, token, now).await
    }

    #[tokio::test]
    async fn a_client_gets_a_token_that_calls_in_its_name_by_header_or_by_form() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        let form = format!("{GRANT}&client_id={}&client_secret={}", client.0, client.1);
        let named = format!("{GRANT}&client_id={}", client.0);
        let header = Some(in_header(&client.0.to_string(), &client.1));
        for call in [
            asking(&client, after(0)),
            request(None, &form, after(0)),
            request(header, &named, after(0)),
        ] {
            let reply = handle(&ctx, &call).await.expect("a token");
            assert_eq!((reply.token_type, reply.expires_in), ("Bearer", 900));
            assert_eq!(reply.scope, "catalog:read enrollment:read");
            let scopes = library().settings.scopes;
            let expected = Authorized::Client(ServiceClient { id: client.0, scopes });
            let found = authorized(&ctx, &reply.access_token, after(1)).await.expect("good");
            assert_eq!(found, expected);
            let late = authorized(&ctx, &reply.access_token, after(961)).await;
            assert_eq!(code(late), "TOKEN_EXPIRED");
        }
    }

    #[tokio::test]
    async fn a_token_carries_no_more_than_was_asked_for_or_than_the_client_is_still_allowed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        let header = || Some(in_header(&client.0.to_string(), &client.1));
        let less = request(header(), &format!("{GRANT}&scope=enrollment%3Aread"), after(0));
        let less = handle(&ctx, &less).await.expect("a token");
        assert_eq!(less.scope, "enrollment:read");
        let scopes = async |token: &str| match authorized(&ctx, token, after(1)).await {
            Ok(Authorized::Client(client)) => client.scopes,
            other => panic!("no client: {other:?}"),
        };
        assert_eq!(scopes(&less.access_token).await, [ClientScope::EnrollmentRead]);
        let more = request(header(), &format!("{GRANT}&scope=catalog:read+billing:read"), after(0));
        assert_eq!(code(handle(&ctx, &more).await), "INVALID_SCOPE");
        let edit = edit_service_client::Command {
            client: client.0,
            name: None,
            scopes: Some(vec![ClientScope::CatalogRead]),
            expires_at: None,
        };
        let edit = Call { if_match: Some(1), ..by_administrator(edit) };
        edit_service_client::handle(&ctx, &edit).await.expect("edits");
        assert_eq!(scopes(&less.access_token).await, []);
    }

    #[tokio::test]
    async fn a_scope_that_is_asked_for_a_hundred_times_is_in_the_token_once() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        let header = || Some(in_header(&client.0.to_string(), &client.1));
        let plain = handle(&ctx, &asking(&client, after(0))).await.expect("a token");
        let many = ["enrollment:read", "catalog:read"].repeat(100).join("+");
        let many = request(header(), &format!("{GRANT}&scope={many}"), after(0));
        let reply = handle(&ctx, &many).await.expect("a token");
        assert_eq!(reply.scope, plain.scope);
        assert_eq!(reply.access_token.len(), plain.access_token.len());
    }

    #[tokio::test]
    async fn an_edit_is_not_in_the_way_of_a_use_nor_a_use_in_the_way_of_an_edit() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        let edit = |name: &str, if_match| {
            let command = edit_service_client::Command {
                client: client.0,
                name: Some(name.to_owned()),
                scopes: None,
                expires_at: None,
            };
            Call { if_match: Some(if_match), ..by_administrator(command) }
        };
        handle(&ctx, &asking(&client, after(0))).await.expect("a token");
        edit_service_client::handle(&ctx, &edit("The library", 1)).await.expect("edits");
        handle(&ctx, &asking(&client, after(300))).await.expect("a token");
        let edited = edit_service_client::handle(&ctx, &edit("A library", 2)).await;
        let edited = edited.expect("edits");
        assert_eq!((edited.version, edited.last_used_at), (3, Some(after(300))));
    }

    #[tokio::test]
    async fn an_unknown_client_and_a_wrong_secret_are_answered_alike() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (id, secret) = made(&ctx).await;
        let nobody = ServiceClientId::derived_from("nobody");
        for call in [
            asking(&(nobody, secret.clone()), after(0)),
            asking(&(id, format!("{secret}A")), after(0)),
            asking(&(id, String::new()), after(0)),
            asking(&(id, secret.clone()), after(24 * 3_600)),
            request(Some(in_header("nobody", "x")), GRANT, after(0)),
            request(Some("Basic !".into()), GRANT, after(0)),
            request(Some("Bearer x".into()), GRANT, after(0)),
            request(None, GRANT, after(0)),
        ] {
            drop(test.engine.take_calls());
            assert_eq!(code(handle(&ctx, &call).await), "INVALID_CLIENT", "{call:?}");
            assert!(test.engine.take_calls().values().sum::<u64>() <= 1);
        }
    }

    #[tokio::test]
    async fn a_request_that_is_none_is_refused_as_the_standard_says() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (id, secret) = made(&ctx).await;
        let header = || Some(in_header(&id.to_string(), &secret));
        let long = format!("{GRANT}&scope={}", "x".repeat(5_000));
        let twice = format!("{GRANT}&client_secret={secret}");
        for (body, expected) in [
            ("", "INVALID_REQUEST"),
            ("grant_type=", "INVALID_REQUEST"),
            ("grant_type=password&username=a&password=b", "UNSUPPORTED_GRANT_TYPE"),
            ("grant_type=client_credentials&grant_type=password", "INVALID_REQUEST"),
            ("grant_type=client_credentials&client_id=another", "INVALID_REQUEST"),
            ("grant_type=client_credentials&scope=+", "INVALID_SCOPE"),
            (&twice, "INVALID_REQUEST"),
            (&long, "INVALID_REQUEST"),
        ] {
            let refused = handle(&ctx, &request(header(), body, after(0))).await;
            assert_eq!(code(refused), expected, "{body:.60}");
        }
        let mut json = request(header(), r#"{"grant_type":"client_credentials"}"#, after(0));
        json.command.headers.insert("content-type".into(), "application/json".into());
        assert_eq!(code(handle(&ctx, &json).await), "INVALID_REQUEST");
    }

    #[tokio::test]
    async fn two_secrets_are_good_until_the_old_one_ends() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let old = made(&ctx).await;
        handle(&ctx, &asking(&old, after(0))).await.expect("a token");
        let old_ends_at = Some(after(60));
        let rotate = rotate_client_secret::Command { client: old.0, old_ends_at };
        let rotated = rotate_client_secret::handle(&ctx, &by_administrator(rotate)).await;
        let new = (old.0, rotated.expect("rotates").secret.expect("shown"));
        handle(&ctx, &asking(&old, after(59))).await.expect("the old one stands");
        handle(&ctx, &asking(&new, after(59))).await.expect("so does the new one");
        assert_eq!(code(handle(&ctx, &asking(&old, after(60))).await), "INVALID_CLIENT");
        handle(&ctx, &asking(&new, after(60))).await.expect("the new one stands");
    }

    #[tokio::test]
    async fn a_use_is_noted_whatever_happens_on_the_wire_and_not_with_every_token() {
        testkit::under_every_fault(
            async |table| asking(&made(&ctx(table)).await, after(0)),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, _| {
                let page = table.query(&client_store::clients(), &PageRequest::default()).await;
                let id = page.expect("reads").records[0].value.id;
                let found = client_store::client(table, id).await.expect("reads");
                let KnownClient { client, uses: (uses, _), .. } = found;
                assert_eq!(client.version, 1, "a use is no edit");
                assert_eq!(uses.last_of(client.value.secrets[0].id), Some(after(0)));
            },
        )
        .await;
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        for second in 0..300 {
            handle(&ctx, &asking(&client, after(second))).await.expect("a token");
        }
        let found = client_store::client(&ctx.table, client.0).await.expect("reads");
        assert_eq!((found.client.version, found.uses.1), (1, Some(1)));
    }

    #[tokio::test]
    async fn a_client_that_is_ended_calls_no_more_within_half_a_minute_and_the_gateways_own() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let client = made(&ctx).await;
        let token = handle(&ctx, &asking(&client, after(0))).await.expect("a token").access_token;
        authorize::handle(&ctx, &token, after(0)).await.expect("it is good");
        drop(test.engine.take_calls());
        authorize::handle(&ctx, &token, after(1)).await.expect("it is good");
        assert_eq!(test.engine.take_calls().values().sum::<u64>(), 0, "it is remembered");
        let end = end_service_client::Command { client: client.0 };
        end_service_client::handle(&ctx, &by_administrator(end)).await.expect("ends");
        authorize::handle(&ctx, &token, after(24)).await.expect("nobody has heard of it yet");
        assert_eq!(code(authorize::handle(&ctx, &token, after(25)).await), "SESSION_ENDED");
        assert_eq!(code(handle(&ctx, &asking(&client, after(26))).await), "INVALID_CLIENT");
    }
}
