//! What a site tells of itself. It only marks what is to be looked at there: nothing that it says is believed, so that
//! a call which is lost, repeated or made up does no harm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shell::{Access, Call, Failure, Route};

use crate::Ctx;
use crate::domain::{HeardOf, Kind, Refusal, Site, SiteCode, WebhookMinute, WorkId, heard_of};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::call(
    "receive-webhook",
    "/webhooks/moodle/{site}",
    Access::Public,
    "Hear from a Moodle site that something changed there",
)
.also_form()
.or_header("token", "x-webhook-token");

/// An event as Moodle's webhook plugins send it, as JSON or as a form, with the site's webhook secret in it or in the
/// header `x-webhook-token`. What else they send is left alone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Command {
    pub site: SiteCode,
    #[schemars(length(min = 1, max = 200))]
    pub token: String,
    /// Such as `\core\event\user_graded`.
    #[schemars(length(min = 1, max = 200))]
    pub eventname: String,
    pub objectid: Option<NumberOrText>,
    pub courseid: Option<NumberOrText>,
    pub relateduserid: Option<NumberOrText>,
}

/// Some plugins send every field as a text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrText {
    Number(i64),
    Text(#[schemars(length(max = 40))] String),
}

impl NumberOrText {
    /// An id; none where it is empty, or none at all.
    fn id(&self) -> Option<i64> {
        let id = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.parse().ok()?,
        };
        (id > 0).then_some(id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reply {
    pub received: bool,
    /// Entities that are looked at because of it.
    pub marked: usize,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { site, token, .. } = &call.command;
    let site = ctx.table.get(&store::site_key(site)).await?.map(|site| site.value);
    // Nobody learns here which sites there are.
    let site = site.ok_or(Refusal::WebhookSecretWrong)?;
    let key = store::webhook_minute_key(&site.code);
    let standing = ctx.table.get(&key).await?;
    let before = standing.as_ref().map(|standing| &standing.value);
    let minute = WebhookMinute::counted(site.code.clone(), before, call.now);
    let minute = minute.ok_or(Refusal::WebhookTooOften)?;
    let mut transaction = ctx.table.transaction();
    transaction.put(&minute, standing.map(|standing| standing.version));
    if !knows_secret(ctx, &site, token).await {
        // So many guesses a minute, and no more.
        transaction.commit().await?;
        return Err(Refusal::WebhookSecretWrong.into());
    }
    let (ids, is_sent) = heard(ctx, &site.code, &call.command).await?;
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    if is_sent {
        store::mark_to_send(&ctx.table, &mut transaction, &ids, true, cause).await?;
    } else {
        store::mark_to_look(&ctx.table, &mut transaction, &ids, cause).await?;
    }
    transaction.commit().await?;
    Ok(Reply { received: true, marked: ids.len() })
}

/// The secret lies beside the site's token. Digests are compared, which take the same time whatever was guessed.
async fn knows_secret(ctx: &Ctx, site: &Site, token: &str) -> bool {
    let name = format!("{}-webhook", site.settings.token_secret);
    match ctx.tokens.read(&name).await {
        Ok(secret) => Sha256::digest(secret.as_bytes()) == Sha256::digest(token.as_bytes()),
        Err(fault) => {
            tracing::warn!(site = %site.code, error = fault.chain(), "no webhook secret to compare");
            false
        }
    }
}

/// What of ours an event is about, and whether it is sent again; nothing where it is about what is not ours.
async fn heard(
    ctx: &Ctx,
    site: &SiteCode,
    command: &Command,
) -> Result<(Vec<WorkId>, bool), Failure> {
    let object = command.objectid.as_ref().and_then(NumberOrText::id);
    let course = command.courseid.as_ref().and_then(NumberOrText::id);
    // The front page is nobody's section.
    let course = course.filter(|course| *course > 1);
    let user = command.relateduserid.as_ref().and_then(NumberOrText::id);
    let entity = async |kind, id: Option<i64>| match id {
        Some(id) => store::entity_behind(&ctx.table, site, kind, id).await,
        None => Ok(None),
    };
    let about = heard_of(&command.eventname);
    let (kind, entity) = match about {
        None => return Ok((Vec::new(), false)),
        Some(HeardOf::User) => (Kind::User, entity(Kind::User, user.or(object)).await?),
        Some(HeardOf::Cohort) => (Kind::User, entity(Kind::User, user).await?),
        Some(HeardOf::Groups) => (Kind::Groups, entity(Kind::Course, course).await?),
        Some(HeardOf::Course) => (Kind::Course, entity(Kind::Course, course.or(object)).await?),
        Some(about @ (HeardOf::Enrolment | HeardOf::Result)) => {
            let section = entity(Kind::Course, course).await?;
            let person = entity(Kind::User, user).await?;
            let seat = section.zip(person).map(|(section, person)| format!("{section}/{person}"));
            let is_result = matches!(about, HeardOf::Result);
            (if is_result { Kind::Reading } else { Kind::Enrolment }, seat)
        }
    };
    let ids = entity.map(|entity| WorkId { site: site.clone(), kind, entity });
    Ok((ids.into_iter().collect(), about == Some(HeardOf::Cohort)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{CohortRule, GroupRule};
    use crate::fixtures::{self, World, code, marked};

    const SECRET: &str = "webhook-secret";

    fn call(mut fields: Value) -> Call<Command> {
        let mut event = json!({
            "site": "academics", "token": SECRET, "eventname": "\\core\\event\\user_updated",
        });
        let event_fields = event.as_object_mut().expect("an object");
        event_fields.append(fields.as_object_mut().expect("an object"));
        testkit::call(serde_json::from_value(event).expect("an event"))
    }

    async fn marks(world: &World, fields: Value) -> usize {
        handle(&world.ctx, &call(fields)).await.expect("it is heard").marked
    }

    /// Ada in one course, in step, with the ids that Moodle gave to both.
    async fn in_step() -> (World, i64, i64) {
        let world = World::start().await;
        world.enrol("a", "ada").await;
        world.run().await;
        let id = |all: Vec<Value>| all[0]["id"].as_i64().expect("an id");
        let (user, course) = (id(world.site.users()), id(world.site.courses()));
        world.site.take_asked();
        (world, user, course)
    }

    #[tokio::test]
    async fn what_somebody_changed_there_is_looked_at_and_mended_and_our_own_mending_ends_it() {
        let (world, user, course) = in_step().await;
        let renamed = json!({ "users": [{ "id": user, "firstname": "Nobody" }] });
        world.site.act("core_user_update_users", &renamed);
        let updated = || json!({ "objectid": user, "relateduserid": user.to_string() });
        assert_eq!(marks(&world, updated()).await, 1);
        world.run_after(100).await;
        assert_eq!(world.site.users()[0]["firstname"], "Ada");
        // Our own change is told of, too.
        assert_eq!(marks(&world, updated()).await, 1);
        world.site.take_asked();
        world.run_after(200).await;
        let asked = world.site.take_asked().requests;
        assert_eq!(asked.keys().collect::<Vec<_>>(), ["core_user_get_users_by_field"], "a look");
        let gone = json!({ "enrolments": [{ "userid": user, "courseid": course }] });
        world.site.act("enrol_manual_unenrol_users", &gone);
        let unenrolled = json!({
            "eventname": "\\core\\event\\user_enrolment_deleted", "objectid": 77,
            "courseid": course.to_string(), "relateduserid": user,
        });
        assert_eq!(marks(&world, unenrolled).await, 1);
        world.run_after(300).await;
        assert_eq!(world.enrolled(), [("a".to_owned(), "ada".to_owned(), false)]);
        let course_renamed = json!({ "courses": [{ "id": course, "fullname": "Anything" }] });
        world.site.act("core_course_update_courses", &course_renamed);
        let updated = json!({ "eventname": "\\core\\event\\course_updated", "courseid": course });
        assert_eq!(marks(&world, updated).await, 1);
        world.run_after(400).await;
        assert_ne!(world.site.courses()[0]["fullname"], "Anything");
    }

    #[tokio::test]
    async fn a_grade_that_is_told_of_is_read() {
        let (world, user, course) = in_step().await;
        let (section, ada) = (fixtures::section("a"), testkit::person("ada"));
        world.site.grade(&section.to_string(), &ada.to_string(), "15", false);
        let graded = json!({
            "eventname": "\\core\\event\\user_graded", "courseid": course, "relateduserid": user,
            "other": { "finalgrade": "1000" },
        });
        assert_eq!(marks(&world, graded).await, 1);
        assert_eq!(marked(&world.ctx, "academics").await, [format!("reading {section}/{ada}")]);
        world.run_after(100).await;
        let key = store::result_key(section, &SiteCode("academics".into()), ada);
        let result = world.ctx.table.get(&key).await.expect("reads").expect("read").value;
        assert_eq!(result.grade.map(|grade| grade.raw), Some("15".into()), "not what was told");
    }

    #[tokio::test]
    async fn who_is_taken_out_of_a_cohort_or_a_group_comes_back() {
        let world = World::start().await;
        world
            .change_settings(|settings| {
                settings.cohorts = vec![CohortRule::Balance];
                settings.groups = GroupRule::LinkedSections;
            })
            .await;
        for section in ["a", "b"] {
            world.enrol(section, "ada").await;
        }
        let linked = fixtures::linked("both", 1, &["a", "b"]);
        crate::operations::on_registration_group_changed::handle(&world.ctx, &linked)
            .await
            .expect("taken in");
        for seconds in [0, 100] {
            world.run_after(seconds).await;
        }
        let ada = testkit::person("ada").to_string();
        assert_eq!(world.site.cohort_members("balance:clear"), std::slice::from_ref(&ada));
        let user = world.site.users()[0]["id"].clone();
        let group = world.site.groups().remove(0);
        let courses = world.site.courses();
        let course = courses.iter().find(|one| one["idnumber"] == group["course"]).expect("there");
        let out = json!({ "members": [{ "cohortid": 1, "userid": user, "groupid": group["id"] }] });
        world.site.act("core_cohort_delete_cohort_members", &out);
        world.site.act("core_group_delete_group_members", &out);
        let event = |name: &str| {
            json!({
                "eventname": format!("\\core\\event\\{name}"), "objectid": 1,
                "courseid": course["id"], "relateduserid": user,
            })
        };
        assert_eq!(marks(&world, event("cohort_member_removed")).await, 1);
        assert_eq!(marks(&world, event("group_member_removed")).await, 1);
        world.run_after(200).await;
        assert_eq!(world.site.cohort_members("balance:clear"), std::slice::from_ref(&ada));
        let groups = world.site.groups();
        let group = groups.iter().find(|one| one["id"] == group["id"]).expect("it stands there");
        assert_eq!(group["members"], json!([ada]));
    }

    #[tokio::test]
    async fn a_call_that_is_repeated_or_about_strangers_does_no_harm() {
        let (world, user, _) = in_step().await;
        for fields in [
            json!({ "objectid": 999_999 }),
            json!({ "objectid": "" }),
            json!({ "eventname": "\\core\\event\\config_log_created", "objectid": user }),
            json!({ "eventname": "\\core\\event\\user_graded", "courseid": 1, "relateduserid": user }),
            json!({ "eventname": "\\core\\event\\course_updated", "courseid": "1" }),
        ] {
            assert_eq!(marks(&world, fields.clone()).await, 0, "{fields}");
        }
        for _ in 0..3 {
            marks(&world, json!({ "objectid": user, "userid": 2 })).await;
        }
        assert_eq!(marked(&world.ctx, "academics").await.len(), 1, "marked once");
        world.run_after(100).await;
        assert_eq!(world.site.take_asked().requests.len(), 1, "looked at once, and left as it is");
    }

    #[tokio::test]
    async fn a_forged_call_is_refused_and_learns_nothing() {
        let (world, user, _) = in_step().await;
        world.change_settings(|settings| settings.token_secret = "without".into()).await;
        let no_secret = handle(&world.ctx, &call(json!({ "objectid": user }))).await;
        world.change_settings(|settings| settings.token_secret = "academics".into()).await;
        let guessed = json!({ "objectid": user, "token": "guessed" });
        let guessed = handle(&world.ctx, &call(guessed)).await;
        let nowhere = handle(&world.ctx, &call(json!({ "site": "library" }))).await;
        for refused in [no_secret, guessed, nowhere] {
            assert_eq!(code(refused), "WEBHOOK_SECRET_WRONG");
        }
        assert_eq!(marked(&world.ctx, "academics").await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_flood_is_held_back_for_the_rest_of_its_minute() {
        let (world, ..) = in_step().await;
        let at = |seconds| {
            let now = testkit::now() + jiff::SignedDuration::from_secs(seconds);
            Call { now, ..call(json!({ "objectid": 999_999 })) }
        };
        for _ in 0..WebhookMinute::CALLS_MAX {
            handle(&world.ctx, &at(0)).await.expect("it is heard");
        }
        assert_eq!(code(handle(&world.ctx, &at(1)).await), "WEBHOOK_TOO_OFTEN");
        handle(&world.ctx, &at(60)).await.expect("heard again");
    }

    #[tokio::test]
    async fn a_form_is_heard_and_a_secret_in_a_header() {
        let (world, user, _) = in_step().await;
        let answer = async |event: Value| {
            let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
            let door = shell::http::Door::new(&ROUTE);
            door.answer(&world.ctx, &handle, &event, deadline).await
        };
        let event = |content_type: &str, body: String, token: Option<&str>| {
            let path = [("site", "academics")];
            let mut event = testkit::http_event("POST", &path, &Value::Null, None);
            event["headers"]["content-type"] = content_type.into();
            event["body"] = body.into();
            if let Some(token) = token {
                event["headers"]["x-webhook-token"] = token.into();
            }
            event
        };
        let form = "application/x-www-form-urlencoded";
        let named = format!("eventname=%5Ccore%5Cevent%5Cuser_updated&objectid={user}&userid=2");
        let in_form = event(form, format!("token={SECRET}&{named}"), None);
        let in_header = event(form, named.clone(), Some(SECRET));
        let body = json!({ "eventname": "\\core\\event\\user_updated", "objectid": user });
        let as_json = event("application/json", body.to_string(), Some(SECRET));
        for heard in [in_form, in_header, as_json] {
            let reply = answer(heard).await;
            assert_eq!(reply["statusCode"], 200, "{reply}");
            assert!(reply["body"].as_str().expect("a body").contains("\"marked\":1"), "{reply}");
        }
        let guessed = answer(event(form, named.clone(), Some("guessed"))).await;
        assert_eq!(guessed["statusCode"], 401);
        assert_eq!(answer(event(form, named, None)).await["statusCode"], 422, "no secret at all");
    }

    #[tokio::test]
    async fn guesses_at_the_secret_are_counted_as_calls() {
        let (world, user, _) = in_step().await;
        let at = |seconds, token: &str| {
            let now = testkit::now() + jiff::SignedDuration::from_secs(seconds);
            Call { now, ..call(json!({ "objectid": user, "token": token })) }
        };
        for _ in 0..WebhookMinute::CALLS_MAX {
            let guessed = handle(&world.ctx, &at(0, "guessed")).await;
            assert_eq!(code(guessed), "WEBHOOK_SECRET_WRONG");
        }
        for token in ["guessed", SECRET] {
            assert_eq!(code(handle(&world.ctx, &at(1, token)).await), "WEBHOOK_TOO_OFTEN");
        }
        handle(&world.ctx, &at(60, SECRET)).await.expect("heard again");
    }

    #[tokio::test]
    async fn a_call_marks_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = fixtures::ctx(table);
                fixtures::add_site(&ctx, "academics", "http://127.0.0.1:9").await;
                let mut transaction = table.transaction();
                let (site, entity) = (SiteCode("academics".into()), "per_x".to_owned());
                let kind = Kind::User;
                transaction.create(&store::MoodleId { site, kind, id: 7, entity });
                transaction.commit().await.expect("known");
            },
            async |table, ()| {
                let call = call(json!({ "objectid": 7 }));
                handle(&fixtures::ctx(table), &call).await.map(drop)
            },
            async |table, ()| {
                let ctx = fixtures::ctx(table);
                assert_eq!(marked(&ctx, "academics").await, ["user per_x"]);
            },
        )
        .await;
    }
}
