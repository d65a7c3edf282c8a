//! The line for a section: joining it, and what a seat that is free brings to whoever is first in it.

pub mod joining;
pub mod serving;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use events::{WaitlistMode, WaitlistState};
    use jiff::SignedDuration;
    use kernel::{Id, RegistrationId, SectionId, Timestamp, WaitlistEntryId};
    use proptest::prelude::*;
    use shell::{Call, Tick};
    use testkit::TestTable;

    use crate::Ctx;
    use crate::domain::Place;
    use crate::fixtures::{by, cart, code, of_bundle, offer, offer_again, seats_agree};
    use crate::operations::join_waitlist::tests::{entry, full, joining, serve_at};
    use crate::operations::{
        OfBundle, accept_offer, confirm, drop_registration, join_waitlist, leave_waitlist, submit,
        sweep_waitlists,
    };
    use crate::store;

    const STUDENTS: usize = 6;

    #[derive(Debug, Clone)]
    enum Act {
        Register(usize),
        Drop(usize),
        Join(usize),
        Leave(usize),
        Accept(usize),
        Serve,
        Capacity(u32),
        /// A day goes by, and offers with it.
        Sleep,
    }

    fn act() -> impl Strategy<Value = Act> {
        let student = || 0..STUDENTS;
        prop_oneof![
            4 => student().prop_map(Act::Register),
            2 => student().prop_map(Act::Drop),
            4 => student().prop_map(Act::Join),
            1 => student().prop_map(Act::Leave),
            2 => student().prop_map(Act::Accept),
            3 => Just(Act::Serve),
            1 => (0_u32..4).prop_map(Act::Capacity),
            1 => Just(Act::Sleep),
        ]
    }

    /// What the test knows of the world beside the table.
    struct World {
        ctx: Ctx,
        mode: WaitlistMode,
        section: SectionId,
        version: u64,
        now: Timestamp,
        registrations: BTreeMap<usize, RegistrationId>,
        entries: BTreeMap<usize, WaitlistEntryId>,
        all_entries: BTreeSet<WaitlistEntryId>,
        served: BTreeSet<WaitlistEntryId>,
    }

    impl World {
        async fn new(test: &TestTable, mode: WaitlistMode) -> Self {
            let section = offer(&test.table, "a", full(mode, 1)).await;
            Self {
                ctx: Ctx::new(test.table.clone()),
                mode,
                section,
                version: 1,
                now: testkit::now(),
                registrations: BTreeMap::new(),
                entries: BTreeMap::new(),
                all_entries: BTreeSet::new(),
                served: BTreeSet::new(),
            }
        }

        fn call<C>(&self, student: usize, command: C) -> Call<C> {
            Call { now: self.now, ..by(&student.to_string(), testkit::call(command)) }
        }

        async fn seats(&self) -> crate::domain::SectionSeats {
            let stored = self.ctx.table.get(&store::seats_key(self.section)).await.expect("reads");
            stored.expect("is there").value
        }

        async fn places(&self) -> Vec<Place> {
            store::line_of(&self.ctx.table, [self.section]).await.expect("reads")
        }

        async fn confirm(&mut self, student: usize, held: &submit::Reply) {
            confirm::handle(&self.ctx, &of_bundle(held)).await.expect("confirms");
            let registration = held.bundles[0].registrations[0].registration;
            self.registrations.insert(student, registration);
        }

        async fn act(&mut self, act: &Act) {
            match *act {
                Act::Register(student) => self.register(student).await,
                Act::Drop(student) => {
                    let Some(registration) = self.registrations.remove(&student) else { return };
                    let drop = self.call(student, drop_registration::Command { registration });
                    let result = drop_registration::handle(&self.ctx, &drop).await;
                    assert!(result.is_ok(), "{result:?}");
                }
                Act::Join(student) => self.join(student).await,
                Act::Leave(student) => {
                    let Some(entry) = self.entries.get(&student) else { return };
                    let leave = self.call(student, leave_waitlist::Command { entry: *entry });
                    let left = leave_waitlist::handle(&self.ctx, &leave).await;
                    assert!(left.is_ok() || code(left) == "WAITLIST_ENTRY_ENDED");
                }
                Act::Accept(student) => {
                    let Some(entry) = self.entries.get(&student) else { return };
                    let accept = self.call(student, accept_offer::Command { entry: *entry });
                    drop(accept_offer::handle(&self.ctx, &accept).await);
                    self.confirm_served().await;
                }
                Act::Serve => self.serve().await,
                Act::Capacity(capacity) => {
                    self.version += 1;
                    let change = full(self.mode, capacity);
                    offer_again(&self.ctx.table, "a", self.version, change).await;
                }
                Act::Sleep => {
                    self.now += SignedDuration::from_hours(25);
                    let tick = Tick { now: self.now, correlation_id: "test".into() };
                    sweep_waitlists::handle(&self.ctx, &tick).await.expect("sweeps");
                }
            }
        }

        async fn serve(&mut self) {
            serve_at(&self.ctx, self.now).await;
            self.confirm_served().await;
        }

        /// Whoever came to a seat by the line pays for it.
        async fn confirm_served(&mut self) {
            for (student, id) in self.entries.clone() {
                let registration = RegistrationId::derived_from(&id.to_string());
                let is_served = entry(&self.ctx, id).await.state == WaitlistState::Registered;
                if !is_served || !self.served.insert(id) {
                    continue;
                }
                let (submission, bundle) =
                    (Id::derived_from(&id.to_string()), Id::derived_from(&id.to_string()));
                let step = testkit::step(OfBundle { submission, bundle, attempt: 1 });
                confirm::handle(&self.ctx, &step).await.expect("confirms");
                self.registrations.insert(student, registration);
            }
        }

        async fn register(&mut self, student: usize) {
            let waiting = self.seats().await.line.waiting;
            let command = cart(&[self.section]).command;
            let submitted = self.call(student, command);
            match submit::handle(&self.ctx, &submitted).await {
                Ok(held) => {
                    assert_eq!(waiting, 0, "the line was jumped");
                    self.confirm(student, &held).await;
                }
                Err(failure) => {
                    let refused = code::<()>(Err(failure));
                    let expected =
                        ["CLOSED", "WAITLIST_ONLY", "DUPLICATE_SECTION", "WAITING_ALREADY"];
                    assert!(expected.contains(&refused), "{refused}");
                }
            }
        }

        async fn join(&mut self, student: usize) {
            let command = joining("", self.section).command;
            let join = self.call(student, command);
            match join_waitlist::handle(&self.ctx, &join).await {
                Ok(item) => {
                    let last = self.all_entries.len();
                    assert_eq!(usize::try_from(item.position), Ok(last + 1), "never given twice");
                    self.all_entries.insert(item.id);
                    self.entries.insert(student, item.id);
                }
                Err(failure) => {
                    let refused = code::<()>(Err(failure));
                    let expected =
                        ["WAITING_ALREADY", "SEAT_IS_FREE", "DUPLICATE_SECTION", "WAITLIST_FULL"];
                    assert!(expected.contains(&refused), "{refused}");
                }
            }
        }

        /// The laws of seats and lines.
        async fn check(&self, taken_before: i64) {
            let (seats, places) = (self.seats().await, self.places().await);
            assert!(seats.taken <= taken_before || seats.taken <= seats.capacity, "oversold");
            let page = table::PageRequest { after: None, limit: 100 };
            let roster = self.ctx.table.query(&store::roster(self.section), &page).await;
            let seated = i64::try_from(roster.expect("reads").records.len()).expect("few");
            assert_eq!(seats.taken, seated + seats.offered, "each seat is somebody's");
            let offered = places.iter().filter(|place| place.offered_until.is_some()).count();
            assert_eq!(usize::try_from(seats.offered), Ok(offered));
            assert_eq!(usize::try_from(seats.line.waiting), Ok(places.len() - offered));
            let waiting = places.iter().filter(|place| place.offered_until.is_none());
            let first = waiting.map(|place| place.position).min().unwrap_or(i64::MAX);
            for id in &self.all_entries {
                let entry = entry(&self.ctx, *id).await;
                let served = matches!(
                    entry.state,
                    WaitlistState::Offered
                        | WaitlistState::Registered
                        | WaitlistState::OfferExpired
                );
                assert!(!served || entry.position < first, "position {first} was passed over");
            }
        }
    }

    async fn walk(mode: WaitlistMode, acts: &[Act]) {
        let test = TestTable::new().await;
        let mut world = World::new(&test, mode).await;
        for act in acts {
            let before = world.seats().await.taken;
            world.act(act).await;
            world.check(before).await;
        }
        world.serve().await;
        let seats = world.seats().await;
        let idle = seats.capacity - seats.taken;
        assert!(idle <= 0 || seats.line.waiting == 0, "{idle} seats wait for nobody");
        let students: Vec<_> =
            (0..STUDENTS).map(|student| testkit::person(&student.to_string())).collect();
        if seats.offered == 0 {
            seats_agree(&test.table, world.section, &students).await;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn whatever_happens_the_line_keeps_its_order_and_nobody_is_oversold(
            acts in proptest::collection::vec(act(), 1..40),
            automatic in any::<bool>(),
        ) {
            let mode = if automatic { WaitlistMode::Automatic } else { WaitlistMode::Confirmation };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(walk(mode, &acts));
        }
    }
}
