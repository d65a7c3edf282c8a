//! What is due when: payment plans, which let what is open of a term be paid in instalments, and due dates that were
//! moved. Plans and deferrals change no document and no balance, only when something counts as overdue.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Date, InvoiceId, Money, PaymentPlanId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChargeCode, Decided, Invoice, OpenLine, Refusal, StudentAccount};

/// One instalment of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstalmentRule {
    pub due: Date,
    /// Its part in hundredths of a per cent; where none has one, all are equal.
    #[schemars(range(min = 1, max = 10_000))]
    pub share: Option<u32>,
}

/// A plan that the bursar's office offers for a term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanOffer {
    pub code: PlanOfferCode,
    pub name: String,
    pub term_code: String,
    pub instalments: Vec<InstalmentRule>,
    /// Whether students may choose it; the others are assigned by the bursar.
    pub is_for_students: bool,
    /// Whether the first instalment has to be paid, whatever its day, before a seat is the student's.
    #[serde(default)]
    pub is_first_at_once: bool,
}

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct PlanOfferCode(
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9][a-z0-9-]*$"))] pub String,
);

impl PlanOffer {
    const WHOLE: u32 = 10_000;

    /// Refuses instalments out of order, and shares that are not of all or not the whole.
    pub fn check(&self) -> Result<(), Refusal> {
        let in_order = self.instalments.windows(2).all(|pair| pair[0].due < pair[1].due);
        let shares: Vec<u32> = self.instalments.iter().filter_map(|one| one.share).collect();
        let are_whole = shares.is_empty()
            || (shares.len() == self.instalments.len()
                && shares.iter().map(|share| u64::from(*share)).sum::<u64>()
                    == u64::from(Self::WHOLE));
        if in_order && are_whole && !self.instalments.is_empty() {
            Ok(())
        } else {
            Err(Refusal::PlanContradictory)
        }
    }

    /// The instalments of so much: their sum is the whole, the largest remainders first.
    pub fn instalments_of(&self, total: Money) -> Result<Vec<Instalment>, Refusal> {
        let weights: Vec<u32> = self.instalments.iter().map(|one| one.share.unwrap_or(1)).collect();
        let parts = total.split(&weights)?;
        let due = self.instalments.iter().map(|one| one.due);
        Ok(due.zip(parts).map(|(due, part)| Instalment { due, amount: part.minor }).collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instalment {
    pub due: Date,
    /// Minor units.
    pub amount: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    Active,
    /// Nothing of it is open.
    Completed,
    /// What it covered is due as its invoices say.
    Cancelled,
}

/// What was open of a term when it began, to be paid in instalments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentPlan {
    pub id: PaymentPlanId,
    pub offer: PlanOfferCode,
    pub term_code: String,
    pub lines: Vec<(InvoiceId, u32)>,
    pub instalments: Vec<Instalment>,
    #[serde(default)]
    pub is_first_at_once: bool,
    pub begun_by: PersonId,
    pub begun_at: Timestamp,
    pub cancelled: Option<Decided>,
}

impl PaymentPlan {
    fn is_of(&self, line: &OpenLine) -> bool {
        self.lines.contains(&(line.invoice, line.line))
    }

    /// What of each instalment is left where so much of the plan is open: what was paid, and what was credited, is off
    /// the earliest. More than the plan was of, as after a chargeback, is due with the first.
    pub fn left(&self, open: i64) -> Vec<Instalment> {
        let total: i64 = self.instalments.iter().map(|one| one.amount).sum();
        let mut off = total - open;
        let mut left = Vec::new();
        for Instalment { due, amount } in &self.instalments {
            let part = off.min(*amount);
            off -= part;
            left.push(Instalment { due: *due, amount: amount - part });
        }
        left
    }

    /// Whether all is paid that has to be by now, where so much of the plan is open.
    fn is_kept(&self, open: i64, today: Date) -> bool {
        let left = self.left(open);
        let first = left.first().filter(|_| self.is_first_at_once);
        let due = left.iter().filter(|one| one.due <= today);
        due.chain(first).all(|one| one.amount == 0)
    }
}

/// So much is due on a day: a line, or what is left of an instalment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub due: Date,
    /// Minor units, more than none.
    pub open: i64,
    pub term_code: String,
    /// Absent of an instalment.
    pub code: Option<ChargeCode>,
    /// The open lines that it is of.
    pub lines: Vec<(InvoiceId, u32)>,
    /// Of an instalment.
    pub plan: Option<PaymentPlanId>,
}

/// That an invoice is due later than it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deferral {
    pub until: Date,
    pub decided: Decided,
}

/// Who begins a plan, when, and under which id.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    pub id: PaymentPlanId,
    pub by: PersonId,
    pub at: Timestamp,
}

impl StudentAccount {
    /// Plans that are kept, those that have ended too; the oldest ended one makes room for the next.
    const PLANS_MAX: usize = 40;

    pub fn plan_state(&self, plan: &PaymentPlan) -> PlanState {
        if plan.cancelled.is_some() {
            PlanState::Cancelled
        } else if self.open_of_plan(plan) > 0 {
            PlanState::Active
        } else {
            PlanState::Completed
        }
    }

    /// What of the lines of a plan is open, in minor units.
    pub fn open_of_plan(&self, plan: &PaymentPlan) -> i64 {
        self.open_lines.iter().filter(|line| plan.is_of(line)).map(|line| line.open).sum()
    }

    pub fn plans(&self) -> &[PaymentPlan] {
        &self.plans
    }

    pub(super) fn plans_in_force(&self) -> impl Iterator<Item = &PaymentPlan> {
        self.plans.iter().filter(|plan| plan.cancelled.is_none())
    }

    fn is_under_plan(&self, invoice: InvoiceId, line: u32) -> bool {
        self.plans_in_force().any(|plan| plan.lines.contains(&(invoice, line)))
    }

    /// Everything that is open, by when it is due.
    pub fn claims(&self) -> Vec<Claim> {
        let by_line = |line: &OpenLine| Claim {
            due: line.due,
            open: line.open,
            term_code: line.term_code.clone(),
            code: Some(line.code.clone()),
            lines: vec![(line.invoice, line.line)],
            plan: None,
        };
        let is_free = |line: &&OpenLine| !self.is_under_plan(line.invoice, line.line);
        let mut claims: Vec<Claim> = self.open_lines.iter().filter(is_free).map(by_line).collect();
        for plan in self.plans_in_force() {
            let left = plan.left(self.open_of_plan(plan)).into_iter();
            let of_plan = self.open_lines.iter().filter(|line| plan.is_of(line));
            let lines: Vec<_> = of_plan.map(|line| (line.invoice, line.line)).collect();
            claims.extend(left.filter(|one| one.amount > 0).map(|one| Claim {
                due: one.due,
                open: one.amount,
                term_code: plan.term_code.clone(),
                code: None,
                lines: lines.clone(),
                plan: Some(plan.id),
            }));
        }
        claims
    }

    /// What lines under a plan have to pay next: the first of its instalments of which something is left.
    pub(super) fn next_under_plans(&self) -> BTreeMap<(InvoiceId, u32), Instalment> {
        let mut nexts = BTreeMap::new();
        for plan in self.plans_in_force() {
            let left = plan.left(self.open_of_plan(plan));
            let Some(next) = left.into_iter().find(|one| one.amount > 0) else { continue };
            nexts.extend(plan.lines.iter().map(|line| (*line, next.clone())));
        }
        nexts
    }

    /// Open lines that may be paid later: those under a plan that is kept, and those whose due date was moved and is
    /// not past.
    pub fn secured_lines(&self, today: Date) -> BTreeSet<(InvoiceId, u32)> {
        let plans = self.plans_in_force();
        let kept: Vec<&PaymentPlan> =
            plans.filter(|plan| plan.is_kept(self.open_of_plan(plan), today)).collect();
        let is_secured = |line: &&OpenLine| {
            if self.is_under_plan(line.invoice, line.line) {
                return kept.iter().any(|plan| plan.is_of(line));
            }
            self.deferral_of(line.invoice).is_some_and(|deferral| today <= deferral.until)
        };
        let secured = self.open_lines.iter().filter(is_secured);
        secured.map(|line| (line.invoice, line.line)).collect()
    }

    /// Whether a student may choose an offer now: not to be out of what is overdue, nor into an instalment that is.
    pub fn may_choose(&self, offer: &PlanOffer, today: Date) -> Result<(), Refusal> {
        let covered = self.open_lines.iter().filter(|line| line.term_code == offer.term_code);
        let is_overdue = covered.map(|line| line.due).any(|due| due < today);
        let is_late = offer.instalments.first().is_some_and(|first| first.due < today);
        if is_overdue || is_late { Err(Refusal::PlanTooLate) } else { Ok(()) }
    }

    /// Lets what is open of the offer's term be paid in its instalments. Late fees are not part of it.
    pub fn begin_plan(&mut self, offer: &PlanOffer, beginning: Beginning) -> Result<(), Refusal> {
        let is_in_force = self.plans.iter().any(|plan| {
            plan.term_code == offer.term_code && self.plan_state(plan) == PlanState::Active
        });
        if is_in_force {
            return Err(Refusal::PlanInForce);
        }
        let covered = |line: &&OpenLine| {
            line.term_code == offer.term_code && line.code != ChargeCode::late_fee()
        };
        let covered: Vec<&OpenLine> = self.open_lines.iter().filter(covered).collect();
        let total = Money::new(covered.iter().map(|line| line.open).sum(), self.currency);
        if total.minor == 0 {
            return Err(Refusal::NothingOpen);
        }
        let lines = covered.iter().map(|line| (line.invoice, line.line)).collect();
        let plan = PaymentPlan {
            id: beginning.id,
            offer: offer.code.clone(),
            term_code: offer.term_code.clone(),
            lines,
            instalments: offer.instalments_of(total)?,
            is_first_at_once: offer.is_first_at_once,
            begun_by: beginning.by,
            begun_at: beginning.at,
            cancelled: None,
        };
        if self.plans.len() >= Self::PLANS_MAX {
            let ended =
                self.plans.iter().position(|plan| self.plan_state(plan) != PlanState::Active);
            self.plans.remove(ended.ok_or(Refusal::PlanInForce)?);
        }
        self.plans.push(plan);
        Ok(())
    }

    /// Ends a plan: what is open of it is due as its invoices say. Answers whether it was in force.
    pub fn cancel_plan(&mut self, id: PaymentPlanId, decided: Decided) -> Result<bool, Refusal> {
        let at = self.plans.iter().position(|plan| plan.id == id).ok_or(Refusal::PlanUnknown)?;
        match self.plan_state(&self.plans[at]) {
            PlanState::Active => {
                self.plans[at].cancelled = Some(decided);
                Ok(true)
            }
            PlanState::Cancelled => Ok(false),
            PlanState::Completed => Err(Refusal::PlanCompleted),
        }
    }

    /// Moves the due date of what is open of an invoice; never before the date that it bears, nor into the past.
    pub fn defer(
        &mut self,
        invoice: &Invoice,
        deferral: Deferral,
        today: Date,
    ) -> Result<(), Refusal> {
        let document = invoice.document();
        if invoice.open().minor == 0 {
            return Err(Refusal::InvoicePaid);
        }
        if deferral.until < document.due || deferral.until < today {
            return Err(Refusal::DeferralTooEarly);
        }
        self.deferrals.insert(document.id, deferral);
        self.follow(invoice);
        Ok(())
    }

    pub fn deferral_of(&self, invoice: InvoiceId) -> Option<&Deferral> {
        self.deferrals.get(&invoice)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a date")
    }

    fn offer(shares: &[(&str, Option<u32>)]) -> PlanOffer {
        let rule =
            |(due, share): &(&str, Option<u32>)| InstalmentRule { due: date(due), share: *share };
        PlanOffer {
            code: PlanOfferCode("plan".into()),
            name: "A plan".into(),
            term_code: "2027S".into(),
            instalments: shares.iter().map(rule).collect(),
            is_for_students: true,
            is_first_at_once: false,
        }
    }

    fn amounts(offer: &PlanOffer, minor: i64) -> Vec<i64> {
        let total = Money::new(minor, "XAF".parse().expect("a currency"));
        let instalments = offer.instalments_of(total).expect("in range");
        instalments.into_iter().map(|one| one.amount).collect()
    }

    #[test]
    fn sixty_per_cent_now_and_forty_by_the_end_of_january() {
        let plan = offer(&[("2026-10-01", Some(6_000)), ("2027-01-30", Some(4_000))]);
        assert_eq!(plan.check(), Ok(()));
        assert_eq!(amounts(&plan, 150_000), [90_000, 60_000]);
        assert_eq!(amounts(&plan, 1), [1, 0]);
    }

    #[test]
    fn equal_instalments_sum_to_the_whole_with_the_remainder_first() {
        let thirds = offer(&[("2026-10-01", None), ("2026-11-01", None), ("2026-12-01", None)]);
        assert_eq!(amounts(&thirds, 100_000), [33_334, 33_333, 33_333]);
    }

    #[test]
    fn an_offer_that_contradicts_itself_is_refused() {
        let refused = Err(Refusal::PlanContradictory);
        assert_eq!(offer(&[]).check(), refused);
        assert_eq!(offer(&[("2027-01-02", None), ("2027-01-01", None)]).check(), refused);
        assert_eq!(offer(&[("2027-01-01", Some(10_000)), ("2027-01-02", None)]).check(), refused);
        let short = offer(&[("2027-01-01", Some(6_000)), ("2027-01-02", Some(3_999))]);
        assert_eq!(short.check(), refused);
    }

    #[test]
    fn what_is_paid_is_off_the_earliest_instalment_and_what_is_more_is_due_with_the_first() {
        let offer = offer(&[("2026-10-01", Some(6_000)), ("2027-01-30", Some(4_000))]);
        let total = Money::new(100, "XAF".parse().expect("a currency"));
        let plan = PaymentPlan {
            id: PaymentPlanId::derived_from("one"),
            offer: offer.code.clone(),
            term_code: "2027S".into(),
            lines: Vec::new(),
            instalments: offer.instalments_of(total).expect("in range"),
            is_first_at_once: false,
            begun_by: PersonId::derived_from("ada"),
            begun_at: Timestamp::UNIX_EPOCH,
            cancelled: None,
        };
        let left = |open| plan.left(open).into_iter().map(|one| one.amount).collect::<Vec<_>>();
        assert_eq!(left(100), [60, 40]);
        assert_eq!(left(50), [10, 40]);
        assert_eq!(left(30), [0, 30]);
        assert_eq!(left(0), [0, 0]);
        assert_eq!(left(130), [90, 40]);
        let is_kept = |open, day| plan.is_kept(open, date(day));
        assert!(is_kept(100, "2026-09-30"), "nothing is due yet");
        assert!(!is_kept(41, "2026-10-01"), "what is due today is due");
        assert!(is_kept(40, "2026-10-01") && is_kept(40, "2027-01-29"));
        assert!(!is_kept(40, "2027-01-30"));
        assert!(!is_kept(130, "2026-10-01"), "what was taken back is due with the first");
        let at_once = PaymentPlan { is_first_at_once: true, ..plan.clone() };
        assert!(!at_once.is_kept(41, date("2026-09-30")));
        assert!(at_once.is_kept(40, date("2026-09-30")));
    }
}
