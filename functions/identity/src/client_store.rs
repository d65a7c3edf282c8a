//! Service clients in the table: each by its id, with when its secrets were used beside it, and all of them in the
//! index.

use kernel::ServiceClientId;
use shell::Failure;
use table::{Batch, Key, Partition, Record, Stored, Table, Trail};

use crate::domain::{Client, ClientUses, Refusal};

const CLIENTS: &str = "CLIENTS";

impl Record for Client {
    const KIND: &'static str = "service-client";
    const SCHEMA: u32 = 2;
    // When its secrets were used stood in it, and is left behind.
    const ALSO_READS: &'static [u32] = &[1];

    fn key(&self) -> Key<Self> {
        client_key(self.id)
    }

    fn index_key(&self) -> Option<(String, String)> {
        Some((CLIENTS.to_owned(), format!("{:.9}#{}", self.created_at, self.id)))
    }
}

impl Record for ClientUses {
    const KIND: &'static str = "client-uses";
    const SCHEMA: u32 = 1;

    fn key(&self) -> Key<Self> {
        uses_key(self.client)
    }
}

pub fn client_key(id: ServiceClientId) -> Key<Client> {
    Key::new(format!("CLIENT#{id}"), "CLIENT")
}

pub fn uses_key(id: ServiceClientId) -> Key<ClientUses> {
    Key::new(format!("CLIENT#{id}"), "USES")
}

/// The newest first, those that have ended among them.
pub fn clients() -> Partition<Client> {
    Partition::in_index(CLIENTS, "").newest_first()
}

/// Uses with the version to write over, which is absent as long as nobody has used it.
pub type ReadUses = (ClientUses, Option<u64>);

/// A client, when its secrets were used, and where an act on it is noted.
pub struct KnownClient {
    pub client: Stored<Client>,
    pub uses: ReadUses,
    pub trail: Trail,
}

pub async fn client(table: &Table, id: ServiceClientId) -> Result<KnownClient, Failure> {
    let (client, uses) = (client_key(id), uses_key(id));
    let keys = vec![(&client).into(), (&uses).into(), Trail::key(id)];
    let mut batch = table.get_batch(keys).await?;
    Ok(KnownClient {
        client: batch.take(&client)?.ok_or(Refusal::ClientUnknown)?,
        uses: uses_in(&mut batch, id)?,
        trail: Trail::take(&mut batch, id)?,
    })
}

/// What a client is judged by that asks for a token, if there is one.
pub async fn client_and_uses(
    table: &Table,
    id: ServiceClientId,
) -> Result<(Option<Stored<Client>>, ReadUses), Failure> {
    let (client, uses) = (client_key(id), uses_key(id));
    let mut batch = table.get_batch(vec![(&client).into(), (&uses).into()]).await?;
    Ok((batch.take(&client)?, uses_in(&mut batch, id)?))
}

/// When the secrets of these clients were used, in the same order; a page of them at most.
pub async fn uses_of(
    table: &Table,
    clients: &[Stored<Client>],
) -> Result<Vec<ClientUses>, Failure> {
    let keys = clients.iter().map(|client| (&uses_key(client.value.id)).into()).collect();
    let mut batch = table.get_batch(keys).await?;
    clients.iter().map(|client| Ok(uses_in(&mut batch, client.value.id)?.0)).collect()
}

fn uses_in(batch: &mut Batch, id: ServiceClientId) -> Result<ReadUses, Failure> {
    Ok(match batch.take(&uses_key(id))? {
        Some(Stored { value, version }) => (value, Some(version)),
        None => (ClientUses::none_of(id), None),
    })
}
