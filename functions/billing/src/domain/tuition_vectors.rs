//! The published examples of tuition and its adjustment, and its laws on terms that nobody would think of.

use std::collections::BTreeMap;

use kernel::{BundleId, Date, Id, InvoiceId, Money, PersonId, RegistrationId, TermId};
use proptest::prelude::*;

use super::*;

fn dollars(units: i64) -> Money {
    Money::new(units, "XAF".parse().expect("a currency"))
}

fn date(text: &str) -> Date {
    text.parse().expect("a date")
}

/// Below 52 credits 1000 and 10 a credit; from 52 on 1500 and 2 a credit.
fn two_bands() -> TuitionRule {
    TuitionRule::Banded {
        bands: vec![
            Band { from_hundredths: 0, flat: dollars(1_000), per_credit: dollars(10) },
            Band { from_hundredths: 5_200, flat: dollars(1_500), per_credit: dollars(2) },
        ],
    }
}

fn group(name: &str, priority: u32, rule: TuitionRule) -> TuitionGroup {
    let criteria = Criteria::default();
    TuitionGroup { name: name.into(), priority, criteria, rule, fees: Vec::new() }
}

/// So much per cent is given back from the first day of the term on.
fn rules(rule: TuitionRule, percent: u16) -> TuitionRules {
    TuitionRules {
        groups: vec![group("all", 1, rule)],
        calendar: Some(calendar(&[(0, percent)])),
        ..TuitionRules::default()
    }
}

fn calendar(rows: &[(u16, u16)]) -> AdjustmentCalendar {
    let row = |(from, percent): &(u16, u16)| CalendarRow {
        from: *from,
        refund_basis_points: percent * 100,
        administrative_fee: None,
    };
    AdjustmentCalendar {
        first_day: date("2027-02-01"),
        last_day: date("2027-06-30"),
        basis: Basis::Days,
        rows: rows.iter().map(row).collect(),
    }
}

fn registration(at: u32) -> RegistrationId {
    RegistrationId::derived_from(&at.to_string())
}

fn registered(at: u32, credits: u32, on: &str) -> Registered {
    Registered {
        registration: registration(at),
        bundle: BundleId::derived_from(&at.to_string()),
        section_code: format!("MATH{at}-A"),
        course_title: "Calculus".into(),
        credits_hundredths: credits * 100,
        price_group: PriceGroupCode("standard".into()),
        per_credit: dollars(100),
        registered_on: date(on),
        unwashed_hundredths: credits * 100,
    }
}

/// A bill that is brought to what is due with every change, as the operations do it.
struct Desk {
    rules: TuitionRules,
    population: Population,
    bill: TermBill,
    invoices: Vec<Invoice>,
    of_bundle: BTreeMap<BundleId, InvoiceId>,
}

impl Desk {
    fn new(rules: TuitionRules) -> Self {
        let (student, term) = (PersonId::derived_from("ada"), TermId::derived_from("2027S"));
        let bill = TermBill::new(student, term, "2027S", dollars(0).currency);
        Self {
            rules,
            population: Population::default(),
            bill,
            invoices: Vec::new(),
            of_bundle: BTreeMap::new(),
        }
    }

    fn add(&mut self, added: Registered) {
        self.add_bundle(vec![added]);
    }

    /// The bundle's own invoice is the next that is issued.
    fn add_bundle(&mut self, added: Vec<Registered>) {
        let next = InvoiceId::derived_from(&self.invoices.len().to_string());
        self.of_bundle.insert(added[0].bundle, next);
        self.bill.add(added, self.rules.wash).expect("in range");
        self.recalculate();
    }

    fn recalculate(&mut self) {
        let adjustment = self.bill.adjustment(&self.rules, &self.population).expect("in range");
        self.issue(adjustment);
    }

    fn drop(&mut self, at: u32, on: &str) {
        self.drop_together(&[at], on);
    }

    fn drop_together(&mut self, these: &[u32], on: &str) {
        let these: Vec<_> = these.iter().map(|at| registration(*at)).collect();
        let drop = self.bill.drop(&these, date(on), &self.rules, &self.population);
        self.issue(drop.expect("in range").expect("it is registered"));
        assert!(self.is_settled(), "a drop leaves nothing to be calculated");
    }

    fn cancel(&mut self, at: u32, on: &str) {
        let cancel = self.bill.cancel(registration(at), date(on), &self.rules, &self.population);
        self.issue(cancel.expect("in range").expect("it is registered"));
        assert!(self.is_settled(), "a cancelled section leaves nothing to be calculated");
    }

    /// As a saga's undo does it.
    fn undo(&mut self, at: u32) {
        let bundle = BundleId::derived_from(&at.to_string());
        let invoice = self.of_bundle.remove(&bundle).expect("it was added");
        let adjustment = self.bill.undo(bundle, invoice, &self.rules, &self.population);
        self.issue(adjustment.expect("in range"));
    }

    fn is_settled(&self) -> bool {
        let adjustment = self.bill.adjustment(&self.rules, &self.population);
        adjustment.expect("in range").is_empty()
    }

    fn issue(&mut self, adjustment: Adjustment) {
        for (id, line, amount) in adjustment.credits {
            let invoice = self.invoices.iter_mut().find(|invoice| invoice.document().id == id);
            let invoice = invoice.expect("it was issued");
            let now = invoice.document().issued_at;
            let (note, _) = invoice.credit(&[(line, amount)], "CN", now).expect("it stands");
            invoice.take_note(&note);
            self.bill.follow(invoice);
        }
        if !adjustment.lines.is_empty() {
            let total = total_of(&adjustment.lines, self.bill.currency).expect("in range");
            let invoice = Invoice::issue(InvoiceDocument {
                id: InvoiceId::derived_from(&self.invoices.len().to_string()),
                number: "N".into(),
                student: self.bill.student,
                charge: None,
                bundle: None,
                repriced: Vec::new(),
                term_code: "2027S".into(),
                issued_at: jiff::Timestamp::UNIX_EPOCH,
                due: date("2027-02-08"),
                lines: adjustment.lines,
                total,
            });
            self.bill.follow(&invoice);
            self.invoices.push(invoice);
        }
    }

    fn billed(&self) -> i64 {
        let standing =
            |invoice: &Invoice| invoice.document().total.minor - invoice.credited().minor;
        self.invoices.iter().map(standing).sum()
    }
}

#[test]
fn a_banded_term_costs_its_flat_amount_and_every_credit() {
    for (credits, cost) in [(10, 1_100), (51, 1_510), (52, 1_604), (200, 1_900)] {
        let mut desk = Desk::new(rules(two_bands(), 50));
        desk.add(registered(1, credits, "2027-01-15"));
        assert_eq!(desk.billed(), cost, "{credits} credits");
    }
}

#[test]
fn vector_1_half_of_what_a_drop_saves_is_given_back() {
    let mut desk = Desk::new(rules(two_bands(), 50));
    desk.add(registered(1, 10, "2027-01-15"));
    desk.drop(1, "2027-02-03");
    assert_eq!(desk.billed(), 1_050);
}

#[test]
fn vector_2_a_drop_across_bands_is_adjusted_as_the_policy_says() {
    for (band_policy, left) in [(BandPolicy::Recompute, 1_450), (BandPolicy::SameBand, 1_700)] {
        let mut desk = Desk::new(TuitionRules { band_policy, ..rules(two_bands(), 50) });
        desk.add(registered(1, 200, "2027-01-15"));
        desk.drop(1, "2027-02-03");
        assert_eq!(desk.billed(), left, "{band_policy:?}");
        desk.recalculate();
        assert_eq!(desk.billed(), left, "nothing is billed again");
    }
}

/// A hundred a credit below 12 credits, and 1000 for whoever takes 12 or more.
fn full_time_from_12() -> TuitionRule {
    TuitionRule::Banded {
        bands: vec![
            Band { from_hundredths: 0, flat: dollars(0), per_credit: dollars(100) },
            Band { from_hundredths: 1_200, flat: dollars(1_000), per_credit: dollars(0) },
        ],
    }
}

#[test]
fn a_drop_into_a_dearer_band_costs_more_or_nothing_as_the_policy_says() {
    for (band_policy, left, again) in
        [(BandPolicy::Recompute, 1_100, 1_000), (BandPolicy::SameBand, 1_000, 1_000)]
    {
        let mut desk = Desk::new(TuitionRules { band_policy, ..rules(full_time_from_12(), 50) });
        desk.add(registered(1, 11, "2027-01-15"));
        desk.add(registered(2, 1, "2027-01-15"));
        assert_eq!(desk.billed(), 1_000);
        desk.drop(2, "2027-02-03");
        assert_eq!(desk.billed(), left, "{band_policy:?}");
        desk.add(registered(3, 1, "2027-02-09"));
        assert_eq!(desk.billed(), again, "twelve again: no credit for what was never billed");
    }
}

#[test]
fn a_band_that_only_an_undone_bundle_reached_is_not_held() {
    let band_policy = BandPolicy::SameBand;
    let mut desk = Desk::new(TuitionRules { band_policy, ..rules(two_bands(), 0) });
    desk.add(registered(1, 8, "2027-01-15"));
    desk.add(registered(2, 4, "2027-01-15"));
    desk.add(registered(3, 100, "2027-01-15"));
    desk.drop(2, "2027-01-20");
    assert_eq!(desk.billed(), 1_716, "the band of 112 credits");
    desk.undo(3);
    assert_eq!(desk.billed(), 1_080, "the band of eight");
}

#[test]
fn a_band_that_only_a_cancelled_section_reached_is_not_held() {
    let same_band = TuitionRules { band_policy: BandPolicy::SameBand, ..rules(two_bands(), 0) };
    let mut desk = Desk::new(same_band);
    desk.add(registered(1, 8, "2027-01-15"));
    desk.add(registered(2, 4, "2027-01-15"));
    desk.add(registered(3, 100, "2027-01-15"));
    desk.drop(2, "2027-01-20");
    desk.cancel(3, "2027-06-01");
    assert_eq!(desk.billed(), 1_080, "the band of eight");
}

#[test]
fn everything_that_is_kept_of_a_drop_cancels_out_with_what_is_added() {
    let fee = Fee::Course {
        code: ChargeCode("LAB_FEE".into()),
        price_group: PriceGroupCode("standard".into()),
        amount: dollars(40),
    };
    for add_first in [true, false] {
        let mut rules = rules(TuitionRule::PerCredit { amount: dollars(100) }, 50);
        rules.groups[0].fees.push(fee.clone());
        let mut desk = Desk::new(rules);
        desk.add(registered(1, 4, "2027-01-15"));
        if add_first {
            desk.add(registered(2, 4, "2027-02-03"));
        }
        desk.drop(1, "2027-02-03");
        if !add_first {
            assert_eq!(desk.billed(), 220, "half of tuition and fee");
            desk.add(registered(2, 4, "2027-02-03"));
        }
        assert_eq!(desk.billed(), 440, "nothing is kept of what was exchanged");
        desk.undo(2);
        assert_eq!(desk.billed(), 220, "what was to take its place never came to be");
    }
}

#[test]
fn what_is_kept_of_an_undone_bundle_goes_with_it() {
    let mut desk = Desk::new(rules(TuitionRule::PerCredit { amount: dollars(100) }, 50));
    let bundle = BundleId::derived_from("1");
    let second = Registered { bundle, ..registered(2, 3, "2027-01-15") };
    desk.add_bundle(vec![registered(1, 4, "2027-01-15"), second]);
    desk.drop(1, "2027-02-03");
    desk.add(registered(3, 2, "2027-02-03"));
    assert_eq!(desk.billed(), 600, "half of two dropped credits is kept, and five stand");
    desk.undo(1);
    assert_eq!(desk.billed(), 200);
    desk.add(registered(4, 2, "2027-02-03"));
    desk.drop(4, "2027-02-03");
    assert_eq!(desk.billed(), 200, "what was added may cancel out with another drop");
}

#[test]
fn vector_3_a_later_withdrawal_does_not_rate_an_earlier_drop_again() {
    let mut desk = Desk::new(TuitionRules {
        calendar: Some(calendar(&[(0, 100), (14, 75)])),
        ..rules(TuitionRule::PerCredit { amount: dollars(100) }, 0)
    });
    desk.add(registered(1, 4, "2027-01-15"));
    desk.add(registered(2, 4, "2027-01-15"));
    desk.drop(1, "2027-02-05");
    assert_eq!(desk.billed(), 400, "given back wholly");
    desk.drop(2, "2027-02-20");
    assert_eq!(desk.billed(), 100, "a quarter of the second alone is kept");
}

#[test]
fn what_is_given_up_together_is_computed_once() {
    let fee = dollars(30);
    let mut rules = rules(TuitionRule::PerCredit { amount: dollars(100) }, 50);
    let calendar = rules.calendar.as_mut().expect("a calendar");
    for row in &mut calendar.rows {
        row.administrative_fee = Some(fee);
    }
    let billed_after = |together: bool| {
        let mut desk = Desk::new(rules.clone());
        for at in [1, 2, 3] {
            desk.add(registered(at, 4, "2027-01-15"));
        }
        if together {
            desk.drop_together(&[1, 2, 3], "2027-02-03");
        } else {
            for at in [1, 2, 3] {
                desk.drop(at, "2027-02-03");
            }
        }
        desk.billed()
    };
    assert_eq!(billed_after(true), 630, "half of 1200, and one fee");
    assert_eq!(billed_after(false), 690, "half of 1200, and three");
}

#[test]
fn vector_4_credits_dropped_and_added_on_one_day_cancel_out() {
    let per_credit = TuitionRule::PerCredit { amount: dollars(100) };
    for add_first in [true, false] {
        let mut desk = Desk::new(rules(per_credit.clone(), 50));
        desk.add(registered(1, 4, "2027-01-15"));
        if add_first {
            desk.add(registered(2, 3, "2027-02-03"));
        }
        desk.drop(1, "2027-02-03");
        if !add_first {
            desk.add(registered(2, 3, "2027-02-03"));
        }
        assert_eq!(desk.billed(), 350, "300 for what was added, 50 of the one credit left over");
    }
    let apart = |wash| {
        let mut desk = Desk::new(TuitionRules { wash, ..rules(per_credit.clone(), 50) });
        desk.add(registered(1, 4, "2027-01-15"));
        desk.drop(1, "2027-02-03");
        desk.add(registered(2, 3, "2027-02-04"));
        desk.billed()
    };
    assert_eq!((apart(Wash::SameDay), apart(Wash::WholeTerm)), (500, 350));
    assert_eq!(apart(Wash::None), 500);
}

#[test]
fn of_a_cancelled_section_everything_is_given_back_whatever_day_and_band() {
    let policy = BandPolicy::SameBand;
    let late = TuitionRules { band_policy: policy, ..rules(two_bands(), 50) };
    let mut desk = Desk::new(late);
    desk.add(registered(1, 40, "2027-01-15"));
    let before = desk.billed();
    desk.add(registered(2, 40, "2027-01-15"));
    desk.cancel(2, "2027-06-01");
    assert_eq!(desk.billed(), before, "as if it had never been there");
}

#[test]
fn a_drop_is_not_washed_against_what_was_there_all_along() {
    let per_credit = TuitionRule::PerCredit { amount: dollars(100) };
    let mut desk = Desk::new(TuitionRules { wash: Wash::WholeTerm, ..rules(per_credit, 50) });
    desk.add(registered(1, 4, "2027-01-15"));
    desk.add(registered(2, 4, "2027-01-15"));
    desk.drop(1, "2027-02-03");
    assert_eq!(desk.billed(), 600, "400 for what stays, half of what went");
}

#[test]
fn an_administrative_fee_below_nothing_or_in_another_currency_is_refused() {
    let with_fee = |fee| {
        let mut rules = rules(TuitionRule::PerCredit { amount: dollars(100) }, 50);
        let rows = &mut rules.calendar.as_mut().expect("a calendar").rows;
        for row in rows {
            row.administrative_fee = Some(fee);
        }
        rules
    };
    assert_eq!(with_fee(dollars(-30)).check(), Err(Refusal::PriceNegative));
    let euros = Money::new(30, "EUR".parse().expect("a currency"));
    let mut desk = Desk::new(with_fee(euros));
    desk.add(registered(1, 4, "2027-01-15"));
    let dropped =
        desk.bill.drop(&[registration(1)], date("2027-02-03"), &desk.rules, &desk.population);
    assert_eq!(dropped.map(drop), Err(Refusal::CurrenciesDiffer));
}

#[test]
fn a_drop_is_rated_by_its_day_in_the_calendar() {
    let calendar = calendar(&[(0, 100), (7, 50), (30, 0)]);
    let percent = |on| calendar.row(date(on)).map(|row| row.refund_basis_points / 100);
    assert_eq!(percent("2027-01-31"), None, "before the term everything is given back");
    assert_eq!(percent("2027-02-01"), Some(100));
    assert_eq!(percent("2027-02-07"), Some(100));
    assert_eq!(percent("2027-02-08"), Some(50), "the first day of a row belongs to it");
    assert_eq!(percent("2027-03-03"), Some(0));
    let by_length = AdjustmentCalendar { basis: Basis::PercentOfLength, ..calendar };
    let percent = |on| by_length.row(date(on)).map(|row| row.refund_basis_points / 100);
    // The term has 150 days: 7 per cent are 10.5 of them.
    assert_eq!((percent("2027-02-11"), percent("2027-02-12")), (Some(100), Some(50)));
}

#[test]
fn an_administrative_fee_is_kept_back_as_far_as_the_refund_goes() {
    for (fee, left) in [(30, 230), (500, 400)] {
        let mut rules = rules(TuitionRule::PerCredit { amount: dollars(100) }, 50);
        let calendar = rules.calendar.as_mut().expect("there is one");
        calendar.rows[0].administrative_fee = Some(dollars(fee));
        let mut desk = Desk::new(rules);
        desk.add(registered(1, 4, "2027-01-15"));
        desk.drop(1, "2027-02-03");
        assert_eq!(desk.billed(), left);
    }
}

#[test]
fn the_first_group_that_includes_the_student_counts_with_its_fees() {
    let flat = |minor| TuitionRule::Flat { amount: dollars(minor) };
    let abroad = Criteria { residencies: vec!["abroad".into()], ..Criteria::default() };
    let fees = vec![
        Fee::Term { code: ChargeCode("STUDENT_FEE".into()), amount: dollars(50) },
        Fee::Course {
            code: ChargeCode("LAB_FEE".into()),
            price_group: PriceGroupCode("laboratory".into()),
            amount: dollars(20),
        },
        Fee::LateRegistration {
            code: ChargeCode("LATE_FEE".into()),
            from: date("2027-01-20"),
            amount: dollars(5),
        },
    ];
    let rules = TuitionRules {
        groups: vec![
            TuitionGroup { fees, ..group("everybody", 9, flat(1_000)) },
            TuitionGroup { criteria: abroad, ..group("abroad", 1, flat(3_000)) },
        ],
        ..TuitionRules::default()
    };
    rules.check().expect("in order");
    let mut desk = Desk::new(rules);
    desk.add(registered(1, 4, "2027-01-15"));
    assert_eq!(desk.billed(), 1_050);
    let laboratory = Registered {
        price_group: PriceGroupCode("laboratory".into()),
        ..registered(2, 4, "2027-01-19")
    };
    desk.add(laboratory);
    assert_eq!(desk.billed(), 1_070);
    desk.add(registered(3, 4, "2027-01-20"));
    assert_eq!(desk.billed(), 1_075, "the late fee once");
    desk.add(registered(4, 4, "2027-01-21"));
    assert_eq!(desk.billed(), 1_075);
    desk.population.residency = Some("abroad".into());
    desk.recalculate();
    assert_eq!(desk.billed(), 3_000, "another group: lines are added and credited, none is edited");
    assert!(desk.invoices[0].credited().minor > 0);
}

#[test]
fn rules_out_of_order_are_refused() {
    let mut bands = two_bands();
    if let TuitionRule::Banded { bands } = &mut bands {
        bands.reverse();
    }
    assert_eq!(rules(bands, 0).check(), Err(Refusal::BandsOutOfOrder));
    let negative = TuitionRule::Flat { amount: dollars(-1) };
    assert_eq!(rules(negative, 0).check(), Err(Refusal::PriceNegative));
    let mut backwards = rules(two_bands(), 0);
    backwards.calendar.as_mut().expect("there is one").last_day = date("2026-01-01");
    assert_eq!(backwards.check(), Err(Refusal::CalendarOutOfOrder));
}

proptest! {
    /// However somebody registers and drops, what is billed lies between what stands now costs and all that was ever
    /// due, a refund of everything leaves what is due now, and to calculate again changes nothing.
    #[test]
    fn a_bill_is_never_less_than_what_is_due_and_settles_at_once(
        percent in 0_u16..=100,
        banded in any::<bool>(),
        moves in prop::collection::vec((0_u32..6, 1_u32..80, any::<bool>()), 1..20),
    ) {
        let rule =
            if banded { two_bands() } else { TuitionRule::PerCredit { amount: dollars(7) } };
        let mut desk = Desk::new(rules(rule, percent));
        for (at, credits, adds) in moves {
            let is_registered =
                desk.bill.registered.iter().any(|one| one.registration == registration(at));
            let was_billed = desk.bill.billed.iter().any(|one| {
                one.registration == Some(registration(at))
            });
            match (adds, is_registered) {
                (true, false) if !was_billed => desk.add(registered(at, credits, "2027-02-02")),
                (false, true) => desk.drop(at, "2027-02-10"),
                _ => continue,
            }
            let assess = desk.rules.assess(
                &desk.population, &desk.bill.registered, None, desk.bill.currency,
            );
            let due: i64 = assess.expect("in range").iter().map(|one| one.amount.minor).sum();
            prop_assert!(desk.billed() >= due);
            if percent == 100 {
                prop_assert_eq!(desk.billed(), due);
            }
            let before = desk.billed();
            desk.recalculate();
            prop_assert_eq!(desk.billed(), before);
        }
    }

    /// Whatever was registered, dropped and exchanged before: a bundle that is undone at once leaves no trace, and
    /// where all of them are undone nothing stands.
    #[test]
    fn an_undone_bundle_leaves_no_trace(
        percent in 0_u16..=100,
        kind in 0..3,
        same_band in any::<bool>(),
        wash in prop_oneof![Just(Wash::None), Just(Wash::SameDay), Just(Wash::WholeTerm)],
        moves in prop::collection::vec((0_u32..12, 1_u32..20, any::<bool>()), 1..24),
    ) {
        let rule = match kind {
            0 => two_bands(),
            1 => full_time_from_12(),
            _ => TuitionRule::PerCredit { amount: dollars(7) },
        };
        let band_policy = if same_band { BandPolicy::SameBand } else { BandPolicy::Recompute };
        let mut desk = Desk::new(TuitionRules { band_policy, wash, ..rules(rule, percent) });
        for (at, credits, adds) in moves {
            let bundle = BundleId::derived_from(&at.to_string());
            let is_registered = desk.bill.registered.iter().any(|one| one.bundle == bundle);
            let was_added = desk.of_bundle.contains_key(&bundle);
            if adds && !was_added {
                let before = desk.billed();
                desk.add(registered(at, credits, "2027-02-10"));
                let with_it = desk.billed();
                desk.undo(at);
                prop_assert_eq!(desk.billed(), before);
                desk.add(registered(at, credits, "2027-02-10"));
                prop_assert_eq!(desk.billed(), with_it);
            } else if !adds && is_registered {
                desk.drop(at, "2027-02-10");
            }
            prop_assert!(desk.is_settled());
        }
        for at in 0..12 {
            if desk.of_bundle.contains_key(&BundleId::derived_from(&at.to_string())) {
                desk.undo(at);
                prop_assert!(desk.is_settled());
            }
        }
        prop_assert_eq!(desk.billed(), 0, "nothing ever came to be");
    }
}
