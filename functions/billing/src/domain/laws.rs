//! Laws of billing, tried on sequences of happenings that nobody would think of, and the bursar's own examples.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{BundleId, Id, InvoiceId, Money, PaymentId, PersonId, RegistrationId, Timestamp};
use proptest::prelude::*;

use super::*;

/// What can happen to a student's two bundles of three lines each.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Charge(usize),
    Start(usize),
    /// The provider's word on the nth payment that was started: money, or none.
    Succeed(usize),
    Fail(usize),
    Expire(usize),
    /// So much per cent of a line is taken back.
    Drop(usize, u32, i64),
    Reverse(usize),
    /// Money over the counter: so much, for the second code only or for all.
    Give(i64, bool),
    /// So much per cent of what is unapplied of the nth payment.
    Refund(usize, i64),
    ConcludeRefund(usize, bool),
    /// The provider pays back, and a payer's bank takes back, so much per cent of what is left of the nth payment.
    TakeRefund(usize, i64),
    ChargeBack(usize, i64),
    /// The nth dispute is won.
    Reinstate(usize),
    Reallocate(usize, usize),
    /// What was too much for the transaction of another happening.
    GoOn,
    /// The bursar's office charges, credits the second code or all, and gives up a part of what is open.
    ChargeByHand(i64),
    CreditByHand(i64),
    WriteOff(usize, i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let bundle = 0..2_usize;
    let payment = 0..8_usize;
    prop_oneof![
        bundle.clone().prop_map(Happening::Charge),
        bundle.clone().prop_map(Happening::Start),
        payment.clone().prop_map(Happening::Succeed),
        payment.clone().prop_map(Happening::Fail),
        payment.clone().prop_map(Happening::Expire),
        (bundle.clone(), 0..3_u32, 1..=100_i64)
            .prop_map(|(bundle, line, percent)| Happening::Drop(bundle, line, percent)),
        bundle.clone().prop_map(Happening::Reverse),
        (1..150_000_i64, any::<bool>()).prop_map(|(minor, only)| Happening::Give(minor, only)),
        (payment.clone(), 1..=100_i64)
            .prop_map(|(payment, percent)| Happening::Refund(payment, percent)),
        (0..4_usize, any::<bool>()).prop_map(|(nth, paid)| Happening::ConcludeRefund(nth, paid)),
        (payment.clone(), 1..=100_i64)
            .prop_map(|(payment, percent)| Happening::TakeRefund(payment, percent)),
        (payment.clone(), 1..=100_i64)
            .prop_map(|(payment, percent)| Happening::ChargeBack(payment, percent)),
        (0..4_usize).prop_map(Happening::Reinstate),
        (payment, bundle.clone())
            .prop_map(|(payment, bundle)| Happening::Reallocate(payment, bundle)),
        Just(Happening::GoOn),
        (1..90_000_i64).prop_map(Happening::ChargeByHand),
        (1..90_000_i64).prop_map(Happening::CreditByHand),
        (bundle, 1..=100_i64).prop_map(|(bundle, percent)| Happening::WriteOff(bundle, percent)),
    ]
}

struct PaidBack {
    payment: usize,
    amount: Money,
    state: RefundState,
}

/// What was taken back of a payment, and whether it is here again.
struct TakenBack {
    payment: usize,
    amount: Money,
    is_won: bool,
}

struct World {
    prices: [i64; 3],
    account: StudentAccount,
    invoices: BTreeMap<InvoiceId, Invoice>,
    charges: BTreeMap<usize, Charge>,
    payments: Vec<Payment>,
    refunds: Vec<PaidBack>,
    disputes: Vec<TakenBack>,
    adjustments: usize,
    entries: Vec<JournalEntry>,
    rows: Vec<Allocation>,
    credit_notes: NumberCounter,
    contract: Option<SponsorContract>,
}

impl World {
    fn new(prices: [i64; 3]) -> Self {
        Self {
            prices,
            account: StudentAccount::empty(student(), francs(0).currency),
            invoices: BTreeMap::new(),
            charges: BTreeMap::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
            adjustments: 0,
            entries: Vec::new(),
            rows: Vec::new(),
            credit_notes: NumberCounter::new("MAT-CN-2027".into()),
            contract: None,
        }
    }

    /// Puts the student under a contract of this share, up to so much in all.
    fn agree(&mut self, basis_points: u16, in_all: i64) {
        let code = SponsorContractCode("ministry".into());
        let terms = SponsorTerms {
            sponsor: "A ministry".into(),
            currency: francs(0).currency,
            first_day: today(),
            last_day: today(),
            rules: vec![SponsorRule {
                codes: Vec::new(),
                pays: Reduction::Share { basis_points, cap: None },
            }],
            per_term: None,
            per_student: None,
            in_all: Some(francs(in_all)),
            payment_terms_days: 7,
            falls_back_after_days: None,
        };
        let contract = code.clone();
        self.account.put_under_contract(Sponsorship { contract, from: today(), until: None });
        self.contract = Some(SponsorContract::new(code, terms, student()));
    }

    /// What the sponsor pays follows what the invoices have become.
    fn let_sponsor_pay(&mut self) {
        let Some(mut contract) = self.contract.take() else { return };
        let ids: Vec<InvoiceId> = self.invoices.keys().copied().collect();
        for id in ids {
            let invoice = self.invoices.get_mut(&id).expect("it was issued");
            let turn = sponsor(&mut self.account, invoice, &mut contract, today(), booking());
            if let Some(turn) = turn.expect("in range") {
                self.take_over(turn);
            }
        }
        self.contract = Some(contract);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Charge(bundle) => self.charge(bundle),
            Happening::Start(bundle) => self.start(bundle),
            Happening::Succeed(nth) => self.succeed(nth),
            Happening::Fail(nth) => self.end(nth, |payment, invoice| {
                payment.fail(invoice, "card_declined", now());
            }),
            Happening::Expire(nth) => self.end(nth, |payment, invoice| {
                payment.expire(invoice, now());
            }),
            Happening::Drop(bundle, line, percent) => self.drop(bundle, line, percent),
            Happening::Reverse(bundle) => self.reverse(bundle),
            Happening::Give(minor, only) => self.give(minor, only),
            Happening::Refund(nth, percent) => self.refund(nth, percent),
            Happening::ConcludeRefund(nth, is_paid) => self.conclude_refund(nth, is_paid),
            Happening::TakeRefund(nth, percent) => self.take_refund(nth, percent),
            Happening::ChargeBack(nth, percent) => self.charge_back(nth, percent),
            Happening::Reinstate(nth) => self.reinstate(nth),
            Happening::Reallocate(nth, bundle) => self.reallocate(nth, bundle),
            Happening::GoOn => self.go_on(),
            Happening::ChargeByHand(minor) => self.charge_by_hand(minor),
            Happening::CreditByHand(minor) => self.credit_by_hand(minor),
            Happening::WriteOff(bundle, percent) => self.write_off(bundle, percent),
        }
    }

    fn take_over(&mut self, turn: Turn) {
        for row in &turn.applied {
            self.invoices.get_mut(&row.invoice).expect("it was issued").take_over(row);
        }
        for charge in self.charges.values_mut() {
            charge.follow(&self.account, today());
        }
        self.entries.push(turn.entry);
        self.rows.extend(turn.freed);
        self.rows.extend(turn.applied);
    }

    fn charge(&mut self, bundle: usize) {
        if self.charges.contains_key(&bundle) {
            return;
        }
        let lines: Vec<InvoiceLine> =
            (0..).zip(self.prices).map(|(at, minor)| line(bundle, at, minor)).collect();
        let id = BundleId::derived_from(&bundle.to_string());
        let total = francs(self.prices.iter().sum());
        let document = document(bundle, lines, total);
        let term = kernel::TermId::derived_from("2027S");
        let posted = Posted { student: student(), term, invoice: document.id, amount: total };
        let source = Source { kind: SourceKind::Charge, id: bundle.to_string() };
        let (invoice, turn) = post(document, source, &mut self.account, booking()).expect("posts");
        self.invoices.insert(posted.invoice, invoice);
        self.charges.insert(bundle, Charge::posted(id, posted));
        self.take_over(turn);
    }

    fn start(&mut self, bundle: usize) {
        let Some(invoice) = self.invoices.get_mut(&invoice_id(bundle)) else { return };
        let payment = payment(self.payments.len(), francs(0), Channel::Card);
        let Ok(amount) = invoice.begin_payment(payment.id, None) else { return };
        assert!(amount.minor > 0, "nobody is asked for nothing");
        let invoice = Some(invoice_id(bundle));
        self.payments.push(Payment { invoice, amount, ..payment });
    }

    fn give(&mut self, minor: i64, only: bool) {
        let mut payment = payment(self.payments.len(), francs(minor), Channel::Cash);
        if only {
            payment.only = vec![code(1)];
        }
        self.payments.push(payment);
        self.succeed(self.payments.len() - 1);
    }

    fn succeed(&mut self, nth: usize) {
        let Some(payment) = self.payments.get_mut(nth) else { return };
        let invoice = payment.invoice.and_then(|id| self.invoices.get_mut(&id));
        let turn = receive(payment, invoice, &mut self.account, booking()).expect("receives");
        if let Some(turn) = turn {
            self.take_over(turn);
        }
    }

    fn end(&mut self, nth: usize, end: impl Fn(&mut Payment, Option<&mut Invoice>)) {
        let Some(payment) = self.payments.get_mut(nth) else { return };
        let invoice = payment.invoice.and_then(|id| self.invoices.get_mut(&id));
        end(payment, invoice);
    }

    fn drop(&mut self, bundle: usize, line: u32, percent: i64) {
        let Some(invoice) = self.invoices.get(&invoice_id(bundle)) else { return };
        let part = francs(invoice.standing_of(line)).fraction(percent, 100).expect("in range");
        if part.minor > 0 {
            self.take_back(bundle, &[(line, part)]);
        }
    }

    fn reverse(&mut self, bundle: usize) {
        let Some(invoice) = self.invoices.get(&invoice_id(bundle)) else { return };
        let standing = |at| (at, francs(invoice.standing_of(at)));
        let lines: Vec<_> = invoice.standing_lines().map(|(at, _)| standing(at)).collect();
        if let Some(charge) = self.charges.get_mut(&bundle) {
            charge.reverse();
        }
        if !lines.is_empty() {
            self.take_back(bundle, &lines);
        }
    }

    fn take_back(&mut self, bundle: usize, lines: &[(u32, Money)]) {
        let number = self.credit_notes.take();
        let invoice = self.invoices.get_mut(&invoice_id(bundle)).expect("it was issued");
        let (_, turn) =
            take_back(invoice, &mut self.account, lines, &number, booking()).expect("takes");
        self.take_over(turn);
    }

    fn refund(&mut self, nth: usize, percent: i64) {
        let Some(payment) = self.payments.get_mut(nth) else { return };
        let left = self.account.left_of(payment.id);
        let amount = left.fraction(percent, 100).expect("in range");
        let id = self.refunds.len().to_string();
        let too_much = begin_refund(
            payment,
            left.checked_add(francs(1)).expect("in range"),
            &id,
            &mut self.account,
            booking(),
        );
        assert!(too_much.is_err(), "what is applied is not paid back");
        let Ok(turn) = begin_refund(payment, amount, &id, &mut self.account, booking()) else {
            return;
        };
        let is_gone = payment.channel == Channel::Cash;
        let state = if is_gone { RefundState::Paid } else { RefundState::Pending };
        self.refunds.push(PaidBack { payment: nth, amount, state });
        self.take_over(turn);
    }

    fn conclude_refund(&mut self, nth: usize, is_paid: bool) {
        let Some(refund) = self.refunds.get_mut(nth) else { return };
        let payment = &mut self.payments[refund.payment];
        let outcome = match (refund.state, is_paid) {
            (RefundState::Pending, true) => Outcome::Paid,
            (RefundState::Pending, false) => Outcome::Failed,
            (RefundState::Paid, false) if payment.channel == Channel::Card => Outcome::Bounced,
            _ => return,
        };
        refund.state = if is_paid { RefundState::Paid } else { RefundState::Failed };
        let id = nth.to_string();
        let word = (id.as_str(), outcome);
        let turn = conclude_refund(payment, refund.amount, word, &mut self.account, booking());
        self.take_over(turn.expect("concludes"));
    }

    /// So much per cent of what is left of a payment that came in.
    fn part_of(&self, nth: usize, percent: i64) -> Option<Money> {
        let payment = self.payments.get(nth).filter(|payment| payment.is_received())?;
        let part = payment.kept().fraction(percent, 100).expect("in range");
        (part.minor > 0).then_some(part)
    }

    fn take_refund(&mut self, nth: usize, percent: i64) {
        let Some(amount) = self.part_of(nth, percent) else { return };
        let id = self.refunds.len().to_string();
        let mut paid: Vec<&mut Invoice> = self.invoices.values_mut().collect();
        let books = (&mut self.account, booking());
        let turn = take_refund(&mut self.payments[nth], amount, &id, &mut paid, books);
        self.refunds.push(PaidBack { payment: nth, amount, state: RefundState::Paid });
        self.take_over(turn.expect("there is so much of it"));
    }

    fn charge_back(&mut self, nth: usize, percent: i64) {
        let Some(amount) = self.part_of(nth, percent) else { return };
        let id = self.disputes.len().to_string();
        let mut paid: Vec<&mut Invoice> = self.invoices.values_mut().collect();
        let books = (&mut self.account, booking());
        let turn = charge_back(&mut self.payments[nth], amount, &id, &mut paid, books);
        self.disputes.push(TakenBack { payment: nth, amount, is_won: false });
        self.take_over(turn.expect("there is so much of it"));
    }

    fn reinstate(&mut self, nth: usize) {
        let open = self.disputes.get_mut(nth).filter(|dispute| !dispute.is_won);
        let Some(dispute) = open else { return };
        dispute.is_won = true;
        let (id, books) = (nth.to_string(), (&mut self.account, booking()));
        let turn = reinstate(&mut self.payments[dispute.payment], dispute.amount, &id, books);
        self.take_over(turn.expect("in range"));
    }

    fn reallocate(&mut self, nth: usize, bundle: usize) {
        let Some(named) = self.invoices.get(&invoice_id(bundle)).cloned() else { return };
        let Some(payment) = self.payments.get(nth) else { return };
        let mut paid: Vec<&mut Invoice> = self.invoices.values_mut().collect();
        let turn = reallocate(payment, &mut paid, &named, &mut self.account, booking());
        if let Ok(turn) = turn {
            self.take_over(turn);
        }
    }

    fn go_on(&mut self) {
        let overdrawn = self.account.overdrawn().next();
        let mut paid: Vec<&mut Invoice> = self.invoices.values_mut().collect();
        let turn = go_on(overdrawn, &mut paid, (&mut self.account, booking()));
        self.take_over(turn.expect("in range"));
    }

    fn adjustment(&mut self, what: AdjustmentKind, amount: Money) -> AccountAdjustment {
        self.adjustments += 1;
        AccountAdjustment {
            id: kernel::AdjustmentId::derived_from(&self.adjustments.to_string()),
            student: student(),
            what,
            amount,
            reason: "agreed".into(),
            state: AdjustmentState::Booked,
            requested_by: student(),
            requested_at: now(),
            decided: None,
        }
    }

    fn charge_by_hand(&mut self, minor: i64) {
        let what = AdjustmentKind::Charge { code: code(1), term_code: "2027S".into() };
        let adjustment = self.adjustment(what, francs(minor));
        let at = 100 + self.adjustments;
        let line = adjustment.line().expect("of a charge");
        let document = InvoiceDocument {
            charge: None,
            bundle: None,
            ..document(at, vec![line], adjustment.amount)
        };
        let source = Source { kind: SourceKind::Adjustment, id: adjustment.id.to_string() };
        let (invoice, turn) = post(document, source, &mut self.account, booking()).expect("posts");
        self.invoices.insert(invoice_id(at), invoice);
        self.take_over(turn);
    }

    fn credit_by_hand(&mut self, minor: i64) {
        let (code, term_code) = (code(1), "2027S");
        let what = AdjustmentKind::Credit {
            code: code.clone(),
            term_code: term_code.into(),
            invoice: None,
        };
        let adjustment = self.adjustment(what, francs(minor));
        let of = (&code, term_code);
        let turn = give_credit(&adjustment, of, None, &mut self.account, booking());
        self.take_over(turn.expect("in range"));
    }

    fn write_off(&mut self, bundle: usize, percent: i64) {
        let Some(invoice) = self.invoices.get(&invoice_id(bundle)).cloned() else { return };
        let amount = invoice.open().fraction(percent, 100).expect("in range");
        let what = AdjustmentKind::WriteOff { invoice: invoice_id(bundle) };
        let adjustment = self.adjustment(what, amount);
        if amount.minor > 0 {
            let turn = write_off(&adjustment, &invoice, &mut self.account, booking());
            self.take_over(turn.expect("so much is open"));
        }
    }

    fn balance(&self, account: Account) -> i64 {
        let lines = self.entries.iter().flat_map(JournalEntry::lines);
        lines.filter(|line| line.account == account).map(|line| line.amount.minor).sum()
    }

    /// Money that came in by a channel and has not left again.
    fn kept(&self, channel: Channel) -> i64 {
        let is_of = |nth: usize| self.payments[nth].channel == channel;
        let received = self.payments.iter().filter(|one| one.channel == channel);
        let received = received.filter(|payment| payment.is_received());
        let paid_back = self.refunds.iter().filter(|refund| refund.state == RefundState::Paid);
        let paid_back = paid_back.filter(|refund| is_of(refund.payment));
        let taken_back = self.disputes.iter().filter(|one| is_of(one.payment) && !one.is_won);
        received.map(|payment| payment.amount.minor).sum::<i64>()
            - paid_back.map(|refund| refund.amount.minor).sum::<i64>()
            - taken_back.map(|dispute| dispute.amount.minor).sum::<i64>()
    }

    fn check(&self) {
        let lines = self.entries.iter().flat_map(JournalEntry::lines);
        assert_eq!(lines.map(|line| line.amount.minor).sum::<i64>(), 0, "the ledger balances");
        let mut open = 0;
        for charge in self.charges.values() {
            let invoice = &self.invoices[&charge.posted.expect("posted").invoice];
            let document = invoice.document();
            for at in 0..3 {
                let of_line = invoice.open_of(at);
                let amount = document.lines[at as usize].amount.minor;
                assert!((0..=amount).contains(&of_line), "{of_line} of {amount} is open");
            }
            let of_invoice = invoice.open().minor;
            let (paid, credited) = (invoice.paid().minor, invoice.credited().minor);
            assert_eq!(of_invoice, document.total.minor - paid - credited);
            assert_eq!(charge.state == ChargeState::Posted, of_invoice > 0);
        }
        for invoice in self.invoices.values() {
            open += invoice.open().minor;
        }
        let given_up =
            self.invoices.values().map(|invoice| invoice.written_off().minor).sum::<i64>();
        assert_eq!(self.balance(Account::WriteOffs), given_up, "only what is owed is given up");
        let sponsored: i64 = self.invoices.values().map(|one| one.sponsored().minor).sum();
        assert_eq!(self.balance(Account::SponsorReceivable), sponsored, "a sponsor owes its part");
        if let Some(contract) = &self.contract {
            assert_eq!(contract.pledged, sponsored, "the contract knows what it pays");
            let most = contract.terms.in_all.expect("it has a cap");
            assert!(sponsored <= most.minor, "no sponsor pays beyond a cap");
        }
        assert_eq!(self.balance(Account::Receivable), open, "what is owed is what is open");
        let known: i64 = self.account.open_lines().iter().map(|line| line.open).sum();
        assert_eq!(known, open, "the account knows every open line");
        let unapplied = self.account.unapplied_cash().minor;
        assert_eq!(self.balance(Account::UnappliedCash), -unapplied);
        assert_eq!(self.balance(Account::ProviderClearing), self.kept(Channel::Card));
        assert_eq!(self.balance(Account::Cash), self.kept(Channel::Cash), "no money is lost");
        let under_way = self.refunds.iter().filter(|one| one.state == RefundState::Pending);
        let under_way: i64 = under_way.map(|refund| refund.amount.minor).sum();
        assert_eq!(self.balance(Account::RefundsPayable), -under_way);
        let booked = self.entries.iter().filter(|entry| !entry.lines().is_empty());
        let ids: BTreeSet<_> = booked.clone().map(JournalEntry::id).collect();
        assert_eq!(ids.len(), booked.count(), "nothing is booked twice");
        let replayed = self.account.replayed(&self.entries).expect("in range");
        assert_eq!(replayed, self.account, "a replay comes to the same");
        self.check_rows();
    }

    /// The append-only rows say the same as the invoices.
    fn check_rows(&self) {
        let places: BTreeSet<_> = self.rows.iter().map(|row| (row.turn, row.place)).collect();
        assert_eq!(places.len(), self.rows.len(), "each row has a place of its own");
        for invoice in self.invoices.values() {
            let id = invoice.document().id;
            let rows = self.rows.iter().filter(|row| row.invoice == id);
            assert_eq!(rows.map(|row| row.amount.minor).sum::<i64>(), invoice.paid().minor);
        }
    }

    fn open(&self, bundle: usize) -> Vec<i64> {
        let invoice = &self.invoices[&invoice_id(bundle)];
        let lines = u32::try_from(invoice.document().lines.len()).expect("few");
        (0..lines).map(|line| invoice.open_of(line)).collect()
    }
}

fn francs(minor: i64) -> Money {
    Money::new(minor, "XAF".parse().expect("a currency"))
}

fn student() -> PersonId {
    PersonId::derived_from("ada")
}

fn now() -> Timestamp {
    "2027-01-15T08:30:00Z".parse().expect("a timestamp")
}

fn today() -> kernel::Date {
    Institution::example().date(now())
}

fn booking() -> Booking {
    Booking::at(now(), today(), &Institution::example(), None)
}

fn code(at: u32) -> ChargeCode {
    ChargeCode(format!("CODE{at}"))
}

fn invoice_id(bundle: usize) -> InvoiceId {
    InvoiceId::derived_from(&bundle.to_string())
}

fn line(bundle: usize, at: u32, minor: i64) -> InvoiceLine {
    InvoiceLine {
        code: code(at),
        description: "Calculus".into(),
        registration: Some(RegistrationId::derived_from(&format!("{bundle}#{at}"))),
        term_code: "2027S".into(),
        quantity_hundredths: 100,
        unit_price: francs(minor),
        amount: francs(minor),
    }
}

fn document(bundle: usize, lines: Vec<InvoiceLine>, total: Money) -> InvoiceDocument {
    let id = BundleId::derived_from(&bundle.to_string());
    InvoiceDocument {
        id: invoice_id(bundle),
        number: format!("MAT-2027-{bundle:06}"),
        student: student(),
        charge: Some(Charge::id_of(id)),
        bundle: Some(id),
        repriced: Vec::new(),
        term_code: "2027S".into(),
        issued_at: now(),
        due: Institution::example().due(now()),
        lines,
        total,
    }
}

fn payment(nth: usize, amount: Money, channel: Channel) -> Payment {
    Payment {
        id: PaymentId::derived_from(&nth.to_string()),
        invoice: None,
        student: student(),
        amount,
        channel,
        payment_method: "pm".into(),
        phone: None,
        only: Vec::new(),
        state: PaymentState::Initiated,
        provider_ref: None,
        initiated_at: now(),
        concluded_at: None,
        failure_reason: None,
        refunded: francs(0),
        charged_back: 0,
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_books_balance_no_line_is_overpaid_and_no_money_is_lost(
        prices in prop::array::uniform3(0_i64..100_000),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut world = World::new(prices);
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
    }
}

proptest! {
    #[test]
    fn the_same_holds_where_a_sponsor_pays_a_part(
        prices in prop::array::uniform3(0_i64..100_000),
        basis_points in 1_u16..=10_000,
        in_all in 1_i64..300_000,
        happenings in prop::collection::vec(happening(), 0..40),
    ) {
        let mut world = World::new(prices);
        world.agree(basis_points, in_all);
        for happening in happenings {
            world.happen(happening);
            world.let_sponsor_pay();
            world.check();
        }
    }
}

#[test]
fn an_invoice_of_half_a_payment_is_partially_paid() {
    let mut world = World::new([40, 30, 30]);
    world.give(60, false);
    world.charge(0);
    let invoice = |world: &World| world.invoices[&invoice_id(0)].clone();
    assert_eq!(invoice(&world).state(), InvoiceState::PartiallyPaid);
    world.start(0);
    assert_eq!(world.payments[1].amount, francs(40), "only what is open is asked for");
    world.succeed(1);
    assert_eq!(invoice(&world).state(), InvoiceState::Paid);
    assert_eq!(invoice(&world).paid(), francs(100), "the first part is not overwritten");
    world.reverse(0);
    assert_eq!(invoice(&world).state(), InvoiceState::Credited);
    assert_eq!(world.account.unapplied_cash(), francs(100));
    assert_eq!(
        world.invoices[&invoice_id(0)].credits()[0].credit_note_number,
        "MAT-CN-2027-000001"
    );
}

/// Tuition 500 and housing 300 of the first term, due on 1 September; tuition 400 of the second, due on 1 February.
fn two_terms() -> World {
    let mut world = World::new([0; 3]);
    let tuition = ChargeCode::tuition;
    let line = |code: ChargeCode, term_code: &str, minor| InvoiceLine {
        code,
        term_code: term_code.into(),
        registration: None,
        ..line(0, 0, minor)
    };
    let first = [line(tuition(), "T1", 500), line(ChargeCode("HOUSING".into()), "T1", 300)];
    let second = [line(tuition(), "T2", 400)];
    for (at, lines, due) in [(0, &first[..], "2026-09-01"), (1, &second[..], "2027-02-01")] {
        let total = francs(lines.iter().map(|line| line.amount.minor).sum());
        let document = InvoiceDocument {
            due: due.parse().expect("a date"),
            charge: None,
            bundle: None,
            ..document(at, lines.to_vec(), total)
        };
        let source = Source { kind: SourceKind::Charge, id: at.to_string() };
        let (invoice, turn) = post(document, source, &mut world.account, booking()).expect("posts");
        world.invoices.insert(invoice_id(at), invoice);
        world.take_over(turn);
    }
    world
}

#[test]
fn vector_a_general_money_pays_what_is_due_longest_line_by_line() {
    let mut world = two_terms();
    world.give(600, false);
    assert_eq!((world.open(0), world.open(1)), (vec![0, 200], vec![400]));
}

#[test]
fn vector_b_restricted_money_pays_for_nothing_else() {
    let mut world = two_terms();
    let mut restricted = payment(0, francs(400), Channel::Cash);
    restricted.only = vec![ChargeCode("HOUSING".into())];
    world.payments.push(restricted);
    world.succeed(0);
    assert_eq!((world.open(0), world.open(1)), (vec![500, 0], vec![400]));
    assert_eq!(world.account.unapplied_cash(), francs(100));
}

#[test]
fn vector_c_what_a_credit_note_frees_is_applied_again() {
    let mut world = two_terms();
    world.give(600, false);
    world.take_back(0, &[(0, francs(200))]);
    assert_eq!((world.open(0), world.open(1)), (vec![0, 0], vec![400]));
    assert_eq!(world.account.unapplied_cash(), francs(0));
    assert_eq!(world.rows.iter().map(|row| row.amount.minor).sum::<i64>(), 600);
    world.check_rows();
}

#[test]
fn what_is_too_much_for_one_transaction_is_applied_with_the_next_turn() {
    let mut world = World::new([0; 3]);
    let lines: Vec<InvoiceLine> = (0..45).map(|at| line(0, at, 10)).collect();
    let document = InvoiceDocument { charge: None, ..document(0, lines, francs(450)) };
    let source = Source { kind: SourceKind::Charge, id: "0".into() };
    let (invoice, turn) = post(document, source, &mut world.account, booking()).expect("posts");
    world.invoices.insert(invoice_id(0), invoice);
    world.take_over(turn);
    let mut rows = Vec::new();
    for minor in [500, 1, 1, 1] {
        let before = world.rows.len();
        world.give(minor, false);
        rows.push(world.rows.len() - before);
        world.check_rows();
    }
    assert_eq!(rows, [20, 20, 5, 0], "a bounded number at a time, none twice");
    assert_eq!(world.invoices[&invoice_id(0)].open(), francs(0));
    assert_eq!(world.account.unapplied_cash(), francs(53), "what is left is not lost");
}

#[test]
fn a_charge_back_of_more_lines_than_a_turn_opens_is_owed_at_once_and_opened_piece_by_piece() {
    let mut world = World::new([0; 3]);
    let lines: Vec<InvoiceLine> = (0..45).map(|at| line(0, at, 10)).collect();
    let document = InvoiceDocument { charge: None, ..document(0, lines, francs(450)) };
    let source = Source { kind: SourceKind::Charge, id: "0".into() };
    let (invoice, turn) = post(document, source, &mut world.account, booking()).expect("posts");
    world.invoices.insert(invoice_id(0), invoice);
    world.take_over(turn);
    world.give(450, false);
    for _ in 0..2 {
        world.go_on();
    }
    assert_eq!(world.invoices[&invoice_id(0)].open(), francs(0));
    world.charge_back(0, 100);
    let mut opened = Vec::new();
    for _ in 0..3 {
        assert_eq!(world.balance(Account::Cash), 0, "the money is gone at once");
        let owed = world.balance(Account::Receivable) + world.balance(Account::UnappliedCash);
        assert_eq!(owed, 450, "and owed at once");
        opened.push(world.invoices[&invoice_id(0)].open().minor);
        world.go_on();
        world.check_rows();
    }
    assert_eq!(opened, [200, 400, 450]);
    assert!(!world.account.is_unfinished());
}

#[test]
fn a_write_off_of_more_lines_than_a_turn_holds_gives_all_of_them_up() {
    let mut world = World::new([0; 3]);
    let lines: Vec<InvoiceLine> = (0..45).map(|at| line(0, at, 10)).collect();
    let document = InvoiceDocument { charge: None, ..document(0, lines, francs(450)) };
    let source = Source { kind: SourceKind::Charge, id: "0".into() };
    let (invoice, turn) = post(document, source, &mut world.account, booking()).expect("posts");
    world.invoices.insert(invoice_id(0), invoice);
    world.take_over(turn);
    world.write_off(0, 100);
    for open in [250, 50, 0] {
        assert_eq!(world.invoices[&invoice_id(0)].open(), francs(open));
        world.go_on();
    }
    assert_eq!(world.invoices[&invoice_id(0)].state(), InvoiceState::WrittenOff);
    assert_eq!(world.balance(Account::WriteOffs), 450);
}

#[test]
fn a_named_invoice_comes_first_and_what_is_like_it_next() {
    let mut world = two_terms();
    let mut named = payment(0, francs(450), Channel::Cash);
    named.invoice = Some(invoice_id(1));
    world.payments.push(named);
    world.succeed(0);
    assert_eq!((world.open(0), world.open(1)), (vec![450, 300], vec![0]));
}

#[test]
fn a_charge_back_opens_again_what_the_money_paid_for() {
    let mut world = two_terms();
    world.give(600, false);
    world.give(100, false);
    assert_eq!(world.open(0), [0, 100]);
    world.charge_back(0, 100);
    assert_eq!(world.open(0), [500, 200], "the other hundred stays where it is");
    assert_eq!(world.payments[0].state, PaymentState::ChargedBack);
    world.charge_back(0, 100);
    assert_eq!(world.balance(Account::Cash), 100, "taken back once");
    world.reinstate(0);
    world.reinstate(0);
    assert_eq!(world.open(0), [0, 100], "won: it pays again, once");
    assert_eq!(world.payments[0].state, PaymentState::Succeeded);
    world.take_refund(0, 50);
    assert_eq!(world.open(0), [200, 200], "the last lines are open again first");
    assert_eq!(world.payments[0].state, PaymentState::PartiallyRefunded);
    world.check_rows();
}
