//! Has everything of ours sent again that the last complete check found to differ. Where so much is missing that the
//! site's answers are to be doubted, somebody has to say that it is so.

use kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::ADMINISTRATORS;
use crate::Ctx;
use crate::domain::{DriftReport, Refusal, Repair, SiteCode};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::act(
    "repair-drift",
    "/moodle/sites/{site}/drift-repairs",
    ADMINISTRATORS,
    "Mend what is ours of what differs in a Moodle site",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub site: SiteCode,
    /// When the check of the report that was read was asked for.
    pub check_asked_at: Timestamp,
    /// True where the report needs approval: somebody looked, and so much is missing indeed.
    pub approves: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    pub site: SiteCode,
    /// Entities that are marked, page by page from now on.
    pub to_mark: u64,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { site, check_asked_at, approves } = call.command.clone();
    let site = store::site(&ctx.table, &site).await?.value.code;
    let report = ctx.table.get(&store::drift_report_key(&site)).await?;
    let report = report.ok_or(Refusal::DriftReportMissing)?;
    if report.value.asked_at != check_asked_at {
        return Err(Refusal::DriftReportOutdated.into());
    }
    let tally = report.value.tally;
    if tally.is_shrunken() && approves != Some(true) {
        let (missing, expected) = (tally.missing, tally.expected);
        return Err(Refusal::DriftNeedsApproval { missing, expected }.into());
    }
    let reply = Reply { site: site.clone(), to_mark: tally.found() - tally.extra };
    let mut transaction = ctx.table.transaction();
    // Asked for once more, a repair that is done begins anew; one under way goes on.
    if report.value.repair.as_ref().is_none_or(|repair| repair.is_finished) {
        let asked_by = call.person();
        let repair =
            Repair { asked_at: call.now, asked_by, after: None, marked: 0, is_finished: false };
        let value = DriftReport { repair: Some(repair), ..report.value };
        transaction.put(&value, Some(report.version));
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    store::wake_in(&mut transaction, &site, cause, "repair");
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::MoodleFault;

    use super::super::{list_drift, read_drift_report, start_drift_check};
    use super::*;
    use crate::domain::{CohortRule, Difference, DriftTally, GroupRule, Kind};
    use crate::fixtures::{self, World, code};

    fn site() -> SiteCode {
        SiteCode("academics".into())
    }

    async fn start(world: &World, after_s: i64) {
        let mut call = testkit::call(start_drift_check::Command { site: site() });
        call.now += jiff::SignedDuration::from_secs(after_s);
        start_drift_check::handle(&world.ctx, &call).await.expect("asked for");
    }

    async fn read(world: &World) -> read_drift_report::Reply {
        let call = testkit::call(read_drift_report::Command { site: site() });
        read_drift_report::handle(&world.ctx, &call).await.expect("reads")
    }

    /// Looks through the site; what differs, by difference, kind and entity.
    async fn checked(world: &World, after_s: i64) -> Vec<(Difference, Kind, String)> {
        start(world, after_s).await;
        world.run_after(after_s).await;
        let call = testkit::call(list_drift::Command { site: site() });
        let listed = list_drift::handle(&world.ctx, &call).await.expect("a page");
        assert!(listed.items.iter().all(|item| item.sentence.len() > 20), "{:?}", listed.items);
        listed.items.into_iter().map(|item| (item.difference, item.kind, item.entity)).collect()
    }

    async fn repair(world: &World, approves: bool) -> Result<Reply, Failure> {
        let check_asked_at = read(world).await.report.expect("a report").asked_at;
        let command = Command { site: site(), check_asked_at, approves: approves.then_some(true) };
        handle(&world.ctx, &testkit::call(command)).await
    }

    /// Twelve students in two courses each, in step: enough for one of them to be no sharp shrinking.
    async fn in_step() -> World {
        let world = World::start().await;
        for section in ["a", "b"] {
            for number in 0..12 {
                world.enrol(section, &format!("student{number}")).await;
            }
        }
        world.run().await;
        world
    }

    fn moodle_id(world: &World, id_number: &str) -> i64 {
        let all = world.site.users().into_iter().chain(world.site.courses());
        let found =
            all.filter(|one| one["idnumber"] == id_number).find_map(|one| one["id"].as_i64());
        found.expect("it stands there")
    }

    #[tokio::test]
    async fn a_site_in_step_shows_no_drift_not_even_in_names_with_ampersands() {
        let world = in_step().await;
        assert_eq!(checked(&world, 100).await, []);
        let report = read(&world).await.report.expect("a report");
        let expected = DriftTally { courses: 2, people: 12, expected: 38, ..DriftTally::default() };
        assert_eq!((report.tally, report.needs_approval), (expected, false));
    }

    #[tokio::test]
    async fn what_others_changed_is_found_and_what_is_ours_is_mended_in_one_click() {
        let world = in_step().await;
        let id = |name: &str| moodle_id(&world, &testkit::person(name).to_string());
        let course = moodle_id(&world, &fixtures::section("a").to_string());
        let act = |function: &str, parameters| drop(world.site.act(function, &parameters));
        let one = |user: i64| json!({ "userid": user, "courseid": course });
        act("enrol_manual_unenrol_users", json!({ "enrolments": [one(id("student0"))] }));
        let mut suspended = one(id("student1"));
        suspended["roleid"] = json!(5);
        suspended["suspend"] = json!(1);
        act("enrol_manual_enrol_users", json!({ "enrolments": [suspended] }));
        let role = json!({
            "roleid": 5, "userid": id("student2"), "contextlevel": "course", "instanceid": course,
        });
        act("core_role_unassign_roles", json!({ "unassignments": [role] }));
        let renamed = json!({ "id": id("student3"), "firstname": "Nobody" });
        let locked_out = json!({ "id": id("student4"), "suspended": 1 });
        act("core_user_update_users", json!({ "users": [renamed, locked_out] }));
        act(
            "core_course_update_courses",
            json!({ "courses": [{ "id": course, "fullname": "X" }] }),
        );
        let guest = json!({ "users": [{
            "username": "guest1", "firstname": "G", "lastname": "G", "password": "Str0ng#Pass1",
            "email": "guest@matricula.example",
        }] });
        act("core_user_create_users", guest);
        let users = world.site.users();
        let guest = users.iter().find(|user| user["username"] == "guest1").expect("there");
        let mut guest = one(guest["id"].as_i64().expect("an id"));
        guest["roleid"] = json!(4);
        act("enrol_manual_enrol_users", json!({ "enrolments": [guest] }));

        let found = checked(&world, 100).await;
        let section = fixtures::section("a").to_string();
        let enrolment = |name: &str| format!("{section}/{}", testkit::person(name));
        let mut expected = vec![
            (Difference::ChangedThere, Kind::Course, section.clone()),
            (Difference::ChangedThere, Kind::User, testkit::person("student3").to_string()),
            (Difference::Extra, Kind::Enrolment, format!("{section}/moodle-{}", guest["userid"])),
            (Difference::Missing, Kind::Enrolment, enrolment("student0")),
            (Difference::WrongRole, Kind::Enrolment, enrolment("student2")),
            (Difference::WrongStatus, Kind::Enrolment, enrolment("student1")),
            (Difference::WrongStatus, Kind::User, testkit::person("student4").to_string()),
        ];
        expected.sort_by_key(|(difference, kind, _)| (difference.name(), kind.name()));
        assert_eq!(found, expected);

        let reply = repair(&world, false).await.expect("asked for");
        assert_eq!(reply.to_mark, 6);
        world.run_after(200).await;
        let left = checked(&world, 300).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].0, Difference::Extra, "what others have put there stays");
        let asked = world.site.take_asked().requests;
        assert!(!asked.contains_key("enrol_manual_unenrol_users"));
    }

    #[tokio::test]
    async fn roles_too_many_are_found_and_only_ours_are_taken_away() {
        let world = in_step().await;
        world.drop_registration("a", "student2").await;
        world.run_after(50).await;
        let section = fixtures::section("a").to_string();
        let course = moodle_id(&world, &section);
        let person = |name: &str| testkit::person(name).to_string();
        for (name, role) in [("student0", 3), ("student1", 4), ("student2", 3)] {
            let user = moodle_id(&world, &person(name));
            let given = json!({
                "roleid": role, "userid": user, "contextlevel": "course", "instanceid": course,
            });
            world.site.act("core_role_assign_roles", &json!({ "assignments": [given] }));
        }
        let wrong = |name: &str| {
            (Difference::WrongRole, Kind::Enrolment, format!("{section}/{}", person(name)))
        };
        let told = format!("{section}/{}/role-4", person("student1"));
        let told = (Difference::Extra, Kind::Enrolment, told);
        let mut expected = vec![told.clone(), wrong("student0"), wrong("student2")];
        expected.sort_by_key(|(difference, _, entity)| (difference.name(), entity.clone()));
        assert_eq!(checked(&world, 100).await, expected);
        repair(&world, false).await.expect("asked for");
        world.run_after(200).await;
        let roles = |name: &str| {
            let all = world.site.enrolments().into_iter();
            let mut of = all.filter(|one| one["user"] == person(name) && one["course"] == section);
            of.next().expect("is enrolled")["roles"].to_string()
        };
        let now = ["student0", "student1", "student2"].map(roles);
        assert_eq!(now, ["[5]", "[4,5]", "[5]"], "a role that is not ours is left alone");
        assert_eq!(checked(&world, 300).await, [told]);
    }

    #[tokio::test]
    async fn a_list_that_never_stands_still_ends_a_check_with_a_sentence() {
        let world = in_step().await;
        let course = moodle_id(&world, &fixtures::section("a").to_string());
        for number in 0..300 {
            let user = json!({
                "username": format!("guest{number}"), "firstname": "G", "lastname": "G",
                "email": format!("guest{number}@matricula.example"), "password": "Str0ng#Pass1",
            });
            let made = world.site.act("core_user_create_users", &json!({ "users": [user] }));
            let enrolment = json!({ "roleid": 5, "userid": made[0]["id"], "courseid": course });
            world.site.act("enrol_manual_enrol_users", &json!({ "enrolments": [enrolment] }));
        }
        world.site.move_lists();
        start(&world, 100).await;
        world.run_after(100).await;
        let stopped = read(&world).await.check.expect("it stands").stopped.expect("stopped");
        assert_eq!(stopped.code, "LIST_MOVED");
        assert!(stopped.sentence.len() > 30);
    }

    #[tokio::test]
    async fn a_course_deleted_there_and_an_account_deleted_there_come_back_with_their_enrolments() {
        let world = in_step().await;
        world.site.delete_by_id_number(&fixtures::section("a").to_string());
        world.site.delete_by_id_number(&testkit::person("student0").to_string());
        let found = checked(&world, 100).await;
        let missing = |kind| {
            let of_kind = |one: &&(Difference, Kind, String)| one.1 == kind;
            found.iter().filter(of_kind).all(|one| one.0 == Difference::Missing)
        };
        assert!(missing(Kind::Course) && missing(Kind::User), "{found:?}");
        repair(&world, true).await.expect("somebody looked");
        for seconds in [200, 300, 400] {
            world.run_after(seconds).await;
        }
        assert_eq!(checked(&world, 500).await, []);
        assert_eq!(world.site.enrolments().len(), 24);
    }

    #[tokio::test]
    async fn a_member_taken_out_of_a_group_is_found_and_comes_back() {
        let world = World::start().await;
        world.change_settings(|settings| settings.groups = GroupRule::LinkedSections).await;
        let linked = fixtures::linked("one", 1, &["a", "b"]);
        let told = crate::operations::on_registration_group_changed::handle(&world.ctx, &linked);
        told.await.expect("taken in");
        for section in ["a", "b"] {
            for number in 0..12 {
                world.enrol(section, &format!("student{number}")).await;
            }
        }
        world.run().await;
        world.run_after(50).await;
        let inside = |world: &World| {
            let groups = world.site.groups().into_iter();
            groups.map(|group| group["members"].as_array().map_or(0, Vec::len)).collect::<Vec<_>>()
        };
        assert_eq!(inside(&world), [12, 12]);
        let group = world.site.groups().remove(0);
        let user = moodle_id(&world, &testkit::person("student3").to_string());
        let member = json!({ "members": [{ "groupid": group["id"], "userid": user }] });
        world.site.act("core_group_delete_group_members", &member);
        let course = group["course"].as_str().expect("an id number").to_owned();
        let expected = [(Difference::ChangedThere, Kind::Groups, course)];
        assert_eq!(checked(&world, 100).await, expected);
        repair(&world, false).await.expect("asked for");
        world.run_after(200).await;
        world.run_after(210).await;
        assert_eq!(inside(&world), [12, 12]);
        assert_eq!(checked(&world, 300).await, []);
    }

    #[tokio::test]
    async fn cohorts_are_looked_through_who_was_taken_out_comes_back_and_who_was_put_in_is_told() {
        let world = World::start().await;
        world.change_settings(|settings| settings.cohorts = vec![CohortRule::Balance]).await;
        for number in 0..12 {
            world.enrol("a", &format!("student{number}")).await;
        }
        world.run().await;
        assert_eq!(world.site.cohort_members("balance:clear").len(), 12);
        let owing = json!({ "cohorts": [{
            "categorytype": { "type": "system", "value": "" },
            "name": "balance:owing", "idnumber": "balance:owing",
        }] });
        world.site.act("core_cohort_create_cohorts", &owing);
        let id = |name: &str| moodle_id(&world, &testkit::person(name).to_string());
        let cohorts = world.site.act("core_cohort_get_cohorts", &json!({}));
        let clear = cohorts[0]["id"].clone();
        let member = json!({ "members": [{ "cohortid": clear, "userid": id("student1") }] });
        world.site.act("core_cohort_delete_cohort_members", &member);
        let added = json!({ "members": [{
            "cohorttype": { "type": "idnumber", "value": "balance:owing" },
            "usertype": { "type": "id", "value": id("student2").to_string() },
        }] });
        world.site.act("core_cohort_add_cohort_members", &added);
        let extra = format!("balance:owing/{}", testkit::person("student2"));
        let expected = [
            (Difference::ChangedThere, Kind::User, testkit::person("student1").to_string()),
            (Difference::Extra, Kind::Cohort, extra.clone()),
        ];
        assert_eq!(checked(&world, 100).await, expected);
        repair(&world, false).await.expect("asked for");
        world.run_after(200).await;
        assert_eq!(world.site.cohort_members("balance:clear").len(), 12);
        assert_eq!(checked(&world, 300).await, [(Difference::Extra, Kind::Cohort, extra)]);
    }

    #[tokio::test]
    async fn an_empty_answer_is_not_believed_before_somebody_has_looked() {
        let world = in_step().await;
        for number in 0..12 {
            let student = testkit::person(&format!("student{number}")).to_string();
            let user = moodle_id(&world, &student);
            for section in ["a", "b"] {
                let course = moodle_id(&world, &fixtures::section(section).to_string());
                let one = json!({ "enrolments": [{ "userid": user, "courseid": course }] });
                world.site.act("enrol_manual_unenrol_users", &one);
            }
        }
        assert_eq!(checked(&world, 100).await.len(), 24);
        assert!(read(&world).await.report.expect("a report").needs_approval);
        assert_eq!(code(repair(&world, false).await), "DRIFT_NEEDS_APPROVAL");
        world.run_after(200).await;
        assert_eq!(world.site.enrolments().len(), 0, "nothing is sent");
        repair(&world, true).await.expect("somebody looked");
        world.run_after(300).await;
        assert_eq!(world.site.enrolments().len(), 24);
        assert!(read(&world).await.report.expect("it").repair.expect("it").is_finished);
    }

    #[tokio::test]
    async fn a_check_that_a_failing_site_interrupts_goes_on_and_reports_only_when_it_has_seen_all()
    {
        let world = in_step().await;
        start(&world, 100).await;
        // In the middle of the first page.
        world.site.break_after(3, MoodleFault::MaintenancePage, u64::MAX);
        world.run_after(100).await;
        let reply = read(&world).await;
        assert_eq!(reply.report, None, "complete or not at all");
        assert!(reply.check.expect("under way").stopped.is_none());
        world.site.mend();
        world.run_after(2_000).await;
        let reply = read(&world).await;
        assert_eq!(reply.report.expect("a report").tally.found(), 0);
        assert_eq!(reply.check, None);
    }

    #[tokio::test]
    async fn a_check_that_lacks_a_right_stops_with_a_sentence_and_stops_nothing_else() {
        let world = in_step().await;
        start(&world, 100).await;
        world.site.break_after(1, MoodleFault::RightLacking, 1);
        world.run_after(100).await;
        let stopped = read(&world).await.check.expect("it stands").stopped.expect("stopped");
        assert_eq!(
            (stopped.code.as_str(), stopped.moodle_code.as_str()),
            ("CAPABILITY_LACKING", "nopermissions")
        );
        assert!(stopped.sentence.len() > 30);
        world.enrol("a", "ada").await;
        world.run_after(110).await;
        assert!(world.enrolled().contains(&("a".into(), "ada".into(), false)));
        assert_eq!(checked(&world, 200).await, [], "asked for anew");
    }

    #[tokio::test]
    async fn a_report_is_mended_as_it_was_read() {
        let world = World::start().await;
        let command = || Command { site: site(), check_asked_at: testkit::now(), approves: None };
        let refused = async || code(handle(&world.ctx, &testkit::call(command())).await);
        assert_eq!(refused().await, "DRIFT_REPORT_MISSING");
        start(&world, 60).await;
        world.run_after(60).await;
        assert_eq!(refused().await, "DRIFT_REPORT_OUTDATED");
    }

    #[tokio::test]
    async fn a_repair_is_asked_for_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                let asked = crate::domain::DriftCheck::asked(site(), testkit::now(), None);
                let tally = DriftTally::default();
                let mut transaction = table.transaction();
                transaction.create(&DriftReport::of(&asked, tally, testkit::now()));
                transaction.commit().await.expect("a report");
                let check_asked_at = testkit::now();
                testkit::call(Command { site: site(), check_asked_at, approves: None })
            },
            async |table, call| handle(&fixtures::ctx(table), call).await.map(drop),
            async |table, _| {
                let report = table.get(&store::drift_report_key(&site())).await;
                let report = report.expect("reads").expect("it stands");
                assert_eq!(report.version, 2);
                assert!(!report.value.repair.expect("asked for").is_finished);
            },
        )
        .await;
    }
}
