// The CDK app: one stack, Matricula, of the stage that the context names (`--context stage=prod`).
import { App } from "aws-cdk-lib";
import { MatriculaStack } from "./matricula-stack.ts";
import { readSettings } from "./settings.ts";

// What CDK does differently since its first version 2, where it matters here.
const FEATURE_FLAGS = {
  // A rule may send to its queue only from this account.
  "@aws-cdk/aws-events:eventsTargetQueueSameAccount": true,
  // Access logs are let in by a policy, for their bucket has no access control lists.
  "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": true,
};

export function matriculaApp(context: Record<string, string> = {}): { app: App; stack: MatriculaStack } {
  const app = new App({ context, postCliContext: FEATURE_FLAGS, analyticsReporting: false, treeMetadata: false });
  return { app, stack: new MatriculaStack(app, "Matricula", readSettings(app.node)) };
}
