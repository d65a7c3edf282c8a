//! Import step: people with their roles from another system, row by row. A row that is there already changes nothing;
//! each row is written whole or not at all. A dry run judges the rows as they would be judged now, and writes nothing.

use kernel::{Date, PersonName, SourceId};
use schemars::JsonSchema;
use serde::Deserialize;
use shell::{Failure, Imported, Role, RowOutcome, Step};
use table::{Deed, Noted, Transaction};

use crate::domain::{
    Assigned, ExternalId, ImportedPerson, Person, Refusal, Roles, check_birth_date,
    check_imported_address, check_opener, checked_name,
};
use crate::people::{self, Before};
use crate::store::{self, Cause};
use crate::{Ctx, audit};

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    #[schemars(length(max = 500))]
    pub rows: Vec<Row>,
    /// Whether the rows are only tried.
    #[serde(default)]
    pub dry_run: bool,
}

/// Judged row by row, so that one bad row stops no other.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct Row {
    pub row: u64,
    pub source: SourceId,
    pub given_name: String,
    pub family_name: String,
    pub email: Option<String>,
    pub student_number: Option<String>,
    pub staff_number: Option<String>,
    pub roles: Vec<Role>,
    /// Of those roles that are held in a department.
    pub department: Option<String>,
    #[serde(default)]
    pub preferred_name: Option<PersonName>,
    #[serde(default)]
    pub birth_date: Option<Date>,
    #[serde(default)]
    #[schemars(length(max = 40))]
    pub pronouns: Option<String>,
    /// `system:value` each.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub external_ids: Vec<String>,
}

pub async fn handle(ctx: &Ctx, step: &Step<Command>) -> Result<Imported, Failure> {
    let deed = step.deed("import-people");
    let apply = async |row: &Row| {
        let Some(transaction) = import_of(ctx, row, &deed).await? else {
            return Ok(RowOutcome::Unchanged);
        };
        if !step.command.dry_run {
            transaction.commit().await?;
        }
        Ok(RowOutcome::Applied)
    };
    shell::import_rows(&step.command.rows, |row| row.row, apply).await
}

/// What writes a row, not yet carried out; nothing where it stands already, just so.
async fn import_of<'t>(
    ctx: &'t Ctx,
    row: &Row,
    deed: &Deed<'_>,
) -> Result<Option<Transaction<'t>>, Failure> {
    let cause = Cause { now: deed.at, correlation_id: deed.correlation_id };
    let today = ctx.today(cause.now);
    let told = told(row, today)?;
    let (standing, before, trail) =
        store::person_roles_and_trail(&ctx.table, row.source.id()).await?;
    let person = Person::imported(standing.as_ref().map(|known| &known.value), told, today)?;
    let mut roles = before.clone();
    let mut new = Vec::new();
    for role in &row.roles {
        let department = Roles::department_for(*role, row.department.as_deref());
        if let Assigned::Now(assignment) = roles.0.assign(*role, department, None, cause.now)? {
            new.push(assignment);
        }
    }
    let known = standing.as_ref().map_or(&[][..], |known| &known.value.external_ids);
    if person.external_ids.iter().any(|id| id.opens_accounts() && !known.contains(id)) {
        check_opener(&[])?;
    }
    if standing.as_ref().is_some_and(|known| known.value.email != person.email) {
        check_imported_address(&roles.0, cause.now)?;
    }
    let mut transaction = ctx.table.transaction();
    match &standing {
        Some(known) if known.value == person && new.is_empty() => return Ok(None),
        Some(known) if known.value == person => {
            people::write_role_entries(&mut transaction, known, &before.0, &roles.0);
            let noted = audit::with_roles(Noted::change("profile"), &new);
            trail.append(&mut transaction, deed, noted);
        }
        known => {
            let before = Before::of(known.as_ref(), &before, trail);
            people::write(ctx, &mut transaction, before, person, &roles.0, deed).await?;
        }
    }
    if !new.is_empty() {
        store::write_roles(&mut transaction, &roles, &new, cause);
    }
    Ok(Some(transaction))
}

fn told(row: &Row, today: Date) -> Result<ImportedPerson, Refusal> {
    let name = PersonName { given: row.given_name.clone(), family: row.family_name.clone() };
    let told = ImportedPerson::read(
        row.source.clone(),
        &name,
        row.email.as_deref(),
        row.student_number.as_deref(),
        row.staff_number.as_deref(),
    )?;
    if let Some(birth_date) = row.birth_date {
        check_birth_date(birth_date, today)?;
    }
    let preferred_name = row.preferred_name.as_ref().map(checked_name).transpose()?;
    let (birth_date, pronouns) = (row.birth_date, row.pronouns.clone());
    let external_ids = row.external_ids.iter().map(|text| ExternalId::read(text, None));
    let external_ids = external_ids.collect::<Result<_, _>>()?;
    Ok(ImportedPerson { preferred_name, birth_date, pronouns, external_ids, ..told })
}

#[cfg(test)]
mod tests {
    use events::{Event, PersonChanged, PersonRegistered, RoleAssigned};
    use kernel::PersonId;
    use shell::RefusedRow;

    use super::super::{add_external_id, assign_role};
    use super::*;
    use crate::domain::{Claim, Identifier};
    use crate::fixtures::{
        ada, by_administrator, ctx, imported_ada, log_in, noted, registered, verified,
    };

    fn row(number: u64, source: &str, email: Option<&str>) -> Row {
        Row {
            row: number,
            source: SourceId(source.into()),
            given_name: "Amina".into(),
            family_name: "Ngono".into(),
            email: email.map(str::to_owned),
            student_number: Some(format!("S-{source}")),
            staff_number: None,
            roles: vec![Role::Student],
            department: Some("MATH".into()),
            preferred_name: None,
            birth_date: None,
            pronouns: None,
            external_ids: Vec::new(),
        }
    }

    async fn imported(ctx: &Ctx, rows: Vec<Row>) -> Imported {
        handle(ctx, &testkit::step(Command { rows, dry_run: false })).await.expect("imports")
    }

    async fn person(ctx: &Ctx, source: &str) -> Option<Person> {
        let id = SourceId(source.into()).id();
        store::person_and_roles(&ctx.table, id).await.expect("reads").0.map(|person| person.value)
    }

    async fn count(ctx: &Ctx, name: &str) -> usize {
        let events = testkit::published(&ctx.table).await;
        events.iter().filter(|event| event.name == name).count()
    }

    fn refused(row: u64, code: &str) -> RefusedRow {
        RefusedRow { row, code: code.to_owned() }
    }

    #[tokio::test]
    async fn people_are_imported_once_whatever_happens_on_the_wire() {
        let rows = || vec![row(1, "p1", Some("p1@matricula.example")), row(2, "p2", None)];
        testkit::under_every_fault(
            async |_| testkit::step(Command { rows: rows(), dry_run: false }),
            async |table, step| handle(&ctx(table), step).await.map(drop),
            async |table, _| {
                let ctx = ctx(table);
                assert_eq!(count(&ctx, PersonRegistered::NAME).await, 1);
                assert_eq!(count(&ctx, PersonChanged::NAME).await, 0);
                assert_eq!(count(&ctx, RoleAssigned::NAME).await, 2);
                assert!(person(&ctx, "p2").await.is_some());
                let id: PersonId = SourceId("p2".into()).id();
                let noted = noted(table, id, "import-people").await;
                let told = "profile: given_name – → Amina, family_name – → Ngono, locale – → en, \
                            student_number – → S-p2, role – → student";
                assert_eq!(noted, [told]);
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_second_import_changes_nothing_and_one_bad_row_stops_no_other() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let nameless = Row { given_name: "  ".into(), ..row(4, "p4", None) };
        let endless = Row { staff_number: Some("9".repeat(65)), ..row(6, "p6", None) };
        let headless =
            Row { roles: vec![Role::HeadOfDepartment], department: None, ..row(7, "p7", None) };
        let rows = vec![
            row(1, "p1", Some("amina@matricula.example")),
            row(2, "p2", Some("AMINA@matricula.example")),
            Row { student_number: Some("s-P1".into()), ..row(3, "p3", None) },
            nameless,
            row(5, "p5", Some("not an address")),
            endless,
            headless,
            Row { student_number: None, staff_number: Some("T-1".into()), ..row(8, "p8", None) },
            Row { student_number: None, staff_number: Some("T-1".into()), ..row(9, "p9", None) },
        ];
        let bad = vec![
            refused(2, "EMAIL_TAKEN"),
            refused(3, "STUDENT_NUMBER_TAKEN"),
            refused(4, "NAME_INVALID"),
            refused(5, "EMAIL_INVALID"),
            refused(6, "NUMBER_INVALID"),
            refused(7, "DEPARTMENT_REQUIRED"),
            refused(9, "STAFF_NUMBER_TAKEN"),
        ];
        let first = imported(&ctx, rows.clone()).await;
        assert_eq!(first, Imported { applied: 2, unchanged: 0, refused: bad.clone() });
        let events = testkit::published(&test.table).await.len();
        let second = imported(&ctx, rows).await;
        assert_eq!(second, Imported { applied: 0, unchanged: 2, refused: bad });
        assert_eq!(testkit::published(&test.table).await.len(), events, "nothing to tell");
        assert!(person(&ctx, "p2").await.is_none(), "a refused row leaves nothing");
    }

    #[tokio::test]
    async fn a_dry_run_tells_whose_address_number_or_external_id_is_taken_and_leaves_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let moodle = |id: u32| vec![format!("moodle:academics:{id}")];
        let known =
            Row { external_ids: moodle(17), ..row(1, "p1", Some("amina@matricula.example")) };
        imported(&ctx, vec![known.clone()]).await;
        let events = testkit::published(&test.table).await.len();
        let rows = vec![
            known,
            row(2, "p2", Some("AMINA@matricula.example")),
            Row { student_number: Some("s-P1".into()), ..row(3, "p3", None) },
            Row { external_ids: moodle(17), ..row(4, "p4", None) },
            Row { external_ids: moodle(18), ..row(5, "p5", Some("new@matricula.example")) },
        ];
        drop(test.engine.take_calls());
        let dry = handle(&ctx, &testkit::step(Command { rows: rows.clone(), dry_run: true })).await;
        let dry = dry.expect("tries");
        let written = test.engine.take_calls().remove("TransactWriteItems");
        assert_eq!(written, None, "nothing is written");
        let taken = [
            refused(2, "EMAIL_TAKEN"),
            refused(3, "STUDENT_NUMBER_TAKEN"),
            refused(4, "EXTERNAL_ID_TAKEN"),
        ];
        assert_eq!((dry.applied, dry.unchanged, dry.refused.as_slice()), (1, 1, taken.as_slice()));
        assert_eq!(testkit::published(&test.table).await.len(), events);
        assert!(person(&ctx, "p5").await.is_none());
        assert_eq!(imported(&ctx, rows).await, dry, "what comes of it is what was told");
    }

    #[tokio::test]
    async fn what_a_table_tells_beyond_oneroster_is_kept_and_another_name_begins_today() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let preferred = PersonName { given: "Mina".into(), family: "Ngono".into() };
        let whole = Row {
            preferred_name: Some(preferred.clone()),
            birth_date: Some(jiff::civil::date(2001, 2, 3)),
            pronouns: Some("she/her".into()),
            external_ids: vec!["moodle:academics:17".into()],
            ..row(1, "p1", Some("amina@matricula.example"))
        };
        let taken = Row { external_ids: whole.external_ids.clone(), ..row(2, "p2", None) };
        let unborn = Row { birth_date: Some(jiff::civil::date(2031, 1, 1)), ..row(3, "p3", None) };
        let no_id = Row { external_ids: vec!["payroll:1".into()], ..row(4, "p4", None) };
        let first = imported(&ctx, vec![whole.clone(), taken, unborn, no_id]).await;
        let bad = [
            refused(2, "EXTERNAL_ID_TAKEN"),
            refused(3, "BIRTH_DATE_INVALID"),
            refused(4, "EXTERNAL_ID_INVALID"),
        ];
        assert_eq!((first.applied, first.refused.as_slice()), (1, bad.as_slice()));
        let married = Row { family_name: "Mbarga".into(), ..whole };
        assert_eq!(imported(&ctx, vec![married.clone()]).await.applied, 1);
        assert_eq!(imported(&ctx, vec![married]).await.unchanged, 1);
        let amina = person(&ctx, "p1").await.expect("she is there");
        let (today, before) = (ctx.today(testkit::now()), jiff::civil::date(2027, 1, 14));
        assert_eq!(amina.legal_name(today).family, "Mbarga");
        assert_eq!(amina.legal_name(before).family, "Ngono");
        assert_eq!((amina.told_name(), amina.external_ids.len()), (&preferred, 1));
    }

    #[tokio::test]
    async fn an_import_does_not_say_where_somebody_of_the_staff_reads_their_mail() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let old = Some("amina@matricula.example");
        let head = SourceId("p1".into()).id();
        let with = |email: &str| row(1, "p1", Some(email));
        let hour = |hours| Some(testkit::now() + jiff::SignedDuration::from_hours(hours));
        imported(&ctx, vec![row(1, "p1", old), row(2, "p2", None)]).await;
        let assign = async |person: PersonId, role, valid_from, valid_to| {
            let (email, department) = (None, Roles::department_for(role, Some("MATH")));
            let person = Some(person);
            let command =
                assign_role::Command { person, email, role, department, valid_from, valid_to };
            assign_role::handle(&ctx, &by_administrator(command)).await.expect("assigned");
        };
        assign(head, Role::Teacher, None, None).await;
        assert_eq!(imported(&ctx, vec![with("a@matricula.example")]).await.applied, 1);
        assign(head, Role::HeadOfDepartment, None, hour(1)).await;
        let refusal = [refused(1, "EMAIL_OF_STAFF")];
        let thief = with("thief@elsewhere.example");
        assert_eq!(imported(&ctx, vec![thief.clone()]).await.refused, refusal);
        let known = with("a@matricula.example");
        assert_eq!(imported(&ctx, vec![known]).await.unchanged, 1, "it is no change");
        let mut later = testkit::step(Command { rows: vec![thief.clone()], dry_run: true });
        later.now = hour(1).expect("a time");
        let later = handle(&ctx, &later).await.expect("tries");
        assert_eq!(later.applied, 1, "who is of the staff no more");
        // A role that only begins in an hour, and somebody who had no address.
        assign(SourceId("p2".into()).id(), Role::Bursar, hour(1), None).await;
        let first = row(2, "p2", Some("thief@elsewhere.example"));
        assert_eq!(imported(&ctx, vec![first]).await.refused, [refused(2, "EMAIL_OF_STAFF")]);
        let stored = person(&ctx, "p1").await.expect("she is there").email.expect("an address");
        assert_eq!(stored.as_str(), "a@matricula.example");
    }

    #[tokio::test]
    async fn an_import_plants_nothing_that_somebody_signs_in_by() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let subject = || vec!["idp:university:u-1".to_owned()];
        let student = Row { external_ids: subject(), ..row(1, "p1", None) };
        let nobody = Row { external_ids: subject(), roles: vec![], ..row(2, "p2", None) };
        let found = imported(&ctx, vec![student.clone(), nobody]).await;
        let code = "SIGN_IN_ID_NOT_YOURS";
        assert_eq!(found.refused, [refused(1, code), refused(2, code)]);
        imported(&ctx, vec![row(1, "p1", None)]).await;
        let external_id = ExternalId::read("idp:university:u-1", None).expect("an id");
        let add = add_external_id::Command { person: SourceId("p1".into()).id(), external_id };
        add_external_id::handle(&ctx, &by_administrator(add)).await.expect("added");
        assert_eq!(imported(&ctx, vec![student]).await.unchanged, 1, "it is theirs already");
    }

    #[tokio::test]
    async fn an_address_given_up_is_free_for_somebody_else() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let (old, new) = (Some("old@matricula.example"), Some("new@matricula.example"));
        imported(&ctx, vec![row(1, "p1", old)]).await;
        let moved = imported(&ctx, vec![row(1, "p1", new), row(2, "p2", old)]).await;
        assert_eq!(moved.applied, 2, "{moved:?}");
        assert_eq!(count(&ctx, PersonRegistered::NAME).await, 2);
        assert_eq!(count(&ctx, PersonChanged::NAME).await, 1);
    }

    #[tokio::test]
    async fn an_address_given_up_while_somebody_proves_it_is_theirs() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let old = row(1, "p1", Some("ada@matricula.example"));
        imported(&ctx, vec![old.clone()]).await;
        let account = registered(&ctx, ada()).await;
        imported(&ctx, vec![Row { email: Some("new@matricula.example".into()), ..old }]).await;
        let (claim, _) =
            store::claim(&ctx.table, Identifier::email(&ada().email)).await.expect("reads");
        assert_eq!((claim.person, claim.pending), (None, Some(account)));
    }

    #[tokio::test]
    async fn a_number_given_up_leads_to_nobodys_account_though_somebody_else_gets_it() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        imported(&ctx, vec![imported_ada()]).await;
        verified(&ctx, ada()).await;
        imported(&ctx, vec![Row { student_number: Some("S-1852".into()), ..imported_ada() }]).await;
        imported(&ctx, vec![Row { student_number: Some("S-1815".into()), ..row(2, "p2", None) }])
            .await;
        let number = Identifier::student_number("S-1815");
        let (claim, _) = store::claim(&ctx.table, number).await.expect("reads");
        assert_eq!((claim.person, claim.account), (Some(SourceId("p2".into()).id()), None));
        let mut given_up = Claim { account: Some(kernel::Id::derived_from("a")), ..claim };
        given_up.give_up();
        assert_eq!((given_up.person, given_up.account), (None, None));
    }

    #[tokio::test]
    async fn what_a_row_leaves_out_stays_as_it_is() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let whole = row(1, "p1", Some("amina@matricula.example"));
        imported(&ctx, vec![whole.clone()]).await;
        let bare = Row { email: None, student_number: Some(" ".into()), roles: vec![], ..whole };
        assert_eq!(imported(&ctx, vec![bare]).await.unchanged, 1);
    }

    #[tokio::test]
    async fn a_later_address_is_told_though_nobody_knew_the_person_before() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        imported(&ctx, vec![row(1, "p1", None)]).await;
        assert_eq!(count(&ctx, PersonRegistered::NAME).await, 0);
        imported(&ctx, vec![row(1, "p1", Some("amina@matricula.example"))]).await;
        assert_eq!(count(&ctx, PersonChanged::NAME).await, 1);
    }

    #[tokio::test]
    async fn an_address_that_somebody_has_proven_is_not_overruled() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        imported(&ctx, vec![imported_ada()]).await;
        let (_, person_id) = verified(&ctx, ada()).await;
        let renamed = Row {
            given_name: "Ada".into(),
            email: Some("other@matricula.example".into()),
            student_number: Some("S-1852".into()),
            ..imported_ada()
        };
        assert_eq!(imported(&ctx, vec![renamed]).await.applied, 1);
        let noted = noted(&ctx.table, person_id, "import-people").await;
        let told = "profile: given_name Augusta Ada → Ada, legal_names – → Augusta Ada Lovelace; \
                    Ada Lovelace from 2027-01-15, student_number S-1815 → S-1852";
        assert_eq!(noted[1..], [told]);
        let ada_now = person(&ctx, &imported_ada().source.0).await.expect("she is there");
        assert_eq!((ada_now.id, ada_now.name.given.as_str()), (person_id, "Ada"));
        assert_eq!(ada_now.email, Some(ada().email));
        let secret = "a long enough secret";
        log_in(&ctx, "S-1852", secret).await.expect("by the new number");
        log_in(&ctx, "S-1815", secret).await.expect_err("the old one is nobody's");
        log_in(&ctx, "other@matricula.example", secret).await.expect_err("never hers");
        let taken = row(9, "p9", Some("ada@matricula.example"));
        assert_eq!(imported(&ctx, vec![taken]).await.refused, [refused(9, "EMAIL_TAKEN")]);
    }
}
