//! What would become of a cart, item by item, with what to do about each refusal. Nothing is written, no seat is held.

use kernel::{RegistrationId, SectionId, TermId};
use schemars::JsonSchema;
use serde::Serialize;
use shell::{Call, Failure, Route};

use super::read_submission::FailedItem;
use super::submit;
use crate::Ctx;
use crate::domain::{Cart, Door, UsedOverride, decide};
use crate::store;

pub const ROUTE: Route = Route::call(
    "validate-submission",
    "/submissions/validation",
    submit::ACCESS,
    "Judge a cart of sections without submitting it",
);

pub type Command = submit::Command;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub term: TermId,
    /// What would be registered, by what stands or falls together.
    pub bundles: Vec<Bundle>,
    /// What would not, each with all that speaks against it.
    pub failed: Vec<FailedItem>,
    /// Hundredths of a credit, with what the student has in the term already.
    pub credits_hundredths: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Bundle {
    pub items: Vec<Item>,
    /// The heads of these departments would have to approve.
    pub approval_departments: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    pub section: SectionId,
    pub section_code: String,
    pub course_title: String,
    pub credits_hundredths: u32,
    /// Its prerequisites would rest on a course that has no grade yet.
    pub provisional: bool,
    /// The population of the pool that its seat would be of; absent of a general one.
    pub pool: Option<String>,
    /// What would be lifted.
    pub overrides: Vec<UsedOverride>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, sections, .. } = &call.command;
    let moment = (call.now, ctx.date(call.now));
    let situation = store::situation(ctx, call.person(), *term, sections, moment).await?;
    let items: Vec<(SectionId, RegistrationId)> =
        sections.iter().map(|section| (*section, call.new_id())).collect();
    let cart = Cart { term: *term, items: &items, door: Door::Public };
    let standing = &situation.student_term;
    let decision = decide(&cart, &situation.seats, standing, &situation.background, call.now);
    let mut credits_hundredths = standing.credits_hundredths();
    let mut bundles = Vec::new();
    for planned in &decision.bundles {
        let mut bundle = Bundle { items: Vec::new(), approval_departments: Vec::new() };
        for entry in &planned.entries {
            let seats = &situation.seats[&entry.section];
            credits_hundredths += entry.credits_hundredths;
            bundle.items.push(Item {
                section: entry.section,
                section_code: seats.code.clone(),
                course_title: seats.course.title.clone(),
                credits_hundredths: entry.credits_hundredths,
                provisional: entry.provisional,
                pool: entry.pool.clone(),
                overrides: planned.overrides_of(entry.registration).to_vec(),
            });
            let asked = &mut bundle.approval_departments;
            if seats.approval_required && !asked.contains(&seats.department) {
                asked.push(seats.department.clone());
            }
        }
        bundles.push(bundle);
    }
    let failed = decision.failed.iter().map(|item| FailedItem::of(item, call.locale)).collect();
    Ok(Reply { term: *term, bundles, failed, credits_hundredths })
}

#[cfg(test)]
mod tests {
    use kernel::Locale;
    use testkit::{TestTable, person};

    use super::*;
    use crate::domain::ItemCode;
    use crate::fixtures::{cart, offer, registrations, taken};

    #[tokio::test]
    async fn a_cart_is_judged_as_submitting_would_and_nothing_is_written() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let open = offer(&test.table, "a", |event| event.approval_required = true).await;
        let full = offer(&test.table, "b", |event| event.capacity = 0).await;
        let far = offer(&test.table, "c", |event| {
            event.course.prerequisites = Some("course(BASE)".parse().expect("a requirement"));
        })
        .await;
        let call = cart(&[open, full, far]);
        let judged = handle(&ctx, &call).await.expect("judges");
        let items: Vec<_> = judged.bundles.iter().flat_map(|bundle| &bundle.items).collect();
        assert_eq!(items.iter().map(|item| item.section).collect::<Vec<_>>(), [open]);
        assert_eq!(judged.bundles[0].approval_departments, ["MATH"]);
        assert_eq!(judged.credits_hundredths, 600);
        let failed: Vec<_> =
            judged.failed.iter().map(|item| (item.section, item.codes[0].code)).collect();
        assert_eq!(failed, [(full, ItemCode::Closed), (far, ItemCode::PrereqNotMet)]);
        assert_eq!(taken(&test.table, open).await, 0);
        assert_eq!(registrations(&test.table, person("ada")).await, []);
        assert_eq!(testkit::published(&test.table).await, []);
        let submitted = submit::handle(&ctx, &call).await.expect("one goes through");
        assert_eq!(submitted.failed, judged.failed, "the same judgement");
    }

    #[tokio::test]
    async fn each_refusal_says_what_to_do_in_the_caller_s_language() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let full = offer(&test.table, "a", |event| event.capacity = 0).await;
        let remedy = async |locale| {
            let call = Call { locale, ..cart(&[full]) };
            let judged = handle(&ctx, &call).await.expect("judges");
            judged.failed[0].codes[0].remedy.clone()
        };
        let english = remedy(Locale::En).await;
        assert!(english.starts_with("Choose another section"), "{english}");
        assert_ne!(english, remedy(Locale::Fr).await);
        assert_ne!(english, remedy(Locale::Es).await);
    }

    #[tokio::test]
    async fn a_cart_of_eight_is_judged_in_two_reads() {
        let test = TestTable::new().await;
        let mut sections = Vec::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            sections.push(offer(&test.table, name, |_| ()).await);
        }
        drop(test.engine.take_calls());
        handle(&Ctx::new(test.table.clone()), &cart(&sections)).await.expect("judges");
        let calls: Vec<_> = test.engine.take_calls().into_iter().collect();
        assert_eq!(calls, ["BatchGetItem", "Query"].map(|name| (name.to_owned(), 1)));
    }
}
