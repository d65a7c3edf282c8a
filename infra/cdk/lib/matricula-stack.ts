// The whole of Matricula in one stack: what the contexts share, the contexts, and what ties them together.
import { CfnOutput, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { Api } from "./api.ts";
import { billing } from "./billing.ts";
import { catalog } from "./catalog.ts";
import type { Shared } from "./context.ts";
import { enrollment } from "./enrollment.ts";
import { events } from "./events.ts";
import { identity } from "./identity.ts";
import { moodle } from "./moodle.ts";
import { notifications } from "./notifications.ts";
import { Alarms } from "./observability.ts";
import { operations } from "./operations.ts";
import { releases } from "./releases.ts";
import { saga } from "./saga.ts";
import { secrets } from "./secrets.ts";
import type { Settings } from "./settings.ts";

export class MatriculaStack extends Stack {
  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, {
      description: `Matricula, ${settings.stage}`,
      terminationProtection: settings.stage === "prod",
    });
    const shared: Shared = {
      settings,
      events: events(this, settings),
      secrets: secrets(this, settings),
      alarms: new Alarms(this, settings),
      releases: releases(this, settings),
    };

    const { context: identityContext, authorizer } = identity(this, shared);
    const others = [
      identityContext,
      catalog(this, shared),
      enrollment(this, shared),
      billing(this, shared),
      moodle(this, shared),
      notifications(this, shared),
    ];
    const { context: operationsContext, buckets } = operations(this, shared, others);
    const contexts = [...others, operationsContext];

    const functions = new Map(contexts.flatMap((context) => [...context.functions]));
    const machines = {
      enrollment: saga(this, "enrollment", functions, settings),
      import: saga(this, "import", functions, settings),
    };
    const api = new Api(this, settings, contexts, authorizer);

    shared.alarms.failedExecutions("enrollment", machines.enrollment);
    shared.alarms.failedExecutions("import", machines.import);
    shared.alarms.parkedBundles();
    shared.alarms.moodleLag();
    shared.alarms.serverErrors(api.apiId);
    shared.alarms.dashboard(api.apiId, machines);

    new CfnOutput(this, "ApiUrl", { value: api.url });
    new CfnOutput(this, "ApiId", { value: api.apiId });
    new CfnOutput(this, "ImportsBucket", { value: buckets.imports.bucketName });
    new CfnOutput(this, "EventsBucket", { value: buckets.events.bucketName });
    new CfnOutput(this, "EnrollmentStateMachineArn", { value: machines.enrollment.stateMachineArn });
    new CfnOutput(this, "ImportStateMachineArn", { value: machines.import.stateMachineArn });
  }
}
