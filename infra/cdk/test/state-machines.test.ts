// The definitions of the state machines: every placeholder is a function, and nothing stays unresolved.
import assert from "node:assert/strict";
import { test } from "node:test";
import { placeholders } from "../lib/saga.ts";
import { ofType } from "./fixture.ts";

test("every placeholder of a definition is resolved to the function of that name", () => {
  const machines = ofType("dev", "AWS::StepFunctions::StateMachine");
  assert.deepEqual(machines.map(({ properties }) => properties["StateMachineName"]).sort(), ["matricula-dev-enrollment", "matricula-dev-import"]);
  for (const { properties, plain } of machines) {
    const substitutions = plain(properties["DefinitionSubstitutions"]);
    assert.deepEqual(Object.keys(substitutions).sort(), placeholders(properties["DefinitionString"]));
    for (const [name, target] of Object.entries(substitutions)) assert.equal(target, `function ${name}`);
    let definition: string = properties["DefinitionString"];
    for (const name of Object.keys(substitutions)) definition = definition.replaceAll(`\${${name}}`, "arn");
    assert.ok(!definition.includes("${"));
    assert.equal(JSON.parse(definition).QueryLanguage, "JSONata");
  }
});

test("state machines are durable, logged without data, and traced", () => {
  for (const { properties } of ofType("prod", "AWS::StepFunctions::StateMachine")) {
    assert.ok(properties["StateMachineType"] === undefined || properties["StateMachineType"] === "STANDARD");
    assert.equal(properties["LoggingConfiguration"].Level, "ALL");
    assert.equal(properties["LoggingConfiguration"].IncludeExecutionData, false);
    assert.deepEqual(properties["TracingConfiguration"], { Enabled: true });
  }
});

test("placeholders are found once each, in order", () => {
  assert.deepEqual(placeholders('{"a": "${billing-charge}", "b": "${enrollment-park}", "c": "${billing-charge}"}'), ["billing-charge", "enrollment-park"]);
});
