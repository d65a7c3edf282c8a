// Billing: prices, charges, invoices, and payments through the provider.
import { Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { answers, callsPaymentProvider, cursors, reads, secret, writes } from "./permissions.ts";

export function billing(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "billing", shared);
  // HTTP
  context.http("set-price-group", "PUT /price-groups/{price_group}", [writes]);
  context.http("list-price-groups", "GET /price-groups", [reads, cursors]);
  context.http("list-invoices", "GET /invoices", [reads, cursors]);
  context.http("read-invoice", "GET /invoices/{invoice}", [reads]);
  context.http("start-payment", "POST /payments", [writes, callsPaymentProvider]);
  context.http("read-payment", "GET /payments/{payment}", [reads]);
  context.openHttp("receive-webhook", "POST /webhooks/payments", [writes, secret("PAYMENT_WEBHOOK_SECRET")]);
  context.http("list-suspense-items", "GET /suspense-items", [reads, cursors]);
  // Events
  context.events("on-charge-settled", ["billing.charge.settled"], [reads, answers("enrollment")]);
  context.events("on-registration-dropped", ["enrollment.registration.dropped"], [writes]);
  // Steps
  context.step("charge", [writes]);
  context.step("reverse-charge", [writes]);
  context.step("await-settlement", [writes, answers("enrollment")]);
  // Schedules
  context.schedule("query-pending-payments", Duration.minutes(1), [writes, callsPaymentProvider]);
  return context;
}
