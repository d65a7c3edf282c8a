//! The catalog context: one Lambda function per line; Lambda's handler setting picks which.

use catalog::{Ctx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "create-term" => shell::http(&op::create_term::ROUTE, ctx, op::create_term::handle).await,
        "list-terms" => shell::http(&op::list_terms::ROUTE, ctx, op::list_terms::handle).await,
        "read-term" => shell::http(&op::read_term::ROUTE, ctx, op::read_term::handle).await,
        "create-course" => {
            shell::http(&op::create_course::ROUTE, ctx, op::create_course::handle).await
        }
        "list-courses" => {
            shell::http(&op::list_courses::ROUTE, ctx, op::list_courses::handle).await
        }
        "read-course" => shell::http(&op::read_course::ROUTE, ctx, op::read_course::handle).await,
        "create-section" => {
            shell::http(&op::create_section::ROUTE, ctx, op::create_section::handle).await
        }
        "list-sections" => {
            shell::http(&op::list_sections::ROUTE, ctx, op::list_sections::handle).await
        }
        "read-section" => {
            shell::http(&op::read_section::ROUTE, ctx, op::read_section::handle).await
        }
        // Import steps
        "import-catalog" => shell::step(ctx, op::import_catalog::handle).await,
        unknown => panic!("catalog has no operation {unknown:?}"),
    }
}
