//! Input against the JSON Schema of its Rust type: the schema that OpenAPI prints is the one that is enforced, and all
//! errors come at once.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::Schema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::request::{ERRORS_MAX, FieldError};

pub(crate) fn validator(schema: &Schema) -> Validator {
    jsonschema::validator_for(schema.as_value())
        .expect("a schema derived from a Rust type is valid")
}

/// The command, or everything that is wrong with it.
pub(crate) fn command<C: DeserializeOwned>(
    validator: &Validator,
    input: Value,
) -> Result<C, Vec<FieldError>> {
    let errors: Vec<FieldError> = validator
        .iter_errors(&input)
        .take(ERRORS_MAX)
        .flat_map(|error| field_errors(&error))
        .collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    // What a schema cannot say, such as the 30th of February, the type itself refuses.
    serde_path_to_error::deserialize(input).map_err(|error| {
        let field = error.path().to_string().replace(['.', '['], "/").replace(']', "");
        vec![FieldError::new(format!("/{field}"), "INVALID")]
    })
}

fn field_errors(error: &ValidationError<'_>) -> Vec<FieldError> {
    let at = error.instance_path().to_string();
    let one = |code, arguments| vec![FieldError { field: at.clone(), code, arguments }];
    let limit = |limit: &dyn ToString| vec![("limit", limit.to_string())];
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![FieldError::new(format!("{at}/{name}"), "REQUIRED")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| FieldError::new(format!("{at}/{name}"), "UNKNOWN"))
            .collect(),
        ValidationErrorKind::Type { kind } => {
            one("WRONG_TYPE", vec![("expected", expected_type(kind))])
        }
        ValidationErrorKind::Enum { options } => {
            one("NOT_ONE_OF", vec![("expected", listed(options))])
        }
        ValidationErrorKind::Constant { expected_value } => {
            one("NOT_ONE_OF", vec![("expected", expected_value.to_string())])
        }
        ValidationErrorKind::Pattern { .. } | ValidationErrorKind::Format { .. } => {
            one("WRONG_FORMAT", Vec::new())
        }
        ValidationErrorKind::MinLength { limit: n }
        | ValidationErrorKind::MinItems { limit: n } => one("TOO_SHORT", limit(n)),
        ValidationErrorKind::MaxLength { limit: n }
        | ValidationErrorKind::MaxItems { limit: n } => one("TOO_LONG", limit(n)),
        ValidationErrorKind::Minimum { limit: n }
        | ValidationErrorKind::ExclusiveMinimum { limit: n } => one("TOO_SMALL", limit(n)),
        ValidationErrorKind::Maximum { limit: n }
        | ValidationErrorKind::ExclusiveMaximum { limit: n } => one("TOO_LARGE", limit(n)),
        ValidationErrorKind::UniqueItems => one("NOT_UNIQUE", Vec::new()),
        _ => one("INVALID", Vec::new()),
    }
}

fn expected_type(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(single) => single.to_string(),
        TypeKind::Multiple(several) => {
            several.iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" | ")
        }
    }
}

fn listed(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    options
        .iter()
        .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use kernel::{Email, SectionId};
    use schemars::{JsonSchema, schema_for};
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[allow(dead_code, reason = "only its refusal matters here")]
        email: Email,
        #[allow(dead_code, reason = "only its refusal matters here")]
        #[schemars(length(min = 1, max = 2))]
        sections: Vec<SectionId>,
        #[allow(dead_code, reason = "only its refusal matters here")]
        #[schemars(range(min = 1))]
        seats: u32,
        #[allow(dead_code, reason = "only its refusal matters here")]
        day: Option<kernel::Date>,
    }

    fn codes(input: Value) -> Vec<String> {
        match command::<Order>(&validator(&schema_for!(Order)), input) {
            Err(errors) => {
                let mut codes: Vec<String> =
                    errors.iter().map(|error| format!("{} {}", error.field, error.code)).collect();
                codes.sort();
                codes
            }
            Ok(order) => panic!("not refused: {order:?}"),
        }
    }

    #[test]
    fn every_error_is_reported_at_once() {
        let found = codes(json!({ "email": 3, "sections": ["crs_1", "x", "y"], "colour": "red" }));
        assert_eq!(
            found,
            [
                "/colour UNKNOWN",
                "/email WRONG_TYPE",
                "/seats REQUIRED",
                "/sections TOO_LONG",
                "/sections/0 WRONG_FORMAT",
                "/sections/1 WRONG_FORMAT",
                "/sections/2 WRONG_FORMAT",
            ]
        );
    }

    #[test]
    fn what_the_schema_cannot_say_is_refused_with_its_field() {
        let section = "sec_00000000000000000000000000000000";
        let found = codes(
            json!({ "email": "a@b.c", "sections": [section], "seats": 1, "day": "2027-02-30" }),
        );
        assert_eq!(found, ["/day INVALID"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        assert_eq!(codes(json!([1])), [" WRONG_TYPE"]);
    }
}
