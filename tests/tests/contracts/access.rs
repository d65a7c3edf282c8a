//! Who may use the API, and how far they reach: `docs/access.md`.

use std::fmt::Write;

use shell::{Access, HttpOperation, Scope};
use tests::checked_in::{self, Files};
use tests::contexts::http_operations;

#[test]
fn the_table_is_checked_in() {
    let path = "docs/access.md";
    let files = Files::from([(path.to_owned(), table(&http_operations()))]);
    checked_in::check(&files, "docs", |other| other == path);
}

fn table(operations: &[HttpOperation]) -> String {
    let mut text = String::from(
        "# Who may do what\n\n\
         Generated from the routes. The shell refuses everybody who is not listed. *own* is what belongs to the \
         caller (a term or a course belongs to nobody: everybody who is logged in may read it); *department* is \
         what belongs to a department in which the caller holds the role.\n\n\
         | Operation | Route | Who | Scope |\n|---|---|---|---|\n",
    );
    for operation in operations {
        let HttpOperation { context, route, .. } = operation;
        for (who, scope) in allowed(route.access) {
            let (operation, method, path) = (route.operation, route.method.name(), route.path);
            writeln!(text, "| {context}-{operation} | {method} {path} | {who} | {scope} |")
                .expect("a text takes more text");
        }
    }
    text
}

fn allowed(access: Access) -> Vec<(&'static str, &'static str)> {
    match access {
        Access::Public => vec![("anybody", "–")],
        Access::LoggedIn => vec![("whoever is logged in", "own")],
        Access::Roles(allows) => {
            allows.iter().map(|allow| (allow.role.name(), reach(allow.scope))).collect()
        }
    }
}

fn reach(scope: Scope) -> &'static str {
    match scope {
        Scope::Own => "own",
        Scope::Department => "department",
        Scope::All => "all",
    }
}
