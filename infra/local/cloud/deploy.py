"""Deploys a synthesized CDK assembly to the local cloud without the CDK command: the same template and assets, in a second or two.

    AWS_ENDPOINT_URL=http://127.0.0.1:4566 python deploy.py ASSEMBLY [STACK]

Prints the stack's outputs as JSON. Uploads only assets that are not there yet. `cdk deploy` remains the proof that the real path works.
"""

import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

WAIT_MAX_S = 120
POLL_S = 0.05
DEFAULT_REGION = "eu-central-1"
# What `cdk bootstrap` would have left: the templates read their version from it.
BOOTSTRAP_VERSION = ("/cdk-bootstrap/hnb659fds/version", "30")


def main() -> None:
    assembly = Path(sys.argv[1])
    stack = sys.argv[2] if len(sys.argv) > 2 else "Matricula"
    client = clients()
    account = client("sts").get_caller_identity()["Account"]
    manifest = json.loads((assembly / f"{stack}.assets.json").read_text())
    template_url = upload(client, assembly, stack, manifest, account)
    name, value = BOOTSTRAP_VERSION
    client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    outputs = create_or_update(client("cloudformation"), stack, template_url)
    print(json.dumps(outputs, indent=2))


def clients():
    """Clients of the local cloud and of nothing else: without an address they would talk to AWS."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or sys.exit("deploy.py: AWS_ENDPOINT_URL must say where the local cloud is")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    session = botocore.session.get_session()
    # An address that is an IP has no room for a bucket's name in front.
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    made = {}

    def client(service: str):
        if service not in made:
            made[service] = session.create_client(
                service, region, endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test", config=config)
        return made[service]

    return client


def upload(client, assembly: Path, stack: str, manifest: dict, account: str) -> str:
    """Puts every asset where the template expects it; returns the address of the stack's own template."""
    region = client("s3").meta.region_name
    template_url = ""
    for asset in manifest["files"].values():
        for place in asset["destinations"].values():
            bucket = place["bucketName"].replace("${AWS::AccountId}", account).replace("${AWS::Region}", region)
            put_once(client("s3"), bucket, place["objectKey"], assembly, asset["source"])
            if asset["source"]["path"] == f"{stack}.template.json":
                template_url = f"{client('s3').meta.endpoint_url}/{bucket}/{place['objectKey']}"
    return template_url


def put_once(s3, bucket: str, key: str, assembly: Path, source: dict) -> None:
    """The key is the hash of the content: what is there is the same."""
    try:
        s3.head_object(Bucket=bucket, Key=key)
        return
    except ClientError as problem:
        if problem.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    file = assembly / source["path"]
    body = zipped(file) if source["packaging"] == "zip" else file.read_bytes()
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    except s3.exceptions.NoSuchBucket:
        where = {"CreateBucketConfiguration": {"LocationConstraint": s3.meta.region_name}}
        s3.create_bucket(Bucket=bucket, **({} if s3.meta.region_name == "us-east-1" else where))
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def zipped(folder: Path) -> bytes:
    """Stored, not compressed: it travels nowhere. The dates are fixed, so that the same files give the same zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.external_attr = (file.stat().st_mode & 0xFFFF) << 16
            archive.writestr(entry, file.read_bytes())
    return target.getvalue()


def create_or_update(cloudformation, stack: str, template_url: str) -> dict:
    request = {"StackName": stack, "TemplateURL": template_url, "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]}
    try:
        cloudformation.describe_stacks(StackName=stack)
        exists = True
    except ClientError:
        exists = False
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**request)
    except ClientError as problem:
        if "No updates are to be performed" not in str(problem):
            raise
    deadline = time.monotonic() + WAIT_MAX_S
    while time.monotonic() < deadline:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            break
        time.sleep(POLL_S)
    if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in events
                   if event["ResourceStatus"].endswith("_FAILED")]
        sys.exit("\n".join([f"deploy.py: {stack} is {found['StackStatus']}", *reasons]))
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


if __name__ == "__main__":
    main()
