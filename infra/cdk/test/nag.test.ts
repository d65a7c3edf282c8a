// The AWS Solutions rules of cdk-nag: what they find is mended, or acknowledged with a reason beside it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { App, Stack } from "aws-cdk-lib";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { AwsSolutionsChecks } from "cdk-nag";
import { type Stage, synthesize } from "./fixture.ts";

for (const stage of ["dev", "prod", "local"] satisfies Stage[]) {
  test(`cdk-nag finds nothing in ${stage}`, () => {
    const { violations } = new AwsSolutionsChecks().validateScope(synthesize(stage).app);
    assert.deepEqual(violations.map(({ ruleName, violatingResources }) => `${ruleName}: ${violatingResources.map((resource) => resource.constructPath).join(", ")}`), []);
  });
}

test("cdk-nag finds a planted violation", () => {
  const app = new App();
  new Queue(new Stack(app, "Planted"), "Queue");
  const { violations } = new AwsSolutionsChecks().validateScope(app);
  assert.deepEqual(violations.map(({ ruleName }) => ruleName).sort(), ["AwsSolutions-SQS3", "AwsSolutions-SQS4"]);
});
