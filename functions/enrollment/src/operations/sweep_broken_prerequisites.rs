//! Schedule: whoever was let in by a course that they failed after all, and has not mended it by the day that the
//! institution's policy set, is taken out of the section, with everything given back. Each is judged once more.

use events::DropReason;
use serde::Serialize;
use shell::{Failure, Fault, Tick, run_step};
use table::{PageRequest, Stored};

use kernel::Verdict;

use crate::Ctx;
use crate::domain::{
    BrokenPrerequisite, ItemCode, Registration, RegistrationState, SectionSeats, prove_again,
};
use crate::store::{self, Cause};

/// Who acts where nobody does.
const BY: &str = "prerequisites";
/// Registrations that one run looks at; the next one goes on.
const LOOKED_AT_MAX: u32 = 100;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub looked_at: usize,
    pub dropped: usize,
}

/// One that cannot be followed does not stop the others; the run fails for it in the end, so that somebody is told.
pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let cause = Cause { now: tick.now, correlation_id: &tick.correlation_id };
    let mut reply = Reply::default();
    let page = PageRequest { after: None, limit: LOOKED_AT_MAX };
    let found = ctx.table.query_readable(&store::broken_prerequisites(), &page).await?;
    let (page, unreadable) = found;
    let mut failed = unreadable.into_iter().map(Failure::from).last();
    for broken in page.records {
        if broken.value.drop_on.is_none_or(|last| ctx.date(tick.now) <= last) {
            break;
        }
        reply.looked_at += 1;
        match run_step(async || look(ctx, &broken.value, cause).await).await {
            Ok(dropped) => reply.dropped += usize::from(dropped),
            Err(failure) => {
                let registration = broken.value.registration;
                tracing::error!(%registration, error = failure.line(), "it is not taken back");
                failed = Some(failure);
            }
        }
    }
    failed.map_or(Ok(reply), Err)
}

/// Whether the student is taken out. The index may lag behind: what was mended meanwhile is left alone.
async fn look(ctx: &Ctx, of: &BrokenPrerequisite, cause: Cause<'_>) -> Result<bool, Failure> {
    let (key, broken_key) =
        (store::registration_key(of.registration), store::broken_prerequisite_key(of.registration));
    let mut batch = ctx.table.get_batch(vec![(&key).into(), (&broken_key).into()]).await?;
    let Some(broken) = batch.take(&broken_key)? else { return Ok(false) };
    let missing = || Fault::defect(format!("{} is broken, and is not there", of.registration));
    let registration = batch.take(&key)?.ok_or_else(missing)?;
    match registration.value.state {
        RegistrationState::Registered => judge(ctx, broken, registration, cause).await,
        // It may still come to nothing by itself.
        RegistrationState::SeatHeld => Ok(false),
        _ => {
            let mut transaction = ctx.table.transaction();
            transaction.delete(&broken);
            transaction.commit().await?;
            Ok(false)
        }
    }
}

async fn judge(
    ctx: &Ctx,
    broken: Stored<BrokenPrerequisite>,
    mut registration: Stored<Registration>,
    cause: Cause<'_>,
) -> Result<bool, Failure> {
    let Registration { id, student, term, section, .. } = registration.value;
    let standing = store::academic_standing(&ctx.table, student, cause.now).await?;
    let mut departure = store::departure(&ctx.table, registration.clone()).await?;
    let seats: &SectionSeats = &departure.seats[&section];
    let student_term = &departure.student_term.value;
    debug_assert_eq!(student_term.term, term, "a registration lies in its own term");
    let background = standing.background(student_term);
    let proof = prove_again(seats, id, student_term, &background);
    let is_lifted = background.lifting(section, ItemCode::PrereqNotMet).is_some();
    let verdict = proof.map_or(Verdict::Met, |proof| proof.verdict);
    let is_broken = verdict == Verdict::NotMet && !is_lifted;
    let mut transaction = ctx.table.transaction();
    transaction.delete(&broken);
    if is_broken {
        let is_registered =
            |it: &Stored<Registration>| it.value.state == RegistrationState::Registered;
        departure.registrations.retain(is_registered);
        let reason = broken.value.missing.join(" + ");
        for registration in &mut departure.registrations {
            registration.value.cancel(cause.now, BY, reason.clone());
        }
        departure.write(&mut transaction, DropReason::PrerequisiteBroken, cause);
    } else if verdict == Verdict::Provisional && !is_lifted {
        // It rests on another course now that is under way: written anew, so that what may come of it is told anew.
        transaction.update(&registration);
    } else {
        registration.value.provisional = false;
        transaction.update(&registration);
        departure.student_term.value.settle(id);
    }
    transaction.update(&departure.student_term);
    transaction.commit().await?;
    Ok(is_broken)
}

#[cfg(test)]
pub(super) mod tests {
    use events::{
        Event, GradePosted, PrerequisiteBroken, RegistrationDropped, SectionOffered, TermChanged,
    };
    use kernel::{CourseId, Id, RegistrationId, TermId};
    use shell::Delivery;
    use table::Table;
    use testkit::{TestTable, person};

    use super::super::give_override::{self, tests::registrar};
    use super::super::join_waitlist::tests::registered;
    use super::super::{on_grade_posted, on_term_changed, set_registration_policy, submit};
    use super::*;
    use crate::domain::{OnBrokenPrerequisite, RegistrationPolicy, StudentTerm};
    use crate::fixtures::{by, code, offer, offer_again, registrations, section, taken, told};

    fn next_term() -> TermId {
        TermId::derived_from("next")
    }

    /// Ada takes BASE in the spring and is let in to NEXT in the autumn by it.
    pub async fn provisional(table: &Table) -> [RegistrationId; 2] {
        let ctx = Ctx::new(table.clone());
        for (term, first_day) in
            [(crate::fixtures::term(), "2027-02-01"), (next_term(), "2027-09-01")]
        {
            let first_day = first_day.parse().expect("a date");
            let event = TermChanged { term, first_day, ..TermChanged::example() };
            let mut delivery = testkit::delivery("on-term-changed", event);
            delivery.envelope.id = term.to_string();
            on_term_changed::handle(&ctx, &delivery).await.expect("taken in");
        }
        let base = offer(table, "base", |event| event.course.code = "BASE".into()).await;
        let base = registered(&ctx, "ada", base).await;
        let next = offer(table, "next", |event: &mut SectionOffered| {
            event.term.id = next_term();
            event.course.prerequisites = Some("course(BASE, C)".parse().expect("a requirement"));
        })
        .await;
        let command = submit::Command { term: next_term(), sections: vec![next] };
        let held = submit::handle(&ctx, &testkit::call(command)).await.expect("let in");
        let step = crate::fixtures::of_bundle(&held);
        super::super::confirm::handle(&ctx, &step).await.expect("confirms");
        [base, held.bundles[0].registrations[0].registration]
    }

    fn posted(registration: RegistrationId, grade: &str, version: u64) -> Delivery {
        let event = GradePosted {
            registration,
            grade_version: version,
            student: person("ada"),
            course: CourseId::derived_from("base"),
            course_code: "BASE".into(),
            term: crate::fixtures::term(),
            grade: grade.into(),
            passed: grade != "F",
            ..GradePosted::example()
        };
        let mut delivery = testkit::delivery("on-grade-posted", event);
        delivery.envelope.id = format!("{registration} {version}");
        delivery
    }

    async fn drop_after(ctx: &Ctx, grace_days: u8) {
        let policy = RegistrationPolicy {
            on_broken_prerequisite: OnBrokenPrerequisite::Drop { grace_days },
        };
        let command = set_registration_policy::Command { policy };
        set_registration_policy::handle(ctx, &testkit::call(command)).await.expect("set");
    }

    fn tick(now: &str) -> Tick {
        Tick { now: now.parse().expect("a timestamp"), correlation_id: "test".into() }
    }

    pub async fn registration(table: &Table, id: RegistrationId) -> Registration {
        let stored = table.get(&store::registration_key(id)).await.expect("reads");
        stored.expect("is there").value
    }

    pub async fn student_term(table: &Table) -> StudentTerm {
        let key = store::student_term_key(person("ada"), next_term());
        table.get(&key).await.expect("reads").expect("is there").value
    }

    #[tokio::test]
    async fn a_grade_completes_its_course_and_settles_what_rested_on_it_whatever_happens_on_the_wire()
     {
        testkit::under_every_fault(
            async |table| {
                let [base, next] = provisional(table).await;
                assert!(registration(table, next).await.provisional);
                (posted(base, "B", 1), base, next)
            },
            async |table, (delivery, ..)| {
                on_grade_posted::handle(&Ctx::new(table.clone()), delivery).await
            },
            async |table, (_, base, next)| {
                assert_eq!(registration(table, *base).await.state, RegistrationState::Completed);
                assert!(!registration(table, *next).await.provisional);
                assert!(!student_term(table).await.entries[0].provisional);
                assert_eq!(told::<PrerequisiteBroken>(table).await, []);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn by_itself_a_broken_prerequisite_is_told_and_nothing_else() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let [base, next] = provisional(&test.table).await;
        on_grade_posted::handle(&ctx, &posted(base, "D", 1)).await.expect("taken in");
        let told: Vec<PrerequisiteBroken> = told(&test.table).await;
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0].missing[..], told[0].drop_on),
            (&["course(BASE, C)".to_owned()][..], None)
        );
        let swept = handle(&ctx, &tick("2028-01-01T00:00:00Z")).await.expect("sweeps");
        assert_eq!(swept, Reply::default());
        assert_eq!(registration(&test.table, next).await.state, RegistrationState::Registered);
    }

    #[tokio::test]
    async fn who_has_not_mended_it_by_the_day_is_taken_out_with_everything_given_back() {
        testkit::under_every_fault(
            async |table| {
                let ctx = Ctx::new(table.clone());
                drop_after(&ctx, 7).await;
                let [base, next] = provisional(table).await;
                on_grade_posted::handle(&ctx, &posted(base, "F", 1)).await.expect("taken in");
                let in_time = handle(&ctx, &tick("2027-01-22T23:59:59Z")).await.expect("sweeps");
                assert_eq!(in_time, Reply::default(), "the last day is one to mend it");
                next
            },
            async |table, _| {
                let late = tick("2027-01-23T00:00:00Z");
                handle(&Ctx::new(table.clone()), &late).await.map(drop)
            },
            async |table, next| {
                assert_eq!(registration(table, *next).await.state, RegistrationState::Cancelled);
                assert_eq!(taken(table, section("next")).await, 0);
                let dropped: Vec<RegistrationDropped> = told(table).await;
                assert_eq!(dropped.len(), 1);
                assert_eq!(dropped[0].reason, DropReason::PrerequisiteBroken);
                assert_eq!(student_term(table).await.entries, []);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn another_grade_or_an_override_mends_it() {
        for mended_by_grade in [true, false] {
            let test = TestTable::new().await;
            let ctx = Ctx::new(test.table.clone());
            drop_after(&ctx, 7).await;
            let [base, next] = provisional(&test.table).await;
            on_grade_posted::handle(&ctx, &posted(base, "F", 1)).await.expect("taken in");
            if mended_by_grade {
                on_grade_posted::handle(&ctx, &posted(base, "C", 2)).await.expect("taken in");
                let mut late = posted(base, "F", 1);
                late.envelope.id = "late".into();
                on_grade_posted::handle(&ctx, &late).await.expect("of the past");
            } else {
                let mut given = registrar(ItemCode::PrereqNotMet, section("next"));
                given.command.expires_at = "2027-02-20T00:00:00Z".parse().expect("a timestamp");
                give_override::handle(&ctx, &given).await.expect("given");
            }
            let swept = handle(&ctx, &tick("2027-01-23T00:00:00Z")).await.expect("sweeps");
            assert_eq!(swept.dropped, 0);
            let kept = registration(&test.table, next).await;
            assert_eq!((kept.state, kept.provisional), (RegistrationState::Registered, false));
            let again = handle(&ctx, &tick("2027-01-24T00:00:00Z")).await.expect("sweeps");
            assert_eq!(again, Reply::default());
        }
    }

    #[tokio::test]
    async fn whoever_failed_a_course_too_often_does_not_take_it_again() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let twice_at_most = |event: &mut SectionOffered| {
            event.course.code = "BASE".into();
            event.course.attempts_max = Some(2);
        };
        let again = offer(&test.table, "again", twice_at_most).await;
        let fail = async |name: &str| {
            let mut failed = posted(RegistrationId::derived_from(name), "F", 1);
            failed.envelope.data["term"] = TermId::derived_from(name).to_string().into();
            on_grade_posted::handle(&ctx, &failed).await.expect("taken in");
        };
        fail("one").await;
        registered(&ctx, "ada", again).await;
        fail("two").await;
        let third = offer(&test.table, "third", |event: &mut SectionOffered| {
            twice_at_most(event);
            event.term.id = next_term();
        })
        .await;
        let command = submit::Command { term: next_term(), sections: vec![third] };
        let refused = submit::handle(&ctx, &testkit::call(command.clone())).await;
        assert_eq!(code(refused), "REPEAT_LIMIT");
        offer_again(&test.table, "third", 2, |event: &mut SectionOffered| {
            event.term.id = next_term();
            event.course.code = "OTHER".into();
            event.course.equivalents = vec!["BASE".into()];
            event.course.attempts_max = Some(4);
        })
        .await;
        submit::handle(&ctx, &testkit::call(command.clone())).await.expect("the fourth time");
        submit::handle(&ctx, &by("bob", testkit::call(command))).await.expect("his first");
        assert_eq!(registrations(&test.table, person("ada")).await.len(), 2);
    }
}
