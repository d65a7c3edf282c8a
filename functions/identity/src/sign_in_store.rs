//! Sign-in providers and sign-ins in the table.

use kernel::{SignInId, Timestamp};
use table::{Key, Partition, Record};

use crate::domain::{Provider, ProviderCode, SignIn};

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

pub fn provider_key(code: &ProviderCode) -> Key<Provider> {
    Key::new(PROVIDERS, format!("PROVIDER#{}", code.0))
}

pub fn providers() -> Partition<Provider> {
    Partition::new(PROVIDERS, "PROVIDER#")
}

pub fn sign_in_key(id: SignInId) -> Key<SignIn> {
    Key::new(format!("SIGN-IN#{id}"), "SIGN-IN")
}
