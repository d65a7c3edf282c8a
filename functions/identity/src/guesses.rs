//! Guesses at a password or a code, and what they cost. Whatever depends on a guess is told only once the guess has
//! been counted, or in a write that succeeds only if nobody has counted another one meanwhile, such as the one that
//! forgets the wrong ones. So of guesses made at the same time each sees the ones before it, right or wrong.

use kernel::Timestamp;
use shell::Failure;
use table::{Stored, Table, Transaction};

use crate::domain::{LoginAttempts, Refusal};
use crate::store;

/// The wrong guesses that stand, as they were read.
#[derive(Debug)]
pub struct Guesses {
    /// What they are counted under.
    pub subject: String,
    pub standing: Option<Stored<LoginAttempts>>,
}

impl Guesses {
    /// Refuses as long as one has to wait.
    pub fn check_wait(&self, now: Timestamp) -> Result<(), Refusal> {
        let standing = self.standing.as_ref();
        match standing.and_then(|standing| standing.value.wait_s(now)) {
            Some(wait_s) => Err(Refusal::TooManyAttempts { wait_s }),
            None => Ok(()),
        }
    }

    /// Counts one more.
    pub async fn count(&self, table: &Table, now: Timestamp) -> Result<(), Failure> {
        let standing = self.standing.as_ref();
        let one_more =
            LoginAttempts::with_failure(standing.map(|it| &it.value), &self.subject, now);
        let mut transaction = table.transaction();
        transaction.put(&one_more, standing.map(|standing| standing.version));
        Ok(transaction.commit().await?)
    }

    /// Requires that nobody has counted another one meanwhile, so that something may be told of this one.
    pub async fn check_unmoved(&self, table: &Table) -> Result<(), Failure> {
        let key = store::attempts_key(&self.subject);
        let mut transaction = table.transaction();
        transaction.check(&key, self.standing.as_ref().map(|standing| standing.version));
        Ok(transaction.commit().await?)
    }

    /// Forgets them, with what the right guess does.
    pub fn forget(&self, transaction: &mut Transaction<'_>) {
        match &self.standing {
            Some(standing) => transaction.delete(standing),
            None => transaction.check(&store::attempts_key(&self.subject), None),
        };
    }
}
