//! One S3 bucket: small whole objects, and signed addresses to upload to and to download from.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_types::SdkConfig;
use shell::Fault;

#[derive(Debug)]
pub struct Bucket {
    variable: &'static str,
    place: OnceLock<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    client: Client,
    name: String,
}

/// What an upload is, to the byte: S3 takes nothing else at its address.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    pub media_type: &'a str,
    pub bytes: u32,
    /// In base 64, as S3 compares it.
    pub sha256: &'a str,
}

/// An address with the headers that must be sent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

/// What an object turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    Whole(Vec<u8>),
    /// Nobody has written it.
    Missing,
    LargerThanAllowed,
}

impl Bucket {
    /// The bucket whose name the environment gives; looked up when it is first used.
    pub fn from_environment(variable: &'static str) -> Self {
        Self { variable, place: OnceLock::new() }
    }

    pub fn at(config: &SdkConfig, name: &str) -> Self {
        let place = Place { client: client(config), name: name.to_owned() };
        Self { variable: "", place: OnceLock::from(place) }
    }

    fn place(&self) -> &Place {
        self.place.get_or_init(|| Place {
            client: client(shell::aws::sdk_config()),
            name: shell::required_environment(self.variable),
        })
    }

    /// A way to write objects that a task of its own can hold.
    pub fn writer(&self) -> Writer {
        Writer(self.place().clone())
    }

    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), Fault> {
        self.writer().put(key, body).await
    }

    /// The object, unless it is larger than `bytes_max`.
    pub async fn get(&self, key: &str, bytes_max: usize) -> Result<Content, Fault> {
        let Place { client, name } = self.place();
        let object = match client.get_object().bucket(name).key(key).send().await {
            Ok(object) => object,
            Err(error) if is_missing(&error) => return Ok(Content::Missing),
            Err(error) => return Err(Fault::outside(format!("{key} could not be read"), error)),
        };
        let declared = object.content_length().unwrap_or_default();
        if usize::try_from(declared).is_ok_and(|declared| declared > bytes_max) {
            return Ok(Content::LargerThanAllowed);
        }
        let mut body = object.body;
        let mut whole = Vec::with_capacity(usize::try_from(declared).unwrap_or_default());
        while let Some(part) = body
            .try_next()
            .await
            .map_err(|error| Fault::outside(format!("{key} could not be read to its end"), error))?
        {
            if whole.len() + part.len() > bytes_max {
                return Ok(Content::LargerThanAllowed);
            }
            whole.extend_from_slice(&part);
        }
        Ok(Content::Whole(whole))
    }

    /// An address that anybody who holds it may PUT this one object to, for as long as `valid` says.
    pub async fn upload_url(&self, key: &str, valid: Duration) -> Result<String, Fault> {
        let Place { client, name } = self.place();
        let config = PresigningConfig::expires_in(valid).expect("a validity below a week");
        let request = client.put_object().bucket(name).key(key).presigned(config).await;
        let request = request
            .map_err(|error| Fault::outside("the upload's address could not be signed", error))?;
        Ok(request.uri().to_owned())
    }

    /// The same for one file only, of which everything is known.
    pub async fn upload_url_of(
        &self,
        key: &str,
        upload: Upload<'_>,
        valid: Duration,
    ) -> Result<Signed, Fault> {
        let Place { client, name } = self.place();
        let config = PresigningConfig::expires_in(valid).expect("a validity below a week");
        let request = client
            .put_object()
            .bucket(name)
            .key(key)
            .content_type(upload.media_type)
            .content_length(upload.bytes.into())
            .checksum_sha256(upload.sha256)
            .presigned(config)
            .await
            .map_err(|error| Fault::outside("the upload's address could not be signed", error))?;
        let headers = request.headers();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Signed { url: request.uri().to_owned(), headers })
    }

    /// An address where anybody who holds it may GET this one object, for as long as `valid` says; a browser shows it
    /// as what `media_type` says, whatever it was uploaded as.
    pub async fn download_url(
        &self,
        key: &str,
        media_type: &str,
        valid: Duration,
    ) -> Result<String, Fault> {
        let Place { client, name } = self.place();
        let config = PresigningConfig::expires_in(valid).expect("a validity below a week");
        let request = client
            .get_object()
            .bucket(name)
            .key(key)
            .response_content_type(media_type)
            .presigned(config)
            .await
            .map_err(|error| Fault::outside("the file's address could not be signed", error))?;
        Ok(request.uri().to_owned())
    }
}

/// Writes objects of one bucket.
#[derive(Debug, Clone)]
pub struct Writer(Place);

impl Writer {
    pub async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), Fault> {
        let Place { client, name } = &self.0;
        client
            .put_object()
            .bucket(name)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| Fault::outside(format!("{key} could not be written"), error))?;
        Ok(())
    }
}

/// Whoever may not list a bucket is told "denied" of what is not there.
fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    matches!(error.code(), Some("NoSuchKey" | "NotFound" | "AccessDenied"))
}

/// A signed upload cannot carry a checksum of a body that nobody knows yet: only those that S3 requires are sent.
fn client(config: &SdkConfig) -> Client {
    let config = Builder::from(config)
        .force_path_style(config.endpoint_url().is_some())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Client::from_conf(config)
}
