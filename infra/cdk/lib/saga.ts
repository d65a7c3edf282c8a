// The state machines: their definitions are files; every placeholder is a function, which the machine may invoke.
import * as fs from "node:fs";
import * as path from "node:path";
import { Stack } from "aws-cdk-lib";
import { PolicyDocument, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { Function } from "aws-cdk-lib/aws-lambda";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import { DefinitionBody, LogLevel, StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import { acknowledgeWildcards } from "./context.ts";
import { machineArn, machineFullName, type MachineName, policyStatement, type Statement } from "./permissions.ts";
import type { Settings } from "./settings.ts";

/** The operations that a definition names, as in `${enrollment-confirm}`. */
export function placeholders(definition: string): string[] {
  return [...new Set([...definition.matchAll(/\$\{([^}]+)\}/g)].map(([, name]) => name!))].sort();
}

export function saga(scope: Construct, machine: MachineName, functions: Map<string, Function>, settings: Settings): StateMachine {
  const file = path.join(settings.stateMachines, `${machine}.asl.json`);
  const definition = fs.readFileSync(file, "utf8");
  const called = new Map(
    placeholders(definition).map((name): [string, Function] => {
      const found = functions.get(name);
      if (!found) throw new Error(`${file} calls \${${name}}, but there is no such function.`);
      return [name, found];
    }),
  );
  const name = machineFullName(settings.stage, machine);
  const logs = new LogGroup(scope, `${machine}-log`, {
    // CloudWatch Logs knows this prefix, and then needs no resource policy of its own.
    logGroupName: `/aws/vendedlogs/states/${name}`,
    retention: settings.logRetention,
    removalPolicy: settings.removal,
  });
  return new StateMachine(scope, machine, {
    stateMachineName: name,
    definitionBody: DefinitionBody.fromString(definition),
    definitionSubstitutions: Object.fromEntries([...called].map(([key, { functionArn }]) => [key, functionArn])),
    role: role(scope, machine, [...called.values()], settings),
    // Without the data: it is personal.
    logs: { destination: logs, level: LogLevel.ALL, includeExecutionData: false },
    tracingEnabled: true,
  });
}

function role(scope: Construct, machine: MachineName, called: Function[], settings: Settings) {
  const statements: Statement[] = [
    { actions: ["lambda:InvokeFunction"], resources: called.map(({ functionArn }) => functionArn) },
    // Long imports go on in a fresh execution, since the history of one is bounded.
    ...(machine === "import" ? [{ actions: ["states:StartExecution"], resources: [machineArn(scope, settings, machine)] }] : []),
    {
      actions: [
        "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
      ],
      resources: ["*"],
      because: "The actions of log delivery know no resources.",
    },
    {
      actions: ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"],
      resources: ["*"],
      because: "X-Ray's actions know no resources.",
    },
  ];
  const created = new Role(scope, `${machine}-role`, {
    assumedBy: new ServicePrincipal("states.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": Stack.of(scope).account } },
    }),
    inlinePolicies: { machine: new PolicyDocument({ statements: statements.map(policyStatement) }) },
  });
  acknowledgeWildcards(created, statements);
  return created.withoutPolicyUpdates();
}
