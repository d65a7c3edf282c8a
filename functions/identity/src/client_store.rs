//! Service clients in the table: each by its id, and all of them in the index.

use kernel::ServiceClientId;
use shell::Failure;
use table::{Key, Partition, Record, Stored, Table};

use crate::domain::{Client, Refusal};

const CLIENTS: &str = "CLIENTS";

impl Record for Client {
    const KIND: &'static str = "service-client";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        client_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((CLIENTS.to_owned(), format!("{:.9}#{}", self.created_at, self.id)))
    }
}

pub fn client_key(id: ServiceClientId) -> Key<Client> {
    Key::new(format!("CLIENT#{id}"), "CLIENT")
}

/// The newest first, those that have ended among them.
pub fn clients() -> Partition<Client> {
    Partition::in_index(CLIENTS, "").newest_first()
}

pub async fn client(table: &Table, id: ServiceClientId) -> Result<Stored<Client>, Failure> {
    Ok(table.get(&client_key(id)).await?.ok_or(Refusal::ClientUnknown)?)
}
