//! Money that goes back, the provider's word brought home: refunds, asked for by us or not, and what payers' banks take
//! and give again. It is told in any order, any number of times, and perhaps before the money itself was: every
//! movement is booked once.

use events::{ChargebackBooked, ChargebackReversed, PaymentRefunded, RefundFailed};
use kernel::{Id, Money, RefundId};
use shell::Failure;
use table::{Stored, Transaction};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::conclusion;
use crate::domain::{
    self, Account, Booking, Dispute, DisputeReport, JournalEntry, Line, Movement, Origin, Outcome,
    Payment, ROWS_MAX, Refund, RefundReport, RefundState, RefundWord, Source, SourceKind,
    SuspenseItem,
};
use crate::provider::Answer;
use crate::store::{self, Cause, Opened};

/// Where the money is booked that goes back.
#[derive(Debug)]
pub enum Found {
    Payment(Stored<Payment>),
    Suspense(Stored<SuspenseItem>),
}

/// What happens to the money.
#[derive(Debug, Clone, Copy)]
enum Motion {
    Refund(Outcome),
    /// The provider paid it back by itself.
    TakenRefund,
    ChargedBack,
    Reinstated,
}

impl Found {
    /// The money of an origin that we know.
    pub async fn of(ctx: &Ctx, origin: Origin) -> Result<Self, Failure> {
        Ok(match origin {
            Origin::Payment(id) => {
                let payment = ctx.table.get(&store::payment_key(id)).await?;
                Self::Payment(payment.ok_or_else(|| store::missing("payment", id))?)
            }
            Origin::SuspenseItem(id) => {
                let item = ctx.table.get(&store::suspense_key(id)).await?;
                Self::Suspense(item.ok_or_else(|| store::missing("suspense item", id))?)
            }
        })
    }

    /// The provider's id of its payment.
    pub fn provider_ref(&self) -> Option<String> {
        match self {
            Self::Payment(payment) => payment.value.provider_ref.clone(),
            Self::Suspense(item) => Some(item.value.provider_ref.clone()),
        }
    }

    /// What came through the provider goes back through it.
    pub fn came_through_provider(&self) -> bool {
        match self {
            Self::Payment(payment) => payment.value.channel.pays_back(),
            Self::Suspense(item) => item.value.channel.pays_back(),
        }
    }

    pub fn origin(&self) -> Origin {
        match self {
            Self::Payment(payment) => Origin::Payment(payment.value.id),
            Self::Suspense(item) => Origin::SuspenseItem(item.value.id),
        }
    }

    /// So much of an amount as there is here of it.
    fn most_of(&self, amount: Money) -> Money {
        let here = match self {
            Self::Payment(payment) => payment.value.kept(),
            Self::Suspense(item) => item.value.left(),
        };
        let is_here = here.currency == amount.currency;
        Money::new(if is_here { amount.minor.min(here.minor) } else { 0 }, amount.currency)
    }

    /// Books what happens to so much of the money, under the id of the refund or dispute.
    async fn book(
        &mut self,
        ctx: &Ctx,
        transaction: &mut Transaction<'_>,
        (motion, amount, id): (Motion, Money, &str),
        cause: Cause<'_>,
    ) -> Result<Booking, Failure> {
        match self {
            Self::Payment(payment) => {
                let booking = book_payment(ctx, transaction, payment, (motion, amount, id), cause);
                let booking = booking.await?;
                transaction.update(payment);
                Ok(booking)
            }
            Self::Suspense(item) => {
                let booking = conclusion::book_for_nobody(ctx, transaction, cause).await?;
                let entry = entry_of_suspense(&mut item.value, motion, amount, id, booking)?;
                store::write_entry(transaction, &entry);
                transaction.update(item);
                Ok(booking)
            }
        }
    }
}

async fn book_payment(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    payment: &mut Stored<Payment>,
    (motion, amount, id): (Motion, Money, &str),
    cause: Cause<'_>,
) -> Result<Booking, Failure> {
    let payment = &mut payment.value;
    let invoices = match motion {
        Motion::TakenRefund | Motion::ChargedBack => {
            store::invoices_paid_by(&ctx.table, payment.id, ROWS_MAX).await?
        }
        Motion::Refund(_) | Motion::Reinstated => Vec::new(),
    };
    let wanted = Wanted { now: cause.now, series: &[], invoices: &invoices };
    let currency = payment.amount.currency;
    let mut books = Bookkeeping::open(ctx, payment.student, currency, wanted).await?;
    let booking = books.booking_today(cause.now);
    // What goes back in another currency than it came in is not this student's matter.
    let amount = if amount.currency == currency { amount } else { Money::zero(currency) };
    let (account, mut paid) = books.account_and_invoices();
    let of_student = (&mut *account, booking);
    let turn = match motion {
        Motion::Refund(outcome) => {
            domain::conclude_refund(payment, amount, (id, outcome), account, booking)
        }
        Motion::TakenRefund => domain::take_refund(payment, amount, id, &mut paid, of_student),
        Motion::ChargedBack => domain::charge_back(payment, amount, id, &mut paid, of_student),
        Motion::Reinstated => domain::reinstate(payment, amount, id, of_student),
    }?;
    books.take_over(&turn).await?;
    books.write(transaction, &[turn], cause);
    Ok(booking)
}

fn entry_of_suspense(
    item: &mut SuspenseItem,
    motion: Motion,
    amount: Money,
    id: &str,
    booking: Booking,
) -> Result<JournalEntry, Failure> {
    let (lies, came) = (Account::Suspense, Account::ProviderClearing);
    let between = |debit, credit| -> Result<Vec<Line>, Failure> {
        Ok(vec![Line::new(debit, amount), Line::new(credit, amount.negated().map_err(refused)?)])
    };
    let source = |kind| Source { kind, id: id.to_owned() };
    let (source, lines, returned) = match motion {
        Motion::Refund(outcome) => {
            let came_back = if outcome == Outcome::Paid { 0 } else { -amount.minor };
            (outcome.source(id), outcome.lines(amount, lies, came)?, came_back)
        }
        Motion::TakenRefund => (source(SourceKind::Refund), between(lies, came)?, amount.minor),
        Motion::ChargedBack => (source(SourceKind::Chargeback), between(lies, came)?, amount.minor),
        Motion::Reinstated => {
            (source(SourceKind::ChargebackReversed), between(came, lies)?, -amount.minor)
        }
    };
    item.returned += returned;
    if returned < 0 {
        item.decided = None;
    }
    Ok(JournalEntry::new(None, booking, source, lines).expect("one amount on both sides"))
}

fn refused(error: kernel::MoneyError) -> domain::Refusal {
    error.into()
}

/// Where the money of the provider's payment is booked. It may go back before we heard that it came: then the provider
/// is asked what became of the payment, and that is booked first. None where the provider knows of no money either.
async fn found(ctx: &Ctx, payment_ref: &str, cause: Cause<'_>) -> Result<Option<Found>, Failure> {
    if let Some(found) = booked(ctx, payment_ref).await? {
        return Ok(Some(found));
    }
    let Answer::Report(report) = ctx.provider.look_up(payment_ref).await? else { return Ok(None) };
    conclusion::conclude(ctx, &report, cause).await?;
    booked(ctx, payment_ref).await
}

async fn booked(ctx: &Ctx, payment_ref: &str) -> Result<Option<Found>, Failure> {
    let reference_key = store::provider_reference_key(payment_ref);
    let suspense_key = store::suspense_key(SuspenseItem::id_of(payment_ref));
    let keys = vec![(&reference_key).into(), (&suspense_key).into()];
    let mut batch = ctx.table.get_batch(keys).await?;
    let reference = batch.take(&reference_key)?.map(|stored| stored.value.payment);
    let item = batch.take(&suspense_key)?;
    let payment = match item {
        Some(item) if item.value.assigned.is_none() || item.value.left().minor > 0 => {
            return Ok(Some(Found::Suspense(item)));
        }
        Some(item) => item.value.assigned,
        None => reference,
    };
    let Some(payment) = payment else { return Ok(None) };
    let payment = ctx.table.get(&store::payment_key(payment)).await?;
    Ok(payment.filter(|payment| payment.value.is_received()).map(Found::Payment))
}

/// What the provider says of a refund.
pub async fn conclude_refund(
    ctx: &Ctx,
    report: &RefundReport,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let Some(found) = found(ctx, &report.payment_ref, cause).await? else {
        unknown(&report.payment_ref, cause);
        return Ok(());
    };
    let origin = found.origin();
    let own = match report.refund {
        Some(id) => recorded(ctx, origin, report, id).await?,
        None => None,
    };
    match own {
        Some(refund) if refund.value.is_meant_by(report) => {
            let told = (&report.word, Some(report.provider_ref.as_str()));
            let of = Found::of(ctx, refund.value.of).await?;
            follow(ctx, refund, of, told, cause).await
        }
        Some(refund) => {
            let is_decided = report.word != RefundWord::Undecided;
            if is_decided && refund.value.is_known_as(&report.provider_ref) {
                // Another amount went back, or did not, than was asked for: what was asked for did not take place.
                let failed = RefundWord::Failed { reason: "amount_differs".to_owned() };
                let of = Found::of(ctx, refund.value.of).await?;
                follow(ctx, refund, of, (&failed, None), cause).await?;
            }
            // Whatever that was is booked under the provider's own name, and comes back under it.
            take_refund(ctx, Found::of(ctx, origin).await?, report, cause).await
        }
        None => take_refund(ctx, found, report, cause).await,
    }
}

/// The refund as it was recorded: with where the money is now, or with the suspense item in which it lay before.
async fn recorded(
    ctx: &Ctx,
    origin: Origin,
    report: &RefundReport,
    id: RefundId,
) -> Result<Option<Stored<Refund>>, Failure> {
    let refund = ctx.table.get(&store::refund_key(origin, id)).await?;
    let item = Origin::SuspenseItem(SuspenseItem::id_of(&report.payment_ref));
    if refund.is_some() || origin == item {
        return Ok(refund);
    }
    Ok(ctx.table.get(&store::refund_key(item, id)).await?)
}

/// Follows the provider's word on a refund of ours.
pub async fn follow(
    ctx: &Ctx,
    mut refund: Stored<Refund>,
    mut found: Found,
    told: (&RefundWord, Option<&str>),
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let mut transaction = ctx.table.transaction();
    follow_in(ctx, &mut transaction, (&mut refund, &mut found), told, cause).await?;
    if transaction.is_empty() { Ok(()) } else { Ok(transaction.commit().await?) }
}

/// The same within a transaction that something else is written with.
pub async fn follow_in(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (refund, found): (&mut Stored<Refund>, &mut Found),
    (word, provider_ref): (&RefundWord, Option<&str>),
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let was_under_way = refund.value.is_under_way();
    refund.value.note_asked(provider_ref, cause.now);
    let outcome = refund.value.follow(word, cause.now);
    let Some(outcome) = outcome else {
        if was_under_way {
            transaction.update(refund);
        }
        return Ok(());
    };
    transaction.update(refund);
    let id = refund.value.id.to_string();
    let motion = (Motion::Refund(outcome), refund.value.placed(), id.as_str());
    let booking = found.book(ctx, transaction, motion, cause).await?;
    let back = Money::new(-refund.value.unplaced, refund.value.amount.currency);
    write_unplaced(
        transaction,
        (SourceKind::RefundUnplaced, id.as_str(), "#bounced"),
        back,
        booking,
    )?;
    tell_refund(transaction, refund.version + 1, &refund.value, found, cause);
    Ok(())
}

/// The provider has paid back by itself, by a hand at its own desk.
async fn take_refund(
    ctx: &Ctx,
    mut found: Found,
    report: &RefundReport,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let (id, origin) = (RefundId::derived_from(&report.provider_ref), found.origin());
    if let Some(refund) = recorded(ctx, origin, report, id).await? {
        let of = Found::of(ctx, refund.value.of).await?;
        return follow(ctx, refund, of, (&report.word, None), cause).await;
    }
    if report.word != RefundWord::Paid {
        // Until it is paid it is not ours to book: nobody here asked for it.
        return Ok(());
    }
    let placed = found.most_of(report.amount);
    let refund = Refund {
        id,
        of: origin,
        payment_ref: Some(report.payment_ref.clone()),
        amount: report.amount,
        unplaced: report.amount.minor - placed.minor,
        reason: "at_provider".to_owned(),
        state: RefundState::Paid,
        provider_ref: Some(report.provider_ref.clone()),
        failure_reason: None,
        refunded_by: None,
        refunded_at: cause.now,
        asked_at: cause.now,
        concluded_at: Some(cause.now),
    };
    let mut transaction = ctx.table.transaction();
    let id = id.to_string();
    let motion = (Motion::TakenRefund, placed, id.as_str());
    let booking = found.book(ctx, &mut transaction, motion, cause).await?;
    let rest = Money::new(refund.unplaced, refund.amount.currency);
    write_unplaced(&mut transaction, (SourceKind::RefundUnplaced, id.as_str(), ""), rest, booking)?;
    transaction.create(&refund);
    tell_refund(&mut transaction, 1, &refund, &found, cause);
    Ok(transaction.commit().await?)
}

/// What the provider says of a dispute.
pub async fn conclude_dispute(
    ctx: &Ctx,
    report: &DisputeReport,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let Some(mut found) = found(ctx, &report.payment_ref, cause).await? else {
        unknown(&report.payment_ref, cause);
        return Ok(());
    };
    let stored = ctx.table.get(&store::dispute_key(&report.provider_ref)).await?;
    let mut dispute = Opened::of(stored, || Dispute::of(report, found.origin(), cause.now));
    let (changed, movement) = dispute.value.follow(report.word, cause.now);
    if !changed && dispute.read_version.is_some() {
        return Ok(());
    }
    let mut transaction = ctx.table.transaction();
    match movement {
        Some(Movement::Out) => {
            take_money(ctx, &mut transaction, (&mut dispute.value, &mut found), report, cause)
                .await?;
        }
        Some(Movement::Back) => {
            found = Found::of(ctx, dispute.value.of).await?;
            give_money(ctx, &mut transaction, (&mut dispute.value, &mut found), report, cause)
                .await?;
        }
        None => {}
    }
    dispute.write(&mut transaction);
    if let (Some(movement), Found::Payment(payment)) = (movement, &found) {
        let version = dispute.next_version();
        tell_dispute(&mut transaction, (movement, version), &dispute.value, payment, cause);
    }
    Ok(transaction.commit().await?)
}

async fn take_money(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (dispute, found): (&mut Dispute, &mut Found),
    report: &DisputeReport,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let placed = found.most_of(report.amount);
    dispute.of = found.origin();
    dispute.amount = report.amount;
    dispute.unplaced = report.amount.minor - placed.minor;
    dispute.fee = report.fee.filter(|fee| fee.minor > 0);
    let id = dispute.provider_ref.as_str();
    let booking = found.book(ctx, transaction, (Motion::ChargedBack, placed, id), cause).await?;
    let rest = Money::new(dispute.unplaced, dispute.amount.currency);
    write_unplaced(transaction, (SourceKind::ChargebackUnplaced, id, ""), rest, booking)?;
    if let Some(fee) = dispute.fee {
        write_fee(transaction, (id, ""), fee, booking)?;
    }
    Ok(())
}

async fn give_money(
    ctx: &Ctx,
    transaction: &mut Transaction<'_>,
    (dispute, found): (&mut Dispute, &mut Found),
    report: &DisputeReport,
    cause: Cause<'_>,
) -> Result<(), Failure> {
    let id = dispute.provider_ref.as_str();
    let motion = (Motion::Reinstated, dispute.placed(), id);
    let booking = found.book(ctx, transaction, motion, cause).await?;
    let rest = Money::new(-dispute.unplaced, dispute.amount.currency);
    write_unplaced(transaction, (SourceKind::ChargebackUnplaced, id, "#won"), rest, booking)?;
    let same_currency = |fee: &Money| dispute.fee.is_some_and(|kept| kept.currency == fee.currency);
    if let (Some(kept), Some(left)) = (dispute.fee, report.fee.filter(same_currency)) {
        write_fee(transaction, (id, "#won"), left.checked_sub(kept).map_err(refused)?, booking)?;
        dispute.fee = Some(left);
    }
    Ok(())
}

/// Money that left, and of which there was not so much: the bursar finds it in suspense.
fn write_unplaced(
    transaction: &mut Transaction<'_>,
    (kind, id, suffix): (SourceKind, &str, &str),
    amount: Money,
    booking: Booking,
) -> Result<(), Failure> {
    write_for_nobody(transaction, (kind, id, suffix), Account::Suspense, amount, booking)
}

fn write_fee(
    transaction: &mut Transaction<'_>,
    (id, suffix): (&str, &str),
    fee: Money,
    booking: Booking,
) -> Result<(), Failure> {
    let of = (SourceKind::ChargebackFee, id, suffix);
    write_for_nobody(transaction, of, Account::ProviderFees, fee, booking)
}

fn write_for_nobody(
    transaction: &mut Transaction<'_>,
    (kind, id, suffix): (SourceKind, &str, &str),
    account: Account,
    amount: Money,
    booking: Booking,
) -> Result<(), Failure> {
    let lines = [
        Line::new(account, amount),
        Line::new(Account::ProviderClearing, amount.negated().map_err(refused)?),
    ];
    let source = Source { kind, id: format!("{id}{suffix}") };
    let entry = JournalEntry::new(None, booking, source, lines).expect("one amount on both sides");
    store::write_entry(transaction, &entry);
    Ok(())
}

fn tell_refund(
    transaction: &mut Transaction<'_>,
    version: u64,
    refund: &Refund,
    found: &Found,
    Cause { now, correlation_id }: Cause<'_>,
) {
    let Found::Payment(Stored { value: payment, .. }) = found else { return };
    let (id, amount) = (refund.id, refund.amount);
    let (student, payment) = (payment.student, payment.id);
    if refund.state == RefundState::Paid {
        let event = PaymentRefunded { refund: id, payment, student, amount };
        transaction.event(event, version, now, correlation_id);
    } else {
        let reason = refund.failure_reason.clone().unwrap_or_default();
        let event = RefundFailed { refund: id, payment, student, amount, reason };
        transaction.event(event, version, now, correlation_id);
    }
}

fn tell_dispute(
    transaction: &mut Transaction<'_>,
    (movement, version): (Movement, u64),
    dispute: &Dispute,
    payment: &Stored<Payment>,
    Cause { now, correlation_id }: Cause<'_>,
) {
    let dispute_ref = dispute.provider_ref.clone();
    let Payment { id: payment, student, .. } = payment.value;
    let amount = dispute.amount;
    match movement {
        Movement::Out => {
            let reason = dispute.reason.clone();
            let event = ChargebackBooked { dispute: dispute_ref, payment, student, amount, reason };
            transaction.event(event, version, now, correlation_id);
        }
        Movement::Back => {
            let event = ChargebackReversed { dispute: dispute_ref, payment, student, amount };
            transaction.event(event, version, now, correlation_id);
        }
    }
}

fn unknown(payment_ref: &str, cause: Cause<'_>) {
    tracing::warn!(
        correlation_id = cause.correlation_id,
        payment_ref,
        "the provider tells of money going back that never came"
    );
}
