//! Prefixed ids, so that a wrong id is visible at a glance and refused where it arrives.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What every prefixed id can do.
pub trait Id: Sized + fmt::Display + FromStr<Err = WrongId> {
    /// Three letters, without the underscore.
    const PREFIX: &'static str;

    fn from_uuid(uuid: Uuid) -> Self;

    /// A new id that sorts by the time it was made (RFC 9562, version 7).
    fn new(now: Timestamp, entropy: u128) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let random = entropy.to_be_bytes();
        let tail = [
            random[0], random[1], random[2], random[3], random[4], random[5], random[6], random[7],
            random[8], random[9],
        ];
        Self::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The id that follows from `origin`: a repeated step finds what it made the first time.
    fn derived_from(origin: &str) -> Self {
        Self::from_uuid(Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("{}:{origin}", Self::PREFIX).as_bytes(),
        ))
    }
}

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that begins with {prefix}_")]
pub struct WrongId {
    pub prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;

            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = WrongId;

            fn from_str(text: &str) -> Result<Self, WrongId> {
                let wrong = WrongId { prefix: $prefix };
                let hex = text.strip_prefix(concat!($prefix, "_")).ok_or(wrong.clone())?;
                if hex.len() != 32 || hex.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(wrong);
                }
                Uuid::try_parse(hex).map(Self).map_err(|_| wrong)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$") })
            }
        }
    )*};
}

ids! {
    /// A human being, known to every context by this id alone.
    PersonId = "per";
    AccountId = "acc";
    SessionId = "ses";
    /// Something that somebody logs in with: a browser, a telephone.
    DeviceId = "dev";
    RoleAssignmentId = "rol";
    /// Another system that calls by itself.
    ServiceClientId = "cli";
    /// A secret of a service client.
    ClientSecretId = "cls";
    /// A sign-in with another provider that was begun.
    SignInId = "sgn";
    TermId = "trm";
    CourseId = "crs";
    ProgramId = "prg";
    SectionId = "sec";
    RegistrationGroupId = "rgr";
    CrossListId = "xls";
    RolloverId = "rlv";
    SubmissionId = "sub";
    BundleId = "bun";
    RegistrationId = "reg";
    ApprovalId = "apr";
    HoldId = "hld";
    OverrideId = "ovr";
    WaitlistEntryId = "wle";
    TermWithdrawalId = "twd";
    ChargeId = "chg";
    InvoiceId = "inv";
    PaymentId = "pay";
    RefundId = "rfd";
    AdjustmentId = "adj";
    JournalEntryId = "jrn";
    SuspenseItemId = "sus";
    /// What a student hands in to show that they paid.
    ReceiptId = "rct";
    /// An agreement to pay in instalments.
    PaymentPlanId = "pln";
    TuitionRunId = "run";
    MessageId = "msg";
    ImportId = "imp";
}

/// What another system calls a thing that was imported from it. Our id follows from it, so that a second import, and
/// every context on its own, finds the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SourceId(#[schemars(length(min = 1, max = 255))] pub String);

impl SourceId {
    pub fn id<I: Id>(&self) -> I {
        I::derived_from(&format!("source:{}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = SectionId::new(Timestamp::UNIX_EPOCH, 42);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let course = CourseId::derived_from("MATH101").to_string();
        assert_eq!(course.parse::<SectionId>(), Err(WrongId { prefix: "sec" }));
        assert_eq!("sec_1".parse::<SectionId>(), Err(WrongId { prefix: "sec" }));
        assert_eq!("sec_".parse::<SectionId>(), Err(WrongId { prefix: "sec" }));
    }

    #[test]
    fn the_same_origin_gives_the_same_id() {
        assert_eq!(ChargeId::derived_from("bun_1"), ChargeId::derived_from("bun_1"));
        assert_ne!(ChargeId::derived_from("bun_1"), ChargeId::derived_from("bun_2"));
    }

    #[test]
    fn later_ids_sort_later() {
        let early = PaymentId::new(Timestamp::from_second(1_000).expect("in range"), u128::MAX);
        let late = PaymentId::new(Timestamp::from_second(1_001).expect("in range"), 0);
        assert!(early.to_string() < late.to_string());
    }
}
