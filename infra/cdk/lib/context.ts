// A bounded context in the cloud: its table, its functions, its queues. One operation is one call, with its permissions.
import * as fs from "node:fs";
import * as path from "node:path";
import { Duration, NestedStack, Stack, Validations } from "aws-cdk-lib";
import { AttributeType, BillingMode, ProjectionType, StreamViewType, Table, TableEncryption } from "aws-cdk-lib/aws-dynamodb";
import { PolicyDocument, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Code, Function, type IFunction, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import { consumeEvents, consumeStreams, type Events, runOnSchedule } from "./events.ts";
import type { Alarms } from "./observability.ts";
import { type Permission, policyStatement, type Statement } from "./permissions.ts";
import { live, type Releases } from "./releases.ts";
import type { Secrets } from "./secrets.ts";
import type { Settings } from "./settings.ts";

/** What every context needs of the rest of the stack. */
export interface Shared {
  readonly settings: Settings;
  readonly events: Events;
  readonly secrets: Secrets;
  readonly alarms: Alarms;
  readonly releases: Releases;
}

export interface Options {
  readonly memoryMb?: number;
  readonly timeoutS?: number;
  /** The most invocations at once, where a rate must be bounded. */
  readonly concurrency?: number;
  /** Events that one invocation takes, where ten would wait for one another. */
  readonly batchSize?: number;
}

export interface Route {
  /** Method and path, as in `POST /submissions`, or `$default`. */
  readonly route: string;
  readonly open: boolean;
  readonly operation: string;
  readonly created: Function;
}

/** A stack for functions, with their code: CDK wants its own for each. */
interface Home {
  readonly stack: NestedStack;
  readonly code: Code;
}

const HTTP_TIMEOUT_S = 10;
const BACKGROUND_TIMEOUT_S = 30;

// Nested stacks, because one stack holds 500 resources at most and an operation takes up to ten.
export class Context extends NestedStack {
  readonly table: Table;
  readonly routes: Route[] = [];
  readonly functions = new Map<string, Function>();
  private readonly background: Home;
  /** Of the functions behind the routes, which are most of a context. */
  private readonly callable: Home;

  constructor(scope: Construct, readonly contextName: string, readonly shared: Shared) {
    super(scope, contextName[0]!.toUpperCase() + contextName.slice(1), { description: `Matricula: ${contextName}` });
    const home = (stack: NestedStack): Home => ({ stack, code: bootstrap(shared.settings, contextName) });
    this.background = home(this);
    this.callable = home(new NestedStack(scope, `${this.node.id}Http`, { description: `Matricula: what callers call of ${contextName}` }));
    this.table = new Table(this, "Table", {
      tableName: `matricula-${contextName}`,
      partitionKey: { name: "pk", type: AttributeType.STRING },
      sortKey: { name: "sk", type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.AWS_MANAGED,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: "expires_at",
      stream: StreamViewType.NEW_IMAGE,
      deletionProtection: shared.settings.stage === "prod",
      removalPolicy: shared.settings.removal,
    });
    this.table.addGlobalSecondaryIndex({
      indexName: "gsi1",
      partitionKey: { name: "gsi1pk", type: AttributeType.STRING },
      sortKey: { name: "gsi1sk", type: AttributeType.STRING },
      projectionType: ProjectionType.ALL,
    });
  }

  /** Answers signed-in callers of the API. */
  http(operation: string, route: string, permissions: Permission[], options: Options = {}): void {
    this.addRoute(operation, route, false, permissions, options);
  }

  /** Answers anybody who calls the API. */
  openHttp(operation: string, route: string, permissions: Permission[], options: Options = {}): void {
    this.addRoute(operation, route, true, permissions, options);
  }

  /** Tells the API who the caller is. */
  authorizer(operation: string, permissions: Permission[]): IFunction {
    return live(this, this, operation, this.function(operation, permissions, {}));
  }

  /** Is called by a state machine, or by an operator. */
  step(operation: string, permissions: Permission[], options: Options = {}): void {
    this.function(operation, permissions, { timeoutS: BACKGROUND_TIMEOUT_S, ...options });
  }

  /** Consumes these events, from a queue of its own. */
  events(operation: string, names: string[], permissions: Permission[], options: Options = {}): void {
    consumeEvents(this, operation, { detailType: names }, permissions, options);
  }

  /** Consumes every event of Matricula, from a queue of its own. */
  everyEvent(operation: string, permissions: Permission[], options: Options = {}): void {
    consumeEvents(this, operation, {}, permissions, options);
  }

  /** Runs again and again. */
  schedule(operation: string, every: Duration, permissions: Permission[], options: Options = {}): void {
    runOnSchedule(this, this.function(operation, permissions, { timeoutS: BACKGROUND_TIMEOUT_S, ...options }), operation, every);
  }

  /** Reads the new outbox items of these tables. */
  outboxes(operation: string, tables: Table[], permissions: Permission[], options: Options = {}): void {
    consumeStreams(this, operation, tables, permissions, options);
  }

  /** The function of one operation, with a role, a log group and an alarm of its own. */
  function(operation: string, permissions: Permission[], options: Options, { stack, code }: Home = this.background): Function {
    const { settings, alarms } = this.shared;
    const functionName = `${this.contextName}-${operation}`;
    const grants = permissions.map((permission) => permission(this));
    const logGroup = new LogGroup(stack, `${operation}-log`, {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: settings.logRetention,
      removalPolicy: settings.removal,
    });
    const created = new Function(stack, operation, {
      functionName,
      handler: operation,
      code,
      runtime: Runtime.PROVIDED_AL2023,
      architecture: settings.architecture,
      memorySize: options.memoryMb ?? 256,
      timeout: Duration.seconds(options.timeoutS ?? HTTP_TIMEOUT_S),
      reservedConcurrentExecutions: settings.stage === "prod" ? options.concurrency : undefined,
      tracing: Tracing.ACTIVE,
      logGroup,
      role: this.role(stack, operation, grants.flatMap((grant) => grant.statements ?? [])),
      environment: Object.assign(
        { MATRICULA_STAGE: settings.stage, TABLE_NAME: this.table.tableName },
        ...grants.map((grant) => grant.environment ?? {}),
      ),
    });
    alarms.functionErrors(stack, functionName, created);
    this.functions.set(functionName, created);
    return created;
  }

  private addRoute(operation: string, route: string, open: boolean, permissions: Permission[], options: Options): void {
    this.routes.push({ route, open, operation, created: this.function(operation, permissions, options, this.callable) });
  }

  private role(stack: NestedStack, operation: string, granted: Statement[]) {
    const functionName = `${this.contextName}-${operation}`;
    const statements: Statement[] = [
      ...granted,
      {
        actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
        resources: [Stack.of(this).formatArn({ service: "logs", resource: `log-group:/aws/lambda/${functionName}:*` })],
        because: "Lambda names the streams of the function's own log group.",
      },
      {
        actions: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        resources: ["*"],
        because: "X-Ray's actions know no resources.",
      },
    ];
    const role = new Role(stack, `${operation}-role`, {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { operation: new PolicyDocument({ statements: statements.map(policyStatement) }) },
    });
    acknowledgeWildcards(role, statements);
    // The line of the operation grants everything: no construct may add to it behind its back.
    return role.withoutPolicyUpdates();
  }
}

/** Tells cdk-nag why each wildcard is there; one without a reason stays a finding. */
export function acknowledgeWildcards(role: Role, statements: Statement[]): void {
  // Not before references between stacks have got their names.
  role.node.addValidation({
    validate: () => {
      for (const { resources, because } of statements) {
        if (because === undefined) continue;
        for (const resource of resources) {
          Validations.of(role).acknowledge({ id: `AwsSolutions-IAM5[Resource::${flat(role, resource)}]`, reason: because });
        }
      }
      return [];
    },
  });
}

// A resource as cdk-nag writes it: `arn:<AWS::Partition>:logs:…`.
function flat(scope: Construct, resource: string): string {
  const visit = (node: unknown): string => {
    if (typeof node === "string") return node;
    const [[kind, value]] = Object.entries(node as object) as [[string, unknown]];
    if (kind === "Fn::Join") {
      const [separator, parts] = value as [string, unknown[]];
      return parts.map(visit).join(separator);
    }
    return kind === "Fn::GetAtt" ? `<${(value as string[]).join(".")}>` : `<${String(value)}>`;
  };
  return visit(Stack.of(scope).resolve(resource));
}

function bootstrap(settings: Settings, contextName: string): Code {
  const folder = path.join(settings.bootstraps, contextName);
  if (!fs.existsSync(path.join(folder, "bootstrap"))) {
    throw new Error(`There is no ${path.join(folder, "bootstrap")}: build the functions first, or say where they are with --context bootstraps=….`);
  }
  return Code.fromAsset(folder);
}
