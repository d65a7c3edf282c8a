//! For the tests of this context: a context by hand, a charged bundle, and what waits for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bucket::Bucket;
use events::ChargeableRegistration;
use kernel::{BundleId, Id, Money, PaymentId, RegistrationId, SectionId, TermId};
use serde_json::{Value, json};
use shell::{Call, Failure, Raw, Step};
use table::{PageRequest, Table};
use testkit::{Engine, PaymentProvider, PaymentProviderSettings, StepFunctions};

use crate::Ctx;
use crate::bookkeeping::{Bookkeeping, Wanted};
use crate::domain::{
    Band, BandPolicy, Channel, Criteria, Institution, Invoice, JournalEntry, Payment, PaymentState,
    PriceGroup, PriceGroupCode, StudentAccount, TuitionGroup, TuitionRule, TuitionRules, receive,
};
use crate::mobile_money::MobileMoney;
use crate::operations::{
    charge, read_payment, receive_webhook, reverse_charge, set_tuition, start_payment,
};
use crate::provider::Stripe;
use crate::secret::Secret;
use crate::store::{self, Cause};

pub const WEBHOOK_SECRET: &str = "whsec_test";
const API_KEY: &str = "sk_test";
/// Short, since tests wait for what never comes.
const REPLY_TIMEOUT: Duration = Duration::from_millis(300);

/// A context whose provider nobody can reach.
pub fn ctx(table: &Table) -> Ctx {
    ctx_with_provider_at(table, "http://127.0.0.1:9")
}

pub fn ctx_with(table: &Table, provider: &PaymentProvider) -> Ctx {
    ctx_with_provider_at(table, provider.url())
}

fn ctx_with_provider_at(table: &Table, url: &str) -> Ctx {
    let provider = Stripe::at(url.to_owned(), API_KEY, REPLY_TIMEOUT);
    let mobile_money = MobileMoney::at(url.to_owned(), "user:key:subscription", REPLY_TIMEOUT);
    Ctx::new(table.clone(), Arc::new(provider), Secret::Known(WEBHOOK_SECRET.into()))
        .with_mobile_money(mobile_money)
        .of(Institution::example())
}

/// A provider that sends no webhooks: a test sends them when it is their turn.
pub async fn provider() -> PaymentProvider {
    PaymentProvider::start(PaymentProviderSettings::default()).await
}

pub fn francs(minor: i64) -> Money {
    Money::new(minor, "XAF".parse().expect("a currency"))
}

pub fn code<R: std::fmt::Debug>(result: Result<R, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refusal)) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

/// 25,000 francs a credit in the price group "standard"; "free" costs nothing.
pub async fn set_prices(table: &Table) {
    let mut transaction = table.transaction();
    for (group, minor) in [("standard", 25_000), ("free", 0)] {
        let code = PriceGroupCode(group.into());
        transaction.overwrite(&PriceGroup { code, per_credit: francs(minor) });
    }
    let euros = Money::new(4_000, "EUR".parse().expect("a currency"));
    let code = PriceGroupCode("euro".into());
    transaction.overwrite(&PriceGroup { code, per_credit: euros });
    transaction.commit().await.expect("prices are set");
}

/// From now on the term of the tests has one tuition group, for everybody, with this rule.
pub async fn set_rules(ctx: &Ctx, rule: TuitionRule) {
    let criteria = Criteria::default();
    let name = "everybody".into();
    let group = TuitionGroup { name, priority: 1, criteria, rule, fees: Vec::new() };
    let rules = TuitionRules { groups: vec![group], ..TuitionRules::default() };
    let call = testkit::call(set_tuition::Command { term: TermId::derived_from("2027S"), rules });
    set_tuition::handle(ctx, &call).await.expect("rules are set");
}

/// The rules of the term as they stand, with this policy.
pub async fn set_band_policy(ctx: &Ctx, band_policy: BandPolicy) {
    let term = TermId::derived_from("2027S");
    let stored = ctx.table.get(&store::tuition_key(term)).await.expect("reads");
    let rules = stored.expect("rules were set").value.rules;
    let command = set_tuition::Command { term, rules: TuitionRules { band_policy, ..rules } };
    set_tuition::handle(ctx, &testkit::call(command)).await.expect("the policy is set");
}

/// 1,000 for the term, and 10 a credit.
pub async fn band_rules(ctx: &Ctx) {
    let band = Band { from_hundredths: 0, flat: francs(1_000), per_credit: francs(10) };
    set_rules(ctx, TuitionRule::Banded { bands: vec![band] }).await;
}

pub fn bundle(name: &str) -> BundleId {
    BundleId::derived_from(name)
}

pub fn registration(bundle: &str, number: u32) -> RegistrationId {
    RegistrationId::derived_from(&format!("{bundle}#{number}"))
}

/// A bundle of two registrations of 4 and 2 credits, 150,000 francs together.
pub fn order(student: &str, name: &str) -> charge::Command {
    let chargeable = |number: u32, credits_hundredths| ChargeableRegistration {
        registration: registration(name, number),
        section: SectionId::derived_from(&format!("{number}")),
        section_code: format!("MATH10{number}-A"),
        course_title: "Calculus".into(),
        credits_hundredths,
        price_group: "standard".into(),
    };
    charge::Command {
        bundle: bundle(name),
        student: testkit::person(student),
        term: TermId::derived_from("2027S"),
        term_code: "2027S".into(),
        registrations: vec![chargeable(1, 400), chargeable(2, 200)],
    }
}

pub async fn charge(ctx: &Ctx, student: &str, name: &str) -> charge::Reply {
    set_prices(&ctx.table).await;
    charge::handle(ctx, &testkit::step(order(student, name))).await.expect("a charge")
}

pub fn pay_command(charge: &charge::Reply, payment_method: &str) -> start_payment::Command {
    let payment_method = Some(payment_method.to_owned());
    start_payment::Command { invoice: charge.invoice, amount: None, payment_method, phone: None }
}

/// "ada" starts to pay.
pub async fn pay(ctx: &Ctx, charge: &charge::Reply, payment_method: &str) -> read_payment::Reply {
    let command = pay_command(charge, payment_method);
    start_payment::handle(ctx, &testkit::call(command)).await.expect("a payment starts")
}

/// The webhook that tells of this intent, signed now.
pub fn webhook(intent: &Value) -> Call<Raw> {
    webhook_of(testkit::webhook_body(intent))
}

/// The webhook that tells of a refund, signed now.
pub fn refund_webhook(kind: &str, refund: &Value) -> Call<Raw> {
    webhook_of(testkit::webhook_body_of(kind, refund))
}

/// 150,000 francs of "ada" through the provider, that pay for nothing any more.
pub async fn give_by_card(ctx: &Ctx, provider: &PaymentProvider, method: &str) -> PaymentId {
    let charge = charge(ctx, "ada", "one").await;
    let payment = pay(ctx, &charge, method).await.id;
    let of_payment = |intent: &Value| intent["metadata"]["payment"] == json!(payment.to_string());
    let intent = provider.intents().into_iter().find(of_payment).expect("it was asked for");
    receive_webhook::handle(ctx, &webhook(&intent)).await.expect("paid");
    let undo = testkit::step(reverse_charge::Command { bundle: bundle("one") });
    reverse_charge::handle(ctx, &undo).await.expect("taken back");
    payment
}

pub fn webhook_of(body: String) -> Call<Raw> {
    let signed_at_s = testkit::now().as_second();
    let signature = testkit::webhook_signature(WEBHOOK_SECRET, signed_at_s, &body);
    let headers = [("stripe-signature".to_owned(), signature)].into();
    Call { caller: None, idempotency_key: None, ..testkit::call(Raw { headers, body }) }
}

pub async fn invoice(ctx: &Ctx, charge: &charge::Reply) -> Invoice {
    let invoice = ctx.table.get(&store::invoice_key(charge.invoice)).await.expect("reads");
    invoice.expect("the invoice stands").value
}

pub async fn account(ctx: &Ctx, student: &str) -> StudentAccount {
    let student = testkit::person(student);
    let key = store::account_key(student, francs(0).currency);
    let account = ctx.table.get(&key).await.expect("reads");
    account.map_or_else(|| StudentAccount::empty(student, francs(0).currency), |a| a.value)
}

pub async fn unapplied_cash(ctx: &Ctx, student: &str) -> i64 {
    account(ctx, student).await.unapplied_cash().minor
}

/// Money over the counter, for nothing in particular.
pub async fn give(ctx: &Ctx, student: &str, minor: i64) -> Payment {
    give_at(ctx, student, minor, testkit::now()).await
}

pub async fn give_at(ctx: &Ctx, student: &str, minor: i64, now: kernel::Timestamp) -> Payment {
    let student = testkit::person(student);
    let currency = francs(0).currency;
    let wanted = Wanted { now, series: &[], invoices: &[] };
    let mut books = Bookkeeping::open(ctx, student, currency, wanted).await.expect("reads");
    let mut payment = Payment {
        id: Id::derived_from(&format!("{:x}", fastrand::u128(..))),
        invoice: None,
        student,
        amount: francs(minor),
        channel: Channel::Cash,
        payment_method: "cash".into(),
        phone: None,
        only: Vec::new(),
        state: PaymentState::Initiated,
        provider_ref: None,
        initiated_at: now,
        concluded_at: None,
        failure_reason: None,
        refunded: francs(0),
        charged_back: 0,
    };
    let booking = books.booking_today(now);
    let turn = receive(&mut payment, None, &mut books.account.value, booking);
    let turn = turn.expect("receives").expect("for the first time");
    books.take_over(&turn).await.expect("reads");
    let mut transaction = ctx.table.transaction();
    let cause = Cause { now, correlation_id: "test" };
    books.write(&mut transaction, &[turn], cause);
    transaction.create(&payment);
    transaction.commit().await.expect("cash is given");
    payment
}

/// Every entry of the day on which tests happen, and of the one to which some date things back.
pub async fn journal(ctx: &Ctx) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    for day in ["2026-12-30", "2027-01-15"] {
        let day = store::journal_of(day.parse().expect("a date"));
        let page = PageRequest { after: None, limit: 100 };
        let page = ctx.table.query::<JournalEntry>(&day, &page).await.expect("reads");
        entries.extend(page.records.into_iter().map(|entry| entry.value));
    }
    entries
}

/// Checks the law that no write may break, and answers the number of entries.
pub async fn check_ledger(ctx: &Ctx) -> usize {
    let entries = journal(ctx).await;
    for currency in ["XAF", "EUR"] {
        let lines = entries.iter().flat_map(JournalEntry::lines);
        let of_currency = lines.filter(|line| line.amount.currency.code() == currency);
        assert_eq!(of_currency.map(|line| line.amount.minor).sum::<i64>(), 0);
    }
    entries.len()
}

/// Who sets what another has set since they read it is told so, and who repeats what they have set is not.
pub async fn replaces_only_what_was_read<C: Clone, R: std::fmt::Debug>(
    handle: impl AsyncFn(&Ctx, &Call<C>) -> Result<R, Failure>,
    [before, after]: [C; 2],
) {
    let test = testkit::TestTable::new().await;
    let ctx = ctx(&test.table);
    let set = async |command: &C, read| {
        let call = Call { if_match: Some(read), ..testkit::call(command.clone()) };
        handle(&ctx, &call).await
    };
    set(&before, 0).await.expect("there was nothing");
    assert_eq!(code(set(&after, 0).await), "PRECONDITION_FAILED");
    set(&before, 0).await.expect("its reply was lost, and it has had its effect");
    set(&after, 1).await.expect("it is as it was read");
}

pub async fn count(ctx: &Ctx, event: &str) -> usize {
    testkit::published(&ctx.table).await.iter().filter(|sent| sent.name == event).count()
}

/// The context, talking to these Step Functions.
pub fn with_step_functions(ctx: &Ctx, machine: &StepFunctions, engine: &Engine) -> Ctx {
    let client = aws_sdk_sfn::Client::new(&machine.sdk_config(engine));
    Ctx { step_functions: client.into(), ..ctx.clone() }
}

pub fn wait_step(
    name: &str,
    task_token: &str,
) -> Step<crate::operations::await_settlement::Command> {
    let task_token = task_token.to_owned();
    testkit::step(crate::operations::await_settlement::Command {
        bundle: bundle(name),
        attempt: 1,
        task_token,
    })
}

/// The registration of a bundle was dropped.
pub fn dropped(student: &str, name: &str, number: u32) -> shell::Delivery {
    let event = events::RegistrationDropped {
        registration: registration(name, number),
        bundle: bundle(name),
        student: testkit::person(student),
        term: TermId::derived_from("2027S"),
        dropped_at: testkit::now(),
        ..events::Event::example()
    };
    testkit::delivery("on-registration-dropped", event)
}

/// A place for webhooks: its address, and what comes there.
pub async fn mailbox() -> (String, tokio::sync::mpsc::UnboundedReceiver<Raw>) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let take = async move |headers: axum::http::HeaderMap, body: String| {
        let texts = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
        let headers =
            texts.map(|(name, value)| (name.as_str().to_owned(), value.to_owned())).collect();
        sender.send(Raw { headers, body }).expect("the test waits");
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
    let router = Router::new().fallback(take);
    tokio::spawn(async { axum::serve(listener, router).await.expect("serves") });
    (url, receiver)
}

/// The context, with the files of receipts in S3 at this address.
pub fn with_receipts(ctx: Ctx, url: &str) -> Ctx {
    let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "test");
    let region = "eu-west-1".to_owned();
    let config = shell::aws::sdk_config_for(credentials, region, Some(url.to_owned()));
    Ctx { receipts: Arc::new(Bucket::at(&config, "receipts")), ..ctx }
}

/// An S3 where this lies under whatever name it is asked for.
pub async fn receipts_holding(content: &[u8]) -> String {
    let content = content.to_vec();
    let router = Router::new().fallback(async move || content.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("the listener is bound"));
    tokio::spawn(async { axum::serve(listener, router).await.expect("serves") });
    url
}
