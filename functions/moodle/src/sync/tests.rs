//! A site brought into step, with everything that can go wrong on the way: nothing is done twice, nothing is lost.

use serde_json::{Value, json};
use testkit::MoodleFault;

use super::*;
use crate::domain::{Breaker, CohortRule};
use crate::fixtures::{self, World, marked};
use crate::operations as op;

fn enrolled(section: &str, student: &str) -> (String, String, bool) {
    (section.to_owned(), student.to_owned(), false)
}

async fn health(world: &World) -> Health {
    let site = SiteCode("academics".into());
    store::health(&world.ctx.table, &site).await.expect("reads").0
}

async fn stuck(world: &World) -> Vec<String> {
    let site = SiteCode("academics".into());
    let page = PageRequest { after: None, limit: 100 };
    let works = world.ctx.table.query(&store::stuck(&site), &page).await.expect("reads");
    let code = |work: Stored<Work>| work.value.trouble.map(|trouble| trouble.code);
    works.records.into_iter().filter_map(code).collect()
}

/// The site as it must stand when three students are in two courses, and nothing else.
fn assert_in_step(world: &World, what: &str) {
    let expected = [enrolled("a", "ada"), enrolled("a", "bob"), enrolled("b", "ada")];
    assert_eq!(world.enrolled(), expected, "{what}");
    assert_eq!(world.site.users().len(), 2, "{what}: {:?}", world.site.users());
    assert_eq!(world.site.courses().len(), 2, "{what}: {:?}", world.site.courses());
}

async fn three_enrolments(world: &World) {
    world.enrol("a", "ada").await;
    world.enrol("a", "bob").await;
    world.enrol("b", "ada").await;
}

#[tokio::test]
async fn confirmed_registrations_arrive_with_their_people_and_courses() {
    let world = World::start().await;
    three_enrolments(&world).await;
    let run = world.run().await;
    assert_in_step(&world, "first");
    assert!(!run.more && run.looked > 0);
    assert_eq!(marked(&world.ctx, "academics").await, Vec::<String>::new());
    let courses = world.site.courses();
    let full_name = "Calculus & < Analysis> 🎓 (MATH101-A)";
    let course = courses.iter().find(|course| course["fullname"] == full_name).expect("a course");
    assert_eq!(course["startdate"], 1_801_440_000);
    let ada = testkit::person("ada").to_string();
    assert!(world.site.users().iter().any(|user| user["idnumber"] == ada.as_str()));
    let asked = world.site.take_asked();
    assert_eq!(asked.requests["enrol_manual_enrol_users"], 1, "one request mixes courses");
    assert_eq!(world.run_after(100).await.requests, 0, "nothing is left to send");
}

#[tokio::test]
async fn what_stands_there_already_is_adopted_by_its_id_number() {
    let world = World::start().await;
    let (ada, section) = (testkit::person("ada").to_string(), fixtures::section("a").to_string());
    world.site.act(
        "core_user_create_users",
        &json!({ "users": [{
        "username": "ada", "firstname": "A", "lastname": "N", "email": "old@matricula.example",
        "idnumber": ada, "password": "Str0ng#Pass1",
    }] }),
    );
    world.site.act(
        "core_course_create_courses",
        &json!({ "courses": [{
        "fullname": "Old", "shortname": "OLD", "categoryid": "1", "idnumber": section,
    }] }),
    );
    world.enrol("a", "ada").await;
    world.run().await;
    assert_eq!((world.site.users().len(), world.site.courses().len()), (1, 1));
    assert_eq!(world.site.users()[0]["email"], "ada@matricula.example");
    assert_eq!(world.site.users()[0]["username"], "ada", "a name to log in with stays");
    assert_eq!(world.site.courses()[0]["shortname"], "MATH101-A 2027S");
    assert_eq!(world.enrolled(), [enrolled("a", "ada")]);
}

#[tokio::test]
async fn a_drop_suspends_and_a_new_registration_brings_back() {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.run().await;
    world.drop_registration("a", "ada").await;
    world.run_after(100).await;
    assert_eq!(world.enrolled(), [("a".to_owned(), "ada".to_owned(), true)]);
    let mut again = fixtures::confirmed("a", "ada");
    again.envelope.id.push_str("again");
    let id: kernel::RegistrationId = kernel::Id::derived_from("another");
    again.envelope.data["registration"] = Value::String(id.to_string());
    op::on_registration_changed::handle(&world.ctx, &again).await.expect("taken in");
    world.run_after(200).await;
    assert_eq!(world.enrolled(), [enrolled("a", "ada")]);
    assert_eq!(world.site.take_asked().requests.get("enrol_manual_unenrol_users"), None);
}

#[tokio::test]
async fn whatever_fails_at_whichever_request_nothing_is_done_twice_and_nothing_is_lost() {
    // Look-ups, creates and the enrolling, closest where the request may have been carried out.
    let everywhere = vec![0, 2, 4, 5, 6, 7, 8, 10];
    let some = vec![5, 10];
    for (fault, places) in [
        (MoodleFault::CarriedOutUnanswered, &everywhere),
        (MoodleFault::CarriedOutBadGateway, &everywhere),
        (MoodleFault::CarriedOutPage, &everywhere),
        (MoodleFault::CarriedOutNull, &everywhere),
        (MoodleFault::TokenExpired, &some),
        (MoodleFault::Xml, &some),
        (MoodleFault::WriteFailed, &some),
        (MoodleFault::Maintenance, &some),
        (MoodleFault::MaintenancePage, &some),
        (MoodleFault::DatabaseDown, &some),
        (MoodleFault::BadGateway, &some),
        (MoodleFault::Upgrading, &some),
    ] {
        for after in places.iter().copied() {
            let world = World::start().await;
            three_enrolments(&world).await;
            world.site.break_after(after, fault, 1);
            world.run().await;
            world.site.mend();
            for seconds in [700, 2_100] {
                world.run_after(seconds).await;
            }
            assert_in_step(&world, &format!("{fault:?} at request {after}"));
            assert_eq!(stuck(&world).await, Vec::<String>::new(), "{fault:?} at {after}");
            assert_eq!(marked(&world.ctx, "academics").await, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_site_that_fails_is_left_alone_until_its_time_and_says_why() {
    let world = World::start().await;
    world.site.break_after(0, MoodleFault::MaintenancePage, u64::MAX);
    three_enrolments(&world).await;
    world.run().await;
    let asked = world.site.take_asked().requests.values().sum::<u64>();
    assert!(asked <= 4, "{asked}: a dead site is not asked on");
    let down = health(&world).await;
    let Breaker::Open { until, failures: 1 } = down.breaker else { panic!("{down:?}") };
    assert_eq!(until.duration_since(down.last_error.expect("why").at).as_secs(), 300, "as it asks");
    assert_eq!(world.run_after(299).await.requests, 0);
    world.site.mend();
    world.run_after(400).await;
    assert_in_step(&world, "after the outage");
    assert_eq!(health(&world).await.breaker, Breaker::Closed);
}

#[tokio::test]
async fn the_operator_reads_why_a_site_is_left_alone() {
    for (fault, code) in [
        (MoodleFault::Maintenance, "SITE_IN_MAINTENANCE"),
        (MoodleFault::MaintenancePage, "SITE_DOWN"),
        (MoodleFault::DatabaseDown, "SITE_DATABASE_DOWN"),
        (MoodleFault::BadGateway, "SITE_DOWN"),
        (MoodleFault::Upgrading, "SITE_UPGRADING"),
        (MoodleFault::TokenExpired, "ACCESS_REFUSED"),
        (MoodleFault::RightLacking, "CAPABILITY_LACKING"),
        (MoodleFault::CarriedOutPage, "SITE_ANSWERS_WITH_PAGE"),
        (MoodleFault::CarriedOutNull, "SITE_DOWN"),
        (MoodleFault::CarriedOutUnanswered, "SITE_SILENT"),
    ] {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        world.site.break_after(0, fault, u64::MAX);
        world.run().await;
        let error = health(&world).await.last_error.map(|error| error.code);
        assert_eq!(error.as_deref(), Some(code), "{fault:?}");
    }
}

#[tokio::test]
async fn a_course_and_an_account_with_ampersands_brackets_accents_and_emoji_stand_there_as_they_are()
 {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    let changed = fixtures::person_changed("ada", "Zoë & Søn < 🎓", 2);
    op::on_person_changed::handle(&world.ctx, &changed).await.expect("taken in");
    world.run().await;
    assert_eq!(world.site.users()[0]["firstname"], "Zoë & Søn < 🎓");
    assert_eq!(world.enrolled(), [enrolled("a", "ada")]);
    assert_eq!(stuck(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_site_that_fails_only_while_enrolling_is_left_alone_too() {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.enrol("b", "bob").await;
    world.run().await;
    // All that is left to send is one enrolment.
    world.enrol("b", "ada").await;
    world.site.break_after(0, MoodleFault::BadGateway, u64::MAX);
    world.run_after(100).await;
    let down = health(&world).await;
    assert!(matches!(down.breaker, Breaker::Open { .. }), "{down:?}");
    world.site.mend();
    world.run_after(2_000).await;
    assert_eq!(
        world.enrolled(),
        [enrolled("a", "ada"), enrolled("b", "ada"), enrolled("b", "bob")]
    );
}

#[tokio::test]
async fn a_drop_after_an_enrolment_that_was_never_recorded_suspends_it() {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.enrol("b", "bob").await;
    world.run().await;
    world.enrol("b", "ada").await;
    world.site.break_writes_after(0, MoodleFault::CarriedOutUnanswered, 1);
    world.run_after(100).await;
    world.drop_registration("b", "ada").await;
    world.run_after(200).await;
    let dropped = ("b".to_owned(), "ada".to_owned(), true);
    assert_eq!(world.enrolled(), [enrolled("a", "ada"), dropped, enrolled("b", "bob")]);
}

/// Ada is in one course already; her enrolment in another one is all that is left to send.
async fn one_enrolment_left() -> World {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.enrol("b", "bob").await;
    world.run().await;
    world.enrol("b", "ada").await;
    world
}

#[tokio::test]
async fn a_drop_after_an_enrolment_that_was_clearly_refused_leaves_nothing_behind() {
    for fault in [MoodleFault::TokenExpired, MoodleFault::WriteFailed, MoodleFault::Xml] {
        let world = one_enrolment_left().await;
        world.site.break_writes_after(0, fault, u64::MAX);
        world.run_after(100).await;
        world.site.mend();
        world.drop_registration("b", "ada").await;
        world.run_after(2_000).await;
        let expected = [enrolled("a", "ada"), enrolled("b", "bob")];
        assert_eq!(world.enrolled(), expected, "{fault:?}: nobody had it");
    }
}

#[tokio::test]
async fn a_drop_after_an_enrolment_that_was_never_sent_leaves_nothing_behind() {
    let world = one_enrolment_left().await;
    let deadline = Instant::now() + ROUND_MIN - Duration::from_secs(5);
    let run = Box::pin(deadline::within(deadline, world.run_after(100))).await;
    assert!(run.more, "there is no time to send");
    world.drop_registration("b", "ada").await;
    world.run_after(200).await;
    assert_eq!(world.enrolled(), [enrolled("a", "ada"), enrolled("b", "bob")]);
}

#[tokio::test]
async fn a_look_up_that_moodle_refuses_is_halved_until_the_value_that_spoils_it_is_found() {
    let world = World::start().await;
    for student in ["ada", "bob", "cleo", "dora"] {
        world.enrol("a", student).await;
    }
    world.site.refuse_calls_with("bob@matricula.example");
    world.run().await;
    assert_eq!(stuck(&world).await, ["USER_REFUSED"]);
    let expected = [enrolled("a", "ada"), enrolled("a", "cleo"), enrolled("a", "dora")];
    assert_eq!(world.enrolled(), expected, "he stops nobody");
}

#[tokio::test]
async fn halves_of_a_look_up_are_not_asked_for_when_time_has_run_out() {
    let world = World::start().await;
    for student in ["ada", "bob", "cleo", "dora"] {
        fixtures::deliver_person(&world.ctx, student).await;
        let role = fixtures::role(student, shell::Role::Student, None);
        op::on_role_changed::handle(&world.ctx, &role).await.expect("taken in");
    }
    world.site.refuse_calls_with("bob@matricula.example");
    let deadline = Instant::now() + ROUND_MIN - Duration::from_secs(5);
    let run = Box::pin(deadline::within(deadline, world.run())).await;
    assert!(run.more);
    let asked = world.site.take_asked().requests;
    assert_eq!(asked["core_user_get_users_by_field"], 1, "by id number, and no more");
    world.run_after(100).await;
    assert_eq!(world.site.users().len(), 3);
}

#[tokio::test]
async fn a_course_that_moodle_refuses_to_change_holds_up_no_other() {
    let world = World::start().await;
    for section in ["a", "b", "c"] {
        world.enrol(section, "ada").await;
    }
    world.run().await;
    world.site.refuse_calls_with("Calculus & < Analysis> 🎓 [MATH101-B]");
    let renamed = "{course_title} [{section_code}]";
    world.change_settings(|settings| settings.naming.course_full_name = renamed.into()).await;
    for section in ["a", "b", "c"] {
        let offered = fixtures::offered(section, 2);
        op::on_section_offered::handle(&world.ctx, &offered).await.expect("taken in");
    }
    world.run_after(100).await;
    assert_eq!(stuck(&world).await, ["COURSE_REFUSED"]);
    let courses = world.site.courses();
    let names = courses.iter().filter_map(|course| course["fullname"].as_str());
    let changed: Vec<_> = names.filter_map(|name| name.split_once('[')).collect();
    assert_eq!(
        changed.iter().map(|(_, code)| *code).collect::<Vec<_>>(),
        ["MATH101-A]", "MATH101-C]"]
    );
}

const FOUR: [&str; 4] = ["ada", "bob", "cleo", "dora"];

/// Four accounts that stand there, each with a name that is to be changed.
async fn four_changes(given: impl Fn(&str) -> String) -> World {
    let world = World::start().await;
    for student in FOUR {
        world.enrol("a", student).await;
    }
    world.run().await;
    for student in FOUR {
        let changed = fixtures::person_changed(student, &given(student), 2);
        op::on_person_changed::handle(&world.ctx, &changed).await.expect("taken in");
    }
    world.site.take_asked();
    world
}

#[tokio::test]
async fn an_account_that_moodle_refuses_to_change_is_found_by_halves() {
    let world = four_changes(|student| format!("New {student}")).await;
    world.site.refuse_calls_with("New bob");
    world.run_after(100).await;
    assert_eq!(stuck(&world).await, ["USER_REFUSED"]);
    let users = world.site.users();
    let names = users.iter().filter_map(|user| user["firstname"].as_str());
    assert_eq!(names.filter(|name| name.starts_with("New ")).count(), 3, "he stops nobody");
}

#[tokio::test]
async fn changes_that_nobody_answers_are_not_sent_on_when_time_has_run_out() {
    let world = four_changes(|student| format!("New {student}")).await;
    world.site.break_writes_after(0, MoodleFault::CarriedOutUnanswered, u64::MAX);
    let deadline = Instant::now() + ROUND_MIN + Duration::from_secs(1);
    let run = Box::pin(deadline::within(deadline, world.run_after(100))).await;
    assert!(run.more);
    let sent = world.site.take_asked().requests["core_user_update_users"];
    assert!((1..=2).contains(&sent), "{sent}: each of them is waited for");
    world.site.mend();
    world.run_after(200).await;
    assert_eq!(marked(&world.ctx, "academics").await, Vec::<String>::new());
}

/// Four teachers of a department, who belong into its cohort.
async fn four_teachers() -> World {
    let world = World::start().await;
    world.change_settings(|settings| settings.cohorts = vec![CohortRule::Department]).await;
    for teacher in FOUR {
        fixtures::deliver_person(&world.ctx, teacher).await;
        let role = fixtures::role(teacher, shell::Role::Teacher, Some("MATH"));
        op::on_role_changed::handle(&world.ctx, &role).await.expect("taken in");
    }
    world
}

#[tokio::test]
async fn members_come_into_a_cohort_with_one_request_and_leave_it_with_one() {
    let world = four_teachers().await;
    world.run().await;
    assert_eq!(world.site.cohort_members("department:MATH").len(), 4);
    assert_eq!(world.site.take_asked().requests["core_cohort_add_cohort_members"], 1);
    for teacher in FOUR {
        let moved = fixtures::role(teacher, shell::Role::Teacher, Some("PHYS"));
        op::on_role_changed::handle(&world.ctx, &moved).await.expect("taken in");
        let left = fixtures::role_ended(teacher, shell::Role::Teacher, Some("MATH"));
        op::on_role_changed::handle(&world.ctx, &left).await.expect("taken in");
    }
    world.run_after(100).await;
    assert_eq!(world.site.cohort_members("department:MATH"), Vec::<String>::new());
    assert_eq!(world.site.cohort_members("department:PHYS").len(), 4);
    assert_eq!(world.site.take_asked().requests["core_cohort_delete_cohort_members"], 1);
}

#[tokio::test]
async fn a_member_whom_a_cohort_does_not_take_is_found_by_halves() {
    let world = four_teachers().await;
    // Accounts of a new site begin with 4: it is the second one.
    world.site.refuse_calls_with("5");
    world.run().await;
    assert_eq!(world.site.cohort_members("department:MATH").len(), 3);
    let put_off = marked(&world.ctx, "academics").await;
    assert_eq!(put_off.len(), 1, "{put_off:?}");
}

#[tokio::test]
async fn an_enrolment_waits_for_its_course_as_long_as_that_takes() {
    let world = World::start().await;
    let confirmed = fixtures::confirmed("a", "ada");
    op::on_registration_changed::handle(&world.ctx, &confirmed).await.expect("taken in");
    fixtures::deliver_person(&world.ctx, "ada").await;
    // More often than an enrolment that the site refuses is tried.
    for round in 1..30 {
        world.run_after(round * 1_000).await;
    }
    assert_eq!(stuck(&world).await, Vec::<String>::new());
    world.enrol("a", "ada").await;
    for round in 30..33 {
        world.run_after(round * 1_000).await;
    }
    assert_eq!(world.enrolled(), [enrolled("a", "ada")]);
}

#[tokio::test]
async fn a_user_and_a_course_deleted_there_are_made_anew_with_their_enrolments() {
    let world = World::start().await;
    three_enrolments(&world).await;
    world.run().await;
    world.site.delete_by_id_number(&testkit::person("ada").to_string());
    world.site.delete_by_id_number(&fixtures::section("a").to_string());
    let changed = fixtures::person_changed("ada", "Adaeze", 2);
    op::on_person_changed::handle(&world.ctx, &changed).await.expect("taken in");
    op::on_section_offered::handle(&world.ctx, &fixtures::offered("a", 2)).await.expect("taken in");
    world.enrol("b", "cleo").await;
    let mut settings_changed = fixtures::settings(world.site.url());
    settings_changed.naming.course_full_name = "{course_title}".into();
    world.change_settings(|settings| *settings = settings_changed).await;
    for seconds in [100, 200, 300] {
        world.run_after(seconds).await;
    }
    let expected =
        [enrolled("a", "ada"), enrolled("a", "bob"), enrolled("b", "ada"), enrolled("b", "cleo")];
    assert_eq!(world.enrolled(), expected, "{:?}", stuck(&world).await);
    assert_eq!(world.site.users().len(), 3);
}

#[tokio::test]
async fn an_enrolment_into_a_course_that_was_deleted_there_makes_it_anew() {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.run().await;
    world.site.delete_by_id_number(&fixtures::section("a").to_string());
    world.enrol("a", "bob").await;
    for seconds in [100, 200, 300] {
        world.run_after(seconds).await;
    }
    assert_eq!(world.enrolled(), [enrolled("a", "ada"), enrolled("a", "bob")]);
}

#[tokio::test]
async fn an_id_number_that_stands_there_twice_is_nobodys_guess() {
    let world = World::start().await;
    let ada = testkit::person("ada").to_string();
    for name in ["one", "two"] {
        world.site.act(
            "core_user_create_users",
            &json!({ "users": [{
            "username": name, "firstname": "A", "lastname": "N", "password": "Str0ng#Pass1",
            "email": format!("{name}@matricula.example"), "idnumber": ada,
        }] }),
        );
    }
    world.enrol("a", "ada").await;
    world.enrol("a", "bob").await;
    world.run().await;
    assert_eq!(stuck(&world).await, ["ID_NUMBER_TWICE"]);
    assert_eq!(world.enrolled(), [enrolled("a", "bob")]);
}

#[tokio::test]
async fn a_form_that_php_cuts_is_noticed_and_sent_in_smaller_ones() {
    let settings = testkit::MoodleSiteSettings {
        max_input_vars: 30,
        ..testkit::MoodleSiteSettings::default()
    };
    let world = World::with_site(settings).await;
    for student in ["ada", "bob", "cleo", "dora"] {
        world.enrol("a", student).await;
    }
    world.run().await;
    for seconds in [100, 200] {
        world.run_after(seconds).await;
    }
    assert_eq!(world.site.users().len(), 4);
    assert_eq!(world.enrolled().len(), 4);
}

#[tokio::test]
async fn two_at_once_work_one_after_the_other() {
    let world = World::start().await;
    three_enrolments(&world).await;
    let (one, two) = tokio::join!(world.run(), async {
        let site = SiteCode("academics".into());
        run(&world.ctx, &site, testkit::now(), "another").await
    });
    let two = two.unwrap_or_default();
    assert!(one.looked == 0 || two.looked == 0, "{one:?} {two:?}");
    world.run_after(100).await;
    assert_in_step(&world, "two at once");
}

#[tokio::test]
async fn who_lost_the_lease_records_nothing() {
    let world = World::start().await;
    let site = SiteCode("academics".into());
    let lease = acquire(&world.ctx, &site, testkit::now(), "old").await.expect("reads");
    let lease = lease.expect("it is free");
    let later = testkit::now() + Lease::HELD;
    acquire(&world.ctx, &site, later, "new").await.expect("reads").expect("it ran out");
    fixtures::deliver_person(&world.ctx, "ada").await;
    let id =
        WorkId { site: site.clone(), kind: Kind::User, entity: testkit::person("ada").to_string() };
    let work = world.ctx.table.get(&store::work_key(&id)).await.expect("reads").expect("marked");
    let looked = Looked { work, mapping: None, outcome: store::Outcome::InStep };
    let result = store::record(&world.ctx.table, &lease, &[looked], later).await;
    assert!(matches!(result, Err(Failure::Conflict { .. })), "{result:?}");
    assert_eq!(marked(&world.ctx, "academics").await.len(), 1);
}

#[tokio::test]
async fn cohorts_follow_what_a_student_owes() {
    use events::{ChargePosted, ChargeSettled, Event, PersonRegistered};
    let world = World::without_site().await;
    fixtures::add_finance_site(&world.ctx, world.site.url()).await;
    let student = ChargePosted::example().student;
    let person = PersonRegistered { person: student, ..PersonRegistered::example() };
    let deliver = testkit::delivery("on-person-changed", person);
    op::on_person_changed::handle(&world.ctx, &deliver).await.expect("taken in");
    let mut role = fixtures::role("x", shell::Role::Student, None);
    role.envelope.data["person"] = Value::String(student.to_string());
    op::on_role_changed::handle(&world.ctx, &role).await.expect("taken in");
    let finance = SiteCode("finance".into());
    let now = testkit::now();
    run(&world.ctx, &finance, now, "test").await.expect("it runs");
    assert_eq!(world.site.cohort_members("balance:clear"), [student.to_string()]);
    let posted = testkit::delivery("on-charge-changed", ChargePosted::example());
    op::on_charge_changed::handle(&world.ctx, &posted).await.expect("taken in");
    run(&world.ctx, &finance, now, "test").await.expect("it runs");
    assert_eq!(world.site.cohort_members("balance:clear"), Vec::<String>::new());
    assert_eq!(world.site.cohort_members("balance:owing"), [student.to_string()]);
    let settled = testkit::delivery("on-charge-changed", ChargeSettled::example());
    op::on_charge_changed::handle(&world.ctx, &settled).await.expect("taken in");
    run(&world.ctx, &finance, now, "test").await.expect("it runs");
    assert_eq!(world.site.cohort_members("balance:clear"), [student.to_string()]);
    assert_eq!(world.site.courses().len(), 0);
}

#[tokio::test]
async fn staff_have_accounts_where_their_role_belongs_in_the_cohort_of_their_department() {
    let world = World::start().await;
    world
        .change_settings(|settings| {
            settings.people = vec![shell::Role::Teacher, shell::Role::HeadOfDepartment];
            settings.courses = crate::domain::CourseRule::None;
            settings.cohorts = vec![CohortRule::Department];
        })
        .await;
    for name in ["ada", "bob"] {
        fixtures::deliver_person(&world.ctx, name).await;
    }
    let teacher = fixtures::role("ada", shell::Role::Teacher, Some("MATH"));
    op::on_role_changed::handle(&world.ctx, &teacher).await.expect("taken in");
    world.run().await;
    let ada = testkit::person("ada").to_string();
    assert_eq!(world.site.users().len(), 1, "bob is no staff");
    assert_eq!(world.site.users()[0]["department"], "MATH");
    assert_eq!(world.site.cohort_members("department:MATH"), std::slice::from_ref(&ada));
    let ended = fixtures::role_ended("ada", shell::Role::Teacher, Some("MATH"));
    op::on_role_changed::handle(&world.ctx, &ended).await.expect("taken in");
    world.run().await;
    assert_eq!(world.site.users()[0]["suspended"], true, "whoever has left is not deleted");
    assert_eq!(world.site.cohort_members("department:MATH"), [ada], "nor unenrolled by a cohort");
}

#[tokio::test]
async fn a_site_that_names_another_ones_secret_is_never_asked() {
    let world = World::start().await;
    world.enrol("a", "ada").await;
    world.change_settings(|settings| settings.token_secret = "finance".into()).await;
    world.run().await;
    assert_eq!(world.site.take_asked().requests.len(), 0);
    let error = health(&world).await.last_error.map(|error| error.code);
    assert_eq!(error.as_deref(), Some("SITE_SECRET_FOREIGN"));
}

#[tokio::test]
async fn a_race_with_dynamodb_in_the_way_ends_in_step() {
    for seed in 0..4 {
        let world = World::start().await;
        three_enrolments(&world).await;
        world.test.engine.set_faults(testkit::Faults::seeded(seed, 60));
        let site = SiteCode("academics".into());
        drop(run(&world.ctx, &site, testkit::now(), "test").await);
        world.test.engine.set_faults(testkit::Faults::none());
        for seconds in [120, 240] {
            world.run_after(seconds).await;
        }
        assert_in_step(&world, &format!("seed {seed}"));
    }
}
