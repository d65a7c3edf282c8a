//! One call of an HTTP operation, as the operation sees it: who, what, when, and under which key.

use std::collections::BTreeMap;

use kernel::{Id, Locale, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use table::{IdempotencyKey, PageRequest, Position, Transaction};

use crate::request::FieldError;
use crate::{Caller, Failure, RequestRefusal, Scope, ServiceClient};

#[derive(Debug, Clone)]
pub struct Call<C> {
    pub command: C,
    /// Absent only where the route is public, or a service client calls.
    pub caller: Option<Caller>,
    /// Another system that calls in its own name, where the route lets one.
    pub client: Option<ServiceClient>,
    /// How far the caller's roles reach with this operation, with the departments they hold them in.
    pub reach: Vec<(Scope, Option<String>)>,
    /// Read once: every decision of this call is taken at this moment.
    pub now: Timestamp,
    pub locale: Locale,
    pub correlation_id: String,
    pub idempotency_key: Option<IdempotencyKey>,
    /// Version from `If-Match`.
    pub if_match: Option<u64>,
    pub page: PageRequest,
}

impl<C> Call<C> {
    /// The person who calls. Routes that are neither public nor for service clients have one: the shell refused
    /// everybody else.
    pub fn person(&self) -> PersonId {
        self.caller().person
    }

    /// Who calls, and from which session.
    pub fn caller(&self) -> &Caller {
        self.caller.as_ref().expect("the route is not public")
    }

    /// Whose record is asked for: the caller's own where nobody is named. A service client has none.
    pub fn whose(&self, named: Option<PersonId>, field: &str) -> Result<PersonId, RequestRefusal> {
        named.or(self.caller.as_ref().map(|caller| caller.person)).ok_or_else(|| {
            let field = field.to_owned();
            let required = FieldError { field, code: "REQUIRED", arguments: Vec::new() };
            RequestRefusal::InvalidInput(vec![required])
        })
    }

    /// Whether a record of `owner` in one of `departments` is within the caller's reach.
    pub fn may_touch(&self, owner: PersonId, departments: &[String]) -> bool {
        self.reach.iter().any(|(scope, department)| match scope {
            Scope::All => true,
            Scope::Own => self.caller.as_ref().is_some_and(|caller| caller.person == owner),
            Scope::Section => false,
            Scope::Department => {
                department.as_ref().is_some_and(|department| departments.contains(department))
            }
        })
    }

    /// Whether a section of `department` that names these teachers is within the caller's reach.
    pub fn may_touch_section(&self, teachers: &[PersonId], department: &str) -> bool {
        self.reach.iter().any(|(scope, held)| match scope {
            Scope::All => true,
            Scope::Own => false,
            Scope::Section => {
                self.caller.as_ref().is_some_and(|caller| teachers.contains(&caller.person))
            }
            Scope::Department => held.as_deref() == Some(department),
        })
    }

    /// Whether the caller reaches every record of this kind.
    pub fn may_touch_all(&self) -> bool {
        self.reach.iter().any(|(scope, _)| *scope == Scope::All)
    }

    /// Refuses an edit of what has changed since the caller read it.
    pub fn check_version(&self, version: u64) -> Result<(), Failure> {
        if self.if_match.is_none_or(|read| read == version) {
            Ok(())
        } else {
            Err(RequestRefusal::PreconditionFailed.into())
        }
    }

    /// Keeps `reply` in the transaction, where the call has a key to keep it under.
    pub fn keep_reply<R: Serialize>(&self, transaction: &mut Transaction<'_>, reply: &R) {
        if let Some(key) = &self.idempotency_key {
            transaction.reply(key, reply, self.now);
        }
    }

    /// An id that nobody has yet. Unique, not secret: ids name things, they open nothing.
    pub fn new_id<I: Id>(&self) -> I {
        I::new(self.now, fastrand::u128(..))
    }
}

/// A page of a list. The position becomes an opaque, sealed cursor on its way out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Listing<T> {
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next page; null on the last one.
    #[schemars(with = "Option<String>")]
    pub next_cursor: Option<Position>,
}

/// A request taken as it came, for those whose signature covers every byte.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}
