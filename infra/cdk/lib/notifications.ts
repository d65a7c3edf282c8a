// Notifications: what people are told, and the mail that tells them.
import { Stack } from "aws-cdk-lib";
import { CfnConfigurationSet, CfnEmailIdentity } from "aws-cdk-lib/aws-ses";
import type { Construct } from "constructs";
import { Context, type Shared } from "./context.ts";
import { cursors, type Permission, reads, secret, writes } from "./permissions.ts";

export function notifications(scope: Construct, shared: Shared): Context {
  const context = new Context(scope, "notifications", shared);
  const sendsMail = mail(context, shared);
  // HTTP
  context.http("list-messages", "GET /messages", [reads, cursors]);
  // Events
  context.events("on-person-changed", ["identity.person.registered", "identity.person.changed"], [writes]);
  context.events("on-email-verification-requested", ["identity.email-verification.requested"], [writes]);
  context.events("on-enrollment-news", ["enrollment.waitlist.changed", "enrollment.registration.withdrawn", "enrollment.term.withdrawn", "enrollment.prerequisite.broken"], [writes]);
  context.events("on-registration-dropped", ["enrollment.registration.dropped"], [writes]);
  context.events("on-charge-posted", ["billing.charge.posted"], [writes]);
  context.events("on-dunning-step-taken", ["billing.dunning-step.taken"], [writes]);
  context.events("on-account-alert", [
    "identity.refresh-token.reused", "identity.device.added", "identity.password.changed", "identity.second-factor.confirmed", "identity.second-factor.removed",
    "identity.second-factor.reset", "identity.role.assigned",
  ], [writes]);
  context.events("on-link-requested", ["identity.password-reset.requested", "identity.invitation.sent"], [writes]);
  context.events("on-message-queued", ["notifications.message.queued"], [writes, sendsMail, secret("VERIFICATION_SECRET")]);
  // Steps
  context.step("notify", [writes]);
  return context;
}

function mail(context: Context, { settings }: Shared): Permission {
  const configurationSet = `matricula-${settings.stage}`;
  new CfnConfigurationSet(context, "MailSettings", {
    name: configurationSet,
    deliveryOptions: { tlsPolicy: "REQUIRE" },
    reputationOptions: { reputationMetricsEnabled: true },
    suppressionOptions: { suppressedReasons: ["BOUNCE", "COMPLAINT"] },
  });
  const { senderDomain } = settings;
  new CfnEmailIdentity(context, "Sender", { emailIdentity: senderDomain });
  const arn = (resource: string, resourceName: string) => Stack.of(context).formatArn({ service: "ses", resource, resourceName });
  return () => ({
    statements: [
      { actions: ["ses:SendEmail"], resources: [arn("identity", senderDomain), arn("configuration-set", configurationSet)] },
    ],
    environment: { SENDER_ADDRESS: `no-reply@${senderDomain}`, PORTAL_URL: settings.portalUrl, SES_CONFIGURATION_SET: configurationSet },
  });
}
