//! Puts a student under a sponsor's contract, for what is invoiced on some days. What is open of these is brought to it
//! at once; later invoices, and what changes, as they are booked.

use std::collections::BTreeSet;

use kernel::{Currency, Date, InvoiceId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};
use table::Noted;

use super::BURSAR;
use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{Refusal, SponsorContractCode, Sponsorship};
use crate::store::{self, Cause};

pub const ROUTE: Route = Route::put(
    "sponsor-student",
    "/sponsor-contracts/{sponsor_contract}/students/{student}",
    BURSAR,
    "Put a student under a sponsor's contract",
);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub sponsor_contract: SponsorContractCode,
    pub student: PersonId,
    /// From which day on what is invoiced is the sponsor's too; today where it is absent.
    pub from: Option<Date>,
    /// The last such day.
    pub until: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub student: PersonId,
    #[serde(flatten)]
    pub sponsorship: Sponsorship,
}

/// Open invoices that are brought to the contract by one call, each in a transaction of its own.
const INVOICES_MAX: usize = 100;

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { sponsor_contract, student, from, until } = call.command.clone();
    let contract = ctx.table.get(&store::sponsor_contract_key(&sponsor_contract)).await?;
    let currency = contract.ok_or(Refusal::SponsorContractUnknown)?.value.terms.currency;
    let from = from.unwrap_or_else(|| ctx.institution().date(call.now));
    let sponsorship = Sponsorship { contract: sponsor_contract, from, until };
    let account = ctx.table.get(&store::account_key(student, currency)).await?;
    let lines = account.iter().flat_map(|account| account.value.open_lines());
    let open: BTreeSet<InvoiceId> = lines.map(|line| line.invoice).collect();
    let reply = Reply { student, sponsorship };
    put_under(ctx, call, (&reply, currency), &[]).await?;
    for invoice in open.into_iter().take(INVOICES_MAX) {
        put_under(ctx, call, (&reply, currency), &[invoice]).await?;
    }
    Ok(reply)
}

/// Writes what changes: how the student is under the contract, and what of these invoices is the sponsor's.
async fn put_under(
    ctx: &Ctx,
    call: &Call<Command>,
    (Reply { student, sponsorship }, currency): (&Reply, Currency),
    invoices: &[InvoiceId],
) -> Result<(), Failure> {
    let wanted = Wanted { now: call.now, series: &[], invoices };
    let mut books = Bookkeeping::open(ctx, *student, currency, wanted).await?;
    let before = books.account.value.put_under_contract(sponsorship.clone());
    let turns = books.sponsor(books.booking_today(call.now)).await?;
    let is_news = before.as_ref() != Some(sponsorship);
    if !is_news && turns.is_empty() {
        return Ok(());
    }
    let cause = Cause { now: call.now, correlation_id: &call.correlation_id };
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &turns, cause);
    if is_news {
        let trail = ctx.table.trail(*student).await?;
        let noted = Noted::change(format!("sponsorship/{}", sponsorship.contract.0));
        let noted = noted.fields_of(before.as_ref(), sponsorship);
        trail.append(&mut transaction, &call.deed(ROUTE.operation), noted);
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
pub(super) mod tests {
    use events::{ChargeSettled, Event};

    use super::super::set_sponsor_contract::{self, tests::ministry};
    use super::super::{list_sponsored_invoices, on_registration_dropped, reverse_charge};
    use super::*;
    use crate::domain::{Account, SponsorTerms};
    use crate::fixtures::{
        account, bundle, charge, check_ledger, code, count, ctx, dropped, francs, give, invoice,
        order, set_prices, unapplied_cash,
    };

    pub async fn agree(ctx: &Ctx, terms: SponsorTerms) {
        let command = set_sponsor_contract::Command { terms, ..ministry() };
        set_sponsor_contract::handle(ctx, &testkit::call(command)).await.expect("agreed");
    }

    fn under(contract: &str, student: &str) -> Call<Command> {
        testkit::call(Command {
            sponsor_contract: SponsorContractCode(contract.into()),
            student: testkit::person(student),
            from: None,
            until: None,
        })
    }

    pub async fn put_student_under(ctx: &Ctx, student: &str) {
        handle(ctx, &under("ministry", student)).await.expect("under the contract");
    }

    /// What the sponsor is to pay, invoice by invoice, and what of it is paid.
    pub async fn statement(ctx: &Ctx) -> Vec<(i64, i64)> {
        let sponsor_contract = SponsorContractCode("ministry".into());
        let call = testkit::call(list_sponsored_invoices::Command { sponsor_contract });
        let listed = list_sponsored_invoices::handle(ctx, &call).await.expect("lists").items;
        listed.iter().map(|row| (row.amount.minor, row.paid.minor)).collect()
    }

    pub async fn owed(ctx: &Ctx, student: &str) -> (i64, i64) {
        let books = account(ctx, student).await;
        let balance = |of| books.balance(of).minor;
        (balance(Account::Receivable), balance(Account::SponsorReceivable))
    }

    #[tokio::test]
    async fn a_sponsor_pays_its_share_and_the_student_owes_the_rest_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                set_prices(table).await;
                agree(&ctx, ministry().terms).await;
                put_student_under(&ctx, "ada").await;
            },
            async |table, ()| {
                let step = testkit::step(order("ada", "one"));
                super::super::charge::handle(&ctx(table), &step).await.map(drop)
            },
            async |table, ()| {
                let ctx = ctx(table);
                let charged = charge(&ctx, "ada", "one").await;
                let document = invoice(&ctx, &charged).await;
                assert_eq!(
                    (document.sponsored(), document.open()),
                    (francs(90_000), francs(60_000))
                );
                assert_eq!(owed(&ctx, "ada").await, (60_000, 90_000));
                assert_eq!(statement(&ctx).await, [(90_000, 0)]);
                give(&ctx, "ada", 60_000).await;
                assert_eq!(count(&ctx, ChargeSettled::NAME).await, 1, "the seat waits for no more");
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_open_when_a_student_comes_under_a_contract_is_brought_to_it() {
        testkit::under_every_fault(
            async |table| {
                let ctx = ctx(table);
                agree(&ctx, ministry().terms).await;
                charge(&ctx, "ada", "one").await;
                give(&ctx, "ada", 130_000).await;
                charge(&ctx, "ada", "two").await;
            },
            async |table, ()| handle(&ctx(table), &under("ministry", "ada")).await.map(drop),
            async |table, ()| {
                let ctx = ctx(table);
                // What the student paid of the first makes room, and pays for the second.
                assert_eq!(statement(&ctx).await, [(90_000, 0), (90_000, 0)]);
                assert_eq!(owed(&ctx, "ada").await, (0, 180_000));
                assert_eq!(unapplied_cash(&ctx, "ada").await, 10_000);
                let noted = testkit::operations_noted(table, testkit::person("ada")).await;
                assert_eq!(noted, [ROUTE.operation]);
                check_ledger(&ctx).await;
            },
        )
        .await;
    }

    #[tokio::test]
    async fn money_that_the_student_had_makes_room_for_the_sponsor() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        agree(&ctx, ministry().terms).await;
        put_student_under(&ctx, "ada").await;
        give(&ctx, "ada", 150_000).await;
        assert!(charge(&ctx, "ada", "one").await.settled);
        assert_eq!(owed(&ctx, "ada").await, (0, 90_000));
        assert_eq!(unapplied_cash(&ctx, "ada").await, 90_000);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn the_sponsor_s_share_of_a_drop_is_the_sponsor_s_and_the_student_s_is_the_student_s() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        agree(&ctx, ministry().terms).await;
        put_student_under(&ctx, "ada").await;
        charge(&ctx, "ada", "one").await;
        give(&ctx, "ada", 60_000).await;
        on_registration_dropped::handle(&ctx, &dropped("ada", "one", 1)).await.expect("credited");
        assert_eq!(statement(&ctx).await, [(30_000, 0)], "of 50,000 that stand");
        assert_eq!(owed(&ctx, "ada").await, (0, 30_000));
        assert_eq!(unapplied_cash(&ctx, "ada").await, 40_000);
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn an_undone_bundle_costs_the_sponsor_nothing() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = SponsorTerms { in_all: Some(francs(100_000)), ..ministry().terms };
        agree(&ctx, terms).await;
        put_student_under(&ctx, "ada").await;
        charge(&ctx, "ada", "one").await;
        let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
        reverse_charge::handle(&ctx, &undo).await.expect("taken back");
        assert_eq!(statement(&ctx).await, [(0, 0)]);
        assert_eq!(owed(&ctx, "ada").await, (0, 0));
        assert_eq!(unapplied_cash(&ctx, "ada").await, 0, "a sponsor's part is no student's money");
        charge(&ctx, "ada", "two").await;
        assert_eq!(owed(&ctx, "ada").await, (60_000, 90_000), "there is room again in all");
        check_ledger(&ctx).await;
    }

    #[tokio::test]
    async fn caps_are_of_a_term_of_a_student_and_of_all_students() {
        for (cap, expected) in [
            ("per_term", [80_000, 0, 80_000]),
            ("per_student", [80_000, 0, 80_000]),
            ("in_all", [80_000, 0, 0]),
            ("rule", [80_000, 0, 80_000]),
        ] {
            let test = testkit::TestTable::new().await;
            let ctx = ctx(&test.table);
            let mut terms = serde_json::to_value(ministry().terms).expect("JSON");
            let most = serde_json::json!({ "minor": 80_000, "currency": "XAF" });
            match cap {
                "rule" => terms["rules"][0]["pays"]["cap"] = most,
                _ => terms[cap] = most,
            }
            agree(&ctx, serde_json::from_value(terms).expect("terms")).await;
            let mut sponsored = Vec::new();
            for (student, name) in [("ada", "one"), ("ada", "two"), ("bob", "three")] {
                put_student_under(&ctx, student).await;
                let charged = charge(&ctx, student, name).await;
                sponsored.push(invoice(&ctx, &charged).await.sponsored().minor);
            }
            assert_eq!(sponsored, expected, "{cap}");
            check_ledger(&ctx).await;
        }
    }

    #[tokio::test]
    async fn a_contract_pays_for_its_codes_and_days_and_nothing_else() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let terms = |field: &str, value: serde_json::Value| {
            let mut terms = serde_json::to_value(ministry().terms).expect("JSON");
            *terms.pointer_mut(field).expect("a field") = value;
            serde_json::from_value::<SponsorTerms>(terms).expect("terms")
        };
        let unknown = handle(&ctx, &under("nobody", "ada")).await;
        assert_eq!(code(unknown), "SPONSOR_CONTRACT_UNKNOWN");
        agree(&ctx, terms("/rules/0/codes", serde_json::json!(["HOUSING"]))).await;
        put_student_under(&ctx, "ada").await;
        charge(&ctx, "ada", "one").await;
        assert_eq!(owed(&ctx, "ada").await, (150_000, 0), "of tuition it pays nothing");
        agree(&ctx, terms("/last_day", serde_json::json!("2027-01-14"))).await;
        charge(&ctx, "ada", "two").await;
        assert_eq!(owed(&ctx, "ada").await, (300_000, 0), "it has ended");
    }
}
