//! Finds the steps in the contexts' main.rs, so that a new one gets its sample without being listed anywhere.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

const DOOR: &str = "shell::step(";

fn main() {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    println!("cargo::rerun-if-changed={}", functions.display());
    let mut contexts: Vec<_> = fs::read_dir(&functions)
        .expect("the contexts can be listed")
        .map(|entry| entry.expect("a context can be read").path())
        .collect();
    contexts.sort();
    let mut steps = String::from("vec![\n");
    for context in contexts {
        let name = context.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        let main =
            fs::read_to_string(context.join("src/main.rs")).expect("a context has a main.rs");
        for module in main.split(DOOR).skip(1).filter_map(handler) {
            let function = format!("{name}-{}", module.replace('_', "-"));
            writeln!(steps, "(\"{function}\", input_of({name}::operations::{module}::handle)),")
                .expect("a text takes more text");
        }
    }
    steps.push(']');
    let folder = env::var("OUT_DIR").expect("cargo names the folder");
    fs::write(Path::new(&folder).join("steps.rs"), steps).expect("the list can be written");
}

/// The operation's module in `ctx, op::release_seats::handle).await`.
fn handler(call: &str) -> Option<&str> {
    call.split(')').next()?.split("op::").nth(1)?.strip_suffix("::handle")
}
