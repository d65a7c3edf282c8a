// What the template must say where the local cloud cannot show it: limits, backups, alarms, canaries, protection.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { matriculaApp } from "../lib/app.ts";
import { bootstraps, CONTEXTS, ofType, PROD, type Stage, synthesize } from "./fixture.ts";

const STAGES: Stage[] = ["dev", "prod", "local"];
const http = (stage: Stage) => ofType(stage, "AWS::ApiGatewayV2::Route");

test("no resource is made by code that runs during the deployment", () => {
  for (const stage of STAGES) {
    const types = new Set(synthesize(stage).resources.map(({ type }) => type));
    assert.deepEqual([...types].filter((type) => type.startsWith("Custom::") || type === "AWS::CloudFormation::CustomResource"), []);
  }
  const handlers = ofType("dev", "AWS::Lambda::Function").map(({ properties }) => properties["Runtime"]);
  assert.deepEqual([...new Set(handlers)], ["provided.al2023"]);
});

test("no stack comes near the limit of 500 resources", () => {
  const stacks = new Map<string, number>();
  for (const { stack } of synthesize("prod").resources) stacks.set(stack, (stacks.get(stack) ?? 0) + 1);
  const contexts = ["Identity", "Catalog", "Enrollment", "Billing", "Moodle", "Notifications", "Operations"];
  assert.deepEqual([...stacks.keys()], ["root", ...contexts.flatMap((context) => [context, `${context}Http`]), "Api", ...contexts.map((context) => `${context}Routes`)]);
  // An operation takes up to ten: from here on a context is to be split.
  for (const [stack, count] of stacks) assert.ok(count <= 420, `${stack} has ${count}`);
});

test("the local flag leaves resources out, and changes nothing else", () => {
  const byId = (stage: Stage) => new Map(synthesize(stage).resources.map((resource) => [resource.id, resource]));
  const [dev, local] = [byId("dev"), byId("local")];
  const left = [...dev.values()].filter(({ id }) => !local.has(id)).map(({ type }) => type);
  assert.deepEqual(left, ["AWS::Events::Archive"]);
  for (const [id, resource] of local) {
    const other = dev.get(id);
    assert.ok(other, `only the local cloud has ${id}`);
    if (resource.type === "AWS::CloudFormation::Stack") continue; // Its address is the hash of its template.
    assert.deepEqual(resource.definition, other.definition, id);
  }
});

test("every table keeps its past, forgets what expired, and tells what is new", () => {
  for (const stage of STAGES) {
    const tables = ofType(stage, "AWS::DynamoDB::Table");
    assert.deepEqual(tables.map(({ properties }) => properties["TableName"]).sort(), CONTEXTS.map((context) => `matricula-${context}`).sort());
    for (const { properties } of tables) {
      assert.deepEqual(properties["PointInTimeRecoverySpecification"], { PointInTimeRecoveryEnabled: true });
      assert.deepEqual(properties["TimeToLiveSpecification"], { AttributeName: "expires_at", Enabled: true });
      assert.deepEqual(properties["StreamSpecification"], { StreamViewType: "NEW_IMAGE" });
      assert.deepEqual(properties["SSESpecification"], { SSEEnabled: true });
      assert.equal(properties["BillingMode"], "PAY_PER_REQUEST");
      assert.deepEqual(properties["GlobalSecondaryIndexes"].map((index: any) => [index.IndexName, index.Projection.ProjectionType]), [["gsi1", "ALL"]]);
    }
  }
});

test("prod cannot lose data by accident, dev can", () => {
  for (const type of ["AWS::DynamoDB::Table", "AWS::S3::Bucket"]) {
    for (const { id, definition } of ofType("prod", type)) assert.deepEqual([definition["DeletionPolicy"], definition["UpdateReplacePolicy"]], ["Retain", "Retain"], id);
    for (const { id, definition } of ofType("dev", type)) assert.equal(definition["DeletionPolicy"], "Delete", id);
  }
  for (const { properties } of ofType("prod", "AWS::DynamoDB::Table")) assert.equal(properties["DeletionProtectionEnabled"], true);
  for (const { properties } of ofType("dev", "AWS::DynamoDB::Table")) assert.equal(properties["DeletionProtectionEnabled"], false);
  assert.equal(synthesize("prod").stack.terminationProtection, true);
});

test("no bucket is public, unencrypted, or open without TLS", () => {
  const policies = ofType("prod", "AWS::S3::BucketPolicy");
  for (const { id, properties } of ofType("prod", "AWS::S3::Bucket")) {
    assert.deepEqual(new Set(Object.values(properties["PublicAccessBlockConfiguration"])), new Set([true]));
    assert.ok(properties["BucketEncryption"]);
    assert.ok(properties["LifecycleConfiguration"].Rules.length > 0);
    const policy = policies.find((one) => one.properties["Bucket"].Ref === id)!;
    const [first] = policy.properties["PolicyDocument"].Statement;
    assert.deepEqual([first.Effect, first.Condition], ["Deny", { Bool: { "aws:SecureTransport": "false" } }]);
  }
});

test("published events are never deleted", () => {
  const events = ofType("prod", "AWS::S3::Bucket").find(({ id }) => id.startsWith("Events"))!;
  assert.deepEqual(events.properties["VersioningConfiguration"], { Status: "Enabled" });
  for (const rule of events.properties["LifecycleConfiguration"].Rules) assert.equal(rule.ExpirationInDays, undefined);
});

test("the API limits how often it may be called, and more where somebody proves who they are", () => {
  for (const stage of STAGES) {
    const [{ properties }] = ofType(stage, "AWS::ApiGatewayV2::Stage") as [any];
    assert.deepEqual([properties.DefaultRouteSettings.ThrottlingRateLimit, properties.DefaultRouteSettings.ThrottlingBurstLimit], [200, 400]);
    const routes = new Set(http(stage).map(({ properties }) => properties["RouteKey"]));
    const limited = [
      "POST /accounts", "POST /accounts/{account}/invitation", "POST /accounts/{account}/password", "POST /accounts/{account}/verification",
      "POST /oauth/token", "POST /password-resets", "POST /sessions", "POST /sign-ins", "POST /sign-ins/{sign_in}/completion",
    ];
    // Whatever a stranger may write to, but for what proves itself by a secret of 256 bits.
    const open = http(stage).filter(({ properties }) => properties["AuthorizationType"] !== "CUSTOM").map(({ properties }) => properties["RouteKey"]);
    const provenBySecret = ["POST /sessions/refresh"];
    const written = open.filter((route) => route.startsWith("POST ") && !route.startsWith("POST /webhooks/") && !provenBySecret.includes(route));
    assert.deepEqual(written.sort(), limited);
    assert.deepEqual(Object.keys(properties.RouteSettings).sort(), limited);
    for (const route of limited) {
      assert.ok(routes.has(route), `${route} is a route`);
      const { ThrottlingRateLimit, ThrottlingBurstLimit } = properties.RouteSettings[route];
      assert.deepEqual([ThrottlingRateLimit, ThrottlingBurstLimit], [20, 40], route);
    }
  }
});

test("in prod nobody opens an account by themselves whom no office knows", () => {
  const told = (stage: Stage) => {
    const functions = ofType(stage, "AWS::Lambda::Function").filter(({ properties }) => properties["Environment"]?.Variables.SELF_REGISTRATION);
    return functions.map(({ properties }) => [properties["FunctionName"], properties["Environment"].Variables.SELF_REGISTRATION]);
  };
  assert.deepEqual(told("prod"), [["identity-verify-email", "none"]]);
  assert.deepEqual([told("dev"), told("local")], [[["identity-verify-email", "everybody"]], [["identity-verify-email", "everybody"]]]);
  assert.throws(() => matriculaApp({ ...PROD, bootstraps: bootstraps(), selfRegistration: "university" }), /it must be everybody, none, or domains/);
});

test("the API logs every call as JSON, without addresses and tokens", () => {
  const [{ properties }] = ofType("prod", "AWS::ApiGatewayV2::Stage") as [any];
  const format = JSON.parse(properties.AccessLogSettings.Format);
  assert.equal(format.request_id, "$context.requestId");
  assert.equal(format.status, "$context.status");
  assert.ok(!/sourceIp|userAgent|header/i.test(properties.AccessLogSettings.Format));
  assert.ok(properties.AccessLogSettings.DestinationArn);
});

test("only the portal may call the API from a browser", () => {
  const [{ properties }] = ofType("prod", "AWS::ApiGatewayV2::Api") as [any];
  assert.deepEqual(properties.CorsConfiguration.AllowOrigins, [new URL(PROD.portalUrl).origin]);
  assert.deepEqual(properties.CorsConfiguration.AllowMethods, ["GET", "POST", "PUT", "PATCH", "DELETE"]);
  for (const header of ["authorization", "content-type", "idempotency-key"]) assert.ok(properties.CorsConfiguration.AllowHeaders.includes(header));
});

test("every route asks the authorizer, but those that are open by design", () => {
  const open = http("prod").filter(({ properties }) => properties["AuthorizationType"] !== "CUSTOM").map(({ properties }) => properties["RouteKey"]);
  assert.deepEqual(open.sort(), [
    "$default", "GET /.well-known/jwks.json", "GET /.well-known/openid-configuration", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /readyz",
    "GET /schedule-feeds/{secret}/schedule.ics", "GET /sign-in-providers",
    "POST /accounts", "POST /accounts/{account}/invitation", "POST /accounts/{account}/password", "POST /accounts/{account}/verification",
    "POST /oauth/token", "POST /password-resets", "POST /sessions", "POST /sessions/refresh", "POST /sign-ins", "POST /sign-ins/{sign_in}/completion", "POST /webhooks/mobile-money", "POST /webhooks/moodle/{site}",
    "POST /webhooks/payments",
  ]);
  const [{ properties }] = ofType("prod", "AWS::ApiGatewayV2::Authorizer") as [any];
  assert.equal(properties.AuthorizerResultTtlInSeconds, 30);
  assert.equal(properties.EnableSimpleResponses, true);
  assert.equal(properties.AuthorizerPayloadFormatVersion, "2.0");
  assert.deepEqual(properties.IdentitySource, ["$request.header.Authorization"]);
});

test("prod shifts the traffic of every HTTP function by a canary that an alarm rolls back", () => {
  const called = http("prod").length + 1; // and the authorizer
  const groups = ofType("prod", "AWS::CodeDeploy::DeploymentGroup");
  assert.equal(groups.length, called);
  for (const { properties } of groups) {
    assert.equal(properties["DeploymentConfigName"], "CodeDeployDefault.LambdaCanary10Percent5Minutes");
    assert.equal(properties["AlarmConfiguration"].Alarms.length, 1);
    assert.ok(properties["AutoRollbackConfiguration"].Events.includes("DEPLOYMENT_STOP_ON_ALARM"));
  }
  const aliases = ofType("prod", "AWS::Lambda::Alias");
  assert.equal(aliases.length, called);
  for (const { properties, definition } of aliases) {
    assert.equal(properties["Name"], "live");
    assert.ok(definition["UpdatePolicy"].CodeDeployLambdaAliasUpdate);
  }
  assert.deepEqual(ofType("dev", "AWS::CodeDeploy::DeploymentGroup"), []);
});

test("prod's API calls the live alias of each function", () => {
  for (const { id, properties, plain } of ofType("prod", "AWS::ApiGatewayV2::Integration")) {
    assert.match(plain(properties["IntegrationUri"]), /^alias /, id);
  }
});

test("prod bounds how many sagas start and how many Moodle sites are brought into step at once", () => {
  const [held] = ofType("prod", "AWS::Lambda::Function").filter(({ properties }) => properties["FunctionName"] === "enrollment-on-saga-requested");
  assert.equal(held!.properties["ReservedConcurrentExecutions"], 5);
  const bounded = ofType("dev", "AWS::Lambda::EventSourceMapping").filter(({ properties }) => properties["ScalingConfig"]);
  assert.deepEqual(bounded.map(({ properties, plain }) => [plain(properties["FunctionName"]), properties["ScalingConfig"].MaximumConcurrency]), [["function enrollment-on-saga-requested", 5], ["function moodle-on-work-marked", 6]]);
});

test("every queue is encrypted, gives up after three tries, and hides a batch while it is worked on", () => {
  const timeouts = new Map(ofType("dev", "AWS::Lambda::Function").map((one) => [`function ${one.properties["FunctionName"]}`, one.properties["Timeout"]]));
  const queues = new Map(ofType("dev", "AWS::SQS::Queue").map((queue) => [`queue ${queue.properties["QueueName"]}`, queue]));
  for (const { properties } of queues.values()) assert.equal(properties["SqsManagedSseEnabled"], true);
  const mappings = ofType("dev", "AWS::Lambda::EventSourceMapping");
  for (const { properties } of mappings) assert.deepEqual(properties["FunctionResponseTypes"], ["ReportBatchItemFailures"]);
  const consumed = mappings.filter(({ properties, plain }) => queues.has(plain(properties["EventSourceArn"])));
  const names = [...queues.keys()].filter((name) => !name.endsWith("-dead-letters"));
  assert.deepEqual(consumed.map(({ properties, plain }) => plain(properties["EventSourceArn"])).sort(), names.sort());
  for (const { properties, plain } of consumed) {
    const queue = queues.get(plain(properties["EventSourceArn"]))!.properties;
    assert.equal(queue["RedrivePolicy"].maxReceiveCount, 3);
    assert.ok(queue["VisibilityTimeout"] >= 6 * timeouts.get(plain(properties["FunctionName"])));
  }
});

test("the outboxes of all tables are read from their beginning, and a poisoned record stops nobody", () => {
  const readers = ofType("dev", "AWS::Lambda::EventSourceMapping").filter(({ properties }) => properties["StartingPosition"]);
  assert.deepEqual(readers.map(({ properties, plain }) => plain(properties["EventSourceArn"])).sort(), CONTEXTS.map((context) => `table matricula-${context} StreamArn`).sort());
  for (const { properties } of readers) {
    assert.equal(properties["StartingPosition"], "TRIM_HORIZON");
    assert.equal(properties["BisectBatchOnFunctionError"], true);
    assert.ok(properties["DestinationConfig"].OnFailure.Destination);
    assert.deepEqual(JSON.parse(properties["FilterCriteria"].Filters[0].Pattern), { eventName: ["INSERT"], dynamodb: { Keys: { pk: { S: [{ prefix: "OUTBOX#" }] } } } });
  }
});

test("every dead letter, every function, and every failed execution raises an alarm, which somebody hears", () => {
  for (const stage of STAGES) {
    const alarms = ofType(stage, "AWS::CloudWatch::Alarm");
    const watched = (metric: string, dimension: string) => new Set(
      alarms.filter(({ properties }) => properties["MetricName"] === metric)
        .flatMap(({ properties, plain }) => properties["Dimensions"].filter((one: any) => one.Name === dimension).map((one: any) => plain(one.Value))),
    );
    const queues = ofType(stage, "AWS::SQS::Queue").map(({ properties }) => String(properties["QueueName"]));
    const deadLetters = queues.filter((name) => name.endsWith("-dead-letters"));
    // Each queue has its own, and so have the streams.
    for (const name of queues.filter((name) => !deadLetters.includes(name))) assert.ok(deadLetters.includes(`${name}-dead-letters`), name);
    // The metric's dimension is an attribute of the queue: its name.
    assert.deepEqual([...watched("ApproximateNumberOfMessagesVisible", "QueueName")].sort(), deadLetters.map((name) => `queue ${name} QueueName`).sort());
    const functions = ofType(stage, "AWS::Lambda::Function").map(({ properties }) => `function ${properties["FunctionName"]}`);
    for (const name of functions) assert.ok(watched("Errors", "FunctionName").has(name), name);
    for (const metric of ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"]) assert.equal(watched(metric, "StateMachineArn").size, 2);
    for (const metric of ["ParkedBundles", "MoodleLagS"]) {
      assert.equal(alarms.filter(({ properties }) => properties["Namespace"] === "Matricula" && properties["MetricName"] === metric).length, 1);
    }
    for (const { id, properties } of alarms) assert.equal(properties["AlarmActions"].length, 1, id);
    assert.equal(ofType(stage, "AWS::CloudWatch::Dashboard").length, 1);
  }
});

test("events are kept for replay on AWS", () => {
  const [{ properties }] = ofType("prod", "AWS::Events::Archive") as [any];
  assert.deepEqual(properties.EventPattern, { source: [{ prefix: "matricula." }] });
  assert.equal(properties.RetentionDays, 365);
});

test("every log ends some day", () => {
  const groups = ofType("prod", "AWS::Logs::LogGroup");
  for (const { id, properties } of groups) assert.ok(properties["RetentionInDays"] > 0, id);
  assert.equal(groups.length, ofType("prod", "AWS::Lambda::Function").length + 3);
});

test("functions are traced, and have the memory and time that the design gives them", () => {
  const byName = new Map(ofType("dev", "AWS::Lambda::Function").map(({ properties }) => [properties["FunctionName"], properties]));
  for (const properties of byName.values()) {
    assert.deepEqual(properties["TracingConfig"], { Mode: "Active" });
    assert.deepEqual(properties["Architectures"], ["arm64"]);
    assert.equal(properties["Environment"].Variables.MATRICULA_STAGE, "dev");
    assert.ok(properties["Environment"].Variables.TABLE_NAME);
  }
  const given = (name: string) => [byName.get(name)!["MemorySize"], byName.get(name)!["Timeout"]];
  assert.deepEqual(given("enrollment-submit"), [256, 10]);
  assert.deepEqual(given("identity-log-in"), [512, 10]);
  assert.deepEqual(given("enrollment-confirm"), [256, 30]);
  assert.deepEqual(given("operations-validate-import"), [512, 900]);
});

test("the stack tells what others need", () => {
  assert.deepEqual(synthesize("dev").outputs.sort(), ["ApiId", "ApiUrl", "EnrollmentStateMachineArn", "EventsBucket", "ImportStateMachineArn", "ImportsBucket"]);
});

test("a secret given for the simulator stands in no template of prod", () => {
  assert.throws(() => matriculaApp({ ...PROD, bootstraps: bootstraps(), paymentProviderKey: "sk_test" }), /would stand in the template/);
  assert.throws(() => matriculaApp({ stage: "prod", bootstraps: bootstraps() }), /needs --context portalUrl/);
});

test("a missing bootstrap is named", () => {
  assert.throws(() => matriculaApp({ bootstraps: "/nowhere" }), /There is no \/nowhere\/identity\/bootstrap: build the functions first/);
});

test("mail comes from the sender's domain, by a configuration set that asks for TLS and heeds bounces", () => {
  for (const [stage, domain] of [["dev", "matricula.example"], ["prod", PROD.senderDomain], ["local", "matricula.example"]] satisfies [Stage, string][]) {
    const identities = ofType(stage, "AWS::SES::EmailIdentity");
    assert.deepEqual(identities.map(({ properties }) => properties), [{ EmailIdentity: domain }]);
    const [{ properties }, ...others] = ofType(stage, "AWS::SES::ConfigurationSet") as any[];
    assert.deepEqual(others, []);
    assert.deepEqual(properties.DeliveryOptions, { TlsPolicy: "REQUIRE" });
    assert.deepEqual(properties.ReputationOptions, { ReputationMetricsEnabled: true });
    assert.deepEqual(properties.SuppressionOptions, { SuppressedReasons: ["BOUNCE", "COMPLAINT"] });
    const senders = ofType(stage, "AWS::Lambda::Function").map((one) => one.properties).filter(({ Environment }) => Environment.Variables.SES_CONFIGURATION_SET);
    assert.deepEqual(senders.map(({ FunctionName }) => FunctionName), ["notifications-on-message-queued"]);
    const { SES_CONFIGURATION_SET, SENDER_ADDRESS } = senders[0]!["Environment"].Variables;
    assert.deepEqual([SES_CONFIGURATION_SET, SENDER_ADDRESS], [properties.Name, `no-reply@${domain}`]);
  }
});

// A network of its own with nothing in it, where the kernel allows one; for what heeds a proxy, one that nobody answers.
const OFFLINE = spawnSync("unshare", ["-rn", "true"]).status === 0 ? ["unshare", "-rn"] : [];
const DEAD_PROXY = Object.fromEntries(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map((name) => [name, "http://127.0.0.1:9"]));

test("the app synthesizes by itself, as the local commands run it, and without a network", () => {
  const out = fs.mkdtempSync(path.join(bootstraps(), "out-"));
  const [command, ...options] = [...OFFLINE, process.execPath, "--import", "tsx", "bin/app.ts"];
  execFileSync(command!, options, {
    cwd: path.resolve(import.meta.dirname, ".."),
    env: { ...process.env, ...DEAD_PROXY, CDK_OUTDIR: out, CDK_CONTEXT_JSON: JSON.stringify({ local: "true", bootstraps: path.dirname(out) }) },
  });
  assert.ok(fs.existsSync(path.join(out, "Matricula.assets.json")));
});
