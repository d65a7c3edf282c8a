//! For the tests of this context: a played site, people and sections told by events, and what stands in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use events::{
    Event, OfferedCourse, OfferedTerm, PersonChanged, PersonRegistered, RegistrationConfirmed,
    RegistrationDropped, RegistrationGroupChanged, RegistrationWithdrawn, RoleAssigned, RoleEnded,
    SectionOffered,
};
use jiff::SignedDuration;
use kernel::{
    Id, Locale, PersonName, RegistrationGroupId, RegistrationId, RoleAssignmentId, SectionId,
};
use shell::{Delivery, Failure, Reachable, Role};
use table::{PageRequest, Table};
use testkit::{MoodleSite, MoodleSiteSettings, TestTable};

use crate::domain::{CohortRule, CourseRule, Kind, Site, SiteCode, SiteSettings};
use crate::operations as op;
use crate::sync::{self, Run};
use crate::{Ctx, Tokens, store};

pub use crate::domain::tests_settings as settings;

/// Short, since tests wait for what never comes.
const REPLY_TIMEOUT: Duration = Duration::from_millis(800);

pub fn ctx(table: &Table) -> Ctx {
    let token = MoodleSiteSettings::default().token;
    let mut tokens = ["academics", "finance"].map(|name| (name.to_owned(), token.clone())).to_vec();
    tokens.push(("academics-webhook".to_owned(), "webhook-secret".to_owned()));
    let ctx = Ctx::new(table.clone(), Tokens::known(tokens), REPLY_TIMEOUT);
    let reachable = Reachable::WithThisMachine.into();
    Ctx { time_zone: jiff::tz::TimeZone::UTC.into(), reachable, ..ctx }
}

pub fn code<R: std::fmt::Debug>(result: Result<R, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn add_site(ctx: &Ctx, code: &str, url: &str) {
    add(ctx, code, SiteSettings { token_secret: code.to_owned(), ..settings(url) }).await;
}

/// Students and bursars, no courses, and cohorts by what students owe and by holds.
pub async fn add_finance_site(ctx: &Ctx, url: &str) {
    let mut settings = settings(url);
    settings.title = "Finance".into();
    settings.token_secret = "finance".into();
    settings.people = vec![Role::Student, Role::Bursar];
    settings.courses = CourseRule::None;
    settings.cohorts = vec![CohortRule::Balance, CohortRule::Hold];
    add(ctx, "finance", settings).await;
}

pub async fn add(ctx: &Ctx, code: &str, settings: SiteSettings) {
    let mut transaction = ctx.table.transaction();
    let code = SiteCode(code.to_owned());
    transaction.overwrite(&Site { code, settings, changed_at: testkit::now() });
    transaction.commit().await.expect("the site is there");
}

pub fn section(name: &str) -> SectionId {
    SectionId::derived_from(name)
}

pub fn versioned<E: Event>(consumer: &str, event: E, version: u64) -> Delivery {
    let mut delivery = testkit::delivery(consumer, event);
    delivery.envelope.id = format!("{}#{version}", delivery.envelope.id);
    delivery
}

pub fn registered(name: &str) -> Delivery {
    let email = format!("{name}@matricula.example").parse().expect("an address");
    let mut given = name.to_owned();
    given[..1].make_ascii_uppercase();
    let name = PersonName { given, family: "Ngono".into() };
    let person = testkit::person(&name.given.to_lowercase());
    let event = PersonRegistered { person, name, email, locale: Locale::En };
    testkit::delivery("on-person-changed", event)
}

pub fn person_changed(name: &str, given: &str, profile_version: u64) -> Delivery {
    let event = PersonChanged {
        person: testkit::person(name),
        name: PersonName { given: given.into(), family: "Ngono".into() },
        email: format!("{name}@matricula.example").parse().expect("an address"),
        locale: Locale::En,
        profile_version,
    };
    versioned("on-person-changed", event, profile_version)
}

pub fn role(name: &str, role: Role, department: Option<&str>) -> Delivery {
    testkit::delivery("on-role-changed", assigned(name, role, department))
}

/// Held from so many hours after the beginning of a test, and until so many.
pub fn role_from_to(name: &str, role: Role, from: Option<i64>, to: Option<i64>) -> Delivery {
    let at = |hours: i64| testkit::now() + SignedDuration::from_hours(hours);
    let (valid_from, valid_to) = (from.map(at), to.map(at));
    let event = RoleAssigned { valid_from, valid_to, ..assigned(name, role, None) };
    testkit::delivery("on-role-changed", event)
}

fn assigned(name: &str, role: Role, department: Option<&str>) -> RoleAssigned {
    RoleAssigned {
        assignment: RoleAssignmentId::derived_from(&format!("{name}{role:?}{department:?}")),
        person: testkit::person(name),
        role: role.name().to_owned(),
        department: department.map(str::to_owned),
        valid_from: None,
        valid_to: None,
        assigned_by: None,
        assignment_version: 0,
    }
}

/// The end of what `role` assigns.
pub fn role_ended(name: &str, role: Role, department: Option<&str>) -> Delivery {
    let event = RoleEnded {
        assignment: RoleAssignmentId::derived_from(&format!("{name}{role:?}{department:?}")),
        person: testkit::person(name),
        role: role.name().to_owned(),
        department: department.map(str::to_owned),
        ended_at: testkit::now(),
        ended_by: Some(testkit::person("registrar")),
    };
    testkit::delivery("on-role-changed", event)
}

/// A choice of linked sections; cancelled where it names none.
pub fn linked(group: &str, version: u64, sections: &[&str]) -> Delivery {
    let event = RegistrationGroupChanged {
        group: RegistrationGroupId::derived_from(group),
        group_version: version,
        sections: sections.iter().map(|name| section(name)).collect(),
        cancelled: sections.is_empty(),
        ..RegistrationGroupChanged::example()
    };
    versioned("on-registration-group-changed", event, version)
}

pub fn offered(name: &str, version: u64) -> Delivery {
    let example = SectionOffered::example();
    let event = SectionOffered {
        section: section(name),
        section_version: version,
        code: format!("MATH101-{}", name.to_uppercase()),
        course: OfferedCourse { title: "Calculus & <Analysis> 🎓".into(), ..example.course },
        term: OfferedTerm { ..example.term },
        ..example
    };
    versioned("on-section-offered", event, version)
}

fn registration(section: &str, student: &str) -> RegistrationId {
    RegistrationId::derived_from(&format!("{section}#{student}"))
}

pub fn confirmed(name: &str, student: &str) -> Delivery {
    let event = RegistrationConfirmed {
        registration: registration(name, student),
        student: testkit::person(student),
        section: section(name),
        ..RegistrationConfirmed::example()
    };
    testkit::delivery("on-registration-changed", event)
}

pub fn dropped(name: &str, student: &str) -> Delivery {
    let event = RegistrationDropped {
        registration: registration(name, student),
        student: testkit::person(student),
        section: section(name),
        ..RegistrationDropped::example()
    };
    testkit::delivery("on-registration-changed", event)
}

pub fn withdrawn(name: &str, student: &str) -> Delivery {
    let event = RegistrationWithdrawn {
        registration: registration(name, student),
        student: testkit::person(student),
        section: section(name),
        ..RegistrationWithdrawn::example()
    };
    testkit::delivery("on-registration-changed", event)
}

/// A duplicate has had its effect.
fn taken_in(result: &Result<(), Failure>) {
    assert!(matches!(result, Ok(()) | Err(Failure::DoneBefore)), "{result:?}");
}

pub async fn deliver_person(ctx: &Ctx, name: &str) {
    taken_in(&op::on_person_changed::handle(ctx, &registered(name)).await);
}

/// What is marked in a site, as kind and entity.
pub async fn marked(ctx: &Ctx, site: &str) -> Vec<String> {
    let site = SiteCode(site.to_owned());
    let page = PageRequest { after: None, limit: 100 };
    let mut found = Vec::new();
    for kind in Kind::MARKED {
        let works = ctx.table.query(&store::due(&site, kind), &page).await.expect("reads");
        let work = |work: table::Stored<crate::domain::Work>| {
            format!("{} {}", kind.name(), work.value.entity)
        };
        found.extend(works.records.into_iter().map(work));
    }
    found
}

/// A table, a played Academics site, and the context between them.
pub struct World {
    pub ctx: Ctx,
    pub site: MoodleSite,
    pub test: TestTable,
}

impl World {
    pub async fn start() -> Self {
        Self::with_site(MoodleSiteSettings::default()).await
    }

    pub async fn with_site(settings: MoodleSiteSettings) -> Self {
        let test = TestTable::new().await;
        let site = MoodleSite::start(settings).await;
        let ctx = ctx(&test.table);
        add_site(&ctx, "academics", site.url()).await;
        Self { ctx, site, test }
    }

    pub async fn without_site() -> Self {
        let test = TestTable::new().await;
        let site = MoodleSite::start(MoodleSiteSettings::default()).await;
        Self { ctx: ctx(&test.table), site, test }
    }

    pub async fn change_settings(&self, change: impl FnOnce(&mut SiteSettings)) {
        let code = SiteCode("academics".into());
        let mut site = store::site(&self.ctx.table, &code).await.expect("reads").value;
        change(&mut site.settings);
        add(&self.ctx, "academics", site.settings).await;
    }

    /// Section, person and confirmed registration, told by events.
    pub async fn enrol(&self, section: &str, student: &str) {
        deliver_person(&self.ctx, student).await;
        taken_in(&op::on_section_offered::handle(&self.ctx, &offered(section, 1)).await);
        let confirmed = confirmed(section, student);
        taken_in(&op::on_registration_changed::handle(&self.ctx, &confirmed).await);
    }

    pub async fn drop_registration(&self, section: &str, student: &str) {
        let dropped = dropped(section, student);
        taken_in(&op::on_registration_changed::handle(&self.ctx, &dropped).await);
    }

    pub async fn run(&self) -> Run {
        self.run_after(0).await
    }

    pub async fn run_after(&self, seconds: i64) -> Run {
        let now = testkit::now() + SignedDuration::from_secs(seconds);
        let site = SiteCode("academics".into());
        sync::run(&self.ctx, &site, now, "test").await.expect("it runs")
    }

    /// Sections and students in Moodle by the names of the test, and whether they are suspended.
    pub fn enrolled(&self) -> Vec<(String, String, bool)> {
        let names: Vec<String> = ('a'..='z').map(String::from).collect();
        let people = ["ada", "bob", "cleo", "dora"].map(str::to_owned);
        let sections: BTreeMap<String, &String> =
            names.iter().map(|name| (section(name).to_string(), name)).collect();
        let people: BTreeMap<String, &String> =
            people.iter().map(|name| (testkit::person(name).to_string(), name)).collect();
        let mut found: Vec<_> = self
            .site
            .enrolments()
            .iter()
            .filter_map(|one| {
                let section = sections.get(one["course"].as_str()?)?;
                let student = people.get(one["user"].as_str()?)?;
                let is_suspended = one["suspended"].as_bool()?;
                Some(((*section).clone(), (*student).clone(), is_suspended))
            })
            .collect();
        found.sort();
        found
    }
}
