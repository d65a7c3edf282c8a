//! The file of a receipt is announced, and may then be uploaded to a signed address that takes this file and no other.
//! Where another one is announced before the bursar has decided, that one counts.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use bucket::{Signed, Upload};
use kernel::{PersonId, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shell::{Call, Failure, Fault, Route};

use super::OWN_OR_BURSAR;
use crate::Ctx;
use crate::domain::{ReceiptFile, Refusal};
use crate::signature;
use crate::store;

pub const ROUTE: Route = Route::act(
    "attach-receipt-file",
    "/receipts/{receipt}/file",
    OWN_OR_BURSAR,
    "Announce the file of a receipt, and be told where to upload it",
);

/// How long the file may be uploaded.
const UPLOAD_VALID: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub receipt: ReceiptId,
    /// Who handed it in; the caller unless given.
    pub student: Option<PersonId>,
    pub file: ReceiptFile,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reply {
    /// PUT the file here within ten minutes; whoever holds the address may.
    pub upload_url: String,
    /// Sent along with it, as they stand.
    pub headers: BTreeMap<String, String>,
}

pub async fn handle(ctx: &Ctx, call: &Call<Command>) -> Result<Reply, Failure> {
    let Command { receipt, file, .. } = call.command.clone();
    let student = call.whose(call.command.student, "/student")?;
    if !call.may_touch(student, &[]) {
        return Err(Refusal::ReceiptUnknown.into());
    }
    let receipt = ctx.table.get(&store::receipt_key(student, receipt)).await?;
    let mut receipt = receipt.ok_or(Refusal::ReceiptUnknown)?;
    let Signed { url, headers } = sign(ctx, receipt.value.id, &file).await?;
    receipt.value.attach(file)?;
    let reply = Reply { upload_url: url, headers };
    let mut transaction = ctx.table.transaction();
    transaction.update(&receipt);
    call.keep_reply(&mut transaction, &reply);
    transaction.commit().await?;
    Ok(reply)
}

async fn sign(ctx: &Ctx, receipt: ReceiptId, file: &ReceiptFile) -> Result<Signed, Fault> {
    let hash = signature::bytes_of(&file.sha256).unwrap_or_default();
    let sha256 = base64::engine::general_purpose::STANDARD.encode(hash);
    let upload = Upload { media_type: file.kind.media_type(), bytes: file.bytes, sha256: &sha256 };
    ctx.receipts.upload_url_of(&object_key(receipt, file), upload, UPLOAD_VALID).await
}

/// Named after what it is: what was announced is never taken for what was uploaded before.
pub fn object_key(receipt: ReceiptId, file: &ReceiptFile) -> String {
    format!("receipts/{receipt}/{}", file.sha256)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::decide_receipt::{self, Decision};
    use super::super::submit_receipt::{self, tests::receipt};
    use super::*;
    use crate::domain::FileKind;
    use crate::fixtures::{code, ctx, with_receipts};

    pub fn file(content: &[u8]) -> ReceiptFile {
        use sha2::{Digest, Sha256};
        ReceiptFile {
            kind: FileKind::Pdf,
            bytes: u32::try_from(content.len()).expect("small"),
            sha256: data_encoding::HEXLOWER.encode(&Sha256::digest(content)),
        }
    }

    pub async fn hand_in(ctx: &Ctx) -> ReceiptId {
        submit_receipt::handle(ctx, &receipt("TX 77", 5)).await.expect("handed in").id
    }

    pub fn announce(receipt: ReceiptId, content: &[u8]) -> Call<Command> {
        testkit::call(Command { receipt, student: None, file: file(content) })
    }

    #[tokio::test]
    async fn a_file_is_announced_once_whatever_happens_on_the_wire() {
        testkit::under_every_fault(
            async |table| announce(hand_in(&ctx(table)).await, b"%PDF-1"),
            async |table, call| {
                handle(&with_receipts(ctx(table), "http://127.0.0.1:9"), call).await.map(drop)
            },
            async |table, call| {
                let key = store::receipt_key(testkit::person("ada"), call.command.receipt);
                let stored = table.get(&key).await.expect("reads").expect("it stands");
                assert_eq!((stored.version, stored.value.file), (2, Some(file(b"%PDF-1"))));
            },
        )
        .await;
    }

    #[tokio::test]
    async fn the_address_is_for_this_file_alone_and_for_ten_minutes() {
        let test = testkit::TestTable::new().await;
        let ctx = with_receipts(ctx(&test.table), "http://127.0.0.1:9");
        let receipt = hand_in(&ctx).await;
        let reply = handle(&ctx, &announce(receipt, b"%PDF-1")).await.expect("announced");
        let (address, query) = reply.upload_url.split_once('?').expect("a signed address");
        let hash = file(b"%PDF-1").sha256;
        assert!(address.ends_with(&format!("/receipts/receipts/{receipt}/{hash}")), "{address}");
        assert!(query.contains("X-Amz-Expires=600"), "{query}");
        let all = format!("{query} {:?}", reply.headers).to_lowercase();
        for signed in ["content-length", "content-type", "x-amz-checksum-sha256"] {
            assert!(all.contains(signed), "{signed} is not in {all}");
        }
        assert_eq!(reply.headers.get("content-type").map(String::as_str), Some("application/pdf"));
    }

    #[tokio::test]
    async fn what_is_decided_takes_no_other_file_and_another_s_receipt_is_unknown() {
        let test = testkit::TestTable::new().await;
        let ctx = with_receipts(ctx(&test.table), "http://127.0.0.1:9");
        let receipt = hand_in(&ctx).await;
        let mut others = announce(receipt, b"%PDF-1");
        others.command.student = Some(testkit::person("bob"));
        assert_eq!(code(handle(&ctx, &others).await), "RECEIPT_UNKNOWN");
        let nowhere = announce(kernel::Id::derived_from("nowhere"), b"%PDF-1");
        assert_eq!(code(handle(&ctx, &nowhere).await), "RECEIPT_UNKNOWN");
        let (student, reason) = (testkit::person("ada"), "No such money.".to_owned());
        let decision = Decision::Reject;
        let call = testkit::call(decide_receipt::Command { receipt, student, decision, reason });
        decide_receipt::handle(&ctx, &call).await.expect("rejected");
        assert_eq!(code(handle(&ctx, &announce(receipt, b"%PDF-1")).await), "RECEIPT_DECIDED");
    }
}
