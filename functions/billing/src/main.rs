//! The billing context: one Lambda function per line; Lambda's handler setting picks which.

use billing::{Ctx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "set-price-group" => {
            shell::http(&op::set_price_group::ROUTE, ctx, op::set_price_group::handle).await
        }
        "list-price-groups" => {
            shell::http(&op::list_price_groups::ROUTE, ctx, op::list_price_groups::handle).await
        }
        "list-invoices" => {
            shell::http(&op::list_invoices::ROUTE, ctx, op::list_invoices::handle).await
        }
        "read-invoice" => {
            shell::http(&op::read_invoice::ROUTE, ctx, op::read_invoice::handle).await
        }
        "start-payment" => {
            shell::http(&op::start_payment::ROUTE, ctx, op::start_payment::handle).await
        }
        "read-payment" => {
            shell::http(&op::read_payment::ROUTE, ctx, op::read_payment::handle).await
        }
        "receive-webhook" => {
            shell::http_raw(&op::receive_webhook::ROUTE, ctx, op::receive_webhook::handle).await
        }
        "list-suspense-items" => {
            shell::http(&op::list_suspense_items::ROUTE, ctx, op::list_suspense_items::handle).await
        }
        // Saga steps
        "charge" => shell::step(ctx, op::charge::handle).await,
        "reverse-charge" => shell::step(ctx, op::reverse_charge::handle).await,
        "await-settlement" => shell::step(ctx, op::await_settlement::handle).await,
        // Events
        "on-charge-settled" => shell::events(ctx, op::on_charge_settled::handle).await,
        "on-withdrawn" => shell::events(ctx, op::on_withdrawn::handle).await,
        "on-registration-dropped" => shell::events(ctx, op::on_registration_dropped::handle).await,
        "on-account-unfinished" => shell::events(ctx, op::on_account_unfinished::handle).await,
        "on-charge-changed" => shell::events(ctx, op::on_charge_changed::handle).await,
        "on-person-changed" => shell::events(ctx, op::on_person_changed::handle).await,
        "on-section-offered" => shell::events(ctx, op::on_section_offered::handle).await,
        // Schedules
        "query-pending-payments" => shell::schedule(ctx, op::query_pending_payments::handle).await,
        "query-pending-refunds" => shell::schedule(ctx, op::query_pending_refunds::handle).await,
        "watch-balances" => shell::schedule(ctx, op::watch_balances::handle).await,
        "watch-sponsors" => shell::schedule(ctx, op::watch_sponsors::handle).await,
        "prove-ledger" => shell::schedule(ctx, op::prove_ledger::handle).await,
        "continue-tuition-runs" => shell::schedule(ctx, op::continue_tuition_runs::handle).await,
        other => bursars_office(ctx, other).await,
    }
}

/// What the bursar's office calls over HTTP.
async fn bursars_office(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "record-payment" => {
            shell::http(&op::record_payment::ROUTE, ctx, op::record_payment::handle).await
        }
        "reallocate-payment" => {
            shell::http(&op::reallocate_payment::ROUTE, ctx, op::reallocate_payment::handle).await
        }
        "close-posting-period" => {
            shell::http(&op::close_posting_period::ROUTE, ctx, op::close_posting_period::handle)
                .await
        }
        "reopen-posting-period" => {
            shell::http(&op::reopen_posting_period::ROUTE, ctx, op::reopen_posting_period::handle)
                .await
        }
        "read-posting-periods" => {
            shell::http(&op::read_posting_periods::ROUTE, ctx, op::read_posting_periods::handle)
                .await
        }
        "start-ledger-proof" => {
            shell::http(&op::start_ledger_proof::ROUTE, ctx, op::start_ledger_proof::handle).await
        }
        "read-ledger-proof" => {
            shell::http(&op::read_ledger_proof::ROUTE, ctx, op::read_ledger_proof::handle).await
        }
        "set-tuition" => shell::http(&op::set_tuition::ROUTE, ctx, op::set_tuition::handle).await,
        "read-tuition" => {
            shell::http(&op::read_tuition::ROUTE, ctx, op::read_tuition::handle).await
        }
        "set-student-population" => {
            shell::http(&op::set_student_population::ROUTE, ctx, op::set_student_population::handle)
                .await
        }
        "read-student-population" => {
            shell::http(
                &op::read_student_population::ROUTE,
                ctx,
                op::read_student_population::handle,
            )
            .await
        }
        "preview-tuition" => {
            shell::http(&op::preview_tuition::ROUTE, ctx, op::preview_tuition::handle).await
        }
        "start-tuition-run" => {
            shell::http(&op::start_tuition_run::ROUTE, ctx, op::start_tuition_run::handle).await
        }
        "read-tuition-run" => {
            shell::http(&op::read_tuition_run::ROUTE, ctx, op::read_tuition_run::handle).await
        }
        "read-account" => {
            shell::http(&op::read_account::ROUTE, ctx, op::read_account::handle).await
        }
        other => returns_and_adjustments(ctx, other).await,
    }
}

/// What the bursar's office gives back, takes back and corrects.
async fn returns_and_adjustments(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "refund-payment" => {
            shell::http(&op::refund_payment::ROUTE, ctx, op::refund_payment::handle).await
        }
        "assign-suspense-item" => {
            shell::http(&op::assign_suspense_item::ROUTE, ctx, op::assign_suspense_item::handle)
                .await
        }
        "return-suspense-item" => {
            shell::http(&op::return_suspense_item::ROUTE, ctx, op::return_suspense_item::handle)
                .await
        }
        "list-refunds" => {
            shell::http(&op::list_refunds::ROUTE, ctx, op::list_refunds::handle).await
        }
        "list-disputes" => {
            shell::http(&op::list_disputes::ROUTE, ctx, op::list_disputes::handle).await
        }
        "request-adjustment" => {
            shell::http(&op::request_adjustment::ROUTE, ctx, op::request_adjustment::handle).await
        }
        "decide-adjustment" => {
            shell::http(&op::decide_adjustment::ROUTE, ctx, op::decide_adjustment::handle).await
        }
        "list-adjustments" => {
            shell::http(&op::list_adjustments::ROUTE, ctx, op::list_adjustments::handle).await
        }
        "set-policy" => shell::http(&op::set_policy::ROUTE, ctx, op::set_policy::handle).await,
        "read-policy" => shell::http(&op::read_policy::ROUTE, ctx, op::read_policy::handle).await,
        other => reports(ctx, other).await,
    }
}

/// What is read off the books, and what of it is put on paper.
async fn reports(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "list-balances" => {
            shell::http(&op::list_balances::ROUTE, ctx, op::list_balances::handle).await
        }
        "list-takings" => {
            shell::http(&op::list_takings::ROUTE, ctx, op::list_takings::handle).await
        }
        "list-register" => {
            shell::http(&op::list_register::ROUTE, ctx, op::list_register::handle).await
        }
        "read-invoice-document" => {
            shell::http(&op::read_invoice_document::ROUTE, ctx, op::read_invoice_document::handle)
                .await
        }
        "read-statement-document" => {
            shell::http(
                &op::read_statement_document::ROUTE,
                ctx,
                op::read_statement_document::handle,
            )
            .await
        }
        other => due_dates(ctx, other).await,
    }
}

/// When something is due, and what is done where it is overdue.
async fn due_dates(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "set-plan-offer" => {
            shell::http(&op::set_plan_offer::ROUTE, ctx, op::set_plan_offer::handle).await
        }
        "list-plan-offers" => {
            shell::http(&op::list_plan_offers::ROUTE, ctx, op::list_plan_offers::handle).await
        }
        "begin-payment-plan" => {
            shell::http(&op::begin_payment_plan::ROUTE, ctx, op::begin_payment_plan::handle).await
        }
        "read-payment-plans" => {
            shell::http(&op::read_payment_plans::ROUTE, ctx, op::read_payment_plans::handle).await
        }
        "cancel-payment-plan" => {
            shell::http(&op::cancel_payment_plan::ROUTE, ctx, op::cancel_payment_plan::handle).await
        }
        "defer-invoice" => {
            shell::http(&op::defer_invoice::ROUTE, ctx, op::defer_invoice::handle).await
        }
        "preview-dunning" => {
            shell::http(&op::preview_dunning::ROUTE, ctx, op::preview_dunning::handle).await
        }
        other => receipts(ctx, other).await,
    }
}

/// What others say of the money: students who show that they paid, and the providers, one with its report.
async fn receipts(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "reconcile-provider" => {
            shell::http(&op::reconcile_provider::ROUTE, ctx, op::reconcile_provider::handle).await
        }
        "submit-receipt" => {
            shell::http(&op::submit_receipt::ROUTE, ctx, op::submit_receipt::handle).await
        }
        "list-receipts" => {
            shell::http(&op::list_receipts::ROUTE, ctx, op::list_receipts::handle).await
        }
        "attach-receipt-file" => {
            shell::http(&op::attach_receipt_file::ROUTE, ctx, op::attach_receipt_file::handle).await
        }
        "read-receipt-file" => {
            shell::http(&op::read_receipt_file::ROUTE, ctx, op::read_receipt_file::handle).await
        }
        "decide-receipt" => {
            shell::http(&op::decide_receipt::ROUTE, ctx, op::decide_receipt::handle).await
        }
        "receive-mobile-money-callback" => {
            shell::http(
                &op::receive_mobile_money_callback::ROUTE,
                ctx,
                op::receive_mobile_money_callback::handle,
            )
            .await
        }
        other => sponsors(ctx, other).await,
    }
}

/// What the bursar's office does about third parties that pay.
async fn sponsors(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        "set-sponsor-contract" => {
            shell::http(&op::set_sponsor_contract::ROUTE, ctx, op::set_sponsor_contract::handle)
                .await
        }
        "list-sponsor-contracts" => {
            shell::http(&op::list_sponsor_contracts::ROUTE, ctx, op::list_sponsor_contracts::handle)
                .await
        }
        "sponsor-student" => {
            shell::http(&op::sponsor_student::ROUTE, ctx, op::sponsor_student::handle).await
        }
        "list-sponsored-invoices" => {
            let route = &op::list_sponsored_invoices::ROUTE;
            shell::http(route, ctx, op::list_sponsored_invoices::handle).await
        }
        "record-sponsor-payment" => {
            shell::http(&op::record_sponsor_payment::ROUTE, ctx, op::record_sponsor_payment::handle)
                .await
        }
        "return-sponsored-invoice" => {
            let route = &op::return_sponsored_invoice::ROUTE;
            shell::http(route, ctx, op::return_sponsored_invoice::handle).await
        }
        other => audit_trail(ctx, other).await,
    }
}

/// What reads the audit trail, and what proves it.
async fn audit_trail(ctx: &Ctx, operation: &str) -> Result<(), lambda_runtime::Error> {
    match operation {
        // HTTP
        "list-audit-entries" => {
            shell::http(&op::list_audit_entries::ROUTE, ctx, op::list_audit_entries::handle).await
        }
        // An operator's invocation
        "prove-audit-trail" => shell::step(ctx, op::prove_audit_trail::handle).await,
        // Schedule
        "watch-audit-trail" => shell::schedule(ctx, op::watch_audit_trail::handle).await,
        unknown => panic!("billing has no operation {unknown:?}"),
    }
}
