//! Laws of billing, tried on sequences of events that nobody would think of.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{BundleId, Id, Money, PaymentId, PersonId, RegistrationId, Timestamp};
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
    Drop(usize, u8),
    Reverse(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let bundle = 0..2_usize;
    prop_oneof![
        bundle.clone().prop_map(Happening::Charge),
        bundle.clone().prop_map(Happening::Start),
        (0..6_usize).prop_map(Happening::Succeed),
        (0..6_usize).prop_map(Happening::Fail),
        (0..6_usize).prop_map(Happening::Expire),
        (bundle.clone(), 0..3_u8).prop_map(|(bundle, line)| Happening::Drop(bundle, line)),
        bundle.prop_map(Happening::Reverse),
    ]
}

struct World {
    prices: [i64; 3],
    account: StudentAccount,
    invoices: NumberCounter,
    credit_notes: NumberCounter,
    charges: BTreeMap<usize, (Charge, Invoice)>,
    payments: Vec<(usize, Payment)>,
    entries: Vec<JournalEntry>,
    settled: Vec<usize>,
    numbers: Vec<String>,
}

impl World {
    fn new(prices: [i64; 3]) -> Self {
        Self {
            prices,
            account: StudentAccount::empty(student(), francs(0).currency),
            invoices: NumberCounter::new("MAT-2027".into()),
            credit_notes: NumberCounter::new("MAT-CN-2027".into()),
            charges: BTreeMap::new(),
            payments: Vec::new(),
            entries: Vec::new(),
            settled: Vec::new(),
            numbers: Vec::new(),
        }
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
            Happening::Drop(bundle, line) => {
                self.take_back(bundle, TakeBack::Registration(registration(bundle, line)));
            }
            Happening::Reverse(bundle) => self.take_back(bundle, TakeBack::Everything),
        }
    }

    fn charge(&mut self, bundle: usize) {
        if self.charges.contains_key(&bundle) {
            return;
        }
        let line = |(line, minor): (u8, &i64)| InvoiceLine {
            registration: registration(bundle, line),
            section_code: "A".into(),
            course_title: "Calculus".into(),
            credits_hundredths: 100,
            per_credit: francs(*minor),
            amount: francs(*minor),
        };
        let lines = (0..).zip(&self.prices).map(line).collect();
        let id = BundleId::derived_from(&bundle.to_string());
        let order = Order { bundle: id, student: student(), term_code: "2027S" };
        let number = self.invoices.take();
        let priced = (lines, francs(self.prices.iter().sum()));
        let posting =
            post(&order, priced, number.clone(), &mut self.account, now()).expect("posts");
        if posting.settled {
            self.settled.push(bundle);
        }
        self.numbers.push(number);
        self.entries.push(posting.entry);
        self.charges.insert(bundle, (posting.charge, posting.invoice));
    }

    fn start(&mut self, bundle: usize) {
        let Some((charge, invoice)) = self.charges.get_mut(&bundle) else { return };
        let id = PaymentId::derived_from(&self.payments.len().to_string());
        let Ok(amount) = invoice.begin_payment(id) else { return };
        assert!(amount.minor > 0, "nobody is asked for nothing");
        let payment = Payment {
            id,
            invoice: invoice.document().id,
            charge: charge.id,
            student: student(),
            amount,
            payment_method: "pm".into(),
            state: PaymentState::Initiated,
            provider_ref: None,
            initiated_at: now(),
            concluded_at: None,
            failure_reason: None,
        };
        self.payments.push((bundle, payment));
    }

    fn succeed(&mut self, nth: usize) {
        let Some((bundle, payment)) = self.payments.get_mut(nth) else { return };
        let (charge, invoice) = self.charges.get_mut(bundle).expect("it was charged");
        let receipt =
            receive(payment, invoice, charge, &mut self.account, now()).expect("receives");
        if let Some(receipt) = receipt {
            if receipt.charge_settled {
                self.settled.push(*bundle);
            }
            self.entries.push(receipt.entry);
        }
    }

    fn end(&mut self, nth: usize, end: impl Fn(&mut Payment, &mut Invoice)) {
        let Some((bundle, payment)) = self.payments.get_mut(nth) else { return };
        end(payment, &mut self.charges.get_mut(bundle).expect("it was charged").1);
    }

    fn take_back(&mut self, bundle: usize, what: TakeBack) {
        let Some((charge, invoice)) = self.charges.get_mut(&bundle) else { return };
        let lines = what.of(invoice);
        if lines.is_empty() {
            return;
        }
        let number = self.credit_notes.take();
        let reversal =
            take_back(charge, invoice, &mut self.account, &lines, &number, now()).expect("takes");
        if reversal.settled {
            self.settled.push(bundle);
        }
        self.numbers.push(number);
        self.entries.push(reversal.entry);
    }

    fn balance(&self, account: Account) -> i64 {
        let lines = self.entries.iter().flat_map(JournalEntry::lines);
        lines.filter(|line| line.account == account).map(|line| line.amount.minor).sum()
    }

    fn check(&self) {
        let lines = self.entries.iter().flat_map(JournalEntry::lines);
        assert_eq!(lines.map(|line| line.amount.minor).sum::<i64>(), 0, "the ledger balances");
        let mut open = 0;
        for (charge, invoice) in self.charges.values() {
            let total = invoice.document().total.minor;
            let of_invoice = invoice.open().minor;
            assert_eq!(of_invoice, total - invoice.paid().minor - invoice.credited().minor);
            assert!((0..=total).contains(&of_invoice), "{of_invoice} of {total} is open");
            assert!(invoice.paid().minor >= 0);
            assert_eq!(charge.state == ChargeState::Posted, of_invoice > 0);
            open += of_invoice;
        }
        assert_eq!(self.balance(Account::Receivable), open, "what is owed is what is open");
        assert!(self.account.unapplied_cash.minor >= 0);
        assert_eq!(self.balance(Account::UnappliedCash), -self.account.unapplied_cash.minor);
        let received =
            self.payments.iter().filter(|(_, payment)| payment.state == PaymentState::Succeeded);
        let received: i64 = received.map(|(_, payment)| payment.amount.minor).sum();
        assert_eq!(self.balance(Account::ProviderClearing), received, "money is booked once");
        let ids: BTreeSet<_> = self.entries.iter().map(JournalEntry::id).collect();
        assert_eq!(ids.len(), self.entries.len(), "nothing is booked twice");
        let settled: BTreeSet<_> = self.settled.iter().collect();
        assert_eq!(settled.len(), self.settled.len(), "a charge settles once");
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

fn registration(bundle: usize, line: u8) -> RegistrationId {
    RegistrationId::derived_from(&format!("{bundle}#{line}"))
}

proptest! {
    #[test]
    fn whatever_happens_the_books_balance_and_nothing_is_booked_twice(
        prices in prop::array::uniform3(0_i64..100_000),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut world = World::new(prices);
        for happening in happenings {
            world.happen(happening);
            world.check();
        }
    }

    #[test]
    fn a_line_is_rounded_half_up_and_the_total_is_the_sum_of_the_lines(
        per_credit in 0_i64..1_000_000,
        credits in prop::collection::vec(0_u32..3_000, 1..10),
    ) {
        let code = PriceGroupCode("standard".into());
        let prices =
            [("standard".to_owned(), PriceGroup { code, per_credit: francs(per_credit) })].into();
        let registrations: Vec<_> = credits
            .iter()
            .map(|credits| events::ChargeableRegistration {
                registration: registration(0, 0),
                section: Id::derived_from("section"),
                section_code: "A".into(),
                course_title: "Calculus".into(),
                credits_hundredths: *credits,
                price_group: "standard".into(),
            })
            .collect();
        let (lines, total) = price(&registrations, &prices).expect("prices");
        for line in &lines {
            let twice = 2 * per_credit * i64::from(line.credits_hundredths);
            prop_assert_eq!(line.amount.minor, (twice + 100) / 200);
        }
        prop_assert_eq!(total.minor, lines.iter().map(|line| line.amount.minor).sum::<i64>());
    }
}

#[test]
fn an_invoice_of_half_a_payment_is_partially_paid() {
    let mut world = World::new([40, 30, 30]);
    world.account.unapplied_cash = francs(60);
    world.charge(0);
    let invoice = |world: &World| world.charges[&0].1.clone();
    assert_eq!(invoice(&world).state(), InvoiceState::PartiallyPaid);
    world.start(0);
    assert_eq!(world.payments[0].1.amount, francs(40), "only what is open is asked for");
    world.succeed(0);
    assert_eq!(invoice(&world).state(), InvoiceState::Paid);
    assert_eq!(invoice(&world).paid(), francs(100), "the first part is not overwritten");
    world.take_back(0, TakeBack::Everything);
    assert_eq!(invoice(&world).state(), InvoiceState::Credited);
    assert_eq!(world.account.unapplied_cash, francs(100));
    assert_eq!(world.numbers, ["MAT-2027-000001", "MAT-CN-2027-000001"]);
}
