//! One happening in a student's money: what it needs is read in one call, and all that it changes (account, entry,
//! allocations, invoices, charges, number) is written in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    AccountUnfinished, BalanceHoldLifted, BalanceHoldPlaced, ChargePosted, ChargeReversed,
    ChargeSecured, ChargeSettled,
};
use kernel::{ChargeId, Currency, Date, InvoiceId, Money, PersonId, Timestamp};
use shell::Failure;
use table::{Key, Stored, Transaction};

use crate::Ctx;
use crate::domain::{
    BillingPolicy, Booking, Books, Charge, ChargeState, CreditNote, Deferral, Invoice,
    NumberCounter, Posted, ROWS_MAX, Refusal, RegisterRow, Series, SponsorContract,
    SponsorContractCode, SponsoredInvoice, StudentAccount, Turn, sponsor,
};
use crate::store::{self, Cause, Opened, missing};

/// Lets a charge that was read be what it is today: days pass without anything being booked.
pub async fn bring_to_today(ctx: &Ctx, charge: &mut Charge, now: Timestamp) -> Result<(), Failure> {
    let posted = charge.standing()?;
    if charge.state == ChargeState::Settled {
        return Ok(());
    }
    let key = store::account_key(posted.student, posted.amount.currency);
    let account = ctx.table.get(&key).await?;
    let account = account.ok_or_else(|| missing("account", posted.student))?;
    charge.follow(&account.value, ctx.institution().date(now));
    Ok(())
}

/// What a happening needs besides the student's account.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub now: Timestamp,
    /// Of the documents that it may issue.
    pub series: &'a [Series],
    pub invoices: &'a [InvoiceId],
}

/// A student's money as it was read, and as it becomes.
#[derive(Debug)]
pub struct Bookkeeping<'c> {
    ctx: &'c Ctx,
    pub account: Opened<StudentAccount>,
    counters: Vec<(Series, Opened<NumberCounter>)>,
    /// Counters that gave a number.
    used: Vec<Series>,
    books_key: Key<Books>,
    books: Option<Stored<Books>>,
    policy: BillingPolicy,
    invoices: BTreeMap<InvoiceId, Opened<Invoice>>,
    charges: BTreeMap<ChargeId, Opened<Charge>>,
    /// What the charges were when they were read.
    states_before: BTreeMap<ChargeId, ChargeState>,
    /// The institution's.
    today: Date,
    /// Lines that could be paid later when charges last followed.
    secured: BTreeSet<(InvoiceId, u32)>,
    contracts: BTreeMap<SponsorContractCode, Opened<SponsorContract>>,
    /// What changed of what sponsors are to pay.
    sponsored: BTreeMap<(SponsorContractCode, InvoiceId), Opened<SponsoredInvoice>>,
}

impl<'c> Bookkeeping<'c> {
    pub async fn open(
        ctx: &'c Ctx,
        student: PersonId,
        currency: Currency,
        wanted: Wanted<'_>,
    ) -> Result<Self, Failure> {
        let account_key = store::account_key(student, currency);
        let books_key = store::books_key(Books::copy_of(Some(student)));
        let (institution, now) = (ctx.institution(), wanted.now);
        let prefixes: Vec<(Series, String)> =
            wanted.series.iter().map(|series| (*series, series.prefix(institution, now))).collect();
        let policy_key = store::policy_key();
        let mut keys = vec![(&account_key).into(), (&books_key).into(), (&policy_key).into()];
        keys.extend(prefixes.iter().map(|(_, prefix)| (&store::counter_key(prefix)).into()));
        keys.extend(wanted.invoices.iter().map(|invoice| (&store::invoice_key(*invoice)).into()));
        let mut batch = ctx.table.get_batch(keys).await?;
        let account =
            Opened::of(batch.take(&account_key)?, || StudentAccount::empty(student, currency));
        let books = batch.take(&books_key)?;
        let policy = batch.take(&policy_key)?.map(|stored| stored.value).unwrap_or_default();
        let mut counters = Vec::new();
        for (series, prefix) in prefixes {
            let stored = batch.take(&store::counter_key(&prefix))?;
            counters.push((series, Opened::of(stored, || NumberCounter::new(prefix))));
        }
        let mut invoices = BTreeMap::new();
        for id in wanted.invoices {
            let stored: Stored<Invoice> =
                batch.take(&store::invoice_key(*id))?.ok_or_else(|| missing("invoice", id))?;
            invoices.insert(*id, stored.into());
        }
        let today = institution.date(now);
        Ok(Self {
            ctx,
            today,
            secured: account.value.secured_lines(today),
            account,
            counters,
            used: Vec::new(),
            books_key,
            books,
            policy,
            invoices,
            charges: BTreeMap::new(),
            states_before: BTreeMap::new(),
            contracts: BTreeMap::new(),
            sponsored: BTreeMap::new(),
        })
    }

    /// When, and in which posting period, something of this date is booked now.
    pub fn booking(&self, now: Timestamp, effective_date: Date) -> Booking {
        let books = self.books.as_ref().map(|books| &books.value);
        Booking::at(now, effective_date, self.ctx.institution(), books)
    }

    pub fn policy(&self) -> &BillingPolicy {
        &self.policy
    }

    pub fn books(&self) -> Option<&Books> {
        self.books.as_ref().map(|books| &books.value)
    }

    /// What happens today, the institution's.
    pub fn booking_today(&self, now: Timestamp) -> Booking {
        self.booking(now, self.ctx.institution().date(now))
    }

    /// The next number of a series that was asked for.
    pub fn take_number(&mut self, series: Series) -> String {
        self.used.push(series);
        let counter = self.counters.iter_mut().find(|(of, _)| *of == series);
        counter.expect("the series was asked for").1.value.take()
    }

    pub fn invoice(&self, id: InvoiceId) -> &Invoice {
        &self.invoices[&id].value
    }

    /// The account and one of the invoices, to be changed together.
    pub fn account_and_invoice(&mut self, id: InvoiceId) -> (&mut StudentAccount, &mut Invoice) {
        let invoice = self.invoices.get_mut(&id).expect("the invoice was asked for");
        (&mut self.account.value, &mut invoice.value)
    }

    pub fn add_invoice(&mut self, invoice: Invoice) {
        let id = invoice.document().id;
        self.invoices.insert(id, Opened { value: invoice, read_version: None });
    }

    pub fn add_charge(&mut self, charge: Opened<Charge>) {
        let (id, state) = (charge.value.id, charge.value.state);
        self.states_before.insert(id, state);
        self.charges.insert(id, charge);
    }

    /// Every charge that was read, to be changed.
    pub fn charges_mut(&mut self) -> impl Iterator<Item = &mut Charge> {
        self.charges.values_mut().map(|charge| &mut charge.value)
    }

    /// Those of the charges that there are and that were not settled when they were read, which they are now.
    pub async fn unsettled_of(&mut self, ids: &[ChargeId]) -> Result<Vec<ChargeId>, Failure> {
        let unread = ids.iter().filter(|id| !self.charges.contains_key(id));
        let unread: Vec<ChargeId> = unread.copied().collect();
        if !unread.is_empty() {
            let keys = unread.iter().map(|id| (&store::charge_key(*id)).into()).collect();
            let mut batch = self.ctx.table.get_batch(keys).await?;
            for id in unread {
                let charge: Option<Stored<Charge>> = batch.take(&store::charge_key(id))?;
                if let Some(charge) = charge.filter(|one| one.value.state.is_open()) {
                    self.add_charge(charge.into());
                }
            }
        }
        let is_unsettled =
            |id: &&ChargeId| self.states_before.get(id).is_some_and(|state| state.is_open());
        Ok(ids.iter().filter(is_unsettled).copied().collect())
    }

    pub fn charge(&self, id: ChargeId) -> &Opened<Charge> {
        &self.charges[&id]
    }

    /// Lets invoices and charges follow what was applied; those that nobody has read yet are read now.
    pub async fn take_over(&mut self, turn: &Turn) -> Result<(), Failure> {
        let unread = |row: &&crate::domain::Allocation| !self.invoices.contains_key(&row.invoice);
        let mut wanted: Vec<InvoiceId> =
            turn.applied.iter().filter(unread).map(|row| row.invoice).collect();
        // One invoice may be paid by several funds, not one after the other.
        wanted.sort_unstable();
        wanted.dedup();
        self.read_invoices(&wanted).await?;
        for row in &turn.applied {
            let invoice = self.invoices.get_mut(&row.invoice).expect("it was read");
            if !invoice.value.has_room_for(row) {
                // It was read after the account, and somebody else was paid in between: the account is stale.
                return Err(Failure::Conflict { with_twin: false });
            }
            invoice.value.take_over(row);
        }
        self.follow().await
    }

    /// Reads invoices that the happening turned out to touch.
    pub async fn read_invoices(&mut self, ids: &[InvoiceId]) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys = ids.iter().map(|id| (&store::invoice_key(*id)).into()).collect();
        let mut batch = self.ctx.table.get_batch(keys).await?;
        for id in ids {
            let Some(stored) = batch.take(&store::invoice_key(*id))? else { continue };
            self.invoices.insert(*id, stored.into());
        }
        Ok(())
    }

    /// Lets charges follow the account: those of the invoices that were read, and those of lines that may be paid later
    /// from now on, or may no longer.
    pub async fn follow(&mut self) -> Result<(), Failure> {
        let of_invoices = self.invoices.values().flat_map(|invoice| invoice.value.charges());
        let touched: BTreeSet<ChargeId> = of_invoices.collect();
        let mut moved = self.moved_charges(ROWS_MAX.saturating_sub(touched.len())).await?;
        moved.retain(|id| !touched.contains(id) && !self.charges.contains_key(id));
        self.read_charges(touched.union(&moved).copied().collect()).await?;
        for charge in self.charges.values_mut() {
            charge.value.follow(&self.account.value, self.today);
        }
        // What only its date could have changed is left alone where it did not.
        let states = &self.states_before;
        self.charges.retain(|id, charge| !moved.contains(id) || states[id] != charge.value.state);
        Ok(())
    }

    /// So many charges of lines that may be paid later from now on, or may no longer. The account notes the rest.
    async fn moved_charges(&mut self, most: usize) -> Result<BTreeSet<ChargeId>, Failure> {
        let secured = self.account.value.secured_lines(self.today);
        let moved = secured.symmetric_difference(&self.secured).map(|(invoice, _)| *invoice);
        let moved = moved.filter(|invoice| !self.invoices.contains_key(invoice));
        let moved: BTreeSet<InvoiceId> = moved.collect();
        self.secured = secured;
        self.account.value.let_follow(moved);
        let mut invoices = Vec::new();
        while invoices.len() < most {
            let Some(invoice) = self.account.value.take_unfollowed() else { break };
            invoices.push(invoice);
        }
        if invoices.is_empty() {
            return Ok(BTreeSet::new());
        }
        let keys = invoices.iter().map(|id| (&store::invoice_key(*id)).into()).collect();
        let mut batch = self.ctx.table.get_batch(keys).await?;
        let mut charges = BTreeSet::new();
        for id in invoices {
            let stored: Stored<Invoice> =
                batch.take(&store::invoice_key(id))?.ok_or_else(|| missing("invoice", id))?;
            charges.extend(stored.value.charges());
        }
        Ok(charges)
    }

    /// Lets the student's sponsors pay their parts of the invoices that were read or issued, as these stand now: after
    /// everything else that happens to them.
    pub async fn sponsor(&mut self, booking: Booking) -> Result<Vec<Turn>, Failure> {
        let mut turns = Vec::new();
        for code in self.account.value.sponsors() {
            if !self.contracts.contains_key(&code) {
                let contract = self.ctx.table.get(&store::sponsor_contract_key(&code)).await?;
                let contract = contract.ok_or_else(|| missing("sponsor's contract", &code.0))?;
                self.contracts.insert(code.clone(), contract.into());
            }
            let invoices: Vec<InvoiceId> = self.invoices.keys().copied().collect();
            for id in invoices {
                let contract = self.contracts.get_mut(&code).expect("it was read");
                let invoice = &mut self.invoices.get_mut(&id).expect("it was read").value;
                let issued_on = self.ctx.institution().date(invoice.document().issued_at);
                let account = &mut self.account.value;
                let turn = sponsor(account, invoice, &mut contract.value, issued_on, booking)?;
                let Some(turn) = turn else { continue };
                self.take_over(&turn).await?;
                self.state_sponsored(&code, id).await?;
                turns.push(turn);
            }
        }
        Ok(turns)
    }

    /// Brings a row of a sponsor's statement to what the sponsor is to pay now.
    async fn state_sponsored(
        &mut self,
        code: &SponsorContractCode,
        id: InvoiceId,
    ) -> Result<(), Failure> {
        let contract = &mut self.contracts.get_mut(code).expect("it was read").value;
        let invoice = &self.invoices[&id].value;
        let issued_at = invoice.document().issued_at;
        let at = (code.clone(), id);
        if !self.sponsored.contains_key(&at) {
            let key = store::sponsored_invoice_key(code, issued_at, id);
            let stored = self.ctx.table.get(&key).await?;
            let issued_on = self.ctx.institution().date(issued_at);
            let new = || SponsoredInvoice::of(contract, invoice, issued_on);
            self.sponsored.insert(at.clone(), Opened::of(stored, new));
        }
        let row = &mut self.sponsored.get_mut(&at).expect("it stands there").value;
        row.follow(self.account.value.sponsored_of(code, id), contract);
        Ok(())
    }

    /// Lets a sponsor pay no more of an invoice than it has: the rest is the student's, and due later than the invoice
    /// says.
    pub async fn return_sponsored(
        &mut self,
        row: &SponsoredInvoice,
        deferral: Deferral,
        booking: Booking,
    ) -> Result<Vec<Turn>, Failure> {
        let (code, id) = (&row.contract, row.invoice);
        self.account.value.limit_sponsor(code, id, row.paid);
        let turns = self.sponsor(booking).await?;
        let Some(row) = self.sponsored.get_mut(&(code.clone(), id)) else {
            return Err(Refusal::NothingOpen.into());
        };
        row.value.returned = Some(deferral.decided.clone());
        let today = self.today;
        let (account, invoice) = self.account_and_invoice(id);
        if invoice.open().minor > 0 {
            account.defer(invoice, deferral, today)?;
            self.follow().await?;
        }
        Ok(turns)
    }

    async fn read_charges(&mut self, mut ids: BTreeSet<ChargeId>) -> Result<(), Failure> {
        ids.retain(|id| !self.charges.contains_key(id));
        if ids.is_empty() {
            return Ok(());
        }
        let keys = ids.iter().map(|id| (&store::charge_key(*id)).into()).collect();
        let mut batch = self.ctx.table.get_batch(keys).await?;
        for id in ids {
            let stored: Stored<Charge> =
                batch.take(&store::charge_key(id))?.ok_or_else(|| missing("charge", id))?;
            self.add_charge(stored.into());
        }
        Ok(())
    }

    /// Every invoice that was read, to be changed together with the account.
    pub fn account_and_invoices(&mut self) -> (&mut StudentAccount, Vec<&mut Invoice>) {
        let invoices = self.invoices.values_mut().map(|invoice| &mut invoice.value).collect();
        (&mut self.account.value, invoices)
    }

    /// Writes all that was read and changed, the turns' entries and rows, and tells which charges settled, and whether
    /// there is something left to do.
    pub fn write(&mut self, transaction: &mut Transaction<'_>, turns: &[Turn], cause: Cause<'_>) {
        self.judge(transaction, cause);
        self.account.write(transaction);
        transaction.check(&self.books_key, self.books.as_ref().map(|books| books.version));
        for (_, counter) in self.counters.iter().filter(|(of, _)| self.used.contains(of)) {
            counter.write(transaction);
        }
        for invoice in self.invoices.values() {
            invoice.write(transaction);
            if invoice.read_version.is_none() {
                let document = invoice.value.document();
                transaction.create(&RegisterRow::of(
                    &document.number,
                    document.id,
                    document.student,
                    document.total,
                    document.issued_at,
                ));
            }
        }
        for charge in self.charges.values() {
            charge.write(transaction);
        }
        for row in self.sponsored.values() {
            row.write(transaction);
        }
        let changed: BTreeSet<_> = self.sponsored.keys().map(|(code, _)| code).collect();
        for code in changed {
            self.contracts[code].write(transaction);
        }
        for turn in turns {
            store::write_entry(transaction, &turn.entry);
            for row in turn.freed.iter().chain(&turn.applied) {
                transaction.create(row);
            }
        }
        for charge in self.charges.values() {
            self.tell_change(transaction, charge, cause);
        }
        let StudentAccount { student, currency, .. } = self.account.value;
        if self.account.value.is_unfinished() {
            let event = AccountUnfinished { student, currency };
            transaction.event(event, self.account.next_version(), cause.now, cause.correlation_id);
        }
    }

    /// Tells where a charge came to be settled, or secured.
    fn tell_change(
        &self,
        transaction: &mut Transaction<'_>,
        charge: &Opened<Charge>,
        cause: Cause<'_>,
    ) {
        let Charge { id, bundle, state, posted, .. } = charge.value;
        let Some(Posted { student, invoice, .. }) = posted else { return };
        let version = charge.next_version();
        match (self.states_before[&id], state) {
            (ChargeState::Posted | ChargeState::Secured, ChargeState::Settled) => {
                let event = ChargeSettled { charge: id, bundle, student, invoice };
                transaction.event(event, version, cause.now, cause.correlation_id);
            }
            (ChargeState::Posted, ChargeState::Secured) => {
                let event = ChargeSecured { charge: id, bundle, student, invoice };
                transaction.event(event, version, cause.now, cause.correlation_id);
            }
            _ => {}
        }
    }

    /// Tells where what is overdue begins to hold the student, or does so no longer.
    fn judge(&mut self, transaction: &mut Transaction<'_>, cause: Cause<'_>) {
        let account = &mut self.account;
        let today = self.ctx.institution().date(cause.now);
        let (holds, overdue) = self.policy.holds(&account.value, today);
        if !account.value.hold(holds) {
            return;
        }
        let (student, word) = (account.value.student, account.next_version());
        if holds {
            let event = BalanceHoldPlaced { student, overdue, word };
            transaction.event(event, word, cause.now, cause.correlation_id);
        } else {
            let event = BalanceHoldLifted { student, overdue, word };
            transaction.event(event, word, cause.now, cause.correlation_id);
        }
    }

    /// Tells that the charge of a bundle was posted.
    pub fn tell_posted(
        &self,
        transaction: &mut Transaction<'_>,
        (charge, invoice): (ChargeId, InvoiceId),
        cause: Cause<'_>,
    ) {
        let charge = self.charge(charge);
        let document = self.invoice(invoice).document();
        let event = ChargePosted {
            charge: charge.value.id,
            bundle: charge.value.bundle,
            student: document.student,
            invoice: document.id,
            invoice_number: document.number.clone(),
            amount: document.total,
        };
        transaction.event(event, charge.next_version(), cause.now, cause.correlation_id);
    }

    /// Writes credit notes, and tells once of each charge of which they took something back.
    pub fn write_notes(
        &self,
        transaction: &mut Transaction<'_>,
        notes: &[CreditNote],
        undone: Option<ChargeId>,
        cause: Cause<'_>,
    ) -> Result<(), Refusal> {
        let mut told: BTreeMap<ChargeId, ChargeReversed> = BTreeMap::new();
        for note in notes {
            transaction.create(note);
            transaction.create(&RegisterRow::of(
                &note.number,
                note.invoice,
                note.student,
                note.total.negated()?,
                note.issued_at,
            ));
            let repriced = self.invoice(note.invoice).document().repriced.first().copied();
            let Some(id) = note.charge.or(undone).or(repriced) else { continue };
            let reversed = told.entry(id).or_insert_with(|| ChargeReversed {
                charge: id,
                bundle: self.charge(id).value.bundle,
                student: note.student,
                credit_note_number: note.number.clone(),
                amount: Money::zero(note.total.currency),
            });
            reversed.amount = reversed.amount.checked_add(note.total)?;
        }
        for (id, event) in told {
            let version = self.charge(id).next_version();
            transaction.event(event, version, cause.now, cause.correlation_id);
        }
        Ok(())
    }
}
