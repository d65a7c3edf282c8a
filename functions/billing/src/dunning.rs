//! What is done about an account on a day on which nothing was booked: what became overdue holds its student, and the
//! next steps about it are taken, with their fees, in one transaction.

use events::{DunningMeasure, DunningStepTaken};
use kernel::{Currency, Id, InvoiceId, PersonId};
use shell::Failure;

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{
    ChargeCode, DueStep, DunningAction, InvoiceDocument, InvoiceLine, Series, Source, SourceKind,
    post,
};
use crate::store::{self, Cause};

/// Judges an account and takes the steps whose time has come; answers how many.
pub async fn look_at(
    ctx: &Ctx,
    of: (PersonId, Currency),
    cause: Cause<'_>,
) -> Result<usize, Failure> {
    store::in_line_for_a_number(async || take_steps(ctx, of, cause).await).await
}

async fn take_steps(
    ctx: &Ctx,
    (student, currency): (PersonId, Currency),
    cause: Cause<'_>,
) -> Result<usize, Failure> {
    let today = ctx.institution().date(cause.now);
    let wanted = Wanted { now: cause.now, series: &[Series::Invoices], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await?;
    let steps = books.account.value.due_steps(books.policy(), today);
    let booking = books.booking_today(cause.now);
    let mut turns = Vec::new();
    for step in &steps {
        books.account.value.take_step(step, today);
        let Some(line) = fee_line(step) else { continue };
        let number = books.take_number(Series::Invoices);
        let currency = line.amount.currency;
        let origin = format!("{student}#{currency}#{}#{}", step.due, step.step.code);
        let id = InvoiceId::derived_from(&origin);
        let dates = (cause.now, ctx.institution().due(cause.now));
        let document = InvoiceDocument::of_line((id, number), student, line, dates);
        let source = Source { kind: SourceKind::LateFee, id: document.id.to_string() };
        let (invoice, turn) = post(document, source, &mut books.account.value, booking)?;
        books.add_invoice(invoice);
        books.take_over(&turn).await?;
        turns.push(turn);
    }
    let mut transaction = ctx.table.transaction();
    books.write(&mut transaction, &turns, cause);
    for step in &steps {
        transaction.event(told(student, step), 1, cause.now, cause.correlation_id);
    }
    transaction.commit().await?;
    Ok(steps.len())
}

/// None where the step bills nothing.
fn fee_line(due: &DueStep) -> Option<InvoiceLine> {
    let amount = due.step.fee()?;
    Some(InvoiceLine {
        code: ChargeCode::late_fee(),
        description: format!("{} ({})", due.step.code, due.due),
        registration: None,
        term_code: due.term_code.clone(),
        quantity_hundredths: 100,
        unit_price: amount,
        amount,
    })
}

fn told(student: PersonId, due: &DueStep) -> DunningStepTaken {
    DunningStepTaken {
        student,
        step: due.step.code.clone(),
        measure: match due.step.action {
            DunningAction::Reminder => DunningMeasure::Reminder,
            DunningAction::LateFee { .. } => DunningMeasure::LateFee,
            DunningAction::Hold => DunningMeasure::Hold,
        },
        due: due.due,
        overdue: due.overdue,
        fee: due.step.fee(),
        term_code: due.term_code.clone(),
    }
}
