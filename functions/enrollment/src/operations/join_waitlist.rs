//! A student stands in line for a section that is full, or of which the free seats are others' first.

use kernel::{RegistrationId, SectionId, TermId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Call, Failure, Route};

use super::list_waitlist_entries::Item;
use super::submit;
use crate::Ctx;
use crate::line::joining::{self, Joining};
use crate::store::{self, Cause};

pub const ROUTE: Route =
    Route::create("join-waitlist", "/waitlist-entries", submit::ACCESS, "Stand in line");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub term: TermId,
    pub section: SectionId,
    /// A confirmed registration that is dropped at the moment in which the seat comes.
    pub swap: Option<RegistrationId>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Item, Failure> {
    let Command { term, section, swap } = call.command;
    let moment = (call.now, ctx.date(call.now));
    let situation = store::situation(ctx, call.person(), term, &[section], moment).await?;
    let joining = Joining { entry: call.new_id(), section, swap, registration: call.new_id() };
    joining::judge(&situation, joining, call.now)?;
    let mut transaction = ctx.table.transaction();
    let mut student_term = situation.student_term.clone();
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let entry = joining::write(&mut transaction, &situation, &mut student_term, joining, cause)?;
    transaction.put(&student_term, situation.student_term_version);
    let waiting = situation.background.line(&situation.seats[&section]).waiting;
    let reply = Item::of(&entry, 1, Some(waiting + 1));
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
pub mod tests {
    use events::{SectionOffered, WaitlistMode, WaitlistSettings, WaitlistState};
    use kernel::WaitlistEntryId;
    use testkit::{TestTable, person};

    use super::super::{
        confirm, drop_registration, give_override, lift_hold, on_seat_freed, place_hold,
        set_student_record,
    };
    use super::*;
    use crate::domain::{ItemCode, RegistrationState, StudentRecord, WaitlistEntry};
    use crate::fixtures::{
        by, cart, code, deliver_all, of_bundle, offer, offer_again, registrations, seats_agree,
        taken, term,
    };

    /// So many seats, and a line behind them.
    pub fn full(mode: WaitlistMode, capacity: u32) -> impl FnOnce(&mut SectionOffered) {
        move |event| {
            event.capacity = capacity;
            event.waitlist = WaitlistSettings { mode, capacity: 5, ..WaitlistSettings::default() };
        }
    }

    pub fn joining(student: &str, section: SectionId) -> Call<Command> {
        by(student, testkit::call(Command { term: term(), section, swap: None }))
    }

    pub async fn join(ctx: &Ctx, student: &str, section: SectionId) -> WaitlistEntryId {
        handle(ctx, &joining(student, section)).await.expect("in line").id
    }

    pub async fn entry(ctx: &Ctx, id: WaitlistEntryId) -> WaitlistEntry {
        let stored = ctx.table.get(&store::waitlist_entry_key(id)).await.expect("reads");
        stored.expect("is there").value
    }

    /// Somebody registered, and the registration.
    pub async fn registered(ctx: &Ctx, student: &str, section: SectionId) -> RegistrationId {
        let held = submit::handle(ctx, &by(student, cart(&[section]))).await.expect("a seat");
        confirm::handle(ctx, &of_bundle(&held)).await.expect("confirms");
        held.bundles[0].registrations[0].registration
    }

    pub async fn dropped(ctx: &Ctx, student: &str, registration: RegistrationId) {
        let drop = by(student, testkit::call(drop_registration::Command { registration }));
        drop_registration::handle(ctx, &drop).await.expect("dropped");
    }

    pub async fn serve(ctx: &Ctx) {
        serve_at(ctx, testkit::now()).await;
    }

    /// Delivers what is told of free seats.
    pub async fn serve_at(ctx: &Ctx, now: kernel::Timestamp) {
        let consumer = ("on-seat-freed", now);
        deliver_all::<events::SeatFreed>(&ctx.table, consumer, on_seat_freed::handle).await;
    }

    async fn line(ctx: &Ctx, section: SectionId) -> (i64, i64) {
        let stored = ctx.table.get(&store::seats_key(section)).await.expect("reads");
        let line = stored.expect("is there").value.line;
        (line.waiting, line.passed)
    }

    #[tokio::test]
    async fn a_student_joins_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let section = offer(table, "a", full(WaitlistMode::Automatic, 1)).await;
                let ctx = Ctx::new(table.clone());
                registered(&ctx, "bob", section).await;
                joining("ada", section)
            },
            async |table, call| {
                shell::http::carry_out(&Ctx::new(table.clone()), &handle, call).await.map(drop)
            },
            async |table, call| {
                let ctx = Ctx::new(table.clone());
                assert_eq!(line(&ctx, call.command.section).await, (1, 0));
                let again = joining("ada", call.command.section);
                assert_eq!(code(handle(&ctx, &again).await), "WAITING_ALREADY");
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_freed_seat_goes_to_the_first_in_line_and_nobody_jumps_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Automatic, 1)).await;
        let bob = registered(&ctx, "bob", section).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "CLOSED");
        let (cyd, dan) = (join(&ctx, "cyd", section).await, join(&ctx, "dan", section).await);
        dropped(&ctx, "bob", bob).await;
        assert_eq!(taken(&test.table, section).await, 0);
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Registered);
        assert_eq!(entry(&ctx, dan).await.state, WaitlistState::Waiting);
        let of_cyd = registrations(&test.table, person("cyd")).await.remove(0);
        assert_eq!(of_cyd.state, RegistrationState::SeatHeld, "its saga has begun");
        seats_agree(&test.table, section, &["bob", "cyd", "dan"].map(person)).await;
        assert_eq!(line(&ctx, section).await, (1, 0));
        offer_again(&test.table, "a", 2, full(WaitlistMode::Automatic, 3)).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, dan).await.state, WaitlistState::Registered);
        submit::handle(&ctx, &cart(&[section])).await.expect("nobody is in line any more");
        seats_agree(&test.table, section, &["ada", "cyd", "dan"].map(person)).await;
    }

    #[tokio::test]
    async fn who_cannot_have_the_seat_keeps_their_place_and_sees_why() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Automatic, 1)).await;
        let bob = registered(&ctx, "bob", section).await;
        let cyd = join(&ctx, "cyd", section).await;
        let away = async |status| {
            let record = StudentRecord { status, ..StudentRecord::default() };
            let set = set_student_record::Command { student: person("cyd"), record };
            set_student_record::handle(&ctx, &testkit::call(set)).await.expect("set");
        };
        away(crate::domain::StudentStatus::OnLeave).await;
        dropped(&ctx, "bob", bob).await;
        serve(&ctx).await;
        let skipped = entry(&ctx, cyd).await;
        assert_eq!(skipped.state, WaitlistState::Waiting);
        assert_eq!(skipped.skipped.expect("it says why").codes, ["STATUS_INELIGIBLE"]);
        assert_eq!(line(&ctx, section).await, (1, 1), "nobody in line can take it");
        let ada = registered(&ctx, "ada", section).await;
        assert_eq!(line(&ctx, section).await, (1, 0));
        away(crate::domain::StudentStatus::Active).await;
        dropped(&ctx, "ada", ada).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Registered);
    }

    #[tokio::test]
    async fn the_list_has_an_end_and_so_has_a_student_s_patience() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let of_one = |event: &mut SectionOffered| {
            full(WaitlistMode::Automatic, 0)(event);
            event.waitlist.capacity = 1;
            event.credits_hundredths = 2_000;
        };
        let (a, b) = (offer(&test.table, "a", of_one).await, offer(&test.table, "b", of_one).await);
        join(&ctx, "ada", a).await;
        assert_eq!(code(handle(&ctx, &joining("bob", a)).await), "WAITLIST_FULL");
        assert_eq!(code(handle(&ctx, &joining("ada", b)).await), "MAX_WAITLISTED_CREDITS");
        let without = offer(&test.table, "c", |event| event.capacity = 0).await;
        assert_eq!(code(handle(&ctx, &joining("ada", without)).await), "NO_WAITLIST");
        let open = offer(&test.table, "d", full(WaitlistMode::Automatic, 1)).await;
        assert_eq!(code(handle(&ctx, &joining("ada", open)).await), "SEAT_IS_FREE");
        let over = |event: &mut SectionOffered| {
            full(WaitlistMode::Automatic, 0)(event);
            event.waitlist.ends_on = Some("2027-01-14".parse().expect("a date"));
        };
        let over = offer(&test.table, "e", over).await;
        assert_eq!(code(handle(&ctx, &joining("ada", over)).await), "NO_WAITLIST");
    }

    #[tokio::test]
    async fn what_would_stop_a_registration_stops_the_joining_but_a_clash_may_go_by() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let meets = |mode| {
            move |event: &mut SectionOffered| {
                let meetings = <SectionOffered as events::Event>::example().meetings;
                full(mode, 0)(event);
                event.meetings = meetings;
            }
        };
        let mine = offer(&test.table, "mine", |event| {
            event.meetings = <SectionOffered as events::Event>::example().meetings;
        })
        .await;
        registered(&ctx, "ada", mine).await;
        let section = offer(&test.table, "a", meets(WaitlistMode::Automatic)).await;
        let id = join(&ctx, "ada", section).await;
        offer_again(&test.table, "a", 2, |event| {
            meets(WaitlistMode::Automatic)(event);
            event.capacity = 1;
        })
        .await;
        serve(&ctx).await;
        let codes = entry(&ctx, id).await.skipped.expect("it says why").codes;
        assert_eq!(codes, ["TIME_CONFLICT"], "it must be gone by then");
        let strict = offer(&test.table, "b", |event| {
            full(WaitlistMode::Automatic, 0)(event);
            event.course.prerequisites = Some("course(BASE)".parse().expect("a requirement"));
        })
        .await;
        assert_eq!(code(handle(&ctx, &joining("ada", strict)).await), "PREREQ_NOT_MET");
    }

    #[tokio::test]
    async fn a_seat_that_comes_takes_the_place_of_what_is_given_up_for_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let heavy = |event: &mut SectionOffered| event.credits_hundredths = 3_000;
        let old = offer(&test.table, "old", heavy).await;
        let new = offer(&test.table, "new", |event| {
            full(WaitlistMode::Automatic, 1)(event);
            heavy(event);
        })
        .await;
        let bob = registered(&ctx, "bob", new).await;
        let given_up = registered(&ctx, "ada", old).await;
        assert_eq!(code(handle(&ctx, &joining("ada", new)).await), "MAX_CREDITS");
        let mut swapping = joining("ada", new);
        swapping.command.swap = Some(given_up);
        let id = handle(&ctx, &swapping).await.expect("in line").id;
        dropped(&ctx, "bob", bob).await;
        serve(&ctx).await;
        assert_eq!(entry(&ctx, id).await.state, WaitlistState::Registered);
        for (section, seats) in [(old, 0), (new, 1)] {
            assert_eq!(taken(&test.table, section).await, seats);
            seats_agree(&test.table, section, &["ada", "bob"].map(person)).await;
        }
    }

    #[tokio::test]
    async fn a_registration_is_not_given_up_for_its_own_section() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Automatic, 1)).await;
        let mut swapping = joining("ada", section);
        swapping.command.swap = Some(registered(&ctx, "ada", section).await);
        assert_eq!(code(handle(&ctx, &swapping).await), "SWAP_IMPOSSIBLE");
        assert_eq!(line(&ctx, section).await, (0, 0));
    }

    #[tokio::test]
    async fn a_seat_of_a_pool_goes_to_the_first_of_its_population() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let kept = |event: &mut SectionOffered| {
            full(WaitlistMode::Automatic, 1)(event);
            event.pools = vec![kernel::SeatPool {
                population: "program(CS)".parse().expect("a requirement"),
                seats: 1,
                priority: 1,
                until: None,
            }];
        };
        let section = offer(&test.table, "a", kept).await;
        for student in ["cyd", "eve"] {
            let record =
                StudentRecord { programs: ["CS".to_owned()].into(), ..StudentRecord::default() };
            let set = set_student_record::Command { student: person(student), record };
            set_student_record::handle(&ctx, &testkit::call(set)).await.expect("set");
        }
        let eve = registered(&ctx, "eve", section).await;
        let ada = join(&ctx, "ada", section).await;
        let cyd = join(&ctx, "cyd", section).await;
        dropped(&ctx, "eve", eve).await;
        assert_eq!(code(submit::handle(&ctx, &by("eve", cart(&[section]))).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Registered);
        let behind = entry(&ctx, ada).await;
        assert_eq!(behind.skipped.expect("it says why").codes, ["RESERVED_CLOSED"]);
        seats_agree(&test.table, section, &["ada", "cyd", "eve"].map(person)).await;
    }

    #[tokio::test]
    async fn whoever_is_let_in_to_kept_seats_does_not_jump_the_line() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let kept = |event: &mut SectionOffered| {
            full(WaitlistMode::Automatic, 1)(event);
            event.pools = vec![kernel::SeatPool {
                population: "program(CS)".parse().expect("a requirement"),
                seats: 1,
                priority: 1,
                until: None,
            }];
        };
        let section = offer(&test.table, "a", kept).await;
        join(&ctx, "cyd", section).await;
        let given = give_override::tests::registrar(ItemCode::ReservedClosed, section);
        give_override::handle(&ctx, &given).await.expect("given");
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WAITLIST_ONLY");
        assert_eq!(taken(&test.table, section).await, 0);
    }

    #[tokio::test]
    async fn seats_that_were_passed_on_and_are_gone_let_nobody_past_the_line() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let section = offer(&test.table, "a", full(WaitlistMode::Automatic, 1)).await;
        let bob = registered(&ctx, "bob", section).await;
        join(&ctx, "cyd", section).await;
        let status = crate::domain::StudentStatus::OnLeave;
        let record = StudentRecord { status, ..StudentRecord::default() };
        let set = set_student_record::Command { student: person("cyd"), record };
        set_student_record::handle(&ctx, &testkit::call(set)).await.expect("set");
        offer_again(&test.table, "a", 2, full(WaitlistMode::Automatic, 2)).await;
        serve(&ctx).await;
        assert_eq!(line(&ctx, section).await, (1, 1), "nobody in line can take it");
        offer_again(&test.table, "a", 3, full(WaitlistMode::Automatic, 1)).await;
        assert_eq!(line(&ctx, section).await, (1, 0), "it is gone");
        dropped(&ctx, "bob", bob).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[section])).await), "WAITLIST_ONLY");
    }

    fn kept_for_computer_scientists(event: &mut SectionOffered) {
        full(WaitlistMode::Automatic, 1)(event);
        event.pools = vec![kernel::SeatPool {
            population: "program(CS)".parse().expect("a requirement"),
            seats: 1,
            priority: 1,
            until: None,
        }];
    }

    pub async fn computer_scientists(ctx: &Ctx, students: &[&str]) {
        for student in students {
            let programs = ["CS".to_owned()].into();
            let record = StudentRecord { programs, ..StudentRecord::default() };
            let set = set_student_record::Command { student: person(student), record };
            set_student_record::handle(ctx, &testkit::call(set)).await.expect("set");
        }
    }

    /// Cyd stands in line for the kept seat that Eve had, and is held.
    async fn held_in_line(ctx: &Ctx) -> (SectionId, WaitlistEntryId, kernel::HoldId) {
        let section = offer(&ctx.table, "a", kept_for_computer_scientists).await;
        computer_scientists(ctx, &["cyd", "eve", "fay"]).await;
        let eve = registered(ctx, "eve", section).await;
        let cyd = join(ctx, "cyd", section).await;
        let on_cyd = place_hold::tests::on("cyd", crate::domain::HoldKind::Academic);
        let hold = place_hold::tests::office(shell::Role::Registrar, on_cyd);
        let hold = place_hold::handle(ctx, &hold).await.expect("held").id;
        dropped(ctx, "eve", eve).await;
        serve(ctx).await;
        let skipped = entry(ctx, cyd).await.skipped.expect("it says why");
        assert_eq!(skipped.codes, ["HOLD"]);
        assert_eq!(taken(&ctx.table, section).await, 0);
        (section, cyd, hold)
    }

    #[tokio::test]
    async fn a_kept_seat_comes_to_who_waits_once_their_hold_is_lifted() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (section, cyd, hold) = held_in_line(&ctx).await;
        let reason = "Settled.".into();
        let lift = lift_hold::Command { student: person("cyd"), hold, reason };
        let lift = place_hold::tests::office(shell::Role::Registrar, lift);
        lift_hold::handle(&ctx, &lift).await.expect("lifted");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Registered);
        assert_eq!(taken(&test.table, section).await, 1);
    }

    #[tokio::test]
    async fn a_kept_seat_that_is_free_comes_to_who_joins_behind_those_who_cannot_have_it() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let (section, cyd, _) = held_in_line(&ctx).await;
        let outside = submit::handle(&ctx, &by("fay", cart(&[section]))).await;
        assert_eq!(code(outside), "WAITLIST_ONLY");
        let fay = join(&ctx, "fay", section).await;
        serve(&ctx).await;
        assert_eq!(entry(&ctx, fay).await.state, WaitlistState::Registered);
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Waiting, "her place is hers");
    }

    #[tokio::test]
    async fn a_cross_list_has_one_line_though_only_one_of_its_sections_has_a_list() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let listed = |mode| {
            move |event: &mut SectionOffered| {
                full(mode, 5)(event);
                let cross_list = kernel::Id::derived_from("x");
                event.cross_listing = Some(events::CrossListing { cross_list, capacity: 1 });
            }
        };
        let with_list = offer(&test.table, "a", listed(WaitlistMode::Automatic)).await;
        let without = offer(&test.table, "b", listed(WaitlistMode::None)).await;
        let bob = registered(&ctx, "bob", without).await;
        let cyd = join(&ctx, "cyd", with_list).await;
        dropped(&ctx, "bob", bob).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[without])).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Registered);
        assert_eq!(
            (taken(&test.table, with_list).await, taken(&test.table, without).await),
            (1, 0)
        );
    }

    #[tokio::test]
    async fn a_seat_free_in_one_section_of_a_cross_list_is_everybody_s_where_the_line_is_for_another()
     {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let listed = |capacity| {
            move |event: &mut SectionOffered| {
                full(WaitlistMode::Automatic, capacity)(event);
                let cross_list = kernel::Id::derived_from("x");
                event.cross_listing = Some(events::CrossListing { cross_list, capacity: 5 });
            }
        };
        let small = offer(&test.table, "a", listed(0)).await;
        let large = offer(&test.table, "b", listed(2)).await;
        let cyd = join(&ctx, "cyd", small).await;
        serve(&ctx).await;
        assert_eq!(entry(&ctx, cyd).await.state, WaitlistState::Waiting);
        submit::handle(&ctx, &cart(&[large])).await.expect("nobody waits for this one");
        assert_eq!((taken(&test.table, small).await, taken(&test.table, large).await), (0, 1));
    }

    #[tokio::test]
    async fn the_sections_of_a_cross_list_have_one_line() {
        let test = TestTable::new().await;
        let ctx = Ctx::new(test.table.clone());
        let listed = |event: &mut SectionOffered| {
            full(WaitlistMode::Automatic, 5)(event);
            let cross_list = kernel::Id::derived_from("x");
            event.cross_listing = Some(events::CrossListing { cross_list, capacity: 1 });
        };
        let (a, b) = (offer(&test.table, "a", listed).await, offer(&test.table, "b", listed).await);
        let bob = registered(&ctx, "bob", a).await;
        let (cyd, dan) = (join(&ctx, "cyd", b).await, join(&ctx, "dan", a).await);
        dropped(&ctx, "bob", bob).await;
        assert_eq!(code(submit::handle(&ctx, &cart(&[a])).await), "WAITLIST_ONLY");
        serve(&ctx).await;
        let states = [entry(&ctx, cyd).await.state, entry(&ctx, dan).await.state];
        assert_eq!(states, [WaitlistState::Registered, WaitlistState::Waiting]);
        assert_eq!((taken(&test.table, a).await, taken(&test.table, b).await), (0, 1));
    }
}
