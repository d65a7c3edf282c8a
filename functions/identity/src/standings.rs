//! What the authorizer remembers of sessions: whether they still stand, and what their people may do. With the
//! gateway's own cache of 30 seconds, what ends is ended everywhere within a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;
use kernel::{SessionId, Timestamp};
use shell::Grant;

use crate::domain::{Roles, SecondFactorPolicy, Session, SessionsEnd};

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

#[derive(Default)]
pub struct Standings {
    known: Mutex<HashMap<SessionId, (Timestamp, Standing)>>,
}

impl Standings {
    pub fn get(&self, session: SessionId, now: Timestamp) -> Option<Standing> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&session)
            .filter(|(read_at, _)| is_fresh(*read_at, now))
            .map(|(_, one)| one.clone())
    }

    pub fn keep(&self, session: SessionId, standing: Standing, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SESSIONS_MAX {
            known.retain(|_, (read_at, _)| is_fresh(*read_at, now));
        }
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        known.insert(session, (now, standing));
    }
}

fn is_fresh(read_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(read_at);
    !age.is_negative() && age < KEPT
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let standings = Standings::default();
        let standing =
            Standing { session: None, end: None, roles: Roles::none_of(testkit::person("ada")) };
        let session = |number: usize| SessionId::derived_from(&number.to_string());
        for number in 0..SESSIONS_MAX + 5 {
            standings.keep(session(number), standing.clone(), testkit::now());
        }
        let known = standings.known.lock().expect("nobody panicked").len();
        assert!(known <= SESSIONS_MAX, "{known}");
        assert!(standings.get(session(SESSIONS_MAX + 4), testkit::now()).is_some());
    }
}
