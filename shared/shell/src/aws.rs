//! How we reach AWS: credentials and endpoint from the environment, few trust roots, bounded waits. Nothing
//! is called.

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use table::Table;

/// Over half of the SDK's start is reading the system's CA files; AWS's own five roots are enough to talk to AWS.
const AMAZON_ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The configuration that every client shares, built once.
pub fn sdk_config() -> &'static SdkConfig {
    static CONFIG: OnceLock<SdkConfig> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let credentials = Credentials::new(
            crate::required_environment("AWS_ACCESS_KEY_ID"),
            crate::required_environment("AWS_SECRET_ACCESS_KEY"),
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let region = variable("AWS_REGION")
            .unwrap_or_else(|| crate::required_environment("AWS_DEFAULT_REGION"));
        sdk_config_for(credentials, region, variable("AWS_ENDPOINT_URL"))
    })
}

/// A configuration for given credentials and endpoint; tests point it at the embedded engine.
pub fn sdk_config_for(
    credentials: Credentials,
    region: String,
    endpoint: Option<String>,
) -> SdkConfig {
    let roots = TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
        .build()
        .expect("the bundled roots are valid");
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(roots)
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(3))
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(30)),
        )
        .timeout_config(timeouts)
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ));
    config.set_endpoint_url(endpoint);
    config.build()
}

/// The context's own table, named by the environment.
pub fn table() -> Table {
    Table::new(
        aws_sdk_dynamodb::Client::new(sdk_config()),
        crate::required_environment("TABLE_NAME"),
    )
}

/// Whether AWS is played by a local cloud, which answers at one address only.
pub fn is_local() -> bool {
    sdk_config().endpoint_url().is_some()
}
