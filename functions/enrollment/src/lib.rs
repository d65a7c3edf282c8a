//! Enrollment: seats, submissions, registrations and the saga that carries each bundle to its end.

pub mod domain;
#[cfg(test)]
mod fixtures;
mod line;
mod machine;
pub mod operations;
mod provisional;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use domain::TermFacts;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use kernel::{CrossListId, Date, SectionId, TermId, Timestamp};
use machine::Machine;
use shell::{Failure, HttpOperation, Remembered};
use table::Table;

/// What the operations of this context share.
#[derive(Debug)]
pub struct Ctx {
    pub table: Table,
    machine: OnceLock<Machine>,
    time_zone: OnceLock<TimeZone>,
    api_url: OnceLock<String>,
    terms: Remembered<TermId, Option<TermFacts>>,
    /// The cross-list that a section was last seen in: a guess that saves a read, and decides nothing.
    cross_lists: Remembered<SectionId, CrossListId>,
}

fn remembered_cross_lists() -> Remembered<SectionId, CrossListId> {
    const KEPT: SignedDuration = SignedDuration::from_hours(24);
    const SECTIONS_MAX: usize = 10_000;
    Remembered::new(KEPT, SECTIONS_MAX)
}

fn remembered_terms() -> Remembered<TermId, Option<TermFacts>> {
    const KEPT: SignedDuration = SignedDuration::from_secs(25);
    const TERMS_MAX: usize = 1_000;
    Remembered::new(KEPT, TERMS_MAX)
}

impl Ctx {
    /// Of an institution whose days end in UTC: for tests and benches.
    pub fn new(table: Table) -> Self {
        let api_url = "https://test.matricula.example".to_owned();
        Self { api_url: api_url.into(), ..Self::of(table, TimeZone::UTC.into()) }
    }

    #[cfg(test)]
    fn in_time_zone(self, name: &str) -> Self {
        Self { time_zone: TimeZone::get(name).expect("a time zone").into(), ..self }
    }

    #[cfg(test)]
    fn with_machine(test: &testkit::TestTable, machine: &testkit::StepFunctions) -> Self {
        let machine = Machine::at(&machine.sdk_config(&test.engine));
        Self { machine: machine.into(), ..Self::new(test.table.clone()) }
    }

    pub fn from_environment() -> Self {
        let table = shell::aws::table();
        Self::of(table, OnceLock::new())
    }

    fn of(table: Table, time_zone: OnceLock<TimeZone>) -> Self {
        let (terms, cross_lists) = (remembered_terms(), remembered_cross_lists());
        let (machine, api_url) = (OnceLock::new(), OnceLock::new());
        Self { table, machine, time_zone, api_url, terms, cross_lists }
    }

    /// In which the institution's days end.
    pub(crate) fn time_zone(&self) -> &TimeZone {
        self.time_zone.get_or_init(|| {
            TimeZone::get(&shell::required_environment("TIME_ZONE"))
                .expect("TIME_ZONE is one of the IANA time zones")
        })
    }

    /// The address of the API as its callers know it: tokens name it as their issuer.
    pub(crate) fn api_url(&self) -> &str {
        self.api_url.get_or_init(|| shell::required_environment("TOKEN_ISSUER"))
    }

    /// What the catalog last said of these terms, as it was known less than half a minute ago: for what is shown.
    pub(crate) async fn terms(
        &self,
        terms: BTreeSet<TermId>,
        now: Timestamp,
    ) -> Result<BTreeMap<TermId, TermFacts>, Failure> {
        let (mut known, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for term in terms {
            match self.terms.get(&term, now) {
                Some(facts) => known.extend(facts.map(|facts| (term, facts))),
                None => drop(unknown.insert(term)),
            }
        }
        let read = store::terms(&self.table, unknown.clone()).await?;
        for term in unknown {
            self.terms.keep(term, read.get(&term).cloned(), now);
        }
        known.extend(read);
        Ok(known)
    }

    /// The institution's own date at this moment.
    pub(crate) fn date(&self, now: Timestamp) -> Date {
        now.to_zoned(self.time_zone().clone()).date()
    }

    /// Built when the first operation needs it: most do not.
    pub(crate) fn machine(&self) -> &Machine {
        self.machine.get_or_init(Machine::from_environment)
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    let registrations = registrations().into_iter().chain(schedules());
    registrations.chain(holds_overrides_and_waitlists()).chain(carts_and_office()).collect()
}

const CONTEXT: &str = "enrollment";

fn registrations() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::submit::Command, op::submit::Reply>(CONTEXT, op::submit::ROUTE),
        HttpOperation::of::<op::read_submission::Command, op::read_submission::Reply>(
            CONTEXT,
            op::read_submission::ROUTE,
        ),
        HttpOperation::of::<op::list_registrations::Command, op::list_registrations::Reply>(
            CONTEXT,
            op::list_registrations::ROUTE,
        ),
        HttpOperation::of::<op::read_registration::Command, op::read_registration::Reply>(
            CONTEXT,
            op::read_registration::ROUTE,
        ),
        HttpOperation::of::<op::drop_registration::Command, op::read_registration::Reply>(
            CONTEXT,
            op::drop_registration::ROUTE,
        ),
        HttpOperation::of::<op::list_audit_entries::Command, op::list_audit_entries::Reply>(
            CONTEXT,
            op::list_audit_entries::ROUTE,
        ),
        HttpOperation::of::<op::withdraw_registration::Command, op::read_registration::Reply>(
            CONTEXT,
            op::withdraw_registration::ROUTE,
        ),
        HttpOperation::of::<op::start_term_withdrawal::Command, op::start_term_withdrawal::Reply>(
            CONTEXT,
            op::start_term_withdrawal::ROUTE,
        ),
        HttpOperation::of::<op::read_term_withdrawal::Command, op::start_term_withdrawal::Reply>(
            CONTEXT,
            op::read_term_withdrawal::ROUTE,
        ),
        HttpOperation::of::<op::list_approvals::Command, op::list_approvals::Reply>(
            CONTEXT,
            op::list_approvals::ROUTE,
        ),
        HttpOperation::of::<op::decide_approval::Command, op::list_approvals::Item>(
            CONTEXT,
            op::decide_approval::ROUTE,
        ),
        HttpOperation::of::<op::list_parked_bundles::Command, op::list_parked_bundles::Reply>(
            CONTEXT,
            op::list_parked_bundles::ROUTE,
        ),
        HttpOperation::of::<op::resume_bundle::Command, op::read_submission::BundleProgress>(
            CONTEXT,
            op::resume_bundle::ROUTE,
        ),
    ]
}

/// What a student has to attend, and where.
fn schedules() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::read_schedule::Command, op::read_schedule::Reply>(
            CONTEXT,
            op::read_schedule::ROUTE,
        ),
        HttpOperation::of::<op::issue_schedule_feed::Command, op::issue_schedule_feed::Reply>(
            CONTEXT,
            op::issue_schedule_feed::ROUTE,
        ),
        HttpOperation::of::<op::revoke_schedule_feed::Command, ()>(
            CONTEXT,
            op::revoke_schedule_feed::ROUTE,
        ),
        HttpOperation::without_reply_schema::<op::read_schedule_feed::Command>(
            CONTEXT,
            op::read_schedule_feed::ROUTE,
        ),
    ]
}

fn holds_overrides_and_waitlists() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::place_hold::Command, op::place_hold::Reply>(
            CONTEXT,
            op::place_hold::ROUTE,
        ),
        HttpOperation::of::<op::list_holds::Command, shell::Listing<domain::Hold>>(
            CONTEXT,
            op::list_holds::ROUTE,
        ),
        HttpOperation::of::<op::lift_hold::Command, domain::Hold>(CONTEXT, op::lift_hold::ROUTE),
        HttpOperation::of::<op::set_student_record::Command, op::set_student_record::Reply>(
            CONTEXT,
            op::set_student_record::ROUTE,
        ),
        HttpOperation::of::<op::read_student_record::Command, op::set_student_record::Reply>(
            CONTEXT,
            op::read_student_record::ROUTE,
        ),
        HttpOperation::of::<op::validate_submission::Command, op::validate_submission::Reply>(
            CONTEXT,
            op::validate_submission::ROUTE,
        ),
        HttpOperation::of::<op::swap_registration::Command, op::submit::Reply>(
            CONTEXT,
            op::swap_registration::ROUTE,
        ),
        HttpOperation::of::<op::give_override::Command, domain::Override>(
            CONTEXT,
            op::give_override::ROUTE,
        ),
        HttpOperation::of::<op::list_overrides::Command, shell::Listing<domain::Override>>(
            CONTEXT,
            op::list_overrides::ROUTE,
        ),
        HttpOperation::of::<op::revoke_override::Command, domain::Override>(
            CONTEXT,
            op::revoke_override::ROUTE,
        ),
        HttpOperation::of::<op::join_waitlist::Command, op::list_waitlist_entries::Item>(
            CONTEXT,
            op::join_waitlist::ROUTE,
        ),
        HttpOperation::of::<
            op::list_waitlist_entries::Command,
            shell::Listing<op::list_waitlist_entries::Item>,
        >(CONTEXT, op::list_waitlist_entries::ROUTE),
        HttpOperation::of::<
            op::list_waitlist::Command,
            shell::Listing<op::list_waitlist_entries::Item>,
        >(CONTEXT, op::list_waitlist::ROUTE),
        HttpOperation::of::<op::leave_waitlist::Command, op::list_waitlist_entries::Item>(
            CONTEXT,
            op::leave_waitlist::ROUTE,
        ),
        HttpOperation::of::<op::accept_offer::Command, op::list_waitlist_entries::Item>(
            CONTEXT,
            op::accept_offer::ROUTE,
        ),
        HttpOperation::of::<op::offer_seat::Command, op::list_waitlist_entries::Item>(
            CONTEXT,
            op::offer_seat::ROUTE,
        ),
    ]
}

/// What a student puts aside, and what the registrar's office keeps of a term.
fn carts_and_office() -> Vec<HttpOperation> {
    use operations as op;
    vec![
        HttpOperation::of::<op::name_deputy::Command, domain::Deputy>(
            CONTEXT,
            op::name_deputy::ROUTE,
        ),
        HttpOperation::of::<op::list_deputies::Command, shell::Listing<domain::Deputy>>(
            CONTEXT,
            op::list_deputies::ROUTE,
        ),
        HttpOperation::of::<op::set_cart::Command, op::set_cart::Reply>(
            CONTEXT,
            op::set_cart::ROUTE,
        ),
        HttpOperation::of::<op::read_cart::Command, op::set_cart::Reply>(
            CONTEXT,
            op::read_cart::ROUTE,
        ),
        HttpOperation::of::<
            op::list_seat_differences::Command,
            shell::Listing<domain::SeatDifference>,
        >(CONTEXT, op::list_seat_differences::ROUTE),
        HttpOperation::of::<op::repair_seats::Command, op::repair_seats::Reply>(
            CONTEXT,
            op::repair_seats::ROUTE,
        ),
        HttpOperation::of::<op::list_census_entries::Command, shell::Listing<domain::CensusEntry>>(
            CONTEXT,
            op::list_census_entries::ROUTE,
        ),
        HttpOperation::of::<op::set_registration_policy::Command, op::set_registration_policy::Reply>(
            CONTEXT,
            op::set_registration_policy::ROUTE,
        ),
        HttpOperation::of::<
            op::read_registration_policy::Command,
            op::set_registration_policy::Reply,
        >(CONTEXT, op::read_registration_policy::ROUTE),
    ]
}
