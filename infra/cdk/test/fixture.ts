// Synthesizes the app for the tests, and reads its stacks, the nested ones too, as one set of resources.
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { type App, NestedStack, type Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { matriculaApp } from "../lib/app.ts";

export type Stage = "dev" | "prod" | "local";

export interface Resource {
  readonly id: string;
  /** The nested stack that it is in. */
  readonly stack: string;
  readonly type: string;
  readonly properties: Record<string, any>;
  readonly definition: Record<string, any>;
  /** A value of this resource with every reference followed, to the names that people know. */
  readonly plain: (value: unknown) => any;
}

export interface Synthesized {
  readonly app: App;
  readonly stack: Stack;
  readonly resources: Resource[];
  readonly outputs: string[];
}

export const CONTEXTS = ["identity", "catalog", "enrollment", "billing", "moodle", "notifications", "operations"];

export const PROD = { stage: "prod", portalUrl: "https://portal.matricula.example/app/", paymentProviderUrl: "https://payments.matricula.example", senderDomain: "matricula.example", issuer: "https://api.matricula.example/" };
const CONTEXT_OF_STAGE: Record<Stage, Record<string, string>> = { dev: {}, prod: PROD, local: { local: "true" } };

/** A folder with a bootstrap for each context, which nobody will run. */
export function bootstraps(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "matricula-bootstraps-"));
  for (const context of CONTEXTS) {
    fs.mkdirSync(path.join(folder, context));
    fs.writeFileSync(path.join(folder, context, "bootstrap"), `${context}\n`);
  }
  process.once("exit", () => fs.rmSync(folder, { recursive: true }));
  return folder;
}

const synthesized = new Map<Stage, Synthesized>();

export function synthesize(stage: Stage): Synthesized {
  const known = synthesized.get(stage);
  if (known) return known;
  const { app, stack } = matriculaApp({ bootstraps: bootstraps(), ...CONTEXT_OF_STAGE[stage] });
  const nested = stack.node.findAll().filter((child) => child instanceof NestedStack);
  const root: Part = { name: "root", template: Template.fromStack(stack).toJSON(), parameters: {}, children: new Map() };
  for (const child of nested) {
    const id = stack.resolve((child.nestedStackResource as any).logicalId);
    root.children.set(id, {
      name: child.node.id,
      template: Template.fromStack(child).toJSON(),
      parameters: root.template["Resources"][id].Properties.Parameters ?? {},
      parent: root,
      children: new Map(),
    });
  }
  const resources = [root, ...root.children.values()].flatMap(resourcesOf);
  const result = { app, stack, resources, outputs: Object.keys(root.template["Outputs"]) };
  synthesized.set(stage, result);
  return result;
}

export const ofType = (stage: Stage, type: string): Resource[] => synthesize(stage).resources.filter((resource) => resource.type === type);

interface Part {
  readonly name: string;
  readonly template: Record<string, any>;
  readonly parameters: Record<string, unknown>;
  readonly parent?: Part;
  readonly children: Map<string, Part>;
}

function resourcesOf(part: Part): Resource[] {
  return Object.entries<any>(part.template["Resources"]).map(([id, definition]) => ({
    id,
    stack: part.name,
    type: definition.Type,
    properties: definition.Properties ?? {},
    definition,
    plain: (value: unknown) => plain(part, value),
  }));
}

const PSEUDO: Record<string, string> = { "AWS::Partition": "aws", "AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT" };

function plain(part: Part, value: any): any {
  if (Array.isArray(value)) return value.map((one) => plain(part, one));
  if (typeof value !== "object" || value === null) return value;
  if ("Ref" in value) {
    if (value.Ref in PSEUDO) return PSEUDO[value.Ref];
    if (value.Ref in part.parameters) return plain(part.parent!, part.parameters[value.Ref]);
    return nameOf(part, value.Ref);
  }
  if ("Fn::Join" in value) {
    const [separator, parts] = value["Fn::Join"];
    return plain(part, parts).join(separator);
  }
  if ("Fn::GetAtt" in value) {
    const [id, attribute] = value["Fn::GetAtt"] as [string, string];
    const child = part.children.get(id);
    if (child) return plain(child, child.template["Outputs"][attribute.replace("Outputs.", "")].Value);
    return attribute === "Arn" ? nameOf(part, id) : `${nameOf(part, id)} ${attribute}`;
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(part, one)]));
}

// Which property names a resource; what has no name of its own is known by its id, without CDK's hash.
const NAME_PROPERTY: Record<string, string> = {
  "AWS::DynamoDB::Table": "TableName",
  "AWS::Lambda::Function": "FunctionName",
  "AWS::SQS::Queue": "QueueName",
  "AWS::Events::EventBus": "Name",
  "AWS::SecretsManager::Secret": "Name",
  "AWS::StepFunctions::StateMachine": "StateMachineName",
};

function nameOf(part: Part, id: string): string {
  const resource = part.template["Resources"][id];
  if (!resource) return id;
  const kind = resource.Type.split("::").at(-1).toLowerCase();
  const property = NAME_PROPERTY[resource.Type];
  return `${kind} ${property ? resource.Properties[property] : id.replace(/[0-9A-F]{8}$/, "")}`;
}
