// Catalog: terms, courses and their sections.
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, reads, writes } from "./permissions.ts";

export function catalog(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "catalog", shared);
  // HTTP
  context.http("create-term", "POST /terms", [writes]);
  context.http("list-terms", "GET /terms", [reads, cursors]);
  context.http("read-term", "GET /terms/{term}", [reads]);
  context.http("create-course", "POST /courses", [writes]);
  context.http("list-courses", "GET /courses", [reads, cursors]);
  context.http("read-course", "GET /courses/{course}", [reads]);
  context.http("create-section", "POST /sections", [writes]);
  context.http("list-sections", "GET /sections", [reads, cursors]);
  context.http("read-section", "GET /sections/{section}", [reads]);
  // Steps
  context.step("import-catalog", [writes]);
  return context;
}
