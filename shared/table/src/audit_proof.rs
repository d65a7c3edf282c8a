//! The proof of the audit trail: every entry of a chain is hashed anew, compared with the one before, and the last one
//! with the head. One page at a time, so that a proof can stop anywhere and go on from there.

use serde::{Deserialize, Serialize};

use crate::audit::{
    AuditEntry, AuditHead, HEAD_SHARDS, audit_chain, entry_place, head_key, heads_of_shard,
};
use crate::record::{Item, from_item, to_item};
use crate::{PageRequest, Position, ReadFailure, Stored, Table};

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditFlaw {
    /// The entry is not as it was written.
    Altered,
    /// The entry is gone, though later ones stand.
    Missing,
    /// The entry does not follow from the one before.
    Unlinked,
    /// The chain ends before this entry, which the head knows of.
    CutOff,
    /// The head is gone, or does not say what the chain does.
    HeadWrong,
}

/// Where a chain is broken: at the first entry that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBreak {
    pub chain: String,
    pub sequence: u64,
    pub flaw: AuditFlaw,
}

/// How far one chain has been walked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditWalk {
    pub chain: String,
    pub entries: u64,
    /// The hash of the last entry so far.
    hash: String,
}

/// What one more page came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walked {
    Further,
    Intact,
    Broken(AuditBreak),
}

impl AuditWalk {
    pub fn begin(chain: &str) -> Self {
        let AuditHead { chain, entries, hash } = AuditHead::before_all(chain);
        Self { chain, entries, hash }
    }

    /// The next entry: as it was written, the next one, and linked to the one before.
    fn take(&mut self, item: &Item) -> Result<(), AuditFlaw> {
        let entry = from_item::<AuditEntry>(item.clone()).map_err(|_| AuditFlaw::Altered)?.value;
        // Whatever lies beside the entry, such as its place in the index, has to be what follows from it, too.
        if entry.chain != self.chain || entry.hash != entry.digest() || *item != to_item(&entry, 1)
        {
            return Err(AuditFlaw::Altered);
        }
        if entry.sequence != self.entries + 1 {
            return Err(AuditFlaw::Missing);
        }
        if entry.previous != self.hash {
            return Err(AuditFlaw::Unlinked);
        }
        self.entries = entry.sequence;
        self.hash = entry.hash;
        Ok(())
    }

    fn broken(&self, sequence: u64, flaw: AuditFlaw) -> Walked {
        Walked::Broken(AuditBreak { chain: self.chain.clone(), sequence, flaw })
    }

    /// How the end that was found agrees with the head; none where the head knows of more, which may have been written
    /// since.
    fn against(&self, head: Option<&Stored<AuditHead>>) -> Option<Walked> {
        let Some(Stored { value: head, version }) = head else {
            let is_empty = self.entries == 0;
            return Some(if is_empty { Walked::Intact } else { self.head_wrong() });
        };
        if head.entries > self.entries {
            return None;
        }
        let agrees = head.entries == self.entries
            && head.hash == self.hash
            && head.chain == self.chain
            && *version == head.entries;
        Some(if agrees { Walked::Intact } else { self.head_wrong() })
    }

    fn head_wrong(&self) -> Walked {
        self.broken(self.entries, AuditFlaw::HeadWrong)
    }
}

impl Table {
    /// Walks one more page of a chain, and compares its end with the head.
    pub async fn walk_audit_chain(&self, walk: &mut AuditWalk) -> Result<Walked, ReadFailure> {
        const READS_MAX: u32 = 4;
        let mut promised = 0;
        for _ in 0..READS_MAX {
            let after = (walk.entries > 0)
                .then(|| Position::behind(entry_place(&walk.chain, walk.entries)));
            let page = PageRequest { after, limit: PageRequest::LIMIT_MAX };
            let (items, next) = self.query_items(&audit_chain(&walk.chain), &page).await?;
            for item in &items {
                if let Err(flaw) = walk.take(item) {
                    return Ok(walk.broken(walk.entries + 1, flaw));
                }
            }
            if next.is_some() {
                return Ok(Walked::Further);
            }
            if walk.entries < promised {
                return Ok(walk.broken(walk.entries + 1, AuditFlaw::CutOff));
            }
            let head = match self.get(&head_key(&walk.chain)).await {
                Ok(head) => head,
                Err(ReadFailure::Unreadable { .. }) => return Ok(walk.head_wrong()),
                Err(failure) => return Err(failure),
            };
            if let Some(walked) = walk.against(head.as_ref()) {
                return Ok(walked);
            }
            promised = head.map_or(0, |head| head.value.entries);
        }
        Ok(Walked::Further)
    }
}

/// How far the proof of all chains has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditRound {
    pub chains: u64,
    pub entries: u64,
    pub broken_count: u64,
    /// The first of those that are broken.
    pub broken: Vec<AuditBreak>,
    pub is_done: bool,
    shard: u32,
    /// Behind which heads the next ones are listed.
    after: Option<Position>,
    /// Chains that are listed and not yet walked, the next one last.
    waiting: Vec<String>,
    walk: Option<AuditWalk>,
}

impl AuditRound {
    const BROKEN_TOLD_MAX: usize = 100;

    /// Of one chain alone.
    pub fn of_chain(chain: &str) -> Self {
        Self { shard: HEAD_SHARDS, walk: Some(AuditWalk::begin(chain)), ..Self::default() }
    }

    fn count(&mut self, walk: &AuditWalk, walked: Walked) {
        self.chains += 1;
        self.entries += walk.entries;
        if let Walked::Broken(broken) = walked {
            self.broken_count += 1;
            if self.broken.len() < Self::BROKEN_TOLD_MAX {
                self.broken.push(broken);
            }
        }
    }
}

impl Table {
    /// One page further: of a chain, or of the list of chains.
    pub async fn advance_audit_round(&self, round: &mut AuditRound) -> Result<(), ReadFailure> {
        if round.walk.is_none() {
            round.walk = round.waiting.pop().map(|chain| AuditWalk::begin(&chain));
        }
        if let Some(mut walk) = round.walk.take() {
            match self.walk_audit_chain(&mut walk).await? {
                Walked::Further => round.walk = Some(walk),
                walked => round.count(&walk, walked),
            }
        } else if round.shard == HEAD_SHARDS {
            round.is_done = true;
        } else {
            let page = PageRequest { after: round.after.take(), limit: 0 };
            let (items, next) = self.query_items(&heads_of_shard(round.shard), &page).await?;
            // By their place in the index: a head that cannot be read is found when its chain is walked.
            round.waiting = items.iter().rev().filter_map(chain_listed).collect();
            round.shard += u32::from(next.is_none());
            round.after = next;
        }
        Ok(())
    }
}

fn chain_listed(item: &Item) -> Option<String> {
    item.get("gsi1sk").and_then(|chain| chain.as_s().ok()).cloned()
}
