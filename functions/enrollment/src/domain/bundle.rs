//! Registrations that stand or fall together, and where their saga is.

use std::collections::BTreeSet;

use events::{BundleParked, ChargeableRegistration, Decision, Enter, ReleaseReason, SagaRequested};
use kernel::{ApprovalId, BundleId, Id, InvoiceId, PersonId, SubmissionId, TermId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BundleState {
    SeatsHeld,
    AwaitingApproval,
    AwaitingPayment,
    /// The pivot is passed: from here the saga goes only forward.
    Confirmed,
    Undoing,
    Released,
}

/// An undo that kept failing, waiting for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parked {
    pub step: String,
    pub error: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bundle {
    pub id: BundleId,
    pub submission: SubmissionId,
    pub student: PersonId,
    pub term: TermId,
    pub term_code: String,
    pub registrations: Vec<ChargeableRegistration>,
    /// The departments whose heads must approve; none where no section asks for it.
    pub approval_departments: BTreeSet<String>,
    /// One for each of these departments, once they have been asked.
    pub approvals: Vec<ApprovalId>,
    /// Where the execution that waits for the approvals is to be answered.
    pub approval_token: Option<String>,
    pub invoice: Option<InvoiceId>,
    pub state: BundleState,
    /// Number of the execution that carries the saga: raised when it has to be started again.
    pub attempt: u32,
    pub reason: Option<ReleaseReason>,
    pub parked: Option<Parked>,
    /// Whether the saga has come to its end, good or bad, and the student has been told.
    pub closed: bool,
    pub held_at: Timestamp,
    /// When the student could begin to pay.
    pub billed_at: Option<Timestamp>,
    pub moved_at: Timestamp,
}

impl Bundle {
    /// An execution that keeps dying is not started for ever.
    pub const ATTEMPTS_MAX: u32 = 20;

    fn move_to(&mut self, state: BundleState, now: Timestamp) {
        self.state = state;
        self.moved_at = now;
    }

    /// The recorded step: where a saga that is started again goes on. Steps before it have left their mark.
    pub fn enter(&self) -> Enter {
        match self.state {
            BundleState::SeatsHeld | BundleState::AwaitingApproval => Enter::Approve,
            BundleState::AwaitingPayment => Enter::Charge,
            BundleState::Confirmed => Enter::Notify,
            BundleState::Undoing | BundleState::Released => Enter::Undo,
        }
    }

    pub fn saga_request(&self) -> SagaRequested {
        SagaRequested {
            bundle: self.id,
            attempt: self.attempt,
            enter: self.enter(),
            submission: self.submission,
            student: self.student,
            term: self.term,
            term_code: self.term_code.clone(),
            approval_required: !self.approval_departments.is_empty(),
            registrations: self.registrations.clone(),
            waiting_since: self.billed_at.unwrap_or(self.held_at),
            reason: self.reason,
        }
    }

    /// Another execution has to carry the saga on.
    pub fn restart(&mut self, now: Timestamp) {
        self.attempt += 1;
        self.parked = None;
        self.moved_at = now;
    }

    /// The heads of department are asked, each once; a newer token replaces the older.
    pub fn await_approval(
        &mut self,
        task_token: String,
        now: Timestamp,
    ) -> Result<Vec<Approval>, Refusal> {
        match self.state {
            BundleState::Undoing | BundleState::Released => return Err(Refusal::BundleUndone),
            BundleState::AwaitingApproval
            | BundleState::AwaitingPayment
            | BundleState::Confirmed => {
                self.approval_token = Some(task_token);
                return Ok(Vec::new());
            }
            BundleState::SeatsHeld => {}
        }
        let asked: Vec<Approval> = self
            .approval_departments
            .iter()
            .map(|department| Approval::ask(self, department.clone(), now))
            .collect();
        self.approvals = asked.iter().map(|approval| approval.id).collect();
        self.approval_token = Some(task_token);
        self.move_to(BundleState::AwaitingApproval, now);
        Ok(asked)
    }

    /// What is to be paid is known. `false` when that was recorded before.
    pub fn await_payment(&mut self, invoice: InvoiceId, now: Timestamp) -> Result<bool, Refusal> {
        match self.state {
            BundleState::Undoing | BundleState::Released => Err(Refusal::BundleUndone),
            BundleState::AwaitingPayment | BundleState::Confirmed => Ok(false),
            BundleState::SeatsHeld | BundleState::AwaitingApproval => {
                self.invoice = Some(invoice);
                self.billed_at = Some(now);
                self.move_to(BundleState::AwaitingPayment, now);
                Ok(true)
            }
        }
    }

    /// The pivot. `false` when it was passed before; refused once the undo has begun.
    pub fn confirm(&mut self, now: Timestamp) -> Result<bool, Refusal> {
        match self.state {
            BundleState::Undoing | BundleState::Released => Err(Refusal::BundleUndone),
            BundleState::Confirmed => Ok(false),
            BundleState::SeatsHeld
            | BundleState::AwaitingApproval
            | BundleState::AwaitingPayment => {
                self.move_to(BundleState::Confirmed, now);
                Ok(true)
            }
        }
    }

    /// Decides between pivot and undo: what is confirmed is never undone, even when the confirmation's reply
    /// was lost; nor is for its time-out what was approved in the last moment. What was rejected then is
    /// said to be. `false` when there is nothing to change.
    pub fn begin_undo(&mut self, reason: ReleaseReason, verdict: Verdict, now: Timestamp) -> bool {
        let decided_after_all = (reason == ReleaseReason::ApprovalTimedOut).then_some(verdict);
        match (self.state, decided_after_all) {
            (BundleState::Confirmed | BundleState::Undoing | BundleState::Released, _)
            | (BundleState::AwaitingApproval, Some(Verdict::Approved)) => false,
            (
                BundleState::SeatsHeld
                | BundleState::AwaitingApproval
                | BundleState::AwaitingPayment,
                _,
            ) => {
                let rejected = decided_after_all == Some(Verdict::Rejected);
                self.reason = Some(if rejected { ReleaseReason::ApprovalRejected } else { reason });
                self.move_to(BundleState::Undoing, now);
                true
            }
        }
    }

    /// The last undo: the seats go back. `false` when they went before; never after the pivot.
    pub fn release(&mut self, now: Timestamp) -> bool {
        if self.state != BundleState::Undoing {
            return false;
        }
        self.move_to(BundleState::Released, now);
        true
    }

    /// Puts the bundle on the operator's list, and tells of it.
    pub fn park(&mut self, step: String, error: String, now: Timestamp) -> BundleParked {
        self.parked = Some(Parked { step: step.clone(), error: error.clone(), at: now });
        self.moved_at = now;
        let Self { id: bundle, submission, student, .. } = *self;
        BundleParked { bundle, submission, student, step, error }
    }

    pub fn close(&mut self, now: Timestamp) {
        self.closed = true;
        self.parked = None;
        self.moved_at = now;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    Waiting,
    Approved,
    Rejected,
    /// The bundle was undone before anybody decided.
    Cancelled,
}

/// The head of department's word on a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub id: ApprovalId,
    pub submission: SubmissionId,
    pub bundle: BundleId,
    pub student: PersonId,
    pub department: String,
    pub registrations: Vec<ChargeableRegistration>,
    pub state: ApprovalState,
    pub requested_at: Timestamp,
    pub decided_by: Option<PersonId>,
    pub reason: Option<String>,
}

/// What the words of all the heads that a bundle needs come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Waiting,
    Approved,
    /// One of them said no, or may no longer say anything.
    Rejected,
}

impl Verdict {
    pub fn of(approvals: &[ApprovalState]) -> Self {
        if approvals.contains(&ApprovalState::Rejected)
            || approvals.contains(&ApprovalState::Cancelled)
        {
            Self::Rejected
        } else if approvals.is_empty() || approvals.contains(&ApprovalState::Waiting) {
            Self::Waiting
        } else {
            Self::Approved
        }
    }
}

impl Approval {
    fn ask(bundle: &Bundle, department: String, now: Timestamp) -> Self {
        Self {
            id: ApprovalId::derived_from(&format!("{}#{department}", bundle.id)),
            submission: bundle.submission,
            bundle: bundle.id,
            student: bundle.student,
            department,
            registrations: bundle.registrations.clone(),
            state: ApprovalState::Waiting,
            requested_at: now,
            decided_by: None,
            reason: None,
        }
    }

    /// The bundle is undone: nobody decides any more. `false` when it was decided before.
    pub fn cancel(&mut self) -> bool {
        let waits = self.state == ApprovalState::Waiting;
        if waits {
            self.state = ApprovalState::Cancelled;
        }
        waits
    }

    pub fn decide(
        &mut self,
        decision: Decision,
        by: PersonId,
        reason: Option<String>,
    ) -> Result<(), Refusal> {
        if self.state != ApprovalState::Waiting {
            return Err(Refusal::ApprovalDecided);
        }
        self.state = match decision {
            Decision::Approve => ApprovalState::Approved,
            Decision::Reject => ApprovalState::Rejected,
        };
        self.decided_by = Some(by);
        self.reason = reason;
        Ok(())
    }
}
