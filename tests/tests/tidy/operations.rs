//! An operation has one name: in `main.rs`, its file, its CDK line, the state machines and the README.

use std::collections::BTreeSet;

use tests::{cdk, repository};

use crate::{assert_tidy, disagreements, readmes};

/// One arm of a context's `main.rs`.
#[derive(Debug, PartialEq)]
pub struct Arm {
    pub name: String,
    /// The front door in shell: `http`, `step`, …
    pub door: String,
    /// The module that is served.
    pub module: String,
}

pub fn arms(main: &str) -> Vec<Arm> {
    let mut arms: Vec<(String, String)> = Vec::new();
    for line in main.lines() {
        let name = line.trim().strip_prefix('"').and_then(|rest| rest.split_once("\" =>"));
        if line.trim().starts_with("unknown =>") {
            break;
        } else if let Some((name, text)) = name {
            arms.push((name.to_owned(), text.to_owned()));
        } else if let Some((_, text)) = arms.last_mut() {
            text.push_str(line);
        }
    }
    arms.into_iter()
        .map(|(name, text)| {
            let after = |mark: &str| {
                let rest = text.split(mark).nth(1).unwrap_or_default();
                let word = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                word.unwrap_or_default().to_owned()
            };
            let door = after("shell::");
            let door = if door.starts_with("http") { "http".to_owned() } else { door };
            Arm { name, door, module: after("op::") }
        })
        .collect()
}

/// Arms that serve another operation's module, and modules whose files have another name.
fn misnamed(path: &str, arms: &[Arm]) -> Vec<String> {
    arms.iter()
        .filter(|arm| arm.module != arm.name.replace('-', "_"))
        .map(|arm| format!("{path}: {:?} serves the operation {:?}", arm.name, arm.module))
        .collect()
}

/// Operations that CDK has called in another way than `main.rs` serves them.
fn at_another_door(path: &str, arms: &[Arm], lines: &[cdk::Line]) -> Vec<String> {
    arms.iter()
        .filter_map(|arm| {
            let line = lines.iter().find(|line| line.operation == arm.name)?;
            let door = line.caller.door();
            (door != arm.door).then(|| {
                format!(
                    "{path}: {:?} is served by {}, CDK has it called by {door}",
                    arm.name, arm.door
                )
            })
        })
        .collect()
}

/// Operations named in a state machine that are not a step of any context.
fn uncalled(path: &str, machine: &str, steps: &BTreeSet<String>) -> Vec<String> {
    let named = machine.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let unknown = named.filter(|name| !steps.contains(*name));
    unknown.map(|name| format!("{path}: ${{{name}}} is no step of any context")).collect()
}

/// Everything about one context.
fn of_context(context: &str) -> Vec<String> {
    let main_path = format!("functions/{context}/src/main.rs");
    let folder = format!("functions/{context}/src/operations");
    let readme_path = format!("functions/{context}/README.md");
    let arms = arms(&repository::read(&main_path).unwrap_or_default());
    let lines = cdk::of(context);
    let names: BTreeSet<String> = arms.iter().map(|arm| arm.name.clone()).collect();
    let modules = repository::paths(&folder)
        .iter()
        .filter_map(|path| path.strip_prefix(&format!("{folder}/"))?.strip_suffix(".rs"))
        .filter(|module| !module.contains('/'))
        .map(|module| module.replace('_', "-"))
        .collect();
    let in_cdk = lines.iter().map(|line| line.operation.clone()).collect();
    let main = (main_path.as_str(), &names);
    let mut found = disagreements(main, (&folder, &modules));
    found.extend(disagreements(main, (&cdk::path(context), &in_cdk)));
    if let Some(readme) = repository::read(&readme_path) {
        let rows = readmes::operations(context, &readme);
        found.extend(disagreements(main, (&readme_path, &rows)));
    }
    found.extend(misnamed(&main_path, &arms));
    found.extend(at_another_door(&main_path, &arms, &lines));
    found
}

#[test]
fn an_operation_has_one_name() {
    let found: Vec<String> =
        repository::contexts().iter().flat_map(|context| of_context(context)).collect();
    assert_tidy(&found);
}

#[test]
fn state_machines_call_steps() {
    let steps = tests::contexts::steps().iter().map(|(name, _)| (*name).to_owned()).collect();
    let machines = repository::files("state-machines", &[".asl.json"]);
    let found: Vec<String> =
        machines.iter().flat_map(|(path, text)| uncalled(path, text, &steps)).collect();
    assert_tidy(&found);
}

#[test]
fn an_arm_is_read_whole() {
    let main = r#"match shell::operation().as_str() {
        "submit" => shell::http(&op::submit::ROUTE, ctx, op::submit::handle).await,
        "on-message-queued" => {
            let ctx = &SendingCtx::from_environment(ctx.table.clone());
            shell::events(ctx, op::on_message::handle).await
        }
        unknown => panic!("no operation {unknown:?}"),"#;
    let arms = arms(main);
    let arm = |name: &str, door: &str, module: &str| Arm {
        name: name.into(),
        door: door.into(),
        module: module.into(),
    };
    assert_eq!(
        arms,
        [arm("submit", "http", "submit"), arm("on-message-queued", "events", "on_message")]
    );
    assert_eq!(
        misnamed("m", &arms),
        ["m: \"on-message-queued\" serves the operation \"on_message\""]
    );
    let lines = cdk::lines(r#"context.step("submit", [writes]);"#);
    assert_eq!(
        at_another_door("m", &arms, &lines),
        ["m: \"submit\" is served by http, CDK has it called by step"]
    );
}

#[test]
fn a_placeholder_without_a_step_is_found() {
    let machine = r#"{ "FunctionName": "${billing-charge}", "Other": "${billing-charg}" }"#;
    let steps = BTreeSet::from(["billing-charge".to_owned()]);
    assert_eq!(uncalled("m", machine, &steps), ["m: ${billing-charg} is no step of any context"]);
}
