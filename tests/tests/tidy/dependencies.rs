//! Contexts share event types and nothing else: none depends on another, and nothing shared depends on one.

use tests::repository;

use crate::assert_tidy;

fn findings(path: &str, manifest: &str, own: &str, contexts: &[String]) -> Vec<String> {
    let keys = manifest.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    let foreign = keys.filter(|key| *key != own && contexts.iter().any(|context| context == key));
    foreign.map(|context| format!("{path} depends on the context {context}")).collect()
}

#[test]
fn no_context_depends_on_another() {
    let contexts = repository::contexts();
    let manifests = ["functions", "shared"]
        .iter()
        .flat_map(|folder| repository::files(folder, &["Cargo.toml"]));
    let found: Vec<String> = manifests
        .flat_map(|(path, manifest)| {
            let own = path.split('/').nth(1).unwrap_or_default().to_owned();
            findings(&path, &manifest, &own, &contexts)
        })
        .collect();
    assert_tidy(&found);
}

#[test]
fn a_dependency_between_contexts_is_found() {
    let contexts = ["billing".to_owned(), "catalog".to_owned()];
    let manifest = "[package]\nname = \"billing\"\n\n[dependencies]\n\
        events.workspace = true\ncatalog = { path = \"x\" }\n";
    assert_eq!(
        findings("billing/Cargo.toml", manifest, "billing", &contexts),
        ["billing/Cargo.toml depends on the context catalog"]
    );
}
