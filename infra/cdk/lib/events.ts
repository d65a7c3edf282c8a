// The bus with its archive, and everything that runs by itself: consumers of events, readers of outboxes, schedules.
import { Duration, RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import { Archive, EventBus, type EventPattern, Match, Rule } from "aws-cdk-lib/aws-events";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { EventSourceMapping, type Function, StartingPosition } from "aws-cdk-lib/aws-lambda";
import { SqsDlq } from "aws-cdk-lib/aws-lambda-event-sources";
import { Schedule, ScheduleExpression } from "aws-cdk-lib/aws-scheduler";
import { LambdaInvoke } from "aws-cdk-lib/aws-scheduler-targets";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import type { Context, Options } from "./context.ts";
import type { Permission } from "./permissions.ts";
import type { Settings } from "./settings.ts";

export interface Events {
  readonly bus: EventBus;
}

const CONSUMER_TIMEOUT_S = 30;
const RECEIVES_MAX = 3;
const ALL_OF_MATRICULA = { source: Match.prefix("matricula.") };

export function events(scope: Construct, settings: Settings): Events {
  const bus = new EventBus(scope, "Bus", { eventBusName: "matricula" });
  // The local cloud does not know archives.
  if (!settings.local) {
    const archive = new Archive(scope, "Archive", {
      archiveName: "matricula",
      sourceEventBus: bus,
      eventPattern: ALL_OF_MATRICULA,
      retention: Duration.days(settings.stage === "prod" ? 365 : 7),
    });
    archive.applyRemovalPolicy(settings.removal);
  }
  return { bus };
}

/** Rule → queue (and what failed three times → dead letters) → function. */
export function consumeEvents(context: Context, operation: string, pattern: EventPattern, permissions: Permission[], options: Options): void {
  const { events, alarms, settings } = context.shared;
  const timeoutS = options.timeoutS ?? CONSUMER_TIMEOUT_S;
  const deadLetters = deadLetterQueue(context, operation);
  alarms.deadLetters(context, `${context.contextName}-${operation}`, deadLetters);
  const queue = new Queue(context, `${operation}-queue`, {
    queueName: `matricula-${settings.stage}-${context.contextName}-${operation}`,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    // Six times the function's time-out, as Lambda advises: a batch is not seen again while it is being worked on.
    visibilityTimeout: Duration.seconds(6 * timeoutS),
    retentionPeriod: Duration.days(4),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: RECEIVES_MAX },
  });

  const rule = new Rule(context, `${operation}-rule`, {
    ruleName: `matricula-${context.contextName}-${operation}`,
    eventBus: events.bus,
    eventPattern: { ...ALL_OF_MATRICULA, ...pattern },
  });
  rule.addTarget(new SqsQueue(queue, { deadLetterQueue: deadLetters }));

  const receives: Permission = () => ({
    statements: [
      { actions: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], resources: [queue.queueArn] },
    ],
  });
  const consumer = context.function(operation, [...permissions, receives], { ...options, timeoutS });
  new EventSourceMapping(context, `${operation}-mapping`, {
    target: consumer,
    eventSourceArn: queue.queueArn,
    batchSize: options.batchSize ?? 10,
    reportBatchItemFailures: true,
    maxConcurrency: options.concurrency,
  });
}

/** The stream of every table → function; what could not be read after ten tries → dead letters. */
export function consumeStreams(context: Context, operation: string, tables: Table[], permissions: Permission[], options: Options): void {
  const functionName = `${context.contextName}-${operation}`;
  const deadLetters = deadLetterQueue(context, operation);
  Validations.of(deadLetters).acknowledge({ id: "AwsSolutions-SQS3", reason: "It holds dead letters itself: those of the streams." });
  context.shared.alarms.deadLetters(context, functionName, deadLetters);
  const streams = tables.map((table) => table.tableStreamArn!);
  const readsStreams: Permission = () => ({
    statements: [
      { actions: ["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"], resources: streams },
      { actions: ["dynamodb:ListStreams"], resources: ["*"], because: "ListStreams knows no resources." },
      { actions: ["sqs:SendMessage"], resources: [deadLetters.queueArn] },
    ],
  });
  const reader = context.function(operation, [...permissions, readsStreams], { timeoutS: CONSUMER_TIMEOUT_S, ...options });
  for (const [index, table] of tables.entries()) {
    new EventSourceMapping(context, `${operation}-mapping-${index}`, {
      target: reader,
      eventSourceArn: table.tableStreamArn,
      startingPosition: StartingPosition.TRIM_HORIZON,
      batchSize: 10,
      bisectBatchOnError: true,
      reportBatchItemFailures: true,
      retryAttempts: 10,
      onFailure: new SqsDlq(deadLetters),
      filters: [{ pattern: JSON.stringify({ eventName: ["INSERT"], dynamodb: { Keys: { pk: { S: [{ prefix: "OUTBOX#" }] } } } }) }],
    });
  }
  context.shared.alarms.streamDelay(context, functionName, reader);
}

export function runOnSchedule(context: Context, target: Function, operation: string, every: Duration): void {
  const role = new Role(context, `${operation}-schedule-role`, {
    assumedBy: new ServicePrincipal("scheduler.amazonaws.com", {
      conditions: { StringEquals: { "aws:SourceAccount": Stack.of(context).account } },
    }),
    inlinePolicies: {
      invoke: new PolicyDocument({
        statements: [new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: [target.functionArn] })],
      }),
    },
  });
  new Schedule(context, `${operation}-schedule`, {
    scheduleName: `matricula-${context.contextName}-${operation}`,
    schedule: ScheduleExpression.rate(every),
    // A missed run is not made up for: the next one finds the same work.
    target: new LambdaInvoke(target, { role: role.withoutPolicyUpdates(), retryAttempts: 0, maxEventAge: Duration.minutes(1) }),
  });
}

function deadLetterQueue(context: Context, operation: string): Queue {
  return new Queue(context, `${operation}-dead-letters`, {
    queueName: `matricula-${context.shared.settings.stage}-${context.contextName}-${operation}-dead-letters`,
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
    removalPolicy: RemovalPolicy.DESTROY,
  });
}
