//! The audit trail on a real table: whatever somebody changes past the code is found, and where.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shell::{Failure, ProveTrail, Tick, TrailProof};
use table::{Actor, AuditBreak, AuditFlaw, Deed, Noted, PageRequest, Table};

use crate::{TestTable, now};

type Item = HashMap<String, AttributeValue>;

/// Notes one change of Ada's record.
async fn note(table: &Table, chain: &str, number: u32) -> Result<(), Failure> {
    shell::run_step(async || {
        let actor = Actor::named("per_staff");
        let deed = Deed { actor, operation: "edit", at: now(), correlation_id: "test" };
        let trail = table.trail(chain).await?;
        let noted = Noted::change("profile")
            .field("family_name", Some(number.to_string()), Some((number + 1).to_string()))
            .field("department", None, Some("MATH"))
            .because("She married.");
        let mut transaction = table.transaction();
        trail.append(&mut transaction, &deed, noted);
        Ok(transaction.commit().await?)
    })
    .await
}

async fn with_entries(count: u32) -> (TestTable, Client) {
    let test = TestTable::new().await;
    for number in 0..count {
        note(&test.table, "per_ada", number).await.expect("noted");
    }
    let client = Client::new(&test.engine.sdk_config());
    (test, client)
}

async fn proof(table: &Table, chain: &str) -> TrailProof {
    let command = ProveTrail { chain: chain.to_owned(), resume: None };
    let proof = shell::prove_trail(table, &command).await.expect("proves");
    assert_eq!(proof.resume, None);
    proof
}

/// Where Ada's chain is broken, by itself and among all.
async fn broken_at(table: &Table) -> Option<(u64, AuditFlaw)> {
    let alone = proof(table, "per_ada").await;
    let of_all = proof(table, "all").await;
    assert_eq!(alone.broken, of_all.broken);
    assert_eq!(alone.broken_count, alone.broken.len() as u64);
    alone.broken.first().map(|AuditBreak { sequence, flaw, .. }| (*sequence, *flaw))
}

async fn items(client: &Client) -> Vec<Item> {
    let reply = client.query().table_name("test").key_condition_expression("pk = :pk");
    let reply = reply.expression_attribute_values(":pk", text("AUDIT#per_ada"));
    reply.send().await.expect("reads").items.unwrap_or_default()
}

async fn put(client: &Client, item: Item) {
    client.put_item().table_name("test").set_item(Some(item)).send().await.expect("written");
}

async fn remove(client: &Client, item: &Item) {
    let delete = client.delete_item().table_name("test");
    let delete = delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
    delete.send().await.expect("removed");
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// The item with one value changed, for every value that is in it, however deep.
fn tamperings(value: &AttributeValue) -> Vec<AttributeValue> {
    match value {
        AttributeValue::S(old) => vec![text(&format!("{old}x"))],
        AttributeValue::N(old) => vec![AttributeValue::N(format!("{old}1"))],
        AttributeValue::M(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                let mut less = fields.clone();
                less.remove(name);
                let changed = tamperings(value).into_iter().map(|value| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), value);
                    AttributeValue::M(fields)
                });
                changed.chain([AttributeValue::M(less)])
            })
            .collect(),
        AttributeValue::L(values) => (0..values.len())
            .flat_map(|at| {
                let mut less = values.clone();
                less.remove(at);
                let changed = tamperings(&values[at]).into_iter().map(move |value| {
                    let mut values = values.clone();
                    values[at] = value;
                    AttributeValue::L(values)
                });
                changed.chain([AttributeValue::L(less)])
            })
            .collect(),
        _ => vec![text("something")],
    }
}

#[tokio::test]
async fn a_chain_that_nobody_touched_is_whole_and_so_is_one_that_nobody_began() {
    let (test, _) = with_entries(3).await;
    let whole = proof(&test.table, "per_ada").await;
    assert_eq!((whole.chains, whole.entries, whole.broken_count), (1, 3, 0));
    let empty = proof(&test.table, "per_nobody").await;
    assert_eq!((empty.chains, empty.entries, empty.broken_count), (1, 0, 0));
}

#[tokio::test]
async fn a_chain_of_several_pages_is_walked_to_its_end() {
    let (test, client) = with_entries(205).await;
    assert_eq!(proof(&test.table, "per_ada").await.entries, 205);
    let at_200 = items(&client).await.swap_remove(199);
    remove(&client, &at_200).await;
    assert_eq!(broken_at(&test.table).await, Some((200, AuditFlaw::Missing)));
}

#[tokio::test]
async fn whatever_is_changed_in_whichever_entry_is_found() {
    let (test, client) = with_entries(3).await;
    let mut tried = 0;
    for (at, item) in items(&client).await.into_iter().take(3).enumerate() {
        let mut wrongs: Vec<Item> = Vec::new();
        for (name, value) in item.iter().filter(|(name, _)| !["pk", "sk"].contains(&name.as_str()))
        {
            let changed = tamperings(value).into_iter();
            wrongs.extend(changed.map(|value| {
                let mut item = item.clone();
                item.insert(name.clone(), value);
                item
            }));
            let mut less = item.clone();
            less.remove(name);
            wrongs.push(less);
        }
        for wrong in wrongs {
            put(&client, wrong.clone()).await;
            let flaw = Some((at as u64 + 1, AuditFlaw::Altered));
            assert_eq!(broken_at(&test.table).await, flaw, "{wrong:?}");
            tried += 1;
        }
        put(&client, item).await;
    }
    assert!(tried > 100, "only {tried} ways were tried");
    assert_eq!(broken_at(&test.table).await, None);
}

#[tokio::test]
async fn an_entry_that_was_written_anew_with_a_right_hash_no_longer_carries_the_next_one() {
    let (test, _) = with_entries(3).await;
    let page = test.table.query(&table::audit_chain("per_ada"), &PageRequest::default()).await;
    let mut entry = page.expect("reads").records.swap_remove(1).value;
    entry.reason = Some("Nobody asked.".to_owned());
    entry.hash = entry.digest();
    let mut transaction = test.table.transaction();
    transaction.overwrite(&entry);
    transaction.commit().await.expect("somebody writes past the code");
    assert_eq!(broken_at(&test.table).await, Some((3, AuditFlaw::Unlinked)));
}

#[tokio::test]
async fn an_entry_that_is_gone_from_the_middle_or_from_the_end_is_missed() {
    for (gone, flaw) in [(1, AuditFlaw::Missing), (2, AuditFlaw::Missing), (3, AuditFlaw::CutOff)] {
        let (test, client) = with_entries(3).await;
        let item = &items(&client).await[gone - 1];
        remove(&client, item).await;
        assert_eq!(broken_at(&test.table).await, Some((gone as u64, flaw)));
    }
    let (test, client) = with_entries(1).await;
    let item = &items(&client).await[0];
    remove(&client, item).await;
    assert_eq!(broken_at(&test.table).await, Some((1, AuditFlaw::CutOff)), "all is cut off");
}

#[tokio::test]
async fn two_entries_that_changed_places_are_found() {
    let (test, client) = with_entries(4).await;
    let found = items(&client).await;
    let (mut one, mut other) = (found[1].clone(), found[2].clone());
    let (sk_one, sk_other) = (one["sk"].clone(), other["sk"].clone());
    one.insert("sk".to_owned(), sk_other);
    other.insert("sk".to_owned(), sk_one);
    put(&client, one).await;
    put(&client, other).await;
    assert_eq!(broken_at(&test.table).await, Some((2, AuditFlaw::Altered)));
}

#[tokio::test]
async fn a_head_that_was_changed_is_found() {
    let (test, client) = with_entries(2).await;
    let head = items(&client).await.pop().expect("the head comes last");
    for wrong in tamperings(&head["data"]) {
        let mut item = head.clone();
        item.insert("data".to_owned(), wrong.clone());
        put(&client, item).await;
        let (_, flaw) = broken_at(&test.table).await.unwrap_or_else(|| panic!("{wrong:?}"));
        assert!([AuditFlaw::HeadWrong, AuditFlaw::CutOff].contains(&flaw), "{flaw:?}");
    }
    remove(&client, &head).await;
    let alone = proof(&test.table, "per_ada").await;
    assert_eq!(alone.broken[0].flaw, AuditFlaw::HeadWrong);
}

#[tokio::test]
async fn two_who_write_at_once_stand_one_after_the_other() {
    let (test, _) = with_entries(1).await;
    let write = |number| note(&test.table, "per_ada", number);
    let results = tokio::join!(write(1), write(2), write(3), write(4));
    let results = [results.0, results.1, results.2, results.3];
    let written = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert!(written >= 2, "{results:?}");
    let whole = proof(&test.table, "per_ada").await;
    assert_eq!((whole.entries, whole.broken_count), (written + 1, 0));
}

#[tokio::test]
async fn an_entry_is_written_once_whatever_happens_on_the_wire() {
    crate::under_every_fault(
        async |table| note(table, "per_ada", 0).await.expect("noted"),
        async |table, ()| note(table, "per_ada", 1).await,
        async |table, ()| {
            let whole = proof(table, "all").await;
            assert_eq!((whole.chains, whole.broken_count), (1, 0));
            // What was written and not heard of is written again by who must not lose it.
            assert!((2..=3).contains(&whole.entries), "{}", whole.entries);
        },
    )
    .await;
}

#[tokio::test]
async fn a_proof_that_ran_out_of_time_goes_on_where_it_stopped() {
    let (test, _) = with_entries(2).await;
    for number in 0..70 {
        note(&test.table, &format!("per_{number}"), 0).await.expect("noted");
    }
    let mut command = ProveTrail { chain: "all".to_owned(), resume: None };
    let mut round = table::AuditRound::default();
    let mut advances = 0;
    while !round.is_done {
        test.table.advance_audit_round(&mut round).await.expect("advances");
        advances += 1;
        let kept = serde_json::to_string(&round).expect("JSON");
        assert!(kept.len() < 20_000);
        round = serde_json::from_str(&kept).expect("what was kept");
        if advances == 30 {
            command.resume = Some(kept);
        }
    }
    assert_eq!((round.chains, round.entries), (71, 72));
    let resumed = shell::prove_trail(&test.table, &command).await.expect("goes on");
    assert_eq!((resumed.chains, resumed.entries, resumed.broken_count), (71, 72, 0));
    let nonsense = ProveTrail { resume: Some("{".to_owned()), ..command };
    let refused = shell::prove_trail(&test.table, &nonsense).await;
    assert!(
        matches!(refused, Err(Failure::Refused(refusal)) if refusal.code() == "CURSOR_INVALID")
    );
}

#[tokio::test]
async fn the_standing_proof_fails_while_a_chain_is_broken_or_gone() {
    let (test, client) = with_entries(2).await;
    note(&test.table, "per_bob", 0).await.expect("noted");
    let at = |hours: u64| Tick {
        now: now() + std::time::Duration::from_secs(3_600 * hours),
        correlation_id: "test".to_owned(),
    };
    let watch = async |hours| shell::watch_trail(&test.table, &at(hours)).await;
    let first = watch(0).await.expect("whole");
    assert_eq!((first.finished, first.chains, first.entries), (true, 2, 3));
    let found = items(&client).await;
    remove(&client, &found[0]).await;
    watch(1).await.expect("the round of this day has been");
    let Err(Failure::Fault(fault)) = watch(21).await else { panic!("nobody hears of it") };
    assert!(fault.chain().contains("per_ada at 1: Missing"), "{}", fault.chain());
    watch(22).await.expect_err("as long as it stands");
    for item in &found[1..] {
        remove(&client, item).await;
    }
    let Err(Failure::Fault(fault)) = watch(42).await else { panic!("nobody hears of it") };
    assert!(fault.chain().contains("1 chains of the audit trail are gone"), "{}", fault.chain());
}

#[tokio::test]
async fn a_record_is_noted_by_the_fields_that_have_changed_also_where_one_is_gone() {
    let test = TestTable::new().await;
    let (old, new) = (json!({ "a": 1, "b": "x", "c": null }), json!({ "a": 2, "c": ["y"] }));
    let actor = Actor::named("per_staff");
    let deed = Deed { actor, operation: "edit", at: now(), correlation_id: "test" };
    let mut transaction = test.table.transaction();
    let noted = Noted::change("record").fields_of(Some(&old), &new);
    test.table.trail("per_ada").await.expect("reads").append(&mut transaction, &deed, noted);
    transaction.commit().await.expect("noted");
    let page = test.table.query(&table::audit_chain("per_ada"), &PageRequest::default()).await;
    let changes = page.expect("reads").records.swap_remove(0).value.changes;
    let changes: Vec<_> = changes
        .iter()
        .map(|one| (one.field.as_str(), one.old.as_deref(), one.new.as_deref()))
        .collect();
    let expected =
        [("a", Some("1"), Some("2")), ("b", Some("x"), None), ("c", None, Some("[\"y\"]"))];
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn the_hash_is_over_the_form_that_is_written_down() {
    let (test, _) = with_entries(1).await;
    let page = test.table.query(&table::audit_chain("per_ada"), &PageRequest::default()).await;
    let entry = page.expect("reads").records.swap_remove(0).value;
    // printf '%s' '["matricula-audit-1","per_ada",1,"2027-01-15T08:30:00Z","per_staff","edit","changed","profile",
    // [["family_name","0","1"],["department",null,"MATH"]],"She married.","test","00…0"]' | sha256sum
    assert_eq!(entry.hash, "f259c96fe462fdb3c53bda82d1fe00df9b71ad9d7c30eccdac3a9336eca1c69b");
    assert!(!format!("{entry:?}{:?}", entry.changes).contains("MATH"), "no value reaches a log");
}
