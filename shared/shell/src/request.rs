//! Refusals that belong to no context: the request itself is not as it must be.

use kernel::Locale;
use serde_json::{Map, Value, json};

use crate::{Refuse, Sentences, sentence};

/// Enough for a person to mend a form; a hostile body gets no longer a reply.
pub(crate) const ERRORS_MAX: usize = 50;

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer into the request (RFC 6901), such as `/items/0/section`; or a header's name.
    pub field: String,
    pub code: &'static str,
    /// For the sentence: a limit, or what was expected.
    pub arguments: Vec<(&'static str, String)>,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, code: &'static str) -> Self {
        Self { field: field.into(), code, arguments: Vec::new() }
    }

    fn spoken(&self, locale: Locale) -> Value {
        let code = format!("FIELD_{}", self.code);
        let message = sentence(&SENTENCES, locale, &code, &self.arguments);
        json!({ "field": self.field, "code": self.code, "message": message })
    }
}

/// What is wrong with a request, gathered so that all of it is told at once.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    errors: Vec<FieldError>,
    /// What has a refusal of its own as long as nothing else is wrong.
    besides: Vec<(RequestRefusal, FieldError)>,
}

impl Wrong {
    pub(crate) fn push(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    pub(crate) fn fields(&mut self, fields: impl IntoIterator<Item = String>, code: &'static str) {
        self.errors.extend(fields.into_iter().map(|field| FieldError::new(field, code)));
    }

    pub(crate) fn besides(&mut self, refusal: RequestRefusal, field: &str, code: &'static str) {
        self.besides.push((refusal, FieldError::new(field, code)));
    }

    /// The command, if nothing at all is wrong.
    pub(crate) fn judged<C>(
        mut self,
        command: Result<C, Vec<FieldError>>,
    ) -> Result<C, RequestRefusal> {
        match command {
            Ok(command) if self.errors.is_empty() && self.besides.is_empty() => return Ok(command),
            Ok(_) => {}
            Err(errors) => self.errors.extend(errors),
        }
        if let ([], [(refusal, _)]) = (self.errors.as_slice(), self.besides.as_slice()) {
            return Err(refusal.clone());
        }
        self.errors.extend(self.besides.into_iter().map(|(_, error)| error));
        self.errors.truncate(ERRORS_MAX);
        Err(RequestRefusal::InvalidInput(self.errors))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestRefusal {
    MalformedJson,
    NotUtf8,
    ContentTypeUnsupported,
    BodyTooLarge { limit: usize },
    InvalidInput(Vec<FieldError>),
    Unauthenticated,
    TokenExpired,
    TokenInvalid,
    SessionEnded,
    Forbidden,
    NotFound,
    IdempotencyKeyRequired,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    InProgress,
    IfMatchRequired,
    PreconditionFailed,
    CursorInvalid,
    Busy,
    Unavailable,
    Internal,
}

/// The shell's own sentences.
pub static SENTENCES: Sentences = crate::sentences!();

impl Refuse for RequestRefusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::MalformedJson => ("MALFORMED_JSON", 400),
            Self::NotUtf8 => ("NOT_UTF8", 400),
            Self::ContentTypeUnsupported => ("CONTENT_TYPE_UNSUPPORTED", 415),
            Self::BodyTooLarge { .. } => ("BODY_TOO_LARGE", 413),
            Self::InvalidInput(_) => ("INVALID_INPUT", 422),
            Self::Unauthenticated => ("UNAUTHENTICATED", 401),
            Self::TokenExpired => ("TOKEN_EXPIRED", 401),
            Self::TokenInvalid => ("TOKEN_INVALID", 401),
            Self::SessionEnded => ("SESSION_ENDED", 401),
            Self::Forbidden => ("FORBIDDEN", 403),
            Self::NotFound => ("NOT_FOUND", 404),
            Self::IdempotencyKeyRequired => ("IDEMPOTENCY_KEY_REQUIRED", 400),
            Self::IdempotencyKeyInvalid => ("IDEMPOTENCY_KEY_INVALID", 400),
            Self::IdempotencyKeyReused => ("IDEMPOTENCY_KEY_REUSED", 422),
            Self::InProgress => ("IN_PROGRESS", 409),
            Self::IfMatchRequired => ("IF_MATCH_REQUIRED", 428),
            Self::PreconditionFailed => ("PRECONDITION_FAILED", 412),
            Self::CursorInvalid => ("CURSOR_INVALID", 400),
            Self::Busy => ("BUSY", 503),
            Self::Unavailable => ("UNAVAILABLE", 503),
            Self::Internal => ("INTERNAL", 500),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::BodyTooLarge { limit } => vec![("limit", limit.to_string())],
            _ => Vec::new(),
        }
    }

    fn extensions(&self, locale: Locale) -> Map<String, Value> {
        match self {
            Self::InvalidInput(errors) => {
                let errors = errors.iter().map(|error| error.spoken(locale)).collect();
                Map::from_iter([("errors".to_owned(), errors)])
            }
            _ => Map::new(),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}
