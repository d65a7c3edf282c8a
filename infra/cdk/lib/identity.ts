// Identity: who somebody is, and what they may do.
import { Duration } from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { issuer, reads, rotates, secret, tokens, writes } from "./permissions.ts";

export function identity(scope: Construct, shared: Shared): { context: Context; authorizer: IFunction } {
  const context = new Context(scope, "identity", shared);
  const refresh = secret("IDENTITY_SECRET");
  // HTTP
  const authorizer = context.authorizer("authorize", [reads, tokens]);
  context.openHttp("register-account", "POST /accounts", [writes]);
  context.openHttp("verify-email", "POST /accounts/{account}/verification", [writes, secret("VERIFICATION_SECRET")]);
  context.openHttp("log-in", "POST /sessions", [writes, tokens, refresh], { memoryMb: 512 }); // Argon2id takes memory.
  context.openHttp("refresh-session", "POST /sessions/refresh", [writes, tokens, refresh]);
  context.http("log-out", "DELETE /sessions/current", [writes]);
  context.http("end-sessions", "DELETE /sessions", [writes]);
  context.openHttp("read-keys", "GET /.well-known/jwks.json", [tokens]);
  context.openHttp("read-configuration", "GET /.well-known/openid-configuration", [issuer]);
  context.http("read-profile", "GET /me", [reads]);
  context.http("edit-profile", "PATCH /me", [writes]);
  context.http("assign-role", "POST /role-assignments", [writes]);
  // Steps
  context.step("bootstrap-administrator", [writes]);
  context.step("import-people", [writes]);
  // Schedules
  context.schedule("rotate-signing-keys", Duration.days(1), [rotates("SIGNING_SECRET")]);
  return { context, authorizer };
}
