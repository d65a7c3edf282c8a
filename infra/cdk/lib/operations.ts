// Operations: what keeps the rest running: publishing, health, the API's own pages, and imports of whole universities.
import { Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import {
  answers, cursors, deletesOutboxItems, getsImports, publishesTo, putsEvents, putsImports, queriesOutboxItems, reads, starts, writes,
} from "./permissions.ts";
import { type Buckets, buckets } from "./storage.ts";

export function operations(scope: Construct, shared: Shared, others: Context[]): { context: Context; buckets: Buckets } {
  const context = new Context(scope, "operations", shared);
  const files = buckets(context, shared.settings);
  const tables = [...others, context].map(({ table }) => table);
  const publishes = publishesTo(shared.events.bus);
  // HTTP
  context.openHttp("health", "GET /healthz", []);
  context.openHttp("readiness", "GET /readyz", [reads]);
  context.openHttp("openapi", "GET /openapi.json", []);
  context.openHttp("api-page", "GET /docs", []);
  context.openHttp("not-found", "$default", []);
  context.http("create-import", "POST /imports", [writes, putsImports(files.imports)]);
  context.http("read-import", "GET /imports/{import}", [reads]);
  context.http("list-import-report", "GET /imports/{import}/report", [reads, cursors]);
  context.http("start-import", "POST /imports/{import}/validation", [writes, starts("import")]);
  context.http("approve-import", "POST /imports/{import}/approval", [writes, answers("import")]);
  // Streams
  context.outboxes("publish", tables, [publishes, deletesOutboxItems(tables)]);
  // Events
  context.everyEvent("archive-events", [putsEvents(files.events)]);
  // Steps
  context.step("validate-import", [writes, getsImports(files.imports), putsImports(files.imports)], { memoryMb: 512, timeoutS: 900 });
  context.step("await-import-approval", [writes]);
  context.step("read-import-chunk", [reads, getsImports(files.imports)]);
  context.step("record-import-chunk", [writes]);
  context.step("finish-import", [writes]);
  // Schedules
  context.schedule("sweep-outbox", Duration.minutes(1), [publishes, queriesOutboxItems(tables), deletesOutboxItems(tables)]);
  return { context, buckets: files };
}
