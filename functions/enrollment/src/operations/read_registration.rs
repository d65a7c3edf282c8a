//! One registration, with how it came to be what it is.

use kernel::{PersonId, RegistrationId, SectionId, SubmissionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, ClientScope, Failure, Route};
use table::Stored;

use super::STUDENT_OR_REGISTRAR;
use crate::Ctx;
use crate::domain::{Refusal, Registration, RegistrationState, Transition, UsedOverride};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-registration",
    "/registrations/{registration}",
    STUDENT_OR_REGISTRAR,
    "Read a registration",
)
.for_clients(ClientScope::EnrollmentRead);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub registration: RegistrationId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub id: RegistrationId,
    pub version: u64,
    pub submission: SubmissionId,
    pub student: PersonId,
    pub term: TermId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    pub state: RegistrationState,
    /// Its prerequisites rest on a course that has no grade yet: they are judged again when the grade is posted.
    pub provisional: bool,
    pub drop_until: Timestamp,
    /// What had to be lifted to let the student in.
    #[serde(default)]
    pub overrides: Vec<UsedOverride>,
    pub history: Vec<Transition>,
}

impl Reply {
    pub fn of(registration: &Registration, version: u64, drop_until: Timestamp) -> Self {
        let registration = registration.clone();
        Self {
            id: registration.id,
            version,
            submission: registration.submission,
            student: registration.student,
            term: registration.term,
            section: registration.section,
            section_code: registration.section_code,
            course_title: registration.course_title,
            credits_hundredths: registration.credits_hundredths,
            state: registration.state,
            provisional: registration.provisional,
            drop_until,
            overrides: registration.overrides,
            history: registration.history,
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Stored { value, version } = of_caller(ctx, call, call.command.registration).await?;
    let terms = ctx.terms([value.term].into(), call.now).await?;
    let drop_until = value.drop_until(terms.get(&value.term), ctx.time_zone());
    Ok(Reply::of(&value, version, drop_until))
}

/// The registration, where it is within the caller's reach; to others it does not exist.
pub async fn of_caller<C>(
    ctx: &Ctx,
    call: &Call<C>,
    id: RegistrationId,
) -> Result<Stored<Registration>, Failure> {
    let stored = ctx.table.get(&store::registration_key(id)).await?;
    let within = stored.filter(|stored| call.may_touch(stored.value.student, &[]));
    Ok(within.ok_or(Refusal::RegistrationUnknown)?)
}
