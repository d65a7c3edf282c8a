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
        "edit-term" => shell::http(&op::edit_term::ROUTE, ctx, op::edit_term::handle).await,
        "move-term" => shell::http(&op::move_term::ROUTE, ctx, op::move_term::handle).await,
        "read-calendar" => {
            shell::http(&op::read_calendar::ROUTE, ctx, op::read_calendar::handle).await
        }
        "edit-calendar" => {
            shell::http(&op::edit_calendar::ROUTE, ctx, op::edit_calendar::handle).await
        }
        "create-program" => {
            shell::http(&op::create_program::ROUTE, ctx, op::create_program::handle).await
        }
        "list-programs" => {
            shell::http(&op::list_programs::ROUTE, ctx, op::list_programs::handle).await
        }
        "read-program" => {
            shell::http(&op::read_program::ROUTE, ctx, op::read_program::handle).await
        }
        "edit-program" => {
            shell::http(&op::edit_program::ROUTE, ctx, op::edit_program::handle).await
        }
        "create-course" => {
            shell::http(&op::create_course::ROUTE, ctx, op::create_course::handle).await
        }
        "list-courses" => {
            shell::http(&op::list_courses::ROUTE, ctx, op::list_courses::handle).await
        }
        "read-course" => shell::http(&op::read_course::ROUTE, ctx, op::read_course::handle).await,
        "edit-course" => shell::http(&op::edit_course::ROUTE, ctx, op::edit_course::handle).await,
        "retire-course" => {
            shell::http(&op::retire_course::ROUTE, ctx, op::retire_course::handle).await
        }
        // Import steps
        "import-catalog" => shell::step(ctx, op::import_catalog::handle).await,
        of_sections => sections(of_sections, ctx).await,
    }
}

/// Sections, what ties them together, and their way into another term.
async fn sections(operation: &str, ctx: &Ctx) -> Result<(), lambda_runtime::Error> {
    match operation {
        // HTTP
        "create-section" => {
            shell::http(&op::create_section::ROUTE, ctx, op::create_section::handle).await
        }
        "list-sections" => {
            shell::http(&op::list_sections::ROUTE, ctx, op::list_sections::handle).await
        }
        "read-section" => {
            shell::http(&op::read_section::ROUTE, ctx, op::read_section::handle).await
        }
        "edit-section" => {
            shell::http(&op::edit_section::ROUTE, ctx, op::edit_section::handle).await
        }
        "move-section" => {
            shell::http(&op::move_section::ROUTE, ctx, op::move_section::handle).await
        }
        "cancel-section" => {
            shell::http(&op::cancel_section::ROUTE, ctx, op::cancel_section::handle).await
        }
        "read-clashes" => {
            shell::http(&op::read_clashes::ROUTE, ctx, op::read_clashes::handle).await
        }
        "create-registration-group" => {
            shell::http(
                &op::create_registration_group::ROUTE,
                ctx,
                op::create_registration_group::handle,
            )
            .await
        }
        "list-registration-groups" => {
            shell::http(
                &op::list_registration_groups::ROUTE,
                ctx,
                op::list_registration_groups::handle,
            )
            .await
        }
        "cancel-registration-group" => {
            shell::http(
                &op::cancel_registration_group::ROUTE,
                ctx,
                op::cancel_registration_group::handle,
            )
            .await
        }
        "create-cross-list" => {
            shell::http(&op::create_cross_list::ROUTE, ctx, op::create_cross_list::handle).await
        }
        "list-cross-lists" => {
            shell::http(&op::list_cross_lists::ROUTE, ctx, op::list_cross_lists::handle).await
        }
        "edit-cross-list" => {
            shell::http(&op::edit_cross_list::ROUTE, ctx, op::edit_cross_list::handle).await
        }
        "create-rollover" => {
            shell::http(&op::create_rollover::ROUTE, ctx, op::create_rollover::handle).await
        }
        "read-rollover" => {
            shell::http(&op::read_rollover::ROUTE, ctx, op::read_rollover::handle).await
        }
        "start-rollover" => {
            shell::http(&op::start_rollover::ROUTE, ctx, op::start_rollover::handle).await
        }
        // Events
        "on-rollover-advanced" => shell::events(ctx, op::on_rollover_advanced::handle).await,
        unknown => panic!("catalog has no operation {unknown:?}"),
    }
}
