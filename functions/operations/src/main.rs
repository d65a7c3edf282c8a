//! The operations context: one Lambda function per line; Lambda's handler setting picks which.

use operations::{Ctx, OPENAPI, operations as op, page};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "health" => shell::http(&op::health::ROUTE, ctx, op::health::handle).await,
        "readiness" => shell::http(&op::readiness::ROUTE, ctx, op::readiness::handle).await,
        "openapi" => {
            let document = || OPENAPI.to_owned();
            shell::http_page(&op::openapi::ROUTE, "application/json", document).await
        }
        "api-page" => {
            let page = page::of(OPENAPI);
            let html = || page.clone();
            shell::http_page(&op::api_page::ROUTE, "text/html; charset=utf-8", html).await
        }
        "not-found" => shell::http_raw(&op::not_found::ROUTE, ctx, op::not_found::handle).await,
        "create-import" => {
            shell::http(&op::create_import::ROUTE, ctx, op::create_import::handle).await
        }
        "start-import" => {
            shell::http(&op::start_import::ROUTE, ctx, op::start_import::handle).await
        }
        "read-import" => shell::http(&op::read_import::ROUTE, ctx, op::read_import::handle).await,
        "list-import-report" => {
            shell::http(&op::list_import_report::ROUTE, ctx, op::list_import_report::handle).await
        }
        "approve-import" => {
            shell::http(&op::approve_import::ROUTE, ctx, op::approve_import::handle).await
        }
        // Import steps
        "validate-import" => shell::step(ctx, op::validate_import::handle).await,
        "await-import-approval" => shell::step(ctx, op::await_import_approval::handle).await,
        "read-import-chunk" => shell::step(ctx, op::read_import_chunk::handle).await,
        "record-import-chunk" => shell::step(ctx, op::record_import_chunk::handle).await,
        "finish-import" => shell::step(ctx, op::finish_import::handle).await,
        // Streams
        "publish" => shell::stream(ctx, op::publish::handle).await,
        // Events
        "archive-events" => shell::events(ctx, op::archive_events::handle).await,
        // Schedules
        "sweep-outbox" => shell::schedule(ctx, op::sweep_outbox::handle).await,
        unknown => panic!("operations has no operation {unknown:?}"),
    }
}
