// Catalog: terms, the calendar, programs, courses and their sections.
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, reads, writes } from "./permissions.ts";

export function catalog(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "catalog", shared);
  // HTTP
  context.http("create-term", "POST /terms", [writes]);
  context.http("list-terms", "GET /terms", [reads, cursors]);
  context.http("read-term", "GET /terms/{term}", [reads]);
  context.http("edit-term", "PATCH /terms/{term}", [writes]);
  context.http("move-term", "POST /terms/{term}/state", [writes]);
  context.http("read-calendar", "GET /calendar", [reads]);
  context.http("edit-calendar", "PATCH /calendar", [writes]);
  context.http("create-program", "POST /programs", [writes]);
  context.http("list-programs", "GET /programs", [reads, cursors]);
  context.http("read-program", "GET /programs/{program}", [reads]);
  context.http("edit-program", "PATCH /programs/{program}", [writes]);
  context.http("create-course", "POST /courses", [writes]);
  context.http("list-courses", "GET /courses", [reads, cursors]);
  context.http("read-course", "GET /courses/{course}", [reads]);
  context.http("edit-course", "PATCH /courses/{course}", [writes]);
  context.http("retire-course", "POST /courses/{course}/retirement", [writes]);
  context.http("create-section", "POST /sections", [writes]);
  context.http("list-sections", "GET /sections", [reads, cursors]);
  context.http("read-section", "GET /sections/{section}", [reads]);
  context.http("edit-section", "PATCH /sections/{section}", [writes]);
  context.http("move-section", "POST /sections/{section}/state", [writes]);
  context.http("cancel-section", "POST /sections/{section}/cancellation", [writes]);
  context.http("read-clashes", "GET /sections/{section}/clashes", [reads]);
  context.http("create-registration-group", "POST /registration-groups", [writes]);
  context.http("list-registration-groups", "GET /registration-groups", [reads, cursors]);
  context.http("cancel-registration-group", "POST /registration-groups/{group}/cancellation", [writes]);
  context.http("create-cross-list", "POST /cross-lists", [writes]);
  context.http("list-cross-lists", "GET /cross-lists", [reads, cursors]);
  context.http("edit-cross-list", "PATCH /cross-lists/{cross_list}", [writes]);
  context.http("create-rollover", "POST /rollovers", [writes]);
  context.http("read-rollover", "GET /rollovers/{rollover}", [reads]);
  context.http("start-rollover", "POST /rollovers/{rollover}/start", [writes]);
  // Events
  context.events("on-rollover-advanced", ["catalog.rollover.advanced"], [writes]);
  // Steps
  context.step("import-catalog", [writes]);
  return context;
}
