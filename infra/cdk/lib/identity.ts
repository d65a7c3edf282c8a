// Identity: who somebody is, and what they may do.
import { Duration, Stack } from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, issuer, notes, type Permission, reads, rotates, secondFactorPolicy, secret, selfRegistration, timeZone, tokens, writes } from "./permissions.ts";

export function identity(scope: Construct, shared: Shared): { context: Context; authorizer: IFunction } {
  const context = new Context(scope, "identity", shared);
  const refresh = secret("IDENTITY_SECRET");
  const links = secret("VERIFICATION_SECRET");
  const secondFactors = secret("SECOND_FACTOR_SECRET");
  const hashes = { memoryMb: 512 }; // Argon2id takes memory.
  // HTTP
  const authorizer = context.authorizer("authorize", [reads, tokens, secondFactorPolicy]);
  context.openHttp("register-account", "POST /accounts", [writes]);
  context.openHttp("verify-email", "POST /accounts/{account}/verification", [writes, links, timeZone, selfRegistration]);
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
  context.http("end-sessions-of-person", "POST /people/{person}/sessions/end", [writes]);
  context.http("read-roles", "GET /people/{person}/roles", [notes]);
  context.http("end-role", "DELETE /people/{person}/roles/{assignment}", [writes]);
  context.http("invite-person", "POST /invitations", [writes, timeZone]);
  context.openHttp("accept-invitation", "POST /accounts/{account}/invitation", [writes, links, timeZone], hashes);
  context.openHttp("read-keys", "GET /.well-known/jwks.json", [tokens]);
  context.openHttp("read-configuration", "GET /.well-known/openid-configuration", [issuer]);
  context.http("read-profile", "GET /me", [reads, timeZone]);
  context.http("edit-profile", "PATCH /me", [writes, timeZone]);
  context.http("assign-role", "POST /role-assignments", [writes]);
  context.http("create-service-client", "POST /service-clients", [writes]);
  context.http("list-service-clients", "GET /service-clients", [reads, cursors]);
  context.http("read-service-client", "GET /service-clients/{client}", [reads]);
  context.http("edit-service-client", "PATCH /service-clients/{client}", [writes]);
  context.http("rotate-client-secret", "POST /service-clients/{client}/secrets", [writes]);
  context.http("end-service-client", "DELETE /service-clients/{client}", [writes]);
  context.openHttp("issue-client-token", "POST /oauth/token", [writes, tokens]);
  context.http("set-sign-in-provider", "PUT /sign-in-providers/{provider}", [writes]);
  context.http("read-sign-in-provider", "GET /sign-in-providers/{provider}", [reads]);
  context.openHttp("list-sign-in-providers", "GET /sign-in-providers", [reads, cursors]);
  context.openHttp("begin-sign-in", "POST /sign-ins", [writes, returns]);
  context.openHttp("complete-sign-in", "POST /sign-ins/{sign_in}/completion", [
    writes, tokens, refresh, secondFactors, secondFactorPolicy, returns, readsClientSecrets, timeZone,
  ]);
  context.http("read-audit-trail", "GET /people/{person}/audit-trail", [notes, cursors]);
  context.http("list-audit-entries", "GET /audit-trail", [notes, cursors]);
  context.http("register-person", "POST /people", [writes, timeZone]);
  context.http("list-people", "GET /people", [notes, cursors, timeZone]);
  context.http("read-person", "GET /people/{person}", [notes, timeZone]);
  context.http("edit-person", "PATCH /people/{person}", [writes, timeZone]);
  context.http("change-legal-name", "POST /people/{person}/legal-names", [writes, timeZone]);
  context.http("add-external-id", "POST /people/{person}/external-ids", [writes, timeZone]);
  context.http("remove-external-id", "DELETE /people/{person}/external-ids", [writes, timeZone]);
  context.http("search-directory", "GET /directory", [reads, cursors, timeZone]);
  context.http("list-duplicates", "GET /people/duplicates", [notes, cursors, timeZone]);
  context.http("dismiss-duplicate", "POST /people/duplicates/dismissals", [writes]);
  // Steps
  context.step("bootstrap-administrator", [writes]);
  context.step("prove-audit-trail", [reads]);
  context.step("import-people", [writes, timeZone]);
  // Schedules
  context.schedule("begin-and-end-roles", Duration.minutes(5), [writes]);
  context.schedule("begin-legal-names", Duration.hours(1), [writes, timeZone]);
  context.schedule("rotate-signing-keys", Duration.days(1), [rotates("SIGNING_SECRET")]);
  context.schedule("watch-audit-trail", Duration.minutes(1), [notes]);
  return { context, authorizer };
}

/** Knows where a sign-in provider sends the browser back to. */
const returns: Permission = ({ shared: { settings } }) => ({
  environment: { SIGN_IN_REDIRECT_URI: `${settings.portalUrl.replace(/\/+$/, "")}/sign-in` },
});

/** Reads what sign-in providers have given us, and no other secret. An operator adds one for each provider. */
const readsClientSecrets: Permission = (context) => {
  const name = `matricula/${context.shared.settings.stage}/sign-in`;
  return {
    statements: [
      {
        actions: ["secretsmanager:GetSecretValue"],
        resources: [Stack.of(context).formatArn({ service: "secretsmanager", resource: `secret:${name}/*` })],
        because: "Providers are added while Matricula runs: their secrets are not known here.",
      },
    ],
    environment: { SIGN_IN_SECRETS: name },
  };
};
