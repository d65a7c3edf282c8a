//! Cohorts of a site: made when first needed, and who belongs into them added and taken out.

use std::collections::{BTreeMap, BTreeSet};

use super::bisect::{Bisected, bisected, go_on};
use super::users::Account;
use super::{Halt, Session};
use crate::client::{CallFailure, CohortMember};
use crate::domain::{Kind, Trouble};
use crate::store::Outcome;

/// Already a member.
const MEMBER_ALREADY: &str = "3";
const MEMBERS_AT_ONCE_MAX: usize = 50;

/// Someone who comes into a cohort or leaves it, and the account's place among those that were brought.
#[derive(Clone)]
struct Move {
    account: usize,
    cohort: String,
    member: CohortMember,
}

impl Session<'_> {
    /// Brings accounts that stand in Moodle into their cohorts, and records what became of each; of whose members
    /// nobody knows yet, nothing is recorded.
    pub(super) async fn in_cohorts(&mut self, accounts: Vec<Account>) -> Result<usize, Halt> {
        let mut refused = BTreeMap::new();
        let (mut joining, mut leaving) = (Vec::new(), Vec::new());
        for (place, account) in accounts.iter().enumerate() {
            match self.moves_of(place, account).await {
                Ok((joins, leaves)) => {
                    joining.extend(joins);
                    leaving.extend(leaves);
                }
                Err(failure) if failure.is_of_site() => return Err(failure.into()),
                Err(failure) => {
                    refused.insert(place, failure);
                }
            }
        }
        let session = &*self;
        let joined = session.moved(joining, async |members| session.join(members).await).await;
        let left = session
            .moved(leaving, async |members| session.client.delete_cohort_members(members).await)
            .await;
        self.remember(&joined, &left);
        let (mut untold, mut halted) = (Vec::new(), None);
        for Bisected { tried, left, halted: because } in [joined, left] {
            for (moved, result) in tried {
                if let Err(failure) = result {
                    refused.insert(moved.account, failure);
                }
            }
            untold.extend(left.into_iter().map(|moved| moved.account));
            halted = halted.or(because);
        }
        let mut looked = Vec::with_capacity(accounts.len());
        for (place, account) in accounts.into_iter().enumerate() {
            let outcome = match refused.remove(&place) {
                _ if untold.contains(&place) => continue,
                None => self.sent_user(&account),
                Some(CallFailure { code, .. }) => {
                    let moodle_code = Some(code);
                    Outcome::PutOff(Trouble { moodle_code, ..Trouble::new("COHORT_REFUSED") })
                }
            };
            looked.push(account.looked(outcome));
        }
        self.record(&looked).await?;
        go_on(&untold, halted)?;
        Ok(looked.len())
    }

    /// Into which cohorts an account comes, and which it leaves.
    async fn moves_of(
        &mut self,
        place: usize,
        account: &Account,
    ) -> Result<(Vec<Move>, Vec<Move>), CallFailure> {
        let (mut joins, mut leaves) = (Vec::new(), Vec::new());
        let Some(user) = account.id else { return Ok((joins, leaves)) };
        let wanted = &account.wanted.cohorts;
        let empty = BTreeSet::new();
        let before = account.mapping.as_ref().map_or(&empty, |known| &known.value.cohorts);
        let mut joining: BTreeSet<&String> = wanted.difference(before).collect();
        if account.work.value.sends_anyway {
            // Somebody may have taken a member out there.
            let inside = self.cohort_members().await?;
            let is_out = |cohort: &&String| !inside.get(*cohort).is_some_and(|m| m.contains(&user));
            joining.extend(wanted.iter().filter(is_out));
        }
        // Whoever is suspended keeps their cohorts: leaving one can unenrol them, and with that their grades are gone.
        let leaving = before.difference(wanted).filter(|_| !account.wanted.is_suspended);
        for (cohorts, moves) in
            [(joining, &mut joins), (leaving.collect::<BTreeSet<_>>(), &mut leaves)]
        {
            for cohort in cohorts {
                let member = CohortMember { cohort: self.cohort(cohort).await?, user };
                moves.push(Move { account: place, cohort: cohort.clone(), member });
            }
        }
        Ok((joins, leaves))
    }

    /// Sends moves in full requests. Said again, none of them changes anything.
    async fn moved(
        &self,
        moves: Vec<Move>,
        send: impl AsyncFn(&[CohortMember]) -> Result<(), CallFailure>,
    ) -> Bisected<Move, ()> {
        bisected(
            moves,
            MEMBERS_AT_ONCE_MAX,
            || self.may_send(),
            async |moves: &[Move]| {
                let members: Vec<CohortMember> = moves.iter().map(|one| one.member).collect();
                send(&members).await?;
                Ok(vec![(); moves.len()])
            },
            async |moves: &[Move]| self.is_there(moves).await,
        )
        .await
    }

    /// A warning does not say whom it is about: halves find it out.
    async fn join(&self, members: &[CohortMember]) -> Result<(), CallFailure> {
        let told = self.client.add_cohort_members(members).await?;
        let refused = told.warnings.iter().find(|one| one.warningcode != MEMBER_ALREADY);
        refused.map_or(Ok(()), |warning| {
            let function = "core_cohort_add_cohort_members";
            Err(CallFailure::of_warning(function, &warning.warningcode))
        })
    }

    /// Keeps what is known of the cohorts' members true.
    fn remember(&mut self, joined: &Bisected<Move, ()>, left: &Bisected<Move, ()>) {
        let Some(members) = &mut self.cohort_members else { return };
        let done = |moved: &Bisected<Move, ()>| {
            let done = moved.tried.iter().filter(|(_, result)| result.is_ok());
            done.map(|(one, _)| (one.cohort.clone(), one.member.user)).collect::<Vec<_>>()
        };
        for (cohort, user) in done(joined) {
            members.entry(cohort).or_default().insert(user);
        }
        for (cohort, user) in done(left) {
            members.entry(cohort).or_default().remove(&user);
        }
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
