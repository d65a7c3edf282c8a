//! Money that goes back: refunds that we ask for, refunds that the provider makes by itself, and what a payer's bank
//! takes back and may give again.

use kernel::{Money, PaymentId, PersonId, RefundId, SuspenseItemId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{StudentAccount, Turn};
use super::ledger::{Account, Booking, Line, Source, SourceKind};
use super::{Invoice, Payment, PaymentState, Refusal};

/// Whose money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Payment(PaymentId),
    SuspenseItem(SuspenseItemId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Recorded; the provider may or may not have heard of it.
    Initiated,
    /// The provider was asked; what it will come to is not known.
    Pending,
    Paid,
    /// It did not reach the payer: the money is with us again.
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    pub of: Origin,
    /// The provider's id of the payment; absent where the money goes back over the counter.
    pub payment_ref: Option<String>,
    pub amount: Money,
    /// What of it is booked against nobody, in minor units: more went back than there was.
    pub unplaced: i64,
    pub reason: String,
    pub state: RefundState,
    /// The provider's id of the refund, once it is known.
    pub provider_ref: Option<String>,
    pub failure_reason: Option<String>,
    /// Absent where the provider did it by itself.
    pub refunded_by: Option<PersonId>,
    pub refunded_at: Timestamp,
    /// When the provider was last asked about it.
    pub asked_at: Timestamp,
    pub concluded_at: Option<Timestamp>,
}

/// How a refund goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Paid,
    Failed,
    /// It was paid, and the payer's bank sent it back.
    Bounced,
}

/// What the provider says of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReport {
    pub provider_ref: String,
    pub payment_ref: String,
    /// Our refund, as the provider was told when it was asked.
    pub refund: Option<RefundId>,
    pub amount: Money,
    pub word: RefundWord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundWord {
    Paid,
    Failed { reason: String },
    Undecided,
}

impl Refund {
    const PATIENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
    /// After it the provider forgets under which key it was asked: asked again, it might pay a second time.
    const KEY_LIFETIME: jiff::SignedDuration = jiff::SignedDuration::from_hours(23);

    pub fn is_under_way(&self) -> bool {
        matches!(self.state, RefundState::Initiated | RefundState::Pending)
    }

    /// Whether it is time to ask the provider what became of it.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_under_way() && now.duration_since(self.asked_at) > Self::PATIENCE
    }

    /// Whether the provider may not know any more that it was asked for this before.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.provider_ref.is_none() && now.duration_since(self.refunded_at) > Self::KEY_LIFETIME
    }

    /// Whether the report can be about this refund.
    pub fn is_meant_by(&self, report: &RefundReport) -> bool {
        self.amount == report.amount && self.is_known_as(&report.provider_ref)
    }

    /// Whether the provider may call it so.
    pub fn is_known_as(&self, provider_ref: &str) -> bool {
        self.provider_ref.as_ref().is_none_or(|known| known == provider_ref)
    }

    /// Notes that the provider was asked, and the reference that it gave, where it gave one.
    pub fn note_asked(&mut self, provider_ref: Option<&str>, now: Timestamp) {
        if self.state == RefundState::Initiated {
            self.state = RefundState::Pending;
        }
        self.asked_at = now;
        if let Some(provider_ref) = provider_ref {
            self.provider_ref.get_or_insert_with(|| provider_ref.to_owned());
        }
    }

    /// Follows the provider's word. What failed stays so: that it was paid is the older news.
    pub fn follow(&mut self, word: &RefundWord, now: Timestamp) -> Option<Outcome> {
        let outcome = match (word, self.state) {
            (RefundWord::Undecided, _)
            | (_, RefundState::Failed)
            | (RefundWord::Paid, RefundState::Paid) => return None,
            (RefundWord::Paid, _) => Outcome::Paid,
            (RefundWord::Failed { .. }, RefundState::Paid) => Outcome::Bounced,
            (RefundWord::Failed { .. }, _) => Outcome::Failed,
        };
        self.state = if outcome == Outcome::Paid { RefundState::Paid } else { RefundState::Failed };
        if let RefundWord::Failed { reason } = word {
            self.failure_reason = Some(reason.clone());
        }
        self.concluded_at = Some(now);
        Some(outcome)
    }

    /// What of it came from where its money was.
    pub fn placed(&self) -> Money {
        Money::new(self.amount.minor - self.unplaced, self.amount.currency)
    }
}

impl Outcome {
    pub fn source(self, refund: &str) -> Source {
        let kind = match self {
            Self::Paid | Self::Failed => SourceKind::RefundConcluded,
            Self::Bounced => SourceKind::RefundBounced,
        };
        Source { kind, id: refund.to_owned() }
    }

    /// The lines of it, for money that lay in this account before, and came into that one.
    pub fn lines(self, amount: Money, lay: Account, came: Account) -> Result<Vec<Line>, Refusal> {
        let (debit, credit) = match self {
            Self::Paid => (Account::RefundsPayable, came),
            Self::Failed => (Account::RefundsPayable, lay),
            Self::Bounced => (came, lay),
        };
        Ok(vec![Line::new(debit, amount), Line::new(credit, amount.negated()?)])
    }
}

/// Pays money back that is not applied to anything. Through the provider it is on its way until the provider says so;
/// over the counter it is gone.
pub fn begin_refund(
    payment: &mut Payment,
    amount: Money,
    refund: &str,
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    match payment.state {
        PaymentState::Succeeded | PaymentState::PartiallyRefunded | PaymentState::Refunded => {}
        _ => return Err(Refusal::PaymentNotReceived),
    }
    if amount.minor <= 0 {
        return Err(Refusal::AmountNotPositive);
    }
    account.begin_turn();
    account.withdraw(payment.id, amount)?;
    payment.refunded = payment.refunded.checked_add(amount)?;
    payment.follow_returns();
    let gone_to = payment.channel.account_of_refunds();
    let lines =
        vec![Line::new(Account::UnappliedCash, amount), Line::new(gone_to, amount.negated()?)];
    let source = Source { kind: SourceKind::Refund, id: refund.to_owned() };
    account.end_turn(booking, source, lines, Vec::new(), Vec::new())
}

/// The provider has paid a refund out, or did not, or it came back: then the money is the student's again.
pub fn conclude_refund(
    payment: &mut Payment,
    amount: Money,
    (refund, outcome): (&str, Outcome),
    account: &mut StudentAccount,
    booking: Booking,
) -> Result<Turn, Refusal> {
    account.begin_turn();
    let mut applied = Vec::new();
    if outcome != Outcome::Paid {
        payment.refunded = payment.refunded.checked_sub(amount)?;
        payment.follow_returns();
        account.deposit(&payment.fund(), amount)?;
        applied = account.apply(None, &[], booking.booked_at);
    }
    let lines = outcome.lines(amount, Account::UnappliedCash, payment.channel.account())?;
    account.end_turn(booking, outcome.source(refund), lines, Vec::new(), applied)
}

/// The provider has paid money back by itself: what it paid for is open again, as far as it has to be.
pub fn take_refund(
    payment: &mut Payment,
    amount: Money,
    refund: &str,
    paid: &mut [&mut Invoice],
    (account, booking): (&mut StudentAccount, Booking),
) -> Result<Turn, Refusal> {
    payment.refunded = payment.refunded.checked_add(amount)?;
    payment.follow_returns();
    let source = Source { kind: SourceKind::Refund, id: refund.to_owned() };
    take_away(payment, amount, source, paid, (account, booking))
}

/// The payer's bank took money back: what it paid for is open again, as far as other money does not pay for it.
pub fn charge_back(
    payment: &mut Payment,
    amount: Money,
    dispute: &str,
    paid: &mut [&mut Invoice],
    (account, booking): (&mut StudentAccount, Booking),
) -> Result<Turn, Refusal> {
    payment.charged_back =
        payment.charged_back.checked_add(amount.minor).ok_or(Refusal::AmountTooLarge)?;
    payment.follow_returns();
    let source = Source { kind: SourceKind::Chargeback, id: dispute.to_owned() };
    take_away(payment, amount, source, paid, (account, booking))
}

/// The payer's bank gave back what it had taken: it pays again for what is open.
pub fn reinstate(
    payment: &mut Payment,
    amount: Money,
    dispute: &str,
    (account, booking): (&mut StudentAccount, Booking),
) -> Result<Turn, Refusal> {
    payment.charged_back -= amount.minor;
    payment.follow_returns();
    account.begin_turn();
    account.deposit(&payment.fund(), amount)?;
    let applied = account.apply(None, &[], booking.booked_at);
    let lines = vec![
        Line::new(payment.channel.account(), amount),
        Line::new(Account::UnappliedCash, amount.negated()?),
    ];
    let source = Source { kind: SourceKind::ChargebackReversed, id: dispute.to_owned() };
    account.end_turn(booking, source, lines, Vec::new(), applied)
}

/// Lets the amount go to where the payment came from, all of it at once: the balance is right from then on. What it
/// paid for is opened again as far as one turn can; `go_on` does the rest.
fn take_away(
    payment: &Payment,
    amount: Money,
    source: Source,
    paid: &mut [&mut Invoice],
    (account, booking): (&mut StudentAccount, Booking),
) -> Result<Turn, Refusal> {
    account.begin_turn();
    account.deposit(&payment.fund(), amount.negated()?)?;
    let freed = account.free_missing(payment.id, paid, booking.booked_at)?;
    let applied = account.apply(None, &freed, booking.booked_at);
    let lines = vec![
        Line::new(Account::UnappliedCash, amount),
        Line::new(payment.channel.account(), amount.negated()?),
    ];
    account.end_turn(booking, source, lines, freed, applied)
}

/// Goes on where a turn left something over: opens again what money paid for that is gone, and applies what may be
/// applied.
pub fn go_on(
    overdrawn: Option<PaymentId>,
    paid: &mut [&mut Invoice],
    (account, booking): (&mut StudentAccount, Booking),
) -> Result<Turn, Refusal> {
    account.begin_turn();
    let freed = match overdrawn {
        Some(payment) => account.free_missing(payment, paid, booking.booked_at)?,
        None => Vec::new(),
    };
    let applied = account.apply(None, &freed, booking.booked_at);
    let id = format!("{}#{}#{}", account.student, account.currency, account.turn());
    let source = Source { kind: SourceKind::LeftOver, id };
    account.end_turn(booking, source, Vec::new(), freed, applied)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The payer's bank asks; no money has moved.
    Open,
    /// The money is gone, for the time being.
    Withdrawn,
    /// The money is gone for good.
    Lost,
    /// The money is here, or is here again.
    Won,
}

/// A payer who turned to their bank: a chargeback, once money leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// The provider's id of it.
    pub provider_ref: String,
    pub of: Origin,
    pub amount: Money,
    /// What of it is booked against nobody, in minor units: more was taken than there was.
    pub unplaced: i64,
    /// What the provider keeps for it, where it tells so.
    pub fee: Option<Money>,
    /// In the provider's word, such as `fraudulent`.
    pub reason: String,
    pub state: DisputeState,
    pub opened_at: Timestamp,
    /// When money first left because of it.
    #[serde(default)]
    pub withdrawn_at: Option<Timestamp>,
    pub changed_at: Timestamp,
}

/// What the provider says of a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    pub provider_ref: String,
    pub payment_ref: String,
    pub amount: Money,
    pub fee: Option<Money>,
    pub reason: String,
    pub word: DisputeState,
}

/// What a dispute does to the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    Out,
    Back,
}

impl Dispute {
    pub fn of(report: &DisputeReport, of: Origin, now: Timestamp) -> Self {
        Self {
            provider_ref: report.provider_ref.clone(),
            of,
            amount: report.amount,
            unplaced: 0,
            fee: None,
            reason: report.reason.clone(),
            state: DisputeState::Open,
            opened_at: now,
            withdrawn_at: None,
            changed_at: now,
        }
    }

    /// Follows the provider's word, which may be older than what is known: then nothing changes. Answers whether
    /// anything did, and which way the money went.
    pub fn follow(&mut self, word: DisputeState, now: Timestamp) -> (bool, Option<Movement>) {
        use DisputeState::{Lost, Open, Withdrawn, Won};
        let movement = match (self.state, word) {
            (Open, Withdrawn | Lost) => Some(Movement::Out),
            (Withdrawn | Lost, Won) => Some(Movement::Back),
            (Open, Won) | (Withdrawn, Lost) => None,
            (_, Open) | (Withdrawn, Withdrawn) | (Lost, Withdrawn | Lost) | (Won, _) => {
                return (false, None);
            }
        };
        if movement == Some(Movement::Out) {
            self.withdrawn_at = Some(now);
        }
        self.state = word;
        self.changed_at = now;
        (true, movement)
    }

    /// What of it came from where its money was.
    pub fn placed(&self) -> Money {
        Money::new(self.amount.minor - self.unplaced, self.amount.currency)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    fn francs(minor: i64) -> Money {
        Money::new(minor, "XAF".parse().expect("a currency"))
    }

    #[test]
    fn a_dispute_moves_money_once_each_way_in_whatever_order_it_is_told() {
        use DisputeState::{Lost, Open, Withdrawn, Won};
        let report = DisputeReport {
            provider_ref: "dp_1".into(),
            payment_ref: "pi_1".into(),
            amount: francs(5),
            fee: None,
            reason: "fraudulent".into(),
            word: Open,
        };
        let moved = |words: &[DisputeState]| {
            let of = Origin::Payment(PaymentId::derived_from("one"));
            let mut dispute = Dispute::of(&report, of, Timestamp::UNIX_EPOCH);
            let moves = words.iter().map(|word| dispute.follow(*word, Timestamp::UNIX_EPOCH).1);
            let moves: Vec<Movement> = moves.flatten().collect();
            (moves, dispute.state)
        };
        let (out, back) = (Movement::Out, Movement::Back);
        assert_eq!(moved(&[Open, Withdrawn, Withdrawn, Open]), (vec![out], Withdrawn));
        assert_eq!(moved(&[Withdrawn, Lost, Lost, Withdrawn]), (vec![out], Lost));
        assert_eq!(moved(&[Lost, Withdrawn]), (vec![out], Lost));
        assert_eq!(moved(&[Withdrawn, Won, Won, Withdrawn, Lost]), (vec![out, back], Won));
        assert_eq!(moved(&[Won, Withdrawn]), (vec![], Won), "both were over before we heard");
    }

    #[test]
    fn a_refund_that_failed_stays_so_and_one_that_was_paid_may_bounce() {
        let failed = || RefundWord::Failed { reason: "lost_or_stolen_card".into() };
        let outcomes = |words: Vec<RefundWord>| {
            let now = Timestamp::UNIX_EPOCH;
            let mut refund = Refund {
                id: RefundId::derived_from("one"),
                of: Origin::Payment(PaymentId::derived_from("one")),
                payment_ref: Some("pi_1".into()),
                amount: francs(5),
                unplaced: 0,
                reason: "left".into(),
                state: RefundState::Pending,
                provider_ref: None,
                failure_reason: None,
                refunded_by: None,
                refunded_at: now,
                asked_at: now,
                concluded_at: None,
            };
            let outcomes = words.iter().filter_map(|word| refund.follow(word, now));
            (outcomes.collect::<Vec<_>>(), refund.state)
        };
        let (paid, undecided) = (RefundWord::Paid, RefundWord::Undecided);
        let twice = vec![undecided.clone(), paid.clone(), undecided, paid.clone()];
        assert_eq!(outcomes(twice), (vec![Outcome::Paid], RefundState::Paid));
        let bounced = vec![paid.clone(), failed(), failed(), paid.clone()];
        let both = vec![Outcome::Paid, Outcome::Bounced];
        assert_eq!(outcomes(bounced), (both, RefundState::Failed));
        let late = vec![failed(), paid];
        assert_eq!(outcomes(late), (vec![Outcome::Failed], RefundState::Failed));
    }
}
