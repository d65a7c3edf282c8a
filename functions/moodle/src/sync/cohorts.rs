//! Cohorts of a site: made when first needed, and who belongs into them added and taken out.

use std::collections::{BTreeMap, BTreeSet};

use super::users::Account;
use super::{Halt, Session};
use crate::client::{CallFailure, CohortMember};
use crate::domain::{Kind, Trouble};
use crate::store::{Looked, Outcome};

/// Already a member.
const MEMBER_ALREADY: &str = "3";

impl Session<'_> {
    /// Brings accounts that stand in Moodle into their cohorts, and says what became of each.
    pub(super) async fn in_cohorts(&mut self, accounts: Vec<Account>) -> Result<Vec<Looked>, Halt> {
        let mut looked = Vec::with_capacity(accounts.len());
        for account in accounts {
            let outcome = match self.join_cohorts(&account).await {
                Ok(()) => self.sent_user(&account),
                Err(failure) if failure.is_of_site() => return Err(failure.into()),
                Err(failure) => {
                    let moodle_code = Some(failure.code);
                    Outcome::PutOff(Trouble { moodle_code, ..Trouble::new("COHORT_REFUSED") })
                }
            };
            looked.push(account.looked(outcome));
        }
        Ok(looked)
    }

    async fn join_cohorts(&mut self, account: &Account) -> Result<(), CallFailure> {
        let Some(user) = account.id else { return Ok(()) };
        let wanted = &account.wanted.cohorts;
        let empty = BTreeSet::new();
        let before = account.mapping.as_ref().map_or(&empty, |known| &known.value.cohorts);
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        let mut joining: BTreeSet<&String> = wanted.difference(before).collect();
        if account.work.value.sends_anyway {
            // Somebody may have taken a member out there.
            let inside = self.cohort_members().await?;
            let is_out = |cohort: &&String| !inside.get(*cohort).is_some_and(|m| m.contains(&user));
            joining.extend(wanted.iter().filter(is_out));
        }
        for cohort in joining {
            joined.push(CohortMember { cohort: self.cohort(cohort).await?, user });
        }
        // Whoever is suspended keeps their cohorts: leaving one can unenrol them, and with that their grades are gone.
        for cohort in before.difference(wanted).filter(|_| !account.wanted.is_suspended) {
            left.push(CohortMember { cohort: self.cohort(cohort).await?, user });
        }
        if !joined.is_empty() {
            let told = self.client.add_cohort_members(&joined).await?;
            let refused = told.warnings.iter().find(|one| one.warningcode != MEMBER_ALREADY);
            if let Some(warning) = refused {
                return Err(CallFailure::of_warning(
                    "core_cohort_add_cohort_members",
                    &warning.warningcode,
                ));
            }
        }
        if !left.is_empty() {
            self.client.delete_cohort_members(&left).await?;
        }
        if let Some(members) = &mut self.cohort_members {
            for (cohort, inside) in members {
                if wanted.contains(cohort) {
                    inside.insert(user);
                } else if before.contains(cohort) && !account.wanted.is_suspended {
                    inside.remove(&user);
                }
            }
        }
        Ok(())
    }

    /// A cohort by its id number; made where it is not there.
    async fn cohort(&mut self, id_number: &str) -> Result<i64, CallFailure> {
        let key = (Kind::Cohort, id_number.to_owned());
        if let Some(known) = self.known_ids.get(&key) {
            return Ok(*known);
        }
        let mut known = self.cohorts_by_number().await?;
        if !known.contains_key(id_number) {
            match self.client.create_cohort(id_number, id_number).await {
                Ok(created) => _ = known.insert(created.idnumber, created.id),
                // Whoever made it meanwhile has made it for us.
                Err(failure) => {
                    known = self.cohorts_by_number().await?;
                    if !known.contains_key(id_number) {
                        return Err(failure);
                    }
                }
            }
        }
        let id = known[id_number];
        self.known_ids.extend(known.into_iter().map(|(number, id)| ((Kind::Cohort, number), id)));
        Ok(id)
    }

    async fn cohorts_by_number(&self) -> Result<BTreeMap<String, i64>, CallFailure> {
        let cohorts = self.client.cohorts().await?.into_iter();
        let numbered = cohorts.filter(|one| !one.idnumber.is_empty());
        Ok(numbered.map(|one| (one.idnumber, one.id)).collect())
    }

    /// Who is in which of the cohorts that are kept here.
    pub(super) async fn cohort_members(
        &mut self,
    ) -> Result<&BTreeMap<String, BTreeSet<i64>>, CallFailure> {
        if self.cohort_members.is_none() {
            let mut found = BTreeMap::new();
            let rules = &self.settings.cohorts;
            let cohorts =
                if rules.is_empty() { BTreeMap::new() } else { self.cohorts_by_number().await? };
            for (number, id) in cohorts {
                if rules.iter().any(|rule| rule.names(&number)) {
                    let members = self.client.cohort_members(&[id]).await?.into_iter();
                    found.insert(number, members.flat_map(|one| one.userids).collect());
                }
            }
            self.cohort_members = Some(found);
        }
        Ok(self.cohort_members.get_or_insert_default())
    }
}
