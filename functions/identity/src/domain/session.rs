//! A session: one log-in, kept alive by refresh tokens of which only the newest is good. Tokens are not
//! stored, not even
//! hashed: a session knows the generation that its newest token has, and the token proves its generation by a MAC.

use jiff::SignedDuration;
use kernel::{AccountId, PersonId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub person: PersonId,
    pub account: AccountId,
    pub started_at: Timestamp,
    /// Of the refresh token that is good now.
    pub generation: u64,
    pub rotated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// What the client calls the device it runs on.
    #[serde(default)]
    pub device_name: Option<String>,
    #[serde(default)]
    pub passed_second_factor: bool,
}

/// The moment at which a person ended all their sessions, but perhaps the one they did it from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnd {
    pub person: PersonId,
    pub at: Timestamp,
    pub kept: Option<SessionId>,
}

/// What presenting a genuine refresh token has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The session has a new generation.
    Rotated,
    /// The token was just used, and its reply may have been lost: the same successor again.
    Repeated,
    /// Somebody else has the token too: the session is ended.
    Reused,
}

impl Session {
    /// A used token still gets its successor again this long.
    pub const GRACE: SignedDuration = SignedDuration::from_secs(10);
    /// A session that nobody refreshes ends after this long.
    pub const IDLE_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
    /// After this long one has to log in again, however active.
    pub const AGE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

    pub fn start(id: SessionId, person: PersonId, account: AccountId, now: Timestamp) -> Self {
        Self {
            id,
            person,
            account,
            started_at: now,
            generation: 1,
            rotated_at: now,
            ended_at: None,
            device_name: None,
            passed_second_factor: false,
        }
    }

    /// Whether the session is good for anything, given when its person last ended all of theirs.
    pub fn stands(&self, end: Option<&SessionsEnd>, now: Timestamp) -> bool {
        let too_old =
            now >= self.rotated_at + Self::IDLE_MAX || now >= self.started_at + Self::AGE_MAX;
        let is_among = |end: &SessionsEnd| self.started_at <= end.at && end.kept != Some(self.id);
        self.ended_at.is_none() && !too_old && !end.is_some_and(is_among)
    }

    pub fn refresh(
        &mut self,
        presented: u64,
        end: Option<&SessionsEnd>,
        now: Timestamp,
    ) -> Result<Refreshed, Refusal> {
        if !self.stands(end, now) || presented > self.generation {
            return Err(Refusal::RefreshTokenInvalid);
        }
        if presented == self.generation {
            self.generation += 1;
            self.rotated_at = now;
            return Ok(Refreshed::Rotated);
        }
        if presented + 1 == self.generation && now <= self.rotated_at + Self::GRACE {
            return Ok(Refreshed::Repeated);
        }
        self.ended_at = Some(now);
        Ok(Refreshed::Reused)
    }

    /// Ends the session; false when it had ended before.
    pub fn end(&mut self, now: Timestamp) -> bool {
        let ends = self.ended_at.is_none();
        self.ended_at.get_or_insert(now);
        ends
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use proptest::prelude::*;

    use super::*;

    fn session() -> Session {
        let (id, account) = (SessionId::derived_from("s"), AccountId::derived_from("a"));
        Session::start(id, testkit::person("ada"), account, testkit::now())
    }

    fn at(seconds: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_used_token_gets_its_successor_again_only_for_a_moment() {
        let mut session = session();
        assert_eq!(session.refresh(1, None, at(0)), Ok(Refreshed::Rotated));
        assert_eq!(session.refresh(1, None, at(10)), Ok(Refreshed::Repeated));
        assert_eq!(session.generation, 2);
        assert_eq!(session.refresh(1, None, at(11)), Ok(Refreshed::Reused));
        assert_eq!(session.refresh(2, None, at(11)), Err(Refusal::RefreshTokenInvalid));
    }

    #[test]
    fn a_session_ends_by_idleness_and_by_age() {
        let mut idle = session();
        let refused = Err(Refusal::RefreshTokenInvalid);
        assert_eq!(idle.refresh(1, None, testkit::now() + Session::IDLE_MAX), refused);
        let mut old = session();
        for day in 1..90 {
            assert_eq!(old.refresh(old.generation, None, at(day * 86_400)), Ok(Refreshed::Rotated));
        }
        assert_eq!(old.refresh(old.generation, None, testkit::now() + Session::AGE_MAX), refused);
    }

    #[test]
    fn who_ends_all_sessions_may_keep_one_and_begin_others() {
        let (mut here, mut other) = (session(), session());
        other.id = SessionId::derived_from("other");
        let end = SessionsEnd { person: here.person, at: at(5), kept: Some(here.id) };
        assert!(here.stands(Some(&end), at(6)) && !other.stands(Some(&end), at(6)));
        let refused = Err(Refusal::RefreshTokenInvalid);
        assert_eq!(other.refresh(1, Some(&end), at(6)), refused);
        assert_eq!(here.refresh(1, Some(&end), at(6)), Ok(Refreshed::Rotated));
        other.started_at = at(6);
        assert!(other.stands(Some(&end), at(6)), "it began afterwards");
    }

    proptest! {
        /// Whatever is presented and when: only the newest token moves a session, and an ended session stays ended.
        #[test]
        fn only_the_newest_token_moves_a_session(
            steps in proptest::collection::vec((0_u64..6, 0_i64..30), 1..30)
        ) {
            let mut session = session();
            let mut now = testkit::now();
            for (presented, pause_s) in steps {
                now += SignedDuration::from_secs(pause_s);
                let before = session.clone();
                let result = session.refresh(presented, None, now);
                prop_assert_eq!(session.generation > before.generation, result == Ok(Refreshed::Rotated));
                prop_assert!(result != Ok(Refreshed::Rotated) || presented == before.generation);
                if before.ended_at.is_some() {
                    prop_assert_eq!(result, Err(Refusal::RefreshTokenInvalid));
                    prop_assert_eq!(&session, &before);
                }
            }
        }
    }
}
