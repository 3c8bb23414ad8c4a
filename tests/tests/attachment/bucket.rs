//! A bucket as the place for files.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CreateBucketConfiguration;
use tokio::io::AsyncWriteExt as _;
use tributary_core::Kind;
use tributary_core::pipeline::{Destination, DynamodbStore};
use tributary_runtime::odk_poll::attachment::{Content, Store};
use tributary_tests::Aws;

// `md5sum` of `hello`.
const HELLO: Content<'_> =
    Content { size: 5, md5: "5d41402abc4b2a76b9719d911017c592", content_type: Some("image/jpeg") };

pub(crate) struct Bucket {
    pub(crate) client: Client,
    pub(crate) name: String,
    endpoint: String,
}

impl Bucket {
    pub(crate) async fn new() -> Self {
        let aws = Aws::start().await;
        let store = DynamodbStore { region: Some(Aws::REGION.to_owned()), endpoint: Some(aws.endpoint().to_owned()) };
        let config =
            tributary_runtime::aws::config_of(&store).await.into_builder().endpoint_url(aws.endpoint()).build();
        let client = Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
        let name = format!("files-{:08x}", fastrand::u32(..));
        let place = CreateBucketConfiguration::builder().location_constraint(Aws::REGION.into()).build();
        client.create_bucket().bucket(&name).create_bucket_configuration(place).send().await.unwrap();
        Bucket { client, name, endpoint: aws.endpoint().to_owned() }
    }

    pub(crate) fn destination(&self, prefix: Option<&str>) -> Destination {
        Destination::S3 {
            bucket: self.name.clone(),
            prefix: prefix.map(str::to_owned),
            region: Some(Aws::REGION.to_owned()),
            endpoint: Some(self.endpoint.clone()),
        }
    }

    /// The object's bytes and type.
    pub(crate) async fn object(&self, key: &str) -> (Vec<u8>, Option<String>) {
        let object = self.client.get_object().bucket(&self.name).key(key).send().await.unwrap();
        let content_type = object.content_type.clone();
        (object.body.collect().await.unwrap().to_vec(), content_type)
    }
}

async fn put(store: &Store, key: &str, bytes: &[u8], content: Content<'_>) -> tributary_core::Result<()> {
    let mut spool = store.spool().await.unwrap();
    spool.write_all(bytes).await.unwrap();
    store.put(key, spool, content).await
}

#[tokio::test]
async fn an_object_is_there_once_it_is_put_with_its_type() {
    let bucket = Bucket::new().await;
    let store = Store::of(&bucket.destination(Some("/odk/"))).await;
    let key = "form/uuid:1/my=20file.jpg";
    assert_eq!(store.location(key), format!("s3://{}/odk/{key}", bucket.name));
    assert!(!store.holds(key, HELLO).await.unwrap());
    put(&store, key, b"hello", HELLO).await.unwrap();
    assert!(store.holds(key, HELLO).await.unwrap());
    let object = bucket.object(&format!("odk/{key}")).await;
    assert_eq!(object, (b"hello".to_vec(), Some("image/jpeg".to_owned())));
    // Another one under its key, and one without a type.
    let jello = Content { md5: "7b84efee00fa19fa2d5ee71046c7e12e", content_type: None, ..HELLO };
    assert!(!store.holds(key, jello).await.unwrap());
    put(&store, key, b"jello", jello).await.unwrap();
    assert!(store.holds(key, jello).await.unwrap());
    assert!(!store.holds(key, HELLO).await.unwrap());
    put(&store, "empty", b"", Content { size: 0, ..jello }).await.unwrap();
    assert_eq!(bucket.object("odk/empty").await.0, b"");
}

#[tokio::test]
async fn what_others_have_put_there_is_known_by_its_etag() {
    let bucket = Bucket::new().await;
    let store = Store::of(&bucket.destination(None)).await;
    let put = bucket.client.put_object().bucket(&bucket.name).key("a.jpg").body(ByteStream::from_static(b"hello"));
    put.send().await.unwrap();
    assert!(store.holds("a.jpg", HELLO).await.unwrap());
    assert!(!store.holds("a.jpg", Content { size: 6, ..HELLO }).await.unwrap());
    // Its metadata counts where it has any: an ETag need not be an MD5.
    let put = bucket.client.put_object().bucket(&bucket.name).key("b.jpg").metadata("md5", "another");
    put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
    assert!(!store.holds("b.jpg", HELLO).await.unwrap());
}

#[tokio::test]
async fn a_large_file_goes_in_parts() {
    let bucket = Bucket::new().await;
    let store = Store::of(&bucket.destination(None)).await;
    // Two parts and a rest.
    let bytes: Vec<u8> =
        (0..11 * 1024 * 1024 + 7).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let content =
        Content { size: bytes.len() as u64, md5: "00112233445566778899aabbccddeeff", content_type: Some("video/mp4") };
    put(&store, "a.mp4", &bytes, content).await.unwrap();
    let (stored, content_type) = bucket.object("a.mp4").await;
    assert!(stored == bytes, "{} bytes of {}", stored.len(), bytes.len());
    assert_eq!(content_type.as_deref(), Some("video/mp4"));
    assert!(store.holds("a.mp4", content).await.unwrap(), "by its metadata");
    let open = bucket.client.list_multipart_uploads().bucket(&bucket.name).send().await.unwrap();
    assert!(open.uploads.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told() {
    let bucket = Bucket::new().await;
    let Destination::S3 { prefix, region, endpoint, .. } = bucket.destination(None) else { unreachable!() };
    let store = Store::of(&Destination::S3 { bucket: "nobody-has-this".into(), prefix, region, endpoint }).await;
    assert!(!store.holds("a", HELLO).await.unwrap());
    let missing = put(&store, "a", b"hello", HELLO).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::Config);
    assert_eq!(missing.to_string(), "there is no bucket nobody-has-this");
    let large = Content { size: 6 * 1024 * 1024, ..HELLO };
    let missing = put(&store, "a", &vec![0; 6 * 1024 * 1024], large).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::Config, "{missing:#}");
}

#[tokio::test]
async fn an_endpoint_where_nobody_is_may_answer_later() {
    let endpoint = Some("http://127.0.0.1:9".to_owned());
    let store = Store::of(&Destination::S3 { bucket: "b".into(), prefix: None, region: None, endpoint }).await;
    let silent = store.holds("a", HELLO).await.unwrap_err();
    assert_eq!(silent.kind(), Kind::Unavailable, "{silent:#}");
}
