// How a new version of an HTTP function goes live: in prod by a canary that an alarm rolls back, in dev at once.
import { RemovalPolicy, Validations } from "aws-cdk-lib";
import { LambdaApplication, LambdaDeploymentConfig, LambdaDeploymentGroup } from "aws-cdk-lib/aws-codedeploy";
import { type IRole, ManagedPolicy, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Alias, type Function, type IFunction } from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import type { Context } from "./context.ts";
import type { Settings } from "./settings.ts";

export interface Releases {
  /** What CodeDeploy needs; nothing in dev and on the local cloud, which does not know CodeDeploy. */
  readonly canary?: { readonly application: LambdaApplication; readonly role: IRole };
}

export function releases(scope: Construct, settings: Settings): Releases {
  if (settings.stage !== "prod" || settings.local) return {};
  const role = new Role(scope, "CodeDeployRole", {
    assumedBy: new ServicePrincipal("codedeploy.amazonaws.com"),
    managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName("service-role/AWSCodeDeployRoleForLambdaLimited")],
  });
  Validations.of(role).acknowledge({
    id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]",
    reason: "AWS keeps this policy at what CodeDeploy needs to shift the traffic of functions.",
  });
  return { canary: { application: new LambdaApplication(scope, "CodeDeploy"), role: role.withoutPolicyUpdates() } };
}

/** What callers call of a function; stands where `scope` is, which need not be where the function is. */
export function live(scope: Construct, { contextName, shared }: Context, operation: string, created: Function): IFunction {
  if (shared.settings.stage !== "prod") return created;
  // The version before is what a rollback goes back to.
  created.currentVersion.applyRemovalPolicy(RemovalPolicy.RETAIN);
  const alias = new Alias(scope, `${operation}-live`, { aliasName: "live", version: created.currentVersion });
  if (shared.releases.canary) {
    new LambdaDeploymentGroup(scope, `${operation}-release`, {
      ...shared.releases.canary,
      alias,
      deploymentConfig: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES,
      alarms: [shared.alarms.releaseErrors(scope, `${contextName}-${operation}`)],
    });
  }
  return alias;
}
