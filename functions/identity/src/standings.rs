//! What the authorizer remembers of sessions: whether they still stand, and what their people may do. With the
//! gateway's own cache of 30 seconds, what ends is ended everywhere within a minute.

use jiff::SignedDuration;
use kernel::{ServiceClientId, SessionId, Timestamp};
use shell::{Grant, Remembered};

use crate::domain::{Client, Roles, SecondFactorPolicy, Session, SessionsEnd};

/// How long one reading of a session is good.
const KEPT: SignedDuration = SignedDuration::from_secs(25);
/// A warm authorizer remembers no more sessions than this; it takes about 5 MB.
const SESSIONS_MAX: usize = 10_000;

/// A session with what decides whether it stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Absent where there is no such session, or no longer.
    pub session: Option<Session>,
    pub end: Option<SessionsEnd>,
    pub roles: Roles,
}

impl Standing {
    /// What the session's person may do now; nothing where the session has ended.
    pub fn grants(&self, policy: SecondFactorPolicy, now: Timestamp) -> Option<Vec<Grant>> {
        let session = self.session.as_ref()?;
        session.stands(self.end.as_ref(), now).then(|| self.roles.grants_in(session, policy, now))
    }
}

/// By client, in the same way; nothing where there is no such client.
pub fn remembered_clients() -> Remembered<ServiceClientId, Option<Client>> {
    const CLIENTS_MAX: usize = 1_000;
    Remembered::new(KEPT, CLIENTS_MAX)
}

/// By session: the authorizer asks the table once for each of them and half a minute.
pub fn remembered_standings() -> Remembered<SessionId, Standing> {
    Remembered::new(KEPT, SESSIONS_MAX)
}
