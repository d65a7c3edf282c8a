//! What people, accounts, sessions and roles are, and what is refused of them.

mod account;
mod attempts;
mod claim;
mod key_set;
mod person;
mod refusal;
mod roles;
mod second_factor;
mod session;

pub use account::{Account, AccountState, Password, PasswordHash, Reset, Verdict, check_password};
pub use attempts::{LoginAttempts, ResetRequests};
pub use claim::{Claim, ClaimKind, Identifier};
pub use key_set::{KeySeed, KeySet, Seed};
pub use person::{ImportedPerson, Person};
pub use refusal::{Refusal, SENTENCES};
pub use roles::{
    Assigned, RoleAssignment, Roles, SecondFactorPolicy, Validity, check_giver, check_resetter,
};
pub use second_factor::{Code, SealedSeed, SecondFactor};
pub use session::{Refreshed, Session, SessionsEnd};
