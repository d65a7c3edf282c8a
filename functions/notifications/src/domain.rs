//! Whom we write to, what a message is about, and how far its sending has come.

use events::{DropReason, DunningMeasure, ReleaseReason, WaitlistState};
use kernel::{
    AccountId, Date, Email, InvoiceId, Locale, MessageId, PersonId, PersonName, Timestamp,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Refuse, Sentences};

/// How a person is reached: a projection of what identity tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub person: PersonId,
    pub name: PersonName,
    pub email: Email,
    pub locale: Locale,
    /// Version of the profile in identity that this is a copy of.
    pub profile_version: u64,
}

impl Contact {
    /// A newer profile replaces an older one, never the other way round.
    pub fn supersedes(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| self.profile_version > known.profile_version)
    }
}

/// A registration as a message names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    #[schemars(length(min = 1, max = 100))]
    pub section_code: String,
    #[schemars(length(min = 1, max = 200))]
    pub course_title: String,
}

/// What a message is about: everything its template needs that is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Goes to an address that nobody has proved yet, so that it repeats nothing that a stranger typed.
    VerifyEmail {
        account: AccountId,
        requested_at: Timestamp,
    },
    Registered {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
    },
    Released {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
        reason: Option<ReleaseReason>,
    },
    Dropped {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
        #[serde(default)]
        reason: DropReason,
    },
    /// The student gave up with a W what could not be dropped any more.
    Withdrawn {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
        whole_term: bool,
    },
    /// What somebody in line has come to without doing anything.
    Waitlist {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
        state: WaitlistState,
        offered_until: Option<Timestamp>,
    },
    /// Somebody was let in by a course that did not end well enough.
    PrerequisiteBroken {
        given_name: String,
        term_code: String,
        items: Vec<Item>,
        missing: String,
        drop_on: Option<Date>,
    },
    /// A session was ended because its refresh token was in two hands.
    SessionRevoked {
        happened_at: Timestamp,
    },
    /// Somebody logged in from a device that was not known.
    NewDevice {
        happened_at: Timestamp,
    },
    PasswordChanged {
        happened_at: Timestamp,
    },
    /// From now on every log-in asks for a second factor.
    SecondFactorConfirmed {
        happened_at: Timestamp,
    },
    /// A second factor was taken away by its owner, or by somebody who is taken for them.
    SecondFactorRemoved {
        happened_at: Timestamp,
    },
    /// The staff took a lost second factor away.
    SecondFactorReset {
        happened_at: Timestamp,
    },
    /// Somebody was given a role of the staff.
    RoleGiven {
        role: String,
        department: Option<String>,
        happened_at: Timestamp,
    },
    /// Brings a link to a new password.
    ResetPassword {
        account: AccountId,
        requested_at: Timestamp,
    },
    /// Brings a link that opens an account.
    Invitation {
        given_name: String,
        account: AccountId,
        requested_at: Timestamp,
    },
    /// Something is overdue, and what is done about it.
    PaymentOverdue {
        given_name: String,
        term_code: String,
        measure: DunningMeasure,
        due: Date,
        /// An amount with its currency, and what was billed for being late.
        overdue: String,
        fee: Option<String>,
    },
    /// A student was billed.
    Invoice {
        given_name: String,
        invoice: InvoiceId,
        number: String,
        /// An amount with its currency.
        amount: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    VerifyEmail,
    Registered,
    Released,
    Dropped,
    Withdrawn,
    Waitlist,
    PrerequisiteBroken,
    SessionRevoked,
    NewDevice,
    PasswordChanged,
    SecondFactorConfirmed,
    SecondFactorRemoved,
    SecondFactorReset,
    RoleGiven,
    ResetPassword,
    Invitation,
    PaymentOverdue,
    Invoice,
}

impl Kind {
    pub const ALL: [Self; 18] = [
        Self::VerifyEmail,
        Self::Registered,
        Self::Released,
        Self::Dropped,
        Self::Withdrawn,
        Self::Waitlist,
        Self::PrerequisiteBroken,
        Self::SessionRevoked,
        Self::NewDevice,
        Self::PasswordChanged,
        Self::SecondFactorConfirmed,
        Self::SecondFactorRemoved,
        Self::SecondFactorReset,
        Self::RoleGiven,
        Self::ResetPassword,
        Self::Invitation,
        Self::PaymentOverdue,
        Self::Invoice,
    ];

    /// As the names of its templates begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::Registered => "registered",
            Self::Released => "released",
            Self::Dropped => "dropped",
            Self::Withdrawn => "withdrawn",
            Self::Waitlist => "waitlist",
            Self::PrerequisiteBroken => "prerequisite_broken",
            Self::SessionRevoked => "session_revoked",
            Self::NewDevice => "new_device",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorConfirmed => "second_factor_confirmed",
            Self::SecondFactorRemoved => "second_factor_removed",
            Self::SecondFactorReset => "second_factor_reset",
            Self::RoleGiven => "role_given",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::PaymentOverdue => "payment_overdue",
            Self::Invoice => "invoice",
        }
    }
}

impl Content {
    pub fn kind(&self) -> Kind {
        match self {
            Self::VerifyEmail { .. } => Kind::VerifyEmail,
            Self::Registered { .. } => Kind::Registered,
            Self::Released { .. } => Kind::Released,
            Self::Dropped { .. } => Kind::Dropped,
            Self::Withdrawn { .. } => Kind::Withdrawn,
            Self::Waitlist { .. } => Kind::Waitlist,
            Self::PrerequisiteBroken { .. } => Kind::PrerequisiteBroken,
            Self::SessionRevoked { .. } => Kind::SessionRevoked,
            Self::NewDevice { .. } => Kind::NewDevice,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::SecondFactorConfirmed { .. } => Kind::SecondFactorConfirmed,
            Self::SecondFactorRemoved { .. } => Kind::SecondFactorRemoved,
            Self::SecondFactorReset { .. } => Kind::SecondFactorReset,
            Self::RoleGiven { .. } => Kind::RoleGiven,
            Self::ResetPassword { .. } => Kind::ResetPassword,
            Self::Invitation { .. } => Kind::Invitation,
            Self::PaymentOverdue { .. } => Kind::PaymentOverdue,
            Self::Invoice { .. } => Kind::Invoice,
        }
    }
}

/// Why a message will never be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The provider takes no such message.
    MessageRejected,
    /// The provider cannot send to this address.
    AddressRefused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Queued,
    Sent { sent_at: Timestamp, provider_message_id: String },
    Failed { failed_at: Timestamp, reason: FailureReason },
}

/// What came of one attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Accepted {
        provider_message_id: String,
    },
    Refused(FailureReason),
    /// Nothing is known for good: another attempt may help.
    Undecided,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    /// Absent where the address belongs to no known person yet.
    pub person: Option<PersonId>,
    pub to: Email,
    pub locale: Locale,
    pub content: Content,
    pub queued_at: Timestamp,
    pub attempts: u32,
    pub state: State,
}

impl Message {
    /// A message to a person, in their language.
    pub fn to_contact(id: MessageId, contact: &Contact, content: Content, now: Timestamp) -> Self {
        let Contact { person, email, locale, .. } = contact;
        Self { person: Some(*person), ..Self::to_address(id, email.clone(), *locale, content, now) }
    }

    /// A message to an address.
    pub fn to_address(
        id: MessageId,
        to: Email,
        locale: Locale,
        content: Content,
        now: Timestamp,
    ) -> Self {
        let (attempts, state) = (0, State::Queued);
        Self { id, person: None, to, locale, content, queued_at: now, attempts, state }
    }

    pub fn is_queued(&self) -> bool {
        self.state == State::Queued
    }

    /// Takes in what an attempt came to; false where the matter was settled before, and nothing changes.
    pub fn record(&mut self, attempt: &Attempt, now: Timestamp) -> bool {
        if !self.is_queued() {
            return false;
        }
        self.attempts = self.attempts.saturating_add(1);
        match attempt {
            Attempt::Accepted { provider_message_id } => {
                let provider_message_id = provider_message_id.clone();
                self.state = State::Sent { sent_at: now, provider_message_id };
            }
            Attempt::Refused(reason) => {
                self.state = State::Failed { failed_at: now, reason: *reason };
            }
            Attempt::Undecided => {}
        }
        true
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    MessageUnknown,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::MessageUnknown => ("MESSAGE_UNKNOWN", 404),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::Id;
    use proptest::prelude::*;

    use super::*;

    pub fn contact(person: PersonId, profile_version: u64) -> Contact {
        Contact {
            person,
            name: PersonName { given: "Ada".into(), family: "Lovelace".into() },
            email: format!("ada+{profile_version}@example.edu").parse().expect("an address"),
            locale: Locale::Fr,
            profile_version,
        }
    }

    pub fn content(kind: Kind) -> Content {
        let (given_name, term_code) = ("Ada <b>".to_owned(), "2027S".to_owned());
        let items = vec![
            Item { section_code: "MATH101-A".into(), course_title: "Calculus I".into() },
            Item { section_code: "HIST200-B".into(), course_title: "Peace & War".into() },
        ];
        let (account, requested_at) = (AccountId::derived_from("ada"), testkit::now());
        match kind {
            Kind::VerifyEmail => Content::VerifyEmail { account, requested_at },
            Kind::Registered => Content::Registered { given_name, term_code, items },
            Kind::Released => {
                let reason = Some(ReleaseReason::PaymentTimedOut);
                Content::Released { given_name, term_code, items, reason }
            }
            Kind::Dropped => {
                let reason = DropReason::StudentDropped;
                Content::Dropped { given_name, term_code, items, reason }
            }
            Kind::Withdrawn => {
                Content::Withdrawn { given_name, term_code, items, whole_term: true }
            }
            Kind::Waitlist => {
                let (state, offered_until) = (WaitlistState::Offered, Some(testkit::now()));
                Content::Waitlist { given_name, term_code, items, state, offered_until }
            }
            Kind::PrerequisiteBroken => {
                let missing = "course(MATH100, C)".to_owned();
                let drop_on = Some("2027-01-30".parse().expect("a date"));
                Content::PrerequisiteBroken { given_name, term_code, items, missing, drop_on }
            }
            Kind::SessionRevoked => Content::SessionRevoked { happened_at: testkit::now() },
            Kind::NewDevice => Content::NewDevice { happened_at: testkit::now() },
            Kind::PasswordChanged => Content::PasswordChanged { happened_at: testkit::now() },
            Kind::SecondFactorConfirmed => {
                Content::SecondFactorConfirmed { happened_at: testkit::now() }
            }
            Kind::SecondFactorRemoved => {
                Content::SecondFactorRemoved { happened_at: testkit::now() }
            }
            Kind::SecondFactorReset => Content::SecondFactorReset { happened_at: testkit::now() },
            Kind::RoleGiven => {
                let (role, department) = ("head_of_department".into(), Some("MATH".into()));
                Content::RoleGiven { role, department, happened_at: testkit::now() }
            }
            Kind::ResetPassword => Content::ResetPassword { account, requested_at },
            Kind::Invitation => Content::Invitation { given_name, account, requested_at },
            Kind::PaymentOverdue => Content::PaymentOverdue {
                given_name,
                term_code,
                measure: DunningMeasure::LateFee,
                due: "2027-01-22".parse().expect("a date"),
                overdue: "150000 XAF".into(),
                fee: Some("5000 XAF".into()),
            },
            Kind::Invoice => Content::Invoice {
                given_name,
                invoice: Id::derived_from("ada"),
                number: "MAT-2027-000001".into(),
                amount: "150000 XAF".into(),
            },
        }
    }

    fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
        let attempt = prop_oneof![
            "[a-z]{4}".prop_map(|provider_message_id| Attempt::Accepted { provider_message_id }),
            Just(Attempt::Refused(FailureReason::MessageRejected)),
            Just(Attempt::Refused(FailureReason::AddressRefused)),
            Just(Attempt::Undecided),
        ];
        prop::collection::vec(attempt, 0..8)
    }

    proptest! {
        #[test]
        fn the_newest_profile_stands_in_whatever_order_they_come(
            versions in prop::collection::vec(1_u64..10, 1..30),
        ) {
            let mut known: Option<Contact> = None;
            for version in &versions {
                let next = contact(testkit::person("ada"), *version);
                if next.supersedes(known.as_ref()) {
                    known = Some(next);
                }
            }
            prop_assert_eq!(known.map(|known| known.profile_version), versions.into_iter().max());
        }

        #[test]
        fn the_first_settled_attempt_is_the_last_that_changes_anything(attempts in attempts()) {
            let (id, now) = (MessageId::derived_from("one"), testkit::now());
            let contact = contact(testkit::person("ada"), 1);
            let mut message = Message::to_contact(id, &contact, content(Kind::Registered), now);
            for attempt in &attempts {
                let before = message.clone();
                let changed = message.record(attempt, now);
                prop_assert_eq!(changed, before.is_queued());
                prop_assert_eq!(message != before, changed);
            }
            let settles = |attempt: &Attempt| *attempt != Attempt::Undecided;
            let settled = attempts.iter().position(settles);
            let counted = settled.map_or(attempts.len(), |at| at + 1);
            prop_assert_eq!(u32::try_from(counted), Ok(message.attempts));
            prop_assert_eq!(message.is_queued(), settled.is_none());
        }
    }
}
