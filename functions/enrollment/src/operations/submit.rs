//! A student submits a cart: every item is judged, and what passes holds its seat before the reply goes out.

use kernel::{RegistrationId, SectionId, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Access, Allow, Call, Failure, Role, Route, Scope};

use super::read_submission::{self, BundleProgress};
use crate::Ctx;
use crate::domain::{
    Cart, Door, FailedItem, ItemCode, ItemRefusal, PlannedBundle, Refusal, Submission, decide,
};
use crate::store::{self, Cause, Holding};

/// Only students themselves.
pub(super) const ACCESS: Access =
    Access::Roles(&[Allow { role: Role::Student, scope: Scope::Own }]);

pub const ROUTE: Route =
    Route::create("submit", "/submissions", ACCESS, "Submit a cart of sections");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    /// In the order of preference: where two exclude each other, the first one stands.
    #[schemars(length(min = 1, max = 15))]
    pub sections: Vec<SectionId>,
}

pub type Reply = read_submission::Reply;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { term, sections } = &call.command;
    let student = call.person();
    let moment = (call.now, ctx.date(call.now));
    let situation = store::situation(ctx, student, *term, sections, moment).await?;
    let items: Vec<(SectionId, RegistrationId)> =
        sections.iter().map(|section| (*section, call.new_id())).collect();
    let cart = Cart { term: *term, items: &items, door: Door::Public };
    let decision =
        decide(&cart, &situation.seats, &situation.student_term, &situation.background, call.now);
    let mut submission = Submission {
        id: call.new_id(),
        student,
        term: *term,
        failed: decision.failed,
        submitted_at: call.now,
    };
    let mut student_term = situation.student_term.clone();
    let by = student.to_string();
    let holding = Holding {
        submission: &submission,
        situation: &situation,
        zone: ctx.time_zone(),
        door: Door::Public,
        by: &by,
        cause: Cause { now: call.now, correlation_id: &call.correlation_id },
    };
    let (mut transaction, held, left) =
        store::hold_bundles(&ctx.table, &holding, decision.bundles, || call.new_id());
    submission.failed.extend(left.into_iter().flat_map(without_room));
    if held.is_empty() {
        return Err(Refusal::NothingRegistered(submission.failed).into());
    }
    transaction.create(&submission);
    let mut bundles = Vec::new();
    for (bundle, planned) in held {
        bundles.push(bundle);
        student_term.entries.extend(planned.entries);
    }
    situation.write_student_term(&mut transaction, &student_term);
    if let Some(mut kept) = situation.cart {
        kept.value.submitted(sections, &submission.failed);
        transaction.update(&kept);
    }
    let progress = bundles.iter().map(|bundle| BundleProgress::of(bundle, 1)).collect();
    let reply = Reply::of(&submission, progress, call.locale);
    call.keep_reply(&mut transaction, &reply);
    // A seat that went while we decided fails the condition: the shell runs this again, and the cart is
    // judged afresh.
    transaction.commit().await?;
    Ok(reply)
}

/// What one transaction cannot hold any more is submitted again, by itself.
fn without_room(planned: PlannedBundle) -> impl Iterator<Item = FailedItem> {
    planned.entries.into_iter().map(|entry| FailedItem {
        section: entry.section,
        refusals: vec![ItemRefusal::new(ItemCode::CartTooLarge)],
    })
}

#[cfg(test)]
mod tests {
    use events::{Event, SagaRequested, SectionOffered};
    use kernel::{Id, Locale};
    use testkit::{Engine, TestTable, person};

    use super::*;
    use crate::domain::Override;
    use crate::fixtures::{
        by, cart, code, offer, offer_again, registrations, seats_agree, section, taken,
    };

    #[tokio::test]
    async fn a_cart_holds_its_seats_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let sections = [offer(table, "a", |_| ()).await, offer(table, "b", |_| ()).await];
                cart(&sections)
            },
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, _| {
                for name in ["a", "b"] {
                    assert_eq!(taken(table, section(name)).await, 1);
                    seats_agree(table, section(name), &[person("ada")]).await;
                }
                let events = testkit::published(table).await;
                assert_eq!(
                    events.iter().filter(|event| event.name == SagaRequested::NAME).count(),
                    2
                );
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_cart_costs_two_reads_at_once_and_one_transaction() {
        let test = TestTable::new().await;
        let mut sections = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            sections.push(offer(&test.table, name, |_| ()).await);
        }
        drop(test.engine.take_calls());
        handle(&Ctx::new(test.table.clone()), &cart(&sections)).await.expect("seats are held");
        let calls: Vec<_> = test.engine.take_calls().into_iter().collect();
        let once = |name: &str| (name.to_owned(), 1);
        assert_eq!(calls, ["BatchGetItem", "Query", "TransactWriteItems"].map(once));
    }

    /// The section shares 30 seats with the others of this list.
    fn shared(list: &str) -> impl Fn(&mut SectionOffered) {
        let cross_list = kernel::CrossListId::derived_from(list);
        move |event| {
            event.cross_listing = Some(events::CrossListing { cross_list, capacity: 30 });
            event.credits_hundredths = 100;
        }
    }

    #[tokio::test]
    async fn a_cart_of_shared_seats_costs_no_third_read_once_it_is_known_who_shares_them() {
        let test = TestTable::new().await;
        let mut sections = Vec::new();
        for name in ["a", "b", "c"] {
            sections.push(offer(&test.table, name, shared(name)).await);
        }
        let ctx = Ctx::new(test.table.clone());
        let reads = async |student: &str| {
            drop(test.engine.take_calls());
            handle(&ctx, &by(student, cart(&sections))).await.expect("seats are held");
            let calls = test.engine.take_calls();
            assert_eq!(calls["TransactWriteItems"], 1);
            (calls["BatchGetItem"], calls["Query"])
        };
        assert_eq!(reads("ada").await, (2, 1), "a new process has to learn it");
        assert_eq!(reads("bob").await, (1, 1));
        // What it remembers decides nothing: another list is found, and its seats are taken.
        offer_again(&test.table, "c", 2, shared("d")).await;
        assert_eq!(reads("cyd").await, (2, 1));
        assert_eq!(reads("dan").await, (1, 1));
        for (list, seats) in [("a", 4), ("c", 0), ("d", 4)] {
            let key = store::shared_seats_key(kernel::CrossListId::derived_from(list));
            let shared = test.table.get(&key).await.expect("reads").expect("is there");
            assert_eq!(shared.value.taken, seats, "{list}");
        }
    }

    #[tokio::test]
    async fn what_one_transaction_cannot_hold_of_a_full_cart_is_told_and_goes_into_the_next() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let mut sections = Vec::new();
        let mut transaction = test.table.transaction();
        for number in 0..15 {
            let name = format!("s{number}");
            let full = |event: &mut SectionOffered| {
                shared(&name)(event);
                event.capacity = 0;
            };
            let section = offer(&test.table, &name, full).await;
            sections.push(section);
            transaction.create(&Override {
                id: kernel::OverrideId::derived_from(&name),
                student: person("ada"),
                section,
                section_code: name.to_uppercase(),
                department: "MATH".to_owned(),
                code: ItemCode::Closed,
                reason: "She was promised a seat.".to_owned(),
                given_by: person("registrar"),
                given_at: testkit::now(),
                expires_at: testkit::now() + jiff::SignedDuration::from_hours(1),
                revoked: None,
            });
        }
        transaction.commit().await.expect("the overrides are given");
        let reply = handle(&ctx, &cart(&sections)).await.expect("most of it goes through");
        assert_eq!(reply.bundles.len(), 13);
        let left: Vec<_> = reply.failed.iter().map(|item| item.section).collect();
        assert_eq!(left, sections[13..]);
        let mut codes = reply.failed.iter().flat_map(|item| &item.codes).map(|code| code.code);
        assert!(codes.all(|code| code == ItemCode::CartTooLarge));
        let reply = handle(&ctx, &cart(&left)).await.expect("the rest goes through by itself");
        assert_eq!((reply.bundles.len(), reply.failed.len()), (2, 0));
        for section in sections {
            assert_eq!(taken(&test.table, section).await, 1);
        }
    }

    #[tokio::test]
    async fn what_fails_is_told_with_all_its_codes_and_the_rest_goes_through() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let open = offer(&test.table, "a", |_| ()).await;
        let full = offer(&test.table, "b", |event| event.capacity = 0).await;
        let reply =
            handle(&ctx, &cart(&[open, full, section("nowhere")])).await.expect("one goes through");
        assert_eq!(reply.bundles.len(), 1);
        let failed: Vec<_> =
            reply.failed.iter().map(|item| (item.section, item.codes[0].code)).collect();
        assert_eq!(
            failed,
            [(section("nowhere"), ItemCode::SectionUnknown), (full, ItemCode::Closed)]
        );
        let french = Call { locale: Locale::Fr, ..by("bob", cart(&[open, full])) };
        let reply = handle(&ctx, &french).await.expect("one goes through");
        assert_eq!(reply.failed[0].codes[0].message, "Aucune place n'est libre.");
    }

    #[tokio::test]
    async fn a_cart_of_which_nothing_passes_is_refused_and_leaves_nothing() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let full = offer(&test.table, "a", |event| event.capacity = 0).await;
        assert_eq!(code(handle(&ctx, &cart(&[full])).await), "CLOSED");
        assert_eq!(registrations(&test.table, person("ada")).await, []);
        assert_eq!(testkit::published(&test.table).await, []);
    }

    #[tokio::test]
    async fn a_prerequisite_is_told_with_what_is_missing_and_met_by_what_was_imported() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let next = offer(&test.table, "next", |event| {
            event.course.prerequisites = Some("course(BASE, C)".parse().expect("a requirement"));
        });
        let next = next.await;
        let Err(Failure::Refused(refusal)) = handle(&ctx, &cart(&[next])).await else {
            panic!("it is refused");
        };
        assert_eq!(refusal.code(), "PREREQ_NOT_MET");
        let error = refusal.extensions(Locale::En)["errors"][0].clone();
        assert_eq!(error["missing"], serde_json::json!(["course(BASE, C)"]));
        assert_eq!(error["proof"]["reason"]["code"], "NOT_TAKEN");
        let message = "Its prerequisites are not met. What is missing: course(BASE, C).";
        assert_eq!(error["message"], message);
        let mut taken = crate::domain::History::empty(person("ada"));
        let terms = [TermId::derived_from("last year")].into();
        taken.course_codes.insert("BASE".into(), terms);
        let mut transaction = ctx.table.transaction();
        transaction.create(&taken);
        transaction.commit().await.expect("the history is written");
        handle(&ctx, &cart(&[next])).await.expect("it is under way as far as anybody knows");
        let registered = registrations(&test.table, person("ada")).await;
        assert!(registered.iter().all(|registration| registration.provisional));
    }

    #[tokio::test]
    async fn two_submissions_at_once_cannot_pass_the_credit_limit_together() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let mut sections = Vec::new();
        for name in ["a", "b"] {
            sections.push(offer(&test.table, name, |event| event.credits_hundredths = 3_000).await);
        }
        let (left, right) = (cart(&sections[..1]), cart(&sections[1..]));
        let run = async |call| shell::run_step(async || handle(&ctx, call).await).await;
        let (left, right) = tokio::join!(run(&left), run(&right));
        let refused: Vec<_> = [left, right].into_iter().filter(Result::is_err).map(code).collect();
        assert_eq!(refused, ["MAX_CREDITS"]);
    }

    /// As a client does: what could not be answered is asked again under the same key.
    async fn insist(ctx: &Ctx, call: &Call<Command>) -> Result<serde_json::Value, Failure> {
        const TRIES_MAX: u32 = 20;
        let mut tries = 0;
        loop {
            tries += 1;
            match shell::http::carry_out(ctx, &handle, call).await {
                Err(Failure::Conflict { .. }) if tries < TRIES_MAX => {}
                Err(Failure::Fault(fault)) if fault.retryable && tries < TRIES_MAX => {}
                other => return other,
            }
        }
    }

    /// The rule's own vectors: ten contenders for one seat, and many for thirty.
    async fn contend(students: u64, seats: u32) {
        let engine = Engine::start().await;
        let table = engine.table("hot").await;
        let section = offer(&table, "hot", |event| event.capacity = seats).await;
        let mut contenders = tokio::task::JoinSet::new();
        let local = tokio::task::LocalSet::new();
        for number in 0..students {
            let ctx = Ctx::new(table.clone());
            let call = by(&number.to_string(), cart(&[section]));
            let contender = async move { insist(&ctx, &call).await };
            contenders.spawn_local_on(contender, &local);
        }
        let results = local.run_until(contenders.join_all()).await;
        let (held, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(held.len(), seats as usize);
        assert!(refused.into_iter().map(code).all(|code| code == "CLOSED"));
        assert_eq!(taken(&table, section).await, i64::from(seats));
    }

    #[tokio::test]
    async fn ten_contend_for_one_seat_and_one_gets_it() {
        contend(10, 1).await;
    }

    #[tokio::test]
    async fn eighty_contend_for_thirty_seats_and_thirty_get_one() {
        contend(80, 30).await;
    }
}
