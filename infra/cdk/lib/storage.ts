// The buckets: files of imports and of receipts, every published event for good, and who read or wrote them.
import { Duration } from "aws-cdk-lib";
import { BlockPublicAccess, Bucket, BucketEncryption, type BucketProps, HttpMethods, ObjectOwnership, StorageClass } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import type { Settings } from "./settings.ts";

export interface Buckets {
  readonly imports: Bucket;
  readonly events: Bucket;
}

const commonProps = (settings: Settings): BucketProps => ({
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  encryption: BucketEncryption.S3_MANAGED,
  enforceSSL: true,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  removalPolicy: settings.removal,
});

const accessLogOf = (scope: Construct, settings: Settings): Bucket =>
  new Bucket(scope, "AccessLog", { ...commonProps(settings), lifecycleRules: [{ expiration: Duration.days(400) }] });

// The portal uploads straight into the bucket, through a signed address.
const uploadsFromPortal = ({ portalOrigin }: Settings): BucketProps => ({
  cors: [{ allowedOrigins: [portalOrigin], allowedMethods: [HttpMethods.PUT], allowedHeaders: ["*"], maxAge: 3600 }],
});

/** Files of receipts, kept as long as the books. */
export function receipts(scope: Construct, settings: Settings): Bucket {
  return new Bucket(scope, "Receipts", {
    ...commonProps(settings),
    ...uploadsFromPortal(settings),
    serverAccessLogsBucket: accessLogOf(scope, settings),
    serverAccessLogsPrefix: "receipts/",
    lifecycleRules: [
      {
        transitions: [{ storageClass: StorageClass.GLACIER_INSTANT_RETRIEVAL, transitionAfter: Duration.days(180) }],
        abortIncompleteMultipartUploadAfter: Duration.days(1),
      },
    ],
  });
}

export function buckets(scope: Construct, settings: Settings): Buckets {
  const common = commonProps(settings);
  const accessLog = accessLogOf(scope, settings);
  const imports = new Bucket(scope, "Imports", {
    ...common,
    serverAccessLogsBucket: accessLog,
    serverAccessLogsPrefix: "imports/",
    ...uploadsFromPortal(settings),
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
