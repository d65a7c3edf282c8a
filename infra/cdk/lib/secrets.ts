// The secrets: random at first, replaced in Secrets Manager, read by the functions whose line names them.
import { RemovalPolicy, SecretValue, Validations } from "aws-cdk-lib";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import type { Construct } from "constructs";
import type { Settings } from "./settings.ts";

const DESCRIPTIONS = {
  SIGNING_SECRET: "Signs access tokens; identity-rotate-signing-keys replaces it.",
  IDENTITY_SECRET: "Signs refresh tokens, and the tokens of known devices.",
  SECOND_FACTOR_SECRET: "Seals the seeds of second factors; words one after the other, the newest first.",
  VERIFICATION_SECRET: "Signs the codes and the links that are mailed.",
  CURSOR_SECRET: "Signs the cursors of pages.",
  PAYMENT_WEBHOOK_SECRET: "Verifies the payment provider's webhooks; the provider issues it.",
  PAYMENT_PROVIDER_SECRET: "The key of our account at the payment provider; the provider issues it.",
  MOBILE_MONEY_SECRET: "Our account at the provider of mobile money, as user:key:subscription; the provider issues it.",
};

export type SecretName = keyof typeof DESCRIPTIONS;
export type Secrets = Record<SecretName, Secret>;

export function secrets(scope: Construct, settings: Settings): Secrets {
  const given: Partial<Record<SecretName, string>> = {
    PAYMENT_WEBHOOK_SECRET: settings.paymentWebhookSecret,
    PAYMENT_PROVIDER_SECRET: settings.paymentProviderKey,
    MOBILE_MONEY_SECRET: settings.mobileMoneyCredentials,
  };
  const create = (name: SecretName): Secret => {
    const value = given[name];
    const secret = new Secret(scope, name, {
      secretName: `matricula/${settings.stage}/${name.toLowerCase().replaceAll("_", "-")}`,
      description: DESCRIPTIONS[name],
      removalPolicy: RemovalPolicy.DESTROY,
      ...(value === undefined
        ? { generateSecretString: { passwordLength: 64, excludePunctuation: true } }
        : { secretStringValue: SecretValue.unsafePlainText(value) }),
    });
    Validations.of(secret).acknowledge({
      id: "AwsSolutions-SMG4",
      reason: "A schedule of ours rotates the signing keys; the operator changes the others when they may have leaked, and a provider issues its own.",
    });
    return secret;
  };
  return {
    SIGNING_SECRET: create("SIGNING_SECRET"),
    IDENTITY_SECRET: create("IDENTITY_SECRET"),
    SECOND_FACTOR_SECRET: create("SECOND_FACTOR_SECRET"),
    VERIFICATION_SECRET: create("VERIFICATION_SECRET"),
    CURSOR_SECRET: create("CURSOR_SECRET"),
    PAYMENT_WEBHOOK_SECRET: create("PAYMENT_WEBHOOK_SECRET"),
    PAYMENT_PROVIDER_SECRET: create("PAYMENT_PROVIDER_SECRET"),
    MOBILE_MONEY_SECRET: create("MOBILE_MONEY_SECRET"),
  };
}
