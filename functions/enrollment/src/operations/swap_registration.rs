//! A confirmed registration is given up for other sections in one transaction: either the new seats are held and the
//! old one is free, or nothing has changed.

use events::DropReason;
use kernel::{RegistrationId, SectionId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::read_submission::BundleProgress;
use super::{read_registration, submit};
use crate::Ctx;
use crate::domain::{
    Cart, Decision, Door, Entry, ItemCode, Link, Refusal, StudentTerm, Submission, decide,
};
use crate::store::{self, Cause, Departure, Holding, Situation};

pub const ROUTE: Route = Route::act(
    "swap-registration",
    "/registrations/{registration}/swap",
    submit::ACCESS,
    "Give a registration up for other sections",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub registration: RegistrationId,
    /// What is to be had in its place, all of it or nothing: several where they are taken together.
    #[schemars(length(min = 1, max = 6), extend("uniqueItems" = true))]
    pub sections: Vec<SectionId>,
    /// What it is linked with, such as the lecture of a lab, is given up as well, where the new sections are not linked
    /// with it.
    #[serde(default)]
    pub with_linked: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<submit::Reply, Failure> {
    let Command { registration, sections, .. } = &call.command;
    let stored = read_registration::of_caller(ctx, call, *registration).await?;
    let (student, term) = (stored.value.student, stored.value.term);
    let moment = (call.now, ctx.date(call.now));
    let situation = store::situation(ctx, student, term, sections, moment).await?;
    let mut departure = store::departure(&ctx.table, stored).await?;
    let decision = judge(call, &situation, &mut departure)?;
    for registration in &mut departure.registrations {
        let until = registration.value.drop_until(departure.term.as_ref(), ctx.time_zone());
        if !registration.value.drop_by(call.person(), call.now, until)? {
            return Err(Refusal::RegistrationEnded.into());
        }
    }
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    departure.write(&mut transaction, DropReason::StudentDropped, cause);
    let submission =
        Submission { id: call.new_id(), student, term, failed: Vec::new(), submitted_at: call.now };
    transaction.create(&submission);
    let by = student.to_string();
    let holding = Holding {
        submission: &submission,
        situation: &situation,
        zone: ctx.time_zone(),
        door: Door::Public,
        by: &by,
        cause,
    };
    let mut student_term = situation.student_term.without(&departure.ids());
    let mut progress = Vec::new();
    for planned in decision.bundles {
        let bundle = store::hold_seats(&mut transaction, &holding, call.new_id(), &planned);
        progress.push(BundleProgress::of(&bundle, 1));
        relink(&mut student_term, &planned.entries, &situation);
        student_term.entries.extend(planned.entries);
    }
    situation.write_student_term(&mut transaction, &student_term);
    let reply = submit::Reply::of(&submission, progress, call.locale);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// Whether what was refused stands beside a section of its own course: then all that is linked with that is meant.
fn is_of_same_course(decision: &Decision) -> bool {
    let beside = [ItemCode::DuplicateSection, ItemCode::DuplicateCourse, ItemCode::LinkRequired];
    decision.failed.iter().all(|item| item.refusals.iter().any(|one| beside.contains(&one.code)))
}

/// What is linked with the registration stays where the new sections are linked with it too; else it goes as well,
/// where the student said so or nothing else can be meant.
fn judge(
    call: &Call<Command>,
    situation: &Situation,
    departure: &mut Departure,
) -> Result<Decision, Failure> {
    let Command { registration, sections, with_linked } = &call.command;
    let items: Vec<(SectionId, RegistrationId)> =
        sections.iter().map(|section| (*section, call.new_id())).collect();
    let term = situation.student_term.term;
    let cart = Cart { term, items: &items, door: Door::Public };
    let without = |registrations: &[RegistrationId]| {
        let standing = situation.student_term.without(registrations);
        decide(&cart, &situation.seats, &standing, &situation.background, call.now)
    };
    let alone = without(&[*registration]);
    let decision = if alone.failed.is_empty() && makes_whole(&alone, situation, departure) {
        departure.registrations.truncate(1);
        alone
    } else if alone.failed.is_empty() && !with_linked {
        return Err(Refusal::SwapBreaksLink.into());
    } else if *with_linked || is_of_same_course(&alone) {
        without(&departure.ids())
    } else {
        alone
    };
    if !decision.failed.is_empty() {
        return Err(Refusal::NothingRegistered(decision.failed).into());
    }
    let leaves = |section: &SectionId| {
        departure.registrations.iter().any(|leaving| leaving.value.section == *section)
    };
    if sections.iter().any(leaves) {
        return Err(Refusal::SwapImpossible.into());
    }
    let courses: Vec<_> = decision
        .bundles
        .iter()
        .flat_map(|bundle| &bundle.entries)
        .map(|entry| entry.course)
        .collect();
    let student_term = &situation.student_term;
    let given_up = student_term.entries.iter().find(|entry| entry.registration == *registration);
    let stays = given_up.is_some_and(|entry| courses.contains(&entry.course));
    if !stays && student_term.is_required(*registration) {
        return Err(Refusal::DropBreaksCorequisite.into());
    }
    Ok(decision)
}

/// Whether each that the registration was linked with is linked with what takes its place.
fn makes_whole(decision: &Decision, situation: &Situation, departure: &Departure) -> bool {
    let entries = decision.bundles.iter().flat_map(|bundle| &bundle.entries);
    let links: Vec<&Link> = entries.filter_map(|entry| link_of(entry, situation)).collect();
    let companions = departure.registrations.iter().skip(1);
    companions
        .map(|companion| companion.value.section)
        .all(|section| links.iter().any(|link| link.sections.contains(&section)))
}

/// The choice of linked sections that it was taken with.
fn link_of<'a>(entry: &Entry, situation: &'a Situation) -> Option<&'a Link> {
    let links = situation.background.links.get(&entry.section)?;
    links.standing().find(|link| Some(link.group) == entry.group)
}

/// What stays of a group is part of the one that it was made whole with.
fn relink(student_term: &mut StudentTerm, entries: &[Entry], situation: &Situation) {
    for entry in entries {
        let Some(link) = link_of(entry, situation) else { continue };
        for standing in &mut student_term.entries {
            if link.sections.contains(&standing.section) {
                standing.group = entry.group;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use events::{Event, RegistrationDropped, SectionOffered};
    use kernel::{CourseId, Id};
    use testkit::{TestTable, person};

    use super::super::join_waitlist::tests::registered;
    use super::*;
    use crate::fixtures::{by, code, offer, seats_agree, section, taken, told};

    fn swap(registration: RegistrationId, sections: &[SectionId]) -> Call<Command> {
        testkit::call(Command { registration, sections: sections.to_vec(), with_linked: false })
    }

    fn of_course(event: &mut SectionOffered) {
        event.course.id = CourseId::derived_from("course");
        event.meetings = SectionOffered::example().meetings;
    }

    #[tokio::test]
    async fn one_section_takes_the_place_of_another_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                let (a, b) =
                    (offer(table, "a", of_course).await, offer(table, "b", of_course).await);
                swap(registered(&ctx, "ada", a).await, &[b])
            },
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, _| {
                for (name, seats) in [("a", 0), ("b", 1)] {
                    assert_eq!(taken(table, section(name)).await, seats);
                    seats_agree(table, section(name), &[person("ada")]).await;
                }
                assert_eq!(told::<RegistrationDropped>(table).await.len(), 1);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn nothing_is_given_up_for_what_cannot_be_had() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let a = offer(&test.table, "a", of_course).await;
        let full = offer(&test.table, "b", |event| {
            of_course(event);
            event.capacity = 0;
        })
        .await;
        let registration = registered(&ctx, "ada", a).await;
        assert_eq!(code(handle(&ctx, &swap(registration, &[full])).await), "CLOSED");
        assert_eq!(code(handle(&ctx, &swap(registration, &[a])).await), "SWAP_IMPOSSIBLE");
        let strange = by("bob", swap(registration, &[full]));
        assert_eq!(code(handle(&ctx, &strange).await), "REGISTRATION_UNKNOWN");
        let late = "2027-02-12T22:59:58Z".parse().expect("a timestamp");
        let in_time = Call { now: late, ..swap(registration, &[full]) };
        assert_eq!(code(handle(&ctx, &in_time).await), "CLOSED");
        assert_eq!(taken(&test.table, a).await, 1);
        seats_agree(&test.table, a, &[person("ada")]).await;
    }

    #[tokio::test]
    async fn what_another_course_needs_is_swapped_for_its_like_alone() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let lecture = |event: &mut SectionOffered| {
            event.course.id = CourseId::derived_from("lecture");
        };
        let first = offer(&test.table, "first", lecture).await;
        let second = offer(&test.table, "second", lecture).await;
        let other = offer(&test.table, "other", |_| ()).await;
        let lab = offer(&test.table, "lab", |event| {
            event.course.corequisites = vec![CourseId::derived_from("lecture")];
        })
        .await;
        let registration = registered(&ctx, "ada", first).await;
        registered(&ctx, "ada", lab).await;
        let result = handle(&ctx, &swap(registration, &[other])).await;
        assert_eq!(code(result), "DROP_BREAKS_COREQUISITE");
        handle(&ctx, &swap(registration, &[second])).await.expect("its like");
        assert_eq!((taken(&test.table, first).await, taken(&test.table, second).await), (0, 1));
    }
}
