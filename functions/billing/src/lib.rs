//! Billing: what registrations cost, the invoices for it, the payments of them, and the ledger of it all.

mod adjusting;
mod bookkeeping;
mod conclusion;
mod counter;
pub mod domain;
mod dunning;
#[cfg(test)]
mod fixtures;
mod inquiry;
pub mod mobile_money;
pub mod operations;
mod paper;
pub mod provider;
mod refunding;
mod returning;
pub mod secret;
mod signature;
mod sponsoring;
mod store;
mod task_tokens;
mod term_desk;

use std::sync::{Arc, OnceLock};

use bucket::Bucket;
use domain::{Channel, Institution};
use jiff::tz::TimeZone;
use mobile_money::MobileMoney;
use provider::{PaymentProvider, Stripe};
use secret::Secret;
use shell::HttpOperation;
use table::Table;

/// What the operations of this context share. Whatever only some of them need is built when it is first needed.
#[derive(Clone, Debug)]
pub struct Ctx {
    pub table: Table,
    pub provider: Arc<dyn PaymentProvider>,
    /// The provider's second dialect.
    pub mobile_money: Arc<dyn PaymentProvider>,
    /// Signs the provider's webhooks.
    pub webhook_secret: Secret,
    /// The files of receipts.
    receipts: Arc<Bucket>,
    institution: OnceLock<Institution>,
    step_functions: OnceLock<aws_sdk_sfn::Client>,
}

impl Ctx {
    pub fn from_environment() -> Self {
        let webhook_secret = Secret::Environment("PAYMENT_WEBHOOK_SECRET");
        Self::new(shell::aws::table(), Arc::new(Stripe::from_environment()), webhook_secret)
    }

    pub fn new(table: Table, provider: Arc<dyn PaymentProvider>, webhook_secret: Secret) -> Self {
        Self {
            table,
            provider,
            mobile_money: Arc::new(MobileMoney::from_environment()),
            webhook_secret,
            receipts: Arc::new(Bucket::from_environment("RECEIPTS_BUCKET")),
            institution: OnceLock::new(),
            step_functions: OnceLock::new(),
        }
    }

    /// The same context with another provider of mobile money than the environment names.
    #[must_use]
    pub fn with_mobile_money(self, mobile_money: MobileMoney) -> Self {
        Self { mobile_money: Arc::new(mobile_money), ..self }
    }

    /// Who is asked about what comes this way.
    pub(crate) fn provider_of(&self, channel: Channel) -> &dyn PaymentProvider {
        match channel {
            Channel::MobileMoney => &*self.mobile_money,
            Channel::Card | Channel::Cash | Channel::BankTransfer => &*self.provider,
        }
    }

    /// The same context for another institution than the environment names.
    #[must_use]
    pub fn of(self, institution: Institution) -> Self {
        Self { institution: OnceLock::from(institution), ..self }
    }

    pub(crate) fn institution(&self) -> &Institution {
        self.institution.get_or_init(|| {
            let setting = shell::required_environment;
            Institution {
                legal_entity: setting("LEGAL_ENTITY"),
                time_zone: TimeZone::get(&setting("TIME_ZONE"))
                    .expect("TIME_ZONE is one of the IANA time zones"),
                fiscal_year_first_month: setting("FISCAL_YEAR_FIRST_MONTH")
                    .parse()
                    .expect("FISCAL_YEAR_FIRST_MONTH is a number from 1 to 12"),
                payment_terms_days: setting("PAYMENT_TERMS_DAYS")
                    .parse()
                    .expect("PAYMENT_TERMS_DAYS is a number of days"),
            }
        })
    }

    pub(crate) fn step_functions(&self) -> &aws_sdk_sfn::Client {
        self.step_functions.get_or_init(|| aws_sdk_sfn::Client::new(shell::aws::sdk_config()))
    }
}

impl shell::Context for Ctx {
    fn table(&self) -> &Table {
        &self.table
    }
}

/// The context's HTTP operations, with the shapes of what goes in and comes out.
pub fn http_operations() -> Vec<HttpOperation> {
    use operations as op;
    /// An operation that replies as itself says, or as another one says.
    macro_rules! listed {
        ($($operation:ident => $reply:ident,)*) => {
            vec![$(HttpOperation::of::<op::$operation::Command, op::$reply::Reply>(
                "billing",
                op::$operation::ROUTE,
            )),*]
        };
    }
    let mut operations = listed! {
        set_price_group => set_price_group,
        list_price_groups => list_price_groups,
        list_invoices => list_invoices,
        read_invoice => read_invoice,
        start_payment => read_payment,
        read_payment => read_payment,
        receive_webhook => receive_webhook,
        receive_mobile_money_callback => receive_mobile_money_callback,
        list_suspense_items => list_suspense_items,
        record_payment => read_payment,
        reallocate_payment => read_invoice,
        close_posting_period => close_posting_period,
        reopen_posting_period => close_posting_period,
        read_posting_periods => close_posting_period,
        start_ledger_proof => read_ledger_proof,
        read_ledger_proof => read_ledger_proof,
        set_tuition => set_tuition,
        read_tuition => set_tuition,
        set_student_population => set_student_population,
        read_student_population => set_student_population,
        preview_tuition => preview_tuition,
        start_tuition_run => start_tuition_run,
        read_tuition_run => start_tuition_run,
        read_account => read_account,
        refund_payment => read_payment,
        request_adjustment => request_adjustment,
        decide_adjustment => request_adjustment,
        list_adjustments => list_adjustments,
        set_policy => set_policy,
        read_policy => set_policy,
        list_audit_entries => list_audit_entries,
        assign_suspense_item => assign_suspense_item,
        return_suspense_item => assign_suspense_item,
        list_refunds => list_refunds,
        list_disputes => list_disputes,
        list_balances => list_balances,
        list_takings => list_takings,
        list_register => list_register,
        set_plan_offer => set_plan_offer,
        list_plan_offers => list_plan_offers,
        begin_payment_plan => begin_payment_plan,
        read_payment_plans => read_payment_plans,
        cancel_payment_plan => begin_payment_plan,
        defer_invoice => defer_invoice,
        preview_dunning => preview_dunning,
        reconcile_provider => reconcile_provider,
        submit_receipt => submit_receipt,
        list_receipts => list_receipts,
        decide_receipt => submit_receipt,
        set_sponsor_contract => set_sponsor_contract,
        list_sponsor_contracts => list_sponsor_contracts,
        sponsor_student => sponsor_student,
        list_sponsored_invoices => list_sponsored_invoices,
        record_sponsor_payment => set_sponsor_contract,
        return_sponsored_invoice => return_sponsored_invoice,
        attach_receipt_file => attach_receipt_file,
        read_receipt_file => read_receipt_file,
    };
    operations.extend([
        HttpOperation::without_reply_schema::<op::read_invoice_document::Command>(
            "billing",
            op::read_invoice_document::ROUTE,
        ),
        HttpOperation::without_reply_schema::<op::read_statement_document::Command>(
            "billing",
            op::read_statement_document::ROUTE,
        ),
    ]);
    operations
}
