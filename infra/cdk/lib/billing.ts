// Billing: prices, charges, invoices, and payments through the provider.
import { Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import {
  answers, callsMobileMoney, callsPaymentProvider, cursors, getsReceipts, institution, notes, putsReceipts, reads, secret, writes,
} from "./permissions.ts";
import { receipts } from "./storage.ts";

export function billing(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "billing", shared);
  const files = receipts(context, shared.settings);
  // HTTP
  context.http("set-price-group", "PUT /price-groups/{price_group}", [writes]);
  context.http("list-price-groups", "GET /price-groups", [reads, cursors]);
  context.http("list-invoices", "GET /invoices", [reads, cursors]);
  context.http("read-invoice", "GET /invoices/{invoice}", [reads]);
  context.http("read-invoice-document", "GET /invoices/{invoice}/document", [reads, institution]);
  context.http("read-statement-document", "GET /statement", [reads, institution]);
  context.http("start-payment", "POST /payments", [writes, callsPaymentProvider, callsMobileMoney]);
  context.http("read-payment", "GET /payments/{payment}", [reads]);
  context.openHttp("receive-webhook", "POST /webhooks/payments", [writes, institution, callsPaymentProvider, secret("PAYMENT_WEBHOOK_SECRET")]);
  context.openHttp("receive-mobile-money-callback", "POST /webhooks/mobile-money", [writes, institution, callsMobileMoney]);
  context.http("list-suspense-items", "GET /suspense-items", [reads, cursors]);
  context.http("record-payment", "POST /counter-payments", [writes, institution]);
  context.http("reallocate-payment", "POST /payments/{payment}/reallocation", [writes, institution]);
  context.http("close-posting-period", "POST /posting-periods/{period}/closing", [writes]);
  context.http("reopen-posting-period", "POST /posting-periods/{period}/reopening", [writes]);
  context.http("read-posting-periods", "GET /posting-periods", [reads]);
  context.http("start-ledger-proof", "POST /ledger-proofs", [writes, institution]);
  context.http("read-ledger-proof", "GET /ledger-proofs/latest", [reads]);
  context.http("set-tuition", "PUT /terms/{term}/tuition", [writes]);
  context.http("read-tuition", "GET /terms/{term}/tuition", [reads]);
  context.http("set-student-population", "PUT /students/{student}/population", [writes]);
  context.http("read-student-population", "GET /students/{student}/population", [reads]);
  context.http("preview-tuition", "POST /tuition-previews", [reads, institution]);
  context.http("start-tuition-run", "POST /tuition-runs", [writes]);
  context.http("read-tuition-run", "GET /tuition-runs/{tuition_run}", [reads]);
  context.http("read-account", "GET /account", [reads, institution]);
  context.http("refund-payment", "POST /payments/{payment}/refunds", [writes, institution, callsPaymentProvider]);
  context.http("assign-suspense-item", "POST /suspense-items/{suspense_item}/assignment", [writes, institution]);
  context.http("return-suspense-item", "POST /suspense-items/{suspense_item}/return", [writes, institution, callsPaymentProvider]);
  context.http("request-adjustment", "POST /adjustments", [writes, institution]);
  context.http("decide-adjustment", "POST /adjustments/{adjustment}/decision", [writes, institution]);
  context.http("list-adjustments", "GET /adjustments", [reads, cursors]);
  context.http("set-policy", "PUT /billing-policy", [writes]);
  context.http("read-policy", "GET /billing-policy", [reads]);
  context.http("list-refunds", "GET /payments/{payment}/refunds", [reads, cursors]);
  context.http("list-disputes", "GET /disputes", [reads, cursors]);
  context.http("list-audit-entries", "GET /billing-audit-trail", [notes, cursors]);
  context.http("list-balances", "GET /balances", [reads, institution, cursors]);
  context.http("list-takings", "GET /takings", [reads, institution, cursors]);
  context.http("list-register", "GET /invoice-register", [reads, institution, cursors]);
  context.http("set-plan-offer", "PUT /plan-offers/{plan_offer}", [writes]);
  context.http("list-plan-offers", "GET /plan-offers", [reads, cursors]);
  context.http("begin-payment-plan", "POST /payment-plans", [writes, institution]);
  context.http("read-payment-plans", "GET /payment-plans", [reads]);
  context.http("cancel-payment-plan", "POST /payment-plans/{payment_plan}/cancellation", [writes, institution]);
  context.http("defer-invoice", "POST /invoices/{invoice}/deferral", [writes, institution]);
  context.http("preview-dunning", "GET /dunning-preview", [reads, institution, cursors]);
  context.http("reconcile-provider", "POST /reconciliations", [reads]);
  context.http("submit-receipt", "POST /receipts", [writes, institution]);
  context.http("list-receipts", "GET /receipts", [reads, cursors]);
  context.http("attach-receipt-file", "POST /receipts/{receipt}/file", [writes, putsReceipts(files)]);
  context.http("read-receipt-file", "GET /receipts/{receipt}/file", [reads, getsReceipts(files)]);
  context.http("decide-receipt", "POST /receipts/{receipt}/decision", [writes, institution]);
  context.http("set-sponsor-contract", "PUT /sponsor-contracts/{sponsor_contract}", [writes]);
  context.http("list-sponsor-contracts", "GET /sponsor-contracts", [reads, cursors]);
  context.http("sponsor-student", "PUT /sponsor-contracts/{sponsor_contract}/students/{student}", [writes, institution]);
  context.http("list-sponsored-invoices", "GET /sponsor-contracts/{sponsor_contract}/statement", [reads, cursors]);
  context.http("record-sponsor-payment", "POST /sponsor-contracts/{sponsor_contract}/payments", [writes, institution]);
  context.http("return-sponsored-invoice", "POST /sponsor-contracts/{sponsor_contract}/invoices/{invoice}/return", [writes, institution]);
  // Events
  context.events("on-charge-settled", ["billing.charge.settled", "billing.charge.secured"], [reads, answers("enrollment")]);
  context.events("on-withdrawn", ["enrollment.registration.withdrawn", "enrollment.term.withdrawn"], [writes, institution]);
  context.events("on-registration-dropped", ["enrollment.registration.dropped"], [writes, institution]);
  context.events("on-charge-changed", ["billing.charge.posted", "billing.charge.reversed"], [writes, institution]);
  context.events("on-account-unfinished", ["billing.account.unfinished"], [writes, institution]);
  context.events("on-person-changed", ["identity.person.registered", "identity.person.changed"], [writes]);
  context.events("on-section-offered", ["catalog.section.offered"], [writes]);
  // Steps
  context.step("charge", [writes, institution]);
  context.step("reverse-charge", [writes, institution]);
  context.step("await-settlement", [writes, institution, answers("enrollment")]);
  context.step("prove-audit-trail", [reads]);
  // Schedules
  context.schedule("query-pending-payments", Duration.minutes(1), [writes, institution, callsPaymentProvider, callsMobileMoney]);
  context.schedule("query-pending-refunds", Duration.minutes(5), [writes, institution, callsPaymentProvider]);
  context.schedule("watch-balances", Duration.minutes(10), [writes, institution]);
  context.schedule("watch-sponsors", Duration.minutes(10), [writes, institution]);
  context.schedule("prove-ledger", Duration.minutes(5), [writes, institution]);
  context.schedule("continue-tuition-runs", Duration.minutes(1), [writes, institution]);
  context.schedule("watch-audit-trail", Duration.minutes(1), [notes]);
  return context;
}
