//! The register of people: somebody is registered, gets a name for later, is found and opts out; and people come as a
//! table.

use serde_json::{Value, json};

use crate::api::unique;
use crate::imports::{approve_and_await, await_validated, upload_as};
use crate::people::{newcomer, staff};

/// A word of letters that nobody else's name begins with.
fn nobodys_name() -> String {
    let word = unique("");
    let letters = word.bytes().filter(u8::is_ascii_alphanumeric);
    let letters = letters.map(|byte| char::from(b'a' + byte % 26));
    format!("Qz{}", letters.collect::<String>())
}

#[test]
fn a_person_is_registered_found_and_named_anew_from_a_day_on() {
    let registrar = &staff().registrar.api;
    let family = nobodys_name();
    let number = unique("S");
    let person = json!({
        "name": { "given": "Zoë", "family": family },
        "birth_date": "2001-02-03",
        "role": "student",
        "external_ids": [{ "system": "student-number", "value": number }],
    });
    let key = unique("person");
    let registered = registrar.post_with_key("/people", &key, &person).expect(201);
    let id = registered.text("/id");
    registrar.post_with_key("/people", &key, &person).expect(201);
    registrar.post("/people", &person).expect_refusal(409, "STUDENT_NUMBER_TAKEN");

    let found = registrar.list(&format!("/people?name={}", family.to_uppercase()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["id"], id.as_str());
    let by_number = registrar.list(&format!("/people?external_id=student-number:{number}"));
    assert_eq!(by_number[0]["id"], id.as_str());
    registrar.get("/people").expect_refusal(422, "CRITERION_NEEDED");

    let path = format!("/people/{id}/legal-names");
    let later =
        json!({ "name": { "given": "Zoë", "family": "Mbarga" }, "valid_from": "2199-01-01" });
    let named = registrar.post(&path, &later).expect(200);
    assert_eq!(named.body["legal_name"]["family"], family.as_str());
    let read = registrar.get(&format!("/people/{id}")).expect(200);
    let names = read.body["legal_names"].as_array().expect("names").len();
    assert_eq!(names, 2, "{:?}", read.body);
    let edit = registrar.call("PATCH", &format!("/people/{id}")).json(&json!({ "locale": "es" }));
    edit.send().expect_refusal(428, "IF_MATCH_REQUIRED");
    edit.header("if-match", read.header("etag")).send().expect(200);
}

#[test]
fn who_opts_out_of_the_directory_is_gone_at_once() {
    let (shy, curious) = (newcomer("Shy"), newcomer("Curious"));
    let family = nobodys_name();
    let edit = |change: &Value| {
        let etag = shy.api.get("/me").expect(200).header("etag").to_owned();
        shy.api.call("PATCH", "/me").json(change).header("if-match", &etag).send().expect(200)
    };
    edit(&json!({ "preferred_name": { "given": "Shy", "family": family } }));
    let look_up = || curious.api.list(&format!("/directory?name={family}"));
    let shown = look_up();
    let roles = json!([{ "role": "student", "department": null }]);
    let name = json!({ "given": "Shy", "family": family });
    assert_eq!(shown, [json!({ "id": shy.id, "name": name, "roles": roles })]);
    edit(&json!({ "directory_opt_out": true }));
    assert_eq!(look_up(), Vec::<Value>::new());
    let office = staff().registrar.api.list(&format!("/people?name={family}"));
    assert_eq!(office[0]["directory_opt_out"], true, "the registrar still finds them");
}

#[test]
fn people_come_as_a_table_and_one_wrong_row_stops_no_other() {
    let family = nobodys_name();
    let (first, second) = (unique("t"), unique("t"));
    let table = format!(
        "source_id,given_name,family_name,birth_date,roles\n\
         {first},Ana,{family},2001-02-03,student\n\
         {second},ana,{family},2001-02-03,student\n\
         {first}x,Max,{family},3.2.2001,student\n"
    );
    let import = upload_as("people_csv", table.as_bytes());
    let validated = await_validated(&import);
    assert_eq!((&validated["counts"]["people"], &validated["findings"]), (&json!(2), &json!(1)));
    let registrar = &staff().registrar.api;
    let report = registrar.list(&format!("/imports/{import}/report"));
    assert_eq!((&report[0]["row"], &report[0]["column"]), (&json!(4), &json!("birth_date")));
    assert_eq!(approve_and_await(&import)["progress"]["applied"], 2);
    let found = registrar.list(&format!("/people?name={family}&role=student"));
    assert_eq!(found.len(), 2, "{found:?}");

    let table = format!(
        "source_id,given_name,family_name,email,roles\n\
         {first}y,Til,{family},{},student\n",
        newcomer("Tilda").email
    );
    let import = upload_as("people_csv", table.as_bytes());
    await_validated(&import);
    let report = registrar.list(&format!("/imports/{import}/report"));
    assert_eq!((&report[0]["row"], &report[0]["code"]), (&json!(2), &json!("WOULD_BE_REFUSED")));
    assert!(report[0].to_string().contains("EMAIL_TAKEN"), "told before anybody approves");

    let ours = |pair: &Value| pair["first"]["name"]["family"] == family.as_str();
    let pairs = registrar.list("/people/duplicates");
    let pair = pairs.iter().find(|pair| ours(pair)).expect("they look alike");
    assert_eq!(pair["same_name_and_birth_date"], true);
    let dismissal = json!({
        "first": pair["first"]["id"],
        "second": pair["second"]["id"],
        "reason": "two cousins",
    });
    registrar.post("/people/duplicates/dismissals", &dismissal).expect(200);
    assert!(!registrar.list("/people/duplicates").iter().any(ours));
}
