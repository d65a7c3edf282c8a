//! A session: one log-in, kept alive by refresh tokens of which only the newest is good. Tokens are not stored, not
//! even hashed: a session knows the generation that its newest token has, and the token proves its generation by a MAC.

use jiff::SignedDuration;
use kernel::{AccountId, DeviceId, PersonId, SessionId, Timestamp};
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
    /// What it was started from.
    #[serde(default)]
    pub device: Option<DeviceId>,
    #[serde(default)]
    pub passed_second_factor: bool,
}

/// The last time that all sessions of a person were ended, but perhaps the one that it was done from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnd {
    pub person: PersonId,
    pub at: Timestamp,
    pub kept: Option<SessionId>,
    /// The session that it was done from; absent where it was done by a link, or by the staff.
    #[serde(default)]
    pub by: Option<SessionId>,
    /// How often it was done. A device is known only until it is done again.
    #[serde(default)]
    pub ends: u64,
}

impl SessionsEnd {
    /// Ends every session, that of `by` among them.
    pub fn of_all(
        standing: Option<&Self>,
        person: PersonId,
        by: Option<SessionId>,
        now: Timestamp,
    ) -> Self {
        Self {
            person,
            // A clock that is behind revives nothing that another one has ended.
            at: standing.map_or(now, |standing| standing.at.max(now)),
            kept: None,
            by,
            ends: Self::count(standing) + 1,
        }
    }

    /// Ends every session but one, which has to stand.
    pub fn of_others(
        standing: Option<&Self>,
        person: PersonId,
        kept: SessionId,
        now: Timestamp,
    ) -> Self {
        Self { kept: Some(kept), ..Self::of_all(standing, person, Some(kept), now) }
    }

    /// How often all sessions were ended.
    pub fn count(standing: Option<&Self>) -> u64 {
        standing.map_or(0, |standing| standing.ends)
    }
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
            device: None,
            passed_second_factor: false,
        }
    }

    /// Has it begin after the end of those before it, where another clock was ahead.
    pub fn begin_after(&mut self, end: Option<&SessionsEnd>) {
        if let Some(end) = end.filter(|end| self.started_at <= end.at) {
            self.started_at = end.at + SignedDuration::from_nanos(1);
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
        let end = SessionsEnd::of_others(None, here.person, here.id, at(5));
        assert!(here.stands(Some(&end), at(6)) && !other.stands(Some(&end), at(6)));
        let refused = Err(Refusal::RefreshTokenInvalid);
        assert_eq!(other.refresh(1, Some(&end), at(6)), refused);
        assert_eq!(here.refresh(1, Some(&end), at(6)), Ok(Refreshed::Rotated));
        other.started_at = at(6);
        assert!(other.stands(Some(&end), at(6)), "it began afterwards");
        other.started_at = at(5);
        other.begin_after(Some(&end));
        assert!(other.stands(Some(&end), at(6)), "it began at the same moment, but afterwards");
    }

    proptest! {
        /// Whoever ends sessions from where by whatever clock: what was ended once stays ended.
        #[test]
        fn no_end_revives_what_another_has_ended(
            ends in proptest::collection::vec((0_i64..60, proptest::option::of(0_usize..4)), 1..12)
        ) {
            let mut sessions = Vec::new();
            for number in 0..4_i64 {
                let id = SessionId::derived_from(&number.to_string());
                sessions.push(Session { id, started_at: at(number * 10), ..session() });
            }
            let mut standing: Option<SessionsEnd> = None;
            for (seconds, kept) in ends {
                let stood = |session: &Session| session.stands(standing.as_ref(), at(60));
                let before: Vec<bool> = sessions.iter().map(stood).collect();
                let person = sessions[0].person;
                let next = match kept.filter(|kept| before[*kept]) {
                    Some(kept) => {
                        let kept = sessions[kept].id;
                        SessionsEnd::of_others(standing.as_ref(), person, kept, at(seconds))
                    }
                    None => SessionsEnd::of_all(standing.as_ref(), person, None, at(seconds)),
                };
                prop_assert_eq!(next.ends, SessionsEnd::count(standing.as_ref()) + 1);
                for (session, stood) in sessions.iter().zip(before) {
                    prop_assert!(stood || !session.stands(Some(&next), at(60)));
                    prop_assert!(next.kept != Some(session.id) || session.stands(Some(&next), at(60)));
                }
                standing = Some(next);
            }
        }
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
