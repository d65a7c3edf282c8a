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
        let mut transaction = table.transaction();
        self.count_in(&mut transaction, now);
        Ok(transaction.commit().await?)
    }

    fn count_in(&self, transaction: &mut Transaction<'_>, now: Timestamp) {
        let standing = self.standing.as_ref();
        let one_more =
            LoginAttempts::with_failure(standing.map(|it| &it.value), &self.subject, now);
        transaction.put(&one_more, standing.map(|standing| standing.version));
    }

    fn check_unmoved(&self, transaction: &mut Transaction<'_>) {
        let key = store::attempts_key(&self.subject);
        transaction.check(&key, self.standing.as_ref().map(|standing| standing.version));
    }

    /// Forgets them, with what the right guess does.
    pub fn forget(&self, transaction: &mut Transaction<'_>) {
        match &self.standing {
            Some(standing) => transaction.delete(standing),
            None => transaction.check(&store::attempts_key(&self.subject), None),
        };
    }
}

/// Guesses at a log-in. An account has two names that open it, its address and its student number. If a guess at the
/// one made the other wait, it would tell whose number it is; so what was typed decides the answer, and what the
/// account has counted decides unseen whether the password is looked at.
#[derive(Debug)]
pub struct LoginGuesses {
    /// At what was typed; or from the device, where the account knows it.
    pub told: Guesses,
    /// At the account by whatever name; those from a device that it knows count apart. Where there is no account, they
    /// are counted all the same.
    pub of_account: Option<Guesses>,
}

impl LoginGuesses {
    /// Refuses as long as one has to wait who types this.
    pub fn check_wait(&self, now: Timestamp) -> Result<(), Refusal> {
        self.told.check_wait(now)
    }

    /// Refuses as long as the account is not looked at. It tells who owns what was typed: only to be asked of somebody
    /// who has proven themselves.
    pub fn check_account(&self, now: Timestamp) -> Result<(), Refusal> {
        self.of_account.as_ref().map_or(Ok(()), |guesses| guesses.check_wait(now))
    }

    /// Counts one more; against the account only where it was looked at, so that it is kept from its owner no longer
    /// than it has to be.
    pub async fn count(&self, table: &Table, now: Timestamp) -> Result<(), Failure> {
        let mut transaction = table.transaction();
        self.told.count_in(&mut transaction, now);
        if let Some(of_account) = &self.of_account {
            if of_account.check_wait(now).is_ok() {
                of_account.count_in(&mut transaction, now);
            } else {
                of_account.check_unmoved(&mut transaction);
            }
        }
        Ok(transaction.commit().await?)
    }

    /// Requires that nobody has counted another one meanwhile, so that something may be told of this one.
    pub async fn check_unmoved(&self, table: &Table) -> Result<(), Failure> {
        let mut transaction = table.transaction();
        for guesses in self.all() {
            guesses.check_unmoved(&mut transaction);
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets them, with what the right guess does.
    pub fn forget(&self, transaction: &mut Transaction<'_>) {
        for guesses in self.all() {
            guesses.forget(transaction);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Guesses> {
        std::iter::once(&self.told).chain(&self.of_account)
    }
}
