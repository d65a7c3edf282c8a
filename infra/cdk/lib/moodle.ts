// Moodle: people, courses and enrolments provisioned into the sites, and kept in step.
import { Duration, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, notes, type Permission, reads, timeZone, writes } from "./permissions.ts";

// A run goes on until nothing is due: one wake-up brings a whole registration day into a site. One wake-up at a time, so
// that no site waits behind another.
const RUN = { memoryMb: 512, timeoutS: 300, concurrency: 6, batchSize: 1 };
// The check asks a site up to twenty times.
const CHECK = { timeoutS: 29 };

// What a site tells can wait: it is never let in faster than this.
const HEARD = { concurrency: 2 };

export function moodle(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "moodle", shared);
  // HTTP
  context.http("set-site", "PUT /moodle/sites/{site}", [writes]);
  context.http("list-sites", "GET /moodle/sites", [reads, cursors]);
  context.http("read-site", "GET /moodle/sites/{site}", [reads]);
  context.http("check-site", "POST /moodle/sites/{site}/checks", [reads, readsTokens], CHECK);
  context.http("list-stuck-work", "GET /moodle/sites/{site}/stuck-work", [reads, cursors]);
  context.http("read-accounts", "GET /moodle/people/{person}", [reads]);
  context.http("replay-site", "POST /moodle/sites/{site}/replays", [writes]);
  context.http("start-drift-check", "POST /moodle/sites/{site}/drift-checks", [writes]);
  context.http("read-drift-report", "GET /moodle/sites/{site}/drift-report", [reads]);
  context.http("list-drift", "GET /moodle/sites/{site}/drift", [reads, cursors]);
  context.http("repair-drift", "POST /moodle/sites/{site}/drift-repairs", [writes]);
  context.http("start-reading", "POST /moodle/sites/{site}/readings", [writes]);
  context.http("list-results", "GET /moodle/sections/{section}/results", [reads, cursors]);
  context.openHttp("receive-webhook", "POST /webhooks/moodle/{site}", [writes, readsTokens], HEARD);
  context.http("list-audit-entries", "GET /moodle-audit-trail", [notes, cursors]);
  // Steps
  context.step("prove-audit-trail", [reads]);
  // Events
  context.events("on-person-changed", ["identity.person.registered", "identity.person.changed"], [writes]);
  context.events("on-role-changed", ["identity.role.assigned", "identity.role.ended"], [writes]);
  context.events("on-section-offered", ["catalog.section.offered"], [writes]);
  context.events("on-section-closed", ["catalog.section.suspended", "catalog.section.cancelled"], [writes]);
  context.events("on-registration-changed", ["enrollment.registration.confirmed", "enrollment.registration.dropped", "enrollment.registration.withdrawn"], [writes]);
  context.events("on-registration-group-changed", ["catalog.registration-group.changed"], [writes]);
  context.events("on-charge-changed", ["billing.charge.posted", "billing.charge.settled", "billing.charge.reversed", "billing.plan.begun", "billing.plan.cancelled"], [writes]);
  context.events("on-hold-changed", ["enrollment.hold.placed", "enrollment.hold.lifted"], [writes]);
  context.events("on-work-marked", ["moodle.work.marked"], [writes, readsTokens], RUN);
  // Schedules
  context.schedule("sweep-sites", Duration.minutes(1), [writes]);
  context.schedule("watch-audit-trail", Duration.minutes(1), [notes]);
  context.schedule("start-nightly-checks", Duration.hours(1), [writes, timeZone]);
  return context;
}

/** Reads the web service tokens of the sites, and no other secret. An operator adds one secret for each site. */
const readsTokens: Permission = (context) => {
  const name = `matricula/${context.shared.settings.stage}/moodle`;
  return {
    statements: [
      {
        actions: ["secretsmanager:GetSecretValue"],
        resources: [Stack.of(context).formatArn({ service: "secretsmanager", resource: `secret:${name}/*` })],
        because: "Sites are added while Matricula runs: their tokens' secrets are not known here.",
      },
    ],
    environment: { MOODLE_TOKENS: name },
  };
};
