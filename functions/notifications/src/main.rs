//! The notifications context: one Lambda function per line; Lambda's handler setting picks which.

use notifications::{Ctx, SendingCtx, operations as op};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let ctx = &Ctx::from_environment();
    match shell::operation().as_str() {
        // HTTP
        "list-messages" => {
            shell::http(&op::list_messages::ROUTE, ctx, op::list_messages::handle).await
        }
        // Saga steps
        "notify" => shell::step(ctx, op::notify::handle).await,
        // Events
        "on-person-changed" => shell::events(ctx, op::on_person_changed::handle).await,
        "on-account-alert" => shell::events(ctx, op::on_account_alert::handle).await,
        "on-email-verification-requested" => {
            shell::events(ctx, op::on_email_verification_requested::handle).await
        }
        "on-enrollment-news" => shell::events(ctx, op::on_enrollment_news::handle).await,
        "on-charge-posted" => shell::events(ctx, op::on_charge_posted::handle).await,
        "on-dunning-step-taken" => shell::events(ctx, op::on_dunning_step_taken::handle).await,
        "on-registration-dropped" => shell::events(ctx, op::on_registration_dropped::handle).await,
        "on-link-requested" => shell::events(ctx, op::on_link_requested::handle).await,
        "on-message-queued" => {
            let ctx = &SendingCtx::from_environment(ctx.table.clone());
            shell::events(ctx, op::on_message_queued::handle).await
        }
        unknown => panic!("notifications has no operation {unknown:?}"),
    }
}
