//! The operations of the catalog, one file each.

pub mod create_course;
pub mod create_section;
pub mod create_term;
pub mod import_catalog;
pub mod list_courses;
pub mod list_sections;
pub mod list_terms;
pub mod read_course;
pub mod read_section;
pub mod read_term;

use shell::{Access, Allow, Role, Scope};

/// Whoever keeps the catalog.
const KEEPERS: Access = Access::Roles(&[
    Allow { role: Role::Registrar, scope: Scope::All },
    Allow { role: Role::Administrator, scope: Scope::All },
]);
