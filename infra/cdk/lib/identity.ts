// Identity: who somebody is, and what they may do.
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { reads, secret, writes } from "./permissions.ts";

export function identity(scope: Construct, shared: Shared): { context: Context; authorizer: IFunction } {
  const context = new Context(scope, "identity", shared);
  const tokens = secret("IDENTITY_SECRET");
  // HTTP
  const authorizer = context.authorizer("authorize", [tokens]);
  context.openHttp("register-account", "POST /accounts", [writes]);
  context.openHttp("verify-email", "POST /accounts/{account}/verification", [writes, secret("VERIFICATION_SECRET")]);
  context.openHttp("log-in", "POST /sessions", [writes, tokens], { memoryMb: 512 }); // Argon2id takes memory.
  context.openHttp("refresh-session", "POST /sessions/refresh", [writes, tokens]);
  context.http("log-out", "DELETE /sessions/current", [writes]);
  context.http("read-profile", "GET /me", [reads]);
  context.http("edit-profile", "PATCH /me", [writes]);
  context.http("assign-role", "POST /role-assignments", [writes]);
  // Steps
  context.step("bootstrap-administrator", [writes]);
  context.step("import-people", [writes]);
  return { context, authorizer };
}
