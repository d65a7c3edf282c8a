//! The same verification by PyJWT, in an environment of its own with pinned versions.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::failure::{Explain, Failure};
use crate::python;

/// `PyJWT` verifies; the others are what it needs.
const PINNED: [&str; 4] =
    ["PyJWT==2.15.1", "cryptography==50.0.2", "cffi==2.1.1", "pycparser==3.0"];
const SCRIPT: &str = include_str!("verify.py");

/// Processor time of one verification, in microseconds, median. `ours` has the token, the keys, issuer and audience.
pub async fn verify_us(ours: &Value) -> Result<f64, Failure> {
    let python = python::with(PINNED[0], &PINNED).await?;
    let mut process = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .explain("Python does not start")?;
    let mut input = process.stdin.take().expect("its standard input is piped");
    input.write_all(ours.to_string().as_bytes()).await.explain("Python hears nothing")?;
    drop(input);
    let output = process.wait_with_output().await.explain("Python is not heard")?;
    output.status.success().then_some(()).explain("PyJWT does not verify the token")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().explain("PyJWT tells no time")
}
