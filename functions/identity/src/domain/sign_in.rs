//! Sign-in with another provider: what is agreed with it, a sign-in that was begun, and what the provider says of
//! whoever comes back.

use jiff::SignedDuration;
use kernel::{Email, SignInId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExternalId, Refusal, SecretDigest};

/// Short name of a provider: `university`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ProviderCode(
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z][a-z0-9-]*$"))] pub String,
);

/// What an administrator has agreed with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// What the button says.
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    /// As the provider's tokens name it: an `https` address.
    #[schemars(length(min = 8, max = 200))]
    pub issuer: String,
    #[schemars(length(min = 1, max = 200))]
    pub client_id: String,
    /// Last part of the name of the secret that holds the client's secret, `sign-in/<it>`: the provider's own code.
    /// Absent where the provider gave none.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub client_secret: Option<String>,
    pub external_id: ExternalIdSource,
    /// Addresses in these domains link a person, where the provider has verified them; no others do.
    #[schemars(length(max = 50), inner(length(min = 1, max = 253)))]
    pub email_domains: Vec<String>,
    #[serde(default)]
    pub unknown_person: UnknownPerson,
    /// Values of `acr` that stand for a second factor; what `amr` says of one counts anyway.
    #[serde(default)]
    #[schemars(length(max = 10), inner(length(min = 1, max = 200)))]
    pub second_factor_acr: Vec<String>,
    pub is_active: bool,
}

/// Which claim of the provider names a person for good, and which external id of theirs that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalIdSource {
    /// `sub`, if nothing else is agreed.
    #[schemars(length(min = 1, max = 60), regex(pattern = r"^[A-Za-z][A-Za-z0-9_\-]*$"))]
    pub claim: String,
    /// `idp:<provider>`, by its code.
    #[schemars(regex(pattern = r"^idp:[a-z0-9][a-z0-9-]{0,39}$"))]
    pub system: String,
    /// Which of the system's ids; `id`, if it has one kind of them.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,31}$"))]
    pub kind: String,
}

/// What becomes of somebody whom nobody here knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPerson {
    #[default]
    Refuse,
    /// As one who registers by themselves with the address that the provider has verified.
    Register,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    pub code: ProviderCode,
    pub settings: ProviderSettings,
    pub changed_at: Timestamp,
}

impl Provider {
    /// Whether somebody may sign in with it.
    pub fn is_open(&self) -> bool {
        self.settings.is_active && self.settings.check_bound(&self.code).is_ok()
    }
}

/// A sign-in that was begun. Its state, its nonce and its proof of possession follow from a handle that only the
/// browser has which began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    pub id: SignInId,
    pub provider: ProviderCode,
    pub handle: SecretDigest,
    pub begun_at: Timestamp,
    pub spent_at: Option<Timestamp>,
}

impl SignIn {
    pub const VALID: SignedDuration = SignedDuration::from_mins(10);

    pub fn expires_at(&self) -> Timestamp {
        self.begun_at + Self::VALID
    }

    /// Good once, for ten minutes, for the browser that began it.
    pub fn check(&self, is_of_its_browser: bool, now: Timestamp) -> Result<(), Refusal> {
        if is_of_its_browser && self.spent_at.is_none() && now < self.expires_at() {
            Ok(())
        } else {
            Err(Refusal::SignInInvalid)
        }
    }
}

/// Whoever came back, as the provider's token tells; every word of it is signed.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The value of the agreed claim.
    pub external_id: String,
    /// Verified by the provider.
    pub email: Option<Email>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub locale: Option<String>,
    /// How they proved themselves (RFC 8176).
    pub methods: Vec<String>,
    pub context: Option<String>,
}

/// Personal data does not reach a log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl ProviderSettings {
    /// A provider is given its own secret and names its own people: with those of another one, whoever describes a
    /// provider could have the other's secret sent to themselves, and its people signed in by theirs.
    pub fn check_bound(&self, code: &ProviderCode) -> Result<(), Refusal> {
        if self.client_secret.as_ref().is_some_and(|name| *name != code.0) {
            return Err(Refusal::ProviderSecretOfAnother);
        }
        if self.external_id.system != format!("idp:{}", code.0) {
            return Err(Refusal::ProviderIdsOfAnother);
        }
        Ok(())
    }

    pub fn external_id_of(&self, identity: &Identity) -> ExternalId {
        let ExternalIdSource { system, kind, .. } = self.external_id.clone();
        ExternalId { system, kind, value: identity.external_id.clone() }
    }

    /// The address by which a person may be linked. One that nobody has verified links nobody.
    pub fn linking_email(&self, identity: &Identity) -> Option<Email> {
        let email = identity.email.clone()?;
        let folded = email.folded();
        let (_, domain) = folded.rsplit_once('@')?;
        let is_agreed = |agreed: &String| agreed.eq_ignore_ascii_case(domain);
        self.email_domains.iter().any(is_agreed).then_some(email)
    }

    /// Whether the provider says that a second factor was passed.
    pub fn tells_second_factor(&self, identity: &Identity) -> bool {
        const MORE_THAN_A_PASSWORD: [&str; 7] = ["otp", "hwk", "swk", "sc", "fpt", "face", "iris"];
        let methods = &identity.methods;
        let says = |method: &str| methods.iter().any(|said| said == method);
        let by_context = |context: &String| self.second_factor_acr.contains(context);
        says("mfa")
            || (says("pwd") && MORE_THAN_A_PASSWORD.iter().any(|method| says(method)))
            || identity.context.as_ref().is_some_and(by_context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::university;

    fn identity() -> Identity {
        Identity {
            external_id: "u-1815".into(),
            email: Some("Ada@Uni.Example".parse().expect("an address")),
            given_name: None,
            family_name: None,
            locale: None,
            methods: Vec::new(),
            context: None,
        }
    }

    #[test]
    fn only_an_address_in_an_agreed_domain_links() {
        let mut settings = university("https://idp.example");
        let links = |settings: &ProviderSettings, email: &str| {
            let email = Some(email.parse().expect("an address"));
            settings.linking_email(&Identity { email, ..identity() }).is_some()
        };
        settings.email_domains = vec!["UNI.example".into()];
        assert!(links(&settings, "ada@uni.example"));
        for other in ["ada@other.example", "ada@sub.uni.example", "ada@notuni.example"] {
            assert!(!links(&settings, other), "{other}");
        }
        settings.email_domains.clear();
        assert!(!links(&settings, "ada@uni.example"));
        let unverified = Identity { email: None, ..identity() };
        assert_eq!(university("https://idp.example").linking_email(&unverified), None);
    }

    #[test]
    fn a_second_factor_counts_where_the_provider_tells_of_one() {
        let mut settings = university("https://idp.example");
        settings.second_factor_acr = vec!["urn:two".into()];
        let tells = |methods: &[&str], context: Option<&str>| {
            let methods = methods.iter().map(|method| (*method).to_owned()).collect();
            let context = context.map(str::to_owned);
            settings.tells_second_factor(&Identity { methods, context, ..identity() })
        };
        assert!(tells(&["mfa"], None) && tells(&["pwd", "otp"], None));
        assert!(tells(&["pwd"], Some("urn:two")));
        assert!(!tells(&[], None) && !tells(&["pwd"], None) && !tells(&["otp"], Some("urn:one")));
    }

    #[test]
    fn a_sign_in_is_good_once_for_ten_minutes() {
        let mut sign_in = SignIn {
            id: kernel::Id::derived_from("one"),
            provider: ProviderCode("university".into()),
            handle: SecretDigest("digest".into()),
            begun_at: testkit::now(),
            spent_at: None,
        };
        let at = |minutes| testkit::now() + SignedDuration::from_mins(minutes);
        assert_eq!(sign_in.check(true, at(9)), Ok(()));
        assert_eq!(sign_in.check(true, at(10)), Err(Refusal::SignInInvalid));
        assert_eq!(sign_in.check(false, at(0)), Err(Refusal::SignInInvalid));
        sign_in.spent_at = Some(at(1));
        assert_eq!(sign_in.check(true, at(1)), Err(Refusal::SignInInvalid));
    }
}
