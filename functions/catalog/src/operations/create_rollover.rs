//! The dry run of a rollover: says which sections of a term would be copied into another, and writes none.

use std::collections::BTreeSet;

use kernel::TermId;
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};
use table::PageRequest;

use super::KEEPERS;
use super::read_rollover::Reply;
use crate::Ctx;
use crate::domain::{self, Editor, Refusal, Rollover, RolloverState, Section, Term};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::create(
    "create-rollover",
    "/rollovers",
    KEEPERS,
    "Try out a rollover: what would be copied, and what not",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub from: TermId,
    /// A term that is still planned.
    pub to: TermId,
    /// Whether the teachers go with their sections.
    #[serde(default)]
    pub with_teachers: bool,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { from, to, with_teachers } = call.command;
    let (from_term, to_term) = terms(ctx, from, to).await?;
    let mut rollover = Rollover {
        id: call.new_id(),
        from,
        to,
        with_teachers,
        state: RolloverState::Planned,
        copied: 0,
        skipped: 0,
        skipped_sections: Vec::new(),
        step: 0,
        after: None,
    };
    try_out(ctx, &mut rollover, &from_term, &to_term).await?;
    let reply = Reply::of(&rollover, 1);
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::write_rollover(&mut transaction, &rollover, None, false, cause);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

/// Both terms; the one to copy into must still be planned.
pub async fn terms(ctx: &Ctx, from: TermId, to: TermId) -> Result<(Term, Term), Failure> {
    if from == to {
        return Err(Refusal::RolloverIntoItself.into());
    }
    let (from, to) = (store::term_key(from), store::term_key(to));
    let mut batch = ctx.table.get_batch(vec![(&from).into(), (&to).into()]).await?;
    let from = batch.take(&from)?.ok_or(Refusal::TermUnknown)?.value;
    let to = batch.take(&to)?.ok_or(Refusal::TermUnknown)?.value;
    Editor::Central.may_plan(to.state).map_err(|_| Refusal::RolloverTargetNotPlanned)?;
    Ok((from, to))
}

async fn try_out(
    ctx: &Ctx,
    rollover: &mut Rollover,
    from: &Term,
    to: &Term,
) -> Result<(), Failure> {
    let taken: BTreeSet<_> =
        all_sections(ctx, to.id).await?.into_iter().map(|section| section.code).collect();
    let sections = all_sections(ctx, from.id).await?;
    let courses = store::courses_by_id(&ctx.table, &sections).await?;
    for section in &sections {
        let course = courses.get(&section.course).ok_or(Refusal::CourseUnknown)?;
        match domain::copied(section, course, from, to, rollover.with_teachers) {
            Ok(copy) if taken.contains(&copy.code) => {
                rollover.skip(section, "SECTION_CODE_TAKEN");
            }
            Ok(_) => rollover.copied += 1,
            Err(why) => rollover.skip(section, why),
        }
    }
    Ok(())
}

/// A term's sections, within what one call can read.
async fn all_sections(ctx: &Ctx, term: TermId) -> Result<Vec<Section>, Failure> {
    const PAGES_MAX: u32 = 50;
    let mut sections = Vec::new();
    let mut request = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let page = ctx.table.query(&store::sections(term, None), &request).await?;
        sections.extend(page.records.into_iter().map(|stored| stored.value));
        request.after = page.next;
        if request.after.is_none() {
            break;
        }
    }
    Ok(sections)
}

#[cfg(test)]
pub(crate) mod tests {
    use events::TermState;

    use super::super::{cancel_section, create_section, retire_course};
    use super::*;
    use crate::domain::Code;
    use crate::fixtures::{self, code, ctx, registrar};

    /// A published term with three sections, one of them cancelled, and a term of next year that is planned.
    pub async fn two_terms(ctx: &Ctx) -> (TermId, TermId) {
        let old = fixtures::term(ctx, |_| ()).await;
        for name in ["A", "B", "C"] {
            let section = fixtures::section(ctx, &old, name, |_| ()).await.section.id;
            if name == "C" {
                let cancel = cancel_section::Command { section, reason: "Few.".into() };
                cancel_section::handle(ctx, &registrar(cancel)).await.expect("cancels");
            }
        }
        let new = fixtures::term(ctx, |term| {
            (term.code, term.state) = (Code("2028S".into()), TermState::Draft);
            term.first_day = "2028-02-03".parse().expect("a date");
            term.last_day = "2028-06-28".parse().expect("a date");
        });
        (old.term.id, new.await.term.id)
    }

    pub fn command((from, to): (TermId, TermId)) -> Command {
        Command { from, to, with_teachers: false }
    }

    #[tokio::test]
    async fn a_dry_run_says_what_would_be_and_copies_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = two_terms(&ctx).await;
        let course = all_sections(&ctx, terms.0).await.expect("lists")[1].course;
        let from = Some("2028-01-01".parse().expect("a date"));
        let retire = registrar(retire_course::Command { course, from });
        retire_course::handle(&ctx, &retire).await.expect("retires");
        let plan = handle(&ctx, &registrar(command(terms))).await.expect("a plan");
        assert_eq!((plan.state, plan.copied, plan.skipped), (RolloverState::Planned, 1, 2));
        let why: Vec<&str> = plan.skipped_sections.iter().map(|each| each.code.as_str()).collect();
        assert_eq!(why, ["COURSE_RETIRED", "SECTION_CANCELLED"]);
        assert_eq!(all_sections(&ctx, terms.1).await.expect("lists"), []);
    }

    #[tokio::test]
    async fn a_code_that_is_taken_in_the_new_term_is_told() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = two_terms(&ctx).await;
        let course = fixtures::course(&ctx, "OTHER", "").await.id;
        let section = create_section::Command {
            code: Code("A".into()),
            term: terms.1,
            course,
            state: create_section::FirstState::Draft,
            ..create_section::tests::plain()
        };
        create_section::handle(&ctx, &registrar(section)).await.expect("a section");
        let plan = handle(&ctx, &registrar(command(terms))).await.expect("a plan");
        assert_eq!((plan.copied, plan.skipped), (1, 2));
    }

    #[tokio::test]
    async fn a_term_that_is_published_or_the_same_is_no_target() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (old, new) = two_terms(&ctx).await;
        let back = handle(&ctx, &registrar(command((new, old)))).await;
        assert_eq!(code(back), "ROLLOVER_TARGET_NOT_PLANNED");
        let itself = handle(&ctx, &registrar(command((old, old)))).await;
        assert_eq!(code(itself), "ROLLOVER_INTO_ITSELF");
    }

    #[tokio::test]
    async fn a_plan_is_made_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| registrar(command(two_terms(&ctx(table)).await)),
            async |table, call| handle(&ctx(table), call).await.map(drop),
            async |table, call| {
                let sections = all_sections(&ctx(table), call.command.to).await.expect("lists");
                assert_eq!(sections, []);
            },
        )
        .await;
    }
}
