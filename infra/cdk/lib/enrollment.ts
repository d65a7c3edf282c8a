// Enrollment: submissions, seats, registrations, approvals, and the saga that ties them to billing.
import { Duration } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { answers, cursors, describes, issuer, notes, reads, starts, timeOuts, timeZone, writes } from "./permissions.ts";

export function enrollment(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "enrollment", shared);
  // HTTP
  context.http("submit", "POST /submissions", [writes, timeZone]);
  context.http("read-submission", "GET /submissions/{submission}", [reads]);
  context.http("list-registrations", "GET /registrations", [reads, cursors, timeZone]);
  context.http("read-registration", "GET /registrations/{registration}", [reads, timeZone]);
  context.http("drop-registration", "POST /registrations/{registration}/drop", [writes, timeZone]);
  context.http("withdraw-registration", "POST /registrations/{registration}/withdrawal", [writes, timeZone]);
  context.http("start-term-withdrawal", "POST /term-withdrawals", [writes, timeZone]);
  context.http("read-term-withdrawal", "GET /term-withdrawals/{withdrawal}", [reads]);
  context.http("list-approvals", "GET /approvals", [reads, cursors]);
  context.http("decide-approval", "POST /approvals/{approval}/decision", [writes]);
  context.http("list-parked-bundles", "GET /parked-bundles", [reads, cursors]);
  context.http("resume-bundle", "POST /parked-bundles/{bundle}/resume", [writes]);
  context.http("place-hold", "POST /students/{student}/holds", [writes]);
  context.http("list-holds", "GET /students/{student}/holds", [reads, cursors]);
  context.http("lift-hold", "POST /students/{student}/holds/{hold}/lifting", [writes]);
  context.http("name-deputy", "PUT /departments/{department}/deputies/{person}", [writes]);
  context.http("list-deputies", "GET /departments/{department}/deputies", [reads, cursors]);
  context.http("set-cart", "PUT /carts/{term}", [writes]);
  context.http("read-cart", "GET /carts/{term}", [reads]);
  context.http("list-seat-differences", "GET /seat-differences", [reads, cursors]);
  context.http("repair-seats", "POST /sections/{section}/seat-repair", [writes]);
  context.http("list-census-entries", "GET /terms/{term}/census", [reads, cursors]);
  context.http("set-registration-policy", "PUT /registration-policy", [writes]);
  context.http("read-registration-policy", "GET /registration-policy", [reads]);
  context.http("set-student-record", "PUT /students/{student}/record", [writes]);
  context.http("read-student-record", "GET /students/{student}/record", [reads]);
  context.http("validate-submission", "POST /submissions/validation", [reads, timeZone]);
  context.http("swap-registration", "POST /registrations/{registration}/swap", [writes, timeZone]);
  context.http("give-override", "POST /students/{student}/overrides", [writes]);
  context.http("list-overrides", "GET /students/{student}/overrides", [reads, cursors]);
  context.http("revoke-override", "POST /students/{student}/overrides/{override}/revocation", [writes]);
  context.http("join-waitlist", "POST /waitlist-entries", [writes, timeZone]);
  context.http("list-waitlist-entries", "GET /waitlist-entries", [reads, cursors]);
  context.http("list-waitlist", "GET /waitlists/{section}", [reads, cursors]);
  context.http("leave-waitlist", "POST /waitlist-entries/{entry}/leaving", [writes]);
  context.http("accept-offer", "POST /waitlist-entries/{entry}/acceptance", [writes, timeZone]);
  context.http("offer-seat", "POST /waitlist-entries/{entry}/offer", [writes, timeZone]);
  context.http("read-schedule", "GET /schedules/{term}", [reads, timeZone]);
  context.http("issue-schedule-feed", "POST /schedule-feed", [writes, issuer]);
  context.http("revoke-schedule-feed", "DELETE /schedule-feed", [writes]);
  context.openHttp("read-schedule-feed", "GET /schedule-feeds/{secret}/schedule.ics", [reads, timeZone]);
  context.http("list-audit-entries", "GET /enrollment-audit-trail", [notes, cursors]);
  // Events
  context.events("on-section-offered", ["catalog.section.offered"], [writes, timeZone]);
  context.events("on-section-withdrawn", ["catalog.section.suspended", "catalog.section.cancelled"], [writes, timeZone]);
  context.events("on-registration-group-changed", ["catalog.registration-group.changed"], [writes]);
  context.events("on-seat-freed", ["enrollment.seat.freed"], [writes, timeZone]);
  context.events("on-clearance-advanced", ["enrollment.clearance.advanced"], [writes]);
  context.events("on-term-withdrawal-advanced", ["enrollment.term-withdrawal.advanced"], [writes]);
  context.events("on-grade-posted", ["grades.grade.posted"], [writes, timeZone]);
  context.events(
    "on-registration-given-up",
    ["enrollment.registration.dropped", "enrollment.registration.withdrawn", "enrollment.registration.released"],
    [writes, timeZone],
  );
  context.events("on-course-changed", ["catalog.course.changed"], [writes]);
  context.events("on-course-update-advanced", ["enrollment.course-update.advanced"], [writes]);
  context.events("on-balance-hold-changed", ["billing.hold.placed", "billing.hold.lifted"], [writes]);
  context.events("on-term-changed", ["catalog.term.changed"], [writes]);
  context.events("on-calendar-changed", ["catalog.calendar.changed"], [writes]);
  context.events("on-saga-requested", ["enrollment.saga.requested"], [reads, starts("enrollment"), timeOuts], { concurrency: 5 });
  context.events("on-approval-decided", ["enrollment.approval.decided"], [reads, answers("enrollment")]);
  // Steps
  context.step("await-approval", [writes, answers("enrollment")]);
  context.step("record-charge", [writes]);
  context.step("confirm", [writes]);
  context.step("begin-undo", [writes]);
  context.step("release-seats", [writes]);
  context.step("park", [writes]);
  context.step("close", [writes]);
  context.step("import-history", [writes, timeZone]);
  context.step("prove-audit-trail", [reads]);
  // Schedules
  context.schedule("reconcile-sagas", Duration.minutes(5), [writes, describes("enrollment")], { timeoutS: 300 });
  context.schedule("reconcile-seats", Duration.days(1), [writes], { timeoutS: 900 });
  context.schedule("take-censuses", Duration.hours(1), [writes, timeZone], { timeoutS: 300 });
  context.schedule("sweep-broken-prerequisites", Duration.hours(1), [writes, timeZone], { timeoutS: 60 });
  context.schedule("sweep-waitlists", Duration.minutes(1), [writes, timeZone], { timeoutS: 60 });
  context.schedule("watch-audit-trail", Duration.minutes(1), [notes]);
  return context;
}
