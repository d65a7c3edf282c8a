// What tells the operator that something is wrong: an alarm for each thing that must not happen, and one dashboard.
import { Duration } from "aws-cdk-lib";
import {
  Alarm, type AlarmProps, ComparisonOperator, Dashboard, GraphWidget, MathExpression, Metric, SingleValueWidget, TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { Function } from "aws-cdk-lib/aws-lambda";
import type { Queue } from "aws-cdk-lib/aws-sqs";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { Settings } from "./settings.ts";

const ERROR_RATE_MAX = 0.05;
const STREAM_DELAY_MAX_S = 60;
const MOODLE_LAG_MAX_S = 30 * 60;
const MINUTE = Duration.minutes(1);
const FIVE_MINUTES = Duration.minutes(5);

/** Every alarm goes to one topic, to which the operators subscribe. */
export class Alarms {
  readonly topic: Topic;
  private readonly deadLetterQueues: Queue[] = [];

  constructor(private readonly scope: Construct, private readonly settings: Settings) {
    this.topic = new Topic(scope, "AlarmTopic", { topicName: `matricula-${settings.stage}-alarms`, enforceSSL: true });
    this.topic.grantPublish(new ServicePrincipal("cloudwatch.amazonaws.com"));
  }

  functionErrors(scope: Construct, functionName: string, of: Function): void {
    // Each invocation counts 0 or 1 error: their average is the rate.
    const errors = of.metricErrors({ period: MINUTE, statistic: "Average" });
    this.errorRate(scope, `${functionName}-errors`, `${functionName} fails`, errors);
  }

  /** The errors of what callers call: they roll a release back. */
  releaseErrors(scope: Construct, functionName: string): Alarm {
    // The function's own count: what breaks is answered as a problem document, which is no error to Lambda.
    const faults = new Metric({
      namespace: "Matricula",
      metricName: "faults",
      dimensionsMap: { function: functionName },
      period: MINUTE,
      statistic: "Average",
    });
    return this.errorRate(scope, `${functionName}-release-errors`, `The released ${functionName} fails`, faults);
  }

  deadLetters(scope: Construct, functionName: string, queue: Queue): void {
    this.deadLetterQueues.push(queue);
    this.alarm(scope, `${functionName}-dead-letters`, {
      alarmDescription: `${functionName} gave up on an event: read it in the queue, mend the cause, send it again.`,
      metric: queue.metricApproximateNumberOfMessagesVisible({ period: MINUTE, statistic: "Maximum" }),
      threshold: 1,
      evaluationPeriods: 1,
    });
  }

  streamDelay(scope: Construct, functionName: string, reader: Function): void {
    this.alarm(scope, `${functionName}-delay`, {
      alarmDescription: "Events wait in the outboxes: the publisher is late.",
      metric: reader.metric("IteratorAge", { period: MINUTE, statistic: "Maximum" }),
      threshold: STREAM_DELAY_MAX_S * 1000,
      evaluationPeriods: 3,
    });
  }

  failedExecutions(name: string, machine: StateMachine): void {
    const ends = { failed: machine.metricFailed(), "timed-out": machine.metricTimedOut(), aborted: machine.metricAborted() };
    for (const [end, metric] of Object.entries(ends)) {
      this.alarm(this.scope, `${name}-executions-${end}`, {
        alarmDescription: `An execution of ${name} ${end.replace("-", " ")}: a bundle is parked, or an import stopped.`,
        metric,
        threshold: 1,
        evaluationPeriods: 1,
      });
    }
  }

  parkedBundles(): void {
    this.alarm(this.scope, "parked-bundles", {
      alarmDescription: "A bundle is parked: an operator must look at it and resume it.",
      metric: parked(),
      threshold: 1,
      evaluationPeriods: 1,
    });
  }

  moodleLag(): void {
    this.alarm(this.scope, "moodle-lag", {
      alarmDescription: "A Moodle site has waited for half an hour: GET /moodle/sites says which, and GET /moodle/sites/<site> why.",
      metric: moodleLag(),
      threshold: MOODLE_LAG_MAX_S,
      evaluationPeriods: 5,
    });
  }

  serverErrors(apiId: string): void {
    this.alarm(this.scope, "api-server-errors", {
      alarmDescription: "The API answers with 5xx.",
      metric: apiMetric(apiId, "5xx", "Average"),
      threshold: ERROR_RATE_MAX,
      evaluationPeriods: 3,
      datapointsToAlarm: 2,
    });
  }

  dashboard(apiId: string, machines: Record<string, StateMachine>): void {
    const graph = (title: string, left: (Metric | MathExpression)[]) => new GraphWidget({ title, left, width: 12, period: FIVE_MINUTES });
    const search = (metric: string, statistic: string) => new MathExpression({
      expression: `SEARCH('{AWS/Lambda,FunctionName} MetricName="${metric}"', '${statistic}', 300)`,
      label: "",
    });
    new Dashboard(this.scope, "Dashboard", {
      dashboardName: `matricula-${this.settings.stage}`,
      widgets: [
        [
          graph("API: requests, refusals, errors", ["Count", "4xx", "5xx"].map((name) => apiMetric(apiId, name))),
          graph("API: latency, p50 and p95", ["p50", "p95"].map((statistic) => apiMetric(apiId, "Latency", statistic))),
        ],
        [graph("Functions: errors", [search("Errors", "Sum")]), graph("Functions: duration, p95", [search("Duration", "p95")])],
        [
          graph("Sagas: started", Object.values(machines).map((machine) => machine.metricStarted())),
          graph("Sagas: failed", Object.values(machines).map((machine) => machine.metricFailed())),
        ],
        [
          graph("Dead letters", this.deadLetterQueues.map((queue) => queue.metricApproximateNumberOfMessagesVisible())),
          new SingleValueWidget({ title: "Parked bundles", metrics: [parked()], width: 12 }),
        ],
        [
          graph("Moodle: lag of each site, in seconds", [
            new MathExpression({ expression: `SEARCH('{Matricula,site} MetricName="MoodleLagS"', 'Maximum', 300)`, label: "" }),
          ]),
        ],
      ],
    });
  }

  private errorRate(scope: Construct, name: string, what: string, rate: Metric): Alarm {
    return this.alarm(scope, name, {
      alarmDescription: `${what} in 5 % of its invocations or more.`,
      metric: rate,
      threshold: ERROR_RATE_MAX,
      evaluationPeriods: 3,
      datapointsToAlarm: 2,
    });
  }

  private alarm(scope: Construct, name: string, properties: AlarmProps): Alarm {
    const alarm = new Alarm(scope, `${name}-alarm`, {
      alarmName: `matricula-${this.settings.stage}-${name}`,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
      ...properties,
    });
    alarm.addAlarmAction(new SnsAction(this.topic));
    return alarm;
  }
}

const parked = () => new Metric({ namespace: "Matricula", metricName: "ParkedBundles", statistic: "Sum", period: FIVE_MINUTES });

const moodleLag = () => new Metric({ namespace: "Matricula", metricName: "MoodleLagS", statistic: "Maximum", period: MINUTE });

const apiMetric = (apiId: string, metricName: string, statistic = "Sum") =>
  new Metric({ namespace: "AWS/ApiGateway", metricName, statistic, dimensionsMap: { ApiId: apiId }, period: MINUTE });
