//! A submission, with how far each of its bundles has come.

use events::ReleaseReason;
use kernel::{
    ApprovalId, BundleId, InvoiceId, Locale, Proof, RegistrationId, SectionId, SubmissionId,
    TermId, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::STUDENT_OR_REGISTRAR;
use crate::Ctx;
use crate::domain::{
    Bundle, BundleState, Incomplete, ItemCode, Parked, Refusal, StoppedBy, Submission,
};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-submission",
    "/submissions/{submission}",
    STUDENT_OR_REGISTRAR,
    "Read a submission with the progress of each of its bundles",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub submission: SubmissionId,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub id: SubmissionId,
    pub term: TermId,
    pub submitted_at: Timestamp,
    /// Registrations that stand or fall together, each bundle with its own saga.
    pub bundles: Vec<BundleProgress>,
    /// Items that could not be registered; they are still the student's to mend and submit again.
    pub failed: Vec<FailedItem>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleProgress {
    pub bundle: BundleId,
    pub submission: SubmissionId,
    pub version: u64,
    pub state: BundleState,
    /// Which execution carries the saga: more than 1 where it had to be started again.
    pub attempt: u32,
    pub registrations: Vec<Member>,
    /// One for each department whose head must approve, once they have been asked.
    pub approvals: Vec<ApprovalId>,
    pub invoice: Option<InvoiceId>,
    /// Why it was undone.
    pub reason: Option<ReleaseReason>,
    pub parked: Option<Parked>,
    pub moved_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    pub registration: RegistrationId,
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedItem {
    pub section: SectionId,
    pub codes: Vec<FailingCode>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailingCode {
    pub code: ItemCode,
    /// The other section that it is about.
    pub with: Option<SectionId>,
    /// What is the matter.
    pub message: String,
    /// What the student can do about it.
    #[serde(default)]
    pub remedy: String,
    /// Of a prerequisite that is not met: the fewest requirements that would help.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Of a prerequisite that is not met: what became of each of its branches.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// What holds the student.
    #[serde(default)]
    pub holds: Vec<StoppedBy>,
    /// Of a linked section: what is lacking of each choice.
    #[serde(default)]
    pub choices: Vec<Incomplete>,
}

impl FailedItem {
    pub fn of(item: &crate::domain::FailedItem, locale: Locale) -> Self {
        let failing = |refusal: &crate::domain::ItemRefusal| FailingCode {
            code: refusal.code,
            with: refusal.with,
            message: refusal.message(locale),
            remedy: refusal.remedy(locale),
            missing: refusal.missing(),
            proof: refusal.proof.clone(),
            holds: refusal.holds.clone(),
            choices: refusal.choices.clone(),
        };
        Self { section: item.section, codes: item.refusals.iter().map(failing).collect() }
    }
}

impl BundleProgress {
    pub fn of(bundle: &Bundle, version: u64) -> Self {
        let member = |member: &events::ChargeableRegistration| Member {
            registration: member.registration,
            section: member.section,
            section_code: member.section_code.clone(),
            course_title: member.course_title.clone(),
        };
        Self {
            bundle: bundle.id,
            submission: bundle.submission,
            version,
            state: bundle.state,
            attempt: bundle.attempt,
            registrations: bundle.registrations.iter().map(member).collect(),
            approvals: bundle.approvals.clone(),
            invoice: bundle.invoice,
            reason: bundle.reason,
            parked: bundle.parked.clone(),
            moved_at: bundle.moved_at,
        }
    }
}

impl Reply {
    pub fn of(submission: &Submission, bundles: Vec<BundleProgress>, locale: Locale) -> Self {
        Self {
            id: submission.id,
            term: submission.term,
            submitted_at: submission.submitted_at,
            bundles,
            failed: submission.failed.iter().map(|item| FailedItem::of(item, locale)).collect(),
        }
    }
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let id = call.command.submission;
    let mut batch = ctx.table.get_collection(&store::submission_pk(id)).await?;
    let submission = batch
        .take(&store::submission_key(id))?
        .filter(|submission| call.may_touch(submission.value.student, &[]))
        .ok_or(Refusal::SubmissionUnknown)?;
    let bundles = batch.take_all::<Bundle>(store::BUNDLE_PREFIX)?;
    let progress =
        bundles.iter().map(|bundle| BundleProgress::of(&bundle.value, bundle.version)).collect();
    Ok(Reply::of(&submission.value, progress, call.locale))
}

#[cfg(test)]
mod tests {
    use testkit::TestTable;

    use super::*;
    use crate::fixtures::{by, code, held};

    #[tokio::test]
    async fn a_submission_is_read_in_one_call_and_by_its_student_alone() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let submitted = held(&test.table, |_| ()).await;
        drop(test.engine.take_calls());
        let read = handle(&ctx, &testkit::call(Command { submission: submitted.id }))
            .await
            .expect("reads");
        assert_eq!(
            test.engine.take_calls().into_iter().collect::<Vec<_>>(),
            [("Query".to_owned(), 1)]
        );
        assert_eq!(read, submitted);
        let other = by("bob", testkit::call(Command { submission: submitted.id }));
        assert_eq!(code(handle(&ctx, &other).await), "SUBMISSION_UNKNOWN");
    }
}
