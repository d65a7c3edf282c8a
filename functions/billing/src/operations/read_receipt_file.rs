//! Where to look at the file of a receipt: a short-lived address, given out once what lies there is seen to be what was
//! announced. What is not, nobody is led to.

use std::time::Duration;

use bucket::Content;
use kernel::{PersonId, ReceiptId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Route};

use super::OWN_OR_BURSAR;
use super::attach_receipt_file::object_key;
use crate::Ctx;
use crate::domain::{ReceiptFile, Refusal};
use crate::store;

pub const ROUTE: Route = Route::get(
    "read-receipt-file",
    "/receipts/{receipt}/file",
    OWN_OR_BURSAR,
    "Be told where to look at the file of a receipt",
);

/// How long it may be looked at.
const DOWNLOAD_VALID: Duration = Duration::from_mins(5);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub receipt: ReceiptId,
    /// Who handed it in; the caller unless given.
    pub student: Option<PersonId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    pub file: ReceiptFile,
    /// GET it here; whoever holds the address may.
    pub download_url: String,
    pub expires_at: Timestamp,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::ReceiptUnknown.into());
    }
    let receipt = ctx.table.get(&store::receipt_key(student, call.command.receipt)).await?;
    let receipt = receipt.ok_or(Refusal::ReceiptUnknown)?.value;
    let file = receipt.file.ok_or(Refusal::ReceiptFileUnknown)?;
    let key = object_key(receipt.id, &file);
    let bytes_max = usize::try_from(ReceiptFile::BYTES_MAX).expect("memory holds more");
    match ctx.receipts.get(&key, bytes_max).await? {
        Content::Whole(content) if file.is(&content) => {}
        Content::Missing => return Err(Refusal::ReceiptFileUnknown.into()),
        Content::Whole(_) | Content::LargerThanAllowed => {
            return Err(Refusal::ReceiptFileDiffers.into());
        }
    }
    let media_type = file.kind.media_type();
    let download_url = ctx.receipts.download_url(&key, media_type, DOWNLOAD_VALID).await?;
    Ok(Reply { file, download_url, expires_at: call.now + DOWNLOAD_VALID })
}

#[cfg(test)]
mod tests {
    use shell::Scope;

    use super::super::attach_receipt_file;
    use super::super::attach_receipt_file::tests::{announce, file, hand_in};
    use super::*;
    use crate::fixtures::{code, ctx, receipts_holding, with_receipts};

    fn ask(receipt: ReceiptId) -> Call<Command> {
        testkit::call(Command { receipt, student: None })
    }

    #[tokio::test]
    async fn student_and_bursar_are_led_to_what_was_announced_and_nobody_else() {
        let test = testkit::TestTable::new().await;
        let content = b"%PDF-1.7 a receipt";
        let ctx = with_receipts(ctx(&test.table), &receipts_holding(content).await);
        let receipt = hand_in(&ctx).await;
        assert_eq!(code(handle(&ctx, &ask(receipt)).await), "RECEIPT_FILE_UNKNOWN");
        attach_receipt_file::handle(&ctx, &announce(receipt, content)).await.expect("announced");
        let reply = handle(&ctx, &ask(receipt)).await.expect("led there");
        assert_eq!(reply.file, file(content));
        assert!(reply.download_url.contains("X-Amz-Expires=300"), "{}", reply.download_url);
        assert!(reply.download_url.contains("response-content-type=application%2Fpdf"));
        assert_eq!(reply.expires_at.to_string(), "2027-01-15T08:35:00Z");
        let adas = Command { receipt, student: Some(testkit::person("ada")) };
        let bursar = Call { reach: vec![(Scope::All, None)], ..testkit::call(adas) };
        assert_eq!(handle(&ctx, &bursar).await.expect("led there").file, file(content));
        let bobs = Command { receipt, student: Some(testkit::person("bob")) };
        assert_eq!(code(handle(&ctx, &testkit::call(bobs)).await), "RECEIPT_UNKNOWN");
    }

    #[tokio::test]
    async fn nobody_is_led_to_another_file_than_was_announced() {
        let test = testkit::TestTable::new().await;
        let ctx = with_receipts(ctx(&test.table), &receipts_holding(b"%PDF-1.7 malice").await);
        let receipt = hand_in(&ctx).await;
        let announced = announce(receipt, b"%PDF-1.7 a receipt");
        attach_receipt_file::handle(&ctx, &announced).await.expect("announced");
        assert_eq!(code(handle(&ctx, &ask(receipt)).await), "RECEIPT_FILE_DIFFERS");
        let large = vec![b'%'; 6 * 1024 * 1024];
        let ctx = with_receipts(ctx.clone(), &receipts_holding(&large).await);
        assert_eq!(code(handle(&ctx, &ask(receipt)).await), "RECEIPT_FILE_DIFFERS");
    }
}
