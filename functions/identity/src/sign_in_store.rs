//! Sign-in providers and sign-ins in the table.

use kernel::{PersonId, SignInId, Timestamp};
use table::{Key, Partition, Record};

use crate::domain::{ExternalIdSource, Link, Provider, ProviderCode, SignIn};

const PROVIDERS: &str = "SIGN-IN-PROVIDERS";

impl Record for Provider {
    const KIND: &'static str = "sign-in-provider";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        provider_key(&self.code)
    }
}

impl Record for SignIn {
    const KIND: &'static str = "sign-in";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        sign_in_key(self.id)
    }

    fn collectable_at(&self) -> Option<Timestamp> {
        Some(self.expires_at())
    }
}

impl Record for Link {
    const KIND: &'static str = "external-id-link";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        link_key_of(self.person, &self.system, &self.kind)
    }
}

pub fn link_key(person: PersonId, source: &ExternalIdSource) -> Key<Link> {
    link_key_of(person, &source.system, &source.kind)
}

fn link_key_of(person: PersonId, system: &str, kind: &str) -> Key<Link> {
    Key::new(format!("PERSON#{person}"), format!("EXTERNAL#{system}#{kind}"))
}

pub fn provider_key(code: &ProviderCode) -> Key<Provider> {
    Key::new(PROVIDERS, format!("PROVIDER#{}", code.0))
}

pub fn providers() -> Partition<Provider> {
    Partition::new(PROVIDERS, "PROVIDER#")
}

pub fn sign_in_key(id: SignInId) -> Key<SignIn> {
    Key::new(format!("SIGN-IN#{id}"), "SIGN-IN")
}
