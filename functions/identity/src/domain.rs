//! What people, accounts, sessions and roles are, and what is refused of them.

mod account;
mod attempts;
mod claim;
mod entries;
mod external_id;
mod folding;
mod grant_refusal;
mod key_set;
mod password_check;
mod person;
mod refusal;
mod roles;
mod second_factor;
mod self_registration;
mod service_client;
mod session;
mod sign_in;

pub use account::{Account, AccountState, Password, PasswordHash, Reset, Verdict};
pub use attempts::{LoginAttempts, MailRequests};
pub use claim::{Claim, ClaimKind, Identifier};
pub use entries::{
    Alike, Entry, List, NameBeginning, check_keeper, directory_entries, entries, keeps,
    likeness_of_email, likenesses,
};
pub use external_id::{ExternalId, KIND_PATTERN, SYSTEM_PATTERN};
pub use folding::folded;
pub use grant_refusal::GrantRefusal;
pub use key_set::{KeySeed, KeySet, Seed};
pub use password_check::{Chooser, check_password};
pub use person::{Distinction, ImportedPerson, LegalName, Person, check_birth_date, checked_name};
pub use refusal::{Refusal, SENTENCES};
pub use roles::{
    Assigned, ByDate, RoleAssignment, RoleDate, Roles, SecondFactorPolicy, Validity,
    check_addresser, check_giver, check_imported_address, check_opener, check_registrar,
    check_resetter,
};
pub use second_factor::{Code, SealedSeed, SecondFactor};
pub use self_registration::SelfRegistration;
pub use service_client::{Client, ClientSecret, ClientSettings, ClientUses, SecretDigest};
pub use session::{Refreshed, Session, SessionsEnd};
pub use sign_in::{
    ExternalIdSource, Identity, Provider, ProviderCode, ProviderSettings, SignIn, UnknownPerson,
};
