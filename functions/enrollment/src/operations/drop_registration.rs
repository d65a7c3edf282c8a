//! A student gives a confirmed registration up: the seat is free again, and billing takes the charge back.

use events::RegistrationDropped;
use kernel::RegistrationId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use super::read_registration::{self, Reply};
use crate::Ctx;
use crate::domain::{Refusal, Registration};
use crate::store;

pub const ROUTE: Route = Route::act(
    "drop-registration",
    "/registrations/{registration}/drop",
    STUDENT_OR_REGISTRAR,
    "Drop a confirmed registration",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub registration: RegistrationId,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let mut registration =
        read_registration::of_caller(ctx, call, call.command.registration).await?;
    if !registration.value.drop_by(call.person(), call.now)? {
        return Ok(Reply::of(&registration.value, registration.version));
    }
    let Registration { id, bundle, student, section, term, .. } = registration.value;
    let term_key = store::student_term_key(student, term);
    let mut student_term = ctx
        .table
        .get(&term_key)
        .await?
        .ok_or_else(|| shell::Fault::defect(format!("{id} has no student term")))?;
    if student_term.value.is_required(id) {
        return Err(Refusal::DropBreaksCorequisite.into());
    }
    let version = registration.version + 1;
    let reply = Reply::of(&registration.value, version);
    let mut transaction = ctx.table.transaction();
    store::write_drop(&mut transaction, &registration, &mut student_term);
    let event = RegistrationDropped {
        registration: id,
        bundle,
        student,
        section,
        term,
        dropped_at: call.now,
    };
    transaction.event(event, version, call.now, &call.correlation_id);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}
