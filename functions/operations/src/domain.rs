//! What an import is, which step may follow which, and what is refused.

use kernel::{ImportId, PersonId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Imported, Refuse, Sentences};

use crate::oneroster::Written;

/// Chunks that one execution checks, and then applies, before it hands over to a fresh one: a STANDARD execution ends
/// after 25,000 history events, and a chunk takes 17, more when steps are retried.
pub const CHUNKS_PER_RUN: u32 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its file.
    Created,
    Validating,
    /// The file cannot be applied: the report says why.
    Invalid,
    /// Its people are tried against those who are known already, without a trace; the report tells who would be
    /// refused.
    Checking,
    /// Waits for approval.
    Validated,
    Approved,
    Applying,
    Applied,
    /// Refused by its approver, or stopped by a failure: `failure` says which. A failure can be started again.
    Failed,
}

/// What is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// OneRoster 1.2, a zip of a whole university.
    #[default]
    Oneroster,
    /// A table of people as CSV.
    PeopleCsv,
    /// A table of people as the first sheet of an Excel workbook.
    PeopleXlsx,
}

impl Format {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Oneroster => "zip",
            Self::PeopleCsv => "csv",
            Self::PeopleXlsx => "xlsx",
        }
    }
}

/// Rows that there are to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    pub terms: u64,
    pub courses: u64,
    pub people: u64,
    pub sections: u64,
    pub history: u64,
}

impl Counts {
    pub fn rows(&self) -> u64 {
        self.terms + self.courses + self.people + self.sections + self.history
    }
}

/// How far the rows are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    pub chunks: u32,
    /// Those of people, which are tried before the approval.
    #[serde(default)]
    pub chunks_to_check: u32,
    #[serde(default)]
    pub chunks_checked: u32,
    pub chunks_done: u32,
    pub applied: u64,
    /// Rows that stood there already, just so.
    pub unchanged: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub id: ImportId,
    pub file_name: String,
    #[serde(default)]
    pub format: Format,
    /// Absent where a service client did it.
    pub created_by: Option<PersonId>,
    pub created_at: Timestamp,
    pub state: State,
    /// The execution that works on it; 0 before the first.
    pub run: u32,
    /// Whether it can be decided on.
    pub validated: bool,
    pub counts: Counts,
    pub progress: Progress,
    /// Everything found, also what the report has no room for.
    pub findings: u64,
    /// Lines that the report holds.
    pub lines_kept: u32,
    /// Rows of people and of sections that were refused: history cannot refer to them.
    pub refused_people: Vec<u64>,
    pub refused_sections: Vec<u64>,
    pub approval: Option<bool>,
    pub approved_by: Option<PersonId>,
    /// What the waiting execution is answered by.
    pub task_token: Option<String>,
    pub failure: Option<String>,
}

/// What a validation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub valid: bool,
    pub counts: Counts,
    pub written: Written,
    pub findings: u64,
    pub lines_kept: u32,
}

/// What is to be done next by an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextChunk {
    Number(u32),
    /// To be tried only.
    ToCheck(u32),
    AllChecked,
    AllDone,
    /// A younger execution works on the import, or somebody has ended it.
    Superseded,
}

/// How a step of the state machine failed, as the machine tells it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Caught {
    pub error: String,
    #[serde(default)]
    pub cause: String,
}

impl Import {
    pub fn new(
        id: ImportId,
        file_name: String,
        format: Format,
        created_by: Option<PersonId>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            file_name,
            format,
            created_by,
            created_at: now,
            state: State::Created,
            run: 0,
            validated: false,
            counts: Counts::default(),
            progress: Progress::default(),
            findings: 0,
            lines_kept: 0,
            refused_people: Vec::new(),
            refused_sections: Vec::new(),
            approval: None,
            approved_by: None,
            task_token: None,
            failure: None,
        }
    }

    /// Whether an execution may be started, for the first time or after a failure.
    pub fn check_startable(&self) -> Result<(), Refusal> {
        match self.state {
            State::Invalid => Err(Refusal::ImportInvalid),
            State::Applied => Err(Refusal::ImportAlreadyApplied),
            _ if self.approval == Some(false) => Err(Refusal::ImportRejected),
            _ => Ok(()),
        }
    }

    /// Lets `run` take over; answers whether that changes anything.
    pub fn take_over(&mut self, run: u32) -> bool {
        if run <= self.run || self.check_startable().is_err() {
            return false;
        }
        self.run = run;
        self.failure = None;
        self.state = self.standing();
        true
    }

    /// Where an import that is under way stands.
    fn standing(&self) -> State {
        match self.approval {
            _ if !self.validated && self.progress.chunks > 0 => State::Checking,
            _ if !self.validated => State::Validating,
            Some(true) if self.progress.chunks_done > 0 => State::Applying,
            Some(true) => State::Approved,
            _ => State::Validated,
        }
    }

    /// Keeps what the validation found; a later one of the same import changes nothing.
    pub fn conclude_validation(&mut self, verdict: Verdict) -> bool {
        if self.state != State::Validating {
            return false;
        }
        let Verdict { valid, counts, written, findings, lines_kept } = verdict;
        let Written { chunks, of_people: chunks_to_check } = written;
        self.validated = valid && chunks_to_check == 0;
        self.counts = counts;
        self.progress = Progress { chunks, chunks_to_check, ..Progress::default() };
        self.findings = findings;
        self.lines_kept = lines_kept;
        self.state = match valid {
            true if self.validated => State::Validated,
            true => State::Checking,
            false => State::Invalid,
        };
        true
    }

    /// Counts the chunk as tried, unless it has been counted before; so many of its rows would be refused.
    pub fn record_check(&mut self, chunk: u32, refused: u64, lines_kept: u32) -> bool {
        if self.state != State::Checking || chunk != self.progress.chunks_checked + 1 {
            return false;
        }
        self.progress.chunks_checked = chunk;
        self.findings += refused;
        self.lines_kept += lines_kept;
        if chunk == self.progress.chunks_to_check {
            self.validated = true;
            self.state = State::Validated;
        }
        true
    }

    /// Keeps the token of the execution that waits for approval; a later one replaces an earlier one.
    pub fn await_approval(&mut self, task_token: String) -> Result<(), Refusal> {
        match self.state {
            State::Validated => {
                self.task_token = Some(task_token);
                Ok(())
            }
            _ if self.approval.is_some() => Err(Refusal::ImportDecided),
            _ => Err(Refusal::ImportNotValidated),
        }
    }

    /// Approves or refuses; answers whether that changes anything.
    pub fn decide(&mut self, approve: bool, by: PersonId) -> Result<bool, Refusal> {
        match self.approval {
            Some(before) if before == approve => return Ok(false),
            Some(_) => return Err(Refusal::ImportDecided),
            None if !self.validated => return Err(Refusal::ImportNotValidated),
            None => {}
        }
        self.approval = Some(approve);
        self.approved_by = Some(by);
        // An import that failed while it waited goes on when it is started again.
        if approve && self.state == State::Validated {
            self.state = State::Approved;
        }
        if !approve {
            self.state = State::Failed;
            self.failure = Some(Refusal::ImportRejected.code().to_owned());
        }
        Ok(true)
    }

    pub fn next_chunk(&self, run: u32) -> Result<NextChunk, Refusal> {
        if run < self.run || matches!(self.state, State::Applied | State::Failed) {
            return Ok(NextChunk::Superseded);
        }
        match self.state {
            State::Checking => return Ok(NextChunk::ToCheck(self.progress.chunks_checked + 1)),
            State::Validated => return Ok(NextChunk::AllChecked),
            _ if self.approval != Some(true) => return Err(Refusal::ImportNotApproved),
            _ => {}
        }
        let Progress { chunks, chunks_done, .. } = self.progress;
        Ok(if chunks_done < chunks {
            NextChunk::Number(chunks_done + 1)
        } else {
            NextChunk::AllDone
        })
    }

    /// Counts the chunk of rows of `file`, unless it has been counted before.
    pub fn record_chunk(
        &mut self,
        chunk: u32,
        file: &str,
        imported: &Imported,
        lines_kept: u32,
    ) -> bool {
        if chunk != self.progress.chunks_done + 1 || self.approval != Some(true) {
            return false;
        }
        self.remember_refused(file, imported);
        let refused = u64::try_from(imported.refused.len()).unwrap_or(u64::MAX);
        self.progress.chunks_done = chunk;
        self.progress.applied += imported.applied;
        self.progress.unchanged += imported.unchanged;
        self.progress.refused += refused;
        self.findings += refused;
        self.lines_kept += lines_kept;
        if self.state == State::Approved {
            self.state = State::Applying;
        }
        true
    }

    /// So many are remembered that a mistaken file is told from a few mistakes, and no more than an item has
    /// room for.
    fn remember_refused(&mut self, file: &str, imported: &Imported) {
        const REMEMBERED_MAX: usize = 5_000;
        let remembered = match file {
            "users.csv" => &mut self.refused_people,
            "classes.csv" => &mut self.refused_sections,
            _ => return,
        };
        let room = REMEMBERED_MAX.saturating_sub(remembered.len());
        remembered.extend(imported.refused.iter().map(|refused| refused.row).take(room));
    }

    /// Whether a row of history refers to what was refused.
    pub fn has_refused(&self, student_row: u64, section_row: u64) -> bool {
        self.refused_people.contains(&student_row) || self.refused_sections.contains(&section_row)
    }

    /// Whether an execution that has just checked or applied `chunk` hands over to a fresh one.
    pub fn hands_over_after(&self, chunk: u32) -> bool {
        chunk.is_multiple_of(CHUNKS_PER_RUN) && chunk < self.progress.chunks
    }

    /// Ends the import; answers whether that changes anything. The failure of an execution that another one has
    /// replaced means nothing.
    pub fn finish(&mut self, run: u32, failure: Option<&Caught>) -> Result<bool, Refusal> {
        let Some(failure) = failure else {
            if self.state == State::Applied {
                return Ok(false);
            }
            if self.progress.chunks_done < self.progress.chunks || self.approval != Some(true) {
                return Err(Refusal::ImportNotApproved);
            }
            self.state = State::Applied;
            self.failure = None;
            return Ok(true);
        };
        let ended = matches!(self.state, State::Applied | State::Failed | State::Invalid);
        if run < self.run || ended {
            return Ok(false);
        }
        self.state = State::Failed;
        self.failure = Some(failure.code());
        Ok(true)
    }
}

impl Caught {
    /// The code under which people read of it.
    fn code(&self) -> String {
        match self.error.as_str() {
            "Refused" => self.refused_code().unwrap_or("STEP_FAILED").to_owned(),
            "States.Timeout" => "APPROVAL_TIMED_OUT".to_owned(),
            _ => "STEP_FAILED".to_owned(),
        }
    }

    /// The code within Lambda's own report of an error, `{"errorType": "Refused", "errorMessage": "CODE …"}`.
    fn refused_code(&self) -> Option<&str> {
        let at = self.cause.find("\"errorMessage\"")?;
        let message = self.cause[at..].split('"').nth(3)?;
        let code = message.split(' ').next()?;
        let is_code = !code.is_empty()
            && code
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit());
        is_code.then_some(code)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NotReady,
    ImportUnknown,
    ImportInvalid,
    ImportAlreadyApplied,
    ImportRejected,
    ImportDecided,
    ImportNotValidated,
    ImportNotApproved,
    UploadMissing,
    ChunkMissing,
}

pub static SENTENCES: Sentences = shell::sentences!();

impl Refuse for Refusal {
    fn code_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::NotReady => ("NOT_READY", 503),
            Self::ImportUnknown => ("IMPORT_UNKNOWN", 404),
            Self::ImportInvalid => ("IMPORT_INVALID", 409),
            Self::ImportAlreadyApplied => ("IMPORT_ALREADY_APPLIED", 409),
            Self::ImportRejected => ("IMPORT_REJECTED", 409),
            Self::ImportDecided => ("IMPORT_DECIDED", 409),
            Self::ImportNotValidated => ("IMPORT_NOT_VALIDATED", 409),
            Self::ImportNotApproved => ("IMPORT_NOT_APPROVED", 409),
            Self::UploadMissing => ("UPLOAD_MISSING", 409),
            Self::ChunkMissing => ("CHUNK_MISSING", 409),
        }
    }

    fn sentences(&self) -> &'static Sentences {
        &SENTENCES
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;
    use proptest::prelude::*;

    use super::*;

    fn import() -> Import {
        let now = testkit::now();
        let id = ImportId::derived_from("one");
        Import::new(id, "all.zip".into(), Format::Oneroster, Some(testkit::person("ada")), now)
    }

    fn concluded(written: Written) -> Import {
        let mut import = import();
        assert!(import.take_over(1));
        let counts = Counts { people: 10, ..Counts::default() };
        let verdict = Verdict { valid: true, counts, written, findings: 1, lines_kept: 1 };
        assert!(import.conclude_validation(verdict));
        import
    }

    fn validated(chunks: u32) -> Import {
        concluded(Written { chunks, of_people: 0 })
    }

    fn caught(error: &str, cause: &str) -> Caught {
        Caught { error: error.to_owned(), cause: cause.to_owned() }
    }

    #[test]
    fn a_failure_keeps_the_code_of_the_refusal_behind_it() {
        let cause = r#"{"errorType":"Refused","errorMessage":"UPLOAD_MISSING"}"#;
        assert_eq!(caught("Refused", cause).code(), "UPLOAD_MISSING");
        let spaced = r#"{"errorType": "Refused", "errorMessage": "INVALID_INPUT {}"}"#;
        assert_eq!(caught("Refused", spaced).code(), "INVALID_INPUT");
        assert_eq!(caught("Refused", "who knows").code(), "STEP_FAILED");
        assert_eq!(caught("States.Timeout", "").code(), "APPROVAL_TIMED_OUT");
        assert_eq!(caught("Sandbox.Timedout", "").code(), "STEP_FAILED");
    }

    #[test]
    fn a_failed_import_goes_on_where_it_was() {
        let mut import = validated(3);
        import.decide(true, testkit::person("ada")).expect("approves");
        assert!(import.record_chunk(1, "users.csv", &Imported::default(), 0));
        import.finish(1, Some(&caught("Defect", ""))).expect("fails");
        assert_eq!((import.state, import.failure.as_deref()), (State::Failed, Some("STEP_FAILED")));
        assert_eq!(import.next_chunk(1), Ok(NextChunk::Superseded));
        assert!(import.take_over(2));
        assert_eq!((import.state, import.failure.as_deref()), (State::Applying, None));
        assert_eq!(import.next_chunk(2), Ok(NextChunk::Number(2)));
        assert_eq!(import.next_chunk(1), Ok(NextChunk::Superseded), "the first run is replaced");
        assert_eq!(import.finish(1, Some(&caught("Defect", ""))), Ok(false), "its failure too");
    }

    #[test]
    fn approval_after_the_waiting_execution_failed_is_found_by_the_next_one() {
        let mut import = validated(1);
        import.finish(1, Some(&caught("States.Timeout", ""))).expect("fails");
        assert_eq!(import.decide(true, testkit::person("ada")), Ok(true));
        assert_eq!(import.state, State::Failed);
        assert!(import.take_over(2));
        assert_eq!(import.state, State::Approved);
        assert_eq!(import.await_approval("token".into()), Err(Refusal::ImportDecided));
    }

    #[test]
    fn a_rejected_import_is_not_started_again() {
        let mut import = validated(1);
        assert_eq!(import.decide(false, testkit::person("ada")), Ok(true));
        assert_eq!(import.decide(false, testkit::person("ada")), Ok(false));
        assert_eq!(import.decide(true, testkit::person("ada")), Err(Refusal::ImportDecided));
        assert_eq!(import.check_startable(), Err(Refusal::ImportRejected));
        assert!(!import.take_over(2));
        assert_eq!(import.state, State::Failed);
    }

    #[test]
    fn a_file_is_decided_on_only_when_all_its_people_were_tried_whatever_came_between() {
        let mut import = concluded(Written { chunks: 5, of_people: 2 });
        let ada = testkit::person("ada");
        assert_eq!(
            (import.state, import.next_chunk(1)),
            (State::Checking, Ok(NextChunk::ToCheck(1)))
        );
        assert_eq!(import.decide(true, ada), Err(Refusal::ImportNotValidated));
        assert_eq!(import.await_approval("token".into()), Err(Refusal::ImportNotValidated));
        assert!(!import.record_check(2, 3, 3), "it is not its turn");
        assert!(import.record_check(1, 3, 3) && !import.record_check(1, 3, 3));
        import.finish(1, Some(&caught("Defect", ""))).expect("fails");
        assert!(import.take_over(2));
        assert_eq!(
            (import.state, import.next_chunk(2)),
            (State::Checking, Ok(NextChunk::ToCheck(2)))
        );
        assert!(import.record_check(2, 0, 0));
        assert_eq!((import.state, import.findings, import.lines_kept), (State::Validated, 4, 4));
        assert_eq!(import.next_chunk(2), Ok(NextChunk::AllChecked));
        assert_eq!(import.decide(true, ada), Ok(true));
        assert_eq!(import.next_chunk(2), Ok(NextChunk::Number(1)));
        assert!(!import.record_check(1, 1, 1), "late");
    }

    #[test]
    fn long_imports_are_handed_over() {
        let import = validated(1_000);
        assert!(!import.hands_over_after(499));
        assert!(import.hands_over_after(500));
        assert!(!import.hands_over_after(1_000), "the last chunk ends the import");
    }

    proptest! {
        /// Whatever is repeated, late or out of order: each chunk is counted once, in order.
        #[test]
        fn each_chunk_is_counted_once(calls in proptest::collection::vec(1_u32..7, 0..60)) {
            let mut import = validated(6);
            import.decide(true, testkit::person("ada")).expect("approves");
            let one = Imported { applied: 1, unchanged: 0, refused: Vec::new() };
            for chunk in calls {
                let before = import.progress;
                if import.record_chunk(chunk, "users.csv", &one, 0) {
                    prop_assert_eq!(import.progress.chunks_done, before.chunks_done + 1);
                } else {
                    prop_assert_eq!(import.progress, before);
                }
                prop_assert_eq!(import.progress.applied, u64::from(import.progress.chunks_done));
            }
        }
    }
}
