// What the line of an operation may grant: the exact actions on the exact resources, and the variables that name them.
import { ArnFormat, Stack } from "aws-cdk-lib";
import type { Table } from "aws-cdk-lib/aws-dynamodb";
import type { EventBus } from "aws-cdk-lib/aws-events";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import type { Context } from "./context.ts";
import type { SecretName } from "./secrets.ts";
import type { Settings } from "./settings.ts";

export interface Grant {
  readonly statements?: Statement[];
  readonly environment?: Record<string, string>;
}

export interface Statement {
  readonly actions: string[];
  readonly resources: string[];
  readonly conditions?: Record<string, Record<string, string | string[]>>;
  /** Why a resource ends in a wildcard: needed when one does. */
  readonly because?: string;
}

/** One entry of an operation's list of permissions. */
export type Permission = (context: Context) => Grant;

export function policyStatement({ actions, resources, conditions }: Statement): PolicyStatement {
  return new PolicyStatement({ actions, resources, conditions });
}

const readStatements = ({ table }: Context): Statement[] => [
  { actions: ["dynamodb:GetItem", "dynamodb:BatchGetItem"], resources: [table.tableArn] },
  { actions: ["dynamodb:Query"], resources: [table.tableArn, `${table.tableArn}/index/gsi1`] },
];

/** Reads the table of its context. */
export const reads: Permission = (context) => ({ statements: readStatements(context) });

/** Reads and writes the table of its context: what TransactWriteItems needs, and no more. */
export const writes: Permission = (context) => ({
  statements: [
    ...readStatements(context),
    {
      actions: ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"],
      resources: [context.table.tableArn],
    },
  ],
});

const auditOnly = { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["AUDIT#*"] } };

/** Reads the table of its context, and notes in the audit trail that it did; it can write nothing else. */
export const notes: Permission = (context) => ({
  statements: [
    ...readStatements(context),
    { actions: ["dynamodb:PutItem"], resources: [context.table.tableArn], conditions: auditOnly },
  ],
});

/** Reads one secret; the variable of its name holds its ARN. */
export const secret = (name: SecretName): Permission => (context) => {
  const { secretArn } = context.shared.secrets[name];
  return {
    statements: [{ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] }],
    environment: { [name]: secretArn },
  };
};

/** Replaces the text of one secret by the next. */
export const rotates = (name: SecretName): Permission => (context) => {
  const { secretArn } = context.shared.secrets[name];
  return {
    statements: [{ actions: ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"], resources: [secretArn] }],
    environment: { [name]: secretArn },
  };
};

/** Knows who issues the tokens. */
export const issuer: Permission = ({ shared: { settings } }) => ({ environment: { TOKEN_ISSUER: settings.issuer } });

/** Signs and verifies access tokens. */
export const tokens: Permission = (context) => ({
  ...secret("SIGNING_SECRET")(context),
  environment: { ...secret("SIGNING_SECRET")(context).environment, ...issuer(context).environment },
});

/** Knows of whom a second factor is asked. */
export const secondFactorPolicy: Permission = ({ shared: { settings } }) => ({ environment: { STAFF_SECOND_FACTOR: settings.staffSecondFactor } });

/** Knows who may open an account by themselves. */
export const selfRegistration: Permission = ({ shared: { settings } }) => ({ environment: { SELF_REGISTRATION: settings.selfRegistration } });

/** Signs and verifies the cursors of a list's pages. */
export const cursors = secret("CURSOR_SECRET");

/** Calls the payment provider. */
export const callsPaymentProvider: Permission = (context) => ({
  ...secret("PAYMENT_PROVIDER_SECRET")(context),
  environment: {
    ...secret("PAYMENT_PROVIDER_SECRET")(context).environment,
    PAYMENT_PROVIDER_URL: context.shared.settings.paymentProviderUrl,
  },
});

/** Calls the provider of mobile money, where there is one. */
export const callsMobileMoney: Permission = (context) => ({
  ...secret("MOBILE_MONEY_SECRET")(context),
  environment: {
    ...secret("MOBILE_MONEY_SECRET")(context).environment,
    MOBILE_MONEY_URL: context.shared.settings.mobileMoneyUrl,
    MOBILE_MONEY_ENVIRONMENT: context.shared.settings.mobileMoneyEnvironment,
    MOBILE_MONEY_CALLBACK_URL: `${context.shared.settings.issuer}/webhooks/mobile-money`,
  },
});

export type MachineName = "enrollment" | "import";

export const machineFullName = (stage: string, machine: MachineName): string => `matricula-${stage}-${machine}`;

const VARIABLE_OF_MACHINE: Record<MachineName, string> = {
  enrollment: "ENROLLMENT_STATE_MACHINE_ARN",
  import: "IMPORT_STATE_MACHINE_ARN",
};

// By name: a state machine refers to the functions of every context, so no context can refer to it.
export function machineArn(scope: Construct, settings: Settings, machine: MachineName): string {
  return Stack.of(scope).formatArn({
    service: "states",
    resource: "stateMachine",
    resourceName: machineFullName(settings.stage, machine),
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** Starts executions of a state machine. */
export const starts = (machine: MachineName): Permission => (context) => ({
  statements: [{ actions: ["states:StartExecution"], resources: [machineArn(context, context.shared.settings, machine)] }],
  environment: { [VARIABLE_OF_MACHINE[machine]]: machineArn(context, context.shared.settings, machine) },
});

/** Knows how long the head of department and the student have before the seat is released. */
export const timeOuts: Permission = ({ shared: { settings } }) => ({
  environment: {
    APPROVAL_TIMEOUT_S: String(settings.approvalTimeoutS),
    PAYMENT_TIMEOUT_S: String(settings.paymentTimeoutS),
  },
});

/** Knows who bills, and by which clock and year. */
export const institution: Permission = ({ shared: { settings } }) => ({
  environment: {
    LEGAL_ENTITY: settings.legalEntity,
    TIME_ZONE: settings.timeZone,
    FISCAL_YEAR_FIRST_MONTH: String(settings.fiscalYearFirstMonth),
    PAYMENT_TERMS_DAYS: String(settings.paymentTermsDays),
  },
});

/** Knows by which clock days end. */
export const timeZone: Permission = ({ shared: { settings } }) => ({ environment: { TIME_ZONE: settings.timeZone } });

/** Looks at executions of a state machine. */
export const describes = (machine: MachineName): Permission => (context) => ({
  environment: { [VARIABLE_OF_MACHINE[machine]]: machineArn(context, context.shared.settings, machine) },
  statements: [
    {
      actions: ["states:DescribeExecution"],
      resources: [
        Stack.of(context).formatArn({
          service: "states",
          resource: "execution",
          resourceName: `${machineFullName(context.shared.settings.stage, machine)}:*`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      because: "Executions are named after bundles, which are not known here.",
    },
  ],
});

/** Answers task tokens of a state machine's executions. */
export const answers = (machine: MachineName): Permission => (context) => ({
  statements: [
    { actions: ["states:SendTaskSuccess", "states:SendTaskFailure"], resources: [machineArn(context, context.shared.settings, machine)] },
  ],
});

/** Puts events on the bus. */
export const publishesTo = (bus: EventBus): Permission => () => ({
  statements: [{ actions: ["events:PutEvents"], resources: [bus.eventBusArn] }],
  environment: { BUS_NAME: bus.eventBusName },
});

const outboxOnly = { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["OUTBOX#*"] } };

/** Deletes published outbox items of these tables, and can reach no other item. */
export const deletesOutboxItems = (tables: Table[]): Permission => () => ({
  statements: [
    { actions: ["dynamodb:DeleteItem"], resources: tables.map((table) => table.tableArn), conditions: outboxOnly },
  ],
});

/** Finds outbox items of these tables, and can reach no other item. */
export const queriesOutboxItems = (tables: Table[]): Permission => () => ({
  statements: [
    { actions: ["dynamodb:Query"], resources: tables.map((table) => table.tableArn), conditions: outboxOnly },
  ],
  environment: { TABLE_NAMES: tables.map((table) => table.tableName).join(",") },
});

const objects = (action: string, variable: string, bucket: Bucket, prefix: string): Permission => () => ({
  statements: [
    {
      actions: [action],
      resources: [bucket.arnForObjects(`${prefix}/*`)],
      because: "Objects are named after imports, events and receipts, which are not known here.",
    },
  ],
  environment: { [variable]: bucket.bucketName },
});

export const putsImports = (bucket: Bucket): Permission => objects("s3:PutObject", "IMPORTS_BUCKET", bucket, "imports");
export const getsImports = (bucket: Bucket): Permission => objects("s3:GetObject", "IMPORTS_BUCKET", bucket, "imports");
export const putsReceipts = (bucket: Bucket): Permission => objects("s3:PutObject", "RECEIPTS_BUCKET", bucket, "receipts");
export const getsReceipts = (bucket: Bucket): Permission => objects("s3:GetObject", "RECEIPTS_BUCKET", bucket, "receipts");
export const putsEvents = (bucket: Bucket): Permission => objects("s3:PutObject", "EVENTS_BUCKET", bucket, "events");
