// What every function may do: compared with the checked-in list, which UPDATE=1 rewrites.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { ofType, type Resource, type Stage, synthesize } from "./fixture.ts";

const SNAPSHOT = path.join(import.meta.dirname, "iam.snapshot.json");
const ABOUT = "What every function may do: function → action → resources. Rewritten by UPDATE=1 npm test; read the difference.";

type Permissions = Record<string, Record<string, string[]>>;

function permissions(stage: Stage): Permissions {
  // Operations of two contexts may have one name: ids are unique in their stack only.
  const roles = new Map(ofType(stage, "AWS::IAM::Role").map((role) => [`${role.stack} ${role.id}`, role]));
  const byFunction: [string, Record<string, string[]>][] = ofType(stage, "AWS::Lambda::Function").map((one) => {
    const role = roles.get(`${one.stack} ${one.properties["Role"]["Fn::GetAtt"][0]}`)!;
    return [one.properties["FunctionName"], byAction(role)];
  });
  return Object.fromEntries(byFunction.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function byAction(role: Resource): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const policy of role.properties["Policies"]) {
    for (const { Effect, Action, Resource, Condition } of role.plain(policy.PolicyDocument).Statement) {
      assert.equal(Effect, "Allow");
      const when = Condition ? ` when ${JSON.stringify(Condition).replaceAll('"', "'")}` : "";
      for (const action of [Action].flat().map((one: string) => one + when)) {
        found[action] = [...(found[action] ?? []), ...[Resource].flat()].sort();
      }
    }
  }
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function written(all: Permissions): string {
  const functions = Object.entries(all).map(([name, actions]) => {
    const lines = Object.entries(actions).map(([action, resources]) => `    ${JSON.stringify(action)}: ${JSON.stringify(resources).replaceAll('","', '", "')}`);
    return `  ${JSON.stringify(name)}: {\n${lines.join(",\n")}\n  }`;
  });
  return `{\n  "//": ${JSON.stringify(ABOUT)},\n${functions.join(",\n")}\n}\n`;
}

test("every function may do exactly what the checked-in list says", () => {
  const found = written(permissions("dev"));
  if (process.env["UPDATE"] === "1") fs.writeFileSync(SNAPSHOT, found);
  assert.deepEqual(JSON.parse(found), JSON.parse(fs.readFileSync(SNAPSHOT, "utf8")), "run UPDATE=1 npm test, and read the difference");
});

test("prod and the local cloud grant what dev grants", () => {
  const names = (all: Permissions): unknown => JSON.parse(JSON.stringify(all).replaceAll(/matricula(-|\/)(dev|prod)/g, "matricula$1STAGE"));
  assert.deepEqual(names(permissions("prod")), names(permissions("dev")));
  assert.deepEqual(permissions("local"), permissions("dev"));
});

test("every function has a role of its own, and no role has a policy from elsewhere", () => {
  const functions = ofType("dev", "AWS::Lambda::Function");
  const roles = functions.map((one) => `${one.stack} ${one.properties["Role"]["Fn::GetAtt"][0]}`);
  assert.equal(new Set(roles).size, functions.length);
  assert.deepEqual(ofType("dev", "AWS::IAM::Policy"), []);
  assert.deepEqual(ofType("dev", "AWS::IAM::ManagedPolicy"), []);
  for (const role of ofType("dev", "AWS::IAM::Role")) assert.equal(role.properties["ManagedPolicyArns"], undefined, role.id);
});

test("no action is a wildcard", () => {
  for (const [name, actions] of Object.entries(permissions("dev"))) {
    for (const action of Object.keys(actions)) assert.ok(!action.split(" when ")[0]!.includes("*"), `${name}: ${action}`);
  }
});

test("a variable that names a secret goes with the permission to read it", () => {
  const all = permissions("dev");
  for (const one of ofType("dev", "AWS::Lambda::Function")) {
    const name = one.properties["FunctionName"];
    const variables = one.plain(one.properties["Environment"].Variables);
    const named = Object.keys(variables).filter((variable) => variable.endsWith("_SECRET")).map((variable) => variables[variable]);
    // The secrets of Moodle sites and of sign-in providers are named by their prefix: these are added while Matricula runs.
    for (const prefix of [variables["MOODLE_TOKENS"], variables["SIGN_IN_SECRETS"]]) {
      if (prefix) named.push(`arn:aws:secretsmanager:REGION:ACCOUNT:secret:${prefix}/*`);
    }
    assert.deepEqual(named.sort(), all[name]!["secretsmanager:GetSecretValue"] ?? [], name);
  }
});

test("every list signs its cursors", () => {
  const lists = ofType("dev", "AWS::Lambda::Function").filter(({ properties }) => properties["Handler"].startsWith("list-"));
  assert.ok(lists.length >= 9);
  for (const { properties } of lists) assert.ok(properties["Environment"].Variables["CURSOR_SECRET"], properties["FunctionName"]);
});

test("a state machine may invoke exactly the functions that it calls", () => {
  for (const machine of ofType("dev", "AWS::StepFunctions::StateMachine")) {
    const role = synthesize("dev").resources.find(({ id }) => id === machine.properties["RoleArn"]["Fn::GetAtt"][0])!;
    const called = Object.values(machine.plain(machine.properties["DefinitionSubstitutions"])).sort();
    assert.deepEqual(byAction(role)["lambda:InvokeFunction"], called);
    assert.ok(called.length > 0);
  }
});
