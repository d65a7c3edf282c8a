//! A student submits a cart: every item is judged, and what passes holds its seat before the reply goes out.

use events::ChargeableRegistration;
use kernel::{RegistrationId, SectionId, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};
use table::Transaction;

use super::read_submission::{self, BundleProgress};
use crate::Ctx;
use crate::domain::{
    Bundle, BundleState, Cart, PlannedBundle, Refusal, Registration, RegistrationState, Submission,
    Transition, decide,
};
use crate::store::{self, Situation};

pub const ROUTE: Route = Route::create(
    "submit",
    "/submissions",
    Access::Roles(&[Allow { role: Role::Student, scope: Scope::Own }]),
    "Submit a cart of sections",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// In the order of preference: where two exclude each other, the first one stands.
    #[schemars(length(min = 1, max = 20))]
    pub sections: Vec<SectionId>,
}

pub type Reply = read_submission::Reply;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, sections } = &call.command;
    let student = call.person();
    let situation = store::situation(&ctx.table, student, *term, sections).await?;
    let items: Vec<(SectionId, RegistrationId)> =
        sections.iter().map(|section| (*section, call.new_id())).collect();
    let cart = Cart { term: *term, items: &items };
    let decision =
        decide(&cart, &situation.seats, &situation.student_term, &situation.history, call.now);
    if decision.bundles.is_empty() {
        return Err(Refusal::NothingRegistered(decision.failed).into());
    }
    let submission = Submission {
        id: call.new_id(),
        student,
        term: *term,
        failed: decision.failed,
        submitted_at: call.now,
    };
    let mut transaction = ctx.table.transaction();
    transaction.create(&submission);
    let mut student_term = situation.student_term.clone();
    let mut bundles = Vec::new();
    for planned in decision.bundles {
        bundles.push(hold_seats(&mut transaction, call, &submission, &planned, &situation));
        student_term.entries.extend(planned.entries);
    }
    transaction.put(&student_term, situation.student_term_version);
    let progress = bundles.iter().map(|bundle| BundleProgress::of(bundle, 1)).collect();
    let reply = Reply::of(&submission, progress, call.locale);
    call.keep_reply(&mut transaction, &reply);
    // A seat that went while we decided fails the condition: the shell runs this again, and the cart is judged afresh.
    transaction.commit().await?;
    Ok(reply)
}

fn hold_seats(
    transaction: &mut Transaction<'_>,
    call: &Call<Command>,
    submission: &Submission,
    planned: &PlannedBundle,
    situation: &Situation,
) -> Bundle {
    let sections = planned.entries.iter().map(|entry| (entry, &situation.seats[&entry.section]));
    let chargeable = |(entry, seats): (&crate::domain::Entry, &crate::domain::SectionSeats)| {
        ChargeableRegistration {
            registration: entry.registration,
            section: entry.section,
            section_code: seats.code.clone(),
            course_title: seats.course.title.clone(),
            credits_hundredths: entry.credits_hundredths,
            price_group: seats.price_group.clone(),
        }
    };
    let approval_department = sections
        .clone()
        .find(|(_, seats)| seats.approval_required)
        .map(|(_, seats)| seats.department.clone());
    let bundle = Bundle {
        id: call.new_id(),
        submission: submission.id,
        student: submission.student,
        term: submission.term,
        term_code: sections
            .clone()
            .next()
            .map(|(_, seats)| seats.term.code.clone())
            .unwrap_or_default(),
        registrations: sections.clone().map(chargeable).collect(),
        approval_department,
        approval: None,
        invoice: None,
        state: BundleState::SeatsHeld,
        attempt: 1,
        reason: None,
        parked: None,
        closed: false,
        held_at: call.now,
        moved_at: call.now,
    };
    for (entry, seats) in sections {
        store::take_seat(transaction, seats);
        transaction.create(&Registration {
            id: entry.registration,
            bundle: bundle.id,
            submission: submission.id,
            student: submission.student,
            term: submission.term,
            section: seats.section,
            section_code: seats.code.clone(),
            course_title: seats.course.title.clone(),
            credits_hundredths: seats.credits_hundredths,
            department: seats.department.clone(),
            drop_until: seats.term.registration_closes_at,
            state: RegistrationState::SeatHeld,
            history: vec![Transition {
                to: RegistrationState::SeatHeld,
                at: call.now,
                by: submission.student.to_string(),
                reason: None,
            }],
        });
    }
    transaction.create(&bundle);
    transaction.event(bundle.saga_request(), 1, call.now, &call.correlation_id);
    bundle
}
