// The buckets: files of imports, every published event for good, and who read or wrote them.
import { Duration } from "aws-cdk-lib";
import { BlockPublicAccess, Bucket, BucketEncryption, type BucketProps, HttpMethods, ObjectOwnership, StorageClass } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import type { Settings } from "./settings.ts";

export interface Buckets {
  readonly imports: Bucket;
  readonly events: Bucket;
}

export function buckets(scope: Construct, settings: Settings): Buckets {
  const common: BucketProps = {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: settings.removal,
  };
  const accessLog = new Bucket(scope, "AccessLog", {
    ...common,
    lifecycleRules: [{ expiration: Duration.days(400) }],
  });
  const imports = new Bucket(scope, "Imports", {
    ...common,
    serverAccessLogsBucket: accessLog,
    serverAccessLogsPrefix: "imports/",
    // The portal uploads straight into the bucket, through a signed address.
    cors: [{ allowedOrigins: [settings.portalOrigin], allowedMethods: [HttpMethods.PUT], allowedHeaders: ["*"], maxAge: 3600 }],
    lifecycleRules: [{ expiration: Duration.days(90), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
  });
  const events = new Bucket(scope, "Events", {
    ...common,
    versioned: true,
    serverAccessLogsBucket: accessLog,
    serverAccessLogsPrefix: "events/",
    // Projections are rebuilt from them: they never expire, they only get cheaper.
    lifecycleRules: [
      {
        transitions: [{ storageClass: StorageClass.GLACIER_INSTANT_RETRIEVAL, transitionAfter: Duration.days(90) }],
        noncurrentVersionExpiration: Duration.days(90),
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
  });
  return { imports, events };
}
