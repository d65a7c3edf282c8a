//! Schedule: proves the ledger, a piece at a time. Every account is folded anew from its entries and compared with what
//! stands, every entry is added to the trial balance, and every number that was given is looked for in its register.

use std::time::Duration;

use serde::Serialize;
use shell::{Failure, Tick};
use table::{PageRequest, Position, Record, Stored, deadline};

use crate::Ctx;
use crate::domain::{Difference, JournalEntry, Stage, StudentAccount};
use crate::store::{self, LedgerProof, Opened};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub finished: bool,
    pub accounts: u64,
    pub entries: u64,
    pub differences: u64,
}

/// Pieces of one run; the next run goes on.
const PIECES_MAX: u32 = 2_000;
/// Left for a piece that has begun, and for writing down how far it came.
const PIECE_MAX: Duration = Duration::from_secs(6);
/// Accounts of one piece.
const ACCOUNTS: u32 = 20;

pub async fn handle(ctx: &Ctx, tick: &Tick) -> Result<Reply, Failure> {
    let stored = ctx.table.get(&store::ledger_proof_key()).await?;
    let today = ctx.institution().date(tick.now);
    let mut proof = Opened::of(stored, || LedgerProof::begin(tick.now, today));
    if proof.value.is_stale(tick.now) {
        proof.value = LedgerProof::begin(tick.now, today);
    }
    let was_done = proof.value.stage == Stage::Done;
    for _ in 0..PIECES_MAX {
        if proof.value.stage == Stage::Done || deadline::left() < PIECE_MAX {
            break;
        }
        advance(ctx, &mut proof.value).await?;
    }
    if !was_done {
        if proof.value.stage == Stage::Done {
            proof.value.finished_at = Some(tick.now);
        }
        let mut transaction = ctx.table.transaction();
        proof.write(&mut transaction);
        transaction.commit().await?;
    }
    let LedgerProof { accounts, trial_balance, difference_count, .. } = &proof.value;
    if *difference_count > 0 {
        tracing::error!(
            correlation_id = tick.correlation_id,
            differences = difference_count,
            "the ledger does not agree with itself"
        );
    }
    Ok(Reply {
        finished: proof.value.stage == Stage::Done,
        accounts: *accounts,
        entries: trial_balance.entries,
        differences: *difference_count,
    })
}

async fn advance(ctx: &Ctx, proof: &mut LedgerProof) -> Result<(), Failure> {
    match proof.stage.clone() {
        Stage::Accounts { after } => {
            let page = PageRequest { after, limit: ACCOUNTS };
            let accounts = ctx.table.query(&store::accounts(), &page).await?;
            for account in accounts.records {
                prove_account(ctx, proof, &account.value).await?;
            }
            proof.stage = match accounts.next {
                Some(next) => Stage::Accounts { after: Some(next) },
                None => Stage::NobodysEntries { after: None },
            };
        }
        Stage::NobodysEntries { after } => {
            let page = PageRequest { after, limit: PageRequest::LIMIT_MAX };
            let entries = ctx.table.query(&store::journal(None), &page).await?;
            for entry in &entries.records {
                proof.take(&entry.value)?;
            }
            proof.stage = match entries.next {
                Some(next) => Stage::NobodysEntries { after: Some(next) },
                None => Stage::Registers { series: 0, last: 0, after: None },
            };
        }
        Stage::Registers { series, last, after } => {
            proof.stage = prove_register(ctx, proof, series, last, after).await?;
        }
        Stage::Done => {}
    }
    Ok(())
}

/// Folds an account anew. Where somebody booked between the two reads, they are made again.
async fn prove_account(
    ctx: &Ctx,
    proof: &mut LedgerProof,
    listed: &StudentAccount,
) -> Result<(), Failure> {
    const READS_MAX: u32 = 4;
    let key = listed.key();
    let (mut entries, mut agrees, mut proved) = (Vec::new(), false, listed.clone());
    for _ in 0..READS_MAX {
        entries = entries_of(ctx, listed).await?;
        let Some(Stored { value: account, .. }) = ctx.table.get(&key).await? else { break };
        agrees = account.replayed(&entries)? == account;
        proved = account;
        if agrees {
            break;
        }
    }
    proof.sums.take_account(&proved)?;
    if !agrees {
        let (student, currency) = (listed.student, listed.currency);
        proof.differ(Difference::Balance { student, currency });
    }
    proof.accounts += 1;
    for entry in &entries {
        proof.take(entry)?;
    }
    Ok(())
}

/// A student's entries in the account's currency.
async fn entries_of(ctx: &Ctx, account: &StudentAccount) -> Result<Vec<JournalEntry>, Failure> {
    const PAGES_MAX: u32 = 200;
    let mut entries = Vec::new();
    let mut page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    for _ in 0..PAGES_MAX {
        let found = ctx.table.query(&store::journal(Some(account.student)), &page).await?;
        let of_currency = found.records.into_iter().map(|entry| entry.value).filter(|entry| {
            entry.lines().iter().all(|line| line.amount.currency == account.currency)
        });
        entries.extend(of_currency);
        page.after = found.next;
        if page.after.is_none() {
            break;
        }
    }
    Ok(entries)
}

/// Goes through a page of the register of one series: each number follows the one before.
async fn prove_register(
    ctx: &Ctx,
    proof: &mut LedgerProof,
    series: u32,
    mut last: u64,
    after: Option<Position>,
) -> Result<Stage<Position>, Failure> {
    let page = PageRequest { after: None, limit: PageRequest::LIMIT_MAX };
    let counters = ctx.table.query(&store::number_counters(), &page).await?;
    let Some(counter) = counters.records.get(series as usize) else { return Ok(Stage::Done) };
    let counter = &counter.value;
    let page = PageRequest { after, limit: PageRequest::LIMIT_MAX };
    let rows = ctx.table.query(&store::register(&counter.prefix), &page).await?;
    let gap = |ordinal| Difference::Gap { series: counter.prefix.clone(), ordinal };
    for row in &rows.records {
        (last + 1..row.value.ordinal).for_each(|ordinal| proof.differ(gap(ordinal)));
        last = row.value.ordinal;
        proof.documents += 1;
    }
    if rows.next.is_none() {
        (last + 1..=counter.last).for_each(|ordinal| proof.differ(gap(ordinal)));
        return Ok(Stage::Registers { series: series + 1, last: 0, after: None });
    }
    Ok(Stage::Registers { series, last, after: rows.next })
}

#[cfg(test)]
mod tests {
    use super::super::{read_ledger_proof, start_ledger_proof};
    use super::*;
    use crate::domain::Account;
    use crate::fixtures::{charge, ctx, dropped, give};
    use crate::operations::on_registration_dropped;

    fn tick() -> Tick {
        Tick { now: testkit::now(), correlation_id: "test".into() }
    }

    async fn read(ctx: &Ctx) -> read_ledger_proof::Reply {
        let call = testkit::call(read_ledger_proof::Command {});
        read_ledger_proof::handle(ctx, &call).await.expect("there is one")
    }

    #[tokio::test]
    async fn a_ledger_is_proved_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| charge(&ctx(table), "ada", "one").await,
            async |table, _| handle(&ctx(table), &tick()).await.map(drop),
            async |table, _| {
                let proof = read(&ctx(table)).await;
                assert_eq!(proof.finished_at, Some(testkit::now()));
                assert_eq!((proof.accounts, proof.entries, proof.documents), (1, 1, 1));
                assert_eq!((proof.differences.len(), proof.is_balanced), (0, true));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn a_proof_comes_to_the_trial_balance_and_to_what_was_earned() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        charge(&ctx, "bob", "two").await;
        give(&ctx, "ada", 200_000).await;
        let dropped = dropped("bob", "two", 1);
        on_registration_dropped::handle(&ctx, &dropped).await.expect("credited");
        handle(&ctx, &tick()).await.expect("proves");
        let proof = read(&ctx).await;
        assert_eq!((proof.accounts, proof.entries, proof.documents), (2, 4, 3));
        assert_eq!((proof.differences.len(), proof.is_balanced), (0, true));
        let row = |account| {
            let mut rows = proof.trial_balance.iter();
            let row = rows.find(|row| row.account == account).expect("a row");
            row.debits - row.credits
        };
        assert_eq!(row(Account::Revenue), -200_000);
        assert_eq!(row(Account::Cash), 200_000);
        assert_eq!(row(Account::UnappliedCash), -50_000);
        assert_eq!(proof.revenue[0].amount, 200_000);
    }

    #[tokio::test]
    async fn a_balance_that_somebody_changed_and_a_document_that_is_gone_are_found() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        charge(&ctx, "ada", "one").await;
        charge(&ctx, "bob", "two").await;
        let key = store::account_key(testkit::person("bob"), crate::fixtures::francs(0).currency);
        let stored = ctx.table.get(&key).await.expect("reads").expect("an account");
        let forged = StudentAccount::empty(stored.value.student, stored.value.currency);
        let rows = store::register("MAT-2027");
        let rows = ctx.table.query(&rows, &PageRequest::default()).await.expect("reads");
        let mut transaction = ctx.table.transaction();
        transaction.put(&forged, Some(stored.version));
        transaction.delete(&rows.records[0]);
        transaction.commit().await.expect("somebody writes past the code");
        handle(&ctx, &tick()).await.expect("proves");
        let bob = (testkit::person("bob"), stored.value.currency);
        assert_eq!(
            read(&ctx).await.differences,
            [
                Difference::Balance { student: bob.0, currency: bob.1 },
                Difference::Gap { series: "MAT-2027".into(), ordinal: 1 },
            ]
        );
    }

    #[tokio::test]
    async fn a_finished_proof_stands_until_it_is_old_or_another_is_asked_for() {
        let test = testkit::TestTable::new().await;
        let ctx = ctx(&test.table);
        let first = handle(&ctx, &tick()).await.expect("proves");
        assert_eq!(first, Reply { finished: true, accounts: 0, entries: 0, differences: 0 });
        charge(&ctx, "ada", "one").await;
        assert_eq!(handle(&ctx, &tick()).await.expect("stands").accounts, 0);
        let start = testkit::call(start_ledger_proof::Command {});
        start_ledger_proof::handle(&ctx, &start).await.expect("begins");
        assert_eq!(read(&ctx).await.finished_at, None);
        assert_eq!(handle(&ctx, &tick()).await.expect("proves").accounts, 1);
        let tomorrow = testkit::now() + jiff::SignedDuration::from_hours(21);
        let later = Tick { now: tomorrow, ..tick() };
        assert!(handle(&ctx, &later).await.expect("proves anew").finished);
        assert_eq!(read(&ctx).await.started_at, tomorrow);
    }
}
