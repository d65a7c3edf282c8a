//! The operations of billing, one file each.

pub mod assign_suspense_item;
pub mod attach_receipt_file;
pub mod await_settlement;
pub mod begin_payment_plan;
pub mod cancel_payment_plan;
pub mod charge;
pub mod close_posting_period;
pub mod continue_tuition_runs;
pub mod decide_adjustment;
pub mod decide_receipt;
pub mod defer_invoice;
pub mod list_adjustments;
pub mod list_audit_entries;
pub mod list_balances;
pub mod list_disputes;
pub mod list_invoices;
pub mod list_plan_offers;
pub mod list_price_groups;
pub mod list_receipts;
pub mod list_refunds;
pub mod list_register;
pub mod list_sponsor_contracts;
pub mod list_sponsored_invoices;
pub mod list_suspense_items;
pub mod list_takings;
pub mod on_account_unfinished;
pub mod on_charge_changed;
pub mod on_charge_settled;
pub mod on_person_changed;
pub mod on_registration_dropped;
pub mod on_section_offered;
pub mod on_withdrawn;
pub mod preview_dunning;
pub mod preview_tuition;
pub mod prove_audit_trail;
pub mod prove_ledger;
pub mod query_pending_payments;
pub mod query_pending_refunds;
pub mod read_account;
pub mod read_invoice;
pub mod read_invoice_document;
pub mod read_ledger_proof;
pub mod read_payment;
pub mod read_payment_plans;
pub mod read_policy;
pub mod read_posting_periods;
pub mod read_receipt_file;
pub mod read_statement_document;
pub mod read_student_population;
pub mod read_tuition;
pub mod read_tuition_run;
pub mod reallocate_payment;
pub mod receive_mobile_money_callback;
pub mod receive_webhook;
pub mod reconcile_provider;
pub mod record_payment;
pub mod record_sponsor_payment;
pub mod refund_payment;
pub mod reopen_posting_period;
pub mod request_adjustment;
pub mod return_sponsored_invoice;
pub mod return_suspense_item;
pub mod reverse_charge;
pub mod set_plan_offer;
pub mod set_policy;
pub mod set_price_group;
pub mod set_sponsor_contract;
pub mod set_student_population;
pub mod set_tuition;
pub mod sponsor_student;
pub mod start_ledger_proof;
pub mod start_payment;
pub mod start_tuition_run;
pub mod submit_receipt;
pub mod watch_audit_trail;
pub mod watch_balances;
pub mod watch_sponsors;

use shell::{Access, Allow, Role, Scope};

const BURSAR: Access = Access::Roles(&[Allow { role: Role::Bursar, scope: Scope::All }]);

/// What students do for themselves, or the bursar's office for them.
const OWN_OR_BURSAR: Access = Access::Roles(&[
    Allow { role: Role::Student, scope: Scope::Own },
    Allow { role: Role::Bursar, scope: Scope::All },
]);

/// A student's own, and those who answer for what students owe.
const OWN_OR_STAFF: Access = Access::Roles(&[
    Allow { role: Role::Student, scope: Scope::Own },
    Allow { role: Role::Bursar, scope: Scope::All },
    Allow { role: Role::Registrar, scope: Scope::All },
]);
