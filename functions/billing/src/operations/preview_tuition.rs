//! What it would cost to register for these sections, on top of what is billed already. Nothing is recorded.

use events::ChargeableRegistration;
use kernel::{BundleId, Id, Money, PersonId, RegistrationId, SectionId, TermId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::OWN_OR_STAFF;
use crate::Ctx;
use crate::domain::{InvoiceLine, Refusal, SectionPrice, registered};
use crate::store;
use crate::term_desk::{Adjusted, TermDesk, sums_of};

pub const ROUTE: Route = Route::call(
    "preview-tuition",
    "/tuition-previews",
    OWN_OR_STAFF,
    "Say what it would cost to register for these sections",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Who would register; the caller unless given.
    pub student: Option<PersonId>,
    pub term: TermId,
    #[schemars(length(min = 1, max = 20))]
    pub sections: Vec<SectionId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// What would be billed.
    pub lines: Vec<InvoiceLine>,
    pub total: Money,
    /// What would be credited of what is billed already, where another band is cheaper.
    pub credited: Money,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { student, term, sections } = call.command.clone();
    let student = student.unwrap_or_else(|| call.person());
    if !call.may_touch(student, &[]) {
        return Err(Refusal::StudentUnknown.into());
    }
    let (wanted, term_code) = wanted(ctx, term, sections).await?;
    let mut desk = TermDesk::read(ctx, student, term, None, &wanted).await?;
    let bundle = BundleId::derived_from("preview");
    let today = ctx.institution().date(call.now);
    let (added, currency) = registered(bundle, &wanted, &desk.prices, today)?;
    let mut bill = desk.bill(student, term, &term_code, currency)?.value;
    bill.add(added, desk.rules.wash)?;
    let adjustment = bill.adjustment(&desk.rules, &desk.population)?;
    let Adjusted { billed: total, credited } = sums_of(&adjustment, currency)?;
    Ok(Reply { lines: adjustment.lines, total, credited })
}

/// The sections as if they were registered for, each once.
async fn wanted(
    ctx: &Ctx,
    term: TermId,
    mut sections: Vec<SectionId>,
) -> Result<(Vec<ChargeableRegistration>, String), Failure> {
    sections.sort();
    sections.dedup();
    let keys = sections.iter().map(|id| (&store::section_price_key(*id)).into()).collect();
    let mut batch = ctx.table.get_batch(keys).await?;
    let (mut wanted, mut code) = (Vec::new(), String::new());
    for id in sections {
        let price: SectionPrice = batch
            .take(&store::section_price_key(id))?
            .map(|stored| stored.value)
            .filter(|price: &SectionPrice| price.term == term)
            .ok_or(Refusal::SectionUnknown)?;
        code = price.term_code;
        wanted.push(ChargeableRegistration {
            registration: RegistrationId::derived_from(&id.to_string()),
            section: id,
            section_code: price.section_code,
            course_title: price.course_title,
            credits_hundredths: price.credits_hundredths,
            price_group: price.price_group,
        });
    }
    Ok((wanted, code))
}

#[cfg(test)]
mod tests {
    use events::{Event, OfferedTerm, SectionOffered};

    use super::super::on_section_offered;
    use super::*;
    use crate::fixtures::{band_rules, charge, code, ctx, francs};

    async fn offer(ctx: &Ctx, name: &str) -> SectionId {
        let section = SectionId::derived_from(name);
        let example = SectionOffered::example();
        let term = OfferedTerm { id: TermId::derived_from("2027S"), ..example.term.clone() };
        let event = SectionOffered { section, term, ..example };
        let delivery = testkit::delivery("on-section-offered", event);
        on_section_offered::handle(ctx, &delivery).await.expect("kept");
        section
    }

    fn preview(sections: Vec<SectionId>) -> Call<Command> {
        let term = TermId::derived_from("2027S");
        testkit::call(Command { student: None, term, sections })
    }

    #[tokio::test]
    async fn a_student_hears_what_a_section_would_cost_on_top_of_what_is_billed() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        crate::fixtures::set_prices(&ctx.table).await;
        let section = offer(&ctx, "calculus").await;
        let reply = handle(&ctx, &preview(vec![section, section])).await.expect("says");
        assert_eq!((reply.total, reply.lines.len()), (francs(150_000), 1), "named twice is one");
        band_rules(&ctx).await;
        let first = handle(&ctx, &preview(vec![section])).await.expect("says");
        assert_eq!(first.total, francs(1_060));
        charge(&ctx, "ada", "one").await;
        let second = handle(&ctx, &preview(vec![section])).await.expect("says");
        assert_eq!(second.total, francs(60), "the flat part is billed already");
        assert_eq!(handle(&ctx, &preview(vec![section])).await.expect("says"), second);
    }

    #[tokio::test]
    async fn a_section_that_is_not_known_and_another_student_are_refused() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nowhere = SectionId::derived_from("nowhere");
        assert_eq!(code(handle(&ctx, &preview(vec![nowhere])).await), "SECTION_UNKNOWN");
        let mut others = preview(vec![nowhere]);
        others.command.student = Some(testkit::person("bob"));
        assert_eq!(code(handle(&ctx, &others).await), "STUDENT_UNKNOWN");
    }
}
