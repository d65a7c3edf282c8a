// The HTTP API: every route of every context, who may call it from a browser, how often, and a line in the log for each call.
import { Duration, NestedStack, Validations } from "aws-cdk-lib";
import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import {
  type CfnStage, CorsHttpMethod, HttpApi, HttpMethod, HttpNoneAuthorizer, HttpRoute, HttpRouteKey, HttpStage, LogGroupLogDestination,
} from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaAuthorizer, HttpLambdaResponseType } from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { Context } from "./context.ts";
import { live } from "./releases.ts";
import type { Settings } from "./settings.ts";

const REQUESTS_PER_SECOND = 200;
const REQUESTS_AT_ONCE = 400;
/** Here strangers prove who they are, or have a mail sent: an attempt may be a guess, and many cost us Argon2id, a mail or a call to another provider. */
const ATTEMPTS = {
  routes: [
    "POST /accounts", "POST /accounts/{account}/invitation", "POST /accounts/{account}/password", "POST /accounts/{account}/verification",
    "POST /oauth/token", "POST /password-resets", "POST /sessions", "POST /sign-ins", "POST /sign-ins/{sign_in}/completion",
  ],
  perSecond: 20,
  atOnce: 40,
};
/** The authorizer itself remembers a session for 25 s: what ends is ended everywhere within a minute. */
const AUTHORIZER_CACHE_S = 30;

// What an operator needs to find a call, without the caller's token or address.
const LOG_LINE = AccessLogFormat.custom(
  JSON.stringify({
    time: "$context.requestTime",
    request_id: "$context.requestId",
    route: "$context.routeKey",
    status: "$context.status",
    latency_ms: "$context.responseLatency",
    integration_ms: "$context.integrationLatency",
    authorizer_error: "$context.authorizer.error",
    integration_error: "$context.integrationErrorMessage",
    response_bytes: "$context.responseLength",
  }),
);

export class Api extends NestedStack {
  readonly url: string;
  readonly apiId: string;
  private readonly api: HttpApi;

  constructor(scope: Construct, settings: Settings, contexts: Context[], authorizer: IFunction) {
    super(scope, "Api", { description: "Matricula: the HTTP API" });
    this.api = new HttpApi(this, "Api", {
      apiName: `matricula-${settings.stage}`,
      createDefaultStage: false,
      corsPreflight: {
        allowOrigins: [settings.portalOrigin],
        allowMethods: [CorsHttpMethod.GET, CorsHttpMethod.POST, CorsHttpMethod.PUT, CorsHttpMethod.PATCH, CorsHttpMethod.DELETE],
        allowHeaders: ["authorization", "content-type", "idempotency-key", "if-match", "accept-language", "x-correlation-id"],
        exposeHeaders: ["etag", "retry-after", "x-correlation-id"],
        maxAge: Duration.hours(1),
      },
    });
    const signedIn = new HttpLambdaAuthorizer("authorizer", authorizer, {
      responseTypes: [HttpLambdaResponseType.SIMPLE],
      identitySource: ["$request.header.Authorization"],
      resultsCacheTtl: Duration.seconds(AUTHORIZER_CACHE_S),
    });
    const routes = contexts.map((context) => new Routes(scope, context, this.api, signedIn));
    this.stage(scope, settings, routes);
    this.url = this.api.apiEndpoint;
    this.apiId = this.api.apiId;
  }

  /** Stands in the root: a stage refuses settings of a route that is not there yet. */
  private stage(scope: Construct, settings: Settings, routes: Routes[]): void {
    const stage = new HttpStage(scope, "Stage", {
      httpApi: this.api,
      autoDeploy: true,
      throttle: { rateLimit: REQUESTS_PER_SECOND, burstLimit: REQUESTS_AT_ONCE },
      detailedMetricsEnabled: true,
      accessLogSettings: { destination: new LogGroupLogDestination(accessLog(scope, settings)), format: LOG_LINE },
    });
    const resource = stage.node.defaultChild as CfnStage;
    const limits = { ThrottlingRateLimit: ATTEMPTS.perSecond, ThrottlingBurstLimit: ATTEMPTS.atOnce, DetailedMetricsEnabled: true };
    resource.routeSettings = Object.fromEntries(ATTEMPTS.routes.map((route) => [route, limits]));
    resource.node.addDependency(...routes);
  }
}

/** The routes of one context, with what makes its functions live: a stack takes 500 resources and 200 parameters. */
class Routes extends NestedStack {
  constructor(scope: Construct, context: Context, api: HttpApi, signedIn: HttpLambdaAuthorizer) {
    super(scope, `${context.node.id}Routes`, { description: `Matricula: the routes of ${context.node.id}` });
    for (const { route, open, operation, created } of context.routes) {
      const one = new HttpRoute(this, route, {
        httpApi: api,
        routeKey: routeKey(route),
        integration: new HttpLambdaIntegration(operation, live(this, context, operation, created)),
        authorizer: open ? new HttpNoneAuthorizer() : signedIn,
      });
      if (open) {
        Validations.of(one).acknowledge({ id: "AwsSolutions-APIG4", reason: `${operation} is for anybody: it is open by design.` });
      }
    }
  }
}

function accessLog(scope: Construct, settings: Settings): LogGroup {
  return new LogGroup(scope, "AccessLog", {
    logGroupName: `/aws/vendedlogs/matricula-${settings.stage}-api`,
    retention: settings.logRetention,
    removalPolicy: settings.removal,
  });
}

function routeKey(route: string): HttpRouteKey {
  if (route === "$default") return HttpRouteKey.DEFAULT;
  const [method, path] = route.split(" ") as [keyof typeof HttpMethod, string];
  return HttpRouteKey.with(path, HttpMethod[method]);
}
