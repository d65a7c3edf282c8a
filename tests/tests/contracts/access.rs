//! Who may use the API, and how far they reach: `docs/access.md`.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write;

use kernel::{Id, ServiceClientId};
use serde_json::{Value, json};
use shell::http::Door;
use shell::{Access, Call, ClientScope, HttpOperation, Route, ServiceClient};
use table::Table;
use testkit::TestTable;
use tests::checked_in::{self, Files};
use tests::contexts::http_operations;
use tokio::time::{Duration, Instant};

#[test]
fn the_table_is_checked_in() {
    let path = "docs/access.md";
    let files = Files::from([(path.to_owned(), table(&http_operations()))]);
    checked_in::check(&files, "docs", |other| other == path);
}

fn table(operations: &[HttpOperation]) -> String {
    let mut text = String::from(
        "# Who may do what\n\n\
         Generated from the routes, as is the security section of `openapi.json`; the shell judges every call by \
         the same lines, and refuses everybody who is not listed. *own* is what belongs to the caller (a term or a \
         course belongs to nobody: everybody who is logged in may read it); *section* is what belongs to a section \
         that names the caller as a teacher; *department* is what belongs to a department in which the caller \
         holds the role. A service client is another system that has been allowed what stands in brackets.\n\n\
         An import makes students and teachers of the people in its file. Whoever may approve imports, registrars too, \
         makes teachers in this way, although one by one only HR officers and administrators give that role.\n\n\
         | Operation | Route | Who | Scope |\n|---|---|---|---|\n",
    );
    for operation in operations {
        let HttpOperation { context, route, .. } = operation;
        for (who, scope) in allowed(route) {
            let (operation, method, path) = (route.operation, route.method.name(), route.path);
            writeln!(text, "| {context}-{operation} | {method} {path} | {who} | {scope} |")
                .expect("a text takes more text");
        }
    }
    text
}

fn allowed(route: &Route) -> Vec<(Cow<'static, str>, &'static str)> {
    let mut allowed: Vec<(Cow<'static, str>, _)> = match route.access {
        Access::Public => vec![("anybody".into(), "–")],
        Access::LoggedIn => vec![("whoever is logged in".into(), "own")],
        Access::Roles(allows) => {
            allows.iter().map(|allow| (allow.role.name().into(), allow.scope.name())).collect()
        }
    };
    let client = |scope: ClientScope| (format!("service client ({})", scope.name()).into(), "all");
    allowed.extend(route.client_scope.map(client));
    allowed
}

#[test]
fn every_scope_of_service_clients_opens_something_and_nothing_that_is_open_anyway() {
    let operations = http_operations();
    for scope in ClientScope::ALL {
        let opens = |operation: &HttpOperation| operation.route.client_scope == Some(scope);
        assert!(operations.iter().any(opens), "{} opens nothing", scope.name());
    }
    for HttpOperation { context, route, .. } in operations {
        let is_public = route.access == Access::Public;
        assert!(!is_public || route.client_scope.is_none(), "{context}-{}", route.operation);
    }
}

struct OnlyTable(Table);

impl shell::Context for OnlyTable {
    fn table(&self) -> &Table {
        &self.0
    }
}

#[tokio::test]
async fn another_system_passes_the_doors_that_are_for_it_and_no_other_and_is_no_person_behind_them()
{
    let test = TestTable::new().await;
    let context = OnlyTable(test.table.clone());
    let id = ServiceClientId::derived_from("library");
    let client = ServiceClient { id, scopes: ClientScope::ALL.to_vec() };
    for HttpOperation { context: of, route, .. } in http_operations() {
        if route.access == Access::Public {
            continue;
        }
        let entered = Cell::new(false);
        let handler = async |_: &OnlyTable, call: &Call<Value>| {
            entered.set(call.caller.is_none() && call.client.as_ref() == Some(&client));
            Ok(Value::Null)
        };
        let mut event = testkit::http_event(route.method.name(), &[], &Value::Null, None);
        let authorized = json!({ "client": json!(client).to_string() });
        event["requestContext"]["authorizer"] = json!({ "lambda": authorized });
        let deadline = Instant::now() + Duration::from_secs(30);
        let reply = Door::new(&route).answer(&context, &handler, &event, deadline).await;
        let is_for_it = route.client_scope.is_some();
        let status = if is_for_it { 204 } else { 403 };
        assert_eq!(
            (&reply["statusCode"], entered.get()),
            (&json!(status), is_for_it),
            "{of}-{}: {reply}",
            route.operation
        );
    }
}
