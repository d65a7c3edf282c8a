// What may differ between deployments: read once from CDK's context, so that nothing else asks for it.
import * as path from "node:path";
import { RemovalPolicy } from "aws-cdk-lib";
import { Architecture } from "aws-cdk-lib/aws-lambda";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Node } from "constructs";

const DAY_S = 24 * 60 * 60;

export interface Settings {
  readonly stage: "dev" | "prod";
  /** Leaves out what the local cloud does not know; changes nothing else. */
  readonly local: boolean;
  readonly architecture: Architecture;
  /** The folder that holds `<context>/bootstrap` for every context. */
  readonly bootstraps: string;
  readonly stateMachines: string;
  /** Where the portal is served. */
  readonly portalUrl: string;
  /** The one origin that may call the API from a browser: the portal's. */
  readonly portalOrigin: string;
  readonly paymentProviderUrl: string;
  /** Empty where no mobile money is taken. */
  readonly mobileMoneyUrl: string;
  /** What MTN calls the country: `mtncameroon`. */
  readonly mobileMoneyEnvironment: string;
  /** The domain that mail comes from; its DNS must prove it to SES. */
  readonly senderDomain: string;
  /** The address of the API as its callers know it, which its tokens name as their issuer; without a slash at its end. */
  readonly issuer: string;
  /** Whether roles of the staff count only in sessions that have passed a second factor. */
  readonly staffSecondFactor: "required" | "optional";
  /** Who may open an account by themselves though nobody has registered or imported them: `everybody`, `none`, or who has an address in these domains. */
  readonly selfRegistration: string;
  /** How long the head of department has to approve, in seconds. */
  readonly approvalTimeoutS: number;
  /** How long the student has to pay from the moment the seat was taken, in seconds. */
  readonly paymentTimeoutS: number;
  /** What the numbers of invoices begin with. */
  readonly legalEntity: string;
  /** The institution's IANA time zone: in it days and fiscal years end. */
  readonly timeZone: string;
  /** 1 where the fiscal year is the calendar year. */
  readonly fiscalYearFirstMonth: number;
  /** From an invoice's date to the day on which it is due. */
  readonly paymentTermsDays: number;
  /** Given when the payment provider is a simulator; else generated, and replaced by the operator. */
  readonly paymentWebhookSecret?: string;
  readonly paymentProviderKey?: string;
  readonly mobileMoneyCredentials?: string;
  /** What happens to data and logs when their resource leaves the stack. */
  readonly removal: RemovalPolicy;
  readonly logRetention: RetentionDays;
}

export function readSettings(node: Node): Settings {
  const text = (name: string): string | undefined => {
    const value: unknown = node.tryGetContext(name);
    return value === undefined || value === "" ? undefined : String(value);
  };
  const needed = (name: string, inDev: string): string => {
    const value = text(name) ?? (prod ? undefined : inDev);
    if (value === undefined) throw new Error(`The prod stage needs --context ${name}=….`);
    return value;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[], otherwise: T): T => {
    const value = text(name) ?? otherwise;
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`--context ${name}=${value}: it must be one of ${allowed.join(", ")}.`);
    return found;
  };

  const stage = oneOf("stage", ["dev", "prod"], "dev");
  const prod = stage === "prod";
  const local = oneOf("local", ["true", "false"], "false") === "true";
  const architecture = oneOf("arch", ["arm64", "x86_64"], "arm64");
  const repository = path.resolve(import.meta.dirname, "../../..");
  const portalUrl = needed("portalUrl", "http://localhost:5173");
  const settings: Settings = {
    stage,
    local,
    architecture: architecture === "arm64" ? Architecture.ARM_64 : Architecture.X86_64,
    bootstraps: path.resolve(text("bootstraps") ?? path.join(repository, "target/lambda")),
    stateMachines: path.resolve(text("stateMachines") ?? path.join(repository, "state-machines")),
    portalUrl,
    portalOrigin: new URL(portalUrl).origin,
    paymentProviderUrl: needed("paymentProviderUrl", "http://127.0.0.1:4570"),
    mobileMoneyUrl: text("mobileMoneyUrl") ?? "",
    mobileMoneyEnvironment: text("mobileMoneyEnvironment") ?? "sandbox",
    senderDomain: needed("senderDomain", "matricula.example"),
    issuer: needed("issuer", "https://dev.matricula.example").replace(/\/+$/, ""),
    staffSecondFactor: oneOf("staffSecondFactor", ["required", "optional"], prod ? "required" : "optional"),
    selfRegistration: selfRegistration(text("selfRegistration") ?? (prod ? "none" : "everybody")),
    approvalTimeoutS: Number(text("approvalTimeoutS") ?? 7 * DAY_S),
    paymentTimeoutS: Number(text("paymentTimeoutS") ?? 7 * DAY_S),
    legalEntity: text("legalEntity") ?? "MAT",
    timeZone: text("timeZone") ?? "UTC",
    fiscalYearFirstMonth: Number(text("fiscalYearFirstMonth") ?? 1),
    paymentTermsDays: Number(text("paymentTermsDays") ?? 7),
    paymentWebhookSecret: text("paymentWebhookSecret"),
    paymentProviderKey: text("paymentProviderKey"),
    mobileMoneyCredentials: text("mobileMoneyCredentials"),
    removal: prod ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    logRetention: prod ? RetentionDays.ONE_YEAR : RetentionDays.TWO_WEEKS,
  };
  if (prod && (settings.paymentWebhookSecret || settings.paymentProviderKey || settings.mobileMoneyCredentials)) {
    throw new Error("A secret given by --context would stand in the template: in prod, put it into Secrets Manager.");
  }
  return settings;
}

/** `everybody`, `none`, or domains with commas between them. */
function selfRegistration(value: string): string {
  const domains = value.toLowerCase().split(",").map((domain) => domain.trim());
  const isDomain = (domain: string) => /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain);
  if (value === "everybody" || value === "none") return value;
  if (!domains.every(isDomain)) throw new Error(`--context selfRegistration=${value}: it must be everybody, none, or domains such as uni.example,students.uni.example.`);
  return domains.join(",");
}
