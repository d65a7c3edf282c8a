// Identity: who somebody is, and what they may do.
import { Duration } from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, issuer, reads, rotates, secondFactorPolicy, secret, timeZone, tokens, writes } from "./permissions.ts";

export function identity(scope: Construct, shared: Shared): { context: Context; authorizer: IFunction } {
  const context = new Context(scope, "identity", shared);
  const refresh = secret("IDENTITY_SECRET");
  const links = secret("VERIFICATION_SECRET");
  const secondFactors = secret("SECOND_FACTOR_SECRET");
  const hashes = { memoryMb: 512 }; // Argon2id takes memory.
  // HTTP
  const authorizer = context.authorizer("authorize", [reads, tokens, secondFactorPolicy]);
  context.openHttp("register-account", "POST /accounts", [writes]);
  context.openHttp("verify-email", "POST /accounts/{account}/verification", [writes, links, timeZone]);
  context.openHttp("log-in", "POST /sessions", [writes, tokens, refresh, secondFactors, secondFactorPolicy], hashes);
  context.openHttp("refresh-session", "POST /sessions/refresh", [writes, tokens, refresh]);
  context.http("log-out", "DELETE /sessions/current", [writes]);
  context.http("list-sessions", "GET /me/sessions", [reads, cursors]);
  context.http("end-session", "DELETE /me/sessions/{session}", [writes]);
  context.http("end-sessions", "DELETE /me/sessions", [writes]);
  context.http("change-password", "PUT /me/password", [writes], hashes);
  context.openHttp("request-password-reset", "POST /password-resets", [writes]);
  context.openHttp("reset-password", "POST /accounts/{account}/password", [writes, links], hashes);
  context.http("enroll-second-factor", "POST /me/second-factor", [writes, secondFactors], hashes);
  context.http("confirm-second-factor", "PUT /me/second-factor", [writes, secondFactors]);
  context.http("remove-second-factor", "POST /me/second-factor/removal", [writes], hashes);
  context.http("reset-second-factor", "POST /people/{person}/second-factor/reset", [writes]);
  context.http("read-roles", "GET /people/{person}/roles", [reads]);
  context.http("end-role", "DELETE /people/{person}/roles/{assignment}", [writes]);
  context.http("invite-person", "POST /invitations", [writes, timeZone]);
  context.openHttp("accept-invitation", "POST /accounts/{account}/invitation", [writes, links, timeZone], hashes);
  context.openHttp("read-keys", "GET /.well-known/jwks.json", [tokens]);
  context.openHttp("read-configuration", "GET /.well-known/openid-configuration", [issuer]);
  context.http("read-profile", "GET /me", [reads, timeZone]);
  context.http("edit-profile", "PATCH /me", [writes, timeZone]);
  context.http("assign-role", "POST /role-assignments", [writes]);
  context.http("register-person", "POST /people", [writes, timeZone]);
  context.http("list-people", "GET /people", [reads, cursors, timeZone]);
  context.http("read-person", "GET /people/{person}", [reads, timeZone]);
  context.http("edit-person", "PATCH /people/{person}", [writes, timeZone]);
  context.http("change-legal-name", "POST /people/{person}/legal-names", [writes, timeZone]);
  context.http("add-external-id", "POST /people/{person}/external-ids", [writes, timeZone]);
  context.http("remove-external-id", "DELETE /people/{person}/external-ids", [writes, timeZone]);
  context.http("search-directory", "GET /directory", [reads, cursors, timeZone]);
  context.http("list-duplicates", "GET /people/duplicates", [reads, cursors, timeZone]);
  context.http("dismiss-duplicate", "POST /people/duplicates/dismissals", [writes]);
  // Steps
  context.step("bootstrap-administrator", [writes]);
  context.step("import-people", [writes, timeZone]);
  // Schedules
  context.schedule("begin-legal-names", Duration.hours(1), [writes, timeZone]);
  context.schedule("rotate-signing-keys", Duration.days(1), [rotates("SIGNING_SECRET")]);
  return { context, authorizer };
}
