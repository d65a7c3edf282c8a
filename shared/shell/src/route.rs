//! What the front door knows of an operation: its method and path, who may call it, and what the call must carry.

use schemars::{JsonSchema, Schema};
use serde::Serialize;

use crate::{ClientScope, Role, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What a request with a body carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Json,
    Form,
}

impl Body {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// A role that may use the operation, and how far it reaches there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allow {
    pub role: Role,
    pub scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody has to say who they are.
    Public,
    /// Whoever is logged in, on what is theirs.
    LoggedIn,
    Roles(&'static [Allow]),
}

/// An HTTP operation: one line of the table that the shell checks, OpenAPI prints and a test walks through.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of its own, and all are told by name"
)]
pub struct Route {
    /// The operation's name, which with the context is the function's name.
    pub operation: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub summary: &'static str,
    pub access: Access,
    /// Status of a carried-out call.
    pub status: u16,
    /// Whether an `Idempotency-Key` is required.
    pub idempotent_by_key: bool,
    /// Whether `If-Match` is required.
    pub edits: bool,
    /// Whether `limit` and `cursor` are understood.
    pub paged: bool,
    pub body: Body,
    /// Whether a form is taken as well, each of its fields as a text.
    pub also_form: bool,
    /// A field that may come in a header instead, by the header's name.
    pub header_field: Option<(&'static str, &'static str)>,
    /// What a service client must be allowed to call it; absent where none may. It reaches every record then.
    pub client_scope: Option<ClientScope>,
    /// How long anybody may keep the reply, in seconds; absent where nobody may.
    pub cached_s: Option<u32>,
    /// The media type of the reply where it is a [`crate::Document`].
    pub document: Option<&'static str>,
}

impl Route {
    pub const fn get(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        Self::new(operation, Method::Get, path, access, summary)
    }

    /// A list in pages.
    pub const fn list(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        let mut route = Self::get(operation, path, access, summary);
        route.paged = true;
        route
    }

    /// Makes something new: 201, and an `Idempotency-Key` is required.
    pub const fn create(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        let mut route = Self::new(operation, Method::Post, path, access, summary);
        route.status = 201;
        route.idempotent_by_key = true;
        route
    }

    /// Does something to what exists: 200, and an `Idempotency-Key` is required.
    pub const fn act(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        let mut route = Self::new(operation, Method::Post, path, access, summary);
        route.idempotent_by_key = true;
        route
    }

    /// A POST that a caller may repeat freely, such as a log-in: no key, nothing stored.
    pub const fn call(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        Self::new(operation, Method::Post, path, access, summary)
    }

    pub const fn put(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        Self::new(operation, Method::Put, path, access, summary)
    }

    /// Puts another text in the place of the one that was read: `If-Match` is required.
    pub const fn replace(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        let mut route = Self::put(operation, path, access, summary);
        route.edits = true;
        route
    }

    /// Changes a resource as it was read: `If-Match` is required.
    pub const fn edit(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        let mut route = Self::new(operation, Method::Patch, path, access, summary);
        route.edits = true;
        route
    }

    pub const fn delete(
        operation: &'static str,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        Self::new(operation, Method::Delete, path, access, summary)
    }

    const fn new(
        operation: &'static str,
        method: Method,
        path: &'static str,
        access: Access,
        summary: &'static str,
    ) -> Self {
        Self {
            operation,
            method,
            path,
            summary,
            access,
            status: 200,
            idempotent_by_key: false,
            edits: false,
            paged: false,
            body: Body::Json,
            also_form: false,
            header_field: None,
            client_scope: None,
            cached_s: None,
            document: None,
        }
    }

    /// Takes a form.
    #[must_use]
    pub const fn form(mut self) -> Self {
        self.body = Body::Form;
        self
    }

    /// Takes a form as well as JSON, for callers who can send nothing else.
    #[must_use]
    pub const fn also_form(mut self) -> Self {
        self.also_form = true;
        self
    }

    /// Takes the field out of this header where the body has none.
    #[must_use]
    pub const fn or_header(mut self, field: &'static str, header: &'static str) -> Self {
        self.header_field = Some((header, field));
        self
    }

    /// For service clients as well, where they are allowed this.
    #[must_use]
    pub const fn for_clients(mut self, scope: ClientScope) -> Self {
        self.client_scope = Some(scope);
        self
    }

    /// The same for everybody, and good for so long.
    #[must_use]
    pub const fn cached_s(mut self, seconds: u32) -> Self {
        self.cached_s = Some(seconds);
        self
    }

    /// Replies with a file of this kind.
    #[must_use]
    pub const fn document(mut self, media_type: &'static str) -> Self {
        self.document = Some(media_type);
        self
    }

    /// Names in braces in the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// A route with the shapes of what goes in and comes out, as OpenAPI prints it.
pub struct HttpOperation {
    pub context: &'static str,
    pub route: Route,
    pub input: Schema,
    /// Absent where the reply is not JSON.
    pub reply: Option<Schema>,
}

impl HttpOperation {
    pub fn of<C: JsonSchema, R: JsonSchema>(context: &'static str, route: Route) -> Self {
        Self {
            context,
            route,
            input: schemars::schema_for!(C),
            reply: Some(schemars::schema_for!(R)),
        }
    }

    /// An operation whose reply is a page or a document of its own.
    pub fn without_reply_schema<C: JsonSchema>(context: &'static str, route: Route) -> Self {
        Self { context, route, input: schemars::schema_for!(C), reply: None }
    }
}
