//! The operations of billing, one file each.

pub mod await_settlement;
pub mod charge;
pub mod close_posting_period;
pub mod list_invoices;
pub mod list_price_groups;
pub mod list_suspense_items;
pub mod on_charge_settled;
pub mod on_registration_dropped;
pub mod prove_ledger;
pub mod query_pending_payments;
pub mod read_invoice;
pub mod read_ledger_proof;
pub mod read_payment;
pub mod read_posting_periods;
pub mod reallocate_payment;
pub mod receive_webhook;
pub mod record_payment;
pub mod reopen_posting_period;
pub mod reverse_charge;
pub mod set_price_group;
pub mod start_ledger_proof;
pub mod start_payment;

use shell::{Access, Allow, Role, Scope};

const BURSAR: Access = Access::Roles(&[Allow { role: Role::Bursar, scope: Scope::All }]);

/// A student's own, and those who answer for what students owe.
const OWN_OR_STAFF: Access = Access::Roles(&[
    Allow { role: Role::Student, scope: Scope::Own },
    Allow { role: Role::Bursar, scope: Scope::All },
    Allow { role: Role::Registrar, scope: Scope::All },
]);
