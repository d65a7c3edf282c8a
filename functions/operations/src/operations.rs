//! The operations of the operations context, one file each.

pub mod api_page;
pub mod approve_import;
pub mod archive_events;
pub mod await_import_approval;
pub mod create_import;
pub mod finish_import;
pub mod health;
pub mod list_import_report;
pub mod not_found;
pub mod openapi;
pub mod publish;
pub mod read_import;
pub mod read_import_chunk;
pub mod readiness;
pub mod record_import_chunk;
pub mod start_import;
pub mod sweep_outbox;
pub mod validate_import;

use kernel::ImportId;
use shell::{Access, Allow, Role, Scope};

use crate::domain::Format;

/// Whoever imports.
const IMPORTERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);

fn upload_key(import: ImportId, format: Format) -> String {
    format!("imports/{import}/upload.{}", format.extension())
}

fn chunk_key(import: ImportId, chunk: u32) -> String {
    format!("imports/{import}/chunks/{chunk:06}.json")
}
