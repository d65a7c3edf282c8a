//! The laws of the enrollment saga, in process on the real operations of three contexts: fail after each
//! step, repeat each
//! step, repeat each undo, let a dead execution's steps come late; in the end nothing is left over.

use std::sync::Arc;
use std::time::Duration;

use billing::domain::{InstalmentRule, PlanOfferCode, PriceGroup, PriceGroupCode};
use billing::operations as billing_op;
use enrollment::domain::{BundleState, RegistrationState, SectionSeats};
use enrollment::operations as enrollment_op;
use events::{ChargeableRegistration, Event, PersonRegistered, ReleaseReason, SectionOffered};
use kernel::{Email, Locale, Money, PersonName};
use notifications::operations as notifications_op;
use serde_json::{Value, json};
use shell::{Failure, Step};
use table::Key;
use testkit::{Engine, call, delivery, person, step};

/// The states of the machine that call a function, by their names there.
const FORWARD: [&str; 7] = [
    "AwaitApproval",
    "Charge",
    "RecordCharge",
    "AwaitSettlement",
    "Confirm",
    "NotifyRegistered",
    "Close",
];
/// How many of them lie before the pivot.
const BEFORE_THE_PIVOT: usize = 4;
const UNDO: [&str; 5] = ["BeginUndo", "ReverseCharge", "ReleaseSeats", "NotifyReleased", "Close"];

/// Three contexts on one engine, and a student who holds a seat that costs `per_credit` francs a credit.
struct World {
    _engine: Engine,
    enrollment: enrollment::Ctx,
    billing: billing::Ctx,
    notifications: notifications::Ctx,
    submitted: enrollment_op::submit::Reply,
}

impl World {
    async fn with_a_held_seat(per_credit: i64) -> Self {
        let engine = Engine::start().await;
        let enrollment = enrollment::Ctx::new(engine.table("enrollment").await);
        let provider = billing::provider::Stripe::at(
            "http://127.0.0.1:9".into(),
            "key",
            Duration::from_millis(50),
        );
        let secret = billing::secret::Secret::Known("secret".into());
        let billing = billing::Ctx::new(engine.table("billing").await, Arc::new(provider), secret)
            .of(billing::domain::Institution::example());
        let notifications = notifications::Ctx { table: engine.table("notifications").await };
        set_price(&billing, per_credit).await;
        know_ada(&notifications).await;
        let offered = SectionOffered { approval_required: true, ..SectionOffered::example() };
        let (term, section) = (offered.term.id, offered.section);
        enrollment_op::on_section_offered::handle(
            &enrollment,
            &delivery("on-section-offered", offered),
        )
        .await
        .expect("the section is offered");
        let cart = enrollment_op::submit::Command { term, sections: vec![section] };
        let submitted =
            enrollment_op::submit::handle(&enrollment, &call(cart)).await.expect("a seat is held");
        Self { _engine: engine, enrollment, billing, notifications, submitted }
    }

    /// Another execution carries the bundle from here, as when the reconciler found that nobody did.
    async fn restart(&self) {
        self.run("Park").await.expect("it is parked");
        let (submission, bundle) = (self.submitted.id, self.submitted.bundles[0].bundle);
        let resume = call(enrollment_op::resume_bundle::Command { bundle, submission });
        enrollment_op::resume_bundle::handle(&self.enrollment, &resume).await.expect("it goes on");
    }

    /// Calls the function behind one state of the machine, as the machine would.
    async fn run(&self, state: &str) -> Result<(), Failure> {
        let progress = &self.submitted.bundles[0];
        let (submission, bundle, attempt) = (self.submitted.id, progress.bundle, progress.attempt);
        let of_bundle = || step(enrollment_op::OfBundle { submission, bundle, attempt });
        let enrollment = &self.enrollment;
        match state {
            "AwaitApproval" => {
                let command = enrollment_op::await_approval::Command {
                    submission,
                    bundle,
                    attempt,
                    task_token: "token".into(),
                };
                enrollment_op::await_approval::handle(enrollment, &step(command)).await.map(drop)
            }
            "Charge" => billing_op::charge::handle(&self.billing, &self.charge()).await.map(drop),
            "RecordCharge" => {
                let invoice =
                    billing_op::charge::handle(&self.billing, &self.charge()).await?.invoice;
                let command =
                    enrollment_op::record_charge::Command { submission, bundle, attempt, invoice };
                enrollment_op::record_charge::handle(enrollment, &step(command)).await.map(drop)
            }
            "AwaitSettlement" => {
                let command = billing_op::await_settlement::Command {
                    bundle,
                    attempt,
                    task_token: "token".into(),
                };
                billing_op::await_settlement::handle(&self.billing, &step(command)).await.map(drop)
            }
            "Confirm" => enrollment_op::confirm::handle(enrollment, &of_bundle()).await.map(drop),
            "BeginUndo" => {
                let reason = ReleaseReason::PaymentTimedOut;
                let command =
                    enrollment_op::begin_undo::Command { submission, bundle, attempt, reason };
                enrollment_op::begin_undo::handle(enrollment, &step(command)).await.map(drop)
            }
            "ReverseCharge" => {
                let command = billing_op::reverse_charge::Command { bundle };
                billing_op::reverse_charge::handle(&self.billing, &step(command)).await.map(drop)
            }
            "ReleaseSeats" => {
                enrollment_op::release_seats::handle(enrollment, &of_bundle()).await.map(drop)
            }
            "NotifyRegistered" => self.notify(json!({ "kind": "registered" })).await,
            "NotifyReleased" => {
                self.notify(json!({ "kind": "released", "reason": "payment_timed_out" })).await
            }
            "Park" => {
                let command = enrollment_op::park::Command {
                    submission,
                    bundle,
                    attempt,
                    step: "charge".into(),
                    error: "Unavailable".into(),
                };
                enrollment_op::park::handle(enrollment, &step(command)).await.map(drop)
            }
            "Close" => enrollment_op::close::handle(enrollment, &of_bundle()).await.map(drop),
            unknown => panic!("the saga has no state {unknown:?}"),
        }
    }

    fn charge(&self) -> Step<billing_op::charge::Command> {
        let progress = &self.submitted.bundles[0];
        let section = SectionOffered::example();
        let chargeable = |member: &enrollment_op::read_submission::Member| ChargeableRegistration {
            registration: member.registration,
            section: member.section,
            section_code: member.section_code.clone(),
            course_title: member.course_title.clone(),
            credits_hundredths: section.credits_hundredths,
            price_group: section.price_group.clone(),
        };
        step(billing_op::charge::Command {
            bundle: progress.bundle,
            student: person("ada"),
            term: section.term.id,
            term_code: section.term.code.clone(),
            registrations: progress.registrations.iter().map(chargeable).collect(),
        })
    }

    /// What is open of the term is to be paid in two parts, the first of which is due in a month.
    async fn begin_plan(&self) {
        let part = |due: &str| InstalmentRule { due: due.parse().expect("a date"), share: None };
        let plan_offer = PlanOfferCode("two-parts".into());
        let offer = billing_op::set_plan_offer::Command {
            plan_offer: plan_offer.clone(),
            name: "In two parts".into(),
            term_code: SectionOffered::example().term.code,
            instalments: vec![part("2027-02-15"), part("2027-03-15")],
            is_for_students: true,
            is_first_at_once: false,
        };
        billing_op::set_plan_offer::handle(&self.billing, &call(offer)).await.expect("offered");
        let currency = "XAF".parse().expect("a currency");
        let choice =
            billing_op::begin_payment_plan::Command { student: None, offer: plan_offer, currency };
        billing_op::begin_payment_plan::handle(&self.billing, &call(choice)).await.expect("begins");
    }

    async fn notify(&self, particulars: Value) -> Result<(), Failure> {
        let mut command = json!({
            "bundle": self.submitted.bundles[0].bundle,
            "student": person("ada"),
            "term_code": "2027S",
            "items": [{ "section_code": "MATH101-A", "course_title": "Calculus I" }],
        });
        for (name, value) in particulars.as_object().into_iter().flatten() {
            command[name] = value.clone();
        }
        let command = serde_json::from_value(command).expect("a notice");
        notifications_op::notify::handle(&self.notifications, &step(command)).await.map(drop)
    }

    async fn run_twice(&self, states: &[&str]) {
        for state in states {
            for time in ["first", "second"] {
                let result = self.run(state).await;
                assert!(result.is_ok(), "{state}, the {time} time: {result:?}");
            }
        }
    }

    async fn bundle_state(&self) -> BundleState {
        let command = enrollment_op::read_submission::Command { submission: self.submitted.id };
        let read = enrollment_op::read_submission::handle(&self.enrollment, &call(command))
            .await
            .expect("reads");
        read.bundles[0].state
    }

    /// Seats taken equal registrations that hold or have one, and every charge has a registration or a reversal.
    async fn nothing_is_left_over(&self, expected: RegistrationState) {
        let section = SectionOffered::example().section;
        let seats = Key::<SectionSeats>::new(format!("SECTION#{section}"), "SEATS");
        let taken = self
            .enrollment
            .table
            .get(&seats)
            .await
            .expect("reads")
            .expect("is offered")
            .value
            .taken;
        let command = enrollment_op::list_registrations::Command { student: None };
        let list =
            enrollment_op::list_registrations::handle(&self.enrollment, &call(command)).await;
        let registrations = list.expect("lists").items;
        assert_eq!(registrations.iter().map(|item| item.state).collect::<Vec<_>>(), [expected]);
        let is_seated = expected == RegistrationState::Registered;
        assert_eq!(taken, i64::from(is_seated));
        let command = billing_op::list_invoices::Command { student: None };
        let list = billing_op::list_invoices::handle(&self.billing, &call(command)).await;
        for invoice in list.expect("lists").items {
            let charged = invoice.total.minor - invoice.credited.minor;
            assert_eq!(charged != 0, is_seated && invoice.total.minor != 0, "{}", invoice.number);
            assert_eq!(invoice.open.minor, 0, "{} is still owed", invoice.number);
        }
    }
}

async fn set_price(billing: &billing::Ctx, per_credit: i64) {
    let per_credit = Money::new(per_credit, "XAF".parse().expect("a currency"));
    let mut transaction = billing.table.transaction();
    transaction.overwrite(&PriceGroup { code: PriceGroupCode("standard".into()), per_credit });
    transaction.commit().await.expect("the price is set");
}

async fn know_ada(notifications: &notifications::Ctx) {
    let email: Email = "ada@matricula.example".parse().expect("an address");
    let name = PersonName { given: "Ada".into(), family: "Example".into() };
    let event = PersonRegistered { person: person("ada"), name, email, locale: Locale::En };
    let delivery = delivery("on-person-changed", event);
    notifications_op::on_person_changed::handle(notifications, &delivery)
        .await
        .expect("ada is known");
}

#[tokio::test]
async fn every_step_repeated_does_what_one_does() {
    let world = World::with_a_held_seat(0).await;
    // What costs nothing is settled by its charge: the machine passes AwaitSettlement over.
    let steps: Vec<&str> =
        FORWARD.into_iter().filter(|state| *state != "AwaitSettlement").collect();
    world.run_twice(&steps).await;
    assert_eq!(world.bundle_state().await, BundleState::Confirmed);
    world.nothing_is_left_over(RegistrationState::Registered).await;
}

#[tokio::test]
async fn a_failure_after_any_step_before_the_pivot_leaves_nothing_over() {
    for done in 0..=BEFORE_THE_PIVOT {
        let world = World::with_a_held_seat(5_000).await;
        world.run_twice(&FORWARD[..done]).await;
        world.run_twice(&UNDO).await;
        assert_eq!(world.bundle_state().await, BundleState::Released, "undone after {done} steps");
        world.nothing_is_left_over(RegistrationState::Released).await;
    }
}

#[tokio::test]
async fn a_plan_that_is_kept_carries_the_saga_past_the_pivot_and_everything_stays_owed() {
    let world = World::with_a_held_seat(5_000).await;
    world.run_twice(&FORWARD[..BEFORE_THE_PIVOT]).await;
    world.begin_plan().await;
    let found = billing_op::charge::handle(&world.billing, &world.charge()).await.expect("found");
    assert_eq!((found.settled, found.secured), (false, true), "as after a time-out");
    world.run_twice(&FORWARD[BEFORE_THE_PIVOT..]).await;
    assert_eq!(world.bundle_state().await, BundleState::Confirmed);
    let command = billing_op::list_invoices::Command { student: None };
    let list = billing_op::list_invoices::handle(&world.billing, &call(command)).await;
    let invoices = list.expect("lists").items;
    assert!(invoices.iter().all(|invoice| invoice.open == invoice.total));
}

#[tokio::test]
async fn a_dead_execution_s_late_steps_change_nothing() {
    for done in 1..=BEFORE_THE_PIVOT {
        let world = World::with_a_held_seat(5_000).await;
        world.run_twice(&FORWARD[..done]).await;
        world.run_twice(&UNDO).await;
        for late in ["Charge", "RecordCharge", "Confirm"] {
            let refused = matches!(world.run(late).await, Err(Failure::Refused(_)));
            assert!(refused, "{late} came after the undo and was not refused");
        }
        world.nothing_is_left_over(RegistrationState::Released).await;
    }
}

#[tokio::test]
async fn a_superseded_execution_s_steps_are_refused() {
    let world = World::with_a_held_seat(5_000).await;
    world.run_twice(&FORWARD[..3]).await;
    world.restart().await;
    let fenced =
        ["AwaitApproval", "RecordCharge", "Confirm", "BeginUndo", "ReleaseSeats", "Park", "Close"];
    for late in fenced {
        match world.run(late).await {
            Err(Failure::Refused(refusal)) => assert_eq!(refusal.code(), "EXECUTION_SUPERSEDED"),
            other => panic!("{late} came from a superseded execution: {other:?}"),
        }
    }
    assert_eq!(world.bundle_state().await, BundleState::AwaitingPayment);
}

#[tokio::test]
async fn an_undo_cut_off_anywhere_is_finished_by_the_next_execution() {
    for cut in 0..UNDO.len() {
        let world = World::with_a_held_seat(5_000).await;
        world.run_twice(&FORWARD[..3]).await;
        for state in &UNDO[..cut] {
            world.run(state).await.expect("the undo goes on");
        }
        world.run_twice(&UNDO).await;
        world.nothing_is_left_over(RegistrationState::Released).await;
    }
}

#[tokio::test]
async fn after_the_pivot_the_saga_goes_only_forward() {
    let world = World::with_a_held_seat(0).await;
    for state in ["Charge", "RecordCharge", "Confirm", "BeginUndo", "ReleaseSeats"] {
        world.run(state).await.expect("none of them fails");
    }
    assert_eq!(world.bundle_state().await, BundleState::Confirmed);
    world.run_twice(&["NotifyRegistered", "Close"]).await;
    world.nothing_is_left_over(RegistrationState::Registered).await;
}

/// The laws above are worth something only while the machine calls the same steps in the same order.
#[test]
fn the_steps_here_are_those_of_the_state_machine() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../state-machines/enrollment.asl.json");
    let machine = std::fs::read_to_string(file).expect("the machine is there");
    let machine: Value = serde_json::from_str(&machine).expect("the machine is JSON");
    assert_eq!(tasks_from(&machine, "AwaitApproval"), FORWARD);
    assert_eq!(tasks_from(&machine, "BeginUndo"), UNDO);
}

/// The tasks on the way from `start`, past choices by their default.
fn tasks_from<'m>(machine: &'m Value, start: &'m str) -> Vec<&'m str> {
    let mut tasks = Vec::new();
    let mut at = Some(start);
    while let Some(name) = at {
        let state = &machine["States"][name];
        if state["Type"] == "Task" {
            tasks.push(name);
        }
        at = state["Next"].as_str().or(state["Default"].as_str());
    }
    tasks
}
