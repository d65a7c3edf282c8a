//! A service client: another system that calls in its own name. It proves itself by a secret, of which it may have two
//! for a while, so that it can be given the next one without a pause.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use kernel::{ClientSecretId, PersonId, ServiceClientId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::ClientScope;

use super::Refusal;

/// What an administrator decides of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Which system it is, for people.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    #[schemars(length(min = 1, max = 5), extend("uniqueItems" = true))]
    pub scopes: Vec<ClientScope>,
    /// Two years ahead at most.
    pub expires_at: Timestamp,
}

impl ClientSettings {
    const VALID_MAX: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

    pub fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        let is_ahead = self.expires_at > now && self.expires_at <= now + Self::VALID_MAX;
        if is_ahead { Ok(()) } else { Err(Refusal::ClientExpiryInvalid) }
    }
}

/// A secret's digest: it is long and random, so that nobody finds it by trying.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretDigest(pub String);

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSecret {
    pub id: ClientSecretId,
    pub digest: SecretDigest,
    pub made_at: Timestamp,
    /// Absent for the newest.
    pub ends_at: Option<Timestamp>,
}

impl ClientSecret {
    pub fn stands(&self, now: Timestamp) -> bool {
        self.ends_at.is_none_or(|ends_at| now < ends_at)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub id: ServiceClientId,
    pub settings: ClientSettings,
    /// The oldest first; two at most that stand.
    pub secrets: Vec<ClientSecret>,
    pub created_at: Timestamp,
    pub created_by: PersonId,
    pub ended_at: Option<Timestamp>,
}

impl Client {
    /// How long the secret before the newest stands where nobody says otherwise.
    const OVERLAP: SignedDuration = SignedDuration::from_hours(7 * 24);
    const OVERLAP_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

    /// Whether the client is good for anything.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.settings.expires_at
    }

    pub fn edit(&mut self, settings: ClientSettings, now: Timestamp) -> Result<(), Refusal> {
        self.check_not_ended()?;
        settings.check(now)?;
        self.settings = settings;
        Ok(())
    }

    /// Gives it the next secret; the one before stands until `old_ends_at`. One that nobody has used yet goes at once
    /// where an older one stands: its reply was lost.
    pub fn rotate(
        &mut self,
        (id, digest): (ClientSecretId, SecretDigest),
        old_ends_at: Option<Timestamp>,
        uses: &ClientUses,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.check_not_ended()?;
        let old_ends_at = old_ends_at.unwrap_or(now + Self::OVERLAP).max(now);
        if old_ends_at > now + Self::OVERLAP_MAX {
            return Err(Refusal::ClientSecretEndInvalid);
        }
        self.secrets.retain(|secret| secret.stands(now));
        if self.secrets.len() > 1 {
            self.secrets.pop_if(|newest| uses.last_of(newest.id).is_none());
        }
        for secret in &mut self.secrets {
            secret.ends_at = Some(secret.ends_at.map_or(old_ends_at, |at| at.min(old_ends_at)));
        }
        self.secrets.retain(|secret| secret.stands(now));
        if self.secrets.len() > 1 {
            return Err(Refusal::ClientSecretsStanding);
        }
        self.secrets.push(ClientSecret { id, digest, made_at: now, ends_at: None });
        Ok(())
    }

    /// Ends the client; false when it had ended before.
    pub fn end(&mut self, now: Timestamp) -> bool {
        let ends = self.ended_at.is_none();
        self.ended_at.get_or_insert(now);
        ends
    }

    fn check_not_ended(&self) -> Result<(), Refusal> {
        if self.ended_at.is_none() { Ok(()) } else { Err(Refusal::ClientEnded) }
    }
}

/// When each of a client's secrets was last used. It is kept apart from the client: a use is no edit, and takes no
/// version from under somebody's edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientUses {
    pub client: ServiceClientId,
    last_used_at: BTreeMap<ClientSecretId, Timestamp>,
}

impl ClientUses {
    /// That a secret is in use is written no more often than this.
    const NOTED_EVERY: SignedDuration = SignedDuration::from_mins(5);

    pub fn none_of(client: ServiceClientId) -> Self {
        Self { client, last_used_at: BTreeMap::new() }
    }

    pub fn last_of(&self, secret: ClientSecretId) -> Option<Timestamp> {
        self.last_used_at.get(&secret).copied()
    }

    /// Notes that one of the client's secrets was used, and forgets those that are gone; false where nothing of that
    /// need be written.
    pub fn note(&mut self, client: &Client, secret: ClientSecretId, now: Timestamp) -> bool {
        if self.last_of(secret).is_some_and(|at| now < at + Self::NOTED_EVERY) {
            return false;
        }
        self.last_used_at.retain(|known, _| client.secrets.iter().any(|one| one.id == *known));
        self.last_used_at.insert(secret, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::*;

    fn after(hours: i64) -> Timestamp {
        testkit::now() + SignedDuration::from_hours(hours)
    }

    fn secret(name: &str) -> (ClientSecretId, SecretDigest) {
        (ClientSecretId::derived_from(name), SecretDigest(name.to_owned()))
    }

    fn client() -> Client {
        let settings = ClientSettings {
            name: "Library".into(),
            scopes: vec![ClientScope::EnrollmentRead],
            expires_at: after(1_000),
        };
        let mut client = Client {
            id: ServiceClientId::derived_from("library"),
            settings,
            secrets: Vec::new(),
            created_at: after(0),
            created_by: testkit::person("ada"),
            ended_at: None,
        };
        let uses = ClientUses::none_of(client.id);
        client.rotate(secret("one"), None, &uses, after(0)).expect("the first secret");
        client
    }

    /// Those of its secrets were used, an hour after they were made.
    fn used(client: &Client, names: &[&str]) -> ClientUses {
        let mut uses = ClientUses::none_of(client.id);
        for name in names {
            assert!(uses.note(client, secret(name).0, after(1)));
        }
        uses
    }

    fn standing(client: &Client, now: Timestamp) -> Vec<&str> {
        let standing = client.secrets.iter().filter(|secret| secret.stands(now));
        standing.map(|secret| secret.digest.0.as_str()).collect()
    }

    #[test]
    fn two_secrets_stand_until_the_old_one_ends() {
        let mut client = client();
        let uses = used(&client, &["one"]);
        client.rotate(secret("two"), Some(after(48)), &uses, after(24)).expect("rotates");
        assert_eq!(standing(&client, after(47)), ["one", "two"]);
        assert_eq!(standing(&client, after(48)), ["two"]);
        let uses = used(&client, &["one", "two"]);
        let third = client.clone().rotate(secret("three"), None, &uses, after(47));
        assert_eq!(third, Err(Refusal::ClientSecretsStanding));
        client.rotate(secret("three"), None, &uses, after(48)).expect("there is room again");
        assert_eq!(standing(&client, after(49)), ["two", "three"]);
    }

    #[test]
    fn a_secret_that_leaked_ends_at_once_and_one_whose_reply_was_lost_is_replaced() {
        let mut leaked = client();
        let uses = used(&leaked, &["one"]);
        leaked.rotate(secret("two"), Some(after(-1)), &uses, after(1)).expect("rotates");
        assert_eq!(standing(&leaked, after(1)), ["two"]);
        let mut lost = client();
        lost.rotate(secret("two"), None, &uses, after(2)).expect("its reply is lost");
        lost.rotate(secret("three"), None, &uses, after(2)).expect("nobody has used the second");
        assert_eq!(standing(&lost, after(3)), ["one", "three"]);
        let too_far = lost.rotate(secret("four"), Some(after(91 * 24)), &uses, after(3));
        assert_eq!(too_far, Err(Refusal::ClientSecretEndInvalid));
    }

    #[test]
    fn a_use_is_written_at_most_once_in_five_minutes_and_forgotten_with_its_secret() {
        let mut client = client();
        let mut uses = ClientUses::none_of(client.id);
        let minutes = |minutes| testkit::now() + SignedDuration::from_mins(minutes);
        let mut note = |minute| uses.note(&client, secret("one").0, minutes(minute));
        assert_eq!([0, 1, 4, 5, 9, 10].map(&mut note), [true, false, false, true, false, true]);
        client.rotate(secret("two"), Some(after(0)), &uses, after(1)).expect("rotates");
        assert!(uses.note(&client, secret("two").0, after(1)));
        assert_eq!(uses.last_of(secret("two").0), Some(after(1)));
        assert_eq!(uses.last_of(secret("one").0), None);
    }

    #[test]
    fn a_client_stands_until_it_expires_or_is_ended_and_changes_no_more_then() {
        let mut client = client();
        assert!(client.stands(after(999)) && !client.stands(after(1_000)));
        let later = ClientSettings { expires_at: after(2_000), ..client.settings.clone() };
        client.edit(later.clone(), after(1_001)).expect("it can be prolonged");
        assert!(client.stands(after(1_999)));
        for expires_at in [after(0), after(3 * 365 * 24)] {
            let wrong = ClientSettings { expires_at, ..later.clone() };
            assert_eq!(client.edit(wrong, after(1)), Err(Refusal::ClientExpiryInvalid));
        }
        assert!(client.end(after(5)) && !client.end(after(6)));
        assert!(!client.stands(after(5)));
        assert_eq!(client.edit(later, after(7)), Err(Refusal::ClientEnded));
        let uses = ClientUses::none_of(client.id);
        let next = client.rotate(secret("two"), None, &uses, after(7));
        assert_eq!(next, Err(Refusal::ClientEnded));
    }
}
